"""ROC and precision-recall curves from counts of positives and negatives at each level of a score."""

from __future__ import annotations

import numpy as np


def roc_curve(positive: np.ndarray, negative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return false-positive and true-positive rate at every threshold, float64 ``[levels + 1]`` each from (0, 0) to
    (1, 1), for counts by rising level ``[levels]``."""
    rates = []
    for counts in (negative, positive):
        above = np.concatenate([[0.0], counts[::-1].cumsum(dtype=np.float64)])
        rates.append(above / max(above[-1], 1.0))
    return rates[0], rates[1]


def auroc_of(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """Return the chance that a positive scores higher than a negative (a tie counts half), for counts
    ``[..., levels]`` by rising level; NaN without positives or without negatives."""
    below = negative.cumsum(axis=-1, dtype=np.float64) - negative / 2
    pairs = positive.sum(axis=-1, dtype=np.float64) * negative.sum(axis=-1, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        area: np.ndarray = (positive * below).sum(axis=-1) / pairs
    return area


def auprc_of(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """Return average precision: the precision at each threshold, weighted by the positives that it adds (no
    interpolation), for counts ``[..., levels]`` by rising level; NaN without positives."""
    found = positive[..., ::-1].cumsum(axis=-1, dtype=np.float64)
    taken = found + negative[..., ::-1].cumsum(axis=-1, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(taken > 0, found / np.where(taken > 0, taken, 1), 0)
        area: np.ndarray = (positive[..., ::-1] * precision).sum(axis=-1) / found[..., -1]
    return area


def counted(score: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return exact counts of positives and negatives by rising distinct score ``[levels]`` each."""
    levels, level = np.unique(score, return_inverse=True)
    return (
        np.bincount(level[positive], minlength=len(levels)),
        np.bincount(level[~positive], minlength=len(levels)),
    )
