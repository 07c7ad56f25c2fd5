"""Where each part of a virtual bigWig lies: arithmetic on chromosome lengths, before any value is known.

Readers read more than they need, in blocks of up to 128 KiB, so what is cheap comes first and far from what a model
computes: headers, chromosome tree, number of sections, all indexes, zoom levels (the coarsest first), and the sections,
one a window. The number of sections follows the chromosome tree at once, because an older JBrowse takes all that lies
between for the tree. Nothing is compressed, so that sizes are known. (facts: virtual_bigwig.md, section 1.)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tracks.bigwig_blocks import PLACE
from tracks.bigwig_format import FILE_HEADER, MAGIC, SUMMARY, ZOOM_HEADER, block_index, chrom_tree
from tracks.bigwig_zoom import RECORD_BYTES
from tracks.errors import UsageError
from tracks.grid import BINS, WINDOW, window_count
from tracks.virtual.sections import FARTHEST, section_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracks.virtual.values import Totals

VERSION = 1
"""Raised when the same values would be laid out as other bytes: no address then means two files."""

TIGHT = 1
"""Sections follow one another: the smallest file."""
SLOT = 8192
"""Sections begin at multiples of this, a block of UCSC's cache: the one that suits most readers."""
JBROWSE_SLOT = 131_072
"""The same for JBrowse, which reads blocks of 128 KiB: with one section in each it asks for no window unseen."""
SLOTS = (TIGHT, SLOT, JBROWSE_SLOT)

ZOOM = 1024
"""Bases of a record of the finest zoom level. Four times as many a level."""
LEVELS = 9

PAGE_RECORDS = 256
_PAGE = PAGE_RECORDS * RECORD_BYTES
_READ_AHEAD = 131_072
_MAGIC = struct.pack("<I", MAGIC)
_SUMMARY_AT = FILE_HEADER.size + LEVELS * ZOOM_HEADER.size


@dataclass(frozen=True, eq=False)
class Layout:
    """The layout of one track's file over a genome; ``chroms`` are in the order of their numbers in it.

    ``blocks`` (``PLACE [blocks]``, in the order of the file) are those of all zoom levels, the coarsest first, then the
    sections; ``levels`` int8 ``[blocks]`` says which: a zoom level, or -1 for a section. ``starts`` and ``ends`` (int64
    ``[blocks]``) are where they lie. Before them are the bytes of ``headers``, which differ from track to track, and
    of ``indexes``; ``size`` are all bytes, of which the last four are ``magic``.
    """

    chroms: tuple[str, ...]
    lengths: tuple[int, ...]
    headers: bytes
    indexes: bytes
    blocks: np.ndarray
    levels: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    size: int
    magic: bytes = _MAGIC

    @property
    def sections_at(self) -> int:
        """Where the first section begins; all before it is known without a window."""
        return int(self.starts[np.searchsorted(-self.levels, 1)])

    def with_totals(self, totals: Totals) -> Layout:
        """Return the same layout for another track; what is large is shared."""
        return replace(self, headers=self.headers[:_SUMMARY_AT] + _packed(totals))


def lay_out(chrom_sizes: Mapping[str, int], totals: Totals, slot: int = SLOT) -> Layout:
    """Lay out a file of all windows of a genome, each section at a multiple of ``slot`` bytes.

    Raises UsageError for a slot that there is not, and for a chromosome too long for the format.
    """
    if slot not in SLOTS:
        raise UsageError(f"there is no slot of {slot} bytes; choose {', '.join(map(str, SLOTS))}")
    # Readers search the names, and walk through blocks by number: both must have one order.
    chroms = tuple(sorted(chrom_sizes, key=str.encode))
    lengths = tuple(chrom_sizes[chrom] for chrom in chroms)
    for chrom, length in zip(chroms, lengths, strict=True):
        if not 0 < length < FARTHEST:
            raise UsageError(f"chromosome {chrom} has {length:,} bases; a bigWig's has 1 to {FARTHEST - 1:,}")
    tree_at = _SUMMARY_AT + SUMMARY.size
    tree = chrom_tree(dict(zip(chroms, lengths, strict=True)), tree_at)
    counts_at = tree_at + len(tree)
    index_at = counts_at + 8 + 4 * LEVELS
    zooms = [_zoom_blocks(lengths, level) for level in range(LEVELS)]
    sections = _section_blocks(lengths)
    # An index's size does not depend on where its blocks are.
    indexes_end = index_at + sum(len(block_index(blocks, 0, 0)) for blocks in (sections, *zooms))
    at = _up(indexes_end, _READ_AHEAD)
    for blocks in reversed(zooms):
        at = _place(blocks, at)
    at = _up(at, _READ_AHEAD)
    strides = -(-sections["size"].astype(np.int64) // slot) * slot
    sections["at"] = at + np.cumsum(strides) - strides
    size = _up(at + int(strides.sum()), _READ_AHEAD) + _READ_AHEAD
    indexes = []
    index_ats = []
    for blocks, rows in ((sections, BINS), *((blocks, PAGE_RECORDS) for blocks in zooms)):
        index_ats.append(index_at)
        indexes.append(block_index(blocks, index_at, rows))
        index_at += len(indexes[-1])
    headers = b"".join(
        [
            FILE_HEADER.pack(MAGIC, 4, LEVELS, tree_at, counts_at, index_ats[0], 0, 0, 0, _SUMMARY_AT, 0, 0),
            *(
                ZOOM_HEADER.pack(ZOOM * 4**level, 0, counts_at + 8 + 4 * level, index_ats[1 + level])
                for level in range(LEVELS)
            ),
            _packed(totals),
        ]
    )
    counts = (struct.pack("<I", int(blocks["size"].sum()) // RECORD_BYTES) for blocks in zooms)
    after = b"".join([tree, struct.pack("<Q", len(sections)), *counts, *indexes])
    parts = [*reversed(zooms), sections]
    of = [*reversed(range(LEVELS)), -1]
    levels = np.repeat(np.array(of, np.int8), [len(part) for part in parts])
    blocks = np.concatenate(parts)
    starts = blocks["at"].astype(np.int64)
    return Layout(chroms, lengths, headers, after, blocks, levels, starts, starts + blocks["size"], size)


def _packed(totals: Totals) -> bytes:
    return SUMMARY.pack(totals.bases, totals.least, totals.most, totals.sum, totals.squares)


def _zoom_blocks(lengths: tuple[int, ...], level: int) -> np.ndarray:
    """The blocks of a zoom level, up to 256 records of one chromosome each; where they are is not known yet."""
    size = ZOOM * 4**level
    blocks = _cut(lengths, PAGE_RECORDS * size)
    blocks["size"] = -(-(blocks["end"] - blocks["start"]).astype(np.int64) // size) * RECORD_BYTES
    return blocks


def _section_blocks(lengths: tuple[int, ...]) -> np.ndarray:
    blocks = _cut(lengths, WINDOW)
    blocks["size"] = section_bytes(0, WINDOW)
    for last in (np.cumsum([window_count(length) for length in lengths]) - 1).tolist():
        blocks["size"][last] = section_bytes(int(blocks["start"][last]), int(blocks["end"][last]))
    return blocks


def _cut(lengths: tuple[int, ...], span: int) -> np.ndarray:
    """Blocks that cover ``span`` bases of one chromosome each, or what is left of it: ``PLACE`` without sizes."""
    counts = -(-np.array(lengths, np.int64) // span)
    blocks = np.zeros(counts.sum(), PLACE)
    chrom = np.repeat(np.arange(len(lengths)), counts)
    start = (np.arange(len(blocks)) - np.repeat(np.cumsum(counts) - counts, counts)) * span
    blocks["chrom"], blocks["start"] = chrom, start
    blocks["end"] = np.minimum(start + span, np.array(lengths, np.int64)[chrom])
    return blocks


def _place(blocks: np.ndarray, at: int) -> int:
    """Place a level's blocks one after the other from ``at`` on, none across two pages; return where the last ends.

    A page is what UCSC keeps of a file at a time. Of a block that is read in two parts the second may be from later,
    when more was known.
    """
    sizes = blocks["size"].tolist()
    ats = []
    for size in sizes:
        if at // _PAGE != (at + size - 1) // _PAGE:
            at = _up(at, _PAGE)
        ats.append(at)
        at += size
    blocks["at"] = ats
    return at


def _up(at: int, multiple: int) -> int:
    return -(-at // multiple) * multiple
