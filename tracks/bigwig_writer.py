"""The bigWig format, written as a stream (Kent et al. 2010, Bioinformatics 26:2204, and its supplement).

Why not a library: pyBigWig (libBigWig) writes sums of zero into the last zoom record of each block, and pybigtools
fills gaps in zoom records with the value that follows them (its ``add_start`` goes back to the end of the record
before the gap), so that a megabase of N looks measured as soon as one zooms out. Every record written here agrees
with the values below it.
"""

from __future__ import annotations

import shutil
import struct
import tempfile
import zlib
from typing import IO, TYPE_CHECKING, Self

import numpy as np

from tracks.grid import BIN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType

MAGIC = 0x888FFC26

BIN_ZOOM = 10 * BIN
"""Bases of a record of the finest zoom level where values are those of bins."""
BASE_ZOOM = 160
"""The same where values are those of single bases."""

_CHROM_MAGIC, _INDEX_MAGIC = 0x78CA8C91, 0x2468ACE0
_ROWS = 1024
"""Most rows in one compressed block."""
_CHILDREN = 256
"""Most children of one node of a tree."""
_LEVELS = 10
_HEADER = struct.Struct("<IHHQQQHHQQIQ")
_ZOOM_HEADER = struct.Struct("<IIQQ")
_SUMMARY = struct.Struct("<Qdddd")
_BLOCK_HEADER = struct.Struct("<IIIIIBBH")
_BUFFER = max(_BLOCK_HEADER.size + 12 * _ROWS, 32 * _ROWS)
"""Most bytes in one block before compression."""

_VALUE_ROW = np.dtype([("start", "<u4"), ("end", "<u4"), ("value", "<f4")])
_ZOOM_COLUMNS = ("start", "end", "bases", "min", "max", "sum", "squares")
_ZOOM_ROW = np.dtype([("chrom", "<u4")] + [(name, "<u4" if at < 3 else "<f4") for at, name in enumerate(_ZOOM_COLUMNS)])
_SPAN = [(name, "<u4") for name in ("chrom", "start", "last_chrom", "end")]
_INDEX_ROW = np.dtype([*_SPAN, ("at", "<u8"), ("size", "<u8")])
_INDEX_NODE = np.dtype([*_SPAN, ("at", "<u8")])


def cut(starts: np.ndarray, ends: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut intervals at the multiples of ``size``: which interval each piece is of, and its start and end (int64)."""
    first = starts // size
    pieces = -(-ends // size) - first
    owner = np.repeat(np.arange(len(starts)), pieces)
    cell = first[owner] + np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    return owner, np.maximum(starts[owner], cell * size), np.minimum(ends[owner], (cell + 1) * size)


def summarise(rows: np.ndarray, size: int) -> np.ndarray:
    """Join rows that start in the same ``size`` bases: float64 ``[n, 7]`` of start, end, bases, min, max, sum and
    sum of squares (over bases) to the same, one row for each stretch that holds any."""
    first = np.flatnonzero(np.diff(rows[:, 0] // size, prepend=-1))
    last = np.append(first[1:], len(rows)) - 1
    columns = [rows[first, 0], rows[last, 1]]
    columns += [
        function.reduceat(rows[:, at], first)
        for at, function in enumerate((np.add, np.minimum, np.maximum, np.add, np.add), 2)
    ]
    return np.stack(columns, axis=1)


class _Blocks:
    """Rows of one kind, packed into compressed blocks at the end of a file; ``index`` says where each block is."""

    def __init__(self, file: IO[bytes], pack: Callable[[int, np.ndarray], bytes]) -> None:
        self._file, self._pack = file, pack
        self._held: list[np.ndarray] = []
        self._chrom = 0
        self.index: list[tuple[int, int, int, int, int, int]] = []
        self.rows = 0

    def add(self, chrom: int, rows: np.ndarray) -> None:
        if chrom != self._chrom:
            self.flush()
        self._chrom = chrom
        self._held.append(rows)
        if sum(map(len, self._held)) >= _ROWS:
            self._write(final=False)

    def flush(self) -> None:
        if sum(map(len, self._held)):
            self._write(final=True)

    def _write(self, final: bool) -> None:
        rows = np.concatenate(self._held)
        whole = len(rows) if final else len(rows) // _ROWS * _ROWS
        self._held = [rows[whole:]]
        for first in range(0, whole, _ROWS):
            block = rows[first : min(first + _ROWS, whole)]
            # Level 6 takes twice the time and saves nothing on rows of numbers like these.
            data = zlib.compress(self._pack(self._chrom, block), level=1)
            bounds = (self._chrom, int(block[0]["start"]), self._chrom, int(block[-1]["end"]))
            self.index.append((*bounds, self._file.tell(), len(data)))
            self._file.write(data)
        self.rows += whole


def _pack_values(chrom: int, rows: np.ndarray) -> bytes:
    bed_graph = 1
    start, end = int(rows[0]["start"]), int(rows[-1]["end"])
    return _BLOCK_HEADER.pack(chrom, start, end, 0, 0, bed_graph, 0, len(rows)) + rows.tobytes()


def _pack_zoom(chrom: int, rows: np.ndarray) -> bytes:
    return rows.tobytes()


class _Zoom:
    """One zoom level: it joins the rows of the finer level, and passes what is complete on to the coarser one."""

    def __init__(self, size: int, coarser: _Zoom | None, folder: Path) -> None:
        self.size, self._coarser = size, coarser
        self._pending = np.empty((0, 7))
        # On the disk that the file will be on, so that there is one place to run full.
        self.spool = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self.blocks = _Blocks(self.spool, _pack_zoom)

    def add(self, chrom: int, rows: np.ndarray, final: bool = False) -> None:
        """Take finer rows of a chromosome; ``final``: they are its last."""
        joined = np.concatenate([self._pending, rows])
        if len(joined):
            joined = summarise(joined, self.size)
        # The last one may go on with the next rows.
        complete = joined if final else joined[:-1]
        self._pending = joined[len(complete) :]
        if len(complete):
            records = np.empty(len(complete), _ZOOM_ROW)
            records["chrom"] = chrom
            with np.errstate(over="ignore"):  # squares of huge values
                for name, column in zip(_ZOOM_COLUMNS, complete.T, strict=True):
                    records[name] = column
            self.blocks.add(chrom, records)
        if self._coarser is not None:
            self._coarser.add(chrom, complete, final)


class BigWigWriter:
    """A bigWig file being written. Intervals come by chromosome, in the order of ``chrom_sizes``, and by start.

    ``first_zoom`` is the bases that one record of the finest zoom level spans; each further level spans four times
    as many. ``close`` makes the file whole; a context manager closes it unless an exception passes.
    What is held in memory: one block a level, and 48 bytes for every block written.
    """

    def __init__(self, path: Path, chrom_sizes: Mapping[str, int], first_zoom: int = BIN_ZOOM) -> None:
        self._ids = {chrom: at for at, chrom in enumerate(chrom_sizes)}
        self._chrom = -1
        self._summary = np.array([[0, 0, 0, np.inf, -np.inf, 0, 0]])
        self._file = path.open("wb")
        zooms = range(_HEADER.size, _HEADER.size + _LEVELS * _ZOOM_HEADER.size)
        self._summary_at, self._chroms_at = zooms.stop, zooms.stop + _SUMMARY.size
        self._file.write(bytes(self._chroms_at))
        self._file.write(_chrom_tree(chrom_sizes, self._chroms_at))
        self._data_at = self._file.tell()
        self._file.write(bytes(8))
        self._data = _Blocks(self._file, _pack_values)
        self._zooms: list[_Zoom] = []
        for level in reversed(range(_LEVELS)):
            coarser = self._zooms[0] if self._zooms else None
            self._zooms.insert(0, _Zoom(first_zoom * 4**level, coarser, path.parent))

    @property
    def bases(self) -> int:
        """The bases that have a value so far."""
        return int(self._summary[0, 2])

    def add(self, chrom: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None:
        """Add intervals of one chromosome: int64 starts and ends (0-based half-open), float32 values, all finite."""
        if not len(starts):
            return
        at = self._ids[chrom]
        if at != self._chrom:
            self._end_chrom()
            self._chrom = at
        rows = np.empty(len(starts), _VALUE_ROW)
        rows["start"], rows["end"], rows["value"] = starts, ends, values
        self._data.add(at, rows)
        owner, starts, ends = cut(starts, ends, self._zooms[0].size)
        values = values.astype(np.float64)[owner]
        bases = (ends - starts).astype(np.float64)
        fine = np.stack([starts, ends, bases, values, values, bases * values, bases * values**2], axis=1)
        self._zooms[0].add(at, fine)
        everything = np.concatenate([self._summary, fine])
        everything[:, 0] = 0
        self._summary = summarise(everything, 1)

    def _end_chrom(self) -> None:
        self._data.flush()
        self._zooms[0].add(self._chrom, np.empty((0, 7)), final=True)
        for zoom in self._zooms:
            zoom.blocks.flush()

    def close(self) -> None:
        """Write the indexes, the zoom levels and the header."""
        self._end_chrom()
        index_at = self._file.tell()
        self._file.write(_index(self._data.index, index_at))
        zooms = []
        for zoom in self._worthwhile():
            data_at = self._file.tell()
            self._file.write(struct.pack("<I", zoom.blocks.rows))
            base = self._file.tell()
            zoom.spool.seek(0)
            shutil.copyfileobj(zoom.spool, self._file)
            moved = [(*block[:4], block[4] + base, block[5]) for block in zoom.blocks.index]
            zooms.append((zoom.size, 0, data_at, self._file.tell()))
            self._file.write(_index(moved, self._file.tell()))
        self._file.write(struct.pack("<I", MAGIC))
        self._file.seek(self._data_at)
        self._file.write(struct.pack("<Q", len(self._data.index)))
        self._file.seek(0)
        places = (self._chroms_at, self._data_at, index_at)
        self._file.write(_HEADER.pack(MAGIC, 4, len(zooms), *places, 0, 0, 0, self._summary_at, _BUFFER, 0))
        for entry in zooms:
            self._file.write(_ZOOM_HEADER.pack(*entry))
        self._file.seek(self._summary_at)
        _, _, bases, least, most, total, squares = self._summary[0].tolist()
        self._file.write(_SUMMARY.pack(int(bases), least, most, total, squares))
        self.abandon()

    def _worthwhile(self) -> list[_Zoom]:
        """The levels that spare a reader work: the finest has at most half as many records as there are intervals,
        each coarser one fewer than the last and more than one a chromosome. At least one."""
        chroms = len({entry[0] for entry in self._data.index})
        kept: list[_Zoom] = []
        for zoom in self._zooms:
            records = zoom.blocks.rows
            useful = chroms < records < kept[-1].blocks.rows if kept else records <= self._data.rows / 2
            if useful:
                kept.append(zoom)
        return kept or self._zooms[-1:]

    def abandon(self) -> None:
        """Close the files as they are."""
        self._file.close()
        for zoom in self._zooms:
            zoom.spool.close()

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


def _chrom_tree(chrom_sizes: Mapping[str, int], at: int) -> bytes:
    """The B+ tree of chromosome names: keys in the order of their bytes, with their number and length."""
    width = max(len(chrom.encode()) for chrom in chrom_sizes)
    leaf = np.dtype([("key", f"S{width}"), ("id", "<u4"), ("length", "<u4")])
    node = np.dtype([("key", f"S{width}"), ("child", "<u8")])
    items = sorted((chrom.encode(), at, length) for at, (chrom, length) in enumerate(chrom_sizes.items()))
    block = min(len(items), _CHILDREN)
    header = struct.pack("<IIIIQQ", _CHROM_MAGIC, block, width, 8, len(items), 0)
    return header + _tree(np.array(items, leaf), at + len(header), lambda rows, child: (rows["key"][0], child), node)


def _index(blocks: list[tuple[int, int, int, int, int, int]], at: int) -> bytes:
    """The R tree of blocks: the span and place of each."""
    rows = np.array(blocks, _INDEX_ROW)
    span = (rows[0]["chrom"], rows[0]["start"], rows[-1]["last_chrom"], rows[-1]["end"])
    header = struct.pack("<IIQIIIIQII", _INDEX_MAGIC, _CHILDREN, len(rows), *span, at, _ROWS, 0)

    def parent(rows: np.ndarray, child: int) -> tuple[int, ...]:
        return (*rows[0].tolist()[:2], *rows[-1].tolist()[2:4], child)

    return header + _tree(rows, at + len(header), parent, _INDEX_NODE)


def _tree(
    leaves: np.ndarray, at: int, parent: Callable[[np.ndarray, int], tuple[object, ...]], node: np.dtype
) -> bytes:
    """Lay a search tree out from ``at`` on, its root first: nodes of up to 256 rows, each 4 bytes and its rows.

    ``parent(rows, place)`` is the row, of type ``node``, that points to a node of those rows.
    """
    levels = [leaves]
    while len(levels[0]) > _CHILDREN:
        count = -(-len(levels[0]) // _CHILDREN)
        levels.insert(0, np.zeros(count, node))
    # Where each level starts is known from the sizes of those above it; then rows are filled from the leaves up.
    sizes = [-(-len(level) // _CHILDREN) * 4 + level.nbytes for level in levels]
    for depth in range(len(levels) - 1, 0, -1):
        level, place = levels[depth], at + sum(sizes[:depth])
        for up, first in enumerate(range(0, len(level), _CHILDREN)):
            rows = level[first : first + _CHILDREN]
            levels[depth - 1][up] = parent(rows, place)
            place += 4 + rows.nbytes
    return b"".join(
        struct.pack("<BBH", level is leaves, 0, len(level[first : first + _CHILDREN]))
        + level[first : first + _CHILDREN].tobytes()
        for level in levels
        for first in range(0, len(level), _CHILDREN)
    )
