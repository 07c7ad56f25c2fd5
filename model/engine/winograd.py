"""The engine that takes 40 % of the multiplications in the tower: Cook-Toom convolution F(4, 5), float32 on CPUs.

Four outputs of a kernel of five take eight products instead of twenty: inputs and kernel are evaluated as polynomials
at eight points, multiplied there, and the four outputs read from the products (Toom 1963; Cook 1966; Winograd 1980;
for networks Lavin and Gray 2016). The products are matrix products over channels, where the time goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from model.engine.convolution import ConvolutionEngine
from model.engine.folded import pad_channels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model.engine.convolution import Activation, TowerLayer
    from model.engine.folded import FoldedTrunk, Layer

OUTPUTS, TAPS = 4, 5
POINTS = tuple(Fraction(text) for text in ("0", "1", "-1", "1/2", "-1/2", "2", "-2"))
"""And infinity. Small numbers and their inverses, in pairs, keep the error at that of direct convolution."""
PRODUCTS = len(POINTS) + 1

_CHANNELS = 8
"""Matrix products want channels by eights: they take 15 % longer with 339 and 399 than with 344 and 400."""
_TILES = 192
"""Tiles of four outputs that each thread works on at once, so that what passes from step to step stays in the cache."""


def cook_toom(
    outputs: int, taps: int, points: Sequence[Fraction]
) -> tuple[list[list[Fraction]], list[list[Fraction]], list[list[Fraction]]]:
    """Return the exact matrices ``(A, B, G)`` by which ``A ((G g) * (B d))`` is the correlation of ``outputs + taps -
    1`` numbers ``d`` with ``taps`` numbers ``g``, for that many distinct points less one; the last is infinity.

    It is the transpose of a product of polynomials: G evaluates one with coefficients ``g`` at the points and divides
    by the Lagrange denominators, A is the transpose of such an evaluation, B that of the interpolation.
    """
    transform_in, transform_kernel, transform_out = [], [], []
    for point in points:
        numerator, denominator = [Fraction(1)], Fraction(1)
        for other in points:
            if other != point:
                numerator = _times_root(numerator, other)
                denominator *= point - other
        transform_in.append([*numerator, Fraction(0)])
        transform_kernel.append([point**power / denominator for power in range(taps)])
        transform_out.append([point**power for power in range(outputs)])
    all_roots = [Fraction(1)]
    for point in points:
        all_roots = _times_root(all_roots, point)
    transform_in.append(all_roots)
    transform_kernel.append([Fraction(power == taps - 1) for power in range(taps)])
    transform_out.append([Fraction(power == outputs - 1) for power in range(outputs)])
    return [list(row) for row in zip(*transform_out, strict=True)], transform_in, transform_kernel


def _times_root(polynomial: list[Fraction], root: Fraction) -> list[Fraction]:
    """Multiply coefficients, lowest power first, by ``x - root``."""
    shifted = [Fraction(0), *polynomial]
    return [high - root * low for high, low in zip(shifted, [*polynomial, Fraction(0)], strict=True)]


_A, _B, _G = (
    torch.tensor([[float(entry) for entry in row] for row in matrix], dtype=torch.float64)
    for matrix in cook_toom(OUTPUTS, TAPS, POINTS)
)
_OUT, _IN = _A.float(), _B.float()


@dataclass(frozen=True, eq=False)
class FastLayer:
    """A layer of kernel 5 and pool 2: ``weight`` float32 ``[8, in, out]``, the kernel at each point; ``bias``
    ``[out]``."""

    weight: torch.Tensor
    bias: torch.Tensor

    def block(self, x: torch.Tensor, activate: Activation) -> torch.Tensor:
        """See ``TowerLayer``."""
        batch, _, _, length = x.shape
        out = torch.empty(batch, 1, length // 2, len(self.bias))
        rows = x.permute(0, 2, 3, 1).contiguous()
        step = OUTPUTS * _TILES * max(2, torch.get_num_threads())
        for sample in range(batch):
            for start in range(0, length, step):
                self._piece(rows[sample, 0], start, min(start + step, length), activate, out[sample, 0])
        return out.permute(0, 3, 1, 2)

    def _piece(self, rows: torch.Tensor, start: int, end: int, activate: Activation, out: torch.Tensor) -> None:
        """Fill ``[start / 2, end / 2)`` of ``out`` ``[L / 2, out]`` from inputs ``[L, in]``."""
        tiles, margin = -(-(end - start) // OUTPUTS), (TAPS - 1) // 2
        first, last = start - margin, start + OUTPUTS * tiles + margin
        seen = activate(rows[max(first, 0) : last].t()[None, :, None])[0, :, 0].t()
        if first < 0 or last > len(rows):
            seen = F.pad(seen, (0, 0, max(-first, 0), max(last - len(rows), 0)))
        _, channels, channels_out = self.weight.shape
        overlapping = seen.as_strided((tiles, PRODUCTS, channels), (OUTPUTS * channels, channels, 1))
        points = torch.bmm(_IN.expand(tiles, -1, -1), overlapping)
        products = torch.bmm(points.transpose(0, 1), self.weight)
        convolved = torch.bmm(_OUT.expand(tiles, -1, -1), products.transpose(0, 1)).view(-1, channels_out)
        pairs, pooled = convolved[: end - start].view(-1, 2, channels_out), out[start // 2 : end // 2]
        torch.maximum(pairs[:, 0], pairs[:, 1], out=pooled)
        pooled += self.bias


class WinogradEngine(ConvolutionEngine):
    """Float32 on a CPU; the stem, the residual blocks and the last layer are those of ``ConvolutionEngine``."""

    def __init__(self, folded: FoldedTrunk, device: torch.device) -> None:
        super().__init__(pad_channels(folded, _CHANNELS), device, torch.float32)

    def place_tower(self, layer: Layer) -> TowerLayer:
        """Evaluate a kernel at the points; a layer that has not the tower's kernel of five stays as it is."""
        if (layer.kernel, layer.dilation, layer.pool) != (TAPS, 1, 2):
            return super().place_tower(layer)
        weight = torch.einsum("pk,oik->pio", _G, layer.weight.double()).float().contiguous()
        return FastLayer(weight, (layer.bias.double() * self.scale).float())
