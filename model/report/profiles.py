"""Values along chromosomes at their true places: what is drawn as a profile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracks.grid import BINS, FLANK, WINDOW

if TYPE_CHECKING:
    from collections.abc import Sequence

PIECES = 7
"""A window is drawn as so many pieces, of whole bins each."""
PIECE = WINDOW // PIECES
"""Bases in one piece (16,384)."""


@dataclass(frozen=True, eq=False)
class Profile:
    """One chromosome: float32 ``[tracks, 1 + predictions, pieces]``, observed first; NaN where no window lies.

    ``length`` is that of the chromosome; ``windows`` counts what was painted.
    """

    chrom: str
    length: int
    windows: int
    values: np.ndarray


class ProfilePainter:
    """Paints the windows of one chromosome. A place that several windows cover gets their mean."""

    def __init__(self, chrom: str, length: int, tracks: int, layers: int) -> None:
        self._chrom, self._length, self._windows = chrom, length, 0
        self._sum = np.zeros((layers, tracks, -(-length // PIECE)))
        self._count = np.zeros_like(self._sum)

    def add(self, starts: np.ndarray, layers: Sequence[np.ndarray]) -> None:
        """Paint windows whose inputs start at ``starts`` ``[n]``; each layer float32 ``[tracks, n, 896]``, or
        ``[tracks, n, 1]`` for one value a window. NaN paints nothing."""
        # A piece goes to the place that holds its middle.
        middle = starts[:, None] + FLANK + PIECE * np.arange(PIECES) + PIECE // 2
        place = np.clip(middle // PIECE, 0, self._sum.shape[2] - 1)
        self._windows += len(starts)
        for layer, values in enumerate(layers):
            tracks, n, bins = values.shape
            if bins == BINS:
                values = _mean_of_known(values.reshape(tracks, n, PIECES, -1))
            known = np.isfinite(values)
            for track in range(tracks):
                shape = (n, PIECES)
                filled = np.broadcast_to(np.where(known[track], values[track], 0), shape)
                np.add.at(self._sum[layer, track], place.reshape(-1), filled.reshape(-1))
                counted = np.broadcast_to(known[track], shape).reshape(-1).astype(np.float64)
                np.add.at(self._count[layer, track], place.reshape(-1), counted)

    def profile(self) -> Profile:
        """Return what was painted."""
        mean = self._sum / np.where(self._count > 0, self._count, np.nan)
        return Profile(self._chrom, self._length, self._windows, mean.swapaxes(0, 1).astype(np.float32))


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    mean: np.ndarray = values.mean(axis=-1)
    if not np.isfinite(mean).all():
        known = np.isfinite(values)
        count = known.sum(axis=-1)
        mean = np.where(known, values, 0).sum(axis=-1) / np.where(count > 0, count, np.nan)
    return mean
