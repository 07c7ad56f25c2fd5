"""Aligned reads: what is checked before a BAM or CRAM file is read, which reads count, and tiles of a genome."""

from __future__ import annotations

import gzip
import os
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

import pysam

from tracks.chroms import ChromNames, match_chroms
from tracks.errors import TracksError, UsageError, first_few
from tracks.htslib import quiet
from tracks.parallel import map_in_order
from tracks.regions import Region, merge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

TILE = 1 << 22
"""Bases that one worker counts at a time."""

# The longest chromosome that a .bai index can hold (SAM specification, section 5); a .csi has no such bound.
BAI_MOST = 1 << 29

_UNMAPPED, _REVERSE, _SECONDARY, _QC_FAIL, _DUPLICATE, _SUPPLEMENTARY = 0x4, 0x10, 0x100, 0x200, 0x400, 0x800

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class ReadFilter:
    """Which reads count: mapped ones of at least ``min_mapq``; duplicates, secondary and supplementary alignments and
    reads that failed quality control only where asked for; ``strand`` keeps those aligned to one strand."""

    min_mapq: int = 0
    duplicates: bool = False
    secondary: bool = False
    supplementary: bool = False
    qc_fail: bool = False
    strand: Literal["+", "-"] | None = None

    @property
    def flags_excluded(self) -> int:
        """Flag bits (SAM specification, section 1.4) of which a read that counts has none, as ``samtools view -F``."""
        return (
            _UNMAPPED
            | (0 if self.duplicates else _DUPLICATE)
            | (0 if self.secondary else _SECONDARY)
            | (0 if self.supplementary else _SUPPLEMENTARY)
            | (0 if self.qc_fail else _QC_FAIL)
            | (_REVERSE if self.strand == "+" else 0)
        )

    @property
    def flags_required(self) -> int:
        """Flag bits that a read that counts has, as ``samtools view -f``."""
        return _REVERSE if self.strand == "-" else 0

    def keeps(self, read: pysam.AlignedSegment) -> bool:
        """Say whether a read counts."""
        flag = read.flag
        return (
            not flag & self.flags_excluded
            and flag & self.flags_required == self.flags_required
            and read.mapping_quality >= self.min_mapq
        )


@dataclass(frozen=True)
class Alignments:
    """A checked file of aligned reads; small, and safe to hand to another process."""

    path: Path
    chrom_sizes: dict[str, int]
    """Lengths by the genome's names and in its order, of the chromosomes that the file has."""
    names: ChromNames
    note: str = ""
    """What a person should know: names that were matched, chromosomes left out, an index that looks old."""

    @contextmanager
    def open(self, reference: Path | None = None, fields: int | None = None) -> Iterator[pysam.AlignmentFile]:
        """Open the file for a block. ``reference`` is a FASTA file, which a CRAM needs for its bases; ``fields`` are
        the bits of what is read of a CRAM (htslib's ``required_fields``), which spares it the reference where no base
        is asked for.

        Raises TracksError when it cannot be read.
        """
        options = [f"required_fields={fields:#x}"] if fields is not None else None
        try:
            with quiet():
                handle = pysam.AlignmentFile(
                    str(self.path), reference_filename=str(reference) if reference else None, format_options=options
                )
        except (OSError, ValueError) as error:
            raise TracksError(f"cannot read {self.path}: {error}") from error
        try:
            yield handle
        finally:
            # After a read that failed closing fails too, and would hide what was wrong.
            with suppress(OSError):
                handle.close()

    def reads(self, handle: pysam.AlignmentFile, region: Region) -> Iterator[pysam.AlignedSegment]:
        """Pass the alignments that touch a region (genome's chromosome names) by start, whatever their flags.

        Raises TracksError, with the place, where the file is damaged.
        """
        try:
            with quiet():
                yield from handle.fetch(self.names.of_genome[region.chrom], region.start, region.end)
        except (OSError, ValueError) as error:
            raise TracksError(f"cannot read {self.path} at {region}: {error}; is it damaged or cut short?") from error


def check_alignments(path: Path, genome_sizes: Mapping[str, int] | None = None) -> Alignments:
    """See that a BAM or CRAM file is whole, of this genome, sorted by position and indexed; index it where it is not.

    Without ``genome_sizes`` the file's own header is the genome. Raises UsageError when there is no such file, when
    it is of another kind, another genome build or not sorted, and TracksError when it is cut short, damaged, or
    can be neither read nor indexed.
    """
    _check_kind(path)
    try:
        with quiet(), pysam.AlignmentFile(str(path), check_sq=False) as handle:
            sizes = dict(zip(handle.references, handle.lengths, strict=True))
            order = str(handle.header.to_dict().get("HD", {}).get("SO", "unknown"))
            indexed = handle.has_index()
    except (OSError, ValueError) as error:
        raise TracksError(f"{path} is cut short or damaged: {error}; copy or make it again") from error
    if not sizes:
        raise UsageError(f"{path} names no chromosome: its reads are not aligned; align them to a genome first")
    names = match_chroms(sizes, sizes if genome_sizes is None else genome_sizes, str(path))
    if order in ("queryname", "unsorted"):
        raise _unsorted(path, f"its header says '{order}'")
    if not indexed:
        _index(path, max(sizes.values()))
    notes = [names.note, _left_out(path, sizes, names), _old_index(path)]
    return Alignments(
        path,
        {chrom: sizes[theirs] for chrom, theirs in names.of_genome.items()},
        names,
        "; ".join(note for note in notes if note),
    )


def _check_kind(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(18)
    except FileNotFoundError as error:
        raise UsageError(f"there is no BAM or CRAM file {path}") from error
    except OSError as error:
        raise TracksError(f"cannot read {path}: {error.strerror}") from error
    if head[:4] == b"CRAM":
        return
    if head[:1] == b"@":
        raise UsageError(
            f"{path} is SAM text, which cannot be read by position; run: samtools sort -o reads.bam {path}"
        )
    magic = b""
    # BGZF: gzip with an extra field (SAM specification, section 4.1).
    if head[:4] == b"\x1f\x8b\x08\x04":
        try:
            with gzip.open(path) as bgzip:
                magic = bgzip.read(4)
        except (OSError, EOFError, zlib.error) as error:
            raise TracksError(f"{path} is cut short or damaged: {error}; copy or make it again") from error
    if magic != b"BAM\x01":
        raise UsageError(f"{path} is neither BAM nor CRAM; give the aligned reads, as samtools sort writes them")


def _unsorted(path: Path, why: str) -> UsageError:
    return UsageError(f"{path} is not sorted by position ({why}); run: samtools sort -o sorted.bam {path}")


def _index(path: Path, longest: int) -> None:
    """Make the index beside the file, whole or not at all."""
    if not os.access(path.parent, os.W_OK):
        raise TracksError(
            f"{path} has no index and its folder is not writable; copy it to a folder of yours, "
            f"or have its owner run: samtools index {path}"
        )
    with path.open("rb") as file:
        cram = file.read(4) == b"CRAM"
    suffix = ".crai" if cram else ".csi" if longest > BAI_MOST else ".bai"
    final = path.with_name(path.name + suffix)
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial{suffix}")
    try:
        with quiet():
            pysam.index(*(["-c"] if suffix == ".csi" else []), "-o", str(beside), str(path))
        beside.replace(final)
    except pysam.utils.SamtoolsError as error:
        if _disordered(path):
            raise _unsorted(path, "its reads are out of order") from error
        raise TracksError(f"cannot index {path}: it is cut short or damaged; copy or make it again") from error
    except OSError as error:
        raise TracksError(f"cannot index {path}: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)


def _disordered(path: Path) -> bool:
    """Say whether some read lies before the one that it follows, which samtools tells only the terminal."""
    last = (0, 0)
    try:
        with quiet(), pysam.AlignmentFile(str(path)) as handle:
            for read in handle:
                if read.reference_id >= 0:
                    last, before = (read.reference_id, read.reference_start), last
                    if last < before:
                        return True
    except (OSError, ValueError):
        return False
    return False


def _left_out(path: Path, sizes: Mapping[str, int], names: ChromNames) -> str:
    others = [chrom for chrom in sizes if chrom not in names.of_file]
    if not others:
        return ""
    return f"{path}: {len(others)} of its chromosomes are not in the genome and are left out ({first_few(others)})"


def _old_index(path: Path) -> str:
    for index in (path.with_name(path.name + suffix) for suffix in (".csi", ".bai", ".crai")):
        if index.exists() and index.stat().st_mtime < path.stat().st_mtime:
            return f"{index} is older than its file; if the file was made anew since, delete the index and run again"
    return ""


def map_tiles(function: Callable[[Region], _Result], tiles: Sequence[Region], processes: int) -> Iterator[_Result]:
    """Yield ``function`` of each tile, in order, as ``map_in_order`` does; small ones, as of the thousands of contigs
    of a draft genome, go to a worker together: as many as make one of the largest."""
    batches: list[list[Region]] = []
    largest, room = max(map(len, tiles), default=0), 0
    for tile in tiles:
        if len(tile) > room:
            batches.append([])
            room = largest
        batches[-1].append(tile)
        room -= len(tile)
    for found in map_in_order(partial(_each, function), batches, processes):
        yield from found


def _each(function: Callable[[Region], _Result], tiles: Sequence[Region]) -> list[_Result]:
    return [function(tile) for tile in tiles]


def tiles(chrom_sizes: Mapping[str, int], size: int = TILE, regions: Sequence[Region] | None = None) -> list[Region]:
    """Cut chromosomes, or the union of regions of them, at the multiples of ``size``: disjoint tiles without a hole,
    in the order of ``chrom_sizes`` and by start. A read can lie in several: counting what is inside a tile, base by
    base, leaves no hole and counts nothing twice."""
    whole = (
        [Region(chrom, 0, length) for chrom, length in chrom_sizes.items()]
        if regions is None
        else merge(regions, chrom_sizes)
    )
    return [
        Region(part.chrom, max(start, part.start), min(start + size, part.end))
        for part in whole
        for start in range(part.start // size * size, part.end, size)
    ]
