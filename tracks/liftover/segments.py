"""A line cut into segments wherever an interval starts or ends: how many intervals hold each, and which one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

_BEFORE = np.iinfo(np.int64).min
_BUCKETS = 4
"""Buckets of the line for each segment, so that most hold no edge."""


@dataclass(frozen=True, eq=False)
class Segments:
    """Segments of the whole line by start; the first begins before everything, the last has no end.

    ``edges`` int64 ``[n]`` is where each starts, ``depth`` int64 ``[n]`` how many of the intervals hold it, and
    ``which`` int64 ``[n]`` the interval that holds it where that is only one, else -1.
    """

    edges: np.ndarray
    depth: np.ndarray
    which: np.ndarray

    @classmethod
    def of(cls, starts: np.ndarray, ends: np.ndarray) -> Segments:
        """Cut at the edges of intervals ``[start, end)``, int64 ``[n]`` each, in any order; empty ones do not count."""
        places = np.concatenate([starts, ends])
        order = np.argsort(places, kind="stable")
        opens = np.diff(places[order], prepend=_BEFORE) != 0
        edges = places[order][opens]
        last = np.append(np.flatnonzero(opens)[1:], len(places)) - 1
        step = np.repeat([1, -1], len(starts))
        number = np.tile(np.arange(len(starts)), 2) * step
        # The numbers of the intervals that hold a segment add up to the number of the one, where it is one.
        depth, total = np.cumsum(step[order])[last[: len(edges)]], np.cumsum(number[order])[last[: len(edges)]]
        return cls(
            np.concatenate([[_BEFORE], edges]),
            np.concatenate([[0], depth]),
            np.concatenate([[-1], np.where(depth == 1, total, -1)]),
        )

    @cached_property
    def _buckets(self) -> tuple[int, np.ndarray]:
        """A power of two, and the segment where each bucket of so many bases starts, and where all of them end."""
        last = int(self.edges[-1]) if len(self.edges) > 1 else 0
        power = max((last // (_BUCKETS * len(self.edges))).bit_length(), 0)
        starts = np.arange((last >> power) + 2, dtype=np.int64) << power
        return power, np.searchsorted(self.edges, starts, "right") - 1

    def at(self, positions: np.ndarray) -> np.ndarray:
        """Return the segment of each position (int64 ``[n]``, from 0 on), int64 ``[n]``."""
        # Most buckets lie in one segment, so that few positions have to be searched for: twice as fast as to search
        # for all, where they come in no order.
        power, table = self._buckets
        bucket = np.minimum(positions >> power, len(table) - 2)
        found: np.ndarray = table[bucket]
        unsure = np.flatnonzero(found != table[bucket + 1])
        found[unsure] = np.searchsorted(self.edges, positions[unsure], "right") - 1
        return found

    def cut(self, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Cut intervals at the edges: which interval each piece is of, its start and end, and its segment (int64).

        Pieces come by interval and, within one, by start. Intervals hold at least one base each.
        """
        first = self.at(starts)
        pieces = np.searchsorted(self.edges, ends, "left") - first
        of = np.repeat(np.arange(len(starts)), pieces)
        segment = first[of] + np.arange(len(of)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        after = self.edges[np.minimum(segment + 1, len(self.edges) - 1)]
        after[segment + 1 == len(self.edges)] = np.iinfo(np.int64).max
        return of, np.maximum(starts[of], self.edges[segment]), np.minimum(ends[of], after), segment
