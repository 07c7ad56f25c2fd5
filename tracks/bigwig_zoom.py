"""Zoom levels of a bigWig, made as a stream: each joins the records of the finer one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracks.bigwig_blocks import Blocks

RECORD_BYTES = 32
"""chromosome, start, end and bases, as 32-bit integers, and min, max, sum and sum of squares as 32-bit floats."""

_JOINED = 1024
"""Records that wait until they are joined together, because each join has its price."""


def summarise(columns: Sequence[np.ndarray] | np.ndarray, size: int) -> np.ndarray:
    """Join rows that start in the same ``size`` bases: columns of start, end, bases, min, max, sum and sum of squares
    (over bases), all of one length, to float64 ``[7, n]`` of the same, one for each stretch that holds any."""
    starts, ends, *others = columns
    if not len(starts):
        return np.empty((7, 0))
    cells = starts // size
    first = np.append(0, np.flatnonzero(cells[1:] != cells[:-1]) + 1)
    last = np.append(first[1:], len(starts)) - 1
    joined = np.empty((7, len(first)))
    joined[0], joined[1] = starts[first], ends[last]
    for at, function in enumerate((np.add, np.minimum, np.maximum, np.add, np.add)):
        joined[2 + at] = function.reduceat(others[at], first)
    return joined


class Zoom:
    """One zoom level, of records of at most ``size`` bases; it passes what is complete on to the coarser one."""

    def __init__(self, size: int, coarser: Zoom | None, blocks: Blocks) -> None:
        self.size, self._coarser, self.blocks = size, coarser, blocks
        self._last = np.empty((7, 0))
        self._complete: list[np.ndarray] = []
        self._records: list[np.ndarray] = []

    def add(self, chrom: int, sums: np.ndarray, rows: int, final: bool = False) -> None:
        """Take sums of a chromosome, as ``summarise`` gives them for this ``size``, and write records in blocks of
        ``rows``; ``final``: they are the chromosome's last."""
        sums = self._after_last(sums)
        # The last one may go on with the next ones.
        complete = sums if final else sums[:, :-1]
        self._last = sums[:, complete.shape[1] :].copy()
        self._write(chrom, complete, rows, final)
        if self._coarser is None:
            return
        self._complete.append(complete)
        if final or sum(part.shape[1] for part in self._complete) >= _JOINED:
            joined = np.concatenate(self._complete, axis=1)
            self._complete.clear()
            self._coarser.add(chrom, summarise(joined, self._coarser.size), rows, final)

    def _after_last(self, sums: np.ndarray) -> np.ndarray:
        """Put the record that was held back before others, as a part of their first where it is one."""
        joined = np.concatenate([self._last, sums], axis=1)
        if self._last.size and sums.size and self._last[0, 0] // self.size == sums[0, 0] // self.size:
            return np.concatenate([summarise(joined[:, :2], self.size), joined[:, 2:]], axis=1)
        return joined

    def _write(self, chrom: int, complete: np.ndarray, rows: int, final: bool) -> None:
        records = np.empty((complete.shape[1], RECORD_BYTES // 4), "<u4")
        records[:, 0] = chrom
        records[:, 1:4] = complete[:3].T
        with np.errstate(over="ignore"):  # squares of huge values
            records.view("<f4")[:, 4:] = complete[3:].T
        self._records.append(records)
        held = sum(map(len, self._records))
        if held < rows and not final:
            return
        records = np.concatenate(self._records)
        whole = held if final else held // rows * rows
        self._records = [records[whole:].copy()]
        for first in range(0, whole, rows):
            block = records[first : min(first + rows, whole)]
            self.blocks.write(chrom, int(block[0, 1]), int(block[-1, 2]), len(block), block.tobytes())
