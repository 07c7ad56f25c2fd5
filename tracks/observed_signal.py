"""A measured signal on a genome: one bigWig file, here or on another server, asked by the genome's chromosome names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracks.bigwig_reader import BigWigReader
from tracks.binning import bin_sums
from tracks.chroms import match_chroms
from tracks.grid import BIN, bins_over

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tracks.regions import Region
    from tracks.remote.source import Source
    from tracks.runs import Runs


class ObservedSignal:
    """A bigWig file's runs and bins on a genome of ``chrom_sizes``; ``1`` and ``chr1`` are taken for one another.

    Raises UsageError when it is not there or is of another genome build, TracksError when it cannot be read.
    """

    def __init__(self, path: Source, chrom_sizes: Mapping[str, int]) -> None:
        self._reader = BigWigReader(path)
        self._names = match_chroms(self._reader.chrom_sizes, chrom_sizes, str(path)).of_genome

    def runs(self, chrom: str, start: int, end: int) -> Iterator[Runs]:
        """Yield the runs that touch ``[start, end)`` (0-based), cut to it; none where the file lacks the chromosome."""
        if chrom in self._names:
            yield from self._reader.runs(self._names[chrom], start, end)

    def bins(self, region: Region) -> np.ndarray:
        """Return the mean of the covered bases of each 128-bp bin that touches a region, float32 ``[bins]``; NaN where
        there is none."""
        bins = bins_over(region)
        signal = self.runs(region.chrom, bins.start * BIN, bins.stop * BIN)
        mean: np.ndarray = bin_sums(signal, bins.start * BIN, len(bins)).mean.astype(np.float32)
        return mean
