"""The bigWig format, read as a stream of runs (Kent et al. 2010, Bioinformatics 26:2204, and its supplement).

Why not a library: pyBigWig gives intervals as Python tuples, or a number for every base; pybigtools bins by itself and
keeps neither sums nor counts apart. Here whole blocks become NumPy arrays, which is several times as fast
(``benchmarks/label_binning.py``), and pyBigWig is what the tests compare with.
"""

from __future__ import annotations

import itertools
import mmap
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from tracks.bigwig_writer import MAGIC
from tracks.errors import TracksError, UsageError
from tracks.regions import check_chrom
from tracks.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

BIGWIG_SUFFIXES = (".bw", ".bigwig")
"""How the names of bigWig files end, in small letters."""

_BIGBED_MAGIC = 0x8789F2EB
_CHROM_MAGIC, _INDEX_MAGIC = 0x78CA8C91, 0x2468ACE0
_BLOCK_HEADER = 24
_BATCH = 64
"""Blocks that are decoded together: 65,536 runs in files of the usual 1,024 a block."""

_MOST_MAPPED = 1 << 22
"""Bytes of a file that stay mapped into memory."""

# What a damaged file makes of its tables: counts, offsets and texts that cannot be.
_DAMAGE = (struct.error, ValueError, IndexError, UnicodeDecodeError, OverflowError, MemoryError, zlib.error)


@dataclass(frozen=True)
class _Layout:
    """Row types in the byte order of one file."""

    order: str

    def row(self, **columns: str) -> np.dtype:
        return np.dtype([(name, self.order + kind) for name, kind in columns.items()])

    def numbers(self, form: str, data: mmap.mmap | bytes, at: int) -> tuple[int, ...]:
        return struct.unpack_from(self.order + form, data, at)


class BigWigReader:
    """A bigWig file. A handle is for one process; several threads may use it at once.

    Raises UsageError when there is no such file, TracksError when it is no bigWig, damaged or truncated.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                size = file.seek(0, 2)
                # An empty file cannot be mapped.
                self._data: mmap.mmap | bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        except FileNotFoundError as error:
            raise UsageError(f"there is no bigWig file {path}") from error
        except OSError as error:
            raise TracksError(f"cannot read {path}: {error.strerror}") from error
        self._mapped = 0
        self._layout = _Layout(self._order())
        try:
            self._read_header()
        except _DAMAGE as error:
            raise self._damaged(str(error)) from error

    def _order(self) -> str:
        head = bytes(self._data[:4])
        for order, name in (("<", "little"), (">", "big")):
            number = int.from_bytes(head, name)  # type: ignore[arg-type]
            if number == MAGIC:
                return order
            if number == _BIGBED_MAGIC:
                raise TracksError(f"cannot read {self.path}: it is a bigBed file, not a bigWig")
        raise TracksError(f"cannot read {self.path}: it is not a bigWig file")

    def _damaged(self, why: str) -> TracksError:
        return TracksError(f"cannot read {self.path}: it is a damaged or truncated bigWig file ({why})")

    def _read_header(self) -> None:
        chroms_at, _, index_at = self._layout.numbers("QQQ", self._data, 8)
        self._compressed = self._layout.numbers("I", self._data, 52)[0] > 0
        magic, _, key_size = self._layout.numbers("III", self._data, chroms_at)
        if magic != _CHROM_MAGIC:
            raise ValueError("its table of chromosomes is not where the header says")
        if self._layout.numbers("I", self._data, index_at)[0] != _INDEX_MAGIC:
            raise ValueError("its index is not where the header says")
        self._root = index_at + 48
        (zooms,) = self._layout.numbers("H", self._data, 6)
        for level in range(zooms):
            # They are not read, but a file without them is cut short, and others will not read it.
            data_at, zoom_index_at = self._layout.numbers("QQ", self._data, 64 + 24 * level + 8)
            if max(data_at, zoom_index_at + 48) > len(self._data):
                raise ValueError("its zoom levels lie past its end")
        listed = sorted(self._chroms(chroms_at + 32, key_size))
        self._ids = {name: at for at, name, _ in listed}
        self.chrom_sizes: dict[str, int] = {name: length for _, name, length in listed}
        """Length of each chromosome, in the order of the file's data."""
        if not self.chrom_sizes:
            raise ValueError("it names no chromosome")

    def _node(self, at: int, leaf: np.dtype, inner: np.dtype) -> tuple[bool, np.ndarray]:
        """A node of either tree: whether it is a leaf, and its rows."""
        is_leaf, _, count = self._layout.numbers("BBH", self._data, at)
        row = leaf if is_leaf else inner
        if at + 4 + count * row.itemsize > len(self._data):
            raise ValueError("its tables go on past its end")
        return bool(is_leaf), np.frombuffer(self._data, row, count, at + 4)

    def _chroms(self, at: int, key_size: int) -> Iterator[tuple[int, str, int]]:
        key = f"S{key_size}"
        leaf = np.dtype([("key", key), ("id", self._layout.order + "u4"), ("length", self._layout.order + "u4")])
        inner = np.dtype([("key", key), ("child", self._layout.order + "u8")])
        is_leaf, rows = self._node(at, leaf, inner)
        for row in rows:
            if is_leaf:
                yield int(row["id"]), row["key"].decode(), int(row["length"])
            else:
                yield from self._chroms(int(row["child"]), key_size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if isinstance(self._data, mmap.mmap):
            self._data.close()

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
        try:
            places = list(self._blocks(self._root, self._ids[chrom], start, end))
            blocks = np.concatenate(places) if places else np.empty((0, 2), np.int64)
            last = start
            for first in range(0, len(blocks), _BATCH):
                found = _cut(self._decoded(blocks[first : first + _BATCH]), start, end)
                self._release(int(blocks[first : first + _BATCH, 1].sum()))
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

    def _release(self, read: int) -> None:
        """Let go of the pages that were read, now and then: they stay in the system's cache, and are not this process's
        memory."""
        self._mapped += read
        if self._mapped > _MOST_MAPPED and isinstance(self._data, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            self._data.madvise(mmap.MADV_DONTNEED)
            self._mapped = 0

    def _blocks(self, at: int, chrom: int, start: int, end: int) -> Iterator[np.ndarray]:
        """Offset and size of the blocks that may touch a span, int64 ``[n, 2]`` a leaf of the index."""
        span = {"chrom": "u4", "start": "u4", "last_chrom": "u4", "end": "u4", "at": "u8"}
        leaf, rows = self._node(at, self._layout.row(**span, size="u8"), self._layout.row(**span))
        before = (rows["last_chrom"] < chrom) | ((rows["last_chrom"] == chrom) & (rows["end"] <= start))
        after = (rows["chrom"] > chrom) | ((rows["chrom"] == chrom) & (rows["start"] >= end))
        touching = rows[~(before | after)]
        if leaf:
            yield np.stack([touching["at"], touching["size"]], axis=1).astype(np.int64)
            return
        for child in touching["at"].tolist():
            if child <= at:
                raise ValueError("its index points back")
            yield from self._blocks(child, chrom, start, end)

    def _decoded(self, blocks: np.ndarray) -> Runs:
        """Decode whole blocks, which are of one chromosome."""
        bodies = []
        for at, size in blocks.tolist():
            if at + size > len(self._data):
                raise ValueError("a block goes on past its end")
            body = self._data[at : at + size]
            bodies.append(zlib.decompress(body, bufsize=1 << 14) if self._compressed else body)
        header = self._layout.row(
            chrom="u4", start="u4", end="u4", step="u4", span="u4", kind="u1", pad="u1", rows="u2"
        )
        heads = np.frombuffer(b"".join(body[:_BLOCK_HEADER] for body in bodies), header)
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
            rows = np.frombuffer(body, self._layout.row(start="u4", end="u4", value="f4"), int(counts.sum()))
            return Runs(rows["start"].astype(np.int64), rows["end"].astype(np.int64), rows["value"].astype(np.float32))
        spans = np.repeat(heads["span"].astype(np.int64), counts)
        if kind == 2:
            rows = np.frombuffer(body, self._layout.row(start="u4", value="f4"), len(spans))
            starts = rows["start"].astype(np.int64)
            return Runs(starts, starts + spans, rows["value"].astype(np.float32))
        if kind != 3:
            raise ValueError(f"a block is of the unknown kind {kind}")
        values = np.frombuffer(body, self._layout.order + "f4", len(spans)).astype(np.float32)
        within = np.arange(len(spans)) - np.repeat(np.cumsum(counts) - counts, counts)
        starts = np.repeat(heads["start"].astype(np.int64), counts)
        starts += within * np.repeat(heads["step"].astype(np.int64), counts)
        return Runs(starts, starts + spans, values)


def _cut(runs: Runs, start: int, end: int) -> Runs:
    """The part of runs inside ``[start, end)``."""
    first = int(np.searchsorted(runs.ends, start, "right"))
    last = int(np.searchsorted(runs.starts, end, "left"))
    starts, ends = runs.starts[first:last], runs.ends[first:last]
    if len(starts) and (starts[0] < start or ends[-1] > end):
        starts, ends = np.maximum(starts, start), np.minimum(ends, end)
    return Runs(starts, ends, runs.values[first:last])
