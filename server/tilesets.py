"""Tilesets: what HiGlass draws from. The protocol is higlass-python's own: ``info()`` and ``tiles(ids)``.

So one object answers the server's routes and works in a notebook (``tileset.track("horizontal-bar")``).
"""

from __future__ import annotations

import abc
import base64
import contextvars
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import higlass
import numpy as np

from server.axis import MODES, TILE_BINS
from server.axis_signal import AxisSignal
from server.byte_cache import ByteCache
from tracks.errors import TracksError, UsageError
from tracks.remote.allowance import answer_of
from tracks.remote.errors import RemoteChangedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from server.axis import Axis, Tile
    from tracks.regions import Region
    from tracks.remote.source import Source

_HALF_MOST = float(np.finfo(np.float16).max)
_MODE_NAMES = dict(zip(MODES, ("Mean", "Min", "Max"), strict=True))
_KEPT_BYTES = 8 << 20
"""Tiles that one observed track keeps: a thousand and more."""
_TOGETHER = 8

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

    ``source`` is a path, or an address on another server; ``path`` is None for the latter. A file of this machine is
    opened at once, and others when they are first asked for (``later``): what is wrong with one is said by its tiles.

    Raises UsageError when a file that is opened at once is not there or shares no chromosome with the axis, TracksError
    when it is damaged.
    """

    def __init__(
        self, uid: str, name: str, axis: Axis, coordinates: str, source: Source, *, later: bool = False
    ) -> None:
        super().__init__(uid, name, axis, coordinates)
        self.source = source
        self.path = source if isinstance(source, Path) else None
        self._later = later or self.path is None
        self._signal: AxisSignal | None = None
        self._extent: tuple[float, float] | None = None
        self._kept: ByteCache[dict[str, Any]] = ByteCache(_KEPT_BYTES, _bytes_of)
        if not self._later:
            self.signal()

    def info(self) -> dict[str, Any]:
        """Return the tileset_info, with the aggregation modes that tile ids may end in."""
        modes = {mode: {"name": label, "value": mode} for mode, label in _MODE_NAMES.items()}
        return {**super().info(), "aggregation_modes": modes}

    @property
    def opened(self) -> bool:
        """Whether the file was opened."""
        return self._signal is not None

    @property
    def extent(self) -> tuple[float, float] | None:
        """The least and the greatest value, as far as they are known: of a file that has not been opened, they are
        not."""
        return self._extent

    def signal(self) -> AxisSignal:
        """Return the file on the axis, opened where it is not. Raises TracksError (RemoteError) when it cannot be."""
        signal = self._signal
        if signal is None:
            # Not one at a time: of threads that wait for another server, each waits for as long as it may.
            with answer_of(self.source):
                signal = self.opened_anew() if self._later else AxisSignal(self.source, self.axis)
            if signal.extent is not None and all(map(math.isfinite, signal.extent)):
                self._extent = signal.extent
            self._signal = signal
        return signal

    def opened_anew(self) -> AxisSignal:
        """Return the file on the axis as it is now. Raises TracksError (RemoteError) when it cannot be opened."""
        try:
            return AxisSignal(self.source, self.axis)
        except UsageError as error:
            # Those who look at a page have not named the file, and are not told where it lies.
            raise TracksError(str(error)) from error

    def tile(self, tile: Tile) -> TileData:
        """Return one dense tile. Raises TracksError when the file is damaged, RemoteError when its server does not
        give it."""
        return self._kept.get((tile.start, tile.end, tile.mode), lambda: dense_tile(self.values(tile)))

    def values(self, tile: Tile) -> np.ndarray:
        """Return the tile's bins, float32 ``[1024]``."""
        return self._read(lambda signal: signal.bins(tile.start, tile.bin_width, TILE_BINS, tile.mode))

    def region_bins(self, region: Region) -> np.ndarray:
        """Return the 128-bp bins that touch a region, float32 ``[bins]``, as ``AxisSignal.region_bins`` does."""
        return self._read(lambda signal: signal.region_bins(region))

    def _read(self, ask: Callable[[AxisSignal], np.ndarray]) -> np.ndarray:
        """Ask the file, which is one answer; where it changed at its server, the new one."""
        with answer_of(self.source):
            try:
                return ask(self.signal())
            except RemoteChangedError:
                self._signal = None
                self._kept.clear()
                return ask(self.signal())


def fetch_together(wanted: Sequence[tuple[ObservedTileset, str]]) -> None:
    """Make tiles of files on other servers at the same time, for who asks for them next: each takes a server's answer
    or two, and one after the other that is felt. What goes wrong is said again to who asks."""
    if len(wanted) < 2:
        return
    with ThreadPoolExecutor(_TOGETHER) as pool:
        for tileset, tile_id in wanted:
            # Where an answer begins and ends is known to the thread that asks.
            pool.submit(contextvars.copy_context().run, tileset.tiles, [tile_id])
