"""Blocks of fixed size for values some of which are missing: one section a window, and blocks of zoom records.

A block has its size before its values are known, so what is missing needs a place where no reader draws it. What was
right in every reader (facts: virtual_bigwig.md, section 2): the known items first, and each missing one at the block's
tail, "parked" beyond any chromosome.
"""

from __future__ import annotations

import numpy as np

from tracks.bigwig_blocks import GRAPH, GRAPH_ROW, HEADER, VARIABLE, VARIABLE_ROW
from tracks.bigwig_zoom import RECORD_BYTES
from tracks.grid import BIN

FARTHEST = (1 << 31) - 256
"""Where missing bins are parked: no chromosome may reach it."""
_NOWHERE = (1 << 31) - 1


def section_bytes(start: int, end: int) -> int:
    """Return the size of the section of a window that covers ``[start, end)`` of its chromosome."""
    bins = -(-(end - start) // BIN)
    return HEADER.size + bins * (GRAPH_ROW if (end - start) % BIN else VARIABLE_ROW).itemsize


def pack_section(chrom: int, start: int, end: int, values: np.ndarray) -> bytes:
    """Pack a window's bins, float32 ``[at least the bins of start to end]`` with NaN, as a section of chromosome
    number ``chrom``.

    Bins are of one length and so need no end, but for those of a window that ends within a bin, as chromosomes do:
    there no item may reach past the end.
    """
    bins = -(-(end - start) // BIN)
    values = values[:bins]
    there = np.flatnonzero(~np.isnan(values))
    starts = start + there * BIN
    cut = (end - start) % BIN != 0
    rows = np.zeros(bins, GRAPH_ROW if cut else VARIABLE_ROW)
    rows["start"] = _NOWHERE if cut else FARTHEST
    rows["start"][: len(there)] = starts
    rows["value"][: len(there)] = values[there]
    if cut:
        rows["end"] = _NOWHERE
        rows["end"][: len(there)] = np.minimum(starts + BIN, end)
    header = HEADER.pack(chrom, start, end, 0, 0 if cut else BIN, GRAPH if cut else VARIABLE, 0, bins)
    return header + rows.tobytes()


def pack_records(chrom: int, start: int, end: int, size: int, records: np.ndarray) -> bytes:
    """Pack zoom records of ``size`` bases each that cover ``[start, end)`` of chromosome number ``chrom``: float64
    ``[5, n]`` of bases (0: nothing known), least, most, sum and sum of squares."""
    there = np.flatnonzero(records[0] > 0)
    count = records.shape[1]
    words = np.empty((count, RECORD_BYTES // 4), "<u4")
    words[:, 0] = chrom
    words[:, 1:3] = _NOWHERE
    words[:, 3] = 1
    numbers = words.view("<f4")
    numbers[:, 4:] = np.nan
    starts = start + there * size
    known = slice(0, len(there))
    words[known, 1], words[known, 2] = starts, np.minimum(starts + size, end)
    words[known, 3] = records[0, there]
    with np.errstate(over="ignore"):  # squares of huge values
        numbers[known, 4:] = records[1:, there].T
    return words.tobytes()
