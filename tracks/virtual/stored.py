"""Summaries of a chromosome's stored windows, as the zoom levels of a bigWig have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracks.grid import BIN, WINDOW
from tracks.virtual.layout import LEVELS, ZOOM
from tracks.virtual.values import Totals
from tracks.window_summary import SUMMARY_PARTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracks.store import WindowStore
    from tracks.virtual.values import Summaries


def stored_records(store: WindowStore, length: int, column: int, level: int, over: range) -> np.ndarray:
    """Return summaries of one track of a chromosome of ``length`` bases, as ``Values.records`` has them, from what is
    stored now.

    A chromosome may end within a bin; the record that holds this bin gives it the weight of a whole one in its mean.
    """
    size = ZOOM * 4**level
    # The coarsest parts that records are made of; windows themselves are not: 114,688 is no power of two.
    parts = min(parts for parts in SUMMARY_PARTS if size % (WINDOW // parts) == 0)
    # Asked first: a window is known once its summaries are whole.
    known = store.known()
    summary = store.summary(parts)
    joined = size // (WINDOW // parts)
    first, last = over.start * joined, over.stop * joined
    windows = slice(first // parts, -(-last // parts))

    def cells(each: np.ndarray) -> np.ndarray:
        """One statistic, float64 ``[records, joined]``; zero past the chromosome's end."""
        known_ones = np.where(known[windows, None], each[windows, :, column], 0)
        there = known_ones.ravel()[first - windows.start * parts :][: last - first]
        flat = np.zeros(last - first)
        flat[: len(there)] = there
        return flat.reshape(len(over), joined)

    counts = cells(summary.counts)
    some = counts > 0
    bins = counts.sum(axis=1)
    starts = np.arange(over.start, over.stop, dtype=np.float64) * size
    bases = np.minimum(bins * BIN, np.minimum(starts + size, length) - starts)
    weight = np.divide(bases, bins, out=np.zeros_like(bases), where=bins > 0)
    least = np.where(some, cells(summary.least), np.inf).min(axis=1)
    most = np.where(some, cells(summary.most), -np.inf).max(axis=1)
    return np.stack(
        [bases, least, most, cells(summary.sums).sum(axis=1) * weight, cells(summary.squares).sum(axis=1) * weight]
    )


def stored_totals(values: Summaries, chrom_sizes: Mapping[str, int]) -> Totals:
    """Return what the known values of a track come to, from their coarsest summaries; zeros where nothing is known."""
    size = ZOOM * 4 ** (LEVELS - 1)
    of_chroms = [values.records(chrom, LEVELS - 1, range(-(-length // size))) for chrom, length in chrom_sizes.items()]
    records = np.concatenate(of_chroms, axis=1)
    bases, least, most, sums, squares = records[:, records[0] > 0]
    if not len(bases):
        return Totals(0, 0.0, 0.0, 0.0, 0.0)
    return Totals(int(bases.sum()), float(least.min()), float(most.max()), float(sums.sum()), float(squares.sum()))
