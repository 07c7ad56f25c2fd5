from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from server.binning import Steps, maxima, means, minima, sums

VALUES = st.floats(-100, 100, width=32) | st.just(float("nan"))


def steps(rows: np.ndarray) -> Steps:
    """Rows (start, end, value), those without a value left out."""
    starts, ends, values = rows[np.isfinite(rows[:, 2])].T
    return Steps(starts, ends, values, ends - starts)


@st.composite
def signals(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Draw disjoint spans with values, rows (start, end, value), and the same signal base by base."""
    lengths = draw(st.lists(st.integers(1, 40), min_size=1, max_size=12))
    gaps = draw(st.lists(st.integers(0, 20), min_size=len(lengths), max_size=len(lengths)))
    values = draw(st.lists(VALUES, min_size=len(lengths), max_size=len(lengths)))
    rows, at = [], 0
    for length, gap, value in zip(lengths, gaps, values, strict=True):
        rows.append((at + gap, at + gap + length, value))
        at += gap + length
    bases = np.full(at + 30, np.nan)
    for start, end, value in rows:
        bases[start:end] = value
    return np.array(rows), bases


@given(signals(), st.integers(1, 37), st.integers(0, 40))
def test_sums_agree_with_a_count_base_by_base(drawn: tuple[np.ndarray, np.ndarray], width: int, first: int) -> None:
    rows, bases = drawn
    edges = np.arange(min(first, len(bases)), len(bases) + 1, width)
    total, covered = sums(steps(rows), edges)
    for index, (start, end) in enumerate(itertools.pairwise(edges)):
        there = bases[start:end][np.isfinite(bases[start:end])]
        assert covered[index] == len(there)
        np.testing.assert_allclose(total[index], there.sum(), atol=1e-8)


@given(signals(), st.lists(st.integers(-5, 400), min_size=2, max_size=20).map(sorted))
def test_extremes_are_those_of_the_bases_between_any_edges(
    drawn: tuple[np.ndarray, np.ndarray], edges: list[int]
) -> None:
    rows, bases = drawn
    least, most = (function(steps(rows), np.array(edges)) for function in (minima, maxima))
    for index, (start, end) in enumerate(itertools.pairwise(edges)):
        there = bases[max(start, 0) : max(end, 0)]
        there = there[np.isfinite(there)]
        assert least[index] == there.min() if len(there) else np.isnan(least[index])
        assert most[index] == there.max() if len(there) else np.isnan(most[index])


@given(signals(), st.lists(st.integers(-5, 400), min_size=2, max_size=20).map(sorted), st.data())
def test_spans_covered_in_part_are_shared_out_by_length(
    drawn: tuple[np.ndarray, np.ndarray], edges: list[int], data: st.DataObject
) -> None:
    whole = steps(drawn[0])
    shares = data.draw(st.lists(st.floats(0.1, 1), min_size=len(whole.starts), max_size=len(whole.starts)))
    signal = Steps(whole.starts, whole.ends, whole.values, whole.covered * np.array(shares))
    total, covered = sums(signal, np.array(edges))
    for index, (start, end) in enumerate(itertools.pairwise(edges)):
        inside = np.clip(signal.ends, start, end) - np.clip(signal.starts, start, end)
        bases = inside * np.array(shares)
        np.testing.assert_allclose(covered[index], bases.sum(), atol=1e-9)
        np.testing.assert_allclose(total[index], (bases * signal.values).sum(), atol=1e-7)


def test_a_huge_value_leaves_other_bins_as_they_are() -> None:
    rows = np.array([(0, 90, 3e38), (90, 100, 1.0), (130, 150, 0.125)])
    total, covered = sums(steps(rows), np.array([0, 80, 100, 128, 256]))
    np.testing.assert_array_equal(covered, [80, 20, 0, 20])
    assert total[3] == 2.5


def test_nothing_covered_is_no_value_and_not_zero() -> None:
    total, covered = sums(steps(np.array([(10, 20, 2.0)])), np.array([0, 10, 15, 40]))
    np.testing.assert_array_equal(means(total, covered), np.array([np.nan, 2, 2], np.float32))
    assert np.isnan(means(*sums(steps(np.empty((0, 3))), np.array([0, 10])))).all()
