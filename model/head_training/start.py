"""What a head starts from: standardised channels, the mean of each track, or the exact linear solution."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from model.head_training.batches import in_batches
from model.ridge import RidgeStatistics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from model.head_training.batches import WindowStream
    from model.heads import Link

PENALTIES = tuple(10.0**power for power in range(-7, 2))
"""Ridge penalties that are tried, against channels of variance 1."""

_FIRST_LAYERS = ("weight", "mix.weight", "project.weight")
"""What reads the embedding, in the heads that can be standardised."""


class Standardised(nn.Module):
    """A head that sees each channel of the embedding with mean 0 and variance 1, whatever the trunk's scale."""

    def __init__(self, head: nn.Module, mean: torch.Tensor, deviation: torch.Tensor) -> None:
        super().__init__()
        self.head = head
        self.mean: torch.Tensor
        self.scale: torch.Tensor
        # A channel that hardly moves must not become the loudest, so the least deviation is a part of the largest.
        scale = 1 / torch.maximum(deviation, 1e-3 * deviation.max().clamp(min=1e-12))
        self.register_buffer("mean", mean.float()[:, None])
        self.register_buffer("scale", scale.float()[:, None])

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        """Map an embedding ``[N, C, 896]`` to the head's raw output."""
        raw: torch.Tensor = self.head((embedding - self.mean) * self.scale)
        return raw

    def folded(self, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the state dict of the head that reads the embedding itself, for one of ``self.head`` on the
        CPU."""
        if not self.mean.any() and bool((self.scale == 1).all()):
            return weights
        name = next(name for name in _FIRST_LAYERS if name in weights)
        bias = name.removesuffix("weight") + "bias"
        weight = weights[name].double()
        mean, scale = (part[:, 0].cpu().double() for part in (self.mean, self.scale))
        matrix = weight.view(weight.shape[0], -1) * scale
        moved = weights[bias].double() - matrix @ mean
        return {**weights, name: matrix.view_as(weight).float(), bias: moved.float()}

    @torch.no_grad()
    def set_linear(self, fits: np.ndarray) -> None:
        """Give a linear head the weights ``[tracks, C + 1]`` of a fit on the embedding itself, intercept last."""
        layer = self.head
        assert isinstance(layer, nn.Conv1d)
        assert layer.bias is not None
        slopes, intercept = torch.from_numpy(fits[:, :-1]), torch.from_numpy(fits[:, -1])
        mean, scale = (part[:, 0].cpu().double() for part in (self.mean, self.scale))
        layer.weight.copy_((slopes / scale)[:, :, None].float())
        layer.bias.copy_((intercept + slopes @ mean).float())


@torch.no_grad()
def channel_moments(stream: WindowStream, rows: np.ndarray, windows: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation of each channel over some windows, evenly taken from ``rows``."""
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(windows, len(rows))).round().astype(int))]
    total, squares, count = torch.zeros(()), torch.zeros(()), 0
    for batch in stream.batches(in_batches(chosen, 1)):
        embedding = stream.embedding(batch)[0].cpu().double()
        total, squares, count = total + embedding.sum(1), squares + (embedding**2).sum(1), count + embedding.shape[1]
    mean = total / count
    return mean, (squares / count - mean**2).clamp(min=0).sqrt()


def set_output_bias(head: nn.Module, links: Sequence[Link], means: Sequence[float]) -> None:
    """Start at each track's mean label: the last layer's bias, with that layer's weights made small."""
    layer = head if isinstance(head, nn.Conv1d) else head.get_submodule("output")
    assert isinstance(layer, nn.Conv1d | nn.Linear)
    assert layer.bias is not None
    with torch.no_grad():
        layer.weight.mul_(0.1)
        layer.bias.copy_(torch.tensor([inverse_link(link, mean) for link, mean in zip(links, means, strict=True)]))


def inverse_link(link: Link, label: float) -> float:
    """Return the raw output that gives a label; a label at the edge of what the link can give is moved inside."""
    if link == "sigmoid":
        inside = min(max(label, 1e-4), 1 - 1e-4)
        return float(np.log(inside / (1 - inside)))
    if link == "softplus":
        inside = max(label, 1e-4)
        return float(inside + np.log(-np.expm1(-inside)))
    return label


def link_slope(link: Link, raw: float) -> float:
    """Return the derivative of a link at a raw output."""
    if link == "identity":
        return 1.0
    inside = 1 / (1 + math.exp(-raw))
    return inside * (1 - inside) if link == "sigmoid" else inside


@torch.no_grad()
def ridge_start(
    stream: WindowStream,
    train: np.ndarray,
    valid: np.ndarray,
    links: Sequence[Link],
    progress: Callable[[int, int], None],
) -> tuple[np.ndarray, tuple[float, ...]]:
    """Return the exact linear solution from one pass over both folds: weights float64 ``[tracks, C + 1]`` on the
    embedding, intercept last, and each track's penalty, the one with the least squared error on ``valid``.

    Labels are fitted as they are. For a link that bends, the fit is then one Fisher-scoring step from the track's
    mean: with ``raw0`` the raw output of the mean, ``raw = raw0 + (fit - mean) / slope of the link at raw0``. The
    other way, fitting the raw outputs of labels, needs labels of 0 and 1 cut to some distance from there, and did
    worse on the demo's four fractions: held-out loss 0.66, 0.80, 0.73, 0.91 this way, and 0.70, 0.87, 0.78, 1.09 when
    cut at 0.02 (400 training windows).
    """
    total = len(train) + len(valid)
    sums = _ridge_sums(stream, train, lambda done: progress(done, total))
    held_out = _ridge_sums(stream, valid, lambda done: progress(len(train) + done, total))
    fits = sums.solve(PENALTIES)
    tracks = fits.shape[1]
    errors = held_out.mean_squared_errors(fits) if held_out.weights().any() else np.full(fits.shape[:2], np.nan)
    # Where nothing is held out for a track, the middle penalty.
    best = [int(np.nanargmin(column)) if np.isfinite(column).any() else len(PENALTIES) // 2 for column in errors.T]
    chosen = fits[best, np.arange(tracks)]
    means = sums.target_means()
    for track, link in enumerate(links):
        raw = inverse_link(link, float(means[track]))
        slope = link_slope(link, raw)
        chosen[track] /= slope
        chosen[track, -1] += raw - means[track] / slope
    return chosen, tuple(PENALTIES[at] for at in best)


def _ridge_sums(stream: WindowStream, rows: np.ndarray, progress: Callable[[int], None]) -> RidgeStatistics:
    sums: RidgeStatistics | None = None
    for done, batch in enumerate(stream.batches(in_batches(rows, 4)), 1):
        x = stream.embedding(batch).transpose(1, 2).flatten(0, 1)
        y, weight = (part.transpose(1, 2).flatten(0, 1) for part in (batch.labels, batch.weight))
        if sums is None:
            sums = RidgeStatistics(x.shape[1], y.shape[1], stream.device)
        sums.add(x, y, weight)
        progress(min(done * 4, len(rows)))
    return sums if sums is not None else RidgeStatistics(1, len(stream.labels.kept))
