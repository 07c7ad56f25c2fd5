from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from model.engine import winograd
from model.engine.convolution import ConvolutionEngine, PlacedLayer
from model.engine.folded import Layer, fold
from model.engine.winograd import OUTPUTS, POINTS, TAPS, FastLayer, WinogradEngine, cook_toom
from model.trunk import GELU, GeluVariant
from tests.model.engine.trunks import random_codes, random_trunk

CPU = torch.device("cpu")
whole = st.integers(-50, 50)


def _plain(x: torch.Tensor) -> torch.Tensor:
    return x


@given(st.integers(1, 5), st.integers(1, 6), st.data())
def test_the_matrices_are_exact_for_any_sizes_and_points(outputs: int, taps: int, data: st.DataObject) -> None:
    count = outputs + taps - 2
    points = data.draw(st.lists(st.fractions(-4, 4, max_denominator=4), min_size=count, max_size=count, unique=True))
    a, b, g = cook_toom(outputs, taps, points)
    d = data.draw(st.lists(whole, min_size=outputs + taps - 1, max_size=outputs + taps - 1))
    kernel = data.draw(st.lists(whole, min_size=taps, max_size=taps))

    def times(matrix: list[list[Fraction]], vector: list[Fraction] | list[int]) -> list[Fraction]:
        return [sum((x * y for x, y in zip(row, vector, strict=True)), Fraction(0)) for row in matrix]

    products = [x * y for x, y in zip(times(g, kernel), times(b, d), strict=True)]
    expected = [sum(kernel[k] * d[i + k] for k in range(taps)) for i in range(outputs)]
    assert times(a, products) == expected


def test_the_matrices_in_use_are_exact_in_float32() -> None:
    a, b, _ = cook_toom(OUTPUTS, TAPS, POINTS)
    for entry in (entry for row in (*a, *b) for entry in row):
        assert Fraction(float(np.float32(float(entry)))) == entry


def _layer(channels: int, channels_out: int, seed: int = 0) -> Layer:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(channels_out, channels, 5, generator=generator) / (5 * channels) ** 0.5
    return Layer(weight, torch.randn(channels_out, generator=generator), pool=2)


def _fast(layer: Layer) -> FastLayer:
    placed = WinogradEngine(fold(random_trunk()), CPU).place_tower(layer)
    assert isinstance(placed, FastLayer)
    return placed


def _exact(layer: Layer, x: torch.Tensor) -> torch.Tensor:
    y = F.conv1d(x.squeeze(2).double(), layer.weight.double(), layer.bias.double(), padding=2)
    return F.max_pool1d(y, 2).unsqueeze(2)


@settings(max_examples=40)
@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(1, 70), st.integers(1, 3))
def test_a_layer_of_any_size_is_the_convolution(
    batch: int, channels: int, channels_out: int, half: int, tiles: int
) -> None:
    """Lengths that are no multiples of four, shorter than a tile, and pieces that end anywhere."""
    layer = _layer(channels, channels_out)
    x = torch.randn(batch, channels, 1, 2 * half).contiguous(memory_format=torch.channels_last)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "_TILES", tiles)
        found = _fast(layer).block(x, _plain)
    np.testing.assert_allclose(found.numpy(), _exact(layer, x).numpy(), rtol=0, atol=2e-5)


def test_the_error_is_that_of_direct_convolution() -> None:
    """At the widest layer of Basenji2, against float64."""
    layer = _layer(652, 768)
    x = torch.randn(1, 652, 1, 512).contiguous(memory_format=torch.channels_last)
    direct = ConvolutionEngine(fold(random_trunk()), CPU).place_tower(layer)
    assert isinstance(direct, PlacedLayer)
    exact = _exact(layer, x)
    error, error_direct = (
        (placed.block(x, _plain).double() - exact).square().mean().sqrt() for placed in (_fast(layer), direct)
    )
    assert error < 2e-6  # of values of about 1
    assert error < 2 * error_direct


@pytest.mark.parametrize("gelu", list(GELU))
@pytest.mark.parametrize(("batch", "bins"), [(1, 5), (1, 8), (2, 33)])
def test_the_engine_is_the_plain_trunk(gelu: GeluVariant, batch: int, bins: int) -> None:
    engine, exact = WinogradEngine(fold(random_trunk(gelu=gelu)), CPU), random_trunk(gelu=gelu).double()
    codes = random_codes(batch, bins)
    with torch.inference_mode():
        expected = exact(codes)
    np.testing.assert_allclose(engine(codes).numpy(), expected.numpy(), rtol=0, atol=2e-5)


def test_a_single_bin_passes_the_tower() -> None:
    trunk = random_trunk()
    fast, direct = (engine(fold(trunk), CPU) for engine in (WinogradEngine, ConvolutionEngine))
    codes = random_codes(2, 1)
    np.testing.assert_allclose(fast.tower(codes).numpy(), direct.tower(codes).numpy(), rtol=0, atol=1e-5)


def test_layers_of_another_kernel_are_convolved_directly() -> None:
    trunk = random_trunk(tower_kernel=3)
    engine, direct = WinogradEngine(fold(trunk), CPU), ConvolutionEngine(fold(trunk), CPU)
    assert isinstance(engine.place_tower(fold(trunk).tower[0]), PlacedLayer)
    codes = random_codes(1, 8)
    np.testing.assert_allclose(engine(codes).numpy(), direct(codes).numpy(), rtol=0, atol=1e-5)
