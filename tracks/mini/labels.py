"""Labels at 128-bp bins: the fraction of a bin that intervals cover.

Intervals are int64 ``[n, 2]``, 0-based half-open, in any order unless said otherwise.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np

from tracks.binning import bin_sums
from tracks.errors import TracksError
from tracks.grid import BIN, bin_count
from tracks.runs import Runs, union

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
    return np.stack(union(*intervals.T), axis=1)


def covered_bases(intervals: np.ndarray, chrom_length: int) -> np.ndarray:
    """Count the bases of each bin that any interval covers, int64 ``[bins]``."""
    starts, ends = union(*np.clip(intervals, 0, chrom_length).T)
    kept = starts < ends
    runs = Runs.of(starts[kept], ends[kept], np.ones(kept.sum()))
    return bin_sums([runs], 0, bin_count(chrom_length)).covered


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
