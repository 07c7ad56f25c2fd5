from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from server.binning import bins_as_steps, means, steps, sums

VALUES = st.floats(-100, 100, width=32) | st.just(float("nan"))


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


@settings(deadline=None)
@given(signals(), st.integers(1, 37), st.integers(0, 40))
def test_sums_agree_with_a_count_base_by_base(drawn: tuple[np.ndarray, np.ndarray], width: int, first: int) -> None:
    rows, bases = drawn
    edges = np.arange(first, len(bases) + 1, width)
    total, covered = sums(steps(rows), edges)
    for index, (start, end) in enumerate(itertools.pairwise(edges)):
        there = bases[start:end][np.isfinite(bases[start:end])]
        assert covered[index] == len(there)
        np.testing.assert_allclose(total[index], there.sum(), atol=1e-8)


@settings(deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=30), st.integers(0, 500), st.integers(1, 128))
def test_bins_are_steps_whose_last_is_cut_at_the_end(values: list[float], first: int, kept: int) -> None:
    array = np.array(values, np.float32)
    end = first + 128 * (len(array) - 1) + kept
    signal = bins_as_steps(array, first, 128, end)
    np.testing.assert_array_equal(signal.values, array[np.isfinite(array)])
    assert signal.covered.sum() == 128 * np.isfinite(array[:-1]).sum() + kept * np.isfinite(array[-1])
    assert (signal.shifted(7).starts == signal.starts + 7).all()


def test_nothing_covered_is_no_value_and_not_zero() -> None:
    total, covered = sums(steps(np.array([(10, 20, 2.0)])), np.array([0, 10, 15, 40]))
    np.testing.assert_array_equal(means(total, covered), np.array([np.nan, 2, 2], np.float32))
    assert np.isnan(means(*sums(steps(np.empty((0, 3))), np.array([0, 10])))).all()
