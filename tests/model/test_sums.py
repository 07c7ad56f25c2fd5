from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from model.sums import constant_sums, drawn_sums, pearson_of, r2_of, window_sums


def r2(predicted: np.ndarray, observed: np.ndarray) -> float:
    return float(1 - ((observed - predicted) ** 2).sum() / ((observed - observed.mean()) ** 2).sum())


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(-1e3, 1e3), st.booleans())
def test_pearson_and_r2_are_those_of_the_values(seed: int, offset: float, masked: bool) -> None:
    """The common centre of the sums does not matter."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(7, 28))
    x = 0.5 * y + rng.normal(size=y.shape) + 0.3
    known = rng.random(y.shape) < 0.6 if masked else np.ones(y.shape, bool)
    sums = window_sums(np.where(known, x - offset / 50, 0), np.where(known, y - offset / 50, 0), known).sum(axis=0)
    assert sums[0] == known.sum()
    assert pearson_of(sums) == pytest.approx(stats.pearsonr(x[known], y[known]).statistic, abs=1e-9)
    assert r2_of(sums) == pytest.approx(r2(x[known], y[known]), abs=1e-9)


def test_whole_rows_need_no_mask_and_any_number_of_bins() -> None:
    rng = np.random.default_rng(1)
    for bins in (1, 5, 896):
        x, y = rng.normal(size=(2, 3, bins))
        assert window_sums(x, y) == pytest.approx(window_sums(x, y, np.ones((3, bins), bool)))


def test_a_constant_prediction_scores_as_if_it_were_written_out() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 4, 50))
    same = window_sums(np.full_like(y, 0.7), y)
    assert constant_sums(window_sums(x, y), 0.7) == pytest.approx(same)
    assert r2_of(same.sum(axis=0)) == pytest.approx(r2(np.full_like(y, 0.7), y))
    assert r2_of(window_sums(np.full_like(y, y.mean()), y).sum(axis=0)) == pytest.approx(0)


def test_what_is_undefined_is_nan_and_warns_of_nothing() -> None:
    y = np.random.default_rng(3).normal(size=(1, 90))
    constant = np.full_like(y, 0.1)
    assert np.isnan(pearson_of(window_sums(constant, y))).all()
    assert np.isnan(pearson_of(window_sums(y, constant))).all()
    assert np.isnan(r2_of(window_sums(y, constant))).all()
    assert np.isnan(pearson_of(np.zeros((2, 6)))).all()
    assert np.isnan(r2_of(np.zeros((2, 6)))).all()


def test_a_draw_is_the_blocks_taken_as_often() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(2, 3, 40))
    drawn = drawn_sums(window_sums(x, y), np.array([[1.0, 1, 1], [0, 3, 1]]))
    again = [np.concatenate([x[[1, 1, 1, 2]].ravel()]), np.concatenate([y[[1, 1, 1, 2]].ravel()])]
    assert pearson_of(drawn)[0] == pytest.approx(np.corrcoef(x.ravel(), y.ravel())[0, 1])
    assert pearson_of(drawn)[1] == pytest.approx(np.corrcoef(*again)[0, 1])
