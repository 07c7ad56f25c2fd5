from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.seams import SeamCounter, bigwig_seams, seam_report
from tracks.bigwig import Bins, write_bigwig
from tracks.errors import UsageError
from tracks.grid import BIN, BINS


def signal(bins: int, tracks: int = 2, seam: float = 0.0) -> np.ndarray:
    """A random walk, with a step of ``seam`` at each window border, and bins without a value."""
    rng = np.random.default_rng(3)
    steps = rng.normal(size=(bins, tracks))
    steps[::BINS] += seam * np.sign(rng.normal(size=steps[::BINS].shape))
    values = np.cumsum(steps, axis=0).astype(np.float32)
    values[rng.random((bins, tracks)) < 0.05] = np.nan
    return values


def by_hand(values: np.ndarray, first: int) -> tuple[list[float], list[float]]:
    """Jumps of one track at borders, and inside."""
    borders, inside = [], []
    for at in range(1, len(values)):
        jump = float(np.abs(values[at] - values[at - 1]))
        if not math.isnan(jump):
            (inside if (first + at) % BINS else borders).append(jump)
    return borders, inside


@pytest.mark.parametrize("first", [0, 1, 895, 896, 1_000])
def test_jumps_are_those_of_neighbouring_bins(first: int) -> None:
    values = signal(4_000)
    for found, track in zip(seam_report(values, first), values.T, strict=True):
        borders, inside = by_hand(track, first)
        assert (found.borders, found.inside) == (len(borders), len(inside))
        assert found.largest == max(borders)
        assert found.border_median == pytest.approx(np.median(borders), rel=1e-6)
        assert found.chrom == ""
        assert found.place % BINS == 0
        at = found.place - first
        assert abs(track[at] - track[at - 1]) == found.largest
        assert found.median == pytest.approx(np.quantile(inside, 0.5), rel=0.005)
        assert found.percentile99 == pytest.approx(np.quantile(inside, 0.99), rel=0.01)
        assert found.above == sum(jump > found.percentile99 for jump in borders)


def test_seams_show_and_none_are_seen_where_there_are_none() -> None:
    (none, _), (seams, _) = (seam_report(signal(200 * BINS, seam=height), 0) for height in (0.0, 20.0))
    assert none.borders > 150
    assert 0.7 < none.typical_ratio < 1.4
    assert none.above_share < 0.05
    assert none.ratio < 8
    assert seams.typical_ratio > 20
    assert seams.above_share == 1
    assert seams.ratio > 25
    assert seams.median == none.median


@given(st.lists(st.integers(0, 3_000), max_size=6), st.integers(0, 2_000))
def test_pieces_give_the_same_as_the_whole(cuts: list[int], first: int) -> None:
    values = signal(3_000)
    counter = SeamCounter(2)
    edges = [0, *sorted(cuts), len(values)]
    for begin, end in itertools.pairwise(edges):
        counter.add(values[begin:end], first + begin)
    assert counter.report() == seam_report(values, first)


def test_pieces_that_do_not_meet_are_not_compared() -> None:
    values = np.arange(10, dtype=np.float32)[:, None]
    counter = SeamCounter(1)
    counter.add(values, BINS - 10, "chr1")
    counter.add(values, BINS, "chr2")
    counter.add(values, 2 * BINS, "chr2")
    (found,) = counter.report()
    assert (found.borders, found.inside) == (0, 27)
    counter.add(100 + values, 2 * BINS + 10, "chr2")
    counter.add(values, 3 * BINS - 10, "chr2")
    counter.add(50 + values, 3 * BINS, "chr2")
    (found,) = counter.report()
    assert (found.borders, found.inside) == (1, 55)
    assert (found.largest, found.chrom, found.place) == (41, "chr2", 3 * BINS)


def test_what_is_constant_or_missing_has_no_ratio() -> None:
    values = np.stack([np.ones(2_000), np.full(2_000, np.nan)], axis=1)
    constant, missing = seam_report(values, 0)
    assert (constant.borders, constant.largest, constant.median, constant.percentile99) == (2, 0, 0, 0)
    assert math.isnan(constant.ratio)
    assert constant.above_share == 0
    assert (missing.borders, missing.inside, missing.above) == (0, 0, 0)
    values_of_none = (missing.largest, missing.border_median, missing.median, missing.ratio, missing.above_share)
    assert all(map(math.isnan, values_of_none))
    (nothing,) = seam_report(np.empty((0, 1)), 5)
    assert nothing.inside == 0


@pytest.fixture
def bigwig(tmp_path: Path) -> Path:
    sizes = {"chr1": 3 * BINS * BIN - 28, "chr2": 5_000 * BIN, "chr3": 1_000}
    first, second = signal(3 * BINS, 1)[:, 0], signal(3_000, 1, seam=40)[:, 0]
    write_bigwig(tmp_path / "a.bw", sizes, [Bins("chr1", 0, first), Bins("chr2", BINS, second)])
    return tmp_path / "a.bw"


def test_a_bigwig_is_read_bin_by_bin(bigwig: Path) -> None:
    counter = SeamCounter(1)
    counter.add(signal(3 * BINS, 1), 0, "chr1")
    counter.add(signal(3_000, 1, seam=40), BINS, "chr2")
    (expected,) = counter.report()
    found = bigwig_seams(bigwig)
    assert found == expected
    assert found.chrom == "chr2"
    assert found.borders >= 3
    (only,) = seam_report(signal(3 * BINS, 1), 0)
    assert bigwig_seams(bigwig, ["chr1"]) == dataclasses.replace(only, chrom="chr1")


def test_equal_neighbours_that_a_bigwig_joins_are_bins_too(tmp_path: Path) -> None:
    values = np.repeat(np.float32([0.5, 0.25, 0.25]), BINS)
    write_bigwig(tmp_path / "a.bw", {"chr1": len(values) * BIN}, [Bins("chr1", 0, values)])
    found = bigwig_seams(tmp_path / "a.bw")
    assert (found.borders, found.inside, found.largest, found.place) == (2, 3 * (BINS - 1), 0.25, BINS)


def test_a_bigwig_of_other_bins_is_refused(tmp_path: Path) -> None:
    import pyBigWig

    with pyBigWig.open(str(tmp_path / "a.bw"), "w") as file:
        file.addHeader([("chr1", 10_000)])
        file.addEntries(["chr1", "chr1"], [0, 200], ends=[128, 300], values=[1.0, 2.0])
    with pytest.raises(UsageError, match=r"chr1 of .*a.bw is not in 128-bp bins \(at base 201\), as files of tracks"):
        bigwig_seams(tmp_path / "a.bw")


def test_an_unknown_chromosome_is_refused(bigwig: Path) -> None:
    with pytest.raises(UsageError, match="chr9"):
        bigwig_seams(bigwig, ["chr9"])
