"""Transforms against their formulas, and their inverses."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.errors import TracksError
from tracks.transform import Affine, Clip, Exp2, Power, SoftClip, Steps, Transform, is_log2, transform_from_json

VALUES = st.lists(st.floats(0, 1e4), min_size=1).map(np.array)


@given(VALUES, st.floats(0.5, 500))
def test_soft_clip(values: np.ndarray, threshold: float) -> None:
    labels = SoftClip(threshold).forward(values)
    expected = [v if v <= threshold else threshold - 1 + np.sqrt(v - threshold + 1) for v in values]
    np.testing.assert_allclose(labels, expected)
    np.testing.assert_allclose(SoftClip(threshold).inverse(labels), values, rtol=1e-9)


@pytest.mark.parametrize("exponent", [0.5, 0.75])
def test_roots_by_their_own_exponent(exponent: float) -> None:
    """Basenji's data are made with 1/2 and undone with 3/4; what is undone here is what was done."""
    values = np.array([0.0, 1, 8, 15, 465.75])
    labels = Power(exponent).forward(values)
    np.testing.assert_allclose(labels, -1 + (1 + values) ** exponent)
    np.testing.assert_allclose(Power(exponent).inverse(labels), values, atol=1e-9)
    assert abs(Power(0.75).inverse(Power(0.5).forward(values)) - values).max() > 100


def test_clips() -> None:
    np.testing.assert_array_equal(Clip(-1, 3).forward(np.array([-5.0, 2, 9])), [-1, 2, 3])
    np.testing.assert_array_equal(Clip(high=3).inverse(np.array([-5.0, 2, 9])), [-5, 2, 3])


@given(VALUES)
def test_steps_undo_themselves_backwards(values: np.ndarray) -> None:
    steps = Steps((Affine(0.1), Power(0.5), SoftClip(4), Affine(500, 1)))
    by_hand = -1 + np.sqrt(1 + values / 10)
    by_hand = np.where(by_hand > 4, 3 + np.sqrt(np.maximum(by_hand - 3, 0)), by_hand) * 500 + 1
    np.testing.assert_allclose(steps.forward(values), by_hand)
    np.testing.assert_allclose(steps.inverse(steps.forward(values)), values, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "transform",
    [Affine(2, 1), Exp2(128), Clip(high=3.0), SoftClip(7), Power(0.75), Steps((Exp2(), Clip(0, 500), Power()))],
)
def test_json_and_back(transform: Transform) -> None:
    assert transform_from_json(json.loads(json.dumps(asdict(transform)))) == transform


def test_which_labels_undo_a_log2() -> None:
    assert [is_log2(one) for one in (Exp2(), Steps((Exp2(), Affine(2))), Affine(), Steps((Affine(), Exp2())))] == [
        True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Clip(), "needs low, high or both"),
        (lambda: Clip(3, 3), "low below high"),
        (lambda: Clip(float("nan")), "finite"),
        (lambda: SoftClip(float("inf")), "finite threshold"),
        (lambda: Power(0), "finite exponent above 0"),
    ],
)
def test_transforms_that_are_none(make: object, message: str) -> None:
    with pytest.raises(TracksError, match=message):
        make()  # type: ignore[operator]


def test_a_kind_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="there is no transform 'log'; there are affine, exp2"):
        transform_from_json({"kind": "log"})
