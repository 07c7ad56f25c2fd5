"""Lengths of a genome's chromosomes, from its FASTA file or from a table of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracks.errors import TracksError, UsageError
from tracks.genome import Genome

if TYPE_CHECKING:
    from pathlib import Path

_TABLES = (".sizes", ".genome", ".fai", ".txt", ".tsv")


def is_table(path: Path) -> bool:
    """Say whether a file is a table of lengths, by its name, and no sequence."""
    return path.suffix in _TABLES


def read_sizes(path: Path) -> dict[str, int]:
    """Return chromosome lengths in the order of the file: a FASTA file (plain or bgzip), its ``.fai``, or a table of
    name and length (``hg38.chrom.sizes``, ``human.hg38.genome``).

    Raises UsageError when there is no such file, TracksError that names the line when one is wrong.
    """
    if not is_table(path):
        with Genome(path) as genome:
            return genome.chrom_sizes
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError as error:
        raise UsageError(f"there is no file of chromosome lengths {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise TracksError(f"cannot read the chromosome lengths {path}: {error}") from error
    sizes: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split()
        if len(fields) < 2 or not fields[1].isascii() or not fields[1].isdecimal() or int(fields[1]) == 0:
            raise TracksError(f"{path}, line {number}: it needs a chromosome and its length, found '{line}'")
        if fields[0] in sizes:
            raise TracksError(f"{path}, line {number}: {fields[0]} is there twice")
        sizes[fields[0]] = int(fields[1])
    if not sizes:
        raise TracksError(f"{path} names no chromosome; a line is: name, length")
    return sizes
