"""How many reads of a BAM or CRAM file cover each base, as a bigWig: counts, counts per million, or a log2 ratio.

What is counted: the bases that a read aligns to (CIGAR operations M, = and X). Deletions and skipped introns are not
covered, as in ``samtools depth``, deepTools and ``bedtools genomecov -split`` (without it, introns are). Mates that
overlap count twice there, unless fragments are asked for. A base without reads is a measured 0; what the blacklist
holds, and a ratio of no reads to no reads, is missing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice, pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from tracks.bam.alignments import TILE, Alignments, ReadFilter, check_alignments, map_tiles, tiles
from tracks.bigwig_writer import BASE_ZOOM, BigWigWriter
from tracks.chroms import match_chroms
from tracks.errors import TracksError, UsageError, first_few
from tracks.files import check_absent, check_folder, check_not_input, written_beside
from tracks.regions import Region, join_spans, parse_region
from tracks.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pysam

MOST_FRAGMENT = 2_000
"""Bases of the longest fragment that a pair is taken for; the mates of a longer one count as two reads."""

_PROPER, _FIRST = 0x3, 0x40
# Flag, chromosome, position, MAPQ, CIGAR, and the mate's chromosome, position and distance (htslib's SAM_FLAG to
# SAM_TLEN): what is read of a CRAM, so that it needs no reference.
_FIELDS = 0x1FE
_BATCH = 1 << 18
_READS = 1 << 14
_TILE = TILE // 2
_SKIP = 3
_NO_SPANS = np.empty((0, 2), np.int64)


@dataclass(frozen=True)
class Counting:
    """What counts, and over how many bases.

    ``extend`` is the fragment length in bases that single reads are extended to, from their 5' end on (a longer read
    stays as it is, and so does one that skips an intron). ``fragments``: proper pairs of up to ``MOST_FRAGMENT``
    bases count once, by their first read, from one end of the fragment to the other. ``smooth`` is the width in bases
    of a running mean (each base the same weight; the window is cut at the chromosome's ends). ``bin``: one value,
    their mean, for so many bases; bins start at multiples of it. Bases in a blacklist are in no mean.
    """

    keep: ReadFilter = field(default_factory=ReadFilter)
    extend: int | None = None
    fragments: bool = False
    smooth: int = 1
    bin: int = 1

    @property
    def reach(self) -> int:
        """How far from a base a read that covers it can lie."""
        return max(self.extend or 0, MOST_FRAGMENT if self.fragments else 0)


@dataclass(frozen=True)
class Library:
    """How many reads (or fragments) of a file count, and how many bases they cover in all."""

    reads: int
    bases: int


@dataclass(frozen=True)
class Written:
    """What was written: the bases that have a value and the libraries, where they had to be counted."""

    bases: int
    library: Library | None
    control: Library | None
    notes: tuple[str, ...]


def spans(reads: Iterable[pysam.AlignedSegment], counting: Counting) -> Iterator[list[tuple[int, int]]]:
    """Yield what each read that counts covers: half-open intervals, which may leave the chromosome."""
    excluded, required = counting.keep.flags_excluded, counting.keep.flags_required
    min_mapq = counting.keep.min_mapq
    for read in reads:
        flag = read.flag
        if flag & excluded or flag & required != required or read.mapping_quality < min_mapq:
            continue
        if counting.fragments and flag & _PROPER == _PROPER and 0 < abs(read.template_length) <= MOST_FRAGMENT:
            if flag & _FIRST:
                start = min(read.reference_start, read.next_reference_start)
                yield [(start, start + abs(read.template_length))]
            continue
        blocks = read.get_blocks()
        if counting.extend is not None and not (len(blocks) > 1 and _skips(read)):
            start, end = read.reference_start, read.reference_end or read.reference_start
            if read.is_reverse:
                blocks = [(min(start, end - counting.extend), end)]
            else:
                blocks = [(start, max(end, start + counting.extend))]
        yield blocks


def _skips(read: pysam.AlignedSegment) -> bool:
    return any(operation == _SKIP for operation, _ in read.cigartuples or ())


def depth(covered: Iterable[list[tuple[int, int]]], start: int, end: int) -> np.ndarray:
    """Count how many intervals cover each base of ``[start, end)``: int64 ``[end - start]``."""
    steps = np.zeros(end - start + 1, np.int64)
    bounds = chain.from_iterable(chain.from_iterable(covered))
    # In batches, for a tile can hold any number of reads.
    while len(batch := np.fromiter(islice(bounds, _BATCH), np.int64)):
        at = np.clip(batch - start, 0, end - start)
        steps += np.bincount(at[::2], minlength=len(steps))
        steps -= np.bincount(at[1::2], minlength=len(steps))
    return np.cumsum(steps[:-1])


def running_mean(values: np.ndarray, valid: np.ndarray, width: int) -> np.ndarray:
    """Return the mean of the valid values (int64 and bool ``[n]``) among the ``width`` ones around each: float64
    ``[n]``, NaN where there is none. Of an even width one more lies before than after."""
    # Sums of whole numbers are exact, so that a value does not depend on where a tile begins.
    sums = np.concatenate([[0], np.cumsum(np.where(valid, values, 0))])
    counts = np.concatenate([[0], np.cumsum(valid)])
    first = np.arange(len(values)) - width // 2
    last = np.minimum(first + width, len(values))
    first = np.maximum(first, 0)
    with np.errstate(invalid="ignore"):
        mean: np.ndarray = (sums[last] - sums[first]) / (counts[last] - counts[first])
    return mean


def bin_means(values: np.ndarray, valid: np.ndarray, size: int) -> np.ndarray:
    """Return the mean of the valid values in each ``size`` of them, the last cut short: float64 ``[bins]``; NaN where
    there is none."""
    if size == 1:
        return np.where(valid, values, np.nan)
    first = np.arange(0, len(values), size)
    counts = np.add.reduceat(valid, first, dtype=np.int64)
    with np.errstate(invalid="ignore"):
        means: np.ndarray = np.add.reduceat(np.where(valid, values, 0), first, dtype=np.float64) / counts
    return means


def log2_ratio(signal: np.ndarray, control: np.ndarray, pseudocount: float) -> np.ndarray:
    """Return log2((signal + pseudocount) / (control + pseudocount)); NaN where both are 0 or either is missing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log2((signal + pseudocount) / (control + pseudocount))
    ratio[(signal == 0) & (control == 0)] = np.nan
    return ratio


@dataclass(frozen=True)
class _Job:
    """Everything a worker needs to make the values of a tile."""

    reads: Alignments
    control: Alignments | None
    counting: Counting
    factors: tuple[float, float]
    pseudocount: float
    blacklist: dict[str, np.ndarray]
    """Disjoint spans int64 ``[n, 2]`` by chromosome, by start."""


def _covered(file: Alignments, region: Region, counting: Counting) -> Iterator[list[tuple[int, int]]]:
    length = file.chrom_sizes[region.chrom]
    around = Region(region.chrom, max(0, region.start - counting.reach), min(length, region.end + counting.reach))
    with file.open(fields=_FIELDS) as handle:
        yield from spans(file.reads(handle, around), counting)


def _means(file: Alignments, tile: Region, job: _Job) -> np.ndarray:
    """Return the mean depth of each bin of a tile: float64, NaN where the blacklist leaves nothing."""
    before = job.counting.smooth // 2
    start = max(0, tile.start - before)
    end = min(file.chrom_sizes[tile.chrom], tile.end + job.counting.smooth - before)
    values = depth(_covered(file, Region(tile.chrom, start, end), job.counting), start, end)
    valid = np.ones(end - start, bool)
    black = job.blacklist.get(tile.chrom, _NO_SPANS)
    for first, last in black[(black[:, 1] > start) & (black[:, 0] < end)]:
        valid[max(0, first - start) : max(0, last - start)] = False
    inside = slice(tile.start - start, tile.end - start)
    smooth = running_mean(values, valid, job.counting.smooth)[inside] if job.counting.smooth > 1 else values[inside]
    return bin_means(smooth, valid[inside], job.counting.bin)


def _tile_runs(job: _Job, tile: Region) -> Runs:
    values = _means(job.reads, tile, job) * job.factors[0]
    if job.control is not None:
        values = log2_ratio(values, _means(job.control, tile, job) * job.factors[1], job.pseudocount)
    values = values.astype(np.float32)
    first = np.flatnonzero(np.append(True, values[1:] != values[:-1]))  # NaN is no neighbour, and is dropped below
    starts = tile.start + first * job.counting.bin
    ends = np.append(starts[1:], tile.end)
    kept = np.isfinite(values[first])
    return Runs(starts[kept], ends[kept], values[first][kept])


def _tile_library(file: Alignments, job: _Job, tile: Region) -> Library:
    """Count the reads whose first covered base lies in a tile and outside the blacklist."""
    reads = bases = 0
    length = file.chrom_sizes[tile.chrom]
    black = job.blacklist.get(tile.chrom, _NO_SPANS)
    # A place before the first span finds this end, in the last place.
    black_ends = np.append(black[:, 1], 0)
    covered = (blocks for blocks in _covered(file, tile, job.counting) if blocks)
    while batch := list(islice(covered, _READS)):
        first = np.maximum(0, np.array([blocks[0][0] for blocks in batch]))
        gaps = [sum(after[0] - before[1] for before, after in pairwise(blocks)) for blocks in batch]
        widths = np.array([min(blocks[-1][1], length) for blocks in batch]) - first - gaps
        blacklisted = first < black_ends[np.searchsorted(black[:, 0], first, side="right") - 1]
        kept = (tile.start <= first) & (first < tile.end) & ~blacklisted
        reads += int(kept.sum())
        bases += int(widths[kept].sum())
    return Library(reads, bases)


def coverage(
    reads: Path,
    out: Path,
    counting: Counting,
    *,
    scale: float | Literal["cpm"] = 1.0,
    control: Path | None = None,
    pseudocount: float = 1.0,
    blacklist: Path | None = None,
    genome_sizes: Mapping[str, int] | None = None,
    regions: Sequence[str] = (),
    processes: int = 1,
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Written:
    """Write how many reads cover each base, or the mean of each bin, as a bigWig.

    ``scale`` multiplies; ``cpm`` is a million over the reads (or fragments) that count in the whole file, less those
    that start in the blacklist. With a ``control`` the value is log2((reads + p) / (control + p)), both scaled
    to the smaller of the two libraries; p is a depth: what ``pseudocount`` reads that overlap a bin cover of it on
    average. ``genome_sizes`` are the chromosomes of the bigWig [those of the reads]; ``regions`` are samtools-style,
    and whole bins that touch them are written. Memory does not grow with the genome or the number of reads.

    Raises UsageError for a wrong request (a missing or unsorted file, another genome build), TracksError for a
    damaged file and where no read counts at all. No partial file stays.
    """
    check_not_input(out, (reads, control, blacklist))
    check_absent(out, overwrite)
    check_folder(out.parent, str(out))
    if control is not None and scale != 1.0:
        raise UsageError("a log2 ratio scales both files to the smaller library by itself; leave the scale out")
    file = check_alignments(reads, genome_sizes)
    sizes = dict(genome_sizes or file.chrom_sizes)
    other = check_alignments(control, file.chrom_sizes) if control is not None else None
    for one in (file, other) if other is not None else (file,):
        _check_fragments(one, counting)
    # A ratio is of the chromosomes that both have.
    shared = {chrom: length for chrom, length in file.chrom_sizes.items() if not other or chrom in other.chrom_sizes}
    spans, note = _blacklist(blacklist, sizes) if blacklist is not None else ({}, "")
    job = _Job(file, other, counting, (1.0, 1.0), pseudocount, spans)

    # A bin never lies in two tiles.
    size = max(1, _TILE // counting.bin) * counting.bin
    whole = tiles(shared, size)
    asked = [_whole_bins(parse_region(text, shared), counting.bin, shared) for text in regions]
    parts = tiles(shared, size, asked) if asked else whole
    counted = [file, other] if other is not None else [file] if scale == "cpm" else []
    total = len(parts) + len(whole) * len(counted)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    # Over the whole genome, so that a region's values are those that the whole would have.
    libraries = [_library(part, job, whole, processes, step) for part in counted]
    if other is not None:
        job = _as_ratio(job, *libraries)
    else:
        job = replace(job, factors=(1e6 / libraries[0].reads if scale == "cpm" else scale, 1.0))
    covered = False
    with written_beside(out) as beside, BigWigWriter(beside, sizes, BASE_ZOOM) as writer:
        for tile, runs in zip(parts, map_tiles(partial(_tile_runs, job), parts, processes), strict=True):
            writer.add(tile.chrom, runs.starts, runs.ends, runs.values)
            covered = covered or bool(runs.values.any())
            step()
        if not writer.bases:
            raise TracksError(
                f"no base has a value, so nothing was written: {out} would be empty (no reads, or all blacklisted)"
            )
        if not (covered or counted or regions):
            raise _no_reads(file)
        bases = writer.bases
    notes = (file.note, other.note if other is not None else "", note, _not_shared(file, other))
    return Written(
        bases,
        libraries[0] if libraries else None,
        libraries[1] if other is not None else None,
        tuple(note for note in notes if note),
    )


def _check_fragments(file: Alignments, counting: Counting) -> None:
    """See that the file has pairs, where their fragments are all that is asked for."""
    if not counting.fragments or counting.extend is not None:
        return
    with file.open(fields=_FIELDS) as handle:
        if not any(read.is_proper_pair for read in handle.head(_READS)):
            raise UsageError(
                f"{file.path}: no proper pair among its first reads, so the fragments' length is not known; give it"
                " (--extend 200)"
            )


def _library(file: Alignments, job: _Job, parts: Sequence[Region], processes: int, step: Callable[[], None]) -> Library:
    library = Library(0, 0)
    for part in map_tiles(partial(_tile_library, file, job), parts, processes):
        library = Library(library.reads + part.reads, library.bases + part.bases)
        step()
    if not library.reads:
        raise _no_reads(file)
    return library


def _no_reads(file: Alignments) -> TracksError:
    return TracksError(
        f"no read of {file.path} counts; are its MAPQ below --min-mapq, all of them duplicates, or all unmapped?"
    )


def _as_ratio(job: _Job, library: Library, control: Library) -> _Job:
    smaller = min(library.reads, control.reads)
    width = (library.bases + control.bases) / (library.reads + control.reads)
    # A read of this width overlaps bin + width - 1 places of a bin, and covers width x bin bases of them in all.
    depth_of_read = width / (job.counting.bin + width - 1)
    return replace(
        job,
        factors=(smaller / library.reads, smaller / control.reads),
        pseudocount=job.pseudocount * depth_of_read,
    )


def _whole_bins(region: Region, size: int, chrom_sizes: Mapping[str, int]) -> Region:
    start, end = region.start // size * size, -(-region.end // size) * size
    return Region(region.chrom, start, min(end, chrom_sizes[region.chrom]))


def _not_shared(file: Alignments, control: Alignments | None) -> str:
    lacking = [chrom for chrom in file.chrom_sizes if control is not None and chrom not in control.chrom_sizes]
    if control is None or not lacking:
        return ""
    return f"{control.path} lacks {len(lacking)} chromosomes, which have no ratio ({first_few(lacking)})"


def _blacklist(path: Path, sizes: Mapping[str, int]) -> tuple[dict[str, np.ndarray], str]:
    """Read a BED file: disjoint spans int64 ``[n, 2]`` by chromosome of the genome; others are left out."""
    # Here, for they load pandas, and no worker needs that.
    from tracks.tables.formats import TableFormat
    from tracks.tables.reader import read_blocks

    found: dict[str, list[tuple[int, int]]] = {}
    for block in read_blocks(path, TableFormat("bed"), ()):
        chroms = block.text["chrom"]
        for code, start, end in zip(chroms.codes.tolist(), block.starts.tolist(), block.ends.tolist(), strict=True):
            found.setdefault(chroms.words[code], []).append((start, end))
    names = match_chroms(list(found), sizes, str(path))
    spans = {}
    for chrom, theirs in names.of_genome.items():
        spans[chrom] = np.array(join_spans(found[theirs]), np.int64)
        if spans[chrom][-1, 1] > sizes[chrom]:
            raise UsageError(
                f"{path} is of another genome build: it reaches {spans[chrom][-1, 1]:,} on {theirs}, "
                f"which has {sizes[chrom]:,} bases"
            )
    return spans, names.note
