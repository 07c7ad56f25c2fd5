"""The attention of the published head as it was in training: over the windows of a batch, bin by bin.

``nn.MultiheadAttention`` takes the first dimension as the sequence unless told otherwise, and the original fed it
``[batch, 896, 1536]`` (facts/cs282a.md section 6, item 1). In training, each bin's values are mixed with those of
the same bin of the other windows of the batch; with one window there is nothing to mix and the queries and keys do
nothing. So a trained head is read back as ``LegacyAttentionHead``, which has the values alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from model.heads import AttentionConfig, LegacyAttentionHead


class BatchAttentionHead(LegacyAttentionHead):
    """``LegacyAttentionHead`` with queries and keys, used while training only. In evaluation it acts on each window
    alone, as the trained head will; the original also validated in batches of 4."""

    def __init__(self, filters: int, tracks: int, config: AttentionConfig) -> None:
        super().__init__(filters, tracks, config)
        self.query_key = nn.Linear(filters, 2 * filters)
        self.attention_heads = config.heads
        # Initial values as nn.MultiheadAttention has them: one Glorot matrix of queries, keys and values.
        bound = (6 / (filters + 3 * filters)) ** 0.5
        for weight in (self.value.weight, self.query_key.weight):
            nn.init.uniform_(weight, -bound, bound)
        for bias in (self.value.bias, self.query_key.bias, self.merge.bias):
            nn.init.zeros_(bias)

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``[N, bins, width]`` to values mixed over N, same shape."""
        if not self.training:
            return super().attend(x)
        windows, bins, width = x.shape
        by_bin = x.transpose(0, 1)
        parts = torch.cat([self.query_key(by_bin), self.value(by_bin)], dim=2)
        parts = parts.view(bins, windows, 3, self.attention_heads, width // self.attention_heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=self.dropout)
        return mixed.permute(2, 0, 1, 3).reshape(windows, bins, width)

    def kept(self, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the part of a state dict that acts on one window."""
        return {name: value for name, value in weights.items() if not name.startswith("query_key.")}
