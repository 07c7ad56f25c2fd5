"""Positions and domains of one chromosome in another build, where they stay on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracks.grid import BIN
from tracks.liftover.lift import lift_points
from tracks.mini.labels import covered_bases, inside

if TYPE_CHECKING:
    from tracks.liftover.lift import Route

PIECE = 1_000
"""Domains are lifted in pieces of this many bases; the calls lie on a 20-kb grid."""


def lift_positions(route: Route, chrom: str, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lift 0-based positions of a chromosome: new positions int64 ``[n]``, -1 where there is no one place on the
    same chromosome, and whether each lies on the reverse strand now, bool ``[n]``."""
    found = lift_points(route, chrom, positions)
    stays = np.array([name == chrom for name in route.target_sizes])[found.targets] & (found.targets >= 0)
    return np.where(stays, found.positions, -1), found.reverse & stays


def lifted_pieces(route: Route, chrom: str, old_length: int, piece: int = PIECE) -> np.ndarray:
    """Lift a whole chromosome in pieces: int64 ``[n, 3]`` of old start, new start and new end, 0-based half-open.

    A piece is kept when both its ends lift to one place each, on the same chromosome and strand, less than twice as
    far apart as before. So an inverted piece is turned, and one that the chain splits or moves away is dropped.
    """
    starts = np.arange(0, old_length - piece + 1, piece)
    first, first_reverse = lift_positions(route, chrom, starts)
    last, last_reverse = lift_positions(route, chrom, starts + piece - 1)
    kept = (first >= 0) & (last >= 0) & (first_reverse == last_reverse) & (np.abs(last - first) < 2 * piece)
    low, high = np.minimum(first, last), np.maximum(first, last) + 1
    pieces: np.ndarray = np.stack([starts, low, high], axis=1)[kept]
    return pieces


def lifted_fraction(domains: np.ndarray, pieces: np.ndarray, chrom_length: int, piece: int = PIECE) -> np.ndarray:
    """Return the fraction of each bin of the new build that lifted domains cover, float32 ``[bins]``.

    ``domains`` are of the old build, ``[n, 2]``; a piece belongs to the domain that holds its middle, and counts with
    its neighbours where they meet. A bin of which less than half was reached from the old build is NaN: whether
    it belongs to a domain is unknown.
    """
    within = inside(pieces[:, 0] + piece // 2, domains)
    reached = covered_bases(pieces[:, 1:], chrom_length)
    covered = covered_bases(pieces[within, 1:], chrom_length)
    return np.where(reached >= BIN // 2, covered / np.maximum(reached, 1), np.nan).astype(np.float32)
