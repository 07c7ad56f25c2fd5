"""The genome axis: all chromosomes end to end, in the genome's order, cut into HiGlass tiles.

Positions on the axis are absolute: 0-based, a chromosome starts where the one before it ends. Tile ``z.x`` covers
``[x * w, (x + 1) * w)`` with ``w = max_width / 2**z`` and holds 1,024 bins; the finest bin is one grid bin, 128 bp.
"""

from __future__ import annotations

import bisect
import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from tracks.errors import UsageError
from tracks.grid import BIN
from tracks.regions import Region

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TILE_BINS = 1024
"""Bins in one tile."""

Mode = Literal["mean", "min", "max"]
"""What a bin tells of the values in it."""

MODES: tuple[Mode, ...] = get_args(Mode)

_TILE_ID = re.compile(rf"([A-Za-z0-9_-]{{1,100}})\.([0-9]{{1,2}})\.([0-9]{{1,9}})(?:\.({'|'.join(MODES)}))?")


@dataclass(frozen=True)
class Tile:
    """One tile's place: ``[start, end)`` on the axis; it may reach past the axis' end. ``mode``: what its bins tell."""

    tile_id: str
    start: int
    end: int
    mode: Mode = "mean"

    @property
    def bin_width(self) -> int:
        """Bases in one of the tile's bins."""
        return (self.end - self.start) // TILE_BINS


@dataclass(frozen=True)
class Piece:
    """A part of a chromosome and where on the axis it starts."""

    region: Region
    start: int


class Axis:
    """The chromosomes of a genome end to end."""

    def __init__(self, chrom_sizes: Mapping[str, int]) -> None:
        self.chrom_sizes = dict(chrom_sizes)
        ends = list(itertools.accumulate(self.chrom_sizes.values()))
        self._starts = [0, *ends[:-1]]
        self._names = list(self.chrom_sizes)
        self.offsets = dict(zip(self._names, self._starts, strict=True))
        """Where each chromosome starts on the axis."""
        self.length = ends[-1]
        self.max_zoom = max(0, (-(-self.length // (TILE_BINS * BIN)) - 1).bit_length())

    @property
    def max_width(self) -> int:
        """Bases that the one tile of zoom level 0 covers."""
        return TILE_BINS * BIN << self.max_zoom

    def tile(self, tile_id: str) -> Tile:
        """Read a tile id, ``uid.z.x`` or ``uid.z.x.mode``.

        Raises UsageError when it is malformed or outside the axis.
        """
        match = _TILE_ID.fullmatch(tile_id)
        if match is None:
            raise UsageError(f"a tile id looks like uid.zoom.position or uid.zoom.position.mode ({', '.join(MODES)})")
        zoom, position = int(match[2]), int(match[3])
        if zoom > self.max_zoom or position >= 1 << zoom:
            raise UsageError(f"no tile {zoom}.{position}: zoom is 0 to {self.max_zoom}, position below 2^zoom")
        width = self.max_width >> zoom
        mode = cast("Mode", match[4] or "mean")
        return Tile(tile_id, position * width, (position + 1) * width, mode)

    def absolute(self, region: Region) -> tuple[int, int]:
        """Return a region's span on the axis."""
        offset = self.offsets[region.chrom]
        return offset + region.start, offset + region.end

    def pieces(self, start: int, end: int) -> Iterator[Piece]:
        """Yield the chromosome parts that a span of the axis covers, in order; nothing outside the axis."""
        start, end = max(start, 0), min(end, self.length)
        if start >= end:
            return
        for index in range(bisect.bisect_right(self._starts, start) - 1, len(self._names)):
            offset, chrom = self._starts[index], self._names[index]
            if offset >= end:
                return
            first, last = max(start, offset), min(end, offset + self.chrom_sizes[chrom])
            if first < last:
                yield Piece(Region(chrom, first - offset, last - offset), first)

    def info(self, name: str, coordinates: str, **more: Any) -> dict[str, Any]:
        """Return a HiGlass tileset_info in the power-of-two form."""
        return {
            "name": name,
            "coordSystem": coordinates,
            "min_pos": [0],
            "max_pos": [self.length],
            "max_width": self.max_width,
            "max_zoom": self.max_zoom,
            "tile_size": TILE_BINS,
            "bins_per_dimension": TILE_BINS,
            "chromsizes": [[chrom, size] for chrom, size in self.chrom_sizes.items()],
            **more,
        }


def tileset_uid(tile_id: str) -> str:
    """Return the part of a tile id that names the tileset."""
    return tile_id.partition(".")[0]
