"""BED files of a project as bigBed files, which browsers read by ranges."""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pybigtools

from tracks.errors import TracksError, UsageError
from tracks.files import written_beside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

_NAMED = """table intervals
"Intervals with names"
(
string chrom; "Chromosome"
uint chromStart; "Start, counted from 0"
uint chromEnd; "End"
string name; "Name"
)
"""
_NAME_BYTES = 255
_POSITION = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, order=True)
class Interval:
    """One line of a BED file: ``[start, end)`` of a chromosome, and a name, which may be empty."""

    chrom: str
    start: int
    end: int
    name: str = ""


@dataclass(frozen=True)
class Placed:
    """Intervals of an assembly, sorted; and how many of the file lie outside it, or reached past a chromosome's end."""

    intervals: tuple[Interval, ...]
    left_out: int
    cut: int

    @property
    def columns(self) -> int:
        """BED columns that they need."""
        return 4 if any(interval.name for interval in self.intervals) else 3


def read_intervals(path: Path) -> list[Interval]:
    """Read the first four columns of a BED file (plain or gzip).

    Raises UsageError where there is no such file, TracksError that names a bad line.
    """
    try:
        return list(_lines(path))
    except FileNotFoundError as error:
        raise UsageError(f"there is no BED file {path}") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise TracksError(f"cannot read the BED file {path}: {getattr(error, 'strerror', None) or error}") from error


def _lines(path: Path) -> Iterator[Interval]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rt") if packed else path.open() as text:
        for number, line in enumerate(text, 1):
            if not line.strip() or line.startswith("#") or line.split(None, 1)[0] in ("track", "browser"):
                continue
            fields = line.rstrip("\r\n").split("\t") if "\t" in line else line.split()
            if len(fields) < 3 or not all(_POSITION.fullmatch(field.strip()) for field in fields[1:3]):
                raise TracksError(f"{path}, line {number}: a BED line needs a chromosome, a start and an end")
            start, end = int(fields[1]), int(fields[2])
            if end <= start:
                raise TracksError(f"{path}, line {number}: the interval is empty or reversed: {start:,} to {end:,}")
            # Some readers part columns at spaces too.
            name = "" if len(fields) < 4 or fields[3].strip() == "." else "_".join(fields[3].split())
            yield Interval(fields[0], start, end, name.encode()[:_NAME_BYTES].decode(errors="ignore"))


def place(intervals: Sequence[Interval], sizes: Mapping[str, int], name_of: Callable[[str], str | None]) -> Placed:
    """Give intervals an assembly's chromosome names, cut them at its chromosomes' ends, and sort them by name of
    chromosome, start and end; those of other chromosomes, or past an end, are left out."""
    kept, cut = [], 0
    for interval in intervals:
        chrom = name_of(interval.chrom)
        length = sizes.get(chrom or "", 0)
        if chrom is None or interval.start >= length:
            continue
        cut += interval.end > length
        kept.append(Interval(chrom, interval.start, min(interval.end, length), interval.name))
    return Placed(tuple(sorted(kept)), len(intervals) - len(kept), cut)


def write_bigbed(path: Path, placed: Placed, sizes: Mapping[str, int]) -> None:
    """Write intervals as a bigBed of 3 columns, or 4 where any has a name. Raises TracksError when there is none to
    write, or the file cannot be written; nothing is left under ``path`` then."""
    if not placed.intervals:
        raise TracksError(f"cannot write {path}: there is no interval to write")
    named = placed.columns == 4
    rows = ((part.chrom, part.start, part.end, (part.name or ".") if named else "") for part in placed.intervals)
    chroms = {chrom: sizes[chrom] for chrom in dict.fromkeys(part.chrom for part in placed.intervals)}
    with written_beside(path) as beside:
        try:
            pybigtools.open(str(beside), "w").write(chroms, rows, autosql=_NAMED if named else None)
        except (pybigtools.BBIFileClosed, OSError, ValueError, RuntimeError) as error:
            raise TracksError(f"cannot write {path}: {error}") from error
