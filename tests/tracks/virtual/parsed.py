"""A bigWig's header and indexes, read as the format's description has them (Kent et al. 2010, supplement)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

Read = Callable[[int, int], bytes]


@dataclass(frozen=True)
class Leaf:
    """An entry of an R tree."""

    chrom: int
    start: int
    last_chrom: int
    end: int
    at: int
    size: int


@dataclass(frozen=True)
class Index:
    """An R tree: its header's fields, its leaves in order, and where its last node ends."""

    items: int
    span: tuple[int, int, int, int]
    end_of_data: int
    rows: int
    leaves: tuple[Leaf, ...]
    end: int


@dataclass(frozen=True)
class Zoom:
    """A zoom level: bases a record, records, and where its data and index begin."""

    size: int
    records: int
    at: int
    index_at: int


class Parsed:
    """The fields of a bigWig, from ``read(offset, length)``."""

    def __init__(self, read: Read) -> None:
        self.read = read
        fields = struct.unpack("<IHHQQQHHQQIQ", read(0, 64))
        self.magic, self.version, levels, self.tree_at, self.data_at, self.index_at = fields[:6]
        self.fields, self.defined, self.sql_at, self.summary_at, self.buffer, self.extension_at = fields[6:]
        self.zooms = []
        for level in range(levels):
            size, _, at, index_at = struct.unpack("<IIQQ", read(64 + 24 * level, 24))
            self.zooms.append(Zoom(size, struct.unpack("<I", read(at, 4))[0], at, index_at))
        self.summary = struct.unpack("<Qdddd", read(self.summary_at, 40))
        (self.sections,) = struct.unpack("<Q", read(self.data_at, 8))
        self.chroms, self.tree_end = self._chroms()

    def _chroms(self) -> tuple[list[tuple[str, int, int]], int]:
        """Name, number and length of each chromosome, in the order of the tree, and where the tree ends."""
        magic, _, width, value, count, _ = struct.unpack("<IIIIQQ", self.read(self.tree_at, 32))
        assert (magic, value) == (0x78CA8C91, 8)
        found: list[tuple[str, int, int]] = []

        def walk(at: int) -> int:
            leaf, _, rows = struct.unpack("<BBH", self.read(at, 4))
            ends = [at + 4 + rows * (width + 8)]
            for row in range(rows):
                raw = self.read(at + 4 + row * (width + 8), width + 8)
                key, rest = raw[:width], raw[width:]
                if leaf:
                    found.append((key.rstrip(b"\0").decode(), *struct.unpack("<II", rest)))
                else:
                    before = len(found)
                    ends.append(walk(struct.unpack("<Q", rest)[0]))
                    assert found[before][0] == key.rstrip(b"\0").decode()
            return max(ends)

        end = walk(self.tree_at + 32)
        assert len(found) == count
        return found, end

    def index(self, at: int) -> Index:
        """Read an R tree; every inner node spans what is below it."""
        header = struct.unpack("<IIQIIIIQII", self.read(at, 48))
        assert header[0] == 0x2468ACE0
        leaves: list[Leaf] = []

        def walk(at: int) -> int:
            leaf, _, rows = struct.unpack("<BBH", self.read(at, 4))
            width = 32 if leaf else 24
            ends = [at + 4 + rows * width]
            for row in range(rows):
                raw = self.read(at + 4 + row * width, width)
                if leaf:
                    leaves.append(Leaf(*struct.unpack("<IIIIQQ", raw)))
                    continue
                *span, child = struct.unpack("<IIIIQ", raw)
                before = len(leaves)
                ends.append(walk(child))
                below = leaves[before:]
                assert tuple(span[:2]) == (below[0].chrom, below[0].start)
                assert tuple(span[2:]) == (below[-1].last_chrom, below[-1].end)
            return max(ends)

        end = walk(at + 48)
        return Index(header[2], header[3:7], header[7], header[8], tuple(leaves), end)
