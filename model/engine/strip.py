"""Tower bins that overlapping windows share: each base goes through the tower once, however many windows hold it.

A tower bin sees 259 bases beyond its own 128, and the tower is 87 % of the work. Only the 3 outermost bins of a window
on each side are others than those of a longer sequence, since every layer pads with zeros where its input ends.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np
import torch

from tracks.grid import BIN, BINS, FLANK, INPUT, WINDOW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from model.engine.base import TrunkEngine
    from model.engine.folded import FoldedTrunk

    Codes = Callable[[str, int, int], np.ndarray]

CHUNK = 448
"""Tower bins that are computed together: half a window, so that windows at whole and half strides use whole chunks;
6 of 454 computed bins are margin."""
_FIRST = -FLANK // BIN
"""Where a chunk starts, as a bin of the chromosome: where the input of window 0 does."""


def tower_reach(folded: FoldedTrunk) -> int:
    """Bins on each side of a tower bin that it sees at least a base of: for Basenji2 3 (259 bases)."""
    bases, stride = 0, 1
    for layer in (folded.stem, *folded.tower):
        bases += layer.reach * stride
        stride *= layer.pool
    return -(-bases // BIN)


class TowerStrip:
    """The tower bins of one engine over chromosomes, computed in fixed chunks and kept for the windows asked for next.

    A chunk is always the same computation, so its numbers depend neither on who asks nor on the order. ``codes(chrom,
    start, end)`` gives base codes uint8, N outside the chromosome, for negative positions too. The last ``keep``
    chunks are kept (for Basenji2 in float32, 1.4 MB each). Not safe for several threads at once.
    """

    def __init__(self, engine: TrunkEngine, codes: Codes, keep: int = 8) -> None:
        self._engine, self._codes, self._keep = engine, codes, keep
        self._margin = tower_reach(engine.folded)
        self._chunks: OrderedDict[tuple[str, int], torch.Tensor] = OrderedDict()

    @torch.inference_mode()
    def window(self, chrom: str, start: int) -> torch.Tensor:
        """Return the residual stream ``[1, C, 1, 896]`` of the window that predicts ``[start, start + 114688)``: what
        ``engine.stream`` gives of its input, but for rounding.

        Raises ValueError for a start that is no multiple of 128.
        """
        if start % BIN:
            raise ValueError(f"tower bins are shared by windows that start at multiples of {BIN}, not at {start}")
        first, edge = (start - FLANK) // BIN, self._margin
        last = first + INPUT // BIN
        left, right = self._ends(chrom, start - FLANK)
        return self._engine.residual(torch.cat([left, *self._pieces(chrom, first + edge, last - edge), right], dim=-1))

    @torch.inference_mode()
    def seamless(self, chrom: str, index: int) -> torch.Tensor:
        """Return the residual stream ``[1, C, 1, 896]`` of a grid window whose every bin sees the sequence on both
        sides as far as the trunk can see, wherever windows and chunks end."""
        first, reach = index * WINDOW // BIN, self._engine.folded.reach
        around = torch.cat([*self._pieces(chrom, first - reach, first + BINS + reach)], dim=-1)
        return self._engine.residual_unpadded(around)

    def _pieces(self, chrom: str, first: int, last: int) -> Iterator[torch.Tensor]:
        """Tower bins ``[first, last)`` of a chromosome, as ``[1, C, 1, ...]`` of the chunks that hold them."""
        for place in range((first - _FIRST) // CHUNK, -((_FIRST - last) // CHUNK)):
            begin = place * CHUNK + _FIRST
            yield self._chunk(chrom, place)[..., max(first - begin, 0) : last - begin]

    def _chunk(self, chrom: str, place: int) -> torch.Tensor:
        key = (chrom, place)
        found = self._chunks.pop(key, None)
        if found is None:
            begin, margin = place * CHUNK + _FIRST, self._margin
            codes = self._codes(chrom, (begin - margin) * BIN, (begin + CHUNK + margin) * BIN)
            found = self._engine.tower(torch.from_numpy(codes)[None])[..., margin : margin + CHUNK]
        self._chunks[key] = found
        if len(self._chunks) > self._keep:
            self._chunks.popitem(last=False)
        return found

    def _ends(self, chrom: str, start: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The outermost tower bins of an input from base ``start`` on, which see zeros beyond its ends: of stubs that
        end there, and are long enough for their own other ends not to show."""
        edge, end = self._margin, start + INPUT
        stub = 2 * edge * BIN
        codes = np.stack([self._codes(chrom, start, start + stub), self._codes(chrom, end - stub, end)])
        tower = self._engine.tower(torch.from_numpy(codes))
        return tower[:1, ..., :edge], tower[1:, ..., edge:]
