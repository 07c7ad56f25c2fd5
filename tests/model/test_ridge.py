from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from model.ridge import RidgeStatistics


def _by_rows(x: np.ndarray, y: np.ndarray, weight: np.ndarray, penalty: float) -> np.ndarray:
    """Weights and intercept of one track from all its rows at once, by LAPACK's least squares."""
    seen = np.isfinite(y) & (weight > 0)
    x, y, weight = x[seen], y[seen], weight[seen]
    mean = np.average(x, axis=0, weights=weight)
    deviation = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weight))
    root = np.sqrt(weight / weight.sum())[:, None]
    rows = np.hstack([(x - mean) / deviation, np.ones((len(x), 1))]) * root
    bound = np.hstack([np.sqrt(penalty) * np.eye(x.shape[1]), np.zeros((x.shape[1], 1))])
    right = np.concatenate([y * root[:, 0], np.zeros(x.shape[1])])
    solved = scipy.linalg.lstsq(np.vstack([rows, bound]), right, lapack_driver="gelsy")[0]
    slopes = solved[:-1] / deviation
    return np.append(slopes, solved[-1] - slopes @ mean)


def _data(rows: int = 300, features: int = 7, tracks: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, features)) @ rng.normal(size=(features, features)) + 40 * rng.normal(size=features)
    y = x @ rng.normal(size=(features, tracks)) + rng.normal(size=(rows, tracks)) * 3 - 20
    y[rng.random(rows) < 0.2, :2] = np.nan  # two tracks are missing together,
    y[rng.random(rows) < 0.3, 2] = np.nan  # one alone, one nowhere
    return x, y


def test_weights_are_those_of_least_squares_on_all_rows() -> None:
    x, y = _data()
    rng = np.random.default_rng(1)
    weight = rng.integers(0, 4, len(x)).astype(float)
    sums = RidgeStatistics(7, 4)
    for first in range(0, len(x), 64):
        sums.add(x[first : first + 64], y[first : first + 64], weight[first : first + 64])
    penalties = (0.0, 0.01, 1.0, 100.0)
    solved = sums.solve(penalties)
    assert solved.shape == (4, 4, 8)
    for at, penalty in enumerate(penalties):
        for track in range(4):
            expected = _by_rows(x, y[:, track], weight, penalty)
            np.testing.assert_allclose(solved[at, track], expected, rtol=1e-8, atol=1e-8)
    expected_weights = [weight[np.isfinite(y[:, track])].sum() for track in range(4)]
    np.testing.assert_allclose(sums.weights(), expected_weights)


def test_without_penalty_it_is_numpy_lstsq() -> None:
    x, y = _data()
    y = np.nan_to_num(y)
    sums = RidgeStatistics(7, 4)
    sums.add(x, y)
    expected = np.linalg.lstsq(np.hstack([x, np.ones((len(x), 1))]), y, rcond=None)[0].T
    np.testing.assert_allclose(sums.solve([0.0])[0], expected, rtol=1e-7)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10_000),
    cuts=st.lists(st.integers(0, 120), max_size=6),
    per_track=st.booleans(),
)
def test_the_pieces_that_data_come_in_change_nothing(seed: int, cuts: list[int], per_track: bool) -> None:
    x, y = _data(120, 3, 4, seed)
    weight = np.random.default_rng(seed).random((120, 4) if per_track else 120)
    whole, pieces = RidgeStatistics(3, 4), RidgeStatistics(3, 4)
    whole.add(x, y, weight)
    edges = [0, *sorted(cuts), 120]
    for first, last in itertools.pairwise(edges):
        pieces.add(x[first:last], y[first:last], weight[first:last])
    penalties = (0.001, 10.0)
    np.testing.assert_allclose(pieces.solve(penalties), whole.solve(penalties), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(
        pieces.mean_squared_errors(whole.solve(penalties)), whole.mean_squared_errors(whole.solve(penalties)), rtol=1e-7
    )


def test_errors_on_rows_that_were_only_summed_are_those_of_the_rows() -> None:
    x, y = _data(seed=3)
    other_x, other_y = _data(seed=4)
    train, valid = RidgeStatistics(7, 4), RidgeStatistics(7, 4)
    train.add(x, y)
    for first in range(0, 300, 50):
        valid.add(other_x[first : first + 50], other_y[first : first + 50])
    fits = train.solve([0.1, 5.0])
    found = valid.mean_squared_errors(fits)
    for at in range(2):
        predicted = other_x @ fits[at, :, :-1].T + fits[at, :, -1]
        np.testing.assert_allclose(found[at], np.nanmean((predicted - other_y) ** 2, axis=0), rtol=1e-8)


def test_tracks_missing_together_share_one_matrix() -> None:
    x, y = _data()
    sums = RidgeStatistics(7, 4)
    sums.add(x[:100], np.nan_to_num(y[:100]))
    assert sums.matrices == 1
    sums.add(x[100:], y[100:])
    assert sums.matrices == 3  # the first two, the third, the fourth


def test_constant_and_repeated_features_are_harmless() -> None:
    x, y = _data()
    wide = np.hstack([x, np.full((len(x), 1), 1e6), x[:, :1]])
    sums, plain = RidgeStatistics(9, 4), RidgeStatistics(7, 4)
    for first in (0, 150):
        sums.add(wide[first : first + 150], y[first : first + 150])
    plain.add(x, y)
    solved = sums.solve([0.0])[0]
    assert (solved[:, 7] == 0).all()
    predicted = wide @ solved[:, :-1].T + solved[:, -1]
    bare = plain.solve([0.0])[0]
    np.testing.assert_allclose(predicted, x @ bare[:, :-1].T + bare[:, -1], rtol=1e-6, atol=1e-6)


def test_a_large_mean_costs_no_digits() -> None:
    x, y = _data()
    sums = RidgeStatistics(7, 4)
    for first in range(0, 300, 100):
        sums.add(x[first : first + 100] + 1e7, y[first : first + 100])
    near = RidgeStatistics(7, 4)
    near.add(x, y)
    np.testing.assert_allclose(sums.solve([0.1])[0, :, :-1], near.solve([0.1])[0, :, :-1], rtol=1e-5, atol=1e-7)


def test_a_track_that_is_observed_nowhere_has_no_weights() -> None:
    x, y = _data()
    y[:, 1] = np.nan
    sums = RidgeStatistics(7, 4)
    sums.add(x, y)
    solved = sums.solve([1.0])
    assert np.isnan(solved[0, 1]).all()
    assert np.isfinite(solved[0, [0, 2, 3]]).all()


def test_what_cannot_be_added_is_named() -> None:
    sums = RidgeStatistics(2, 1)
    with pytest.raises(ValueError, match=r"must be \[n, 2\] and \[n, 1\], found \[3, 3\]"):
        sums.add(np.zeros((3, 3)), np.zeros((3, 1)))
    with pytest.raises(ValueError, match="features must be finite"):
        sums.add(np.array([[np.nan, 1.0]]), np.zeros((1, 1)))
    with pytest.raises(ValueError, match="no row"):
        sums.solve([1.0])
    sums.add(np.array([[np.nan, 1.0]]), np.full((1, 1), np.nan))  # a row that no track uses may be anything
    sums.add(np.ones((2, 2)), np.zeros((2, 1)))
    with pytest.raises(ValueError, match="0 or more"):
        sums.solve([-1.0])
