"""A bigWig of the size of hg38: 24 chromosomes, a value for most bins of 128 bases, gaps of single bins and of 8 kb."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracks.bigwig import Bins, write_bigwig
from tracks.grid import bin_count

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

CHROM_SIZES = {
    "chr1": 248_956_422, "chr2": 242_193_529, "chr3": 198_295_559, "chr4": 190_214_555, "chr5": 181_538_259,
    "chr6": 170_805_979, "chr7": 159_345_973, "chr8": 145_138_636, "chr9": 138_394_717, "chr10": 133_797_422,
    "chr11": 135_086_622, "chr12": 133_275_309, "chr13": 114_364_328, "chr14": 107_043_718, "chr15": 101_991_189,
    "chr16": 90_338_345, "chr17": 83_257_441, "chr18": 80_373_285, "chr19": 58_617_616, "chr20": 64_444_167,
    "chr21": 46_709_983, "chr22": 50_818_468, "chrX": 156_040_895, "chrY": 57_227_415,
}  # fmt: skip

_PIECE = 1 << 16
_GAP = 64


def pieces(seed: int = 0, chroms: Mapping[str, int] = CHROM_SIZES) -> Iterator[Bins]:
    """Yield the values, chromosome by chromosome."""
    rng = np.random.default_rng(seed)
    for chrom, length in chroms.items():
        bins = bin_count(length)
        for first in range(0, bins, _PIECE):
            count = min(_PIECE, bins - first)
            values = rng.gamma(2, 1, count).astype(np.float32)
            gaps = np.repeat(rng.random(-(-count // _GAP)) < 0.1, _GAP)[:count]
            values[gaps | (rng.random(count) < 0.03)] = np.nan
            yield Bins(chrom, first, values)


def write_signal(path: Path) -> None:
    """Write it: some 210 MB, in about 15 s."""
    write_bigwig(path, CHROM_SIZES, pieces())
