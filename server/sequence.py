"""Where a genome has sequence: which bins hold enough known bases to have a value, counted once in the background."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from tracks.composition import MIN_KNOWN_BASES, known_bases_in_pieces
from tracks.grid import BIN, BINS, bin_count, window_count
from tracks.regions import Region

if TYPE_CHECKING:
    from tracks.genome import Genome

_JOINED_GAP = 20_000


class SequenceMap:
    """Which bins of a genome have sequence, once ``count`` has run; until then nothing is known to be without."""

    def __init__(self, genome: Genome) -> None:
        self.genome = genome
        self.ready = threading.Event()
        self._enough: dict[str, np.ndarray] = {}
        self._counts: dict[tuple[str, int], np.ndarray] = {}

    def count(self, stopped: threading.Event | None = None) -> None:
        """Read the whole genome once (about a second for 100 Mb); stop early when ``stopped`` is set."""
        for chrom, length in self.genome.chrom_sizes.items():
            # Whole windows, so that they can be counted by reshaping; past the chromosome's end there is no sequence.
            enough, first = np.zeros(window_count(length) * BINS, bool), 0
            for piece in known_bases_in_pieces(self.genome, chrom):
                if stopped is not None and stopped.is_set():
                    return
                enough[first : first + len(piece)] = piece >= MIN_KNOWN_BASES
                first += len(piece)
            self._enough[chrom] = enough
        self.ready.set()

    def has_sequence(self, chrom: str, first: int, last: int) -> np.ndarray:
        """Return which of a chromosome's bins ``[first, last)`` hold enough sequence to have a value, bool."""
        return self._enough[chrom][first:last]

    def counts(self, chrom: str, over: range, parts: int) -> np.ndarray:
        """Return how many bins with sequence each part of some windows holds: bool or uint16 ``[windows * parts]``."""
        if parts == BINS:
            return self.has_sequence(chrom, over.start * BINS, over.stop * BINS)
        if (chrom, parts) not in self._counts:
            bins = self._enough[chrom].reshape(-1, BINS // parts)
            self._counts[chrom, parts] = bins.sum(axis=1, dtype=np.uint16)
        return self._counts[chrom, parts][over.start * parts : over.stop * parts]

    def windows(self, chrom: str) -> np.ndarray:
        """Return which grid windows of a chromosome hold any bin with enough sequence: bool ``[windows]``."""
        some: np.ndarray = self.counts(chrom, range(window_count(self.genome.chrom_sizes[chrom])), 1) > 0
        return some

    def regions(self) -> list[Region]:
        """Return the parts of the genome that hold sequence; gaps below 20 kb are passed over."""
        found = []
        for chrom, length in self.genome.chrom_sizes.items():
            bins = np.flatnonzero(self.has_sequence(chrom, 0, bin_count(length)))
            if len(bins):
                breaks = np.flatnonzero(np.diff(bins) * BIN > _JOINED_GAP)
                firsts = bins[np.concatenate([[0], breaks + 1])]
                lasts = bins[np.concatenate([breaks, [len(bins) - 1]])]
                spans = zip(firsts.tolist(), lasts.tolist(), strict=True)
                found += [Region(chrom, first * BIN, min((last + 1) * BIN, length)) for first, last in spans]
        return found
