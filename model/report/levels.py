"""Levels: a value's rank to eight bits, so that ranks can be summed while values stream by.

A sample of a track's values divides the line into 256 levels of about equal share. A value's level is then its rank
among all values to 1 part in 256, and a table of 256 x 256 counts is enough for Spearman's rho (its ties are exact:
each level is one group of ties), for a calibration curve, for ROC curves and for a picture of the joint density.
Grouping into K levels of equal share changes rho and AUROC by about 1 / K**2; see TOLERANCE.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEVELS = 256

TOLERANCE = 1e-3
"""What Spearman's rho and AUROC of levels may differ from those of the values themselves (tested; typically 1e-5).
The largest differences are of values whose sample was not like the rest."""

_KEYS = 1 << 16
_TAIL = 1e-4
"""A picture leaves out what lies beyond these quantiles of the sample."""


@dataclass(frozen=True, eq=False)
class Levels:
    """The levels of one track.

    A value's key is the first 16 bits of its distance from ``centre`` as float32 (sign, exponent, 7 bits of the
    fraction), so that keys are fine where values are dense and reach far into a tail. ``table`` uint8 ``[65536]`` holds
    each key's level, ``means`` float64 ``[256]`` the mean of the sample in each level (interpolated where the sample
    has none), and ``low``, ``high`` what of the sample is in a picture.
    """

    centre: float
    table: np.ndarray
    means: np.ndarray
    low: float
    high: float

    def of(self, values: np.ndarray) -> np.ndarray:
        """Return the level of each finite value: float32 of any shape to uint8 of that shape."""
        return self.table.take(_keys(values, self.centre))

    def cells(self, values: np.ndarray, cells: int) -> np.ndarray:
        """Return which of ``cells`` even parts of ``low`` to ``high`` each finite value is in, uint16; values beyond
        are in the first or the last."""
        place = values - np.float32(self.low)
        place *= np.float32(cells / (self.high - self.low) if self.high > self.low else 0.0)
        np.clip(place, 0, cells - 1, out=place)
        return place.astype(np.uint16)


def _keys(values: np.ndarray, centre: float) -> np.ndarray:
    distance = values.astype(np.float32, copy=False) - np.float32(centre)
    keys: np.ndarray = distance.view(np.uint32) >> np.uint32(16)
    return keys


_RISING = np.concatenate([np.arange(_KEYS - 1, _KEYS // 2 - 1, -1), np.arange(_KEYS // 2)])
"""Keys by rising value: those of negative distances have the sign bit, and fall."""


def fit_levels(sample: np.ndarray) -> Levels:
    """Learn levels from a sample of values, float32 ``[n]``; NaN in it is left out. Without a value, or where all are
    one, there is one level."""
    known = sample[np.isfinite(sample)].astype(np.float32)
    if not len(known):
        return Levels(0.0, np.zeros(_KEYS, np.uint8), np.zeros(LEVELS), 0.0, 0.0)
    low, centre, high = np.quantile(known, [_TAIL, 0.5, 1 - _TAIL], method="nearest").astype(np.float64).tolist()
    keys = _keys(known, centre)
    share = np.bincount(keys, minlength=_KEYS)[_RISING] / len(known)
    middle = share.cumsum() - share / 2
    table = np.empty(_KEYS, np.uint8)
    table[_RISING] = np.minimum(middle * LEVELS, LEVELS - 1)
    level = table[keys]
    count = np.bincount(level, minlength=LEVELS)
    seen = np.flatnonzero(count)
    means = np.bincount(level, known.astype(np.float64), LEVELS)[seen] / count[seen]
    return Levels(centre, table, np.interp(np.arange(LEVELS), seen, means), low, high)


def spearman_of_levels(joint: np.ndarray) -> float:
    """Return Spearman's rho for counts of level pairs ``[256, 256]``, each level one group of ties; NaN where either
    side has one level only."""
    counts = joint.astype(np.float64)
    total = counts.sum()
    if total == 0:
        return np.nan
    sides = []
    for axis in (1, 0):
        share = counts.sum(axis=axis) / total
        rank = share.cumsum() - share / 2 - 0.5
        sides.append((rank, share @ rank**2))
    (rank_x, spread_x), (rank_y, spread_y) = sides
    if spread_x * spread_y <= 1e-24:
        return np.nan
    return float(rank_x @ counts @ rank_y / total / np.sqrt(spread_x * spread_y))


def calibration_of_levels(joint: np.ndarray, x: Levels, y: Levels, groups: int = 20) -> np.ndarray:
    """Return a calibration curve: mean predicted, mean observed and share of each of ``groups`` groups of about equal
    share by rising prediction, float64 ``[<= groups, 3]``, for counts ``[256 predicted, 256 observed]``."""
    counts = joint.astype(np.float64)
    own = counts.sum(axis=1)
    if own.sum() == 0:
        return np.empty((0, 3))
    middle = (own.cumsum() - own / 2) / own.sum()
    group = np.minimum((middle * groups).astype(np.intp), groups - 1)
    n = np.bincount(group, own, groups)
    predicted = np.bincount(group, own * x.means, groups)
    observed = np.bincount(group, counts @ y.means, groups)
    kept = n > 0
    return np.stack([predicted[kept] / n[kept], observed[kept] / n[kept], n[kept] / n.sum()], axis=1)
