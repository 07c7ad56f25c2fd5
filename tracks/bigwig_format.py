"""The parts of a bigWig that say where the others are: its headers and its search trees.

Kent et al. 2010, Bioinformatics 26:2204, and its supplement. All numbers are little-endian.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAGIC = 0x888FFC26

FILE_HEADER = struct.Struct("<IHHQQQHHQQIQ")
"""Magic, version and zoom levels; where the chromosome tree, the values and their index begin; fields and defined
fields of a bigBed; where autoSql and the summary begin; the bytes of a block before compression (0: none is
compressed), and where an extension begins."""
ZOOM_HEADER = struct.Struct("<IIQQ")
"""Of a zoom level: bases a record, 0, where its records and their index begin."""
SUMMARY = struct.Struct("<Qdddd")
"""Of the whole file: bases with a value, least, most, sum and sum of squares."""

_CHROM_MAGIC, _INDEX_MAGIC = 0x78CA8C91, 0x2468ACE0
_CHILDREN = 256
"""Most children of one node of a tree."""

_SPAN = [(name, "<u4") for name in ("chrom", "start", "last_chrom", "end")]
_INDEX_ROW = np.dtype([*_SPAN, ("at", "<u8"), ("size", "<u8")])
_INDEX_NODE = np.dtype([*_SPAN, ("at", "<u8")])


def chrom_tree(chrom_sizes: Mapping[str, int], at: int) -> bytes:
    """The B+ tree of chromosome names, written at ``at``: keys in the order of their bytes, with number and length."""
    width = max(len(chrom.encode()) for chrom in chrom_sizes)
    leaf = np.dtype([("key", f"S{width}"), ("id", "<u4"), ("length", "<u4")])
    node = np.dtype([("key", f"S{width}"), ("child", "<u8")])
    items = sorted((chrom.encode(), at, length) for at, (chrom, length) in enumerate(chrom_sizes.items()))
    block = min(len(items), _CHILDREN)
    header = struct.pack("<IIIIQQ", _CHROM_MAGIC, block, width, 8, len(items), 0)
    return header + _tree(np.array(items, leaf), at + len(header), lambda rows, child: (rows["key"][0], child), node)


def block_index(places: np.ndarray, at: int, rows_of_block: int) -> bytes:
    """The R tree of blocks, written at ``at``: the span and place of each (``PLACE``, at least one), and the most rows
    that one of them has."""
    rows = np.empty(len(places), _INDEX_ROW)
    for name in ("chrom", "start", "end", "at", "size"):
        rows[name] = places[name]
    rows["last_chrom"] = places["chrom"]
    span = (rows[0]["chrom"], rows[0]["start"], rows[-1]["last_chrom"], rows[-1]["end"])
    header = struct.pack("<IIQIIIIQII", _INDEX_MAGIC, _CHILDREN, len(rows), *span, at, rows_of_block, 0)

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
