"""The engine of plain convolutions: fp32, which is the reference, and bf16; on CPU, CUDA and MPS."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from model.engine.activation import SIGMOID_SCALE, activation
from model.engine.base import TrunkEngine
from model.trunk import GELU, one_hot

if TYPE_CHECKING:
    from collections.abc import Callable

    from model.engine.folded import FoldedTrunk, Layer


@dataclass(frozen=True, eq=False)
class PlacedLayer:
    """A layer on its device: ``weight`` ``[out, in, 1, kernel]`` with channels last, ``bias`` ``[out]``."""

    weight: torch.Tensor
    bias: torch.Tensor
    dilation: int
    pool: int
    reach: int

    def convolve(self, x: torch.Tensor, padding: int) -> torch.Tensor:
        """Convolve ``[N, in, 1, L]`` with ``padding`` zeros at both ends; no activation, no pooling."""
        return F.conv2d(x, self.weight, self.bias, padding=(0, padding), dilation=(1, self.dilation))


_TYPICAL = 16_384
"""Bases of the random sequence, 60 % AT, whose mean activations stand for all sequence; 131,072 do no better."""


def balanced(folded: FoldedTrunk, dtype: torch.dtype, activate: Callable[[torch.Tensor], torch.Tensor]) -> FoldedTrunk:
    """Return the same trunk with biases that make up for what ``dtype`` changes on average: by rounding weights, and by
    ``activate``, the engine's activation (of values times ``SIGMOID_SCALE`` for that GELU).

    A rounded weight is off by the same wherever the kernel lies, so that its error does not average out over bins. What
    it adds to the mean of each channel follows from the means of what the kernel sees. The stem, which the engine does
    not round, stays as it is.
    """
    gelu, scale = GELU[folded.gelu], SIGMOID_SCALE if folded.gelu == "sigmoid" else 1.0

    def step(layer: Layer, x: torch.Tensor) -> tuple[Layer, torch.Tensor]:
        seen = gelu(x)
        engine_sees = activate((x * scale).to(dtype)).float() / scale
        y = F.conv2d(seen, layer.weight.unsqueeze(2), layer.bias, padding=(0, layer.reach), dilation=(1, layer.dilation))
        lost = layer.weight.sum(2) @ seen.mean((0, 2, 3)) - layer.weight.to(dtype).float().sum(2) @ engine_sees.mean((0, 2, 3))
        return replace(layer, bias=layer.bias + lost), F.max_pool2d(y, (1, layer.pool)) if layer.pool > 1 else y

    bases = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3, 3, 3], dtype=torch.uint8)
    typical = bases[torch.randint(len(bases), (1, _TYPICAL), generator=torch.Generator().manual_seed(0))]
    _, x = step(folded.stem, one_hot(typical).unsqueeze(2))
    tower, residual = [], []
    for layer in folded.tower:
        better, x = step(layer, x)
        tower.append(better)
    for narrow, widen in folded.residual:
        better_narrow, narrowed = step(narrow, x)
        better_widen, widened = step(widen, narrowed)
        residual.append((better_narrow, better_widen))
        x = x + widened
    embed, _ = step(folded.embed, x)
    return replace(folded, tower=tuple(tower), residual=tuple(residual), embed=embed)


class ConvolutionEngine(TrunkEngine):
    """Every layer is one call of oneDNN or cuDNN, channels last (facts/models.md section 3.2).

    In bfloat16, the sums that become the residual stream are float32 until the last, and the stem is exact: its input
    is 0 or 1 in every number format, and what is lost of a weight is another weight, of the same input.
    """

    def __init__(self, folded: FoldedTrunk, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(folded, device, dtype)
        self.scale = SIGMOID_SCALE if folded.gelu == "sigmoid" else 1.0
        self.activate = activation(folded.gelu, device)
        if dtype != torch.float32:
            folded = balanced(folded, dtype, self.activate)
        self._stem = self._place_stem(folded.stem)
        self._tower = [self.place_tower(layer) for layer in folded.tower]
        self._residual = [(self._place(narrow), self._place(widen)) for narrow, widen in folded.residual]
        self._embed = self._place(folded.embed)

    def _place_stem(self, layer: Layer) -> PlacedLayer:
        """Let the weights hold what the activation makes of a one-hot, which is 0 or one other number."""
        base = GELU[self.folded.gelu](torch.ones((), dtype=torch.float64)) * self.scale
        weight = layer.weight.double() * base
        if self.dtype != torch.float32:
            rounded = weight.to(self.dtype).double()
            weight = torch.cat([rounded, weight - rounded], dim=1)
        return self._place(replace(layer, weight=weight))

    def _place(self, layer: Layer) -> PlacedLayer:
        weight = layer.weight.unsqueeze(2).to(self.device, self.dtype).contiguous(memory_format=torch.channels_last)
        bias = (layer.bias.double() * self.scale).to(self.device, self.dtype)
        return PlacedLayer(weight, bias, layer.dilation, layer.pool, layer.reach)

    def place_tower(self, layer: Layer) -> PlacedLayer:
        """Make what ``block`` takes of one layer of the tower."""
        return self._place(layer)

    @torch.inference_mode()
    def tower(self, codes: torch.Tensor) -> torch.Tensor:
        """See ``TrunkEngine``."""
        bases = one_hot(codes.to(self.device), self.dtype)
        x = bases.repeat(1, self._stem.weight.shape[1] // 4, 1).unsqueeze(2)
        x = _pooled(self._stem.convolve(x.contiguous(memory_format=torch.channels_last), self._stem.reach), self._stem)
        for layer in self._tower:
            x = self.block(x, layer)
        return x

    def block(self, x: torch.Tensor, layer: PlacedLayer) -> torch.Tensor:
        """Activation, convolution and pooling of one layer of the tower: ``[N, in, 1, L]`` to ``[N, out, 1, L / 2]``."""
        return _pooled(layer.convolve(self.activate(x), layer.reach), layer)

    @torch.inference_mode()
    def residual(self, tower: torch.Tensor) -> torch.Tensor:
        """See ``TrunkEngine``."""
        x = tower.float()
        for narrow, widen in self._residual:
            x = x + self._pair(x, narrow, widen, narrow.reach)
        crop = self.folded.crop
        return x[..., crop : x.shape[-1] - crop].to(self.dtype)

    @torch.inference_mode()
    def residual_unpadded(self, tower: torch.Tensor) -> torch.Tensor:
        """See ``TrunkEngine``."""
        x = tower.float()
        for narrow, widen in self._residual:
            reach = narrow.reach
            x = x[..., reach : x.shape[-1] - reach] + self._pair(x, narrow, widen, 0)
        return x.to(self.dtype)

    def _pair(self, x: torch.Tensor, narrow: PlacedLayer, widen: PlacedLayer, padding: int) -> torch.Tensor:
        x = narrow.convolve(self.activate(x.to(self.dtype)), padding)
        return widen.convolve(self.activate(x), 0)

    @torch.inference_mode()
    def embedding(self, stream: torch.Tensor) -> torch.Tensor:
        """See ``TrunkEngine``."""
        x = self.activate(self._embed.convolve(self.activate(stream), 0)).squeeze(2).float()
        return x / self.scale if self.scale != 1.0 else x


def _pooled(x: torch.Tensor, layer: PlacedLayer) -> torch.Tensor:
    # Twice as fast as max_pool2d, and channels stay last.
    return torch.maximum(x[..., ::2], x[..., 1::2]) if layer.pool == 2 else x
