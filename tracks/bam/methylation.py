"""Modified-base reads to tracks: counts of modified and valid calls and their fraction as bigWigs, and bedMethyl.

For each target (a modification in a context) and group of reads (all; by haplotype) there are four files:
``<prefix>.<modification>.<context>[.<group>]`` and ``.modified.bw``, ``.valid.bw``, ``.fraction.bw`` and
``.bedmethyl.gz`` (bgzip, with its tabix index). All hold the same bases: those with at least one valid call. The
columns of bedMethyl are those of modkit's pileup (https://nanoporetech.github.io/modkit/intro_pileup.html).
"""

from __future__ import annotations

import zlib
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pysam

from tracks.bam.alignments import BAI_MOST, map_tiles, tiles
from tracks.bam.methylation_counts import ReadStats, count_tile
from tracks.bam.methylation_sites import check_targets
from tracks.bigwig_writer import BASE_ZOOM, BigWigWriter
from tracks.errors import TracksError, UsageError
from tracks.files import check_absent, check_folder, written_beside
from tracks.genome_sizes import read_sizes
from tracks.htslib import quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tracks.bam.methylation_counts import Counting, SiteCounts
    from tracks.bam.methylation_sites import Target
    from tracks.regions import Region

TILE = 1 << 19
"""Bases that one worker counts at a time: a tile of every A takes 10 MB a target and group of reads."""

SIGNALS = ("modified", "valid", "fraction")

# Values go to a bigWig in pieces of so many, whatever the tiles, so that sums in it never depend on those.
_PIECE = 1 << 16
# A file without any call is not read to its end before that is said.
_ENOUGH_READS = 100_000


@dataclass(frozen=True)
class Counted:
    """One target and group of reads as it was written; without a valid call it has no files."""

    target: Target
    group: str
    files: tuple[Path, ...]
    sites: int
    modified: int
    valid: int


@dataclass(frozen=True)
class MethylationReport:
    """What was written, and what a person should know of the reads."""

    counted: tuple[Counted, ...]
    reads: int
    notes: tuple[str, ...]


def output_stem(prefix: str, target: Target, group: str) -> str:
    """Return how the names of a target's files begin: ``reads.5mC.CpG`` or ``reads.5mC.CpG.hap1``."""
    return f"{prefix}.{target.name}" + (f".{group}" if group else "")


def methylation(
    counting: Counting,
    out: Path,
    prefix: str,
    *,
    regions: Sequence[Region] | None = None,
    tile: int = TILE,
    processes: int = 1,
    overwrite: bool = False,
    update: Callable[[int, int], None] = lambda done, total: None,
) -> MethylationReport:
    """Count modified bases and write them to the folder ``out``; ``update`` is told (tiles done, tiles in all).

    The files do not depend on ``tile`` (bases of a tile) and ``processes``. What is held in memory is a few tiles a
    process. All files get their final names together, at the end.

    Raises UsageError when files are there already, when the targets do not go together, or when the reads hold no
    call of any target (with what they hold); TracksError when something cannot be read or written, or a read's
    tags are damaged.
    """
    if Path(prefix).name != prefix:
        raise UsageError(f"a prefix begins the names of files, and '{prefix}' names a folder too; that is -o")
    check_targets(counting.targets, counting.combine_strands)
    check_folder(out, f"to {out}")
    sizes = read_sizes(counting.fasta)
    suffixes = [*(f".{signal}.bw" for signal in SIGNALS), ".bedmethyl.gz"]
    outputs = [
        _Output(out, output_stem(prefix, target, group), target, group, sizes, counting.combine_strands)
        for target in counting.targets
        for group in counting.groups
    ]
    for output in outputs:
        for suffix in suffixes:
            check_absent(out / (output.stem + suffix), overwrite)
    work = tiles(counting.alignments.chrom_sizes, tile, regions)
    stats = ReadStats()
    with ExitStack() as finals:
        counted = map_tiles(partial(_count_and_format, counting), work, processes)
        for done, (chrom, parts, more) in enumerate(counted, 1):
            stats.add(more)
            if stats.alignments >= _ENOUGH_READS and not stats.tagged:
                break
            for output, part in zip(outputs, parts, strict=True):
                output.add(finals, chrom, part)
            update(done, len(work))
        if not any(output.sites for output in outputs):
            raise _nothing(counting, stats)
        for output in outputs:
            output.close()
    for output in outputs:
        if not output.sites:
            # What an earlier run left would be taken for this one's.
            for suffix in (*suffixes, ".bedmethyl.gz.tbi", ".bedmethyl.gz.csi"):
                (out / (output.stem + suffix)).unlink(missing_ok=True)
    return MethylationReport(
        tuple(output.counted() for output in outputs), stats.alignments, tuple(_notes(counting, stats, outputs))
    )


@dataclass(frozen=True, eq=False)
class _Part:
    """What a tile adds to the files of one output: positions int64, modified and valid calls int32 ``[n]``, and the
    lines of bedMethyl, deflated so that what waits for its turn takes little memory."""

    positions: np.ndarray
    modified: np.ndarray
    valid: np.ndarray
    lines: bytes


def _count_and_format(counting: Counting, tile: Region) -> tuple[str, list[_Part], ReadStats]:
    counts = count_tile(counting, tile)
    parts = []
    for target, groups in zip(counting.targets, counts.sites, strict=True):
        code = target.modification.codes[0]
        for sites in groups:
            lines = zlib.compress(bedmethyl(tile.chrom, sites, code, counting.combine_strands), 1)
            parts.append(_Part(sites.positions, sites.modified, sites.valid, lines))
    return tile.chrom, parts, counts.stats


def bedmethyl(chrom: str, sites: SiteCounts, code: str, combined: bool) -> bytes:
    """Return the lines of sites, 18 columns: chromosome, start, end, code, valid calls, strand (``.`` for combined
    ones), start, end, colour, valid calls, percent modified, and the reads that call the modification, the canonical
    base, another modification, that have a deletion, whose call was not confident, that have another base, and
    that have the base but no call."""
    # Few sites have counts that no other has, so what follows from them is put in words once.
    known: dict[tuple[int, ...], tuple[str, str]] = {}
    lines = []
    for at, key in zip(
        sites.positions.tolist(), zip(sites.reverse.tolist(), *sites.counts.tolist(), strict=True), strict=True
    ):
        if key not in known:
            reverse, modified, canonical, other, *_ = key
            valid = modified + canonical + other
            strand = "." if combined else "-" if reverse else "+"
            numbers = "\t".join(map(str, key[1:]))
            known[key] = f"{code}\t{valid}\t{strand}", f"255,0,0\t{valid}\t{100 * modified / valid:.2f}\t{numbers}\n"
        middle, rest = known[key]
        span = f"{at}\t{at + 1}\t"
        lines.append(f"{chrom}\t{span}{middle}\t{span}{rest}")
    return "".join(lines).encode()


@dataclass(eq=False)
class _Output:
    """The files of one target and group; begun at the first valid call, because a bigWig without a value is none."""

    out: Path
    stem: str
    target: Target
    group: str
    chrom_sizes: Mapping[str, int]
    combined: bool
    sites: int = 0
    modified: int = 0
    valid: int = 0
    _files: tuple[Path, ...] = ()
    _writers: list[BigWigWriter] = field(default_factory=list)
    _chrom: str = ""
    _held: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)

    def add(self, finals: ExitStack, chrom: str, part: _Part) -> None:
        """Take what the next tile adds."""
        if not len(part.positions):
            return
        if not self._writers:
            self._begin(finals)
        if chrom != self._chrom:
            self._write(final=True)
            self._chrom = chrom
        self.sites += len(part.positions)
        self.modified += int(part.modified.sum(dtype=np.int64))
        self.valid += int(part.valid.sum(dtype=np.int64))
        self._held.append((part.positions, part.modified, part.valid))
        if sum(len(held[0]) for held in self._held) >= _PIECE:
            self._write(final=False)
        self._lines.write(zlib.decompress(part.lines))

    def close(self) -> None:
        """Make the files whole."""
        if not self._writers:
            return
        self._write(final=True)
        for writer in self._writers:
            writer.close()
        self._lines.close()
        try:
            with quiet():
                pysam.tabix_index(
                    str(self._table),
                    preset="bed",
                    force=True,
                    keep_original=True,
                    csi=self._index.suffix == ".csi",
                    index=str(self._index),
                )
        except (OSError, ValueError) as error:
            raise TracksError(f"cannot index {self._files[-1]}: {error}") from error

    def counted(self) -> Counted:
        """Say what was written."""
        return Counted(self.target, self.group, self._files, self.sites, self.modified, self.valid)

    def _begin(self, finals: ExitStack) -> None:
        bigwigs = [self.out / f"{self.stem}.{signal}.bw" for signal in SIGNALS]
        table = self.out / f"{self.stem}.bedmethyl.gz"
        self._files = (*bigwigs, table)
        # The stack closes files before it gives them their names, and the index comes to lie there after its table.
        suffix = ".csi" if max(self.chrom_sizes.values()) > BAI_MOST else ".tbi"
        self._index = finals.enter_context(written_beside(table.with_name(table.name + suffix)))
        self._table = finals.enter_context(written_beside(table))
        # Level 4: a third of the time, and a tenth larger.
        self._lines = pysam.BGZFile(str(self._table), "wb4", None)  # type: ignore[arg-type]
        finals.callback(self._lines.close)
        for path in bigwigs:
            writer = BigWigWriter(finals.enter_context(written_beside(path)), self.chrom_sizes, BASE_ZOOM)
            finals.callback(writer.abandon)
            self._writers.append(writer)

    def _write(self, final: bool) -> None:
        if not self._held:
            return
        positions, modified, valid = (np.concatenate(column) for column in zip(*self._held, strict=True))
        whole = len(positions) if final else len(positions) // _PIECE * _PIECE
        self._held = [] if final else [(positions[whole:], modified[whole:], valid[whole:])]
        for first in range(0, whole, _PIECE):
            piece = slice(first, min(first + _PIECE, whole))
            starts = positions[piece]
            fraction = modified[piece] / valid[piece]
            for writer, values in zip(self._writers, (modified[piece], valid[piece], fraction), strict=True):
                writer.add(self._chrom, starts, starts + 1, values.astype(np.float32))


def _nothing(counting: Counting, stats: ReadStats) -> TracksError:
    path = counting.alignments.path
    asked = ", ".join(dict.fromkeys(target.modification.name for target in counting.targets))
    if not stats.alignments and not stats.tagged:
        return UsageError(f"{path}: no read passes the filters and lies where it was looked")
    if not stats.tagged:
        return UsageError(
            f"{path}: none of {stats.alignments:,} reads has an MM tag, so no modified base is known. Such tags are "
            "written by dorado, guppy or megalodon (Nanopore) and by jasmine or ccs (PacBio); an aligner drops them "
            "unless told to keep them (samtools fastq -T '*' and minimap2 -y)"
        )
    wanted = {code for target in counting.targets for code in target.modification.codes}
    if not any(kind[2:] in wanted for kind in stats.codes):
        found = ", ".join(sorted(stats.codes)) or "nothing"
        return UsageError(f"{path}: its reads do not call {asked}; their MM tags call {found}")
    return UsageError(
        f"{path}: not one valid call of {asked} in these contexts; is {counting.fasta} the genome it was aligned to?"
    )


def _notes(counting: Counting, stats: ReadStats, outputs: Sequence[_Output]) -> Iterator[str]:
    if counting.alignments.note:
        yield counting.alignments.note
    of = f"of {stats.alignments:,} alignments"
    if stats.untagged:
        yield f"{stats.untagged:,} {of} have no MM tag and count nowhere"
    if stats.clipped:
        yield f"{stats.clipped:,} {of} are clipped without their calls (hard, no fitting MN tag), and count nowhere"
    if stats.damaged:
        yield f"{stats.damaged:,} {of} have damaged tags and count nowhere"
    if stats.other_haplotypes:
        yield f"{stats.other_haplotypes:,} {of} have a haplotype other than 1 and 2; they are in 'unphased'"
    for output in outputs:
        if not output.sites:
            yield f"{output.stem}: no valid call, so it has no files"
