"""Sequence of chr20, chr22 and chrX (hg19), put together from the packages that hold it."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pysam

from tracks.errors import TracksError
from tracks.files import written_beside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

CHROM_SIZES = {"chr20": 63_025_520, "chr22": 51_304_566, "chrX": 155_270_560}
"""hg19 lengths of the chromosomes that we hold sequence of."""

UNKNOWN = ord("N")
_LINE = 100
_UPPER = np.full(256, UNKNOWN, np.uint8)
for _letter in b"ACGT":
    _UPPER[[_letter, _letter + 32]] = _letter
_COMPLEMENT = np.full(256, UNKNOWN, np.uint8)
_COMPLEMENT[list(b"ACGT")] = list(b"TGCA")


def letters(text: bytes) -> np.ndarray:
    """Return upper-case ACGT letters, uint8; everything else is N."""
    upper: np.ndarray = _UPPER[np.frombuffer(text, np.uint8)]
    return upper


def read_fasta(path: Path) -> np.ndarray:
    """Return the letters of a FASTA file of one sequence, plain or gzip."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        return letters(b"".join(line.rstrip() for line in lines if not line.startswith(b">")))


def alignment_rows(lines: Iterable[str], row: str, chrom_length: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (start, letters) of one species' rows of a MAF alignment, 0-based on the forward strand, gaps taken out.

    Format: UCSC MAF, ``s name start size strand srcSize text``; on the reverse strand the start counts from the
    other end. Raises TracksError for a row whose length or chromosome is not what the line says.
    """
    for number, line in enumerate(lines, 1):
        if not line.startswith("s "):
            continue
        fields = line.split()
        if len(fields) != 7:
            raise TracksError(f"alignment line {number}: a row has 7 fields, found {len(fields)}")
        _, name, start, size, strand, source_size, text = fields
        if name != row:
            continue
        bases = letters(text.replace("-", "").encode())
        if len(bases) != int(size):
            raise TracksError(f"alignment line {number}: {row} has {len(bases)} bases and says {size}")
        if int(source_size) != chrom_length:
            raise TracksError(
                f"alignment line {number}: {row} has length {source_size}, and should have {chrom_length}"
            )
        if strand == "-":
            yield chrom_length - int(start) - len(bases), _COMPLEMENT[bases[::-1]]
        else:
            yield int(start), bases


def fill(sequence: np.ndarray, start: int, bases: np.ndarray) -> None:
    """Write known bases into a sequence where it is still N. Raises TracksError where two sources disagree."""
    here = sequence[start : start + len(bases)]
    both = (here != UNKNOWN) & (bases != UNKNOWN)
    if (here[both] != bases[both]).any():
        at = start + int(np.flatnonzero(both)[(here[both] != bases[both]).argmax()])
        raise TracksError(f"two sources of sequence disagree at base {at + 1:,}")
    np.copyto(here, bases, where=bases != UNKNOWN)


def masked(sequence: np.ndarray, kept: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return the letters with N everywhere but in the kept spans, 0-based half-open."""
    result = np.full_like(sequence, UNKNOWN)
    for start, end in kept:
        result[start:end] = sequence[start:end]
    return result


def write_fasta(path: Path, sequences: Mapping[str, np.ndarray]) -> None:
    """Write a bgzip FASTA file with its .fai and .gzi. Raises TracksError when it cannot be written."""
    plain = path.with_name(f".{path.name}.{os.getpid()}.partial.fa")
    indexes = [Path(f"{path}.fai"), Path(f"{path}.gzi")]
    try:
        with written_beside(path) as beside:
            with plain.open("wb") as file:
                for name, sequence in sequences.items():
                    whole = len(sequence) // _LINE * _LINE
                    lines = np.full((whole // _LINE, _LINE + 1), ord("\n"), np.uint8)
                    lines[:, :_LINE] = sequence[:whole].reshape(-1, _LINE)
                    file.write(f">{name}\n".encode())
                    file.write(lines.data)
                    if whole < len(sequence):
                        file.write(sequence[whole:].tobytes() + b"\n")
            pysam.tabix_compress(str(plain), str(beside), force=True)
            # An index of an earlier file must never stand beside this one.
            for index in indexes:
                index.unlink(missing_ok=True)
    finally:
        plain.unlink(missing_ok=True)
    pysam.faidx(str(path))
