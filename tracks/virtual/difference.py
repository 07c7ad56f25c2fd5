"""Predicted minus observed, as a virtual bigWig's zoom levels say it: summaries of the windows that are known so far.

Records of up to 4,096 bases are summed from the bins themselves. Coarser ones, of which one answer holds a whole
chromosome, are put together from what each known window came to in seven parts: that is made once and kept.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from tracks.grid import BIN, BINS, WINDOW, window_count
from tracks.virtual.layout import ZOOM

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PARTS = 7
_PART = WINDOW // _PARTS
"""Bases of the largest part of a window that is a whole fraction of coarser records."""
_NOTHING = np.array([0, np.inf, -np.inf, 0, 0])[:, None, None]
"""What no value comes to: bases, least, most, sum and sum of squares."""


class DifferenceSummaries:
    """Predicted minus observed of one track: ``Summaries``, safe for several threads where what it is given is.

    ``known`` says which windows of a chromosome are predicted now, bool ``[windows]``; ``known_window`` returns one of
    those, float32 ``[896]`` with NaN, or None where it is gone meanwhile; ``observed_bins`` what was observed there.
    What a window came to is kept, so it may not change: 140 bytes a window, 4 MB for all of hg38.
    """

    def __init__(
        self,
        chrom_sizes: Mapping[str, int],
        known_window: Callable[[str, int], np.ndarray | None],
        known: Callable[[str], np.ndarray],
        observed_bins: Callable[[str, int], np.ndarray],
    ) -> None:
        self._chrom_sizes = chrom_sizes
        self._known_window, self._known, self._observed_bins = known_window, known, observed_bins
        self._kept = {chrom: _Kept(window_count(length)) for chrom, length in chrom_sizes.items()}

    def records(self, chrom: str, level: int, over: range) -> np.ndarray:
        """Return summaries of stretches of ``1,024 * 4 ** level`` bases, as ``Values.records`` has them, of the windows
        that are known now. Of a bin that the chromosome ends in, the bases that are there count."""
        size = ZOOM * 4**level
        part = min(size, _PART)
        parts, joined = WINDOW // part, size // part
        first, last = over.start * size // WINDOW, -(-over.stop * size // WINDOW)
        cells = np.tile(_NOTHING, (1, last - first, parts))
        for at in np.flatnonzero(self._known(chrom)[first:last]).tolist():
            summary = self._coarse(chrom, first + at) if part == _PART else self._summary(chrom, first + at, parts)
            if summary is not None:
                cells[:, at] = summary
        begin = over.start * joined - first * parts
        cells = cells.reshape(5, -1)[:, begin : begin + len(over) * joined].reshape(5, len(over), joined)
        bases, least, most, sums, squares = cells
        return np.stack([bases.sum(1), least.min(1), most.max(1), sums.sum(1), squares.sum(1)])

    def _coarse(self, chrom: str, index: int) -> np.ndarray | None:
        """What a known window comes to in seven parts, made by whoever needs it first."""
        kept = self._kept[chrom]
        if not kept.made[index]:
            with kept.making:  # for one window at a time, so that several requests share the work
                if not kept.made[index]:
                    summary = self._summary(chrom, index, _PARTS)
                    if summary is None:
                        return None
                    with np.errstate(over="ignore"):  # squares of huge values
                        kept.summaries[index] = summary
                    kept.made[index] = True
        found: np.ndarray = kept.summaries[index]
        return found

    def _summary(self, chrom: str, index: int, parts: int) -> np.ndarray | None:
        """What a known window comes to in ``parts``, float64 ``[5, parts]``; None where it is gone."""
        predicted = self._known_window(chrom, index)
        if predicted is None:
            return None
        values = (predicted - self._observed_bins(chrom, index)).reshape(parts, -1)
        left = self._chrom_sizes[chrom] - index * WINDOW - np.arange(BINS).reshape(values.shape) * BIN
        bases = np.where(np.isnan(values), 0, np.clip(left, 0, BIN))
        some = bases > 0
        exact = np.where(some, values, 0).astype(np.float64)
        return np.stack(
            [
                bases.sum(1),
                np.where(some, exact, np.inf).min(1),
                np.where(some, exact, -np.inf).max(1),
                (exact * bases).sum(1),
                (exact * exact * bases).sum(1),
            ]
        )


class _Kept:
    """What the windows of one chromosome came to."""

    def __init__(self, windows: int) -> None:
        self.making = threading.Lock()
        self.made = np.zeros(windows, bool)
        # Memory that nothing was written to yet takes no room.
        self.summaries = np.zeros((windows, 5, _PARTS), np.float32)
