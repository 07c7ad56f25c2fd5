"""A network: the trunk, a linear head per bin, and the context branch of the tracks that use one."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn

from model.context import ContextConfig
from model.trunk import GELU, Trunk, TrunkConfig


@dataclass(frozen=True)
class NetworkConfig:
    """The shape of a network, all of it stored in the model folder."""

    trunk: TrunkConfig = field(default_factory=TrunkConfig)
    context: ContextConfig = field(default_factory=ContextConfig)
    context_hidden: int = 16


class ContextBranch(nn.Module):
    """Standardised megabase composition to logits, bin by bin (a perceptron with one hidden layer)."""

    def __init__(self, channels: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.hidden = nn.Conv1d(channels, hidden, 1)
        self.output = nn.Conv1d(hidden, outputs, 1)
        nn.init.zeros_(self.output.weight)

    def forward(self, context: torch.Tensor) -> torch.Tensor:
        """Map ``[N, channels, bins]`` to ``[N, outputs, bins]``."""
        logits: torch.Tensor = self.output(GELU["tanh"](self.hidden(context)))
        return logits


class Network(nn.Module):
    """Base codes and context to one logit per bin and track.

    ``uses_context`` says for each track whether the context branch adds to its logits.
    """

    def __init__(self, config: NetworkConfig, uses_context: tuple[bool, ...]) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(config.trunk)
        self.head = nn.Conv1d(config.trunk.embedding_filters, len(uses_context), 1)
        nn.init.normal_(self.head.weight, std=0.02)
        self.context_tracks = [index for index, used in enumerate(uses_context) if used]
        self.context = (
            ContextBranch(config.context.channels, config.context_hidden, len(self.context_tracks))
            if self.context_tracks
            else None
        )

    def forward(self, codes: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Map codes uint8 ``[N, 131072]`` and context float32 ``[N, channels, 896]`` to logits ``[N, tracks, 896]``."""
        logits: torch.Tensor = self.head(self.trunk(codes)).float()
        if self.context is not None:
            tracks = torch.tensor(self.context_tracks, device=logits.device)
            logits = logits.index_add(1, tracks, self.context(context).float())
        return logits
