from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.axis import MODES, TILE_BINS, Axis
from tracks.errors import UsageError
from tracks.grid import BIN
from tracks.regions import Region

SIZES = st.lists(st.integers(1, 3_000_000), min_size=1, max_size=6).map(
    lambda lengths: {f"chr{index}": length for index, length in enumerate(lengths)}
)


@given(SIZES, st.data())
def test_pieces_of_a_span_are_its_bases_chromosome_by_chromosome(sizes: dict[str, int], data: st.DataObject) -> None:
    axis = Axis(sizes)
    start = data.draw(st.integers(-1000, axis.length))
    end = data.draw(st.integers(start, axis.length + 1000))
    at = max(start, 0)
    for piece in axis.pieces(start, end):
        assert piece.start == at
        assert axis.absolute(piece.region) == (at, at + len(piece.region))
        assert piece.region.end <= sizes[piece.region.chrom]
        at += len(piece.region)
    assert at == max(min(end, axis.length), max(start, 0)) or start >= axis.length


@given(SIZES)
def test_zoom_levels_run_from_the_whole_axis_to_one_grid_bin(sizes: dict[str, int]) -> None:
    axis = Axis(sizes)
    assert axis.max_width >= axis.length
    assert axis.max_zoom == 0 or axis.max_width < 2 * axis.length
    assert axis.max_width == TILE_BINS * BIN * 2**axis.max_zoom
    assert axis.tile(f"x.{axis.max_zoom}.0").bin_width == BIN


@given(SIZES, st.data())
def test_tiles_of_a_zoom_cut_the_axis_into_equal_parts(sizes: dict[str, int], data: st.DataObject) -> None:
    axis = Axis(sizes)
    zoom = data.draw(st.integers(0, axis.max_zoom))
    position = data.draw(st.integers(0, 2**zoom - 1))
    tile = axis.tile(f"x.{zoom}.{position}")
    # Where the tile's share of the whole width starts, in float64, which holds all of these numbers exactly.
    share = TILE_BINS * BIN * 2.0 ** (axis.max_zoom - zoom)
    assert (tile.start, tile.end) == (position * share, (position + 1) * share)
    assert tile.bin_width * TILE_BINS == tile.end - tile.start
    with pytest.raises(UsageError, match="no tile"):
        axis.tile(f"x.{zoom}.{2**zoom}")
    with pytest.raises(UsageError, match=f"0 to {axis.max_zoom}"):
        axis.tile(f"x.{axis.max_zoom + 1}.0")


def test_a_tile_lies_where_its_id_says() -> None:
    axis = Axis({"chr1": 1_000_000, "chr2": 500_000})
    tile = axis.tile("some-track_1.2.3")
    assert (tile.start, tile.end) == (3 * axis.max_width // 4, axis.max_width)
    assert tile.mode == "mean"
    for mode in MODES:
        ending = axis.tile(f"some-track_1.2.3.{mode}")
        assert (ending.start, ending.end, ending.mode) == (tile.start, tile.end, mode)


@pytest.mark.parametrize(
    "tile_id",
    [
        "",
        "x",
        "x.1",
        "x.1.2.3",
        "x.-1.0",
        "x.0.1",
        "x.99.0",
        "x.0.0.std",
        "x.0.0.",
        "x.0.٣",
        "x.1.1e3",
        "../x.0.0",
        "x.1.99999999999999",
    ],
)
def test_tile_ids_that_name_no_tile_are_refused(tile_id: str) -> None:
    with pytest.raises(UsageError):
        Axis({"chr1": 1_000_000}).tile(tile_id)


def test_info_is_the_power_of_two_form_that_higlass_reads() -> None:
    info = Axis({"chr2": 1_000_000, "chr1": 500_000}).info("a name", "hg19", datatype="vector")
    assert info["max_pos"] == [1_500_000]
    assert info["chromsizes"] == [["chr2", 1_000_000], ["chr1", 500_000]]
    assert info["max_width"] / 2 ** info["max_zoom"] / info["tile_size"] == BIN
    assert (info["name"], info["coordSystem"], info["datatype"]) == ("a name", "hg19", "vector")


def test_a_region_is_placed_after_the_chromosomes_before_it() -> None:
    assert Axis({"chr2": 1000, "chr1": 500}).absolute(Region("chr1", 10, 20)) == (1010, 1020)
