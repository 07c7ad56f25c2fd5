from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from model.engine.activation import activation
from model.engine.convolution import ConvolutionEngine, balanced
from model.engine.folded import FoldedTrunk, fold, pad_channels
from model.trunk import GELU, GeluVariant
from tests.model.engine.trunks import random_codes, random_trunk

CPU = torch.device("cpu")


@pytest.mark.parametrize("gelu", list(GELU))
@pytest.mark.parametrize(("batch", "bins"), [(1, 5), (1, 32), (3, 17)])
def test_every_step_is_the_plain_trunks(gelu: GeluVariant, batch: int, bins: int) -> None:
    trunk = random_trunk(gelu=gelu)
    engine, exact = ConvolutionEngine(fold(trunk), CPU), random_trunk(gelu=gelu).double()
    codes = random_codes(batch, bins)
    with torch.inference_mode():
        stream, embedding = exact.residual_stream(codes), exact(codes)
    scale = 1.702 if gelu == "sigmoid" else 1.0
    np.testing.assert_allclose(engine.stream(codes).numpy() / scale, stream.numpy(), rtol=0, atol=2e-5)
    np.testing.assert_allclose(engine(codes).numpy(), embedding.numpy(), rtol=0, atol=2e-5)
    assert engine(codes).dtype == torch.float32


def test_a_window_is_the_same_in_any_batch() -> None:
    engine = ConvolutionEngine(fold(random_trunk()), CPU)
    codes = random_codes(4, 16)
    together = engine(codes)
    for at in range(4):
        np.testing.assert_allclose(together[at].numpy(), engine(codes[at : at + 1])[0].numpy(), rtol=0, atol=2e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_channels_of_zeros_change_nothing(dtype: torch.dtype) -> None:
    folded, codes = fold(random_trunk()), random_codes(1, 16)
    expected, found = (ConvolutionEngine(one, CPU, dtype)(codes) for one in (folded, pad_channels(folded, 8)))
    # Sums of other lengths may be added in another order.
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=0, atol=2e-5 if dtype == torch.float32 else 0.05)


def _unpadded(folded: FoldedTrunk, tower: torch.Tensor) -> torch.Tensor:
    """The residual blocks in float64 with no padding: each output sums only what there is."""
    x = tower.squeeze(2).double()
    gelu = GELU[folded.gelu]
    for narrow, widen in folded.residual:
        y = F.conv1d(gelu(x), narrow.weight.double(), narrow.bias.double(), dilation=narrow.dilation)
        y = F.conv1d(gelu(y), widen.weight.double(), widen.bias.double())
        x = x[..., narrow.reach : x.shape[-1] - narrow.reach] + y
    return x


def test_unpadded_residual_blocks_follow_their_formula() -> None:
    folded = fold(random_trunk())
    engine = ConvolutionEngine(folded, CPU)
    tower = engine.tower(random_codes(2, 40))
    found = engine.residual_unpadded(tower)
    assert found.shape[-1] == 40 - 2 * folded.reach
    np.testing.assert_allclose(found.squeeze(2).numpy(), _unpadded(folded, tower).numpy(), rtol=0, atol=1e-5)


def test_padding_does_not_reach_the_middle() -> None:
    folded = fold(random_trunk())
    engine = ConvolutionEngine(folded, CPU)
    tower = engine.tower(random_codes(1, 40))
    padded, unpadded = engine.residual(tower), engine.residual_unpadded(tower)
    crop = folded.reach - folded.crop
    np.testing.assert_allclose(padded[..., crop:-crop].numpy(), unpadded.numpy(), rtol=0, atol=1e-5)


def _relative(found: torch.Tensor, exact: torch.Tensor) -> float:
    return float((found - exact).square().mean().sqrt() / exact.std())


@pytest.mark.parametrize("gelu", list(GELU))
def test_bfloat16_is_near_and_leaves_what_the_store_keeps(gelu: GeluVariant) -> None:
    folded, codes = fold(random_trunk(gelu=gelu)), random_codes(1, 32)
    exact, engine = ConvolutionEngine(folded, CPU), ConvolutionEngine(folded, CPU, torch.bfloat16)
    assert engine.tower(codes).dtype == engine.stream(codes).dtype == torch.bfloat16
    assert engine.residual_unpadded(engine.tower(codes)).dtype == torch.bfloat16
    assert 0 < _relative(engine(codes), exact(codes)) < 0.02


@pytest.mark.parametrize("gelu", list(GELU))
def test_the_stem_of_bfloat16_rounds_only_its_output(gelu: GeluVariant) -> None:
    """Weights with many more digits than bfloat16 has: the first sums are nevertheless the float32 ones, rounded."""
    folded, codes = fold(random_trunk(gelu=gelu)), random_codes(1, 32)
    exact, engine = (ConvolutionEngine(folded, CPU, dtype)._stem for dtype in (torch.float32, torch.bfloat16))
    bases = F.one_hot(codes.long(), 5)[..., :4].float().permute(0, 2, 1).unsqueeze(2)
    expected = exact.convolve(bases, exact.reach)
    found = engine.convolve(bases.repeat(1, 2, 1, 1).bfloat16(), engine.reach).float()
    # Half a step of bfloat16, and what is left of a weight of 16 bits.
    assert ((found - expected).abs() <= expected.abs() * 2.0**-8 + 1e-4).all()
    assert (found - expected).mean().abs() < 2e-4


def test_a_bias_is_not_rounded_to_bfloat16() -> None:
    folded = fold(random_trunk())
    engine = ConvolutionEngine(folded, CPU, torch.bfloat16)
    layer = engine._embed
    x = torch.randn(1, folded.width, 1, 20_000).bfloat16().contiguous(memory_format=torch.channels_last)
    expected = F.conv2d(x.float(), layer.weight.float(), layer.bias)
    mean_error = (layer.convolve(x, 0).float() - expected).mean((0, 2, 3))
    lost = (layer.bias.bfloat16().float() - layer.bias).abs()
    assert lost.max() > 5e-4
    assert (mean_error.abs() < 0.2 * lost.max()).all()


@pytest.mark.parametrize("gelu", list(GELU))
def test_balanced_biases_bring_the_mean_of_each_channel_back(gelu: GeluVariant) -> None:
    folded, dtype = fold(random_trunk(gelu=gelu)), torch.bfloat16
    better = balanced(folded, dtype, activation(gelu, CPU))
    assert better.stem is folded.stem
    # Of other sequence than that whose means were taken.
    bases = F.one_hot(random_codes(1, 256).long(), 5)[..., :4].float().transpose(1, 2)
    stem, layer = folded.stem, folded.tower[0]
    x = F.max_pool1d(F.conv1d(GELU[gelu](bases), stem.weight, stem.bias, padding=stem.reach), 2)
    expected = F.conv1d(GELU[gelu](x), layer.weight, layer.bias)
    scale = 1.702 if gelu == "sigmoid" else 1.0
    seen = activation(gelu, CPU)((x * scale).to(dtype).unsqueeze(2)).squeeze(2).float() / scale

    def error(bias: torch.Tensor) -> torch.Tensor:
        return (F.conv1d(seen, layer.weight.to(dtype).float(), bias) - expected).mean((0, 2)).norm()

    assert error(better.tower[0].bias) < 0.3 * error(layer.bias)
