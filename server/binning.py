"""Exact means of piecewise-constant signals over the bins of a tile. Pure functions, float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Steps:
    """A piecewise-constant signal: values float64 ``[n]`` on sorted, disjoint spans ``[starts, ends)``.

    ``covered`` is how many bases of each span have the value: all of them, or fewer for a summary record.
    """

    starts: np.ndarray
    ends: np.ndarray
    values: np.ndarray
    covered: np.ndarray

    def shifted(self, by: int) -> Steps:
        """Return the signal moved along the axis."""
        return Steps(self.starts + by, self.ends + by, self.values, self.covered)


def steps(spans: np.ndarray) -> Steps:
    """Make a signal of rows (start, end, value); rows whose value is no number are left out."""
    spans = np.asarray(spans, np.float64).reshape(-1, 3)
    spans = spans[np.isfinite(spans[:, 2])]
    starts, ends, values = spans.T
    return Steps(starts, ends, values, ends - starts)


def bins_as_steps(values: np.ndarray, first_edge: int, width: int, end: int) -> Steps:
    """Make a signal of consecutive bins ``[n]`` from ``first_edge``, the last one cut at ``end``; NaN is left out."""
    edges = np.minimum(first_edge + width * np.arange(len(values) + 1, dtype=np.float64), end)
    there = np.isfinite(values) & (edges[1:] > edges[:-1])
    starts, ends = edges[:-1][there], edges[1:][there]
    return Steps(starts, ends, values[there].astype(np.float64), ends - starts)


def sums(signal: Steps, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum over covered bases, and the covered bases, between consecutive edges: two float64 ``[n - 1]``."""
    if not len(signal.starts):
        nothing = np.zeros(len(edges) - 1)
        return nothing, nothing
    # Both running integrals are straight lines between the ends of spans, so interpolating them at the edges is
    # exact, wherever an edge falls.
    at = np.stack([signal.starts, signal.ends], axis=1).ravel()
    return _between(at, signal.values * signal.covered, edges), _between(at, signal.covered, edges)


def _between(at: np.ndarray, amounts: np.ndarray, edges: np.ndarray) -> np.ndarray:
    after = np.cumsum(amounts)
    running = np.stack([after - amounts, after], axis=1).ravel()
    between: np.ndarray = np.diff(np.interp(edges, at, running))
    return between


def means(total: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Return float32 means; NaN where less than half a base is covered."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: np.ndarray = np.where(covered > 0.5, total / covered, np.nan).astype(np.float32)
    return mean
