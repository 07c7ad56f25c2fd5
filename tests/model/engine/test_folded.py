from __future__ import annotations

import numpy as np
import pytest
import torch

from model.engine.folded import fold, pad_channels
from model.trunk import Trunk, TrunkConfig
from tests.model.engine.trunks import random_trunk


def test_folding_keeps_what_a_block_computes() -> None:
    trunk = random_trunk()
    block, layer = trunk.tower[0].double(), fold(trunk).tower[0]
    x = torch.randn(1, 6, 1, 32, dtype=torch.float64)
    expected = block.norm(torch.nn.functional.conv2d(x, block.weight.unsqueeze(2), padding=(0, 2)))
    weight, bias = layer.weight.double().unsqueeze(2), layer.bias.double()
    found = torch.nn.functional.conv2d(x, weight, bias, padding=(0, 2))
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=0, atol=1e-6)


def test_basenji2_has_the_operations_and_the_reach_that_were_counted() -> None:
    with torch.device("meta"):
        folded = fold(Trunk(TrunkConfig()).eval())
    assert folded.operations(131_072) / 1e9 == pytest.approx(218.63, abs=0.01)  # facts/models.md section 3.1
    assert (folded.reach, folded.width) == (212, 768)


def test_padded_channels_are_multiples_and_zero_and_the_stream_keeps_its_own() -> None:
    folded = fold(random_trunk())
    padded = pad_channels(folded, 8)
    widths = [layer.weight.shape[0] for layer in (padded.stem, *padded.tower)]
    assert [width % 8 for width in widths[:-1]] == [0] * 6
    assert widths[-1] == folded.width == padded.width
    for before, after in zip((folded.stem, *folded.tower), (padded.stem, *padded.tower), strict=True):
        out, into, _ = before.weight.shape
        assert torch.equal(after.weight[:out, :into], before.weight)
        assert not after.weight[out:].any()
        assert not after.weight[:, into:].any()
        assert not after.bias[out:].any()
