"""What base composition alone says of a track: the baselines that every figure of a model stands beside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracks.composition import FEATURES, composition, smoothed_counts

WIDTHS = (16_000, 131_072, 500_000, 1_000_000, 2_000_000)
"""Widths in bases over which composition is smoothed."""
RIDGE_WIDTHS = WIDTHS[:-1]
RIDGE_PENALTIES = tuple(10.0**power for power in range(-6, 3))
"""Penalties that are tried, as a fraction of the number of training bins, on standardised features."""


def features(counts: np.ndarray) -> np.ndarray:
    """Return GC, CpG density and CpG observed/expected at every width, float64 ``[bins, widths * 3]``, for counts
    ``[bins, 4]`` of a whole chromosome."""
    return np.concatenate([composition(smoothed_counts(counts, width)) for width in WIDTHS], axis=1)


@dataclass(frozen=True, eq=False)
class Baseline:
    """A linear function of the features ``[bins, widths * 3]``; a feature that is undefined counts as its mean."""

    name: str
    detail: str
    mean: np.ndarray
    weights: np.ndarray

    def predict(self, values: np.ndarray) -> np.ndarray:
        """Return one number per bin, float64 ``[bins]``."""
        predicted: np.ndarray = np.where(np.isfinite(values), values - self.mean, 0.0) @ self.weights
        return predicted


def fit_baselines(train: tuple[np.ndarray, np.ndarray], valid: tuple[np.ndarray, np.ndarray]) -> tuple[Baseline, ...]:
    """Fit the baselines of one track to features ``[bins, widths * 3]`` and observed values ``[bins]``.

    Each single feature takes the width, and the sign, with the largest correlation on the training bins; ridge
    regression on all features up to 1 Mb takes the penalty with the largest correlation on the valid bins.
    """
    x, y = train
    mean = np.nanmean(x, axis=0)
    scale = np.nanstd(x, axis=0)
    scale[scale == 0] = 1.0
    standard = np.where(np.isfinite(x), (x - mean) / scale, 0.0)
    r = standard.T @ (y - y.mean()) / (len(y) * max(y.std(), 1e-300))
    fitted = []
    for index, feature in enumerate(FEATURES):
        own = np.arange(len(WIDTHS)) * len(FEATURES) + index
        best = int(own[np.abs(r[own]).argmax()])
        weights = np.zeros(x.shape[1])
        weights[best] = np.sign(r[best]) / scale[best]
        width = WIDTHS[best // len(FEATURES)]
        fitted.append(Baseline(feature, f"over {width:,} bp, r {r[best]:+.2f} on train", mean, weights))
    return (*fitted, _ridge(standard, y, mean, scale, valid))


def _ridge(
    standard: np.ndarray, y: np.ndarray, mean: np.ndarray, scale: np.ndarray, valid: tuple[np.ndarray, np.ndarray]
) -> Baseline:
    used = len(RIDGE_WIDTHS) * len(FEATURES)
    x = standard[:, :used]
    gram, moment = x.T @ x, x.T @ (y - y.mean())
    tried = []
    for penalty in RIDGE_PENALTIES:
        weights = np.zeros(len(mean))
        weights[:used] = np.linalg.solve(gram + penalty * len(y) * np.eye(used), moment)
        ridge = Baseline("ridge", f"on all up to 1 Mb, penalty {penalty:g}", mean, weights / scale)
        predicted = ridge.predict(valid[0])
        tried.append((float(np.corrcoef(predicted, valid[1])[0, 1]) if len(predicted) > 1 else 0.0, ridge))
    return max(tried, key=lambda pair: pair[0])[1]
