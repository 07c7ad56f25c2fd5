"""Low-rank adapters on the trunk's dilated blocks (Hu et al. 2021, arXiv 2106.09685).

Each convolution's weight becomes ``W + B A`` with thin A and B; only these are trained, and merging them leaves an
ordinary trunk of the same size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.utils import parametrize

from model.trunk import ConvBlock, ResidualBlock, Trunk
from tracks.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


class LowRank(nn.Module):
    """What is added to one convolution's weight ``[out, in, kernel]``: the product of ``out x rank`` and
    ``rank x in * kernel``. The first starts at zero, so that an adapted trunk starts as the trunk itself."""

    def __init__(self, weight: torch.Tensor, rank: int) -> None:
        super().__init__()
        outputs, inputs = weight.shape[0], weight[0].numel()
        self.down = nn.Parameter(torch.randn(rank, inputs, device=weight.device) * inputs**-0.5)
        self.up = nn.Parameter(torch.zeros(outputs, rank, device=weight.device))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Map the frozen weight to the adapted one, same shape."""
        return weight + (self.up @ self.down).view_as(weight)


def _convolutions(trunk: Trunk) -> Iterator[ConvBlock]:
    for block in trunk.residual:
        assert isinstance(block, ResidualBlock)
        yield from (block.narrow, block.widen)


def add_adapters(trunk: Trunk, rank: int) -> list[nn.Parameter]:
    """Freeze a trunk, adapt its dilated blocks, and return the new parameters, which alone are to be trained.

    Raises UsageError for a rank that is no smaller than a convolution's own.
    """
    widest = min(min(conv.weight.shape[0], conv.weight[0].numel()) for conv in _convolutions(trunk))
    if not 1 <= rank < widest:
        raise UsageError(f"adapters of rank {rank} do not fit this trunk; a rank lies between 1 and {widest - 1}")
    trunk.requires_grad_(False)
    added: list[nn.Parameter] = []
    for conv in _convolutions(trunk):
        adapter = LowRank(conv.weight, rank)
        parametrize.register_parametrization(conv, "weight", adapter)
        added += [adapter.down, adapter.up]
    return added


def merge_adapters(trunk: Trunk) -> None:
    """Fold the adapters into the trunk's weights, so that its state dict is an ordinary one again."""
    for conv in _convolutions(trunk):
        if parametrize.is_parametrized(conv, "weight"):
            parametrize.remove_parametrizations(conv, "weight", leave_parametrized=True)
