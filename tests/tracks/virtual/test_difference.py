"""Predicted minus observed, against every base in float64."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tracks.virtual.toy import SIZES, Toy, summary
from tracks.grid import BINS, WINDOW
from tracks.virtual import DifferenceSummaries, stored_totals


class Sides:
    """Two toys, one of them predicted as far as it is known; counts what is asked for."""

    def __init__(self) -> None:
        self.predicted, self.observed = Toy(seed=1), Toy(seed=2)
        self.gone: set[tuple[str, int]] = set()
        self.read = Counter[tuple[str, int]]()
        self._counting = threading.Lock()

    def values(self) -> DifferenceSummaries:
        return DifferenceSummaries(SIZES, self.known_window, self.known, self.observed.window)

    def known_window(self, chrom: str, index: int) -> np.ndarray | None:
        assert self.predicted.known[chrom][index]
        with self._counting:
            self.read[chrom, index] += 1
        return None if (chrom, index) in self.gone else self.predicted.bins[chrom][index]

    def known(self, chrom: str) -> np.ndarray:
        return self.predicted.known[chrom].copy()

    def bases(self, chrom: str) -> np.ndarray:
        """The difference of each base of known windows, float32 as it is shown."""
        difference = self.predicted.bases(chrom, only_known=True) - self.observed.bases(chrom)
        for other, index in self.gone:
            if other == chrom:
                difference[index * WINDOW : (index + 1) * WINDOW] = np.nan
        return difference

    def check(self, found: np.ndarray, chrom: str, level: int, over: range) -> None:
        size = 1024 * 4**level
        bases = self.bases(chrom)
        expected = np.array([summary(bases[at * size : (at + 1) * size]) for at in over]).reshape(-1, 5).T
        assert found.dtype == np.float64
        there = expected[0] > 0
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1:3, there], expected[1:3, there])
        np.testing.assert_allclose(found[3:, there], expected[3:, there], rtol=1e-6, atol=1e-2)


@pytest.mark.parametrize("level", range(9))
def test_records_of_whole_chromosomes(level: int) -> None:
    sides = Sides()
    values = sides.values()
    for chrom, length in SIZES.items():
        over = range(-(-length // (1024 * 4**level)))
        sides.check(values.records(chrom, level, over), chrom, level, over)


@given(data=st.data())
def test_records_of_any_stretch(data: st.DataObject) -> None:
    sides = Sides()
    chrom = data.draw(st.sampled_from(sorted(SIZES)))
    level = data.draw(st.integers(0, 8))
    count = -(-SIZES[chrom] // (1024 * 4**level))
    first, last = sorted((data.draw(st.integers(0, count)), data.draw(st.integers(0, count))))
    sides.check(sides.values().records(chrom, level, range(first, last)), chrom, level, range(first, last))


def test_only_windows_that_a_stretch_touches_are_read() -> None:
    sides = Sides()
    sides.predicted.known["chr1"][:] = True
    sides.values().records("chr1", 0, range(112, 224))
    assert list(sides.read) == [("chr1", 1)]
    sides.values().records("chr1", 3, range(3, 5))  # 196,608 to 327,680
    assert set(sides.read) == {("chr1", 1), ("chr1", 2)}


def test_what_a_window_came_to_is_made_once() -> None:
    """Coarse records of all levels share it, and what becomes known is added."""
    sides = Sides()
    sides.predicted.known["chr1"][3] = False
    values = sides.values()
    for level in range(2, 9):
        over = range(-(-SIZES["chr1"] // (1024 * 4**level)))
        sides.check(values.records("chr1", level, over), "chr1", level, over)
    before = set(sides.read)
    assert set(sides.read.values()) == {1}
    sides.predicted.known["chr1"][3] = True
    for level in (2, 8):
        over = range(-(-SIZES["chr1"] // (1024 * 4**level)))
        sides.check(values.records("chr1", level, over), "chr1", level, over)
    assert set(sides.read) == before | {("chr1", 3)}
    assert set(sides.read.values()) == {1}


def test_what_is_known_no_longer_is_left_out() -> None:
    """Whether its array of known windows says so, or the window is gone when it is read."""
    sides = Sides()
    sides.predicted.known["chr1"][2:4] = True
    values = sides.values()
    sides.gone.add(("chr1", 2))
    for level in (0, 1, 2, 5):
        over = range(-(-SIZES["chr1"] // (1024 * 4**level)))
        sides.check(values.records("chr1", level, over), "chr1", level, over)
    sides.predicted.known["chr1"][3] = False
    sides.gone.clear()  # it was computed again
    for level in (0, 1, 2, 5):
        over = range(-(-SIZES["chr1"] // (1024 * 4**level)))
        sides.check(values.records("chr1", level, over), "chr1", level, over)


def test_many_threads_share_the_work() -> None:
    sides = Sides()
    values = sides.values()
    asked = [(chrom, level) for _ in range(6) for chrom in SIZES for level in (2, 4, 6, 8)]

    def ask(chrom: str, level: int) -> tuple[np.ndarray, str, int, range]:
        over = range(-(-SIZES[chrom] // (1024 * 4**level)))
        return values.records(chrom, level, over), chrom, level, over

    with ThreadPoolExecutor(8) as pool:
        for answer in pool.map(ask, *zip(*asked, strict=True)):
            sides.check(*answer)
    assert set(sides.read.values()) == {1}


def test_huge_differences_are_no_warning() -> None:
    huge = np.full(BINS, 3e19, np.float32)
    none = np.zeros(BINS, np.float32)
    values = DifferenceSummaries({"x": WINDOW}, lambda *_: huge, lambda _: np.ones(1, bool), lambda *_: none)
    bases, least, most, sums, squares = values.records("x", 8, range(1))[:, 0]
    assert (bases, least, most) == (WINDOW, np.float32(3e19), np.float32(3e19))
    np.testing.assert_allclose(sums, 3e19 * WINDOW, rtol=1e-6)
    assert squares == np.inf


def test_totals_are_those_of_all_bases() -> None:
    sides = Sides()
    values = sides.values()
    totals = stored_totals(values, SIZES)
    everything = summary(np.concatenate([sides.bases(chrom) for chrom in SIZES]))
    assert (totals.bases, totals.least, totals.most) == tuple(everything[:3])
    np.testing.assert_allclose([totals.sum, totals.squares], everything[3:], rtol=1e-5, atol=1)
