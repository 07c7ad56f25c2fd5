"""The PyTorch port's keys, written with the golden model's weights as the port's own converter does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from model.weights import Choices, import_weights
from model.weights.importing import read_weights
from tests.model.weights.conftest import KerasLayer, computed, relative, with_weights
from tracks.errors import TracksError

# facts/cs282a.md section 1.6: block.1 is the convolution, block.2 the BatchNorm; 182 keys at 11 residual blocks.
BLOCKS = (
    "model.trunk.0.block",
    *(f"model.trunk.1.tower.{block}.block" for block in range(6)),
    *(f"model.trunk.2.block.{block}.module.{part}.block" for block in range(3) for part in (0, 1)),
    "model.trunk.4.block",
)


@pytest.fixture
def port(layers: list[KerasLayer]) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = {}
    convs, norms = with_weights(layers, "kernel"), with_weights(layers, "gamma")
    for block, conv, norm in zip(BLOCKS, convs, norms, strict=True):
        state[f"{block}.1.weight"] = torch.from_numpy(np.einsum("kio->oik", conv.weights["kernel:0"]).copy())
        for name, kept in {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean"}.items():
            state[f"{block}.2.{name}"] = torch.from_numpy(norm.weights[f"{kept}:0"])
        state[f"{block}.2.running_var"] = torch.from_numpy(norm.weights["moving_variance:0"])
        state[f"{block}.2.num_batches_tracked"] = torch.tensor(0)
    dense = with_weights(layers, "bias")[0].weights
    state["model.head.final.block.1.weight"] = torch.from_numpy(dense["kernel:0"].T.copy())
    state["model.head.final.block.1.bias"] = torch.from_numpy(dense["bias:0"])
    return state


def test_the_port_computes_what_keras_computes(
    port: dict[str, torch.Tensor], expected: dict[str, np.ndarray], tmp_path: Path
) -> None:
    assert len(port) + 6 * 2 * 8 == 182
    torch.save(port, tmp_path / "basenji2.pth")
    for gelu in ("tanh", "erf"):
        found = import_weights(tmp_path / "basenji2.pth", tmp_path / gelu, Choices(gelu=gelu))  # type: ignore[arg-type]
        assert found.head is not None
        embedding, labels = computed(tmp_path / gelu, expected["codes"])
        assert relative(embedding, expected[f"embedding_{gelu}"]) < 5e-6
        assert relative(labels, expected[f"labels_{gelu}"]) < 5e-6


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model.trunk.1.tower.3.block.2.bias": None}, "it has no model.trunk.1.tower.3.block.2.bias"),
        ({"model.trunk.3.extra": torch.zeros(1)}, "it has model.trunk.3.extra, which is no layer of the port"),
        ({"model.trunk.0.block.1.weight": torch.zeros(5, 4)}, "weight is 5 x 4; expected 3 dimension"),
        (
            {"model.trunk.1.tower.2.block.1.weight": torch.zeros(6, 4, 5)},
            r"layer model.trunk.1.tower.2.block.1 \(tower block 3\): expected a kernel of width 5 from 5 to 6 channels",
        ),
    ],
)
def test_other_keys_and_shapes_are_named(
    change: dict[str, torch.Tensor | None], says: str, port: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    state = {key: value for key, value in {**port, **change}.items() if value is not None}
    torch.save(state, tmp_path / "odd.pth")
    with pytest.raises(TracksError, match=says):
        read_weights(tmp_path / "odd.pth")
