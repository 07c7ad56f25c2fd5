"""Positions and domains of one genome build on another, by UCSC chain files read with pyliftover."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pyliftover import LiftOver

from tracks.errors import TracksError
from tracks.grid import BIN
from tracks.mini.labels import covered_bases, inside

if TYPE_CHECKING:
    from pathlib import Path

PIECE = 1_000
"""Domains are lifted in pieces of this many bases; the calls lie on a 20-kb grid."""


def read_chain(path: Path) -> LiftOver:
    """Open a chain file. Raises TracksError when it cannot be read."""
    try:
        return LiftOver(str(path))
    except Exception as error:  # pyliftover raises plain Exception for a bad line
        raise TracksError(f"cannot read the chain file {path}: {error}") from error


def lift_positions(chain: LiftOver, chrom: str, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lift 0-based positions of a chromosome: new positions int64 ``[n]``, -1 where there is no one place on the
    same chromosome, and whether each lies on the reverse strand now, bool ``[n]``."""
    lifted = np.full(len(positions), -1, np.int64)
    reverse = np.zeros(len(positions), bool)
    for index, position in enumerate(positions.tolist()):
        places = chain.convert_coordinate(chrom, position)
        if places and len(places) == 1 and places[0][0] == chrom:
            lifted[index], reverse[index] = places[0][1], places[0][2] == "-"
    return lifted, reverse


def lifted_pieces(chain: LiftOver, chrom: str, old_length: int, piece: int = PIECE) -> np.ndarray:
    """Lift a whole chromosome in pieces: int64 ``[n, 3]`` of old start, new start and new end, 0-based half-open.

    A piece is kept when both its ends lift to one place each, on the same chromosome and strand, less than twice as
    far apart as before. So an inverted piece is turned, and one that the chain splits or moves away is dropped.
    """
    starts = np.arange(0, old_length - piece + 1, piece)
    first, first_reverse = lift_positions(chain, chrom, starts)
    last, last_reverse = lift_positions(chain, chrom, starts + piece - 1)
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
