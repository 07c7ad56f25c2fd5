"""A label set: what was measured in each of a list of windows, for training heads and for evaluation.

A label set is read by rows, so that memory is bounded by the batch. Labels are what heads are trained on (a 0 to 500
scale in the published files); the transform of each track gives the value in the track's unit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from tracks.track import values_of

if TYPE_CHECKING:
    from tracks.split import Fold
    from tracks.track import Track
    from tracks.windows import Scope, WindowRow


class LabelSet(Protocol):
    """Labels of windows by row. ``labels`` gives float32 ``[n, 896, tracks]`` (scope bins) or ``[n, 1, tracks]``
    (scope window), NaN where missing; ``coverage`` the calls behind each, same shape, or None where unknown."""

    name: str
    windows: tuple[WindowRow, ...]
    scopes: tuple[Scope, ...]

    def tracks(self, scope: Scope) -> tuple[Track, ...]:
        """Return the tracks in the order of the columns, with the transforms of this scope."""

    def labels(self, rows: np.ndarray, scope: Scope) -> np.ndarray:
        """Return the labels of some rows."""

    def coverage(self, rows: np.ndarray, scope: Scope) -> np.ndarray | None:
        """Return the calls behind each label of some rows, NaN for tracks whose calls are not known."""


def values(label_set: LabelSet, rows: np.ndarray, scope: Scope) -> np.ndarray:
    """Return the labels of some rows in track units, float32 ``[n, 896 or 1, tracks]``."""
    return values_of(label_set.labels(rows, scope), label_set.tracks(scope))


def rows_of(label_set: LabelSet, fold: Fold) -> np.ndarray:
    """Return the rows of a fold, int64, in order."""
    return np.array([row for row, window in enumerate(label_set.windows) if window.fold == fold], np.int64)
