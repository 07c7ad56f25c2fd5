"""What streams by, bin by bin, is kept as sums per bootstrap block and as counts of level pairs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model.report.levels import LEVELS, Levels, spearman_of_levels
from model.sums import SUMS, window_sums

if TYPE_CHECKING:
    from collections.abc import Sequence

CELLS = 64
"""Cells along a side of a picture."""
PICTURE_STEP = 4
"""Of each window, every fourth bin is in the picture."""


@dataclass(frozen=True, eq=False)
class TrackLevels:
    """The levels of one observed track and of each prediction of it; None where there is no prediction."""

    observed: Levels
    predicted: tuple[Levels | None, ...]


class BinScores:
    """Agreement of several predictions with the observed tracks of one fold, bin by bin.

    A bin counts for a track when the observed and all predictions of that track have a value there, so that all are
    scored on the same bins. Feed it one chromosome after the other, and ``finish`` each. What it holds does not
    depend on how the windows were cut into chunks, but for rounding.

    * ``values`` and ``ranks`` float64 ``[tracks, predictions, blocks, 6]``: the six sums (``model.sums``) of
      the values, counted from the middle of the sample, and of their levels;
    * ``joint`` uint32 ``[tracks, predictions, 256, 256]``: counts of (predicted, observed) levels, all chromosomes;
    * ``pictures`` uint32 ``[tracks, predictions, 64, 64]``: counts of every fourth bin on an even grid of (predicted,
      observed) values, of the predictions that ``pictured`` asks for;
    * ``spearman`` by chromosome: ``[tracks, predictions]``; ``observed`` int64 ``[tracks]``: bins with an observed
      value, whether predicted or not.
    """

    def __init__(
        self, levels: Sequence[TrackLevels], blocks: int, threads: int = 2, pictured: Sequence[bool] | None = None
    ) -> None:
        self.levels = tuple(levels)
        tracks, predictions = len(levels), len(levels[0].predicted) if levels else 0
        self.members = np.array([[one is not None for one in track.predicted] for track in levels], bool)
        self.members = self.members.reshape(tracks, predictions)
        self.centres = np.array([track.observed.means[LEVELS // 2] for track in levels])
        self.values = np.zeros((tracks, predictions, blocks, SUMS))
        self.ranks = np.zeros_like(self.values)
        self.joint = np.zeros((tracks, predictions, LEVELS, LEVELS), np.uint32)
        self.observed = np.zeros(tracks, np.int64)
        self.spearman: dict[str, np.ndarray] = {}
        self._pictured = tuple(pictured or (False,) * predictions)
        self.pictures = np.zeros((tracks, predictions, CELLS, CELLS), np.uint32)
        self._chrom_joint = np.zeros_like(self.joint)
        self._pool = ThreadPoolExecutor(threads)

    def add(self, observed: np.ndarray, predicted: Sequence[np.ndarray | None], block: np.ndarray) -> None:
        """Take in windows: observed and each prediction float32 ``[tracks, n, bins]`` (None: a prediction of no
        track), NaN where there is no value; each window's block ``[n]``, rising."""
        list(self._pool.map(lambda track: self._add_track(track, observed, predicted, block), range(len(observed))))

    def _add_track(
        self, track: int, observed: np.ndarray, predicted: Sequence[np.ndarray | None], block: np.ndarray
    ) -> None:
        members = [int(member) for member in np.flatnonzero(self.members[track])]
        known = np.isfinite(observed[track])
        self.observed[track] += np.count_nonzero(known)
        if not members:
            return
        pieces = {}
        for member in members:
            piece = predicted[member]
            assert piece is not None, "a prediction with levels has values"
            pieces[member] = piece[track]
            known &= np.isfinite(piece[track])
        kept = None if known.all() else known
        levels, centre = self.levels[track], np.float32(self.centres[track])
        y = _filled(observed[track], kept, centre)
        y_level = levels.observed.of(y)
        y_rank = _ranks(y_level, kept)
        y_value = y - centre
        for member in members:
            of = levels.predicted[member]
            assert of is not None
            x = _filled(pieces[member], kept, centre)
            x_level = of.of(x)
            _add_blocks(self.values[track, member], block, window_sums(x - centre, y_value, kept))
            _add_blocks(self.ranks[track, member], block, window_sums(_ranks(x_level, kept), y_rank, kept))
            pair = (x_level.astype(np.uint16) << 8) | y_level
            counts = np.bincount((pair if kept is None else pair[kept]).reshape(-1), minlength=LEVELS * LEVELS)
            self._chrom_joint[track, member] += counts.reshape(LEVELS, LEVELS).astype(np.uint32)
            if self._pictured[member]:
                thin = np.s_[:, ::PICTURE_STEP]
                cell = of.cells(x[thin], CELLS) * np.uint16(CELLS) + levels.observed.cells(y[thin], CELLS)
                counts = np.bincount((cell if kept is None else cell[kept[thin]]).reshape(-1), minlength=CELLS * CELLS)
                self.pictures[track, member] += counts.reshape(CELLS, CELLS).astype(np.uint32)

    def finish(self, chrom: str) -> None:
        """End a chromosome: its ranks are those among its own bins."""
        tracks, predictions = self.members.shape
        self.spearman[chrom] = np.array(
            [[spearman_of_levels(self._chrom_joint[t, p]) for p in range(predictions)] for t in range(tracks)]
        ).reshape(tracks, predictions)
        self.joint += self._chrom_joint
        self._chrom_joint[:] = 0

    def spearman_of_all(self) -> np.ndarray:
        """Return Spearman's rho over all chromosomes, ``[tracks, predictions]``."""
        tracks, predictions = self.members.shape
        found = [[spearman_of_levels(self.joint[t, p]) for p in range(predictions)] for t in range(tracks)]
        return np.array(found).reshape(tracks, predictions)


def _add_blocks(total: np.ndarray, block: np.ndarray, sums: np.ndarray) -> None:
    """Add the sums of windows ``[n, 6]``, whose blocks rise, to those of their blocks ``[blocks, 6]``."""
    first = np.flatnonzero(np.diff(block, prepend=-1))
    total[block[first]] += np.add.reduceat(sums, first, axis=0)


def _filled(values: np.ndarray, known: np.ndarray | None, centre: np.float32) -> np.ndarray:
    return values if known is None else np.where(known, values, centre)


def _ranks(levels: np.ndarray, known: np.ndarray | None) -> np.ndarray:
    # Whole numbers up to 128, so that float32 holds their products' sum over a window exactly (below 2**24).
    ranks = levels.astype(np.float32) - np.float32(LEVELS // 2)
    return ranks if known is None else np.where(known, ranks, np.float32(0))


def tracks_first(values: np.ndarray) -> np.ndarray:
    """Turn ``[n, bins, tracks]`` into ``[tracks, n, bins]``, contiguous, as the sums want it."""
    return np.ascontiguousarray(values.transpose(2, 0, 1))


def specific(
    observed: np.ndarray, predicted: Sequence[np.ndarray | None], groups: Sequence[Sequence[int]]
) -> tuple[np.ndarray, list[np.ndarray | None]]:
    """Take from each track the mean over the tracks of its group, bin by bin: what is left is what sets a biosample
    apart. Arrays ``[tracks, ...]``; the mean is over the tracks whose observed has a value there, for observed and
    predicted alike. NaN for tracks in no group, and where fewer than two tracks have a value."""
    left_observed = np.empty_like(observed)
    left = [None if one is None else np.empty_like(one) for one in predicted]
    alone = sorted(set(range(len(observed))) - {track for group in groups for track in group})
    for result in (left_observed, *left):
        if result is not None:
            result[alone] = np.nan
    for group in map(list, groups):
        known = np.isfinite(observed[group])
        complete = bool(known.all())
        count = None if complete else known.sum(axis=0, dtype=np.float32)
        for values, result in zip([observed, *predicted], [left_observed, *left], strict=True):
            if values is None or result is None:
                continue
            if count is None:
                mean = values[group].sum(axis=0) / np.float32(len(group))
            else:
                mean = np.where(known, values[group], 0).sum(axis=0) / np.where(count >= 2, count, np.nan)
            for track in group:
                np.subtract(values[track], mean, out=result[track])
    return left_observed, left
