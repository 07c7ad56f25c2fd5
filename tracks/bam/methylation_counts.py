"""Count the modified-base calls of a stretch of the genome, read by read and site by site.

A site is a base of the reference in one of the contexts asked for, so that it has one strand. A read says something
of the sites of the strand that it was sequenced from (and of the other strand where its tags hold calls of that).
Every site of a tile is counted from all reads over it, so tiles of any size give the same counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tracks.bam.methylation_sites import LETTER_BITS
from tracks.bam.modified_bases import COMPLEMENT, letters, read_groups
from tracks.errors import TracksError
from tracks.genome import Genome
from tracks.regions import Region

if TYPE_CHECKING:
    from pathlib import Path

    import pysam

    from tracks.bam.alignments import Alignments, ReadFilter
    from tracks.bam.methylation_sites import Modification, Target
    from tracks.bam.modified_bases import Group

MODIFIED, CANONICAL, OTHER, DELETED, FAILED, DIFFERENT, NO_CALL = range(7)
"""What a read says of a site; the rows of counts, in the order of bedMethyl's columns 12 to 18."""
_NOTHING = 7
_STATES = 8

HAPLOTYPES = ("hap1", "hap2", "unphased")
"""Groups of reads by their HP tag: 1, 2, and everything else."""

# Not a position of any read, and still negative with any position of a chromosome added.
_DELETION, _SKIP = -(1 << 40), -(1 << 41)


@dataclass(frozen=True)
class Counting:
    """What is counted and from which reads; small, and safe to hand to another process."""

    alignments: Alignments
    fasta: Path
    targets: tuple[Target, ...]
    keep: ReadFilter
    threshold: int = 129
    drop_ambiguous: bool = False
    combine_strands: bool = False
    haplotypes: bool = False
    skip_damaged: bool = False

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of reads that are counted apart; the first, without a name, is all of them."""
        return ("", *HAPLOTYPES) if self.haplotypes else ("",)


@dataclass(frozen=True, eq=False)
class SiteCounts:
    """Sites with valid calls: ``positions`` int64 ``[n]``, ascending; ``reverse`` bool ``[n]``, on the reverse strand;
    ``counts`` int32 ``[7, n]``, by what reads say of them (``MODIFIED`` and so on)."""

    positions: np.ndarray
    reverse: np.ndarray
    counts: np.ndarray

    @property
    def modified(self) -> np.ndarray:
        """Reads that call the modification, int32 ``[n]``."""
        modified: np.ndarray = self.counts[MODIFIED]
        return modified

    @property
    def valid(self) -> np.ndarray:
        """Reads with a valid call, int32 ``[n]``: modified, otherwise modified or canonical; more than 0."""
        valid: np.ndarray = self.counts[[MODIFIED, CANONICAL, OTHER]].sum(axis=0, dtype=np.int32)
        return valid


@dataclass
class ReadStats:
    """What was met in the reads of a tile; alignments count where they start."""

    alignments: int = 0
    untagged: int = 0
    clipped: int = 0
    damaged: int = 0
    other_haplotypes: int = 0
    tagged: bool = False
    codes: set[str] = field(default_factory=set)
    """The kinds of calls that the tags hold, such as ``C+m``."""

    def add(self, more: ReadStats) -> None:
        """Add those of another tile."""
        self.alignments += more.alignments
        self.untagged += more.untagged
        self.clipped += more.clipped
        self.damaged += more.damaged
        self.other_haplotypes += more.other_haplotypes
        self.tagged |= more.tagged
        self.codes |= more.codes


@dataclass(frozen=True, eq=False)
class TileCounts:
    """The counts of a tile: ``sites[target][group]``, in the order of ``Counting.targets`` and ``.groups``."""

    tile: Region
    sites: tuple[tuple[SiteCounts, ...], ...]
    stats: ReadStats


@dataclass(frozen=True, eq=False)
class _Sites:
    """The sites of a target and strand in a tile, and their counts int32 ``[groups, states, n]``."""

    target: Target
    strand: str
    around: list[tuple[int, int]]
    positions: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True, eq=False)
class _Read:
    """An alignment as the sites see it: ``query`` int64 ``[end - start]`` is the place in SEQ of each reference base
    from ``start`` on, negative where the read has none (``_DELETION`` or ``_SKIP`` and below it)."""

    start: int
    query: np.ndarray
    letters: np.ndarray
    bits: np.ndarray
    reverse: bool
    groups: list[Group]


def count_tile(counting: Counting, tile: Region) -> TileCounts:
    """Count a tile. With strands combined, a tile's sites are those whose forward-strand base lies in it.

    Raises TracksError for a file that cannot be read, and for a read whose tags are damaged, unless those are left
    out.
    """
    margin = max(len(target.context.motif) for target in counting.targets)
    shifts = [(target.context.partner or 0) if counting.combine_strands else 0 for target in counting.targets]
    before, after = max(0, *(-shift for shift in shifts)), max(0, *shifts)
    start, end = tile.start - before, tile.end + after
    with Genome(counting.fasta) as genome:
        codes = genome.codes(tile.chrom, start - margin, end + margin)
        length = genome.chrom_sizes[tile.chrom]
    sites: dict[str, list[_Sites]] = {"+": [], "-": []}
    for target, shift in zip(counting.targets, shifts, strict=True):
        for strand, moved in (("+", 0), ("-", shift)):
            positions = target.context.sites(codes, margin, strand) + start
            first, last = np.searchsorted(positions, [tile.start + moved, tile.end + moved])
            positions = positions[first:last]
            counts = np.zeros((len(counting.groups), _STATES, len(positions)), np.int32)
            sites[strand].append(_Sites(target, strand, target.context.letters(strand), positions, counts))
    stats = ReadStats()
    # A motif at the very start of a chromosome can have its other strand's site before it, where no read is.
    wide = Region(tile.chrom, max(start, 0), min(end, length))
    with counting.alignments.open(counting.fasta) as handle:
        for read in counting.alignments.reads(handle, wide):
            if counting.keep.keeps(read):
                _count_read(counting, tile, wide, read, sites, stats, margin)
    return TileCounts(
        tile,
        tuple(
            tuple(_collect(forward, backward, at, counting.combine_strands) for at in range(len(counting.groups)))
            for forward, backward in zip(sites["+"], sites["-"], strict=True)
        ),
        stats,
    )


def _count_read(
    counting: Counting,
    tile: Region,
    wide: Region,
    read: pysam.AlignedSegment,
    sites: dict[str, list[_Sites]],
    stats: ReadStats,
    margin: int,
) -> None:
    starts_here = tile.start <= read.reference_start < tile.end
    stats.alignments += starts_here
    sequence = read.query_sequence
    try:
        groups = read_groups(read)
        if groups is None:
            stats.untagged += starts_here
            return
        stats.tagged = True
        stats.codes.update(group.base + group.strand + code for group in groups for code in group.codes)
        if sequence is None or not read.cigarstring or not _whole(read, len(sequence)):
            stats.clipped += starts_here
            return
        haplotype = _haplotype(read) if counting.haplotypes else 0
        aligned = _align(read, sequence, groups, margin, wide)
        # All are decoded before the first is counted, so that a damaged read counts nowhere.
        modifications = {target.modification.name: target.modification for target in counting.targets}
        calls = {
            (name, strand): _calls(aligned, modification, strand)
            for name, modification in modifications.items()
            for strand in "+-"
        }
    except ValueError as error:
        if not counting.skip_damaged:
            place = f"{tile.chrom}:{read.reference_start + 1:,}"
            raise TracksError(
                f"{counting.alignments.path}: read {read.query_name} at {place} is damaged: {error}; "
                "to leave such reads out, use --skip-damaged"
            ) from error
        stats.damaged += starts_here
        return
    members = [0]
    if counting.haplotypes:
        members.append(haplotype if haplotype in (1, 2) else 3)
        stats.other_haplotypes += starts_here and haplotype not in (0, 1, 2)
    own = "-" if read.is_reverse else "+"
    for strand, entries in sites.items():
        for entry in entries:
            called = calls[entry.target.modification.name, strand]
            if called is not None or strand == own:
                _count(counting, entry, aligned, called, members, margin)


def _haplotype(read: pysam.AlignedSegment) -> int:
    """The read's HP tag, 0 without one. Raises ValueError where it is no whole number."""
    haplotype = read.get_tag("HP") if read.has_tag("HP") else 0
    if not isinstance(haplotype, int):
        raise ValueError(f"its HP tag should be a whole number, found {haplotype!r}")
    return haplotype


def _whole(read: pysam.AlignedSegment, length: int) -> bool:
    """Say whether the tags are of the sequence as it is here: aligners that clip hard leave MM as it was."""
    if read.has_tag("MN"):
        return bool(read.get_tag("MN") == length)
    return "H" not in (read.cigarstring or "")


# By operation letter (SAM specification, section 1.4).
_ON_QUERY, _ON_REFERENCE = np.zeros((2, 128), bool)
_ON_QUERY[list(b"MIS=X")] = True
_ON_REFERENCE[list(b"MDN=X")] = True
_COMMAS = bytes(ord(",") if chr(byte) in "MIDNSHP=X" else byte for byte in range(256))


def _align(read: pysam.AlignedSegment, sequence: str, groups: list[Group], margin: int, wide: Region) -> _Read:
    # The text is read, because a list of hundreds of tuples takes longer to make than all the rest.
    cigar = str(read.cigarstring).encode()
    ops = np.frombuffer(cigar.translate(None, b"0123456789"), np.uint8)
    lengths = np.fromstring(cigar.translate(_COMMAS), np.int64, len(ops), sep=",")
    on_query, on_reference = _ON_QUERY[ops], _ON_REFERENCE[ops]
    query = np.cumsum(lengths * on_query) - lengths * on_query
    reference = np.cumsum(lengths * on_reference) - lengths * on_reference
    shift = np.where(on_query, query - reference, np.where(ops == ord("N"), _SKIP, _DELETION))
    # Only the part in the tile, for a read can skip half a chromosome.
    first = reference[on_reference] + read.reference_start
    inside = np.clip([first, first + lengths[on_reference]], wide.start, wide.end)
    start = int(np.clip(read.reference_start, wide.start, wide.end))
    there = np.repeat(shift[on_reference], inside[1] - inside[0])
    there += np.arange(len(there)) + (start - read.reference_start)
    seq = letters(sequence)
    bits = np.zeros(len(seq) + 2 * margin, np.uint8)
    bits[margin : margin + len(seq)] = LETTER_BITS[seq]
    return _Read(start, there, seq, bits, read.is_reverse, groups)


@dataclass(frozen=True, eq=False)
class _Called:
    """Calls of one modification by place in SEQ, int16 ``[length]``: its byte (-1: no call), the greatest byte of
    other modifications of the base, and the sum of all of them. ``implicit``: every other base was called canonical."""

    own: np.ndarray
    other: np.ndarray
    total: np.ndarray
    implicit: bool


def _calls(read: _Read, modification: Modification, strand: str) -> _Called | None:
    """Gather the calls of a modification on a strand of the genome; None where the tags hold no group of it."""
    here = [
        group
        for group in read.groups
        if (group.base if group.strand == "+" else COMPLEMENT[group.base]) in (modification.base, "N")
        and ((group.strand == "-") != read.reverse) == (strand == "-")
    ]
    if not any(code in modification.codes for group in here for code in group.codes):
        return None
    own = np.full(len(read.letters), -1, np.int16)
    other = np.full(len(read.letters), -1, np.int16)
    total = np.zeros(len(read.letters), np.int16)
    implicit = False
    for group in here:
        positions = group.positions(read.letters, read.reverse)
        for at, code in enumerate(group.codes):
            byte = group.likelihoods[:, at].astype(np.int16)
            mine = code in modification.codes
            implicit |= mine and group.implicit
            values = own if mine else other
            values[positions] = np.maximum(values[positions], byte)
            total[positions] += byte
    return _Called(own, other, total, implicit)


def _count(
    counting: Counting, sites: _Sites, read: _Read, calls: _Called | None, members: list[int], margin: int
) -> None:
    first, last = np.searchsorted(sites.positions, [read.start, read.start + len(read.query)])
    if first == last:
        return
    query = read.query[sites.positions[first:last] - read.start]
    state = np.full(len(query), NO_CALL)
    # Clipped for the sake of the look-ups; what is no base is told apart last.
    at = np.maximum(query, 0)
    fits = None
    for right, allowed in sites.around:
        good = read.bits[at + (margin + right)] & allowed != 0
        if fits is None:
            state[~good] = DIFFERENT
            fits = good
        else:
            fits &= good
    if calls is not None:
        own, other = calls.own[at], calls.other[at]
        known = fits if calls.implicit else fits & (own >= 0)
        state[known] = CANONICAL
        if counting.drop_ambiguous:
            # Byte N is [N/256, (N + 1)/256), so the canonical base has the rest of 255.
            state[known & (255 - calls.total[at] < counting.threshold)] = FAILED
        state[known & (other >= counting.threshold)] = OTHER
        state[known & (own >= counting.threshold)] = MODIFIED
    state[query < 0] = DELETED
    state[query < _DELETION] = _NOTHING
    places = state * len(sites.positions) + np.arange(first, last)
    for member in members:
        sites.counts[member].reshape(-1)[places] += 1


def _collect(forward: _Sites, backward: _Sites, group: int, combine: bool) -> SiteCounts:
    if combine:
        # The motif is its own reverse complement: both strands have the same sites, a step apart.
        positions, reverse = forward.positions, np.zeros(len(forward.positions), bool)
        counts = forward.counts[group] + backward.counts[group]
    else:
        positions = np.concatenate([forward.positions, backward.positions])
        reverse = np.repeat([False, True], [len(forward.positions), len(backward.positions)])
        counts = np.concatenate([forward.counts[group], backward.counts[group]], axis=1)
    there = np.flatnonzero(counts[[MODIFIED, CANONICAL, OTHER]].any(axis=0))
    there = there[np.argsort(positions[there], kind="stable")]
    return SiteCounts(positions[there], reverse[there], counts[:_NOTHING, there])
