"""The engine of plain convolutions: fp32, which is the reference, and bf16; on CPU, CUDA and MPS."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import torch
import torch.nn.functional as F

from model.compute import cpu_features
from model.engine.activation import SIGMOID_SCALE, activation
from model.engine.base import TrunkEngine
from model.trunk import GELU, one_hot

if TYPE_CHECKING:
    from collections.abc import Callable

    from model.engine.folded import FoldedTrunk, Layer

    Activation = Callable[[torch.Tensor], torch.Tensor]


class TowerLayer(Protocol):
    """What an engine makes of one layer of the tower."""

    def block(self, x: torch.Tensor, activate: Activation) -> torch.Tensor:
        """Activation, convolution and pooling: ``[N, in, 1, L]``, channels last, to ``[N, out, 1, L / 2]``."""
        ...


@dataclass(frozen=True, eq=False)
class PlacedLayer:
    """A layer on its device: ``weight`` ``[out, in, 1, kernel]`` with channels last, ``bias`` float32 ``[out]``.
    ``adds_bias`` says that oneDNN can add the bias of a bfloat16 convolution before it rounds."""

    weight: torch.Tensor
    bias: torch.Tensor
    dilation: int
    pool: int
    reach: int
    adds_bias: bool

    def convolve(self, x: torch.Tensor, padding: int) -> torch.Tensor:
        """Convolve ``[N, in, 1, L]`` with ``padding`` zeros at both ends; no activation, no pooling.

        The bias is never rounded, since it would be off by the same everywhere.
        """
        if self.weight.dtype == torch.float32:
            return F.conv2d(x, self.weight, self.bias, padding=(0, padding), dilation=(1, self.dilation))
        if self.adds_bias:
            step, dilation = (1, 1), (1, self.dilation)
            return torch.mkldnn_convolution(x, self.weight, self.bias, (0, padding), step, dilation, groups=1)
        y = F.conv2d(x, self.weight, padding=(0, padding), dilation=(1, self.dilation))
        return y.add_(self.bias[:, None, None])

    def block(self, x: torch.Tensor, activate: Activation) -> torch.Tensor:
        """See ``TowerLayer``."""
        return self.pooled(self.convolve(activate(x), self.reach))

    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        """Take the larger of every two positions where the layer pools."""
        # Twice as fast as max_pool2d, and channels stay last.
        return torch.maximum(x[..., ::2], x[..., 1::2]) if self.pool == 2 else x


_TYPICAL = 16_384
"""Bases of the random sequence, 60 % AT, whose mean activations stand for all sequence; 131,072 do no better."""


@torch.no_grad()
def balanced(folded: FoldedTrunk, dtype: torch.dtype, activate: Activation) -> FoldedTrunk:
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
        weight, padding = layer.weight.unsqueeze(2), (0, layer.reach)
        y = F.conv2d(seen, weight, layer.bias, padding=padding, dilation=(1, layer.dilation))
        exact, rounded = (taps.sum((2, 3)) for taps in (weight, weight.to(dtype).float()))
        lost = exact @ seen.mean((0, 2, 3)) - rounded @ engine_sees.mean((0, 2, 3))
        return replace(layer, bias=layer.bias + lost), F.max_pool2d(y, (1, layer.pool)) if layer.pool > 1 else y

    bases = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3, 3, 3], dtype=torch.uint8)
    typical = bases[torch.randint(len(bases), (1, _TYPICAL), generator=torch.Generator().manual_seed(0))]
    _, x = step(folded.stem, one_hot(typical.to(folded.stem.weight.device)).unsqueeze(2))
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
        self._adds_bias = device.type == "cpu" and bool(cpu_features() & {"avx512_bf16", "amx_bf16"})
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
        bias = (layer.bias.double() * self.scale).to(self.device, torch.float32)
        return PlacedLayer(weight, bias, layer.dilation, layer.pool, layer.reach, self._adds_bias)

    def place_tower(self, layer: Layer) -> TowerLayer:
        """Make of a layer of the tower what passes sequence through it."""
        return self._place(layer)

    @torch.inference_mode()
    def tower(self, codes: torch.Tensor) -> torch.Tensor:
        """See ``TrunkEngine``."""
        bases = one_hot(codes.to(self.device), self.dtype)
        x = bases.repeat(1, self._stem.weight.shape[1] // 4, 1).unsqueeze(2)
        x = x.contiguous(memory_format=torch.channels_last)
        x = self._stem.pooled(self._stem.convolve(x, self._stem.reach))
        for layer in self._tower:
            x = layer.block(x, self.activate)
        return x

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
        """What a residual block adds to ``x``; both float32."""
        x = narrow.convolve(self.activate(x.to(self.dtype)), padding)
        return widen.convolve(self.activate(x), 0).float()

    @torch.inference_mode()
    def embedding(self, stream: torch.Tensor) -> torch.Tensor:
        """See ``TrunkEngine``."""
        x = self.activate(self._embed.convolve(self.activate(stream), 0)).squeeze(2).float()
        return x / self.scale if self.scale != 1.0 else x
