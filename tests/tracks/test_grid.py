from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tracks import grid
from tracks.regions import Region


def test_the_published_geometry() -> None:
    assert (grid.BIN, grid.BINS, grid.WINDOW, grid.INPUT) == (128, 896, 114_688, 131_072)
    assert grid.input_span(0) == (-8_192, 122_880)


@given(st.integers(1, 3 * grid.WINDOW + 1))
def test_windows_and_bins_cover_a_chromosome_and_no_more(length: int) -> None:
    assert (grid.window_count(length) - 1) * grid.WINDOW < length <= grid.window_count(length) * grid.WINDOW
    assert (grid.bin_count(length) - 1) * grid.BIN < length <= grid.bin_count(length) * grid.BIN


@given(st.integers(0, 10**6), st.integers(1, 4 * 10**5))
def test_the_windows_and_bins_over_a_region_are_those_that_touch_it(start: int, length: int) -> None:
    region = Region("chr1", start, start + length)
    for found, size in ((grid.windows_over(region), grid.WINDOW), (grid.bins_over(region), grid.BIN)):
        near = range(max(found.start - 2, 0), found.stop + 2)
        assert list(found) == [i for i in near if i * size < region.end and (i + 1) * size > region.start]


@given(st.integers(0, 10**5))
def test_the_input_of_a_window_is_centred_on_it(index: int) -> None:
    start, end = grid.input_span(index)
    assert end - start == grid.INPUT
    assert grid.window_start(index) - start == end - grid.window_start(index) - grid.WINDOW == grid.FLANK
