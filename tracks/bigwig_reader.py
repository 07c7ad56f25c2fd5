"""The bigWig format, read as a stream of runs or as zoom records (Kent et al. 2010, Bioinformatics 26:2204, and its
supplement).

Why not a library: pyBigWig gives intervals as Python tuples, or a number for every base; pybigtools bins by itself and
keeps neither sums nor counts apart. Here whole blocks become NumPy arrays, which is several times as fast
(``benchmarks/label_binning.py``), and pyBigWig is what the tests compare with.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from typing import TYPE_CHECKING, Self

import numpy as np

from tracks.bigwig_format import MAGIC
from tracks.errors import TracksError
from tracks.regions import check_chrom
from tracks.remote.source import open_bytes
from tracks.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from tracks.remote.source import Bytes, Source

BIGWIG_SUFFIXES = (".bw", ".bigwig")
"""How the names of bigWig files end, in small letters."""

_BIGBED_MAGIC = 0x8789F2EB
_CHROM_MAGIC, _INDEX_MAGIC = 0x78CA8C91, 0x2468ACE0
_BLOCK_HEADER = 24
_BATCH = 64
"""Blocks that are decoded together: 65,536 runs in files of the usual 1,024 a block."""
_KEY, _CHROMS = 1 << 12, 1 << 20
"""Bytes that a chromosome's name has, and chromosomes that a file has, at most."""
_BLOCK_BYTES, _ZOOM_BYTES = 1 << 24, 1 << 29
"""Bytes that a block has at most before compression, and those of a zoom level that are read at once: a file that
others made may say anything, and its small blocks be zeros without end."""

# What a damaged file makes of its tables: counts, offsets and texts that cannot be.
_DAMAGE = (struct.error, ValueError, IndexError, UnicodeDecodeError, OverflowError, MemoryError, zlib.error)


class _Layout:
    """Row types in the byte order of one file."""

    def __init__(self, order: str) -> None:
        self.order = order
        span = {"chrom": "u4", "start": "u4", "last_chrom": "u4", "end": "u4", "at": "u8"}
        self.inner, self.leaf = self.row(**span), self.row(**span, size="u8")
        self.head = self.row(chrom="u4", start="u4", end="u4", step="u4", span="u4", kind="u1", pad="u1", rows="u2")
        self.graph, self.step = self.row(start="u4", end="u4", value="f4"), self.row(start="u4", value="f4")
        self.zoom = self.row(
            chrom="u4", start="u4", end="u4", bases="u4", least="f4", most="f4", sum="f4", squares="f4"
        )

    def row(self, **columns: str) -> np.dtype:
        return np.dtype([(name, self.order + kind) for name, kind in columns.items()])


class BigWigReader:
    """A bigWig file, on this machine or on another server. A handle is for one process; several threads may use it at
    once.

    Raises UsageError when there is no such file, TracksError when it is no bigWig, damaged or truncated; RemoteError,
    here and below, when it is on another server that does not give it.
    """

    def __init__(self, path: Source) -> None:
        self.path = path
        self._file: Bytes | None = None
        self._file = open_bytes(path)
        self._size = self._file.size
        self._layout = _Layout(self._order())
        # The inner nodes of indexes that were gone through: one for each 65,536 blocks, and asked for each time.
        self._index: dict[int, tuple[bool, np.ndarray]] = {}
        try:
            self._read_header()
        except _DAMAGE as error:
            raise self._damaged(str(error)) from error

    def _order(self) -> str:
        head = self._read(0, min(4, self._size))
        for order, name in (("<", "little"), (">", "big")):
            number = int.from_bytes(head, name)  # type: ignore[arg-type]
            if number == MAGIC:
                return order
            if number == _BIGBED_MAGIC:
                raise TracksError(f"cannot read {self.path}: it is a bigBed file, not a bigWig")
        raise TracksError(f"cannot read {self.path}: it is not a bigWig file")

    def _read(self, at: int, size: int) -> bytes:
        """Read a part of the file. Raises ValueError where it ends before, TracksError where it cannot be read."""
        if at + size > self._size:
            raise ValueError("it goes on past its end")
        if self._file is None:
            raise ValueError("it is closed")
        data = self._file.read(at, size)
        if len(data) < size:
            raise ValueError("it became shorter while it was open")
        return data

    def _numbers(self, form: str, at: int) -> tuple[int, ...]:
        numbers = struct.Struct(self._layout.order + form)
        return numbers.unpack(self._read(at, numbers.size))

    def _damaged(self, why: str) -> TracksError:
        return TracksError(f"cannot read {self.path}: it is a damaged or truncated bigWig file ({why})")

    def _read_header(self) -> None:
        chroms_at, _, index_at = self._numbers("QQQ", 8)
        (summary_at,), (packed,) = self._numbers("Q", 44), self._numbers("I", 52)
        self._compressed = packed > 0
        self.extent: tuple[float, float] | None = None
        """The least and the greatest value, as the file itself says; None where it says nothing."""
        if summary_at:
            _, least, most = self._numbers("Qdd", summary_at)
            self.extent = float(least), float(most)
        magic, _, key_size = self._numbers("III", chroms_at)
        if magic != _CHROM_MAGIC:
            raise ValueError("its table of chromosomes is not where the header says")
        if not 0 < key_size <= _KEY:
            raise ValueError(f"its names of chromosomes have {key_size:,} bytes")
        if self._numbers("I", index_at)[0] != _INDEX_MAGIC:
            raise ValueError("its index is not where the header says")
        self._root = index_at + 48
        (zooms,) = self._numbers("H", 6)
        self._zoom_roots: dict[int, int] = {}
        for level in range(zooms):
            # Checked even where they are not read: a file without them is cut short, and others will not read it.
            size, _, data_at, zoom_index_at = self._numbers("IIQQ", 64 + 24 * level)
            if not size or max(data_at, zoom_index_at + 48) > self._size:
                raise ValueError("its zoom levels are none, or lie past its end")
            self._zoom_roots[size] = zoom_index_at + 48
        self.zooms: tuple[int, ...] = tuple(sorted(self._zoom_roots))
        """Bases that one record of each zoom level spans at most, the finest first."""
        listed = sorted(self._chroms(chroms_at + 32, key_size, set()))
        self.chrom_ids: dict[str, int] = {name: at for at, name, _ in listed}
        """The number of each chromosome in the file's records."""
        self.chrom_sizes: dict[str, int] = {name: length for _, name, length in listed}
        """Length of each chromosome, in the order of the file's data."""
        if not self.chrom_sizes:
            raise ValueError("it names no chromosome")
        if listed[-1][0] >= _CHROMS:
            raise ValueError(f"it numbers a chromosome {listed[-1][0]:,}")

    def _node(self, at: int, leaf: np.dtype, inner: np.dtype) -> tuple[bool, np.ndarray]:
        """A node of either tree: whether it is a leaf, and its rows."""
        is_leaf, _, count = self._numbers("BBH", at)
        row = leaf if is_leaf else inner
        return bool(is_leaf), np.frombuffer(self._read(at + 4, count * row.itemsize), row)

    def _chroms(self, at: int, key_size: int, seen: set[int]) -> Iterator[tuple[int, str, int]]:
        _see(at, seen)
        key = f"S{key_size}"
        leaf = np.dtype([("key", key), ("id", self._layout.order + "u4"), ("length", self._layout.order + "u4")])
        inner = np.dtype([("key", key), ("child", self._layout.order + "u8")])
        is_leaf, rows = self._node(at, leaf, inner)
        for row in rows:
            if is_leaf:
                yield int(row["id"]), row["key"].decode(), int(row["length"])
            else:
                yield from self._chroms(int(row["child"]), key_size, seen)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def __del__(self) -> None:
        self.close()

    def zoom_records(self, size: int, chrom: str | None = None, start: int = 0, end: int | None = None) -> np.ndarray:
        """Return the records of the zoom level ``size`` (one of ``zooms``), in the file's order: those in the blocks
        that touch ``[start, end)`` of a chromosome, or all.

        Columns: ``chrom`` (one of ``chrom_ids``), ``start``, ``end``; ``bases`` that have a value; the ``least`` and
        the ``most`` of their values, the ``sum`` and that of the ``squares``: as the file has them, right or wrong.
        Raises UsageError when the file has no such chromosome, TracksError when it is damaged.
        """
        first, last = (0, 0), (1 << 32, 0)
        if chrom is not None:
            check_chrom(chrom, self.chrom_sizes, str(self.path))
            first = self.chrom_ids[chrom], start
            last = self.chrom_ids[chrom], self.chrom_sizes[chrom] if end is None else end
        try:
            blocks = self._blocks(self._zoom_roots[size], first, last)
            self._prepare(blocks)
            bodies, size = [], 0
            for at, length in blocks.tolist():
                bodies.append(self._body(at, length))
                size += len(bodies[-1])
                if size > _ZOOM_BYTES:
                    raise ValueError("a zoom level has too many records")
            return np.frombuffer(b"".join(bodies), self._layout.zoom)
        except _DAMAGE as error:
            raise self._damaged(str(error)) from error

    def block_count(self, chrom: str, start: int, end: int) -> int:
        """Return how many blocks of values touch a span: what reading it takes, at 1,024 runs a block or so.

        Raises UsageError when the file has no such chromosome, TracksError when it is damaged.
        """
        return len(self._places(chrom, start, end))

    def runs(self, chrom: str, start: int = 0, end: int | None = None) -> Iterator[Runs]:
        """Yield the runs that touch ``[start, end)`` of a chromosome (to its end, by default), cut to it, in order and
        in pieces of bounded size. What is not finite is left out.

        Raises UsageError when the file has no such chromosome, TracksError when it is damaged.
        """
        check_chrom(chrom, self.chrom_sizes, str(self.path))
        length = self.chrom_sizes[chrom]
        start, end = max(start, 0), length if end is None else min(end, length)
        if start >= end:
            return
        blocks = self._places(chrom, start, end)
        try:
            last = start
            for first in range(0, len(blocks), _BATCH):
                found = _cut(self._decoded(blocks[first : first + _BATCH]), start, end)
                if not len(found):
                    continue
                backwards = found.starts[0] < last or (found.ends <= found.starts).any()
                if backwards or (found.starts[1:] < found.ends[:-1]).any():
                    raise ValueError(f"its runs of {chrom} are not in order")
                last = int(found.ends[-1])
                kept = np.isfinite(found.values)
                yield found if kept.all() else Runs(found.starts[kept], found.ends[kept], found.values[kept])
        except _DAMAGE as error:
            raise self._damaged(str(error)) from error

    def _places(self, chrom: str, start: int, end: int) -> np.ndarray:
        """Offset and size of the blocks of values that touch a span of a chromosome, int64 ``[n, 2]``."""
        check_chrom(chrom, self.chrom_sizes, str(self.path))
        number = self.chrom_ids[chrom]
        try:
            return self._blocks(self._root, (number, start), (number, end))
        except _DAMAGE as error:
            raise self._damaged(str(error)) from error

    def _blocks(self, at: int, first: tuple[int, int], last: tuple[int, int]) -> np.ndarray:
        """Offset and size of the blocks that may touch what lies between two places (chromosome, position), by the
        index at ``at``: int64 ``[n, 2]``."""
        found: list[tuple[int, int]] = []
        nodes, seen = [at], set[int]()
        while nodes:
            at = nodes.pop()
            _see(at, seen)
            leaf, rows = self._index.get(at) or self._node(at, self._layout.leaf, self._layout.inner)
            before = (rows["last_chrom"] < first[0]) | ((rows["last_chrom"] == first[0]) & (rows["end"] <= first[1]))
            after = (rows["chrom"] > last[0]) | ((rows["chrom"] == last[0]) & (rows["start"] >= last[1]))
            touching = rows[~(before | after)]
            if leaf:
                found += touching[["at", "size"]].tolist()
                continue
            self._index[at] = leaf, rows
            children = touching["at"].tolist()
            nodes += children[::-1]
        return np.array(found, np.int64).reshape(-1, 2)

    def _prepare(self, blocks: np.ndarray) -> None:
        """Tell whom blocks are read from which ones come next: over a network, one question is better than many."""
        if self._file is not None:
            self._file.prepare(blocks)

    def _body(self, at: int, size: int) -> bytes:
        """A block, as it was before compression."""
        body = self._read(at, size)
        if self._compressed:
            unpacking = zlib.decompressobj()
            body = unpacking.decompress(body, _BLOCK_BYTES)
            if not unpacking.eof:
                raise ValueError("a block of it is cut, or too large")
        elif size > _BLOCK_BYTES:
            raise ValueError("a block of it is too large")
        return body

    def _decoded(self, blocks: np.ndarray) -> Runs:
        """Decode whole blocks, which are of one chromosome."""
        self._prepare(blocks)
        bodies = [self._body(at, size) for at, size in blocks.tolist()]
        heads = np.frombuffer(b"".join(body[:_BLOCK_HEADER] for body in bodies), self._layout.head)
        edges = [0, *(np.flatnonzero(np.diff(heads["kind"])) + 1), len(heads)]
        parts = [
            self._rows(heads[first:last], b"".join(body[_BLOCK_HEADER:] for body in bodies[first:last]))
            for first, last in itertools.pairwise(edges)
        ]
        return parts[0] if len(parts) == 1 else Runs.joined(parts)

    def _rows(self, heads: np.ndarray, body: bytes) -> Runs:
        """Decode the rows of blocks of one kind (1 bedGraph, 2 variable step, 3 fixed step)."""
        kind, counts = int(heads["kind"][0]), heads["rows"].astype(np.int64)
        if kind == 1:
            rows = np.frombuffer(body, self._layout.graph, int(counts.sum()))
            return Runs(rows["start"].astype(np.int64), rows["end"].astype(np.int64), rows["value"].astype(np.float32))
        spans = np.repeat(heads["span"].astype(np.int64), counts)
        if kind == 2:
            rows = np.frombuffer(body, self._layout.step, len(spans))
            starts = rows["start"].astype(np.int64)
            return Runs(starts, starts + spans, rows["value"].astype(np.float32))
        if kind != 3:
            raise ValueError(f"a block is of the unknown kind {kind}")
        values = np.frombuffer(body, self._layout.order + "f4", len(spans)).astype(np.float32)
        within = np.arange(len(spans)) - np.repeat(np.cumsum(counts) - counts, counts)
        starts = np.repeat(heads["start"].astype(np.int64), counts)
        starts += within * np.repeat(heads["step"].astype(np.int64), counts)
        return Runs(starts, starts + spans, values)


def _see(at: int, seen: set[int]) -> None:
    """Note a node of a tree. Raises ValueError where it was there before: such a tree has no end, or none in time."""
    if at in seen:
        raise ValueError("its index points back")
    seen.add(at)


def _cut(runs: Runs, start: int, end: int) -> Runs:
    """The part of runs inside ``[start, end)``."""
    first = int(np.searchsorted(runs.ends, start, "right"))
    last = int(np.searchsorted(runs.starts, end, "left"))
    starts, ends = runs.starts[first:last], runs.ends[first:last]
    if len(starts) and (starts[0] < start or ends[-1] > end):
        starts, ends = np.maximum(starts, start), np.minimum(ends, end)
    return Runs(starts, ends, runs.values[first:last])
