"""Windows on their way through an evaluation: observed tracks, and what predicts them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tracks.track import Exp2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracks.track import Track
    from tracks.windows import Scope

LEAST_OBSERVED = 0.25
"""A window has a value when this fraction of its bins is known, as in the model card (CpG methylation is known only
where there are CpGs)."""


@dataclass(frozen=True)
class Named:
    """A prediction as tables name it: its model (or baseline), head and scope."""

    model: str
    head: str
    scope: Scope
    baseline: bool

    @property
    def label(self) -> str:
        """Model and head in one."""
        return f"{self.model} / {self.head}" if self.head else self.model


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some windows of one chromosome, observed values in track units.

    ``rows`` int64 ``[n]`` of the label set, ``starts`` int64 ``[n]`` of their inputs; ``bins`` float32
    ``[tracks, n, 896]`` (None: the label set has none), ``window`` float32 ``[tracks, n]``; NaN: not observed.
    """

    rows: np.ndarray
    chrom: str
    starts: np.ndarray
    bins: np.ndarray | None
    window: np.ndarray


class Prediction(Protocol):
    """Something that predicts the tracks of a label set."""

    @property
    def named(self) -> Named:
        """How tables name it."""
        ...

    def predict(self, chunk: Chunk) -> np.ndarray:
        """Return values in track units, float32 ``[tracks, n, 896]`` or, of a window's value, ``[tracks, n, 1]``, for
        the tracks of the chunk; NaN where there is none."""
        ...


def window_means(values: np.ndarray, tracks: Sequence[Track], known: np.ndarray | None = None) -> np.ndarray:
    """Return each window's value, float32 ``[tracks, n]``, from those of its bins ``[tracks, n, bins]``: the mean, for
    a log2 enrichment the log2 of the mean enrichment. Over the bins that are finite and, with ``known`` (same shape),
    known; NaN where they are fewer than a quarter."""
    means = np.full(values.shape[:2], np.nan, np.float32)
    for index, track in enumerate(tracks):
        own = values[index]
        linear = np.exp2(own) if isinstance(track.transform, Exp2) else own
        kept = np.isfinite(own) if known is None else np.isfinite(own) & known[index]
        if kept.all():
            mean = linear.mean(axis=1, dtype=np.float64)
        else:
            count = kept.sum(axis=1)
            enough = count >= max(LEAST_OBSERVED * own.shape[1], 1)
            mean = np.where(kept, linear, 0).sum(axis=1, dtype=np.float64) / np.where(enough, count, np.nan)
        means[index] = np.log2(mean) if isinstance(track.transform, Exp2) else mean
    return means
