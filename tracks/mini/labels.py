"""Labels at 128-bp bins: the fraction of a bin that intervals cover.

Intervals are int64 ``[n, 2]``, 0-based half-open, in any order unless said otherwise.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np

from tracks.errors import TracksError
from tracks.grid import BIN, bin_count

if TYPE_CHECKING:
    from pathlib import Path


def read_intervals(path: Path, chrom: str) -> np.ndarray:
    """Return the intervals of one chromosome of a gzip BED file, in file order.

    Raises TracksError when the file cannot be read or holds a line that is no interval.
    """
    try:
        with gzip.open(path, "rt") as lines:
            rows = [line.split()[1:3] for line in lines if line.split(None, 1)[:1] == [chrom]]
        return np.array(rows, np.int64).reshape(-1, 2)
    except (OSError, EOFError, ValueError) as error:
        raise TracksError(f"cannot read the intervals of {chrom} in {path}: {error}") from error


def merged(intervals: np.ndarray) -> np.ndarray:
    """Return the union of intervals as disjoint ones, by start; neighbours that touch are joined."""
    if not len(intervals):
        return intervals
    starts, ends = intervals[np.argsort(intervals[:, 0], kind="stable")].T
    reach = np.maximum.accumulate(ends)
    first = np.concatenate([[True], starts[1:] > reach[:-1]])
    return np.stack([starts[first], reach[np.append(first[1:], True)]], axis=1)


def covered_bases(intervals: np.ndarray, chrom_length: int) -> np.ndarray:
    """Count the bases of each bin that any interval covers, int64 ``[bins]``."""
    disjoint = merged(np.clip(intervals, 0, chrom_length))
    edges = np.arange(bin_count(chrom_length) + 1) * BIN
    if not len(disjoint):
        return np.zeros(len(edges) - 1, np.int64)
    starts, ends = disjoint.T
    # Bases covered before each edge: whole intervals, and the part of the one that the edge lies in.
    before = np.concatenate([[0], np.cumsum(ends - starts)])
    last = np.searchsorted(starts, edges, side="right") - 1
    part = np.where(last >= 0, np.minimum(edges, ends[last]) - starts[last], 0)
    return np.diff(before[np.maximum(last, 0)] + part)


def covered_fraction(intervals: np.ndarray, chrom_length: int) -> np.ndarray:
    """Return the fraction of each bin that intervals cover, float32 ``[bins]``; a short last bin counts its bases."""
    sizes = np.minimum(chrom_length - np.arange(bin_count(chrom_length)) * BIN, BIN)
    return (covered_bases(intervals, chrom_length) / sizes).astype(np.float32)


def inside(positions: np.ndarray, intervals: np.ndarray) -> np.ndarray:
    """Return which positions any interval holds, bool ``[n]``."""
    disjoint = merged(intervals)
    if not len(disjoint):
        return np.zeros(len(positions), bool)
    last = np.searchsorted(disjoint[:, 0], positions, side="right") - 1
    held: np.ndarray = (last >= 0) & (positions < disjoint[last, 1])
    return held
