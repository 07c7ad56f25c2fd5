"""Where a genome has sequence: the known bases of every bin, counted once in the background."""

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
    """The known bases of every bin of a genome, uint8 ``[bins]`` a chromosome, once ``count`` has run."""

    def __init__(self, genome: Genome) -> None:
        self.genome = genome
        self.ready = threading.Event()
        self._known: dict[str, np.ndarray] = {}

    def count(self, stopped: threading.Event | None = None) -> None:
        """Read the whole genome once (about a second for 100 Mb); stop early when ``stopped`` is set."""
        for chrom in self.genome.chrom_sizes:
            pieces = []
            for piece in known_bases_in_pieces(self.genome, chrom):
                if stopped is not None and stopped.is_set():
                    return
                pieces.append(piece.astype(np.uint8))
            self._known[chrom] = np.concatenate(pieces)
        self.ready.set()

    def has_sequence(self, chrom: str, first: int, last: int) -> np.ndarray:
        """Return which of a chromosome's bins ``[first, last)`` hold enough sequence to have a value, bool."""
        enough: np.ndarray = self._known[chrom][first:last] >= MIN_KNOWN_BASES
        return enough

    def windows(self, chrom: str) -> list[int]:
        """Return the grid windows of a chromosome that hold any bin with enough sequence."""
        length = self.genome.chrom_sizes[chrom]
        enough = np.zeros(window_count(length) * BINS, bool)
        enough[: bin_count(length)] = self.has_sequence(chrom, 0, bin_count(length))
        return [int(index) for index in np.flatnonzero(enough.reshape(-1, BINS).any(axis=1))]

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
