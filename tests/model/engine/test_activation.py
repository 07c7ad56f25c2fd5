from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.engine.activation import SIGMOID_SCALE, activation
from model.trunk import GELU, GeluVariant

CPU = torch.device("cpu")


def by_engine(variant: GeluVariant, x: torch.Tensor) -> torch.Tensor:
    scale = SIGMOID_SCALE if variant == "sigmoid" else 1.0
    return activation(variant, CPU)(x * scale) / scale


@pytest.mark.parametrize("variant", list(GELU))
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_each_gelu_is_the_trunks(variant: GeluVariant, layout: torch.memory_format) -> None:
    x = (torch.randn(2, 5, 1, 64) * 4).contiguous(memory_format=layout)
    found = by_engine(variant, x)
    assert found.shape == x.shape
    assert found.stride() == x.stride()
    np.testing.assert_allclose(found.numpy(), GELU[variant](x.double()).numpy(), rtol=1e-5, atol=1e-6)


def test_pieces_and_their_rest_join(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.engine.activation._PIECE", 100)
    x = torch.randn(1, 7, 1, 143).contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(by_engine("tanh", x).numpy(), GELU["tanh"](x).numpy(), rtol=0, atol=1e-6)


def test_a_slice_of_positions_is_taken_in_place_and_left_as_it_was() -> None:
    x = torch.randn(1, 7, 1, 64).contiguous(memory_format=torch.channels_last)
    before = x.clone()
    found = by_engine("tanh", x[..., 5:33])
    np.testing.assert_allclose(found.numpy(), GELU["tanh"](before[..., 5:33]).numpy(), rtol=0, atol=1e-6)
    assert torch.equal(x, before)


@given(st.floats(-30, 30, width=32))
def test_tanh_holds_for_any_number(value: float) -> None:
    found = by_engine("tanh", torch.full((1, 1, 1, 3), value))[0, 0, 0, 0].item()
    assert found == pytest.approx(GELU["tanh"](torch.tensor(value, dtype=torch.float64)).item(), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("variant", list(GELU))
def test_bfloat16_is_off_by_little_more_than_its_rounding(variant: GeluVariant) -> None:
    x = torch.linspace(-8, 8, 4001).bfloat16().view(1, 1, 1, -1)
    exact = GELU[variant](x.double())
    rounding = (exact.bfloat16().double() - exact).square().mean().sqrt()
    scale = SIGMOID_SCALE if variant == "sigmoid" else 1.0
    # As the engine has it: the scaled stream is what is rounded.
    scaled = (x.double() * scale).bfloat16()
    found = activation(variant, CPU)(scaled).double() / scale
    exact = GELU[variant](scaled.double() / scale)
    assert (found - exact).square().mean().sqrt() < 1.1 * rounding
