"""Augmentation of training windows: the other strand, a small shift, and the N pattern of another window."""

from __future__ import annotations

import numpy as np

from tracks.composition import known_bases
from tracks.genome import N
from tracks.grid import BIN, FLANK

MAX_SHIFT = BIN // 2


def reverse_complement(codes: np.ndarray) -> np.ndarray:
    """Return the other strand of base codes ``[L]``, read from its own start; N stays N."""
    other = codes[::-1]
    return np.where(other < N, 3 - other, N).astype(np.uint8)


def with_gaps(codes: np.ndarray, donor: np.ndarray) -> np.ndarray:
    """Return the codes with N wherever the donor window, of the same length, has N."""
    return np.where(donor == N, N, codes).astype(np.uint8)


def without_unknown_bins(labels: np.ndarray, codes: np.ndarray, min_known: int) -> np.ndarray:
    """Return labels ``[bins, tracks]`` with NaN where a bin of the window holds too few known bases.

    ``codes`` is the window's whole input, ``[131072]``; the bins lie between its flanks.
    """
    known = known_bases(codes[FLANK : len(codes) - FLANK])
    return np.where(known[:, None] < min_known, np.float32(np.nan), labels)
