"""Points and intervals of one genome build in another, through one chain file or several in a row.

Positions are int64, 0-based, intervals half-open, all on forward strands. A base lifts where exactly one block of the
chains holds it. One that no block holds is *unmapped*; one that blocks of several chains hold is *multi-mapped*, and
lifts nowhere: which copy is meant is unknown. Bases of a target that several source bases lift to *collide*.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from tracks.chroms import match_chroms
from tracks.errors import UsageError
from tracks.liftover.segments import Segments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracks.liftover.chains import Chains

REASONS = ("unmapped", "multi-mapped", "collides", "left-out")
"""Why a base has no place. Left out: it lands on a chromosome that is not to be written."""
UNMAPPED, MULTI_MAPPED, COLLIDES, LEFT_OUT = range(len(REASONS))


@dataclass(frozen=True, eq=False)
class Route:
    """Chains to go through in a row. ``links[k]`` maps the target chromosomes of step ``k`` (by number) to the names
    that step ``k + 1`` has for them, None where it lacks them. ``notes`` say where names differ."""

    steps: tuple[Chains, ...]
    links: tuple[tuple[str | None, ...], ...]
    notes: tuple[str, ...]

    @classmethod
    def through(cls, steps: Sequence[Chains]) -> Self:
        """Join chains. Raises UsageError when one does not go on from the build where the last one ended."""
        if not steps:
            raise UsageError("a liftover needs a chain file")
        links, notes = [], []
        for first, second in itertools.pairwise(steps):
            names = match_chroms(first.target_sizes, second.source_sizes, f"the target of {first.name}")
            links.append(tuple(names.of_file.get(chrom) for chrom in first.target_sizes))
            notes += [names.note] if names.note else []
        return cls(tuple(steps), tuple(links), tuple(notes))

    @property
    def source_sizes(self) -> dict[str, int]:
        """Lengths of the chromosomes that one lifts from."""
        return self.steps[0].source_sizes

    @property
    def target_sizes(self) -> dict[str, int]:
        """Lengths of the chromosomes that one lifts to; targets are numbered in this order."""
        return self.steps[-1].target_sizes


@dataclass(frozen=True, eq=False)
class Points:
    """Lifted positions: ``targets`` int32 ``[n]`` (which of the target chromosomes) and ``positions`` int64 ``[n]``,
    -1 where there is not one place; ``reverse`` bool ``[n]``: on the other strand now; ``hits`` int64 ``[n]``: places
    that the first chain file without exactly one has (0 unmapped, 2 or more multi-mapped), else 1."""

    targets: np.ndarray
    positions: np.ndarray
    reverse: np.ndarray
    hits: np.ndarray


def lift_points(route: Route, chrom: str, positions: np.ndarray) -> Points:
    """Lift positions of one chromosome, in any order. A chromosome that the chains lack is unmapped."""
    count = len(positions)
    found = _step_points(route.steps[0], chrom, positions)
    for step, names in zip(route.steps[1:], route.links, strict=True):
        targets, placed = np.full(count, -1, np.int32), np.full(count, -1, np.int64)
        reverse, hits = np.zeros(count, bool), np.where(found.hits == 1, 0, found.hits)
        for number in np.unique(found.targets[found.targets >= 0]).tolist():
            here = np.flatnonzero(found.targets == number)
            next_chrom = names[number]
            if next_chrom is not None:
                onward = _step_points(step, next_chrom, found.positions[here])
                targets[here], placed[here], hits[here] = onward.targets, onward.positions, onward.hits
                reverse[here] = (found.reverse[here] ^ onward.reverse) & (onward.hits == 1)
        found = Points(targets, placed, reverse, hits)
    return found


def _step_points(chains: Chains, chrom: str, positions: np.ndarray) -> Points:
    blocks = chains.blocks.get(chrom)
    if blocks is None:
        missing = np.full(len(positions), -1, np.int64)
        return Points(missing.astype(np.int32), missing, missing > 0, missing + 1)
    # Per segment first, because there are far fewer of them than points: where base 0 would lie, and which way on.
    # Segments without one block read block -1, the last, and are masked after.
    which = blocks.segments.which
    one, reverse = which >= 0, blocks.reverse[which]
    starts, ends, target_starts = blocks.starts[which], blocks.ends[which], blocks.target_starts[which]
    way = np.where(reverse, -1, 1) * one
    origin = np.where(one, np.where(reverse, target_starts + ends - 1, target_starts - starts), -1)
    at = blocks.segments.at(positions)
    return Points(
        np.where(one, blocks.targets[which], np.int32(-1))[at],
        origin[at] + way[at] * positions,
        (one & reverse)[at],
        blocks.segments.depth[at],
    )


@dataclass(frozen=True, eq=False)
class Places:
    """Every place of positions: ``of`` int64 ``[n]`` (which position), target, position and strand as in ``Points``,
    ``scores`` int64 ``[n]`` of the chains. By position, the best score first."""

    of: np.ndarray
    targets: np.ndarray
    positions: np.ndarray
    reverse: np.ndarray
    scores: np.ndarray


def all_places(chains: Chains, chrom: str, positions: np.ndarray) -> Places:
    """Return every place that one chain file has for positions of one chromosome: none, one or several each."""
    blocks = chains.blocks.get(chrom)
    if blocks is None:
        none = np.empty(0, np.int64)
        return Places(none, none.astype(np.int32), none, none > 0, none)
    # Those that may hold a position: from the first block that reaches past it on, until one starts after it.
    reach = np.maximum.accumulate(blocks.ends)
    first = np.searchsorted(reach, positions, "right")
    counts = np.maximum(np.searchsorted(blocks.starts, positions, "right") - first, 0)
    of = np.repeat(np.arange(len(positions)), counts)
    block = first[of] + np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
    held = positions[of] < blocks.ends[block]
    of, block = of[held], block[held]
    order = np.lexsort((-blocks.scores[block], of))
    of, block = of[order], block[order]
    offset = positions[of] - blocks.starts[block]
    reverse = blocks.reverse[block]
    from_end = blocks.ends[block] - 1 - positions[of]
    placed = blocks.target_starts[block] + np.where(reverse, from_end, offset)
    return Places(of, blocks.targets[block], placed, reverse, blocks.scores[block])


@dataclass(frozen=True, eq=False)
class Pieces:
    """Parts of intervals with their places, whole stretches base by base.

    ``of`` int64 ``[n]``: which interval; ``source_starts`` and ``source_ends`` int64 ``[n]`` there; ``targets`` int32
    ``[n]``, ``starts`` and ``ends`` int64 ``[n]``: chromosome and place; ``reverse`` bool ``[n]``.
    """

    of: np.ndarray
    source_starts: np.ndarray
    source_ends: np.ndarray
    targets: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    reverse: np.ndarray

    def __len__(self) -> int:
        return len(self.of)

    def __getitem__(self, chosen: np.ndarray | slice) -> Pieces:
        return Pieces(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    @classmethod
    def joined(cls, parts: Sequence[Pieces]) -> Pieces:
        """Put pieces of the same intervals together."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__))

    def parts(self, of: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> Pieces:
        """Return parts of pieces: ``of`` says of which piece, ``starts`` and ``ends`` where on its target."""
        whole = self[of]
        before = np.where(whole.reverse, whole.ends - ends, starts - whole.starts)
        source_starts = whole.source_starts + before
        return Pieces(
            whole.of, source_starts, source_starts + (ends - starts), whole.targets, starts, ends, whole.reverse
        )


@dataclass(frozen=True, eq=False)
class Lost:
    """Parts of intervals without a place: ``of``, ``starts``, ``ends`` int64 ``[n]`` on the source, and ``reasons``
    int64 ``[n]``, numbers of ``REASONS``."""

    of: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    reasons: np.ndarray

    def __len__(self) -> int:
        return len(self.of)

    @classmethod
    def joined(cls, parts: Sequence[Lost]) -> Lost:
        """Put lost parts together; those of one interval and reason that follow one another directly become one."""
        columns = [np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__]
        order = np.lexsort((columns[1], columns[3], columns[0]))
        of, starts, ends, reasons = (column[order] for column in columns)
        first = np.ones(len(of), bool)
        first[1:] = (of[1:] != of[:-1]) | (reasons[1:] != reasons[:-1]) | (starts[1:] != ends[:-1])
        last = np.append(first[1:], True)[: len(first)]
        return cls(of[first], starts[first], ends[last], reasons[first])


def lift_intervals(route: Route, chrom: str, starts: np.ndarray, ends: np.ndarray) -> tuple[Pieces, Lost]:
    """Lift intervals of one chromosome, int64 ``[n]`` each, of at least one base; they may overlap.

    Each is cut wherever a block of the chains starts or ends, so that a piece lies on one block and lifts whole. Every
    base is in exactly one piece or lost part. ``merged`` puts pieces that touch again together.
    """
    numbers = np.arange(len(starts))
    # Before the first step an interval is a piece of itself; its one chromosome needs no number.
    pieces = Pieces(numbers, starts, ends, numbers * 0, starts, ends, numbers < 0)
    lost: list[Lost] = []
    names: tuple[str | None, ...] = (chrom,)
    for step, onward in zip(route.steps, (*route.links, ()), strict=True):
        parts = []
        for number in np.unique(pieces.targets).tolist():
            lifted, failed = _step_intervals(step, names[number], pieces[pieces.targets == number])
            parts.append(lifted)
            lost.append(failed)
        pieces = Pieces.joined(parts) if parts else pieces
        names = onward
    return pieces[np.argsort(pieces.of, kind="stable")], Lost.joined(lost or [Lost(*([numbers] * 4))])


def _step_intervals(chains: Chains, chrom: str | None, pieces: Pieces) -> tuple[Pieces, Lost]:
    blocks = chains.blocks.get(chrom) if chrom is not None else None
    if blocks is None:
        reasons = np.full(len(pieces), UNMAPPED)
        return pieces[:0], Lost(pieces.of, pieces.source_starts, pieces.source_ends, reasons)
    of, starts, ends, segment = blocks.segments.cut(pieces.starts, pieces.ends)
    parts = pieces.parts(of, starts, ends)
    depth, block = blocks.segments.depth[segment], blocks.segments.which[segment]
    gone = parts[depth != 1]
    reasons = np.where(depth[depth != 1] == 0, UNMAPPED, MULTI_MAPPED)
    lost = Lost(gone.of, gone.source_starts, gone.source_ends, reasons)
    parts, block = parts[depth == 1], block[depth == 1]
    reverse = blocks.reverse[block]
    before = np.where(reverse, blocks.ends[block] - parts.ends, parts.starts - blocks.starts[block])
    placed = blocks.target_starts[block] + before
    lifted = Pieces(
        parts.of,
        parts.source_starts,
        parts.source_ends,
        blocks.targets[block],
        placed,
        placed + (parts.ends - parts.starts),
        parts.reverse ^ reverse,
    )
    return lifted, lost


def merge_plan(pieces: Pieces, join: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return an order of pieces (by interval, target, strand and start) and, in that order, the places int64 ``[m]``
    where a stretch starts: pieces of one interval that touch on one target strand are one stretch, and those that lie
    at most ``join`` bases apart."""
    order = np.lexsort((pieces.starts, pieces.reverse, pieces.targets, pieces.of))
    ordered = pieces[order]
    opens = np.ones(len(ordered), bool)
    gaps = ordered.starts[1:] - ordered.ends[:-1]
    opens[1:] = (gaps < 0) | (gaps > join)
    for name in ("of", "targets", "reverse"):
        column = getattr(ordered, name)
        opens[1:] |= column[1:] != column[:-1]
    return order, np.flatnonzero(opens)


def merged(pieces: Pieces) -> Pieces:
    """Put pieces of one interval together that touch on one target strand, as where the source alone has a gap.

    A stretch's source span is from its first base to its last, bases that were lost between them included.
    """
    order, first = merge_plan(pieces)
    if not len(first):
        return pieces
    ordered = pieces[order]
    last = np.append(first[1:], len(order)) - 1
    return Pieces(
        ordered.of[first],
        np.minimum.reduceat(ordered.source_starts, first),
        np.maximum.reduceat(ordered.source_ends, first),
        ordered.targets[first],
        ordered.starts[first],
        ordered.ends[last],
        ordered.reverse[first],
    )


def collisions(sources: np.ndarray, pieces: Pieces) -> tuple[np.ndarray, np.ndarray]:
    """Return the stretches of one target chromosome that more than one source base lifts to: starts and ends, int64
    ``[m]``, by start, disjoint.

    ``pieces`` lie on one target; ``sources`` int ``[n]`` numbers the chromosome that each comes from. Pieces that hold
    the same source base (of intervals that overlap, or the same one twice) do not collide.
    """
    none = np.empty(0, np.int64)
    order = np.argsort(pieces.starts, kind="stable")
    if (pieces.starts[order][1:] >= np.maximum.accumulate(pieces.ends[order])[:-1]).all():
        return none, none
    # Two pieces agree where they are of one chromosome and strand and equally far from it: on a diagonal.
    diagonal = np.where(pieces.reverse, pieces.starts + pieces.source_ends, pieces.starts - pieces.source_starts)
    order = np.lexsort((pieces.starts, diagonal, pieces.reverse, sources))
    starts, ends = pieces.starts[order], pieces.ends[order]
    opens = np.ones(len(order), bool)
    opens[1:] = False
    for column in (diagonal, pieces.reverse, sources):
        opens[1:] |= column[order][1:] != column[order][:-1]
    # The reach of earlier pieces of the same diagonal: the running maximum, kept apart by adding the diagonal's rank.
    far = int(ends.max()) + 1
    rank = np.cumsum(opens) - 1
    reach = np.maximum.accumulate(ends + rank * far)
    opens[1:] |= starts[1:] + rank[1:] * far > reach[:-1]
    first = np.flatnonzero(opens)
    last = np.append(first[1:], len(order)) - 1
    segments = Segments.of(starts[first], reach[last] - rank[last] * far)
    deep = np.flatnonzero(segments.depth > 1)
    if not len(deep):
        return none, none
    starts, ends = segments.edges[deep], segments.edges[deep + 1]
    opens = np.append(True, starts[1:] > ends[:-1])
    return starts[opens], ends[np.append(opens[1:], True)]
