"""Labels at 128-bp bins: covered fractions of intervals, and domains lifted between builds."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np

from tracks.grid import BIN, bin_count

if TYPE_CHECKING:
    from pathlib import Path

    from pyliftover import LiftOver

PIECE = 1_000
"""Domains are lifted in pieces of this many bases; the calls lie on a 20-kb grid."""


def read_intervals(path: Path, chrom: str) -> np.ndarray:
    """Return the intervals of one chromosome of a gzip BED file, int64 ``[n, 2]``, 0-based half-open."""
    with gzip.open(path, "rt") as lines:
        rows = [line.split("\t")[1:3] for line in lines if line.startswith(f"{chrom}\t")]
    return np.array(rows, np.int64).reshape(-1, 2)


def covered(intervals: np.ndarray, chrom_length: int) -> np.ndarray:
    """Return which bases any interval covers, bool ``[chrom_length]``."""
    steps = np.zeros(chrom_length + 1, np.int32)
    np.add.at(steps, np.minimum(intervals[:, 0], chrom_length), 1)
    np.add.at(steps, np.minimum(intervals[:, 1], chrom_length), -1)
    inside: np.ndarray = steps[:-1].cumsum() > 0
    return inside


def per_bin(bases: np.ndarray) -> np.ndarray:
    """Count the true bases of each bin, int64 ``[bins]``; the last bin may be short."""
    padded = np.zeros(bin_count(len(bases)) * BIN, bool)
    padded[: len(bases)] = bases
    counts: np.ndarray = padded.reshape(-1, BIN).sum(axis=1)
    return counts


def covered_fraction(intervals: np.ndarray, chrom_length: int) -> np.ndarray:
    """Return the fraction of each bin that intervals cover, float32 ``[bins]``; a short last bin counts its bases."""
    sizes = np.minimum(chrom_length - np.arange(bin_count(chrom_length)) * BIN, BIN)
    return (per_bin(covered(intervals, chrom_length)) / sizes).astype(np.float32)


def lifted_pieces(chain: LiftOver, chrom: str, old_length: int) -> np.ndarray:
    """Lift a chromosome in pieces: int64 ``[n, 3]`` of old start, new start and new end, 0-based half-open.

    A piece is kept when both its ends lift to one place each, on the same chromosome and strand, at most a piece's
    length further apart than before; so a piece that the chain splits or moves away is dropped.
    """
    pieces = []
    for start in range(0, old_length - PIECE + 1, PIECE):
        first, last = chain.convert_coordinate(chrom, start), chain.convert_coordinate(chrom, start + PIECE - 1)
        if not first or not last or len(first) > 1 or len(last) > 1:
            continue
        (chrom_a, a, strand_a, _), (chrom_b, b, strand_b, _) = first[0], last[0]
        if chrom_a == chrom_b == chrom and strand_a == strand_b and abs(b - a) < 2 * PIECE:
            pieces.append((start, min(a, b), max(a, b) + 1))
    return np.array(pieces, np.int64).reshape(-1, 3)


def lifted_fraction(domains: np.ndarray, pieces: np.ndarray, chrom_length: int) -> np.ndarray:
    """Return the covered fraction of each bin of the new build, float32 ``[bins]``, NaN where less than half of the
    bin was reached from the old one. ``domains`` are of the old build, ``[n, 2]``; a piece belongs to a domain that
    holds its middle."""
    middles = pieces[:, 0] + PIECE // 2
    inside = ((middles[:, None] >= domains[:, 0]) & (middles[:, None] < domains[:, 1])).any(axis=1)
    reached = per_bin(covered(pieces[:, 1:], chrom_length))
    within = per_bin(covered(pieces[inside, 1:], chrom_length))
    return np.where(reached >= BIN // 2, within / np.maximum(reached, 1), np.nan).astype(np.float32)
