"""Bins against sums over single bases in float64; Basenji's pooling modes from their formulas."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tracks.binning import bin_maxima, bin_medians, bin_sums, multiplied, peak_scores
from tracks.grid import BIN
from tracks.runs import Runs


@st.composite
def runs(draw: st.DrawFn, most: int = 1_500) -> Runs:
    edges = sorted(draw(st.sets(st.integers(0, most), min_size=2, max_size=30)))
    kept = draw(st.lists(st.booleans(), min_size=len(edges) - 1, max_size=len(edges) - 1))
    spans = [span for span, keep in zip(itertools.pairwise(edges), kept, strict=True) if keep]
    values = draw(st.lists(st.floats(-1e3, 1e3, width=32), min_size=len(spans), max_size=len(spans)))
    return Runs.of([start for start, _ in spans], [end for _, end in spans], values)


def per_base(found: Runs, origin: int, bins: int) -> np.ndarray:
    """Every base's value from ``origin`` on, float64 ``[bins, 128]``; NaN where there is none."""
    bases = np.full(bins * BIN, np.nan)
    for start, end, value in zip(found.starts, found.ends, found.values, strict=True):
        low, high = max(start - origin, 0), min(end - origin, len(bases))
        if low < high:
            bases[low:high] = value
    return bases.reshape(bins, BIN)


def cut(found: Runs, places: list[int]) -> list[Runs]:
    edges = [0, *sorted(min(place, len(found)) for place in places), len(found)]
    return [Runs(found.starts[a:b], found.ends[a:b], found.values[a:b]) for a, b in itertools.pairwise(edges)]


spans = st.tuples(st.integers(-300, 1_600), st.integers(1, 12))


@given(runs(), spans, st.lists(st.integers(0, 30), max_size=3))
def test_sums_maxima_and_medians(found: Runs, span: tuple[int, int], places: list[int]) -> None:
    origin, bins = span
    bases = per_base(found, origin, bins)
    known = np.isfinite(bases)
    sums = bin_sums(cut(found, places), origin, bins)
    np.testing.assert_array_equal(sums.covered, known.sum(axis=1))
    np.testing.assert_allclose(sums.total, np.nansum(bases, axis=1), rtol=1e-12, atol=1e-9)
    some = known.any(axis=1)
    assert np.isnan(sums.mean[~some]).all()
    np.testing.assert_allclose(sums.mean[some], np.nanmean(bases[some], axis=1), rtol=1e-12, atol=1e-9)
    for function, expected in ((bin_maxima, np.nanmax), (bin_medians, np.nanmedian)):
        values = function(cut(found, places), origin, bins)
        assert np.isnan(values[~some]).all()
        np.testing.assert_array_equal(values[some], expected(bases[some], axis=1))


def test_a_bin_sees_no_value_of_another() -> None:
    """Beside values of 1e12 a bin of tiny ones keeps its digits, as a difference of running sums would not."""
    values = np.where(np.arange(100) % 2, 1e-6, 1e12)
    found = Runs.of(np.arange(100) * BIN, np.arange(1, 101) * BIN, values)
    np.testing.assert_allclose(bin_sums([found], 0, 100).mean, found.values, rtol=1e-15)


@given(runs(400), runs(400))
def test_products_are_where_both_are(first: Runs, second: Runs) -> None:
    expected = per_base(first, 0, 4).astype(np.float32) * per_base(second, 0, 4).astype(np.float32)
    found = multiplied(first, second)
    np.testing.assert_array_equal(per_base(found, 0, 4).astype(np.float32), expected)
    assert (found.starts[1:] >= found.ends[:-1]).all()


def test_peaks_by_their_formula() -> None:
    means = np.array([np.nan, -1.0, 0.0, 0.04, 0.25, 9.0])
    np.testing.assert_allclose(peak_scores(means)[2:], [0, 0.4, 1, 1])
    assert np.isnan(peak_scores(means)[:2]).all()
