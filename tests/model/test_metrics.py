from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from model.metrics import auroc, draw_weights, estimate, pearson, pooled, spearman

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


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """200 samples of 30 independent blocks with r = 0.5: a 95 % interval should hold 0.5 nearly always."""
    rng = np.random.default_rng(8)
    weights = draw_weights(30, 300, seed=2)
    block = np.repeat(np.arange(30), 20)
    held = 0
    for _ in range(200):
        common = rng.normal(size=600)
        predicted, observed = common + rng.normal(size=600), common + rng.normal(size=600)
        found = estimate(pearson(predicted, observed, block)(weights))
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.5 <= found.high
    assert 180 <= held <= 199


def test_an_undefined_value_is_none_and_says_so() -> None:
    found = estimate(np.array([np.nan, 0.1]))
    assert found.value is None
    assert found.reason == "undefined"


@given(st.integers(0, 50), st.lists(st.booleans(), min_size=1, max_size=80), st.sampled_from([1, 4, 32]))
def test_pooled_means_follow_the_absolute_grid(first: int, kept: list[bool], pool: int) -> None:
    values = np.arange(len(kept), dtype=float)
    found = pooled(np.where(kept, values, np.nan), np.array(kept), first, pool)
    runs: dict[int, list[float]] = {}
    for place, keep in enumerate(kept):
        runs.setdefault((first + place) // pool, []).extend([values[place]] if keep else [])
    expected = [np.mean(run) if len(run) >= pool / 2 and run else np.nan for run in runs.values()]
    np.testing.assert_allclose(found, expected)
