from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from model.metrics import Estimate, auroc, draw_weights, estimate, is_constant, pearson, pooled, spearman

ONCE = np.ones((1, 4))


@st.composite
def bins(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predicted, observed and block of some bins; whole numbers, so that there are ties."""
    size = draw(st.integers(8, 60))
    numbers = st.lists(st.integers(-3, 3), min_size=size, max_size=size)
    block = np.arange(size) * 4 // size
    return np.array(draw(numbers), float), np.array(draw(numbers), float), block


@given(bins())
def test_correlations_equal_scipy(sample: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    predicted, observed, block = sample
    if predicted.std() == 0 or observed.std() == 0:
        assert not np.isfinite(pearson(predicted, observed, block)(ONCE)[0])
        return
    expected = stats.pearsonr(predicted, observed).statistic
    assert pearson(predicted, observed, block)(ONCE)[0] == pytest.approx(expected, abs=1e-9)
    expected = stats.spearmanr(predicted, observed).statistic
    assert spearman(predicted, observed, block)(ONCE)[0] == pytest.approx(expected, abs=1e-9)


@given(bins())
def test_auroc_equals_counting_pairs(sample: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    score, observed, block = sample
    positive = observed > 0
    if positive.all() or not positive.any():
        return
    pairs = [(p > n) + (p == n) / 2 for p in score[positive] for n in score[~positive]]
    assert auroc(score, positive, block)(ONCE)[0] == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize("statistic", ["pearson", "auroc"])
def test_a_draw_equals_repeating_its_blocks(statistic: str) -> None:
    rng = np.random.default_rng(4)
    predicted, observed, block = rng.normal(size=40), rng.normal(size=40), np.repeat(np.arange(4), 10)
    weights = np.array([[2.0, 0.0, 1.0, 1.0]])
    taken = np.concatenate([np.flatnonzero(block == index) for index in (0, 0, 2, 3)])
    again = np.zeros(len(taken), np.int64)
    if statistic == "pearson":
        found = pearson(predicted, observed, block)(weights)[0]
        expected = pearson(predicted[taken], observed[taken], again)(np.ones((1, 1)))[0]
    else:
        found = auroc(predicted, observed > 0, block)(weights)[0]
        expected = auroc(predicted[taken], observed[taken] > 0, again)(np.ones((1, 1)))[0]
    assert found == pytest.approx(expected)


def test_draws_take_as_many_blocks_as_there_are() -> None:
    weights = draw_weights(7, 50, seed=1)
    assert (weights[0] == 1).all()
    assert (weights.sum(axis=1) == 7).all()
    np.testing.assert_array_equal(weights, draw_weights(7, 50, seed=1))


def _alike_blocks(rng: np.random.Generator, blocks: int = 30, bins: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Two numbers a bin that share half of their variance (r = 0.5); most of it is common to a whole block."""
    shared, own = (
        rng.normal(size=(count, blocks, 1)) * 0.9 + rng.normal(size=(count, blocks, bins)) * np.sqrt(1 - 0.81)
        for count in (1, 2)
    )
    first, second = (shared + own).reshape(2, -1)
    return first, second


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Of 200 samples of 30 blocks of alike bins, an interval from blocks holds r = 0.5 about 95 times in 100; one
    that takes the bins as independent does not."""
    rng = np.random.default_rng(8)
    block = np.repeat(np.arange(30), 20)
    held = {"blocks": 0, "bins": 0}
    for _ in range(200):
        predicted, observed = _alike_blocks(rng)
        for name, unit in (("blocks", block), ("bins", np.arange(600))):
            count = int(unit.max()) + 1
            found = estimate(pearson(predicted, observed, unit)(draw_weights(count, 200, seed=2)), count)
            assert found.low is not None
            assert found.high is not None
            held[name] += found.low <= 0.5 <= found.high
    assert 175 <= held["blocks"] <= 198
    assert held["bins"] < 120


def test_a_paired_difference_is_surer_than_two_intervals() -> None:
    """Both predictions fail in the same blocks, so the intervals of their r overlap and that of the difference is
    away from 0."""
    rng = np.random.default_rng(9)
    observed, better = _alike_blocks(rng)
    worse = better + 0.3 * rng.normal(size=600)
    block = np.repeat(np.arange(30), 20)
    weights = draw_weights(30, 1000, seed=3)
    one, other = (pearson(predicted, observed, block)(weights) for predicted in (better, worse))
    apart, difference = (estimate(one, 30), estimate(other, 30)), estimate(one - other, 30)
    assert apart[0].low is not None
    assert apart[1].high is not None
    assert apart[0].low < apart[1].high
    assert difference.low is not None
    assert difference.low > 0
    assert difference.value == pytest.approx((apart[0].value or 0) - (apart[1].value or 0), abs=1e-4)
    same = estimate(one - one, 30)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)


def test_what_is_undefined_is_none_and_says_why() -> None:
    assert estimate(np.array([np.nan, 0.1]), 9) == Estimate(None, reason="undefined")
    assert estimate(np.array([np.nan, 0.1]), 9, "it is constant") == Estimate(None, reason="it is constant")


def test_few_blocks_or_defined_draws_give_no_interval() -> None:
    values = np.linspace(0, 1, 201)
    assert estimate(values, 4) == Estimate(0.0, reason="no interval from 4 blocks")
    assert estimate(values, 1) == Estimate(0.0, reason="no interval from 1 block")
    assert estimate(values, 5) == Estimate(0.0, 0.0299, 0.9751)
    values[1:41] = np.nan
    assert estimate(values, 9) == Estimate(0.0, reason="no interval: 20% of draws are undefined")


def test_a_draw_of_constant_bins_has_no_correlation() -> None:
    rng = np.random.default_rng(1)
    block = np.repeat(np.arange(4), 25)
    for level in (0.1, 1 / 3, 0.7):
        predicted = np.where(block == 2, level, rng.random(100))
        found = pearson(predicted, rng.random(100), block)(np.array([[1.0, 1, 1, 1], [0, 0, 4, 0], [0, 0, 7, 0]]))
        np.testing.assert_array_equal(np.isnan(found), [False, True, True])


@pytest.mark.parametrize("level", [0.0, 0.1, 1 / 3, 1e9])
def test_constant_bins_have_no_correlation(level: float) -> None:
    """0.1 and 1/3 leave rounding errors in every sum."""
    rng = np.random.default_rng(1)
    block = np.repeat(np.arange(5), 20)
    constant, other = np.full(100, level), rng.normal(size=100)
    weights = draw_weights(5, 20, seed=1)
    assert np.isnan(pearson(constant, other, block)(weights)).all()
    assert np.isnan(spearman(other, constant, block)(weights)).all()
    assert is_constant(constant)
    assert not is_constant(other)
    np.testing.assert_allclose(auroc(constant, other > 0, block)(weights), 0.5)


def test_a_draw_with_one_class_has_no_auroc() -> None:
    block = np.repeat(np.arange(2), 5)
    found = auroc(np.arange(10.0), block == 1, block)(np.array([[1.0, 1.0], [2.0, 0.0]]))
    assert found[0] == 1
    assert np.isnan(found[1])


@given(
    st.integers(0, 50),
    st.lists(st.booleans(), min_size=1, max_size=80),
    st.sampled_from([1, 4, 32]),
    st.sampled_from([0.25, 0.5]),
)
def test_pooled_means_follow_the_absolute_grid(first: int, kept: list[bool], pool: int, least: float) -> None:
    values = np.arange(len(kept), dtype=float)
    found = pooled(np.where(kept, values, np.nan), np.array(kept), first, pool, least)
    runs: dict[int, list[float]] = {}
    for place, keep in enumerate(kept):
        runs.setdefault((first + place) // pool, []).extend([values[place]] if keep else [])
    expected = [np.mean(run) if len(run) >= pool * least and run else np.nan for run in runs.values()]
    np.testing.assert_allclose(found, expected)
