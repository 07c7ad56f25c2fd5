"""From what a bin's bases add up to, to the value of the bin and of a window: pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from tracks.observed import mean_of_known

if TYPE_CHECKING:
    from tracks.labels.recipe import Aggregation
    from tracks.transform import Transform

_BY_VALID: tuple[Aggregation, ...] = ("mean", "covered", "fraction", "weighted")
"""Aggregations whose value is a quotient with the valid count below the line, so that bins join exactly."""


def value_range(aggregation: Aggregation, unit: str) -> tuple[float, float] | None:
    """Return between which values a track can lie, or None where its aggregation and unit do not say."""
    if aggregation in ("covered", "fraction", "peak") or "fraction" in unit:
        return 0.0, 1.0
    return None


def window_values(
    values: np.ndarray, valid: np.ndarray, aggregation: Aggregation, least: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the value of each window and the valid count behind it, float64 ``[n]``, from those of its bins
    ``[n, bins]`` (linear, NaN where missing).

    Means and fractions are those of the whole window's bases or calls, not means of bins; a maximum is the greatest
    bin's; sums, medians and peaks are the mean of the bins. NaN where less than the fraction ``least`` of the bins is
    known.
    """
    known = np.isfinite(values)
    counted = np.where(known, valid, 0).astype(np.float64)
    total = counted.sum(axis=1)
    enough = known.sum(axis=1) >= max(least * values.shape[1], 1)
    if aggregation in _BY_VALID:
        weighed = (np.where(known, values, 0) * counted).sum(axis=1)
        means = weighed / np.where(total > 0, total, np.nan)
    elif aggregation == "max":
        means = np.where(known, values, -np.inf).max(axis=1)
    else:
        means = mean_of_known(np.nan_to_num(values), known, 1, least)
    return np.where(enough, means, np.nan), total


def labels_of(
    values: np.ndarray, transform: Transform, stored: Literal["linear", "log2"], missing: float | None
) -> np.ndarray:
    """Return labels float32 of aggregated values in linear scale, same shape: the transform of the value in the
    track's unit; where there is no value ``missing``, NaN by default, and NaN where it is infinite."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        linear = values.astype(np.float64)
        labels = transform.forward(np.log2(linear) if stored == "log2" else linear)
    labels = np.where(np.isfinite(values), labels, np.nan)
    if missing is not None:
        labels = np.where(np.isnan(values), missing, labels)
    return labels.astype(np.float32)
