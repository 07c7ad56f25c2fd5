"""Observed tracks of a project on the bin grid, masked where the sequence is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracks.bigwig import read_bins, read_chrom_sizes
from tracks.composition import MIN_KNOWN_BASES
from tracks.errors import UsageError
from tracks.regions import Region

if TYPE_CHECKING:
    from tracks.remote.source import Source


LEAST_OBSERVED = 0.25
"""A window, or a coarser bin, is observed when this fraction of its 128-bp bins is. CpG methylation is known only where
there are CpGs, and asking for more would score CpG-rich sequence alone."""


def mean_of_known(values: np.ndarray, known: np.ndarray, axis: int, least: float = LEAST_OBSERVED) -> np.ndarray:
    """Return the mean along an axis over what is known, float64; NaN where less than the fraction ``least`` is, and
    where nothing is. Arrays of one shape, which loses the axis."""
    count = known.sum(axis=axis)
    enough = count >= max(least * values.shape[axis], 1)
    mean: np.ndarray = np.where(known, values, 0).sum(axis=axis, dtype=np.float64) / np.where(enough, count, np.nan)
    return mean


def read_observed(path: Source | None, chrom: str, length: int, known: np.ndarray) -> np.ndarray:
    """Return a bigWig's values on a whole chromosome, float32 ``[bins]``, for the known bases of each bin ``[bins]``;
    NaN where the track, or the sequence, is not known.

    Raises UsageError when the file gives the chromosome another length, which is then of another genome.
    """
    sizes = read_chrom_sizes(path) if path is not None else {}
    if path is None or chrom not in sizes:
        return np.full(len(known), np.nan, np.float32)
    if sizes[chrom] != length:
        raise UsageError(
            f"{path} is of another genome: its {chrom} has {sizes[chrom]:,} bases, the project's {length:,}"
        )
    values = read_bins(path, Region(chrom, 0, length))
    values[known < MIN_KNOWN_BASES] = np.nan
    return values
