from __future__ import annotations

import pytest
import torch

from model.head_training.adapters import add_adapters, merge_adapters
from model.trunk import Trunk
from tests.model.conftest import TINY_TRUNK
from tracks.errors import UsageError


def _trunk() -> Trunk:
    torch.manual_seed(1)
    trunk = Trunk(TINY_TRUNK).eval()
    for name, value in trunk.state_dict().items():
        if "norm.weight" in name or "running_var" in name:
            value.uniform_(0.5, 1.5)
    return trunk


CODES = torch.randint(0, 5, (2, 128 * 160), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)


@torch.no_grad()
def test_an_adapted_trunk_starts_as_the_trunk_itself() -> None:
    trunk = _trunk()
    before = trunk(CODES)
    add_adapters(trunk, 2)
    assert torch.equal(trunk(CODES), before)


def test_only_the_adapters_are_trained_and_merging_changes_no_output() -> None:
    trunk = _trunk()
    keys = set(trunk.state_dict())
    before = trunk(CODES).detach()
    added = add_adapters(trunk, 2)
    assert {id(p) for p in trunk.parameters() if p.requires_grad} == {id(p) for p in added}
    assert len(added) == 2 * 2 * TINY_TRUNK.residual_blocks
    optimizer = torch.optim.Adam(added, lr=0.05)
    for _ in range(3):
        optimizer.zero_grad()
        trunk(CODES).square().mean().backward()
        optimizer.step()
    with torch.no_grad():
        tuned = trunk(CODES)
        merge_adapters(trunk)
        merged = trunk(CODES)
    assert (tuned - before).abs().max() > 1e-3
    torch.testing.assert_close(merged, tuned, rtol=1e-5, atol=1e-5)
    assert set(trunk.state_dict()) == keys
    again = Trunk(TINY_TRUNK).eval()
    again.load_state_dict(trunk.state_dict())
    torch.testing.assert_close(again(CODES), tuned, rtol=1e-5, atol=1e-5)


def test_the_change_of_a_convolution_has_the_rank_asked_for() -> None:
    trunk = _trunk()
    original = trunk.residual[0].narrow.weight.detach().clone()
    added = add_adapters(trunk, 2)
    with torch.no_grad():
        for parameter in added:
            parameter.normal_()
    merge_adapters(trunk)
    change = (trunk.residual[0].narrow.weight.detach() - original).flatten(1)
    assert torch.linalg.matrix_rank(change) == 2


@pytest.mark.parametrize("rank", [0, 4, 100])
def test_a_rank_that_saves_nothing_is_refused(rank: int) -> None:
    with pytest.raises(UsageError, match="between 1 and 3"):
        add_adapters(_trunk(), rank)
