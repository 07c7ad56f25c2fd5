"""Rank levels against exact ranks of scipy, for values of every kind."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from model.report.levels import LEVELS, TOLERANCE, calibration_of_levels, fit_levels, spearman_of_levels
from model.report.roc import auroc_of


def joint_of(x: np.ndarray, y: np.ndarray, sample: int = 1) -> np.ndarray:
    """Counts of level pairs, levels learnt from every ``sample``th value."""
    pairs = fit_levels(x[::sample]).of(x).astype(int) * LEVELS + fit_levels(y[::sample]).of(y)
    return np.bincount(pairs, minlength=LEVELS * LEVELS).reshape(LEVELS, LEVELS)


KINDS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "narrow, far from 0": lambda rng, n: 150 + 0.01 * rng.normal(size=n),
    "heavy tail": lambda rng, n: np.exp(2.5 * rng.normal(size=n)),
    "counts": lambda rng, n: rng.poisson(2.0, n),
    "mostly 0": lambda rng, n: np.where(rng.random(n) < 0.7, 0, rng.random(n)),
    "fractions of few calls": lambda rng, n: rng.binomial(3, 0.6, n) / 3,
}


@pytest.mark.parametrize("sample", [1, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_spearman_of_levels_is_that_of_the_values(kind: str, sample: int) -> None:
    rng = np.random.default_rng(1)
    for mix in (0.0, 0.4, 3.0):
        y = KINDS[kind](rng, 60_000)
        x = (mix * (y - y.mean()) / y.std() + rng.normal(size=len(y))).astype(np.float32)
        y = y.astype(np.float32)
        exact = stats.spearmanr(x, y).statistic
        assert spearman_of_levels(joint_of(x, y, sample)) == pytest.approx(exact, abs=TOLERANCE)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e4), st.floats(-1e4, 1e4))
def test_levels_do_not_depend_on_scale_and_never_fall(seed: int, scale: float, offset: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=500).astype(np.float32)
    moved = (values * np.float32(scale) + np.float32(offset)).astype(np.float32)
    level = fit_levels(moved).of(moved).astype(int)
    order = np.argsort(moved, kind="stable")
    assert (np.diff(level[order]) >= 0).all()
    if abs(offset) < 100 * scale:  # else float32 has too few digits to tell the values apart
        assert np.abs(level - fit_levels(values).of(values)).max() <= 2


def test_auroc_of_levels_is_that_of_the_values() -> None:
    rng = np.random.default_rng(2)
    positive = rng.random(50_000) < 0.2
    score = (rng.normal(size=len(positive)) + 0.8 * positive).astype(np.float32)
    level = fit_levels(score[::7]).of(score)
    area = auroc_of(np.bincount(level[positive], minlength=LEVELS), np.bincount(level[~positive], minlength=LEVELS))
    wins = stats.mannwhitneyu(score[positive], score[~positive]).statistic
    assert area == pytest.approx(wins / positive.sum() / (~positive).sum(), abs=TOLERANCE)


def test_values_beyond_the_sample_and_outliers() -> None:
    values = np.concatenate([np.linspace(0, 1, 50_000), [1e6, -1e6]]).astype(np.float32)
    levels = fit_levels(values)
    level = levels.of(values)
    assert len(np.unique(level)) == LEVELS, "two outliers must not use up the levels"
    assert levels.of(np.float32([-1e30, 1e30])).tolist() == [level.min(), level.max()]
    assert np.bincount(level).max() < 1.2 * len(values) / LEVELS


@pytest.mark.parametrize("sample", [np.full(9, 3.5), np.array([np.nan, np.nan]), np.empty(0), np.zeros(4)])
def test_a_sample_of_one_value_or_none(sample: np.ndarray) -> None:
    levels = fit_levels(sample.astype(np.float32))
    same = levels.of(np.full(5, 3.5, np.float32))
    assert len(set(same.tolist())) == 1
    assert np.isfinite(levels.means).all()
    counts = np.zeros((LEVELS, LEVELS))
    counts[same[0], 3] = 5
    assert np.isnan(spearman_of_levels(counts)), "a constant has no rank correlation"
    assert np.isnan(spearman_of_levels(np.zeros((LEVELS, LEVELS))))


def test_calibration_is_the_mean_observed_of_each_group() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=80_000).astype(np.float32)
    y = (x**2 + rng.normal(size=len(x))).astype(np.float32)
    found = calibration_of_levels(joint_of(x, y), fit_levels(x), fit_levels(y), groups=20)
    parts = np.array_split(np.argsort(x), 20)
    assert found[:, 0] == pytest.approx([x[part].mean() for part in parts], abs=0.03)
    assert found[:, 1] == pytest.approx([y[part].mean() for part in parts], abs=0.06)
    assert found[:, 2].sum() == pytest.approx(1)
    assert calibration_of_levels(np.zeros((LEVELS, LEVELS)), fit_levels(x), fit_levels(y)).shape == (0, 3)
