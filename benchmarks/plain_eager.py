"""A trunk as published PyTorch ports run it, in a process that is asked for windows (``model/timed_process.py``):
Conv1d on ``[N, C, L]``, BatchNorm beside it, PyTorch's own GELU and pooling, the allocator as it comes.

    python benchmarks/plain_eager.py THREADS MODEL_FOLDER|- [keep]

``keep`` sets the allocator's thresholds as this project does, to tell what they alone are worth.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from model.bench_tasks import PROBE_TRACKS, loaded_trunk, random_codes
from model.timed_process import peak_memory, serve
from model.trunk import GELU, ConvBlock, Trunk, one_hot
from tracks.memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable


class Block(nn.Module):
    """Activation, convolution, BatchNorm, pooling."""

    def __init__(self, block: ConvBlock) -> None:
        super().__init__()
        width, channels, kernel = block.weight.shape
        padding = block.dilation * (kernel - 1) // 2
        self.activation = block.activation
        self.conv = nn.Conv1d(channels, width, kernel, padding=padding, dilation=block.dilation, bias=False)
        self.norm = nn.BatchNorm1d(width, eps=block.norm.eps)
        self.pool = nn.MaxPool1d(block.pool) if block.pool > 1 else nn.Identity()
        self.conv.weight = block.weight
        self.norm.load_state_dict(block.norm.state_dict())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(self.norm(self.conv(self.activation(x))))


class PlainTrunk(nn.Module):
    """A trunk's weights in those blocks."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.tower = nn.Sequential(Block(trunk.stem), *map(Block, trunk.tower))
        self.residual = nn.ModuleList(nn.Sequential(Block(pair.narrow), Block(pair.widen)) for pair in trunk.residual)
        self.embed, self.crop, self.gelu = Block(trunk.embed), trunk.config.crop, GELU[trunk.config.gelu]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map one-hot ``[N, 4, L]`` to the embedding."""
        x = self.tower(x)
        for pair in self.residual:
            x = x + pair(x)
        return self.gelu(self.embed(x[..., self.crop : x.shape[-1] - self.crop]))


def start() -> tuple[dict[str, Any], Callable[[str], dict[str, Any]]]:
    threads, model, *keep = sys.argv[1:]
    if keep:
        keep_freed_memory()
    torch.set_num_threads(int(threads))
    trunk = PlainTrunk(loaded_trunk(None if model == "-" else model)).eval()
    probe = nn.Conv1d(trunk.embed.conv.out_channels, PROBE_TRACKS, 1)
    codes = random_codes(1)

    @torch.inference_mode()
    def answer(request: str) -> dict[str, Any]:
        if request != "window":
            np.save(request, trunk(one_hot(codes))[0].numpy())
            return {}
        started = time.perf_counter()
        probe(trunk(one_hot(codes)))
        return {"seconds": time.perf_counter() - started, "bytes": peak_memory(torch.device("cpu"))}

    answer("window")
    return {}, answer


if __name__ == "__main__":
    serve(start)
