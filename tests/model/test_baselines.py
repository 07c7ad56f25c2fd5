from __future__ import annotations

import re

import numpy as np
import pytest

from model.baselines import (
    CLIP,
    FEATURES,
    RIDGE_PENALTIES,
    RIDGE_WIDTHS,
    WIDTHS,
    Sample,
    features,
    fit_baselines,
    ridge,
)

COLUMNS = len(WIDTHS) * len(FEATURES)
USED = len(RIDGE_WIDTHS) * len(FEATURES)


def sample(seed: int = 3, bins: int = 400, missing: bool = True) -> Sample:
    """Observed falls with GC over 131 kb (column 3) and rises a little with CpG density over 131 kb (column 4)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(bins, COLUMNS))
    y = -2.0 * x[:, 3] + 0.5 * x[:, 4] + rng.normal(size=bins)
    if missing:
        x[::50, 2] = np.nan
    return Sample(x, y, np.ones(bins))


def penalty_of(detail: str) -> float:
    found = re.search(r"penalty (\S+)", detail)
    assert found
    return float(found[1])


def standardised(x: np.ndarray, of: np.ndarray) -> np.ndarray:
    standard = np.nan_to_num((x - np.nanmean(of, axis=0)) / np.nanstd(of, axis=0))
    return np.clip(standard, -CLIP, CLIP)


def test_the_best_width_and_sign_are_chosen_on_train() -> None:
    train = sample()
    gc, density, *_ = fit_baselines(train, [train])
    assert gc.name == "GC"
    assert gc.detail.startswith("over 131,072 bp, r -0.")
    assert density.detail.startswith("over 131,072 bp, r +0.")
    own = standardised(train.features, train.features)[:, 3]
    np.testing.assert_allclose(gc.predict(train.features), -own)
    r = float(re.findall(r"r (\S+) on train", gc.detail)[0])
    assert r == pytest.approx(np.corrcoef(own, train.observed)[0, 1], abs=0.005)


def test_ridge_equals_least_squares_on_the_augmented_system() -> None:
    """Ridge with penalty p is ordinary least squares with sqrt(p n) I stacked under the centred design."""
    train = sample()
    found = fit_baselines(train, [train])[3]
    penalty = penalty_of(found.detail)
    assert penalty in RIDGE_PENALTIES
    x, y = standardised(train.features, train.features)[:, :USED], train.observed
    centred = x - x.mean(axis=0)
    design = np.concatenate([centred, np.sqrt(penalty * len(y)) * np.eye(USED)])
    weights = np.linalg.lstsq(design, np.concatenate([y - y.mean(), np.zeros(USED)]), rcond=None)[0]
    np.testing.assert_allclose(found.predict(train.features), y.mean() + centred @ weights, atol=1e-9)


def test_ridge_weights_fulfil_the_normal_equations() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(100, COLUMNS)), rng.normal(size=100)
    weights = ridge(x.T @ x, x.T @ y, 7.0)
    used = x[:, :USED]
    np.testing.assert_allclose(used.T @ (y - used @ weights[:USED]), 7.0 * weights[:USED], atol=1e-9)
    assert (weights[USED:] == 0).all()


def test_the_penalty_is_the_best_mean_over_the_valid_chromosomes() -> None:
    """Here each sample alone would choose another. One without contrast has no vote."""
    train, large, small = sample(1, 40), sample(2, 4000), sample(10, 25)
    flat = Sample(large.features, np.zeros(len(large.observed)), large.weights)
    found = fit_baselines(train, [large, small, flat])[3]
    x = standardised(train.features, train.features)
    centred = x - x.mean(axis=0)
    gram, moment = centred.T @ centred / 40, centred.T @ (train.observed - train.observed.mean()) / 40
    means = {
        penalty: np.mean(
            [
                np.corrcoef(standardised(s.features, train.features) @ ridge(gram, moment, penalty), s.observed)[0, 1]
                for s in (large, small)
            ]
        )
        for penalty in RIDGE_PENALTIES
    }
    assert penalty_of(found.detail) == max(means, key=lambda penalty: means[penalty])
    assert "chosen on valid" in found.detail
    assert "no valid block" in fit_baselines(train, [flat])[3].detail


def test_a_bin_of_weight_two_counts_as_two_bins() -> None:
    train = sample(4, 200)
    twice = np.concatenate([np.arange(200), np.arange(50)])
    weights = np.ones(200)
    weights[:50] = 2
    weighted = fit_baselines(Sample(train.features, train.observed, weights), [train])
    repeated = fit_baselines(Sample(train.features[twice], train.observed[twice], np.ones(250)), [train])
    for one, other in zip(weighted, repeated, strict=True):
        assert one.detail == other.detail
        np.testing.assert_allclose(one.predict(train.features), other.predict(train.features), atol=1e-9)


def test_extreme_and_unknown_composition_do_not_bend_a_prediction() -> None:
    train = sample()
    baselines = fit_baselines(train, [train])
    at = np.nanmean(train.features, axis=0)[None]
    above = at + np.nanstd(train.features, axis=0) * CLIP
    for baseline in baselines:
        np.testing.assert_allclose(baseline.predict(above), baseline.predict(above + 1e6))
        np.testing.assert_allclose(baseline.predict(np.full((1, COLUMNS), np.nan)), baseline.predict(at), atol=1e-12)


def test_a_track_without_contrast_gives_constant_baselines() -> None:
    train = sample()
    flat = Sample(train.features, np.full(len(train.observed), 0.3), train.weights)
    for baseline in fit_baselines(flat, [flat]):
        assert np.ptp(baseline.predict(train.features)) < 1e-9


def test_features_are_composition_at_every_width() -> None:
    rng = np.random.default_rng(2)
    known = rng.integers(60, 129, 20_000)
    c, g = (known * 0.2).astype(int), (known * rng.uniform(0.1, 0.3, 20_000)).astype(int)
    counts = np.stack([known, c, g, rng.integers(0, 4, 20_000)], axis=1)
    found = features(counts)
    assert found.shape == (20_000, COLUMNS)
    for index, width in enumerate(WIDTHS):
        half = width // 256
        n, cs, gs, cpg = counts[10_000 - half : 10_000 + half + 1].sum(axis=0).astype(float)
        expected = [(cs + gs) / n, cpg / n, cpg * n / (cs * gs)]
        np.testing.assert_allclose(found[10_000, 3 * index : 3 * index + 3], expected, rtol=1e-6)
