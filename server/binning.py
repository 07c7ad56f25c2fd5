"""Piecewise-constant signals over the bins of a tile: exact sums, means, minima and maxima. Pure functions, float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Steps:
    """A piecewise-constant signal: values (a float type) ``[n]`` on sorted, disjoint spans ``[starts, ends)``.

    ``covered`` is how many bases of each span have the value: all of them, or fewer for a summary record.
    """

    starts: np.ndarray
    ends: np.ndarray
    values: np.ndarray
    covered: np.ndarray


def sums(signal: Steps, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum over covered bases, and the covered bases, between consecutive edges: two float64 ``[n - 1]``.

    A span that an edge cuts is shared out by length.
    """
    owners, before = _owners(signal, edges)
    if not len(signal.starts):
        return np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    at = np.minimum(owners, len(signal.starts) - 1)
    share = before * (signal.covered[at] / (signal.ends[at] - signal.starts[at]))
    return (
        _each(np.add, np.multiply(signal.values, signal.covered, dtype=np.float64), owners, 0)
        + np.diff(share * signal.values[at]),
        _each(np.add, signal.covered, owners, 0) + np.diff(share),
    )


def minima(signal: Steps, edges: np.ndarray) -> np.ndarray:
    """Return the least value on any span between consecutive edges, float64 ``[n - 1]``; NaN where there is none."""
    return _extremes(np.minimum, np.fmin, signal, edges)


def maxima(signal: Steps, edges: np.ndarray) -> np.ndarray:
    """Return the greatest value on any span between consecutive edges, float64 ``[n - 1]``; NaN where there is none."""
    return _extremes(np.maximum, np.fmax, signal, edges)


def _extremes(function: np.ufunc, either: np.ufunc, signal: Steps, edges: np.ndarray) -> np.ndarray:
    owners, before = _owners(signal, edges)
    found = _each(function, signal.values, owners, np.nan)
    cut = (before[1:] > 0) & (edges[1:] > edges[:-1])
    found[cut] = either(found[cut], signal.values[owners[1:][cut]])
    return found


def _owners(signal: Steps, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each edge, the first span that goes on after it, and how much of that span comes before the edge.

    So what lies between two edges are the spans from the one's owner up to the other's, less what comes before the
    one, and what comes before the other. There are few edges and may be many spans, which are not touched for this.
    """
    owners = np.searchsorted(signal.ends, edges, "right")
    before = np.zeros(len(edges), np.int64 if edges.dtype.kind == "i" else np.float64)
    there = owners < len(signal.starts)
    before[there] = np.maximum(edges[there] - signal.starts[owners[there]], 0)
    return owners, before


def _each(function: np.ufunc, amounts: np.ndarray, bounds: np.ndarray, nothing: float) -> np.ndarray:
    """Apply a function to the amounts between consecutive bounds; ``nothing`` where there are none."""
    found = np.full(len(bounds) - 1, nothing, np.float64)
    filled = bounds[1:] > bounds[:-1]
    if filled.any():
        found[filled] = function.reduceat(amounts[: bounds[-1]], bounds[:-1][filled])
    return found


def means(total: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Return float32 means; NaN where less than half a base is covered."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: np.ndarray = np.where(covered > 0.5, total / covered, np.nan).astype(np.float32)
    return mean
