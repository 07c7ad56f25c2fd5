// Reads a bigWig or a hub at an address with the libraries of JBrowse, and prints what it read as JSON.
//
//   node read.mjs bbi URL                                   what its header says
//   node read.mjs bbi URL CHROM START END [BASES_A_PIXEL]   its features
//   node read.mjs hub URL                                   the hub's tracks
//
// "bbi-6" is an older release of the same reader.
import { SingleFileHub } from '@gmod/ucsc-hub'
import { RemoteFile } from 'generic-filehandle2'

const [reader, url, chrom, start, end, basesPerSpan] = process.argv.slice(2)

async function readBigWig() {
  const { BigWig } = await import(`@gmod/${reader}`)
  const file = new BigWig({ filehandle: new RemoteFile(url) })
  if (chrom === undefined) {
    const { zoomLevels, refsByNumber, totalSummary } = await file.getHeader()
    return { zooms: zoomLevels.map(level => level.reductionLevel), chroms: Object.values(refsByNumber), totalSummary }
  }
  const options = basesPerSpan === undefined ? {} : { basesPerSpan: Number(basesPerSpan) }
  const features = await file.getFeatures(chrom, Number(start), Number(end), options)
  return features.map(({ start, end, score }) => [start, end, score])
}

async function readHub() {
  const text = await (await fetch(url)).text()
  const hub = new SingleFileHub(text)
  return {
    hub: hub.hubData.data,
    genome: hub.genome.data,
    tracks: Object.fromEntries(Object.entries(hub.tracks.data).map(([name, track]) => [name, track.data ?? track])),
  }
}

const read = reader === 'hub' ? await readHub() : await readBigWig()
const plain = (_, value) => (typeof value === 'bigint' ? Number(value) : value)
console.log(JSON.stringify(read, plain))
