"""Losses of heads: one likelihood per track, masked where nothing was measured, and the original's two.

A track's loss is its deviance (twice the log-likelihood ratio to a perfect prediction) divided by the deviance of
always predicting the track's training mean. So every track's loss is 1 for knowing the mean only and 0 for a perfect
prediction, whatever its unit, and tracks weigh alike; for a Gaussian track it is 1 - R2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
import torch.nn.functional as F

from model.heads import head_labels
from tracks.errors import UsageError
from tracks.track import slug_of
from tracks.transform import Affine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from model.heads import Link
    from tracks.track import Track

Likelihood = Literal["gaussian", "poisson", "binomial"]

LINK_OF: dict[Likelihood, Link] = {"gaussian": "identity", "poisson": "softplus", "binomial": "sigmoid"}
"""The link of each likelihood: what keeps a prediction where the likelihood is defined."""

COVERAGE_CAP = 20.0
"""A methylated fraction counts by its calls up to this many: past that, cells differ more than calls do."""

_LEAST = 1e-6
"""Predicted means stay this far inside what a likelihood allows."""


def likelihood_of(track: Track) -> Likelihood:
    """Return the likelihood that a track's unit calls for: binomial for fractions and per cent, Poisson for counts,
    else Gaussian (log enrichment)."""
    words = slug_of(track.unit).split("_")
    if {"fraction", "proportion", "probability"} & set(words) or _is_per_cent(track):
        return "binomial"
    if {"calls", "counts", "count", "reads", "coverage"} & set(words):
        return "poisson"
    return "gaussian"


def likelihoods_of(tracks: Sequence[Track], chosen: Mapping[str, Likelihood]) -> tuple[Likelihood, ...]:
    """Return each track's likelihood: the one ``chosen`` for its name, else what its unit calls for.

    Raises UsageError for a name that no track has.
    """
    by_slug = {slug_of(name): likelihood for name, likelihood in chosen.items()}
    slugs = {track.slug for track in tracks}
    for name in chosen:
        if slug_of(name) not in slugs:
            names = ", ".join(f"'{track.name}'" for track in tracks)
            raise UsageError(f"a loss is given for '{name}', which is no track of the labels; they are {names}")
    return tuple(by_slug.get(track.slug, likelihood_of(track)) for track in tracks)


def observation_weights(labels: np.ndarray, coverage: np.ndarray | None) -> np.ndarray:
    """Return how much each label counts, float32 of the same shape: 0 where it is NaN, else its capped coverage, and
    1 where that is unknown (no coverage, or NaN)."""
    weight = np.ones_like(labels) if coverage is None else np.nan_to_num(np.minimum(coverage, COVERAGE_CAP), nan=1.0)
    return np.where(np.isfinite(labels), weight, 0.0).astype(np.float32)


class LabelStatistics:
    """What one pass over the training labels tells of each track; float64 ``[tracks]`` sums of weighted values."""

    def __init__(self, tracks: int) -> None:
        self.count = np.zeros(tracks)
        self.weight = np.zeros(tracks)
        self.sums = np.zeros(tracks)
        self.squares = np.zeros(tracks)
        self.y_log_y = np.zeros(tracks)
        """Weighted sum of y ln y."""
        self.rest_log_rest = np.zeros(tracks)
        """Weighted sum of (1 - y) ln (1 - y), where y lies in 0 to 1."""
        self.lowest = np.full(tracks, np.inf)
        self.highest = np.full(tracks, -np.inf)

    def add(self, values: np.ndarray, weight: np.ndarray) -> None:
        """Add values ``[n, bins, tracks]`` with their weights, of the same shape; NaN weighs 0."""
        tracks = len(self.count)
        seen = np.isfinite(values).reshape(-1, tracks)
        y = np.nan_to_num(values.reshape(-1, tracks).astype(np.float64))
        w = np.where(seen, weight.reshape(-1, tracks).astype(np.float64), 0.0)
        self.count += seen.sum(axis=0)
        self.weight += w.sum(axis=0)
        self.sums += (w * y).sum(axis=0)
        self.squares += (w * y * y).sum(axis=0)
        self.y_log_y += (w * _x_log_x(np.maximum(y, 0))).sum(axis=0)
        self.rest_log_rest += (w * _x_log_x(np.clip(1 - y, 0, 1))).sum(axis=0)
        self.lowest = np.minimum(self.lowest, np.where(seen, y, np.inf).min(axis=0, initial=np.inf))
        self.highest = np.maximum(self.highest, np.where(seen, y, -np.inf).max(axis=0, initial=-np.inf))

    @property
    def mean(self) -> np.ndarray:
        """Each track's weighted mean; NaN where nothing was seen."""
        with np.errstate(invalid="ignore", divide="ignore"):
            mean: np.ndarray = self.sums / self.weight
        return mean

    @property
    def deviation(self) -> np.ndarray:
        """Each track's weighted standard deviation."""
        with np.errstate(invalid="ignore", divide="ignore"):
            deviation: np.ndarray = np.sqrt(np.maximum(self.squares / self.weight - self.mean**2, 0))
        return deviation

    @property
    def constant(self) -> np.ndarray:
        """Which tracks were seen and never differ, bool ``[tracks]``."""
        with np.errstate(invalid="ignore"):
            size = np.maximum(np.abs(self.lowest), np.abs(self.highest))
            constant: np.ndarray = (self.count > 0) & (self.highest - self.lowest <= 1e-6 * size)
        return constant

    def null_deviance(self, track: int, likelihood: Likelihood, scale: float) -> float:
        """Return a track's mean deviance when its mean is predicted everywhere, for labels ``scale * value`` (plus
        any offset, which only a Gaussian track has)."""
        mean, weight = self.mean[track], self.weight[track]
        if likelihood == "gaussian":
            return float((scale * self.deviation[track]) ** 2)
        own, rest = self.y_log_y[track] / weight, self.rest_log_rest[track] / weight
        if likelihood == "poisson":
            return float(2 * scale * (own - _x_log_x(mean)))
        return float(2 * (own + rest - _x_log_x(mean) - _x_log_x(1 - mean)))


def _x_log_x(x: np.ndarray) -> np.ndarray:
    product: np.ndarray = x * np.log(np.where(x > 0, x, 1.0))
    return product


def unit_scale(track: Track, likelihood: Likelihood) -> float:
    """Return what a track's values are multiplied by before anything else: per cent become fractions."""
    return 0.01 if likelihood == "binomial" and _is_per_cent(track) else 1.0


def label_transform(track: Track, likelihood: Likelihood, statistics: LabelStatistics, index: int) -> Affine:
    """Return the transform from a track's value to the label that a head is trained on, so that raw outputs are of
    the order of 1: standard scores for Gaussian tracks, multiples of the mean for counts, fractions as they are.

    ``statistics`` are of values times ``unit_scale``. Raises UsageError for values that the likelihood does not
    allow.
    """
    lowest, highest = float(statistics.lowest[index]), float(statistics.highest[index])
    instead = f"give it another loss: --loss '{track.name}=gaussian'"
    if likelihood == "gaussian":
        deviation = float(statistics.deviation[index])
        scale = 1.0 if statistics.constant[index] or deviation == 0 else 1 / deviation
        return Affine(scale, -scale * float(statistics.mean[index]))
    if likelihood == "poisson":
        if lowest < 0:
            raise UsageError(
                f"track '{track.name}' ({track.unit}) has values down to {lowest:.4g}; "
                f"counts are 0 or more, so {instead}"
            )
        return Affine(1 / float(statistics.mean[index] or 1.0))
    scale = unit_scale(track, likelihood)
    if lowest < 0 or highest > 1 + 1e-6:
        raise UsageError(
            f"track '{track.name}' ({track.unit}) has values from {lowest / scale:.4g} to {highest / scale:.4g}; they "
            f"should lie between 0 and {1 / scale:g}, so scale them, or {instead}"
        )
    return Affine(scale)


def _is_per_cent(track: Track) -> bool:
    return "%" in track.unit or bool({"percent", "percentage"} & set(slug_of(track.unit).split("_")))


@dataclass(frozen=True)
class TrackLosses:
    """The losses of a head's tracks. ``null``: each track's mean deviance under its training mean."""

    likelihoods: tuple[Likelihood, ...]
    null: tuple[float, ...]

    def sums(self, raw: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return each track's summed loss and summed weight, ``[tracks]`` each; their quotient is its loss.

        ``raw``, ``labels`` and ``weight`` are ``[N, tracks, ...]``; where the weight is 0, the label may be NaN.
        """
        known = torch.where(weight > 0, labels, 0.0)
        totals = []
        for track, (likelihood, null) in enumerate(zip(self.likelihoods, self.null, strict=True)):
            each = DEVIANCES[likelihood](raw[:, track], known[:, track])
            totals.append((each * weight[:, track]).sum() / null)
        return torch.stack(totals), weight.transpose(0, 1).flatten(1).sum(dim=1)

    def __call__(self, raw: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of the tracks that are observed in a batch; 0 where none is."""
        totals, weights = self.sums(raw, labels, weight)
        observed = weights > 0
        return (totals / torch.where(observed, weights, 1.0)).sum() / observed.sum().clamp(min=1)


def _gaussian(raw: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    return (raw - label) ** 2


def _poisson(raw: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    mean = F.softplus(raw) + _LEAST
    # 0 ln 0 is 0, and xlogy has no gradient trouble there.
    return 2 * (torch.xlogy(label, label.clamp(min=_LEAST)) - torch.xlogy(label, mean) - label + mean)


def _binomial(raw: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    label = label.clamp(0, 1)
    entropy = torch.xlogy(label, label) + torch.xlogy(1 - label, 1 - label)
    return 2 * (F.binary_cross_entropy_with_logits(raw, label, reduction="none") + entropy)


DEVIANCES: dict[Likelihood, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "gaussian": _gaussian,
    "poisson": _poisson,
    "binomial": _binomial,
}
"""Deviance of each element for a raw output and a label of one shape (McCullagh & Nelder 1989, section 2.3)."""


@dataclass(frozen=True)
class LegacyLoss:
    """The original's losses, the same for every track, on labels as they are stored: squared error for its window
    heads, and for its linear probe Poisson without the constant, on labels cut to whole numbers.

    In training nothing is masked: one label that is NaN makes the loss NaN, as it was there.
    """

    kind: Literal["mse", "poisson"]
    links: tuple[Link, ...]

    def _each(self, raw: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        found = head_labels(self.links, raw)
        if self.kind == "mse":
            return F.mse_loss(found, labels, reduction="none")
        return F.poisson_nll_loss(found, labels.trunc(), log_input=False, full=False, eps=1e-8, reduction="none")

    def sums(self, raw: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return each track's summed loss and how many labels that is of, ``[tracks]`` each; NaN labels left out."""
        each = self._each(raw, labels).transpose(0, 1).flatten(1)
        seen = torch.isfinite(each)
        return torch.where(seen, each, 0.0).sum(dim=1), seen.sum(dim=1).to(each.dtype)

    def __call__(self, raw: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Return the mean over all elements."""
        return self._each(raw, labels).mean()
