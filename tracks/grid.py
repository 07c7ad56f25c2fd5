"""The fixed grid that every prediction lives on (DESIGN.md, principle 1).

Window *i* of a chromosome covers ``[i * WINDOW, (i + 1) * WINDOW)``; the model reads that span and
``FLANK`` more bases on each side, N where that leaves the chromosome. All positions are 0-based half-open.
"""

from tracks.regions import Region

BIN = 128
"""Bases in one bin."""
BINS = 896
"""Bins in one window."""
WINDOW = BIN * BINS
"""Bases that one window predicts (114,688)."""
FLANK = 8_192
"""Bases that the model reads on each side of a window."""
INPUT = WINDOW + 2 * FLANK
"""Bases that the model reads for one window (131,072)."""


def bin_count(chrom_length: int) -> int:
    """Return how many bins cover a chromosome; the last may reach past its end."""
    return -(-chrom_length // BIN)


def window_count(chrom_length: int) -> int:
    """Return how many windows cover a chromosome; the last may reach past its end."""
    return -(-chrom_length // WINDOW)


def window_start(index: int) -> int:
    """Return the first base that window ``index`` predicts."""
    return index * WINDOW


def input_span(index: int) -> tuple[int, int]:
    """Return the span that the model reads for window ``index``; it may leave the chromosome at both ends."""
    start = window_start(index) - FLANK
    return start, start + INPUT


def windows_over(region: Region) -> range:
    """Return the indices of the windows that touch a region."""
    return range(region.start // WINDOW, -(-region.end // WINDOW))


def bins_over(region: Region) -> range:
    """Return the indices of the bins that touch a region."""
    return range(region.start // BIN, -(-region.end // BIN))
