"""Where the parts of a virtual bigWig are, as its own bytes say (facts: virtual_bigwig.md, sections 1 and 2)."""

from __future__ import annotations

import itertools
import time
import tracemalloc

import numpy as np
import pytest

from tests.tracks.virtual.parsed import Parsed
from tests.tracks.virtual.toy import SIZES, Toy
from tracks.errors import UsageError
from tracks.grid import BIN, WINDOW, bin_count, window_count
from tracks.virtual import JBROWSE_SLOT, SLOT, TIGHT, Totals, VirtualBigWig, lay_out

NOTHING = Totals(0, 0.0, 0.0, 0.0, 0.0)
SLOTS = [TIGHT, SLOT, JBROWSE_SLOT]
BLOCK = 131_072
"""What JBrowse reads at a time; igv.js half of it, UCSC 8 KiB."""

HG38 = {
    "chr1": 248_956_422, "chr2": 242_193_529, "chr3": 198_295_559, "chr4": 190_214_555, "chr5": 181_538_259,
    "chr6": 170_805_979, "chr7": 159_345_973, "chr8": 145_138_636, "chr9": 138_394_717, "chr10": 133_797_422,
    "chr11": 135_086_622, "chr12": 133_275_309, "chr13": 114_364_328, "chr14": 107_043_718, "chr15": 101_991_189,
    "chr16": 90_338_345, "chr17": 83_257_441, "chr18": 80_373_285, "chr19": 58_617_616, "chr20": 64_444_167,
    "chr21": 46_709_983, "chr22": 50_818_468, "chrX": 156_040_895, "chrY": 57_227_415, "chrM": 16_569,
}  # fmt: skip


@pytest.fixture(scope="module", params=[SIZES, HG38], ids=["small", "hg38"])
def sizes(request: pytest.FixtureRequest) -> dict[str, int]:
    found: dict[str, int] = request.param
    return found


def parsed(sizes: dict[str, int], slot: int = SLOT, totals: Totals = NOTHING) -> Parsed:
    """The fields of a file of no known value: no window is needed for them."""
    toy = Toy({})
    found = Parsed(VirtualBigWig(lay_out(sizes, totals, slot), toy).read)
    assert toy.asked == []
    return found


def test_the_header_says_what_it_must(sizes: dict[str, int]) -> None:
    totals = Totals(12, -1.5, 2.5, 3.25, 9.0)
    found = parsed(sizes, totals=totals)
    assert (found.magic, found.version) == (0x888FFC26, 4)
    assert (found.fields, found.defined, found.sql_at, found.extension_at) == (0, 0, 0, 0)
    assert found.buffer == 0, "nothing is compressed"
    assert [zoom.size for zoom in found.zooms] == [1024 * 4**level for level in range(9)]
    assert found.summary == (12, -1.5, 2.5, 3.25, 9.0)
    size = lay_out(sizes, totals).size
    assert VirtualBigWig(lay_out(sizes, totals), Toy({})).read(size - 4, 4) == (0x888FFC26).to_bytes(4, "little")


def test_names_are_numbered_in_the_order_of_their_bytes(sizes: dict[str, int]) -> None:
    expected = [(chrom, at, sizes[chrom]) for at, chrom in enumerate(sorted(sizes, key=str.encode))]
    assert parsed(sizes).chroms == expected


@pytest.mark.parametrize("slot", SLOTS)
def test_what_is_cheap_comes_first(sizes: dict[str, int], slot: int) -> None:
    """The number of sections at once after the chromosome tree, which an older JBrowse takes to end there; then all
    indexes, the zoom levels from the coarsest on, and the sections, no two of these in one block of read-ahead."""
    found = parsed(sizes, slot)
    layout = lay_out(sizes, NOTHING, slot)
    assert found.tree_at == 64 + 24 * 9 + 40
    assert found.data_at == found.tree_end
    indexes = [found.index(at) for at in (found.index_at, *(zoom.index_at for zoom in found.zooms))]
    begins = [found.data_at, *(zoom.at for zoom in found.zooms), found.index_at]
    begins += [zoom.index_at for zoom in found.zooms]
    ends = [found.data_at + 8, *(zoom.at + 4 for zoom in found.zooms), *(index.end for index in indexes)]
    assert begins[1:] == ends[:-1], "one after the other, without a gap"
    sections, *zooms = [[(leaf.at, leaf.at + leaf.size) for leaf in index.leaves] for index in indexes]
    spans = [(0, ends[-1]), *((zoom[0][0], zoom[-1][1]) for zoom in reversed(zooms)), (sections[0][0], sections[-1][1])]
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(spans))
    after_head, after_zooms = spans[1][0], spans[-1][0]
    assert (ends[-1] - 1) // BLOCK < after_head // BLOCK
    assert (spans[-2][1] - 1) // BLOCK < after_zooms // BLOCK
    assert layout.sections_at == after_zooms
    assert layout.size - spans[-1][1] >= 65_536


@pytest.mark.parametrize("slot", SLOTS)
def test_index_entries_are_as_large_as_their_blocks(sizes: dict[str, int], slot: int) -> None:
    """One byte more and UCSC's programs end themselves. A section is a window; no two share a slot."""
    found = parsed(sizes, slot)
    index = found.index(found.index_at)
    names = sorted(sizes, key=str.encode)
    expected = [
        (at, start, min(start + WINDOW, sizes[chrom]))
        for at, chrom in enumerate(names)
        for start in range(0, sizes[chrom], WINDOW)
    ]
    assert found.sections == index.items == len(expected) == sum(map(window_count, sizes.values()))
    assert [(leaf.chrom, leaf.start, leaf.end) for leaf in index.leaves] == expected
    assert index.rows == 896
    for leaf in index.leaves:
        whole = (leaf.end - leaf.start) % BIN == 0
        assert leaf.last_chrom == leaf.chrom
        assert leaf.size == 24 + (8 if whole else 12) * bin_count(leaf.end - leaf.start)
        assert leaf.at % slot == 0
    assert all(
        before.at + before.size <= leaf.at and (slot == TIGHT or before.at // slot < leaf.at // slot)
        for before, leaf in itertools.pairwise(index.leaves)
    )


def test_zoom_blocks_hold_a_stretch_of_one_chromosome_each(sizes: dict[str, int]) -> None:
    found = parsed(sizes)
    names = sorted(sizes, key=str.encode)
    for zoom in found.zooms:
        index = found.index(zoom.index_at)
        expected = [
            (at, start, min(start + 256 * zoom.size, sizes[chrom]))
            for at, chrom in enumerate(names)
            for start in range(0, sizes[chrom], 256 * zoom.size)
        ]
        assert [(leaf.chrom, leaf.start, leaf.end) for leaf in index.leaves] == expected
        assert [leaf.size for leaf in index.leaves] == [
            -(-(end - start) // zoom.size) * 32 for _, start, end in expected
        ]
        assert zoom.records == sum(leaf.size for leaf in index.leaves) // 32
        assert index.rows == 256


def test_no_zoom_block_lies_in_two_pages(sizes: dict[str, int]) -> None:
    """UCSC keeps pages of 8 KiB: of two, one may be from before something became known."""
    found = parsed(sizes)
    for zoom in found.zooms:
        for leaf in found.index(zoom.index_at).leaves:
            assert leaf.at // 8192 == (leaf.at + leaf.size - 1) // 8192


def test_a_genome_of_455_names() -> None:
    """Chromosomes and the scaffolds of an assembly: the tree of names has two levels, and every page one block."""
    rng = np.random.default_rng(0)
    kinds = ("chrUn_{}v1", "chr{}_KI_random", "HLA-A*{}:01", "CHR_HSCHR{}", "{}")
    scaffolds = {kinds[at % len(kinds)].format(at): int(rng.integers(970, 200_000)) for at in range(430)}
    sizes = {**HG38, **scaffolds}
    assert len(sizes) == 455
    found = parsed(sizes)
    assert found.chroms == [(chrom, at, sizes[chrom]) for at, chrom in enumerate(sorted(sizes))]
    assert found.data_at == found.tree_end
    index = found.index(found.index_at)
    assert index.items == len(index.leaves) == sum(map(window_count, sizes.values()))
    assert index.end == found.zooms[0].index_at


def test_hg38_is_laid_out_at_once_and_small() -> None:
    """The bar is 0.1 s and 5 MB."""
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        lay_out(HG38, NOTHING)
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.1
    tracemalloc.start()
    try:
        layout = lay_out(HG38, NOTHING)
        held, _ = tracemalloc.get_traced_memory()
        another = layout.with_totals(Totals(1, 0.0, 1.0, 1.0, 1.0))
        with_another, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert layout.size > 300e6
    assert held < 5e6
    assert another.size == layout.size
    assert with_another - held < 10_000, "what is large is shared between tracks"


def test_another_tracks_layout_differs_in_its_totals_alone() -> None:
    totals = Totals(77, -2.0, 4.0, 5.0, 6.0)
    first, other = lay_out(SIZES, NOTHING), lay_out(SIZES, totals)
    told = first.with_totals(totals)
    assert told.headers == other.headers != first.headers
    assert told.indexes == other.indexes
    assert (told.size, told.chroms, told.lengths) == (other.size, other.chroms, other.lengths)


@pytest.mark.parametrize("slot", [0, -1, 4096, 131_073])
def test_only_slots_that_there_are(slot: int) -> None:
    with pytest.raises(UsageError, match=rf"there is no slot of {slot} bytes; choose 1, 8192, 131072"):
        lay_out(SIZES, NOTHING, slot)


@pytest.mark.parametrize("length", [0, (1 << 31) - 256])
def test_lengths_that_the_format_has_not(length: int) -> None:
    with pytest.raises(UsageError, match=rf"chromosome long has {length:,} bases; a bigWig's has 1 to 2,147,483,391"):
        lay_out({"chr1": 1000, "long": length}, NOTHING)
    lay_out({"chr1": 1000, "long": (1 << 31) - 257}, NOTHING)
