"""Summaries of a chromosome's stored windows, as the zoom levels of a bigWig have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracks.grid import BIN, WINDOW
from tracks.virtual.layout import ZOOM
from tracks.window_summary import SUMMARY_PARTS

if TYPE_CHECKING:
    from tracks.store import WindowStore


def stored_records(store: WindowStore, length: int, column: int, level: int, over: range) -> np.ndarray:
    """Return summaries of one track of a chromosome of ``length`` bases, as ``Values.records`` has them, from what is
    stored now.

    A chromosome may end within a bin; the record that holds this bin gives it the weight of a whole one in its mean.
    """
    size = ZOOM * 4**level
    # The coarsest parts that records are made of; windows themselves are not: 114,688 is no power of two.
    parts = min(parts for parts in SUMMARY_PARTS if size % (WINDOW // parts) == 0)
    summary = store.summary(parts)
    joined = size // (WINDOW // parts)
    first, last = over.start * joined, over.stop * joined
    windows = slice(first // parts, -(-last // parts))

    def cells(each: np.ndarray) -> np.ndarray:
        """One statistic, float64 ``[records, joined]``; zero past the chromosome's end."""
        flat = each[windows, :, column].astype(np.float64).ravel()[first - windows.start * parts :][: last - first]
        return np.pad(flat, (0, last - first - len(flat))).reshape(len(over), joined)

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
