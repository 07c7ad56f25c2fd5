"""Runs: stretches of one chromosome that have one value each, as signal files hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike


def union(starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the union of spans in any order as disjoint ones that do not touch, by start (int64)."""
    order = np.argsort(starts, kind="stable")
    starts, reach = starts[order], np.maximum.accumulate(ends[order])
    first = np.append(True, starts[1:] > reach[:-1])[: len(starts)]
    return starts[first], reach[np.append(first[1:], True)[: len(starts)]]


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs of one chromosome by start, without overlap: ``starts`` and ``ends`` int64 ``[n]`` (0-based half-open),
    ``values`` float32 ``[n]``, all finite. What lies between them is missing."""

    starts: np.ndarray
    ends: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    @classmethod
    def none(cls) -> Runs:
        """No runs at all."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))

    @classmethod
    def of(cls, starts: ArrayLike, ends: ArrayLike, values: ArrayLike) -> Runs:
        """Make runs of anything that NumPy takes for numbers."""
        return cls(np.asarray(starts, np.int64), np.asarray(ends, np.int64), np.asarray(values, np.float32))

    @classmethod
    def joined(cls, parts: Sequence[Runs]) -> Runs:
        """Put runs that follow one another together."""
        if not parts:
            return cls.none()
        columns = zip(*((part.starts, part.ends, part.values) for part in parts), strict=True)
        return cls(*(np.concatenate(column) for column in columns))
