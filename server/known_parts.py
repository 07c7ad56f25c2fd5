"""What is known of windows, cut into equal parts: their means, and why the rest has none. Pure functions."""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from server.binning import Steps, sums
from tracks.grid import BIN, WINDOW

if TYPE_CHECKING:
    from collections.abc import Sequence

REASONS = ("", "queued", "computing", "failed", "too wide", "no sequence", "too little sequence", "not in view")
"""Why a bin has no value; the first is for bins that have one, or lie past the genome's end."""
QUEUED, COMPUTING, FAILED, TOO_WIDE, NO_SEQUENCE, TOO_LITTLE, NOT_IN_VIEW = range(1, len(REASONS))


@dataclass(frozen=True, eq=False)
class Parts:
    """Parts of windows, ``[n]`` each: where they lie on the axis (``starts``, ``ends``, float64), how many 128-bp bins
    they hold (``bins``), how many of those have sequence (``sequence``) and a value (``counts``), the values' sum
    (``totals``), and which reason holds for bins with sequence that lack a value (``reason``, uint8)."""

    starts: np.ndarray
    ends: np.ndarray
    bins: np.ndarray
    sequence: np.ndarray
    counts: np.ndarray
    totals: np.ndarray
    reason: np.ndarray

    def signal(self) -> Steps:
        """Return the parts' means, where they have a value."""
        there = self.counts > 0
        starts, ends, counts = self.starts[there], self.ends[there], self.counts[there]
        return Steps(starts, ends, self.totals[there] / counts, np.minimum(counts * BIN, ends - starts))

    def reasons(self, edges: np.ndarray, blank: np.ndarray) -> np.ndarray:
        """Return the reason that holds for most of each blank bin between ``edges``, else 0: uint8."""
        amounts = np.zeros((len(REASONS), len(blank)))
        if not blank.any():
            return np.zeros(len(blank), np.uint8)
        lacking, empty = self.sequence - self.counts, self.bins - self.sequence
        codes = np.unique(self.reason[lacking > 0]).tolist()
        shares = [(code, (lacking > 0) & (self.reason == code), lacking) for code in codes]
        for code, there, amount in (*shares, (NO_SEQUENCE, empty > 0, empty)):
            if there.any():
                part = Steps(self.starts[there], self.ends[there], amount[there], amount[there])
                amounts[code] += sums(part, edges)[1]
        found: np.ndarray = np.where(blank & (amounts.max(axis=0) > 0), amounts.argmax(axis=0), 0)
        return found.astype(np.uint8)


def joined(stretches: Sequence[Parts]) -> Parts:
    """Return stretches end to end; without any, no parts."""
    if not stretches:
        nothing = np.zeros(0)
        return Parts(nothing, nothing, nothing, nothing, nothing, nothing, np.zeros(0, np.uint8))
    return Parts(*(np.concatenate([getattr(each, field.name) for each in stretches]) for field in fields(Parts)))


@functools.lru_cache(64)
def places(offset: int, length: int, over: range, parts: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where the parts of a chromosome's windows lie on the axis, cut at its end, and the bins that each holds:
    starts, ends and bins, float64 ``[n]``."""
    width = WINDOW // parts
    edges = np.minimum(over.start * WINDOW + width * np.arange(len(over) * parts + 1, dtype=np.float64), length)
    return edges[:-1] + offset, edges[1:] + offset, -(-np.diff(edges) // BIN)


def runs(codes: np.ndarray) -> list[tuple[int, int, str]]:
    """Return (first, end, reason) of each run of one code other than 0."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(codes)) + 1, [len(codes)]])
    spans = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    return [(first, end, REASONS[codes[first]]) for first, end in spans if codes[first]]
