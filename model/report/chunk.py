"""Windows on their way through an evaluation: observed tracks, and what predicts them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from model.report.table import label_of
from tracks.observed import mean_of_known
from tracks.transform import is_log2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracks.track import Track
    from tracks.windows import Scope


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
        return label_of(self.model, self.head)


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
        linear = np.exp2(own) if is_log2(track.transform) else own
        kept = np.isfinite(own) if known is None else np.isfinite(own) & known[index]
        mean = linear.mean(axis=1, dtype=np.float64) if kept.all() else mean_of_known(linear, kept, 1)
        means[index] = np.log2(mean) if is_log2(track.transform) else mean
    return means


def groups_of(tracks: Sequence[Track], predicted: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """Return the groups of tracks of one assay and unit, of two biosamples at least, among those that ``predicted``
    bool ``[tracks]`` marks."""
    groups: dict[tuple[str, str], list[int]] = {}
    for index, track in enumerate(tracks):
        if predicted[index]:
            groups.setdefault((track.assay, track.unit), []).append(index)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)
