"""``tracks predict``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from tracks.cli import options
from tracks.cli.options import PATH
from tracks.errors import UsageError
from tracks.method import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tracks.cli.options import Computing
    from tracks.export import Format
    from tracks.genome import Genome
    from tracks.regions import Region


@click.command("predict")
@click.option("--region", "region", multiple=True, help="Region such as chr20:10,000,001-10,400,000 (repeatable).")
@click.option("--bed", type=PATH, help="BED file of regions (plain or gzip).")
@click.option("--chrom", multiple=True, help="A whole chromosome (repeatable).")
@click.option("--genome-wide", is_flag=True, help="All chromosomes of the genome; with --chrom, only those.")
@click.option("--windows", type=PATH, help="BED file of 131,072-bp windows with folds (sequences.bed), as HDF5 rows.")
@click.option("--embeddings", is_flag=True, help="With --windows: the trunk's embeddings too, 2.75 MB a window.")
@click.option("--genome", "fasta", type=PATH, help="FASTA, plain or bgzip [default: demo genome].")
@click.option("--model", "folder", type=PATH, help="Model folder [default: the shipped model].")
@click.option("--head", "heads", multiple=True, help="Head of the model (repeatable) [default: its first].")
@click.option("--stride", type=int, help="Bases from one value of a window head to the next [default: 114,688].")
@click.option("--track", "names", multiple=True, help="Only this track, by name or slug (repeatable) [default: all].")
@click.option(
    "--format", "form", type=click.Choice(["bigwig", "bedgraph", "hdf5", "zarr"]), default="bigwig", show_default=True
)
@click.option("--overview", is_flag=True, help="The whole genome, for the files that tracks serve makes up; no files.")
@click.option("-o", "--out", type=PATH, help="Folder for the files.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.option("--shard", metavar="I/N", help="Compute only part I of N of whole chromosomes, for tracks merge.")
@click.option("--dry-run", is_flag=True, help="Of whole chromosomes: say windows, bytes and time, and stop.")
@click.option("--yes", is_flag=True, help="Go on although the disk seems too small.")
@options.store
@options.processes
@options.computing
@click.pass_context
def command(
    context: click.Context,
    computing: Computing,
    region: tuple[str, ...],
    bed: Path | None,
    chrom: tuple[str, ...],
    genome_wide: bool,
    windows: Path | None,
    embeddings: bool,
    fasta: Path | None,
    folder: Path | None,
    heads: tuple[str, ...],
    stride: int | None,
    names: tuple[str, ...],
    form: Format,
    overview: bool,
    out: Path | None,
    overwrite: bool,
    shard: str | None,
    dry_run: bool,
    yes: bool,
    root: Path | None,
    processes: int | None,
) -> None:
    """Predict tracks from sequence and write them as files.

    Values are means of 128-bp bins in each track's unit. Exactly the whole bins that touch the regions are written;
    several regions go to one file per track. Where there is no value (no sequence, or too little of it around for
    a track that needs wide context) bigWig and bedGraph hold nothing; HDF5 and Zarr hold NaN.

    \b
    Formats:
      bigwig    OUT/<track>.bw, with zoom levels
      bedgraph  OUT/<track>.bedgraph: four columns, sorted
      hdf5      OUT/predictions.h5: values/<chromosome> [bins, tracks]; the table regions; tracks as JSON
      zarr      OUT/predictions.zarr: the same as a Zarr v3 group, which zarr and xarray open

    With --windows, the windows of a published data set are predicted where they lie, off the grid, and written as
    its files have them: OUT/<head>.h5 with 128bp_bins or single_bin, a row a line of the BED file, in label scale.

    Predicted windows are kept in a store. A run that was interrupted, killed or cut off goes on from there when the
    same command runs again, and a region that overlaps an earlier one costs only what is new.

    Before whole chromosomes are predicted, the windows, the disk space and the time they take are said. Several
    machines share an export by --shard 1/N to N/N, each into the same store or one of its own; tracks merge then
    writes the files.

    --overview predicts the whole genome and keeps what it comes to at each zoom level, so that other browsers see it
    all at once, and the bigWigs that tracks serve offers them never change and may be kept. It goes on where it
    stopped.

    \b
    --precision  fp32, the reference; winograd, the same in less time on a CPU; bf16, for GPUs and CPUs that have it;
                 int8, a preview in a third of the time (needs onnxruntime)
    --edges      window, the reference: each window alone; seamless: no borders between windows

    A model folder can hold several heads; those of one run share the trunk's work, and the file names then end in the
    head's. A head that gives one value a window is a step function of 114,688 bp; --stride 16384 slides it.

    \b
    Examples:
      tracks predict --region chr20:10,000,000-10,400,000 -o out/
      tracks predict --chrom chr22 --track "CpG methylation IMR90" -o out/
      tracks predict --genome-wide --genome hg38.fa.gz --model basenji2/ --precision bf16 -o hg38/
      tracks predict --bed peaks.bed --genome hg19.fa.gz --format hdf5 -o out/
      tracks predict --overview --genome hg38.fa.gz --model basenji2/
      tracks predict --windows sequences.bed --genome hg38.fa --model basenji2/ --head maxpool -o out/
    """
    started = time.monotonic()
    if overview:
        if any((region, bed, chrom, windows, embeddings, names, form != "bigwig", out, overwrite, shard)):
            raise UsageError(
                "--overview predicts the whole genome into the store and writes no files; leave --region, --bed, "
                "--chrom, --windows, --embeddings, --track, --format, --out, --overwrite and --shard out"
            )
        _predict_overview(fasta, folder, heads, stride, root, dry_run, yes, computing)
        return
    if out is None:
        raise UsageError("where should the files go? Name a folder with -o")
    if embeddings and windows is None:
        raise UsageError("--embeddings goes with --windows, which names the rows of the file")
    if windows is not None:
        others = (region, bed, chrom, genome_wide, names, stride is not None, form != "bigwig", shard, dry_run)
        if any(others) or computing.method != REFERENCE or computing.residuals is not None:
            raise UsageError(
                "--windows predicts the windows of its file, all tracks, as HDF5; leave --region, --bed, --chrom, "
                "--track, --stride, --format, --shard, --precision, --edges, --ensemble and the like out"
            )
        made = _predict_rows(windows, embeddings, fasta, folder, heads, out, overwrite, computing)
        click.echo(f"wrote {' and '.join(map(str, made))}, in {time.monotonic() - started:.1f} s")
        return
    if not (region or bed or chrom or genome_wide):
        raise UsageError(
            "nothing to predict; give --region chr20:10,000,000-10,400,000, --bed FILE, --chrom chr20 or --genome-wide"
        )
    whole = not (region or bed)
    if genome_wide and not whole:
        raise UsageError("--genome-wide holds every region; leave --region and --bed out")
    if not whole and (shard is not None or dry_run):
        raise UsageError("--shard and --dry-run are for whole chromosomes: --genome-wide or --chrom")
    from tracks.shards import Shard

    part = None if shard is None else Shard.parse(shard)
    if part is not None and form != "bigwig":
        raise UsageError("shards are merged into bigWigs; leave --format out")
    from tracks.genome import Genome, demo_genome

    genome = Genome(fasta or demo_genome())
    regions = _regions(region, bed, chrom or (tuple(genome.chrom_sizes) if genome_wide else ()), genome)

    from model.export import export_heads
    from model.folder import demo_model_folder, load_model
    from tracks.bigwig_export import BigWigExport, check_export
    from tracks.cli.predict_export import Wanted, kept_when_interrupted, predict_chromosomes
    from tracks.cli.predict_regions import predict_regions
    from tracks.export import check_array_names, check_output
    from tracks.files import check_folder
    from tracks.folder_lock import LOCK_NAME, folder_lock
    from tracks.grid import WINDOW
    from tracks.parallel import usable_cpus
    from tracks.store import Store, default_store_folder
    from tracks.track import select_tracks

    model = load_model(folder or demo_model_folder(), heads, WINDOW if stride is None else stride)
    tracks = select_tracks(model.tracks, names) if names else model.tracks
    place = root or default_store_folder()
    if part is not None:
        check_folder(out, f"to {out}")
    elif whole and form == "bigwig":
        described = export_heads(model, tracks)
        check_export(BigWigExport(out, place, computing.method, genome.chrom_sizes, (), described, overwrite))
    else:
        check_output(out, tracks, form, overwrite)
    check_array_names((region.chrom for region in regions), form)
    if not dry_run and (out / LOCK_NAME).exists():
        with folder_lock(out, "tracks predict"):  # somebody who is writing there is found before long work
            pass
    store = Store(place)
    predictor = computing.predictor(model, genome)
    with kept_when_interrupted():
        if whole:
            words = options.words_given(context, "shard", "dry_run", "yes")
            wanted = Wanted(out, form, overwrite, part, words, dry_run, yes, processes or usable_cpus())
            predict_chromosomes(predictor, store, [region.chrom for region in regions], tracks, wanted)
        else:
            predict_regions(predictor, store, regions, tracks, form, out, overwrite, started)


def _predict_overview(
    fasta: Path | None,
    folder: Path | None,
    heads: Sequence[str],
    stride: int | None,
    root: Path | None,
    dry_run: bool,
    yes: bool,
    computing: Computing,
) -> None:
    from model.folder import demo_model_folder, load_model
    from tracks.cli.predict_overview import predict_overview
    from tracks.genome import Genome, demo_genome
    from tracks.grid import WINDOW
    from tracks.store import Store, default_store_folder

    model = load_model(folder or demo_model_folder(), heads, WINDOW if stride is None else stride)
    predictor = computing.predictor(model, Genome(fasta or demo_genome()))
    predict_overview(predictor, Store(root or default_store_folder()), dry_run, yes)


def _predict_rows(
    windows: Path,
    embeddings: bool,
    fasta: Path | None,
    folder: Path | None,
    heads: Sequence[str],
    out: Path,
    overwrite: bool,
    computing: Computing,
) -> list[Path]:
    from tracks.windows import read_windows

    rows = read_windows(windows)

    from model.embedding_file import EmbeddingRows, embeddings_bytes
    from model.folder import demo_model_folder, load_model
    from model.predict_rows import predict_rows
    from tracks.cli.predict_export import say
    from tracks.cli.progress import bar
    from tracks.files import check_folder
    from tracks.genome import Genome, demo_genome

    check_folder(out, str(out))
    genome = Genome(fasta or demo_genome())
    predictor = computing.predictor(load_model(folder or demo_model_folder(), heads), genome)
    beside = None
    if embeddings:
        beside = EmbeddingRows(predictor, rows, out, overwrite)
        say(f"the embeddings take {embeddings_bytes(predictor, rows) / 1e9:.2f} GB")
    with bar("predicting") as shown:
        made = list(predict_rows(predictor, rows, out, overwrite, shown.update, beside).values())
    return [*made, beside.path] if beside is not None else made


def _regions(region: Sequence[str], bed: Path | None, chroms: Sequence[str], genome: Genome) -> list[Region]:
    from tracks.regions import Region, check_chrom, parse_region, read_bed

    regions = [parse_region(text, genome.chrom_sizes) for text in region]
    if bed is not None:
        regions += read_bed(bed, genome.chrom_sizes)
    for chrom in chroms:
        check_chrom(chrom, genome.chrom_sizes, "--chrom")
        regions.append(Region(chrom, 0, genome.chrom_sizes[chrom]))
    return regions
