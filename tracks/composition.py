"""Base composition of the genome on the bin grid: GC, CpG density and CpG observed/expected at any width.

Pure functions of integer counts, so that a bin's composition is one number however it was asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracks.genome import N
from tracks.grid import BIN, bin_count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracks.genome import Genome

_PIECE = 1 << 16

FEATURES = ("GC", "CpG density", "CpG observed/expected")

MIN_KNOWN_BASES = 64
"""A bin with fewer known bases than this (half a bin) has no value, observed or predicted (facts/data.md, trap 4)."""


def known_bases(codes: np.ndarray) -> np.ndarray:
    """Count the bases of each bin that are not N: uint8 codes ``[bins * 128]`` to int64 ``[bins]``."""
    counts: np.ndarray = (codes < N).reshape(-1, BIN).sum(axis=1)
    return counts


def known_bases_in_pieces(genome: Genome, chrom: str) -> Iterator[np.ndarray]:
    """Yield the known bases of the bins of a chromosome, int64 ``[<= 65536]`` at a time, in order."""
    bins = bin_count(genome.chrom_sizes[chrom])
    for first in range(0, bins, _PIECE):
        yield known_bases(genome.codes(chrom, first * BIN, min(first + _PIECE, bins) * BIN))


def bin_counts(codes: np.ndarray) -> np.ndarray:
    """Count known bases, C, G and CpG in each bin: uint8 codes ``[bins * 128 + 1]`` to int64 ``[bins, 4]``.

    The one extra base settles whether the last C starts a CpG; a CpG belongs to the bin of its C.
    """
    if len(codes) % BIN != 1:
        raise ValueError(f"codes must hold whole bins of {BIN} and one base more, found {len(codes)}")
    here, following = codes[:-1], codes[1:]
    marks = (here < 4, here == 1, here == 2, (here == 1) & (following == 2))
    return np.stack([mark.reshape(-1, BIN).sum(axis=1) for mark in marks], axis=1)


def half_width(width: int) -> int:
    """Return how many bins on each side of a bin a smoothing width in bases reaches."""
    return width // (2 * BIN)


def smoothed_counts(counts: np.ndarray, width: int) -> np.ndarray:
    """Sum counts ``[bins, 4]`` over the bins within ``width / 2`` bases of each bin; outside the array counts as N."""
    half = half_width(width)
    bins = len(counts)
    total = np.concatenate([np.zeros((1, counts.shape[1]), np.int64), counts.cumsum(axis=0, dtype=np.int64)])
    at = np.arange(bins)
    smoothed: np.ndarray = total[np.minimum(at + half + 1, bins)] - total[np.maximum(at - half, 0)]
    return smoothed


def composition(counts: np.ndarray) -> np.ndarray:
    """Return GC, CpG density and CpG observed/expected, float64 ``[bins, 3]``, for counts ``[bins, 4]``.

    Observed/expected is ``CpG * known / (C * G)`` (Gardiner-Garden & Frommer 1987). NaN where undefined.
    """
    known, c, g, cpg = counts.astype(np.float64).T
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.stack([(c + g) / known, cpg / known, np.where(c * g > 0, cpg * known / (c * g), np.nan)], axis=1)


def known_fraction(smoothed: np.ndarray, width: int) -> np.ndarray:
    """Return the fraction of the bases around each bin that are known, for counts smoothed over ``width``."""
    fraction: np.ndarray = smoothed[:, 0] / ((2 * half_width(width) + 1) * BIN)
    return fraction
