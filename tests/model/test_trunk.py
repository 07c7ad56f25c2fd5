from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from model.trunk import GELU, Trunk, TrunkConfig, one_hot
from tests.model.conftest import TINY_TRUNK

BASENJI2_WIDTHS = (339, 399, 470, 554, 652, 768)
BASENJI2_DILATIONS = (1, 2, 3, 4, 6, 9, 14, 21, 32, 48, 72)


def test_the_default_is_basenji2() -> None:
    config = TrunkConfig()
    assert config.tower_widths() == BASENJI2_WIDTHS
    assert config.dilations() == BASENJI2_DILATIONS
    assert config.receptive_field() == 54_918
    with torch.device("meta"):
        trunk = Trunk(config)
        shape = trunk(torch.zeros(1, 131_072, dtype=torch.uint8)).shape
    values = [*trunk.parameters(), *(buffer for buffer in trunk.buffers() if buffer.dtype.is_floating_point)]
    assert sum(value.numel() for value in values) == 21_957_503  # facts/cs282a.md 1.3, from the published file
    assert shape == (1, 1536, 896)


def test_gelu_variants_follow_their_formulas() -> None:
    x = torch.linspace(-6, 6, 241, dtype=torch.float64)
    tanh = [0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3))) for v in x.tolist()]
    erf = [0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in x.tolist()]
    sigmoid = [v / (1 + math.exp(-1.702 * v)) for v in x.tolist()]
    for variant, expected in (("tanh", tanh), ("erf", erf), ("sigmoid", sigmoid)):
        np.testing.assert_allclose(GELU[variant](x).numpy(), expected, rtol=1e-12, atol=1e-15)


def test_one_hot_makes_unknown_bases_zero() -> None:
    hot = one_hot(torch.tensor([[0, 1, 2, 3, 4, 9]], dtype=torch.uint8))
    np.testing.assert_array_equal(hot[0].numpy(), np.eye(4, 6, dtype=np.float32))


def _random_statistics(trunk: Trunk) -> None:
    generator = torch.Generator().manual_seed(11)
    for name, value in trunk.state_dict().items():
        if "running_var" in name or "norm.weight" in name:
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
        elif "running_mean" in name or "norm.bias" in name:
            value.copy_(torch.randn(value.shape, generator=generator) * 0.3)


def _reference(trunk: Trunk, codes: np.ndarray, gelu: str) -> np.ndarray:
    """The trunk in float64 NumPy loops over kernel taps: Basenji's order, written from the paper's description."""

    def act(x: np.ndarray) -> np.ndarray:
        if gelu == "sigmoid":
            return x / (1 + np.exp(-1.702 * x))
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    def block(x: np.ndarray, name: str, dilation: int = 1, pool: bool = False) -> np.ndarray:
        state = {
            key.removeprefix(name): value.double().numpy() for key, value in weights.items() if key.startswith(name)
        }
        kernel = state["weight"]
        reach = dilation * (kernel.shape[2] - 1) // 2
        padded = np.pad(act(x), ((0, 0), (reach, reach)))
        length = x.shape[1]
        y = sum(kernel[:, :, k] @ padded[:, k * dilation : k * dilation + length] for k in range(kernel.shape[2]))
        scale = state["norm.weight"] / np.sqrt(state["norm.running_var"] + 1e-3)
        y = (y - state["norm.running_mean"][:, None]) * scale[:, None] + state["norm.bias"][:, None]
        return np.maximum(y[:, 0::2], y[:, 1::2]) if pool else y

    weights = trunk.state_dict()
    x = (codes[None, :] == np.arange(4)[:, None]).astype(np.float64)
    x = block(x, "stem.", pool=True)
    for i in range(trunk.config.tower_blocks):
        x = block(x, f"tower.{i}.", pool=True)
    for i, rate in enumerate(trunk.config.dilations()):
        x = x + block(block(x, f"residual.{i}.narrow.", dilation=rate), f"residual.{i}.widen.")
    crop = trunk.config.crop
    return act(block(x[:, crop : x.shape[1] - crop], "embed."))


@pytest.mark.parametrize("gelu", ["tanh", "sigmoid"])
def test_forward_equals_a_float64_reference(gelu: str) -> None:
    torch.manual_seed(5)
    trunk = Trunk(replace(TINY_TRUNK, gelu=gelu, crop=4)).eval()
    _random_statistics(trunk)
    codes = np.random.default_rng(5).integers(0, 5, 128 * 24).astype(np.uint8)
    with torch.inference_mode():
        found = trunk(torch.from_numpy(codes)[None])[0].numpy()
    expected = _reference(trunk, codes, gelu)
    assert found.shape == expected.shape == (8, 16)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)


def test_a_base_reaches_as_far_as_the_receptive_field_says() -> None:
    """Change one base far from every edge: the bins that move are those whose receptive field holds it."""
    torch.manual_seed(6)
    config = replace(TINY_TRUNK, crop=0)
    trunk = Trunk(config).eval()
    _random_statistics(trunk)
    codes = torch.from_numpy(np.random.default_rng(1).integers(0, 4, 128 * 64).astype(np.uint8))[None]
    changed = codes.clone()
    changed[0, 128 * 32 + 64] = (changed[0, 128 * 32 + 64] + 1) % 4
    with torch.inference_mode():
        moved = (trunk(codes) - trunk(changed)).abs().amax(dim=1)[0] > 0
    reach = np.flatnonzero(moved.numpy())
    assert moved[32]
    assert reach.max() - reach.min() <= -(-config.receptive_field() // 128)
    assert reach.max() - reach.min() >= 2 * sum(config.dilations())
