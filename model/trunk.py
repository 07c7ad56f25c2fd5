"""The trunk: one configurable class that at full size is Basenji2.

Kelley 2020, PLoS Comput Biol 16(7):e1008050 (``params_human.json``, "cross2020"); order of operations, rounding
and BatchNorm constants as recorded in facts/cs282a.md section 1.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import nn

from tracks.grid import BIN

if TYPE_CHECKING:
    from collections.abc import Callable

GeluVariant = Literal["tanh", "sigmoid", "erf"]


def _sigmoid_gelu(x: torch.Tensor) -> torch.Tensor:
    return x * torch.sigmoid(1.702 * x)


GELU: dict[GeluVariant, Callable[[torch.Tensor], torch.Tensor]] = {
    "tanh": partial(F.gelu, approximate="tanh"),
    "sigmoid": _sigmoid_gelu,
    "erf": F.gelu,
}
"""The three GELUs that Basenji2 code has used; they differ by up to 3 % of the embedding, so a model names its own."""


@dataclass(frozen=True)
class TrunkConfig:
    """The shape of a trunk; the defaults are Basenji2."""

    stem_filters: int = 288
    stem_kernel: int = 15
    tower_filters: int = 339
    tower_growth: float = 1.1776
    tower_kernel: int = 5
    tower_blocks: int = 6
    residual_filters: int = 384
    residual_kernel: int = 3
    residual_blocks: int = 11
    dilation_growth: float = 1.5
    residual_dropout: float = 0.3
    crop: int = 64
    embedding_filters: int = 1536
    embedding_dropout: float = 0.05
    gelu: GeluVariant = "tanh"
    batch_norm_epsilon: float = 1e-3
    batch_norm_momentum: float = 0.1
    """PyTorch's convention: Keras momentum 0.9 is 0.1 here."""

    def tower_widths(self) -> tuple[int, ...]:
        """Filters of the tower's blocks: for Basenji2 339, 399, 470, 554, 652, 768."""
        return tuple(round(self.tower_filters * self.tower_growth**block) for block in range(self.tower_blocks))

    def dilations(self) -> tuple[int, ...]:
        """Dilation of each residual block, rounded half to even at every step: for Basenji2 1, 2, 3, 4, 6, ... 72."""
        rates, rate = [], 1
        for _ in range(self.residual_blocks):
            rates.append(rate)
            rate = round(rate * self.dilation_growth)
        return tuple(rates)

    @property
    def residual_width(self) -> int:
        """Channels of the residual stream: for Basenji2 768."""
        return self.tower_widths()[-1]

    def receptive_field(self) -> int:
        """Bases of sequence that one bin of the embedding sees."""
        field, stride = 1, 1
        for kernel in (self.stem_kernel, *[self.tower_kernel] * self.tower_blocks):
            field += (kernel - 1) * stride + stride
            stride *= 2
        return field + (self.residual_kernel - 1) * sum(self.dilations()) * stride


class ConvBlock(nn.Module):
    """Activation, convolution (same padding, no bias), BatchNorm, dropout, then max-pooling: Basenji's order.

    Works on ``[N, C, 1, L]``: two dimensions let oneDNN and cuDNN use their channels-last kernels.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        config: TrunkConfig,
        *,
        dilation: int = 1,
        dropout: float = 0.0,
        pool: int = 1,
    ) -> None:
        super().__init__()
        self.activation = GELU[config.gelu]
        self.weight = nn.Parameter(torch.empty(channels_out, channels_in, kernel))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        self.norm = nn.BatchNorm2d(channels_out, eps=config.batch_norm_epsilon, momentum=config.batch_norm_momentum)
        self.dilation = dilation
        self.dropout = dropout
        self.pool = pool

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``[N, channels_in, 1, L]`` to ``[N, channels_out, 1, L / pool]``."""
        padding = self.dilation * (self.weight.shape[2] - 1) // 2
        x = F.conv2d(self.activation(x), self.weight.unsqueeze(2), padding=(0, padding), dilation=(1, self.dilation))
        x = F.dropout(self.norm(x), self.dropout, self.training)
        return F.max_pool2d(x, (1, self.pool)) if self.pool > 1 else x


class ResidualBlock(nn.Module):
    """A dilated convolution that narrows, a 1x1 convolution that widens again, and the sum with the input."""

    def __init__(self, channels: int, config: TrunkConfig, dilation: int) -> None:
        super().__init__()
        self.narrow = ConvBlock(channels, config.residual_filters, config.residual_kernel, config, dilation=dilation)
        self.widen = ConvBlock(config.residual_filters, channels, 1, config, dropout=config.residual_dropout)
        nn.init.zeros_(self.widen.norm.weight)  # a new block starts as the identity

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``[N, C, 1, L]`` to the same shape."""
        widened: torch.Tensor = self.widen(self.narrow(x))
        return x + widened


class Trunk(nn.Module):
    """Base codes to the embedding of each bin.

    ``forward`` maps uint8 ``[N, L]`` (0..3 = ACGT, anything else = N, all zeros) to float ``[N, embedding, bins]``;
    at L = 131,072 there are 896 bins, the central 114,688 bases. L must be a multiple of 128.
    """

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.config = config
        if 2 ** (config.tower_blocks + 1) != BIN:
            raise ValueError(f"a trunk pools to {BIN}-bp bins with 6 tower blocks, found {config.tower_blocks}")
        self.stem = ConvBlock(4, config.stem_filters, config.stem_kernel, config, pool=2)
        widths = (config.stem_filters, *config.tower_widths())
        self.tower = nn.Sequential(
            *(
                ConvBlock(narrow, wide, config.tower_kernel, config, pool=2)
                for narrow, wide in itertools.pairwise(widths)
            )
        )
        self.residual = nn.Sequential(*(ResidualBlock(widths[-1], config, rate) for rate in config.dilations()))
        self.embed = ConvBlock(widths[-1], config.embedding_filters, 1, config, dropout=config.embedding_dropout)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the embedding, ``[N, embedding_filters, L / 128 - 2 * crop]``."""
        return self.embedding(self.residual_stream(codes))

    def residual_stream(self, codes: torch.Tensor) -> torch.Tensor:
        """Return what the last residual block leaves, cropped: ``[N, residual_width, 1, L / 128 - 2 * crop]``.

        It has half the channels of the embedding, which is a 1x1 convolution of it, so this is what is worth keeping.
        """
        x = one_hot(codes, self.stem.weight.dtype).unsqueeze(2).contiguous(memory_format=torch.channels_last)
        residual: torch.Tensor = self.residual(self.tower(self.stem(x)))
        crop = self.config.crop
        return residual[..., crop : residual.shape[-1] - crop]

    def embedding(self, residual: torch.Tensor) -> torch.Tensor:
        """Return the embedding of a residual stream: the last block and its activation, ``[N, embedding, bins]``."""
        embedding: torch.Tensor = self.embed(residual)
        return GELU[self.config.gelu](embedding).squeeze(2)


def one_hot(codes: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Turn base codes ``[N, L]`` into ``[N, 4, L]``, channels ACGT; an unknown base is all zeros."""
    return (codes.unsqueeze(1) == torch.arange(4, device=codes.device, dtype=codes.dtype).view(1, 4, 1)).to(dtype)
