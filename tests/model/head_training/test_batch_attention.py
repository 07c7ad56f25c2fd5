from __future__ import annotations

import dataclasses

import torch
from torch import nn

from model.head_training.batch_attention import BatchAttentionHead
from model.heads import AttentionConfig, LegacyAttentionHead
from tests.model.head_training.conftest import TRACKS

CONFIG = AttentionConfig(legacy=True, heads=3, feed_forward=10, dropout=0.0)


def _original(head: BatchAttentionHead, x: torch.Tensor) -> torch.Tensor:
    """The published head's attention, by torch's own module with these weights, on ``[batch, bins, width]``."""
    width = x.shape[2]
    module = nn.MultiheadAttention(width, CONFIG.heads)
    module.load_state_dict(
        {
            "in_proj_weight": torch.cat([head.query_key.weight, head.value.weight]),
            "in_proj_bias": torch.cat([head.query_key.bias, head.value.bias]),
            "out_proj.weight": head.merge.weight,
            "out_proj.bias": head.merge.bias,
        }
    )
    return module(x, x, x, need_weights=False)[0]


def _head() -> BatchAttentionHead:
    torch.manual_seed(0)
    head = BatchAttentionHead(12, len(TRACKS), CONFIG)
    for parameter in head.parameters():
        nn.init.normal_(parameter, std=0.5)
    return head


@torch.no_grad()
def test_in_training_it_is_torchs_attention_over_the_batch() -> None:
    head = _head().train()
    x = torch.randn(4, 7, 12)
    torch.testing.assert_close(head.merge(head.attend(x)), _original(head, x), rtol=1e-5, atol=1e-5)
    alone = _head().eval()
    assert (head.attend(x) - alone.attend(x)).abs().max() > 0.1


@torch.no_grad()
def test_in_evaluation_it_is_the_head_that_is_kept() -> None:
    head = _head().eval()
    embedding = torch.randn(4, 12, 896)
    kept = LegacyAttentionHead(12, len(TRACKS), CONFIG).eval()
    kept.load_state_dict(head.kept(dict(head.state_dict())))
    assert torch.equal(kept(embedding), head(embedding))
    one = embedding[:1]
    torch.testing.assert_close(head.merge(head.attend(one.mT)), _original(head, one.mT), rtol=1e-5, atol=1e-5)


def test_it_starts_as_torchs_module_does() -> None:
    torch.manual_seed(1)
    config = dataclasses.replace(CONFIG, heads=6)
    head, module = BatchAttentionHead(96, 2, config), nn.MultiheadAttention(96, 6)
    for found, expected in (
        (head.query_key.weight, module.in_proj_weight),
        (head.merge.weight, module.out_proj.weight),
    ):
        torch.testing.assert_close(found.std(), expected.std(), rtol=0.05, atol=0)
    assert not head.merge.bias.any()
    assert not head.value.bias.any()
