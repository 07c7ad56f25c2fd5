"""A bigWig that is no file: any of its bytes, from the values that they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracks.bigwig_zoom import RECORD_BYTES
from tracks.grid import WINDOW
from tracks.virtual.layout import ZOOM
from tracks.virtual.sections import pack_records, pack_section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracks.virtual.layout import Layout
    from tracks.virtual.values import Values

_PIECE = 1 << 16
"""Most bytes of the indexes, which are 2 MB for hg38, and most zeros between two blocks, that are given at once."""


class VirtualBigWig:
    """The bytes of a bigWig of ``values``, laid out by ``layout``."""

    def __init__(self, layout: Layout, values: Values) -> None:
        self.layout, self._values = layout, values

    @property
    def size(self) -> int:
        """All bytes."""
        return self.layout.size

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes of the file, from ``offset`` on: ``length``, or fewer where it ends."""
        return b"".join(self.parts(offset, length))

    def parts(self, offset: int, length: int) -> Iterator[bytes]:
        """Yield what ``read`` returns in parts, none of which takes more than one window's values: each is made when
        it is asked for."""
        end = min(offset + length, self.size)
        while offset < end:
            part = self._part(offset, end)
            offset += len(part)
            yield part

    def windows(self, offset: int, length: int) -> list[tuple[str, int]]:
        """Return the windows, a chromosome and an index each, whose values bytes of the file say, in their order."""
        layout = self.layout
        first = int(np.searchsorted(layout.ends, offset, side="right"))
        last = int(np.searchsorted(layout.starts, offset + length, side="left")) if length > 0 else first
        sections = layout.blocks[first:last][layout.levels[first:last] < 0]
        return [
            (layout.chroms[chrom], start // WINDOW)
            for chrom, start in zip(sections["chrom"].tolist(), sections["start"].tolist(), strict=True)
        ]

    def _part(self, offset: int, end: int) -> bytes:
        """Return the bytes from ``offset`` to the end of the part it is in, or to ``end``."""
        layout = self.layout
        if offset < len(layout.headers):
            return layout.headers[offset:end]
        indexes_at = len(layout.headers)
        if offset < indexes_at + len(layout.indexes):
            return layout.indexes[offset - indexes_at : min(end, offset + _PIECE) - indexes_at]
        at = int(np.searchsorted(layout.ends, offset, side="right"))
        if at < len(layout.starts):
            start = int(layout.starts[at])
            if start <= offset:
                return self._block(at)[offset - start : end - start]
        else:
            start = self.size - len(layout.magic)
            if start <= offset:
                return layout.magic[offset - start : end - start]
        return bytes(min(start, end, offset + _PIECE) - offset)

    def _block(self, at: int) -> bytes:
        number, start, end, size, _ = self.layout.blocks[at].tolist()
        chrom, level = self.layout.chroms[number], int(self.layout.levels[at])
        if level < 0:
            return pack_section(number, start, end, self._values.window(chrom, start // WINDOW))
        bases = ZOOM * 4**level
        first = start // bases
        records = self._values.records(chrom, level, range(first, first + size // RECORD_BYTES))
        return pack_records(number, start, end, bases, records)
