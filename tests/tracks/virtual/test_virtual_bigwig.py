"""Any bytes of a virtual bigWig, and which windows they take."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tracks.virtual.parsed import Parsed
from tests.tracks.virtual.test_layout import HG38, NOTHING
from tests.tracks.virtual.toy import SIZES, Toy
from tracks.errors import TracksError
from tracks.grid import WINDOW, window_count
from tracks.virtual import JBROWSE_SLOT, SLOT, TIGHT, Layout, VirtualBigWig, lay_out

ALL = [(chrom, index) for chrom in sorted(SIZES) for index in range(window_count(SIZES[chrom]))]
"""All windows, in the order of a file."""


@functools.cache
def whole(slot: int) -> tuple[Layout, bytes]:
    layout = lay_out(SIZES, Toy().totals(), slot)
    return layout, VirtualBigWig(layout, Toy()).read(0, layout.size)


@st.composite
def ranges(draw: st.DrawFn, layout: Layout) -> tuple[int, int]:
    """A range of bytes: anywhere, or beginning and ending about where blocks do."""
    edges = [0, len(layout.headers), len(layout.headers) + len(layout.indexes), layout.size, layout.size - 4]
    near = st.builds(
        lambda at, off: max(at + off, 0),
        st.sampled_from([*edges, *layout.starts.tolist(), *layout.ends.tolist()]),
        st.integers(-3, 3),
    )
    place = st.integers(0, layout.size + 10) | near
    first, last = sorted((draw(place), draw(place)))
    return first, last - first


@pytest.mark.parametrize("slot", [TIGHT, SLOT, JBROWSE_SLOT])
@given(data=st.data())
def test_any_range_is_that_part_of_the_whole(slot: int, data: st.DataObject) -> None:
    layout, content = whole(slot)
    offset, length = data.draw(ranges(layout))
    toy = Toy()
    virtual = VirtualBigWig(layout, toy)
    named = virtual.windows(offset, length)
    assert toy.asked == []
    assert virtual.read(offset, length) == content[offset : offset + length]
    assert toy.asked == named, "windows() names those that are asked for, in order"


@pytest.mark.parametrize("slot", [TIGHT, SLOT, JBROWSE_SLOT])
def test_the_whole_takes_each_window_once(slot: int) -> None:
    layout, content = whole(slot)
    assert len(content) == layout.size
    assert VirtualBigWig(layout, Toy()).windows(0, layout.size) == ALL


@given(offset=st.integers(0, 3_000_000), length=st.integers(0, 400_000), taken=st.integers(0, 12))
def test_parts_are_made_as_they_are_taken(offset: int, length: int, taken: int) -> None:
    """At most one window a part, and none before its part is asked for."""
    layout, content = whole(JBROWSE_SLOT)
    toy = Toy()
    parts = VirtualBigWig(layout, toy).parts(offset, length)
    at = offset
    for part in itertools.islice(parts, taken):
        assert part
        assert part == content[at : at + len(part)]
        before = VirtualBigWig(layout, toy).windows(at, len(part))
        assert toy.asked[-len(before) :] == before if before else True
        assert len(before) <= 1
        at += len(part)
    assert toy.asked == VirtualBigWig(layout, toy).windows(offset, at - offset)
    assert sum(map(len, parts)) == max(min(length, layout.size - offset), 0) - (at - offset)


@pytest.mark.parametrize("sizes", [SIZES, HG38], ids=["small", "hg38"])
@pytest.mark.parametrize("slot", [TIGHT, SLOT, JBROWSE_SLOT])
def test_headers_indexes_and_zoom_levels_take_no_window(sizes: dict[str, int], slot: int) -> None:
    """Whatever blocks of 128 KiB a reader reads them in."""
    toy = Toy({})
    layout = lay_out(sizes, NOTHING, slot)
    virtual = VirtualBigWig(layout, toy)
    assert layout.sections_at % JBROWSE_SLOT == 0
    assert virtual.windows(0, layout.sections_at) == []
    assert virtual.windows(0, layout.sections_at + 1) == [(min(sizes, key=str.encode), 0)]
    found = Parsed(virtual.read)
    for at in (found.index_at, *(zoom.index_at for zoom in found.zooms)):
        found.index(at)
    end = int(layout.ends[-1])
    assert virtual.windows(end, layout.size) == []
    assert virtual.read(end, layout.size)[-4:] == virtual.read(layout.size - 4, 9)
    assert toy.asked == []


@pytest.mark.parametrize(("slot", "most"), [(SLOT, 20), (JBROWSE_SLOT, 4)])
def test_a_view_of_100_kb_in_blocks_of_128_kib(slot: int, most: int) -> None:
    """JBrowse reads all blocks that hold a section of the view."""
    layout = lay_out(HG38, NOTHING, slot)
    virtual = VirtualBigWig(layout, Toy({}))
    for start in (0, 60_000_000, 100_010_000):
        leaves = [
            leaf
            for leaf in Parsed(virtual.read).index(Parsed(virtual.read).index_at).leaves
            if leaf.chrom == 0 and leaf.start < start + 100_000 and leaf.end > start
        ]
        first = leaves[0].at // JBROWSE_SLOT * JBROWSE_SLOT
        last = -(-(leaves[-1].at + leaves[-1].size) // JBROWSE_SLOT) * JBROWSE_SLOT
        windows = virtual.windows(first, last - first)
        assert {("chr1", start // WINDOW), ("chr1", (start + 99_999) // WINDOW)} <= set(windows)
        assert len(windows) <= most


@pytest.mark.parametrize(("offset", "length"), [(0, 0), (700_000, 0), (10**12, 5), (0, -3)])
def test_ranges_of_nothing(offset: int, length: int) -> None:
    layout, _ = whole(SLOT)
    toy = Toy()
    virtual = VirtualBigWig(layout, toy)
    assert virtual.read(offset, length) == b""
    assert virtual.windows(offset, length) == []
    assert toy.asked == []


def test_what_cannot_be_computed_is_said() -> None:
    """The bytes before it are given, and nothing in its place."""

    class Broken(Toy):
        def window(self, chrom: str, index: int) -> np.ndarray:
            if (chrom, index) == ALL[1]:
                raise TracksError("no memory left")
            return super().window(chrom, index)

    layout, content = whole(TIGHT)
    parts = VirtualBigWig(layout, Broken()).parts(layout.sections_at, layout.size)
    first = next(parts)
    assert first == content[layout.sections_at : layout.sections_at + len(first)]
    with pytest.raises(TracksError, match="no memory left"):
        next(parts)


def test_what_is_past_the_end_of_a_chromosome_is_not_looked_at() -> None:
    """A model may say something of bins there."""

    class Odd(Toy):
        def window(self, chrom: str, index: int) -> np.ndarray:
            values = super().window(chrom, index).copy()
            left = -(-(self.sizes[chrom] - index * WINDOW) // 128)
            values[max(left, 0) :] = 1e9
            return values

    layout, content = whole(TIGHT)
    assert VirtualBigWig(layout, Odd()).read(0, layout.size) == content


def test_no_part_is_large() -> None:
    """What was given is kept until it is read, for each of many readers."""
    layout = lay_out({"chr1": 2_000_000_000}, NOTHING)
    assert len(layout.indexes) > 500_000
    parts = list(VirtualBigWig(layout, Toy()).parts(0, len(layout.headers) + len(layout.indexes)))
    assert b"".join(parts) == layout.headers + layout.indexes
    assert max(map(len, parts)) <= 1 << 16
