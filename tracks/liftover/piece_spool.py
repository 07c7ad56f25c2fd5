"""What was lifted, kept on disk by target chromosome and tile, so that each tile can be sorted by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracks.bigwig_writer import cut
from tracks.liftover.lift import Pieces
from tracks.spool import Spool, by_tile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TILE = 1 << 19
"""Bases of a target in one tile: with a value at each base, sorting one takes about 100 MB."""


class PieceSpool:
    """Pieces of one source chromosome after another, with a value each, cut at the tiles' borders."""

    def __init__(self, folder: Path) -> None:
        self._spool = Spool(folder)

    def add(self, source: int, pieces: Pieces, values: np.ndarray) -> None:
        """Keep pieces of source chromosome ``source`` and their values float32 ``[n]``."""
        of, starts, ends = cut(pieces.starts, pieces.ends, TILE)
        parts, values = pieces.parts(of, starts, ends), values[of]
        for chrom, tile, here in by_tile(parts.targets, parts.starts, TILE):
            chosen = parts[here]
            # Positions fit into 32 bits in every format that is written; the interval's number is not asked for again.
            columns = (chosen.source_starts, chosen.source_ends, chosen.starts, chosen.ends)
            packed = tuple(column.astype(np.uint32) for column in columns)
            self._spool.add(chrom, tile, (source, packed, chosen.reverse, values[here]))

    def tiles(self) -> Iterator[tuple[int, np.ndarray, Pieces, np.ndarray]]:
        """Yield of each tile its chromosome, and of its pieces by start their source chromosome, and their values."""
        for chrom, items in self._spool.tiles():
            sources = np.concatenate([np.full(len(values), source, np.int32) for source, _, _, values in items])
            columns = [np.concatenate(column) for column in zip(*(packed for _, packed, _, _ in items), strict=True)]
            reverse = np.concatenate([reverse for _, _, reverse, _ in items])
            values = np.concatenate([values for _, _, _, values in items])
            items.clear()
            order = np.argsort(columns[2], kind="stable")
            source_starts, source_ends, starts, ends = (column[order].astype(np.int64) for column in columns)
            targets = np.full(len(order), chrom, np.int32)
            pieces = Pieces(order, source_starts, source_ends, targets, starts, ends, reverse[order])
            yield chrom, sources[order], pieces, values[order]
