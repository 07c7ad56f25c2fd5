"""A trunk's numbers as bytes: what weights and activations stand for, and how that is fitted to real sequence.

Weights are symmetric with a scale for each output channel; what flows has one scale for each layer. The scales come
from one pass over sequence, in which every layer also has its systematic error taken out: the bias of each channel is
the one that gives it the mean it has in float32, given the bytes that reach it.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from model.trunk import GELU, one_hot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from model.engine.folded import FoldedTrunk, Layer
    from model.trunk import GeluVariant

STEM_STEP = 128
"""The stem's weights are ``128 * high + low``, two signed bytes: its input is one-hot, so it can be 128 and 1 as well,
and the noise of the first layer, which all others amplify, costs little to avoid."""

_FLOOR = {"tanh": -4.0, "erf": -4.0, "sigmoid": -6.0}
"""Where a GELU is within 0.0003 of 0: bytes of its input need not reach lower."""

_HEADROOM = 1.3
"""How far bytes reach beyond the greatest number that was seen: what is rare, and clipped, costs more than resolution
does (on the shipped model the worst head is three times as far from float32 without)."""


@dataclass(frozen=True)
class Bytes:
    """What a byte stands for: the number ``scale * (byte - zero)``."""

    scale: float
    zero: int

    @classmethod
    def over(cls, low: float, high: float) -> Bytes:
        """Return the finest that reach from ``low`` to ``high`` and hold 0 exactly."""
        low, high = min(low, 0.0), max(high, 1e-6)
        # As float32 holds it, because that is what the kernels are given.
        scale = float(np.float32((high - low) / 255))
        return cls(scale, round(-low / scale))

    def carry(self, x: torch.Tensor) -> torch.Tensor:
        """Return numbers as bytes would carry them: rounded, and cut off where bytes end."""
        whole = torch.round(x / self.scale).add_(self.zero)
        return whole.clamp_(0, 255).sub_(self.zero).mul_(self.scale)


@dataclass(frozen=True, eq=False)
class ByteLayer:
    """One convolution after its activation, with whole weights ``[out, kernel, in]``: int8, of the stem int16.

    Its output is the sum of the products of weights and input bytes (less their zero), times ``scale`` float32
    ``[out]`` and the scale of ``entry``, plus ``bias`` float32 ``[out]``. It is kept as ``result``, None is float32.
    """

    weight: np.ndarray
    scale: np.ndarray
    bias: np.ndarray
    entry: Bytes
    result: Bytes | None
    dilation: int
    pool: int

    @property
    def reach(self) -> int:
        """Positions on each side of an output that it sees."""
        return self.dilation * (int(self.weight.shape[1]) - 1) // 2


@dataclass(frozen=True, eq=False)
class ByteTrunk:
    """The layers of a trunk in order, as in ``FoldedTrunk``. The last of the tower and all after it give float32."""

    stem: ByteLayer
    tower: tuple[ByteLayer, ...]
    residual: tuple[tuple[ByteLayer, ByteLayer], ...]
    embed: ByteLayer
    gelu: GeluVariant
    crop: int


@torch.inference_mode()
def quantize(folded: FoldedTrunk, codes: np.ndarray) -> ByteTrunk:
    """Return the 8-bit form of a trunk, fitted to base codes uint8 ``[pieces, L]``.

    Each piece goes through the tower alone; the bins of all go through the residual blocks in one row. The same trunk
    and codes give the same numbers, on however many threads.
    """
    with _one_thread():
        fit = _Fit(folded.gelu, [one_hot(torch.from_numpy(piece[None])).unsqueeze(2) for piece in codes])
        stem = fit.layer(folded.stem, first=True, to_bytes=True)
        tower = tuple(fit.layer(layer, to_bytes=layer is not folded.tower[-1]) for layer in folded.tower)
        fit.join()
        residual = tuple(fit.block(narrow, widen) for narrow, widen in folded.residual)
        return ByteTrunk(stem, tower, residual, fit.layer(folded.embed), folded.gelu, folded.crop)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread: a convolution on several may round otherwise, and what is fitted here, and so every
    prediction after it, would depend on how many there are."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _Fit:
    """Sequence on its way through a trunk, layer by layer: in float32, and as bytes carry it."""

    def __init__(self, gelu: GeluVariant, pieces: list[torch.Tensor]) -> None:
        self._activate, self._floor = GELU[gelu], _FLOOR[gelu]
        self._least = float(self._activate(torch.linspace(-2, 0, 2001)).min())
        self._exact, self._carried = list(pieces), list(pieces)

    def join(self) -> None:
        """Put the pieces in one row."""
        self._exact, self._carried = [torch.cat(self._exact, -1)], [torch.cat(self._carried, -1)]

    def block(self, narrow: Layer, widen: Layer) -> tuple[ByteLayer, ByteLayer]:
        """Return a residual block in 8 bits, and go on to its output."""
        exact, carried = list(self._exact), list(self._carried)
        block = self.layer(narrow), self.layer(widen)
        self._exact = [x.add_(was) for x, was in zip(self._exact, exact, strict=True)]
        self._carried = [x.add_(was) for x, was in zip(self._carried, carried, strict=True)]
        return block

    def layer(self, layer: Layer, first: bool = False, to_bytes: bool = False) -> ByteLayer:
        """Return a layer in 8 bits, and go on to its output."""
        greatest = float(self._activate(torch.tensor(_extreme(self._carried, torch.max))))
        entry = Bytes(greatest, 0) if first else Bytes.over(self._least, greatest * _HEADROOM)
        steps = 127 * STEM_STEP if first else 127
        scale = layer.weight.abs().amax(dim=(1, 2)).clamp(min=1e-30) / steps
        whole = torch.round(layer.weight / scale[:, None, None])
        for at, (x, y) in enumerate(zip(self._exact, self._carried, strict=True)):
            # Each piece gives its place to its output, which bounds the memory.
            self._exact[at] = _convolve(self._activate(x), layer.weight, layer).add_(layer.bias[:, None, None])
            self._carried[at] = _convolve(entry.carry(self._activate(y)), whole * scale[:, None, None], layer)
        bias = _mean(self._exact) - _mean(self._carried)
        for y in self._carried:
            y.add_(bias[:, None, None])
        result = None
        if to_bytes:
            lowest, highest = _extreme(self._carried, torch.min), _extreme(self._carried, torch.max)
            result = Bytes.over(max(lowest * _HEADROOM, self._floor), highest * _HEADROOM)
            self._carried = [result.carry(y) for y in self._carried]
        weight = whole.permute(0, 2, 1).numpy().astype(np.int16 if first else np.int8)
        return ByteLayer(weight, scale.numpy(), bias.numpy(), entry, result, layer.dilation, layer.pool)


def _convolve(x: torch.Tensor, weight: torch.Tensor, layer: Layer) -> torch.Tensor:
    """Convolution without bias, then max-pooling: ``[1, in, 1, L]`` to ``[1, out, 1, L / pool]``."""
    weight = weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    x = x.contiguous(memory_format=torch.channels_last)
    y = F.conv2d(x, weight, padding=(0, layer.reach), dilation=(1, layer.dilation))
    # Two by two as the engines do it: much faster than max_pool2d.
    return torch.maximum(y[..., ::2], y[..., 1::2]) if layer.pool == 2 else y


def _mean(pieces: list[torch.Tensor]) -> torch.Tensor:
    """Return the mean of each channel, float32 ``[C]``, of pieces of one length."""
    return torch.stack([x.mean(dim=(0, 2, 3), dtype=torch.float64) for x in pieces]).mean(0).float()


def _extreme(pieces: list[torch.Tensor], end: Callable[[torch.Tensor], torch.Tensor]) -> float:
    return float(end(torch.stack([end(x) for x in pieces])))
