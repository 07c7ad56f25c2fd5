"""The windows of one fold in the order they are read in, and the bootstrap block of each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model.report.scores import BLOCK
from tracks.grid import INPUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracks.split import Fold
    from tracks.windows import WindowRow


@dataclass(frozen=True, eq=False)
class Layout:
    """Windows by chromosome (chr2 before chr10) and start: rows of the label set and starts int64 ``[windows]``,
    the index of each one's chromosome and block; the chromosome of each block.

    A window is in the block of 1 Mb that holds its middle.
    """

    fold: Fold
    rows: np.ndarray
    starts: np.ndarray
    chroms: tuple[str, ...]
    chrom: np.ndarray
    block: np.ndarray
    block_chroms: tuple[str, ...]

    def chunks(self, size: int) -> Iterator[slice]:
        """Yield runs of at most ``size`` windows, each of one chromosome."""
        for index in range(len(self.chroms)):
            first, last = np.searchsorted(self.chrom, [index, index + 1])
            for start in range(first, last, size):
                yield slice(start, min(start + size, last))

    def sample(self, most: int) -> np.ndarray:
        """Return the places of up to ``most`` windows, evenly spread, int64."""
        count = len(self.rows)
        return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(np.int64))


def lay_out(windows: Sequence[WindowRow], fold: Fold) -> Layout:
    """Order the windows of a fold."""
    own = [(row, window) for row, window in enumerate(windows) if window.fold == fold]
    chroms = tuple(sorted({window.chrom for _, window in own}, key=_natural))
    number = {chrom: index for index, chrom in enumerate(chroms)}
    own.sort(key=lambda pair: (number[pair[1].chrom], pair[1].start, pair[0]))
    starts = np.array([window.start for _, window in own], np.int64)
    chrom = np.array([number[window.chrom] for _, window in own], np.int64)
    places = np.stack([chrom, (starts + INPUT // 2) // BLOCK], axis=1)
    held, block = np.unique(places, axis=0, return_inverse=True)
    return Layout(
        fold,
        np.array([row for row, _ in own], np.int64),
        starts,
        chroms,
        chrom,
        block.reshape(-1),
        tuple(chroms[index] for index in held[:, 0]),
    )


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort chr2 before chr10, and numbers before letters."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)
