"""Small BAM files of made-up reads: every kind of alignment and flag, singles and pairs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pysam

SIZES = {"chr1": 60_000, "chr2": 25_000, "chr3": 4_000}

_CIGARS = ["50M", "20M3D30M", "5S45M", "10M400N40M", "25M2I23M", "30=1X19=", "3H47M10D3M", "10M1P2I38M"]
_READ_BASES = "MIS=X"
_REFERENCE_BASES = "MDN=X"


@dataclass(frozen=True)
class Read:
    chrom: str
    start: int
    cigar: str
    flag: int = 0
    mapq: int = 60
    mate: int | None = None
    length: int = 0

    def bases(self, operations: str) -> int:
        return sum(int(count) for count, kind in re.findall(r"(\d+)(\D)", self.cigar) if kind in operations)

    @property
    def end(self) -> int:
        return self.start + self.bases(_REFERENCE_BASES)

    def line(self, number: int) -> str:
        mate = "*\t0" if self.mate is None else f"=\t{self.mate + 1}"
        bases = "A" * self.bases(_READ_BASES)
        head = f"read{number}\t{self.flag}\t{self.chrom}\t{self.start + 1}\t{self.mapq}\t{self.cigar}"
        return f"{head}\t{mate}\t{self.length}\t{bases}\t{'I' * len(bases)}\n"


def write_bam(
    path: Path, reads: Sequence[Read], sizes: Mapping[str, int] = SIZES, order: str = "coordinate", index: bool = True
) -> Path:
    """Write reads, sorted where ``order`` says so, as BAM (or CRAM without a reference, by the name)."""
    ranks = {chrom: rank for rank, chrom in enumerate(sizes)}
    if order == "coordinate":
        reads = sorted(reads, key=lambda read: (ranks[read.chrom], read.start))
    text = path.with_suffix(".sam")
    with text.open("w") as file:
        file.write(f"@HD\tVN:1.6\tSO:{order}\n")
        file.writelines(f"@SQ\tSN:{chrom}\tLN:{length}\n" for chrom, length in sizes.items())
        file.writelines(read.line(number) for number, read in enumerate(reads))
    kind = ["-C", "--output-fmt-option", "no_ref=1"] if path.suffix == ".cram" else ["-b"]
    pysam.view(*kind, "-o", str(path), str(text), catch_stdout=False)
    if index:
        pysam.index(str(path))
    return path


def random_reads(seed: int, count: int, sizes: Mapping[str, int] = SIZES) -> list[Read]:
    """Return single reads and proper pairs of all chromosomes, and a sprinkling of every flag."""
    rng = np.random.default_rng(seed)
    chroms = list(sizes)
    weights = np.array([sizes[chrom] for chrom in chroms]) / sum(sizes.values())
    reads = []
    for _ in range(count):
        chrom = chroms[rng.choice(len(chroms), p=weights)]
        mapq = int(rng.integers(0, 61))
        other = int(rng.choice([0, 0x100, 0x200, 0x400, 0x800], p=[0.8, 0.05, 0.05, 0.05, 0.05]))
        if rng.random() < 0.5:
            cigar = _CIGARS[rng.integers(len(_CIGARS))]
            read = Read(chrom, 0, cigar, int(rng.choice([0, 16])) | other, mapq)
            start = int(rng.integers(0, sizes[chrom] - read.end + 1))
            reads.append(Read(chrom, start, cigar, read.flag, mapq))
        else:
            length = int(rng.integers(60, 600))
            start = int(rng.integers(0, sizes[chrom] - length + 1))
            last = start + length - 50
            # The first read lies forward (99, 147) or in reverse (83, 163).
            left, right = (99, 147) if rng.random() < 0.5 else (163, 83)
            reads.append(Read(chrom, start, "50M", left | other, mapq, last, length))
            reads.append(Read(chrom, last, "50M", right | other, mapq, start, -length))
    return reads
