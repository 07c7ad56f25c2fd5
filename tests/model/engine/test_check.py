from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.engine.activation import activation
from model.engine.check import TOLERANCE, agreement, check_engine
from model.engine.convolution import ConvolutionEngine
from model.engine.folded import fold
from model.engine.winograd import WinogradEngine
from tests.model.engine.trunks import random_codes, random_trunk
from tracks.errors import TracksError

CPU = torch.device("cpu")
rng = np.random.default_rng(0)


def test_r_and_differences_follow_their_definitions() -> None:
    reference = rng.normal(3, 2, (50, 4))
    other = reference + rng.normal(0, 0.3, (50, 4))
    found = agreement(reference.astype(np.float32), other.astype(np.float32))
    difference = np.abs(other - reference)
    np.testing.assert_allclose(found.r, [np.corrcoef(a, b)[0, 1] for a, b in zip(reference.T, other.T, strict=True)])
    np.testing.assert_allclose(found.largest, difference.max(0) / reference.std(0), rtol=1e-5)
    np.testing.assert_allclose(found.mean, difference.mean(0) / reference.std(0), rtol=1e-5)


def test_tracks_without_variation_or_numbers_are_compared_too() -> None:
    steady, nothing, empty, some = np.full(8, 0.4), np.zeros(8), np.full(8, np.nan), rng.normal(size=8)
    some[3] = np.nan
    reference = np.stack([steady, nothing, empty, some], axis=1)
    exact = agreement(reference, reference)
    np.testing.assert_array_equal(np.isnan(exact.r), [True, True, True, False])
    np.testing.assert_array_equal([exact.largest, exact.mean], np.zeros((2, 4)))
    off = agreement(reference, np.stack([steady + 0.01, nothing + 0.01, empty, some + 0.01], axis=1))
    np.testing.assert_allclose(off.largest[:3], [0.025, np.inf, 0])
    assert np.isnan(off.r[0])
    assert off.r[3] == pytest.approx(1)


def test_a_number_for_none_and_none_for_a_number_are_endless_differences() -> None:
    reference = rng.normal(size=(8, 2))
    holed = reference.copy()
    holed[2, 0] = np.nan
    for one, other in ((reference, holed), (holed, reference)):
        found = agreement(one, other)
        assert found.largest[0] == found.mean[0] == np.inf
        assert found.largest[1] == 0


def test_a_track_that_became_steady_has_no_correlation_left() -> None:
    reference = rng.normal(5, 1, (20, 1))
    assert agreement(reference, np.full((20, 1), 5.0)).r[0] == 0


def test_other_shapes_are_not_compared() -> None:
    with pytest.raises(ValueError, match=r"shape \(3, 2\) cannot be compared with a reference of \(3, 1\)"):
        agreement(np.zeros((3, 1)), np.zeros((3, 2)))


@given(st.floats(0.01, 100), st.integers(0, 2**32 - 1))
def test_units_do_not_matter(scale: float, seed: int) -> None:
    reference, noise = np.random.default_rng(seed).normal(size=(2, 30, 3))
    one, other = (agreement(unit * reference, unit * (reference + noise)) for unit in (1, scale))
    for name in ("r", "largest", "mean"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-9)


def _heads(tracks: int = 3) -> Callable[[torch.Tensor], np.ndarray]:
    probe = torch.randn(tracks, 11, generator=torch.Generator().manual_seed(4))
    return lambda embedding: (probe @ embedding[0]).numpy().T


def test_engines_that_agree_pass_and_tell_how_well() -> None:
    folded, codes = fold(random_trunk()), random_codes(1, 64)
    reference = ConvolutionEngine(folded, CPU)
    winograd = check_engine(WinogradEngine(folded, CPU), "winograd", reference(codes), _heads(), codes)
    half = check_engine(ConvolutionEngine(folded, CPU, torch.bfloat16), "bf16", reference(codes), _heads(), codes)
    assert 0 < winograd.largest.max() < 1e-4 < half.largest.max() < TOLERANCE["bf16"].largest


def _damaged(engine: ConvolutionEngine, how: Callable[[torch.Tensor], torch.Tensor]) -> ConvolutionEngine:
    whole = engine.embedding
    engine.embedding = lambda stream: how(whole(stream))  # type: ignore[method-assign]
    return engine


@pytest.mark.parametrize("where", [0, 30, 59])
def test_one_wrong_bin_is_found_and_its_track_named(where: int) -> None:
    folded, codes = fold(random_trunk()), random_codes(1, 64)

    def damage(embedding: torch.Tensor) -> torch.Tensor:
        embedding[..., where] *= -20
        return embedding

    def read(embedding: torch.Tensor) -> np.ndarray:
        labels = _heads()(embedding)
        labels[:, :2] = 0.5  # only the last track shows it
        return labels

    engine = _damaged(ConvolutionEngine(folded, CPU, torch.bfloat16), damage)
    expected = r"^bf16 on this machine differs from fp32 on track 'LAD' by .* at most, r .*; use --precision fp32$"
    with pytest.raises(TracksError, match=expected) as caught:
        check_engine(engine, "bf16", ConvolutionEngine(folded, CPU)(codes), read, codes, ("CpG", "gene", "LAD"))
    assert "\n" not in str(caught.value)


def test_not_a_number_is_beyond_any_tolerance() -> None:
    folded, codes = fold(random_trunk()), random_codes(1, 64)
    engine = _damaged(WinogradEngine(folded, CPU), lambda embedding: embedding * torch.nan)
    with pytest.raises(TracksError, match="winograd on this machine differs from fp32 on track 1 of 3 by inf"):
        check_engine(engine, "winograd", ConvolutionEngine(folded, CPU)(codes), _heads(), codes)


def test_winograd_is_held_to_float32() -> None:
    """What bfloat16 is allowed, float32 is not."""
    folded, codes = fold(random_trunk()), random_codes(1, 64)
    engine = WinogradEngine(folded, CPU)
    half = ConvolutionEngine(folded, CPU, torch.bfloat16)
    engine.tower = lambda codes: half.tower(codes).float()  # type: ignore[method-assign]
    with pytest.raises(TracksError, match="winograd on this machine differs"):
        check_engine(engine, "winograd", ConvolutionEngine(folded, CPU)(codes), _heads(), codes)


def test_the_wrong_gelu_is_found() -> None:
    folded, codes = fold(random_trunk()), random_codes(1, 64)
    engine = ConvolutionEngine(folded, CPU)
    engine.activate = activation("erf", CPU)
    with pytest.raises(TracksError, match=r"fp32 on this machine differs .*; use --device cpu"):
        check_engine(engine, "fp32", ConvolutionEngine(folded, CPU)(codes), _heads(), codes)
