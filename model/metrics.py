"""Agreement of predicted with observed bins, and how sure it is: pure functions of float64 arrays.

Neighbouring bins are alike, so intervals come from resampling blocks of the genome, never bins. Every statistic here
is a function of sums per block (or per pair of blocks), so a draw costs a few small products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

if TYPE_CHECKING:
    from collections.abc import Callable

FEWEST_BLOCKS = 5
"""With fewer blocks there is a value but no interval."""

_LEAST_DEFINED = 0.9


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % block-bootstrap interval. What is undefined is None, and ``reason`` says why."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""


def draw_weights(blocks: int, draws: int, seed: int) -> np.ndarray:
    """Return how often each block is taken in each bootstrap draw, float64 ``[1 + draws, blocks]``; the first row
    takes every block once."""
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=draws).astype(np.float64)
    return np.concatenate([np.ones((1, blocks)), drawn])


def is_constant(values: np.ndarray) -> bool:
    """Say whether values differ by nothing but rounding; none at all are constant too."""
    return not len(values) or bool(np.ptp(values) <= 1e-9 * np.abs(values).max())


def pearson(predicted: np.ndarray, observed: np.ndarray, block: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return Pearson's r as a function of block weights ``[draws, blocks]``, for bins ``[n]`` in blocks 0, 1, ...

    It keeps six sums per block. NaN in a draw where either side is constant.
    """
    x, y = predicted - predicted.mean(), observed - observed.mean()
    sums = np.stack([np.bincount(block, part) for part in (np.ones_like(x), x, y, x * x, y * y, x * y)], axis=1)

    def weighted(weights: np.ndarray) -> np.ndarray:
        n, sx, sy, sxx, syy, sxy = (weights @ sums).T
        spread = (sxx - sx * sx / n) * (syy - sy * sy / n)
        # A draw in which either is constant has no correlation; rounding leaves a little spread then.
        defined = spread > 1e-12 * sxx * syy
        r: np.ndarray = np.where(defined, (sxy - sx * sy / n) / np.sqrt(np.where(defined, spread, 1.0)), np.nan)
        return r

    return weighted


def spearman(predicted: np.ndarray, observed: np.ndarray, block: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return Spearman's rho as ``pearson`` does; ranks are those of all bins, in every draw."""
    return pearson(rankdata(predicted), rankdata(observed), block)


def auroc(score: np.ndarray, positive: np.ndarray, block: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the area under the ROC curve (the chance that a positive bin scores higher; ties count half) as a
    function of block weights ``[draws, blocks]``. NaN in a draw with one class only."""
    blocks = int(block.max()) + 1
    wins = np.zeros((blocks, blocks))
    positives, own = score[positive], block[positive]
    for other in range(blocks):
        negatives = np.sort(score[~positive & (block == other)])
        below = np.searchsorted(negatives, positives, "left") + np.searchsorted(negatives, positives, "right")
        wins[:, other] = np.bincount(own, below / 2, blocks)
    counts = np.stack([np.bincount(block[mask], minlength=blocks) for mask in (positive, ~positive)], axis=1)

    def weighted(weights: np.ndarray) -> np.ndarray:
        pairs = (weights @ counts).prod(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            area: np.ndarray = ((weights @ wins) * weights).sum(axis=1) / pairs
        return area

    return weighted


def estimate(values: np.ndarray, blocks: int, undefined: str = "undefined") -> Estimate:
    """Return the first value with the 2.5 and 97.5 percentiles of the others, to 4 digits.

    There is no value where the first is NaN (``undefined`` says why), and no interval from fewer than 5 blocks or
    where more than a tenth of the draws has no value.
    """
    if not np.isfinite(values[0]):
        return Estimate(None, reason=undefined)
    value = round(float(values[0]), 4)
    drawn = values[1:][np.isfinite(values[1:])]
    if blocks < FEWEST_BLOCKS:
        return Estimate(value, reason=f"no interval from {blocks} {'block' if blocks == 1 else 'blocks'}")
    if len(drawn) < _LEAST_DEFINED * (len(values) - 1):
        return Estimate(value, reason=f"no interval: {1 - len(drawn) / (len(values) - 1):.0%} of draws are undefined")
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Estimate(value, round(float(low), 4), round(float(high), 4))


def pooled(values: np.ndarray, kept: np.ndarray, first_bin: int, pool: int, least: float = 0.25) -> np.ndarray:
    """Average runs of ``pool`` bins on the absolute grid over the kept ones; float64 ``[runs]``.

    ``first_bin`` places the first of ``values`` on the grid. NaN where less than ``least`` of a run is kept.
    """
    run = (first_bin + np.arange(len(values))) // pool - first_bin // pool
    count = np.bincount(run, kept)
    total = np.bincount(run, np.where(kept, values, 0.0))
    return np.where(count >= max(least * pool, 1), total / np.maximum(count, 1), np.nan)
