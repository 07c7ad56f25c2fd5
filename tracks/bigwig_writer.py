"""The bigWig format, written as a stream (Kent et al. 2010, Bioinformatics 26:2204, and its supplement).

Why not a library: pyBigWig (libBigWig) writes sums of zero into the last zoom record of each block, and pybigtools
fills gaps in zoom records with the value that follows them (its ``add_start`` goes back to the end of the record
before the gap), so that a megabase of N looks measured as soon as one zooms out. Every record written here agrees
with the values below it.
"""

from __future__ import annotations

import struct
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import numpy as np

from tracks.bigwig_blocks import HEADER, BlockFile, Blocks, write_values
from tracks.bigwig_format import FILE_HEADER, MAGIC, SUMMARY, ZOOM_HEADER, block_index, chrom_tree
from tracks.bigwig_zoom import RECORD_BYTES, Zoom, summarise
from tracks.grid import BIN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

BIN_ZOOM = 10 * BIN
"""Bases of a record of the finest zoom level where values are those of bins."""
BASE_ZOOM = 160
"""The same where values are those of single bases."""

_ROWS = 1024
"""Most rows in one compressed block."""
_HELD_BLOCKS = 32
"""Blocks of values that are put together before they are summed and written, because each time has its price."""
_LEVELS = 10
_BUFFERED = 1 << 15
"""Bytes that wait to be written to a file."""
_BUFFER = max(HEADER.size + 12 * _ROWS, RECORD_BYTES * _ROWS)
"""Most bytes in one block before compression."""


def cut(starts: np.ndarray, ends: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut intervals at the multiples of ``size``: which interval each piece is of, and its start and end (int64)."""
    first, last = starts // size, (ends - 1) // size
    if (first == last).all():  # mostly, and several times as fast
        return np.arange(len(starts)), starts, ends
    pieces = last + 1 - first
    owner = np.repeat(np.arange(len(starts)), pieces)
    cell = first[owner] + np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    return owner, np.maximum(starts[owner], cell * size), np.minimum(ends[owner], (cell + 1) * size)


class BigWigWriter:
    """A bigWig file being written. Intervals come by chromosome, in the order of ``chrom_sizes``, and by start.

    ``first_zoom`` is the bases that one record of the finest zoom level spans; each further level spans four times
    as many. ``close`` makes the file whole; a context manager closes it unless an exception passes.
    The file's bytes do not depend on how many intervals come at a time. What is held in memory: some blocks of values,
    one block a level, and 24 bytes for every block written.
    """

    def __init__(self, path: Path, chrom_sizes: Mapping[str, int], first_zoom: int = BIN_ZOOM) -> None:
        self._ids = {chrom: at for at, chrom in enumerate(chrom_sizes)}
        self._chrom = -1
        held = _HELD_BLOCKS * _ROWS
        self._starts, self._ends = np.empty(held, np.uint32), np.empty(held, np.uint32)
        self._values, self._count = np.empty(held, np.float32), 0
        self._bases, self._least, self._most, self._sum, self._squares = 0.0, np.inf, -np.inf, 0.0, 0.0
        self._file = path.open("wb", buffering=_BUFFERED)
        zooms = range(FILE_HEADER.size, FILE_HEADER.size + _LEVELS * ZOOM_HEADER.size)
        self._summary_at, self._chroms_at = zooms.stop, zooms.stop + SUMMARY.size
        self._file.write(bytes(self._chroms_at))
        self._file.write(chrom_tree(chrom_sizes, self._chroms_at))
        self._data_at = self._file.tell()
        self._file.write(bytes(8))
        self._data = Blocks(BlockFile(self._file))
        # On the disk that the file will be on, so that there is one place to run full.
        self._spool = tempfile.TemporaryFile(dir=path.parent, buffering=_BUFFERED)  # noqa: SIM115
        spooled = BlockFile(self._spool)
        self._zooms: list[Zoom] = []
        for level in reversed(range(_LEVELS)):
            coarser = self._zooms[0] if self._zooms else None
            self._zooms.insert(0, Zoom(first_zoom * 4**level, coarser, Blocks(spooled)))

    @property
    def bases(self) -> int:
        """The bases that have a value so far."""
        held = self._ends[: self._count].astype(np.int64) - self._starts[: self._count]
        return int(self._bases) + int(held.sum())

    def add(self, chrom: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None:
        """Add intervals of one chromosome: int64 starts and ends (0-based half-open), float32 values, all finite."""
        if not len(starts):
            return
        at = self._ids[chrom]
        if at != self._chrom:
            self._end_chrom()
            self._chrom = at
        done = 0
        while done < len(starts):
            count = min(len(self._starts) - self._count, len(starts) - done)
            for held, column in ((self._starts, starts), (self._ends, ends), (self._values, values)):
                held[self._count : self._count + count] = column[done : done + count]
            self._count += count
            done += count
            if self._count == len(self._starts):
                self._write_held()

    def _write_held(self) -> None:
        """Write the intervals that are held, and sum them for the finest zoom level."""
        count, self._count = self._count, 0
        starts, ends = self._starts[:count].astype(np.int64), self._ends[:count].astype(np.int64)
        values = self._values[:count]
        write_values(self._data, self._chrom, starts, ends, values, _ROWS)
        owner, starts, ends = cut(starts, ends, self._zooms[0].size)
        if len(owner) > count:
            values = values[owner]
        bases = (ends - starts).astype(np.float64)
        sums = bases * values
        fine = summarise((starts, ends, bases, values, values, sums, sums * values), self._zooms[0].size)
        self._zooms[0].add(self._chrom, fine, _ROWS)
        _, _, bases, least, most, sums, squares = fine
        self._bases += float(bases.sum())
        self._least, self._most = min(self._least, float(least.min())), max(self._most, float(most.max()))
        self._sum += float(sums.sum())
        self._squares += float(squares.sum())

    def _end_chrom(self) -> None:
        if self._count:
            self._write_held()
        if self._chrom >= 0:
            self._zooms[0].add(self._chrom, np.empty((7, 0)), _ROWS, final=True)

    def close(self) -> None:
        """Write the indexes, the zoom levels and the header."""
        self._end_chrom()
        data = self._data.places()
        index_at = self._file.tell()
        self._file.write(block_index(data, index_at, _ROWS))
        zooms = []
        for zoom in self._worthwhile(data):
            data_at = self._file.tell()
            self._file.write(struct.pack("<I", zoom.blocks.rows))
            places = zoom.blocks.places().copy()
            for place in places:
                self._spool.seek(int(place["at"]))
                place["at"] = self._file.tell()
                self._file.write(self._spool.read(int(place["size"])))
            zooms.append((zoom.size, 0, data_at, self._file.tell()))
            self._file.write(block_index(places, self._file.tell(), _ROWS))
        self._file.write(struct.pack("<I", MAGIC))
        self._file.seek(self._data_at)
        self._file.write(struct.pack("<Q", len(data)))
        self._file.seek(0)
        parts = (self._chroms_at, self._data_at, index_at)
        self._file.write(FILE_HEADER.pack(MAGIC, 4, len(zooms), *parts, 0, 0, 0, self._summary_at, _BUFFER, 0))
        for entry in zooms:
            self._file.write(ZOOM_HEADER.pack(*entry))
        self._file.seek(self._summary_at)
        self._file.write(SUMMARY.pack(int(self._bases), self._least, self._most, self._sum, self._squares))
        self._file.close()
        self.abandon()

    def _worthwhile(self, data: np.ndarray) -> list[Zoom]:
        """The levels that spare a reader work: the finest has at most half as many records as there are intervals,
        each coarser one fewer than the last and more than one a chromosome. At least one."""
        chroms = len(np.unique(data["chrom"]))
        kept: list[Zoom] = []
        for zoom in self._zooms:
            records = zoom.blocks.rows
            useful = chroms < records < kept[-1].blocks.rows if kept else records <= self._data.rows / 2
            if useful:
                kept.append(zoom)
        return kept or self._zooms[-1:]

    def abandon(self) -> None:
        """Close the files as they are. Raises nothing where the disk is full."""
        for file in (self._file, self._spool):
            with suppress(OSError):
                file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            self.abandon()
