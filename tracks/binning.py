"""Runs to 128-bp bins: what each bin's covered bases add up to, and what Basenji's pooling modes make of that.

Bins are counted from any base, so that the grid and windows that lie off it are binned alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracks.bigwig_writer import cut
from tracks.grid import BIN
from tracks.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, eq=False)
class BinSums:
    """Of each bin: the bases that have a value (int64 ``[bins]``), and what these bases' values add up to
    (float64 ``[bins]``)."""

    covered: np.ndarray
    total: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Mean over the covered bases, float64 ``[bins]``; NaN where there is none."""
        with np.errstate(invalid="ignore"):
            mean: np.ndarray = self.total / self.covered
        return mean


def bin_sums(pieces: Iterable[Runs], origin: int, bins: int) -> BinSums:
    """Add runs up over ``bins`` bins from base ``origin`` on; what lies outside them is left out."""
    covered, total = np.zeros(bins), np.zeros(bins)
    for starts, ends, values in _from_origin(pieces, origin, bins):
        first, last = starts // BIN, (ends - 1) // BIN
        crossing = np.flatnonzero(first != last)
        lengths = ends - starts
        # Of a run that crosses an edge only the piece in its first bin is added here, and the others below.
        lengths[crossing] = (first[crossing] + 1) * BIN - starts[crossing]
        _add(first, lengths, values, covered, total)
        if len(crossing):
            rest = (first[crossing] + 1) * BIN
            owner, starts, ends = cut(rest, ends[crossing], BIN)
            _add(starts // BIN, ends - starts, values[crossing][owner], covered, total)
    return BinSums(covered.astype(np.int64), total)


def _from_origin(pieces: Iterable[Runs], origin: int, bins: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Starts, ends (int64, from ``origin`` on, inside the bins) and values (float32) of the runs that touch bins."""
    for runs in pieces:
        inside = slice(
            int(np.searchsorted(runs.ends, origin, "right")),
            int(np.searchsorted(runs.starts, origin + bins * BIN, "left")),
        )
        starts, ends = runs.starts[inside] - origin, runs.ends[inside] - origin
        if len(starts):
            starts[0], ends[-1] = max(starts[0], 0), min(ends[-1], bins * BIN)
            yield starts, ends, runs.values[inside]


def _add(at: np.ndarray, lengths: np.ndarray, values: np.ndarray, covered: np.ndarray, total: np.ndarray) -> None:
    low, count = int(at[0]), int(at[-1]) - int(at[0]) + 1
    within = at - low
    covered[low : low + count] += np.bincount(within, lengths, count)
    total[low : low + count] += np.bincount(within, lengths * values.astype(np.float64), count)


def bin_maxima(pieces: Iterable[Runs], origin: int, bins: int) -> np.ndarray:
    """Return the greatest value in each bin, float64 ``[bins]``; NaN where there is none."""
    maxima = np.full(bins, np.nan)
    for starts, ends, values in _from_origin(pieces, origin, bins):
        owner, starts, _ = cut(starts, ends, BIN)
        opens = np.flatnonzero(np.diff(starts // BIN, prepend=-1))
        at = starts[opens] // BIN
        maxima[at] = np.fmax(maxima[at], np.maximum.reduceat(values[owner], opens))
    return maxima


def bin_medians(pieces: Iterable[Runs], origin: int, bins: int) -> np.ndarray:
    """Return the median of each bin's covered bases, float64 ``[bins]``; NaN where there is none."""
    bases = np.full(bins * BIN, np.nan, np.float32)
    for starts, ends, values in _from_origin(pieces, origin, bins):
        lengths = ends - starts
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        bases[np.repeat(starts, lengths) + within] = np.repeat(values, lengths)
    # NaN sorts last, so the middle of the known ones is found without looking at each bin.
    ordered = np.sort(bases.reshape(bins, BIN), axis=1)
    known = np.isfinite(ordered).sum(axis=1)
    rows = np.arange(bins)
    lower, upper = ordered[rows, np.maximum(known - 1, 0) // 2], ordered[rows, np.minimum(known // 2, BIN - 1)]
    medians: np.ndarray = np.where(known > 0, (lower.astype(np.float64) + upper) / 2, np.nan)
    return medians


def peak_scores(means: np.ndarray) -> np.ndarray:
    """Return Basenji's pooling mode ``peak`` of bin means: the square root of four times the mean, from 0 to 1."""
    with np.errstate(invalid="ignore"):
        scores: np.ndarray = np.clip(np.sqrt(4 * means), 0, 1)
    return scores


def multiplied(first: Runs, second: Runs) -> Runs:
    """Return the product of two signals where both have a value."""
    edges = np.unique(np.concatenate([first.starts, first.ends, second.starts, second.ends]))
    starts, ends = edges[:-1], edges[1:]
    products, kept = np.ones(len(starts), np.float32), np.ones(len(starts), bool)
    for runs in (first, second):
        if not len(runs):
            return Runs.none()
        at = np.maximum(np.searchsorted(runs.starts, starts, "right") - 1, 0)
        kept &= (runs.starts[at] <= starts) & (starts < runs.ends[at])
        products *= runs.values[at]
    return Runs(starts[kept], ends[kept], products[kept])
