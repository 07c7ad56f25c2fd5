from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.report.roc import auprc_of, auroc_of, counted, roc_curve


def auroc_by_pairs(score: np.ndarray, positive: np.ndarray) -> float:
    difference = score[positive][:, None] - score[~positive][None]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


def average_precision_by_thresholds(score: np.ndarray, positive: np.ndarray) -> float:
    """The sum of (recall gained) x precision over falling thresholds, in plain loops."""
    total, before = 0.0, 0
    for threshold in sorted(set(score.tolist()), reverse=True):
        taken = score >= threshold
        hits = int((taken & positive).sum())
        total += (hits - before) / positive.sum() * hits / taken.sum()
        before = hits
    return total


@settings(max_examples=80)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.integers(1, 30))
def test_areas_against_plain_loops(seed: int, n: int, distinct: int) -> None:
    rng = np.random.default_rng(seed)
    score = rng.integers(0, distinct, n).astype(float)
    positive = rng.random(n) < 0.4
    positive[:2] = True, False
    counts = counted(score, positive)
    assert auroc_of(*counts) == pytest.approx(auroc_by_pairs(score, positive))
    assert auprc_of(*counts) == pytest.approx(average_precision_by_thresholds(score, positive))
    x, y = roc_curve(*counts)
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(y, x) == pytest.approx(auroc_by_pairs(score, positive))


def test_one_class_only_is_undefined() -> None:
    some, none = np.array([1, 2, 0]), np.zeros(3, int)
    assert np.isnan(auroc_of(some, none))
    assert np.isnan(auroc_of(none, some))
    assert np.isnan(auprc_of(none, some))
    assert auprc_of(some, none) == 1


def test_a_score_that_knows_nothing_has_the_prevalence_as_its_precision() -> None:
    assert auprc_of(np.array([30]), np.array([70])) == pytest.approx(0.3)
    assert auroc_of(np.array([30]), np.array([70])) == pytest.approx(0.5)
