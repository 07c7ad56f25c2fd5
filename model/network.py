"""A network: one trunk and the heads that share its embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from model.heads import HeadSpec, build_head
from model.trunk import Trunk, TrunkConfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Network(nn.Module):
    """Base codes to what each head says of them; the trunk is passed once, however many heads there are."""

    def __init__(self, trunk: TrunkConfig, heads: Sequence[HeadSpec]) -> None:
        super().__init__()
        self.trunk = Trunk(trunk)
        self.specs = {spec.name: spec for spec in heads}
        self.heads = nn.ModuleDict({spec.name: build_head(spec, trunk.embedding_filters) for spec in heads})

    def forward(
        self, codes: torch.Tensor, context: Mapping[str, torch.Tensor] | None = None
    ) -> dict[str, torch.Tensor]:
        """Map codes uint8 ``[N, 131072]``, and for each head with context float32 ``[N, channels, 896]``, to each
        head's raw output: ``[N, tracks, 896]``, or ``[N, tracks]`` for a head of scope window."""
        return self.read(self.trunk(codes), context)

    def read(
        self,
        embedding: torch.Tensor,
        context: Mapping[str, torch.Tensor] | None = None,
        heads: Sequence[str] | None = None,
    ) -> dict[str, torch.Tensor]:
        """Map an embedding ``[N, C, 896]`` to the raw output of each head, or of those named."""
        context = context or {}
        raw = {}
        for name in self.heads if heads is None else heads:
            raw[name] = self.heads[name](self.specs[name].seen(embedding), context.get(name))
        return raw


def part_of(state: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Return the entries of a state dict whose names start with ``prefix``, named by the rest."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
