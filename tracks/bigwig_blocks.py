"""Blocks of a bigWig: rows of values or zoom records, packed and compressed, and where each block is."""

from __future__ import annotations

import struct
import zlib
from typing import IO

import numpy as np

HEADER = struct.Struct("<IIIIIBBH")
"""What a block of values begins with."""
GRAPH, VARIABLE, _FIXED = 1, 2, 3

GRAPH_ROW = np.dtype([("start", "<u4"), ("end", "<u4"), ("value", "<f4")])
VARIABLE_ROW = np.dtype([("start", "<u4"), ("value", "<f4")])

FAST, STORED = 1, 0
"""Levels of compression. Level 6 takes longer and saves nothing on rows of numbers like these."""
_WORTHWHILE = 0.75
"""Values are compressed where that leaves less of them than this. Measurements and predictions, float32 that all
differ, would shrink by a sixth, for a quarter of the time that writing takes and two thirds of what reading does."""

PLACE = np.dtype([("chrom", "<u4"), ("start", "<u4"), ("end", "<u4"), ("size", "<u4"), ("at", "<u8")])
"""Where a block is: the span that it holds, of one chromosome, its offset in the file and its bytes there."""
_PACKED_PLACE = struct.Struct("<IIIIQ")


class BlockFile:
    """A file that compressed blocks are written to the end of, one after the other."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        # Kept here, because to ask the file is a call of the system each time.
        self._end = file.tell()

    def write(self, content: bytes, level: int) -> tuple[int, int]:
        """Compress a block and write it; return its bytes and its offset."""
        size = self.file.write(zlib.compress(content, level))
        self._end += size
        return size, self._end - size


class Blocks:
    """Blocks of one kind, in a file that those of other kinds may share."""

    def __init__(self, file: BlockFile) -> None:
        self._file = file
        self._places = bytearray()
        self.rows = 0

    def write(self, chrom: int, start: int, end: int, rows: int, content: bytes, level: int = FAST) -> None:
        """Write a block of so many rows, which span ``[start, end)`` of a chromosome."""
        self._places += _PACKED_PLACE.pack(chrom, start, end, *self._file.write(content, level))
        self.rows += rows

    def places(self) -> np.ndarray:
        """Return where the blocks are, ``PLACE [blocks]``."""
        return np.frombuffer(bytes(self._places), PLACE)


def write_values(
    blocks: Blocks, chrom: int, starts: np.ndarray, ends: np.ndarray, values: np.ndarray, rows: int
) -> None:
    """Write intervals of a chromosome in blocks of ``rows``, each of the kind that says the least: values alone where
    intervals of one length follow one another, starts and values where they are of one length, or all three. The first
    block of values alone decides for the others whether they are worth compressing."""
    for_values: int | None = None
    spans = ends - starts
    breaks = np.flatnonzero((spans[1:] != spans[:-1]) | (starts[1:] != ends[:-1])) + 1
    for first in range(0, len(starts), rows):
        last = min(first + rows, len(starts))
        inside = np.searchsorted(breaks, (first + 1, last))
        following = inside[0] == inside[1]
        of_one_length = following or bool((spans[first:last] == spans[first]).all())
        start, end, span = int(starts[first]), int(ends[last - 1]), int(spans[first])
        part = slice(first, last)
        level = FAST
        if following:
            kind, step, content = _FIXED, span, np.ascontiguousarray(values[part], "<f4").tobytes()
            if for_values is None:
                for_values = FAST if len(zlib.compress(content, FAST)) < _WORTHWHILE * len(content) else STORED
            level = for_values
        elif of_one_length:
            kind, step = VARIABLE, 0
            packed = np.empty(last - first, VARIABLE_ROW)
            packed["start"], packed["value"] = starts[part], values[part]
            content = packed.tobytes()
        else:
            kind, step, span = GRAPH, 0, 0
            packed = np.empty(last - first, GRAPH_ROW)
            packed["start"], packed["end"], packed["value"] = starts[part], ends[part], values[part]
            content = packed.tobytes()
        header = HEADER.pack(chrom, start, end, step, span, kind, 0, last - first)
        blocks.write(chrom, start, end, last - first, header + content, level)
