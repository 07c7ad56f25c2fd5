"""Tilesets: what HiGlass draws from. The protocol is higlass-python's own: ``info()`` and ``tiles(ids)``.

So one object answers the server's routes and works in a notebook (``tileset.track("horizontal-bar")``).
"""

from __future__ import annotations

import abc
import functools
import threading
from typing import TYPE_CHECKING, Any

import higlass
import numpy as np
import pybigtools
from clodius.tiles.format import format_dense_tile

from server.axis import TILE_BINS, Axis, Tile
from server.binning import Steps, means, steps, sums
from tracks.errors import TracksError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tracks.regions import Region

TileData = dict[str, Any] | list[dict[str, Any]]


class Tileset(higlass.Tileset, abc.ABC):  # type: ignore[misc]
    """A tileset on a genome axis. Subclasses say what one tile holds; errors stay inside the tile they belong to."""

    datatype = "vector"

    def __init__(self, uid: str, name: str, axis: Axis, coordinates: str) -> None:
        self.uid, self.name, self.axis, self.coordinates = uid, name, axis, coordinates

    def info(self) -> dict[str, Any]:
        """Return the tileset_info that HiGlass asks for once."""
        return self.axis.info(self.name, self.coordinates, uuid=self.uid, datatype=self.datatype)

    def tiles(self, tile_ids: Sequence[str], /) -> list[tuple[str, TileData]]:
        """Return each tile, or ``{"error": text}`` for one that cannot be made."""
        return [(tile_id, self._answer(tile_id)) for tile_id in tile_ids]

    def _answer(self, tile_id: str) -> TileData:
        try:
            return self.tile(self.axis.tile(tile_id))
        except TracksError as error:
            return {"error": str(error)}

    @abc.abstractmethod
    def tile(self, tile: Tile) -> TileData:
        """Return one tile's content; raises TracksError when it cannot be made."""


def dense_tile(values: np.ndarray) -> dict[str, Any]:
    """Encode float32 ``[1024]`` as HiGlass reads it; a tile with NaN is float32, because its half floats have none."""
    tile: dict[str, Any] = format_dense_tile(values)
    return tile


class ChromSizesTileset(Tileset):
    """The chromosomes themselves: information only."""

    datatype = "chromsizes"

    def tile(self, tile: Tile) -> TileData:
        """Raise: there is nothing to draw here."""
        raise UsageError("chromosome sizes have no tiles; ask for tileset_info")


class ObservedTileset(Tileset):
    """An observed bigWig file: exactly 1,024 bins a tile, each the mean of its covered bases, NaN where none is.

    Unlike clodius 0.20 (facts T2), a bin that crosses a chromosome border averages both sides, and every bin lies
    where the axis says. Up to 16 kb a bin the means are exact; wider ones come from the file's zoom records that
    are at most an eighth of a bin, so that only those on a bin's two edges are shared out evenly.
    """

    _EXACT_WIDTH = 1 << 14
    _KEPT_TILES = 2048

    def __init__(self, uid: str, name: str, axis: Axis, coordinates: str, path: Path) -> None:
        super().__init__(uid, name, axis, coordinates)
        self.path = path
        self._local = threading.local()
        self._chroms: dict[str, int] = dict(self._reader().chroms())
        self._zooms: tuple[int, ...] = tuple(sorted(self._reader().zooms()))
        self._kept = functools.lru_cache(self._KEPT_TILES)(lambda tile: dense_tile(self.values(tile)))

    def tile(self, tile: Tile) -> TileData:
        """Return one dense tile."""
        return self._kept(tile)

    def values(self, tile: Tile) -> np.ndarray:
        """Return the tile's means, float32 ``[1024]``."""
        edges = tile.start + tile.bin_width * np.arange(TILE_BINS + 1, dtype=np.float64)
        total, covered = np.zeros(TILE_BINS), np.zeros(TILE_BINS)
        for piece in self.axis.pieces(tile.start, tile.end):
            if piece.region.chrom in self._chroms:
                signal = self._steps(piece.region, tile.bin_width).shifted(piece.start - piece.region.start)
                inside = np.clip(edges, piece.start, piece.start + len(piece.region))
                more, bases = sums(signal, inside)
                total, covered = total + more, covered + bases
        return means(total, covered)

    def _reader(self) -> Any:
        # A pybigtools handle holds a file position, so each thread has its own.
        if not hasattr(self._local, "reader"):
            try:
                self._local.reader = pybigtools.open(str(self.path))
                self._local.reader.zooms()
            except (pybigtools.BBIReadError, OSError, ValueError, RuntimeError) as error:
                raise TracksError(f"cannot read the observed track {self.path}: {error}") from error
        return self._local.reader

    def _steps(self, region: Region, bin_width: int) -> Steps:
        start, end = region.start, min(region.end, self._chroms[region.chrom])
        if start >= end:
            return steps(np.empty((0, 3)))
        fitting = [zoom for zoom in self._zooms if 8 * zoom <= bin_width]
        if bin_width <= self._EXACT_WIDTH or not fitting:
            return steps(np.array(list(self._reader().records(region.chrom, start, end)), np.float64))
        records = [
            (first, last, summary["sum"] / summary["bases_covered"], summary["bases_covered"])
            for first, last, summary in self._reader().zoom_records(fitting[-1], region.chrom, start, end)
            if summary["bases_covered"]
        ]
        starts, ends, values, covered = np.array(records, np.float64).reshape(-1, 4).T
        return Steps(starts, ends, values, covered)
