"""Exact quantiles of many float32 columns that are read piece by piece, twice, in memory that does not grow.

A float32, its bits turned so that they sort as the numbers do, is counted by its upper 16 bits in the first pass; in
the second, those that share the upper bits of a quantile are counted by their lower 16 bits (a radix selection).
"""

from __future__ import annotations

import numpy as np

_HALF = 1 << 16


def _keys(values: np.ndarray) -> np.ndarray:
    """Whole numbers (uint32) in the order of float32 values; zero has one sign."""
    bits = (values + np.float32(0)).view(np.uint32)
    turned: np.ndarray = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return turned


def _value(key: int) -> float:
    bits = key & 0x7FFFFFFF if key >> 31 else ~key & 0xFFFFFFFF
    return float(np.array([bits], np.uint32).view(np.float32)[0])


class Distribution:
    """The distribution of one column: ``add`` all finite values (float32 ``[n]``), then ``count`` them all again.

    After the first pass ``n``, ``mean``, ``sd`` (of the values as they are, float64), ``minimum`` and ``maximum`` are
    known, after the second ``quantile`` and ``share``.
    """

    def __init__(self, quantiles: tuple[float, ...]) -> None:
        self._wanted = quantiles
        self._upper = np.zeros(_HALF, np.int64)
        self._slots: np.ndarray | None = None
        self._lower = np.zeros((0, _HALF), np.int64)
        self.n = 0
        self.mean = 0.0
        self._squares = 0.0
        self.minimum, self.maximum = np.inf, -np.inf

    def add(self, values: np.ndarray) -> None:
        """Take values in the first pass."""
        if not len(values):
            return
        np.add.at(self._upper, _keys(values) >> 16, 1)
        # Chan et al. 1983: means and squares of two parts to those of both, without a loss of digits.
        n, mean = len(values), float(values.mean(dtype=np.float64))
        apart, both = mean - self.mean, self.n + n
        self._squares += float(((values.astype(np.float64) - mean) ** 2).sum()) + apart**2 * self.n * n / both
        self.mean += apart * n / both
        self.n = both
        self.minimum, self.maximum = min(self.minimum, float(values.min())), max(self.maximum, float(values.max()))

    @property
    def sd(self) -> float:
        """The standard deviation, of all values (not of a sample)."""
        return float(np.sqrt(self._squares / self.n))

    def about(self, quantile: float) -> float:
        """Return a quantile after the first pass, to a part in a hundred."""
        return _value(int(np.searchsorted(np.cumsum(self._upper), self._rank(quantile), side="right")) << 16)

    def count(self, values: np.ndarray) -> None:
        """Take the same values in the second pass."""
        if self._slots is None:
            places = np.searchsorted(np.cumsum(self._upper), [self._rank(q) for q in self._wanted], side="right")
            own = np.unique(places)
            self._slots = np.full(_HALF, -1, np.int64)
            self._slots[own] = np.arange(len(own))
            self._lower = np.zeros((len(own), _HALF), np.int64)
        keys = _keys(values)
        slots = self._slots[keys >> 16]
        kept = slots >= 0
        np.add.at(self._lower.reshape(-1), slots[kept] << 16 | keys[kept] & 0xFFFF, 1)

    def _rank(self, quantile: float) -> int:
        return max(int(np.ceil(quantile * self.n)) - 1, 0)

    def quantile(self, quantile: float) -> float:
        """Return one of the quantiles: the least value that so many values do not exceed (numpy's inverted_cdf)."""
        return _value(self._place(quantile)[0])

    def share(self, quantile: float) -> float:
        """Return the fraction of all values that are equal to one of the quantiles."""
        return self._place(quantile)[1] / self.n

    def _place(self, quantile: float) -> tuple[int, int]:
        assert self._slots is not None
        rank, sums = self._rank(quantile), np.cumsum(self._upper)
        upper = int(np.searchsorted(sums, rank, side="right"))
        counts = self._lower[self._slots[upper]]
        lower = int(np.searchsorted(np.cumsum(counts), rank - (sums[upper] - self._upper[upper]), side="right"))
        return upper << 16 | lower, int(counts[lower])


def run_lengths(values: np.ndarray) -> np.ndarray:
    """Return how long each run of equal neighbours is, int64; NaN is no run."""
    edges = np.flatnonzero(np.append(True, values[1:] != values[:-1])) if len(values) else np.empty(0, np.int64)
    lengths: np.ndarray = np.diff(edges, append=len(values))[np.isfinite(values[edges])]
    return lengths
