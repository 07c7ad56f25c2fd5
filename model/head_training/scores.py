"""How a head does on held-out windows: each track's loss and Pearson r, from sums."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from model.sums import pearson_of


@dataclass(frozen=True)
class TrackScore:
    """A track's held-out loss and its Pearson r over all held-out bins (or windows); NaN where undefined."""

    name: str
    loss: float
    pearson: float


class PearsonSums:
    """Pearson r of each track between predictions and labels that come in batches; sums in float64."""

    def __init__(self, tracks: int) -> None:
        self._sums = torch.zeros(6, tracks, dtype=torch.float64)

    def add(self, predicted: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor) -> None:
        """Add ``[N, tracks, ...]`` of one shape each; where the weight is 0, nothing counts, and elsewhere all
        counts alike."""
        seen = ((weight > 0) & torch.isfinite(labels)).cpu().transpose(0, 1).flatten(1)
        x, y = (part.detach().cpu().double().transpose(0, 1).flatten(1) for part in (predicted, labels))
        x, y = torch.where(seen, x, 0.0), torch.where(seen, y, 0.0)
        self._sums += torch.stack([part.sum(dim=1) for part in (seen.double(), x, y, x * x, y * y, x * y)])

    def pearson(self) -> list[float]:
        """Return each track's r; NaN where either side is constant or nothing was seen."""
        r: list[float] = pearson_of(self._sums.T.numpy(), rounding=1e-10).tolist()
        return r


def mean_of_defined(values: list[float]) -> float:
    """Return the mean of the values that are numbers; NaN where none is."""
    kept = [value for value in values if math.isfinite(value)]
    return sum(kept) / len(kept) if kept else math.nan
