"""What a virtual bigWig is a file of: a genome's values by window, and their summaries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Totals:
    """What the header of a bigWig says of all its values: viewers take a track's axis from it.

    ``bases`` have a value. ``sum`` and ``squares`` are over bases.
    """

    bases: int
    least: float
    most: float
    sum: float
    squares: float


class Summaries(Protocol):
    """What one track's values over a genome come to."""

    def records(self, chrom: str, level: int, over: range) -> np.ndarray:
        """Return summaries of stretches of ``1,024 * 4 ** level`` bases, the chromosome's ``over``-th.

        Float64 ``[5, len(over)]``: bases with a value (0 where nothing is known), least and most value, and sum and
        sum of squares over bases.
        """
        ...


class Values(Summaries, Protocol):
    """One track's values over a genome. What a method takes long for may be waited for, and may raise."""

    def window(self, chrom: str, index: int) -> np.ndarray:
        """Return the values of one window, float32 ``[896]``; NaN is missing. What is past the chromosome's end is
        not looked at."""
        ...
