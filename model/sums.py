"""Correlation and R2 as functions of sums per bootstrap block, so that nothing else has to be kept.

The six sums of a pair of arrays are n, sum x, sum y, sum xx, sum yy and sum xy, with x predicted and y observed, both
counted from one common centre. They are added up within each block of the genome; a bootstrap draw is a weighted sum
over blocks (``model.metrics.draw_weights``), and two predictions compared on the same draws are compared in pairs.
"""

from __future__ import annotations

import numpy as np

SUMS = 6
PIECES = 7
_ROUNDING = 1e-12


def window_sums(x: np.ndarray, y: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
    """Return the six sums of each row: x, y ``[n, bins]`` to float64 ``[n, 6]``. Where ``known`` is False, both must be
    0 and do not count.

    Of float32 arrays, 128 bins at a time are summed in float32, and these in float64.
    """
    n = np.full(len(x), x.shape[1], np.float64) if known is None else known.sum(axis=1, dtype=np.float64)
    # In pieces also because NumPy lets other threads run meanwhile only when rows are many (500).
    pieces = PIECES if x.shape[1] % PIECES == 0 else 1
    x, y = x.reshape(len(x), pieces, -1), y.reshape(len(y), pieces, -1)
    sums = np.stack([x.sum(axis=2), y.sum(axis=2), np.vecdot(x, x), np.vecdot(y, y), np.vecdot(x, y)], axis=2)
    return np.concatenate([n[:, None], sums.sum(axis=1, dtype=np.float64)], axis=1)


def pearson_of(sums: np.ndarray, rounding: float = _ROUNDING) -> np.ndarray:
    """Return Pearson's r for sums ``[..., 6]``; NaN where either side is constant, or there is nothing. A side is
    constant whose squared deviations are less than ``rounding`` of its squares."""
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread_x, spread_y = xx - x * x / n, yy - y * y / n
        defined = (spread_x > rounding * xx) & (spread_y > rounding * yy)
        r: np.ndarray = np.where(defined, (xy - x * y / n) / np.sqrt(np.where(defined, spread_x * spread_y, 1)), np.nan)
    return r


def r2_of(sums: np.ndarray) -> np.ndarray:
    """Return R2, 1 minus squared error over squared deviation from the observed mean of the same bins, for sums
    ``[..., 6]``. NaN where the observed is constant, or there is nothing."""
    n, _, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = yy - y * y / n
        defined = spread > _ROUNDING * yy
        error = yy - 2 * xy + xx
        r2: np.ndarray = np.where(defined, 1 - error / np.where(defined, spread, 1), np.nan)
    return r2


def constant_sums(sums: np.ndarray, value: np.ndarray | float) -> np.ndarray:
    """Return the six sums of a prediction that is ``value`` everywhere (counted from the same centre), given any sums
    ``[..., 6]`` of the same observed bins; ``value`` broadcasts against ``[...]``."""
    n, _, y, _, yy, _ = np.moveaxis(sums, -1, 0)
    return np.stack([n, n * value, y, n * value**2, yy, value * y], axis=-1)


def drawn_sums(sums: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the sums of each draw: ``[..., blocks, 6]`` and weights ``[draws, blocks]`` to ``[..., draws, 6]``."""
    drawn: np.ndarray = weights @ sums
    return drawn
