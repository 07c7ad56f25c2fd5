"""Tilesets: what HiGlass draws from. The protocol is higlass-python's own: ``info()`` and ``tiles(ids)``.

So one object answers the server's routes and works in a notebook (``tileset.track("horizontal-bar")``).
"""

from __future__ import annotations

import abc
import base64
from typing import TYPE_CHECKING, Any

import higlass
import numpy as np

from server.axis import MODES, TILE_BINS
from server.axis_signal import AxisSignal
from server.byte_cache import ByteCache
from tracks.errors import TracksError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from server.axis import Axis, Tile

_HALF_MOST = float(np.finfo(np.float16).max)
_MODE_NAMES = dict(zip(MODES, ("Mean", "Min", "Max"), strict=True))
_KEPT_BYTES = 8 << 20
"""Tiles that one observed track keeps: a thousand and more."""

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
    """Encode float32 ``[1024]`` as HiGlass reads it; a tile with NaN is float32, because its half floats have none.

    The same as ``clodius.tiles.format.format_dense_tile``, which takes longer and changes the warning filters, which
    threads share.
    """
    numbers = values[~np.isnan(values)]
    least, most = (float(numbers.min()), float(numbers.max())) if len(numbers) else (np.nan, np.nan)
    half = len(numbers) == len(values) and least > -_HALF_MOST and most < _HALF_MOST
    kind = "float16" if half else "float32"
    return {
        "min_value": least if len(numbers) else "NaN",
        "max_value": most if len(numbers) else "NaN",
        "dense": base64.b64encode(values.astype(kind).tobytes()).decode(),
        "size": 1,
        "dtype": kind,
    }


def _bytes_of(tile: dict[str, Any]) -> int:
    return len(tile["dense"]) + 1024  # the other entries, and Python's own


class ChromSizesTileset(Tileset):
    """The chromosomes themselves: information only."""

    datatype = "chromsizes"

    def tile(self, tile: Tile) -> TileData:
        """Raise: there is nothing to draw here."""
        raise UsageError("chromosome sizes have no tiles; ask for tileset_info")


class ObservedTileset(Tileset):
    """An observed bigWig file: exactly 1,024 bins a tile, each the mean (or least, or greatest value) of its covered
    bases, NaN where none is; every bin lies where the axis says (``server.axis_signal``).

    Raises UsageError when the file is not there or shares no chromosome with the axis, TracksError when it is damaged.
    """

    def __init__(self, uid: str, name: str, axis: Axis, coordinates: str, path: Path) -> None:
        super().__init__(uid, name, axis, coordinates)
        self.path = path
        self._signal = AxisSignal(path, axis)
        self._kept: ByteCache[dict[str, Any]] = ByteCache(_KEPT_BYTES, _bytes_of)

    def info(self) -> dict[str, Any]:
        """Return the tileset_info, with the aggregation modes that tile ids may end in."""
        modes = {mode: {"name": label, "value": mode} for mode, label in _MODE_NAMES.items()}
        return {**super().info(), "aggregation_modes": modes}

    def tile(self, tile: Tile) -> TileData:
        """Return one dense tile. Raises TracksError when the file is damaged."""
        return self._kept.get((tile.start, tile.end, tile.mode), lambda: dense_tile(self.values(tile)))

    def values(self, tile: Tile) -> np.ndarray:
        """Return the tile's bins, float32 ``[1024]``."""
        return self._signal.bins(tile.start, tile.bin_width, TILE_BINS, tile.mode)
