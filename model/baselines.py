"""What base composition alone says of a track: the baselines that every figure of a model stands beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model.metrics import is_constant
from tracks.composition import FEATURES, composition, smoothed_counts

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTHS = (16_000, 131_072, 500_000, 1_000_000, 2_000_000)
"""Widths in bases over which composition is smoothed."""
RIDGE_WIDTHS = WIDTHS[:-1]
RIDGE_PENALTIES = tuple(10.0**power for power in range(-6, 3))
"""Penalties that are tried, against features of variance 1."""
CLIP = 3.0
"""Standardised features are cut at this: a bin at the edge of a gap has extreme ones, which bend a linear fit."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Bins to fit or to choose on: features ``[n, widths * 3]``, observed values ``[n]`` and how much each bin
    counts ``[n]``."""

    features: np.ndarray
    observed: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True, eq=False)
class Baseline:
    """A linear function of standardised features; a feature that is undefined counts as its training mean."""

    name: str
    detail: str
    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    intercept: float = 0.0

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return one number per bin, float64 ``[bins]``, for features ``[bins, widths * 3]``."""
        predicted: np.ndarray = _standardised(features, self.mean, self.scale) @ self.weights + self.intercept
        return predicted


def features(counts: np.ndarray) -> np.ndarray:
    """Return GC, CpG density and CpG observed/expected at every width, float32 ``[bins, widths * 3]``, for counts
    ``[bins, 4]`` of a whole chromosome. Composition is that of the known bases; NaN where there are none."""
    return np.concatenate([composition(smoothed_counts(counts, width)).astype(np.float32) for width in WIDTHS], axis=1)


def fit_baselines(train: Sample, valid: Sequence[Sample]) -> tuple[Baseline, ...]:
    """Fit the baselines of one track: GC, CpG density, CpG observed/expected and ridge, in this order.

    Each single feature takes the width, and the sign, with the largest correlation on the training bins. Ridge
    regression on all features up to 1 Mb is fitted on the training bins; its penalty is the one with the largest
    mean correlation over the valid samples (one a chromosome), which flatters it there.
    """
    mean, scale = _moments(train)
    standard = _standardised(train.features, mean, scale)
    share = train.weights / train.weights.sum()
    middle = share @ standard
    # From here on everything is a weighted sum, so each row is scaled once.
    root = np.sqrt(share)
    level = float(share @ train.observed)
    y = (train.observed - level) * root
    standard -= middle
    standard *= root[:, None]
    gram, moment = standard.T @ standard, standard.T @ y
    spread = np.sqrt(np.diag(gram) * (y @ y))
    r = np.divide(moment, spread, out=np.zeros_like(moment), where=spread > 0)
    fitted = []
    for index, feature in enumerate(FEATURES):
        own = np.arange(len(WIDTHS)) * len(FEATURES) + index
        best = int(own[np.abs(r[own]).argmax()])
        weights = np.zeros(len(mean))
        weights[best] = np.sign(r[best])
        width = WIDTHS[best // len(FEATURES)]
        fitted.append(Baseline(feature, f"over {width:,} bp, r {r[best]:+.2f} on train", mean, scale, weights))
    tried = []
    for penalty in RIDGE_PENALTIES:
        weights = ridge(gram, moment, penalty)
        tried.append(Baseline("ridge", f"penalty {penalty:g}", mean, scale, weights, level - float(middle @ weights)))
    return (*fitted, _best_ridge(tried, valid))


def ridge(gram: np.ndarray, moment: np.ndarray, penalty: float) -> np.ndarray:
    """Return ridge weights ``[features]`` for the covariance ``[features, features]`` of features and their
    covariance ``[features]`` with the observed; features over more than 1 Mb weigh nothing."""
    used = len(RIDGE_WIDTHS) * len(FEATURES)
    weights = np.zeros(len(moment))
    weights[:used] = np.linalg.solve(gram[:used, :used] + penalty * np.eye(used), moment[:used])
    return weights


def _best_ridge(tried: Sequence[Baseline], valid: Sequence[Sample]) -> Baseline:
    valid = [sample for sample in valid if not is_constant(sample.observed)]

    def agreement(baseline: Baseline) -> float:
        pairs = [(baseline.predict(sample.features), sample.observed) for sample in valid]
        return float(np.mean([0.0 if is_constant(x) else np.corrcoef(x, y)[0, 1] for x, y in pairs]))

    if valid:
        best, how = max(tried, key=agreement), "chosen on valid"
    else:
        best, how = tried[RIDGE_PENALTIES.index(1.0)], "as no valid block could choose it"
    detail = f"on all widths up to {RIDGE_WIDTHS[-1]:,} bp, {best.detail} {how}"
    return Baseline(best.name, detail, best.mean, best.scale, best.weights, best.intercept)


def _moments(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean and deviation of each feature where it is known."""
    mean, scale = np.zeros(sample.features.shape[1]), np.ones(sample.features.shape[1])
    for index, column in enumerate(sample.features.T):
        known = np.isfinite(column)
        if known.any():
            values, weights = column[known].astype(np.float64), sample.weights[known]
            mean[index] = np.average(values, weights=weights)
            deviation = np.sqrt(np.average((values - mean[index]) ** 2, weights=weights))
            scale[index] = deviation or 1.0
    return mean, scale


def _standardised(values: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    standard = (values - mean) / scale
    cut: np.ndarray = np.nan_to_num(np.clip(standard, -CLIP, CLIP, out=standard), copy=False, nan=0.0)
    return cut
