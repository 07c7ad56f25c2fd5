"""A small genome's values, made up, and their summaries from every base."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tracks.grid import BIN, BINS, WINDOW, bin_count, window_count
from tracks.virtual import Totals

SIZES = {
    "chr2": 3 * WINDOW,  # ends with a window
    "chr1": 1_000_001,  # within a bin, by one base
    "chr10": 16_571,  # shorter than a window
    "chr1_alt": 4 * WINDOW + 5 * BIN,  # with a bin
    "chr9": 77,  # shorter than a bin
    "chrN": 150_000,  # nothing is known here
}
"""Neither in the order of names nor of lengths."""


class Toy:
    """Random values of some tracks: of each window between some and all, in stretches; some windows are not known.

    It is ``Values``; ``asked`` lists the windows that it was asked for.
    """

    def __init__(self, sizes: Mapping[str, int] = SIZES, seed: int = 0, unknown: float = 0.2) -> None:
        self.sizes = sizes
        rng = np.random.default_rng(seed)
        self.bins: dict[str, np.ndarray] = {}
        self.known: dict[str, np.ndarray] = {}
        self.asked: list[tuple[str, int]] = []
        for chrom, length in sizes.items():
            windows = window_count(length)
            values = rng.normal(0.3, 1.0, (windows, BINS)).astype(np.float32)
            for window in values:
                for start in rng.integers(0, BINS, rng.integers(0, 4)):
                    window[start : start + rng.integers(1, 100)] = np.nan
            self.known[chrom] = rng.random(windows) >= unknown
            if chrom == "chrN":
                self.known[chrom][:] = False
            elif chrom == "chr1":
                self.known[chrom][[0, -1]] = True
                values[-1, (length - 1) // BIN % BINS] = 5.0  # one base
            elif chrom == "chr9":
                self.known[chrom][:] = True
                values[0, 0] = -5.0
            self.bins[chrom] = values

    def window(self, chrom: str, index: int) -> np.ndarray:
        """As ``Values`` has it: what is not known is computed then."""
        self.asked.append((chrom, index))
        return self.bins[chrom][index]

    def shown(self, chrom: str) -> np.ndarray:
        """All values of the bins that a chromosome has, float32 ``[bins]``."""
        return self.bins[chrom].ravel()[: bin_count(self.sizes[chrom])]

    def bases(self, chrom: str, only_known: bool = False) -> np.ndarray:
        """The value of each base, float32 ``[length]`` with NaN."""
        values = np.where(self.known[chrom][:, None], self.bins[chrom], np.nan) if only_known else self.bins[chrom]
        return np.repeat(values.ravel(), BIN)[: self.sizes[chrom]].astype(np.float32)

    def records(self, chrom: str, level: int, over: range) -> np.ndarray:
        """As ``Values`` has them, from each base."""
        size = 1024 * 4**level
        values = self.bases(chrom, only_known=True)
        return np.stack([summary(values[at * size : (at + 1) * size]) for at in over], axis=1)

    def totals(self) -> Totals:
        """Of all known values."""
        bases, *rest = summary(np.concatenate([self.bases(chrom, only_known=True) for chrom in self.sizes]))
        return Totals(int(bases), *map(float, rest))


def summary(values: np.ndarray) -> np.ndarray:
    """Bases with a value, least, most, sum and sum of squares, float64 ``[5]``."""
    there = values[~np.isnan(values)].astype(np.float64)
    if not len(there):
        return np.array([0, np.inf, -np.inf, 0, 0])
    return np.array([len(there), there.min(), there.max(), there.sum(), (there**2).sum()])
