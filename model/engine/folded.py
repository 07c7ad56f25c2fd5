"""A trunk's numbers as inference needs them: each BatchNorm folded into the convolution before it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from model.trunk import ConvBlock, GeluVariant, Trunk


@dataclass(frozen=True, eq=False)
class Layer:
    """One convolution (same padding) after its activation: ``weight`` float32 ``[out, in, kernel]``, ``bias`` float32
    ``[out]``; then max-pooling over ``pool`` positions."""

    weight: torch.Tensor
    bias: torch.Tensor
    dilation: int = 1
    pool: int = 1

    @property
    def kernel(self) -> int:
        """Positions that the kernel spans, without dilation."""
        return int(self.weight.shape[2])

    @property
    def reach(self) -> int:
        """Positions on each side of an output that it sees."""
        return self.dilation * (self.kernel - 1) // 2

    def operations(self, length: int) -> int:
        """Floating-point operations (a multiplication and an addition are two) of an input of so many positions."""
        return 2 * self.weight.numel() * length


@dataclass(frozen=True, eq=False)
class FoldedTrunk:
    """The layers of a trunk in order: the stem, the tower's blocks, (narrow, widen) of each residual block, and the
    last one, which makes the embedding of the residual stream."""

    stem: Layer
    tower: tuple[Layer, ...]
    residual: tuple[tuple[Layer, Layer], ...]
    embed: Layer
    gelu: GeluVariant
    crop: int

    @property
    def width(self) -> int:
        """Channels of the residual stream."""
        return int(self.embed.weight.shape[1])

    @property
    def reach(self) -> int:
        """Bins on each side of a bin that the residual blocks see: for Basenji2 212."""
        return sum(narrow.reach + widen.reach for narrow, widen in self.residual)

    def operations(self, length: int) -> int:
        """Floating-point operations of one pass over so many bases, to the embedding: 218.6e9 of Basenji2."""
        total = 0
        for layer in (self.stem, *self.tower):
            total += layer.operations(length)
            length //= layer.pool
        total += sum(narrow.operations(length) + widen.operations(length) for narrow, widen in self.residual)
        return total + self.embed.operations(length - 2 * self.crop)


def fold(trunk: Trunk) -> FoldedTrunk:
    """Fold a trunk in evaluation mode; in float64, rounded once to float32."""
    return FoldedTrunk(
        _fold(trunk.stem),
        tuple(_fold(block) for block in trunk.tower),  # type: ignore[arg-type]
        tuple((_fold(block.narrow), _fold(block.widen)) for block in trunk.residual),  # type: ignore[arg-type]
        _fold(trunk.embed),
        trunk.config.gelu,
        trunk.config.crop,
    )


def _fold(block: ConvBlock) -> Layer:
    norm = block.norm
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    weight = block.weight.double() * scale[:, None, None]
    bias = norm.bias.double() - norm.running_mean.double() * scale
    return Layer(weight.float(), bias.float(), block.dilation, block.pool)


def pad_channels(folded: FoldedTrunk, multiple: int) -> FoldedTrunk:
    """Return the same trunk with the tower's channels filled up with zeros to multiples, for kernels that want them so.

    Exact: what is added is zero everywhere (GELU of 0 is 0) and meets zero weights. The stream and the embedding keep
    their channels.
    """
    widths = [layer.weight.shape[0] for layer in (folded.stem, *folded.tower[:-1])]
    padded = [-(-width // multiple) * multiple for width in widths]
    stem = _wider(folded.stem, padded[0], folded.stem.weight.shape[1])
    tower = [
        _wider(layer, wide, narrow)
        for layer, narrow, wide in zip(folded.tower, padded, [*padded[1:], folded.width], strict=True)
    ]
    return replace(folded, stem=stem, tower=tuple(tower))


def _wider(layer: Layer, channels_out: int, channels_in: int) -> Layer:
    more_out, more_in = channels_out - layer.weight.shape[0], channels_in - layer.weight.shape[1]
    weight = F.pad(layer.weight, (0, 0, 0, more_in, 0, more_out))
    return replace(layer, weight=weight, bias=F.pad(layer.bias, (0, more_out)))
