"""Regions of a genome: 0-based half-open inside, samtools-style (1-based inclusive) at the edges."""

from __future__ import annotations

import difflib
import gzip
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracks.errors import TracksError, UsageError, first_few

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, order=True)
class Region:
    """A stretch of a chromosome, ``[start, end)``, 0-based; ``str`` gives ``chr20:1,001-2,000``, 1-based inclusive."""

    chrom: str
    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise UsageError(
                f"region {self.chrom} [{self.start}, {self.end}) is empty or reversed: it needs 0 <= start < end"
            )

    def __len__(self) -> int:
        return self.end - self.start

    def __str__(self) -> str:
        return f"{self.chrom}:{self.start + 1:,}-{self.end:,}"


def check_chrom(chrom: str, chrom_sizes: Mapping[str, int], where: str) -> None:
    """Raise UsageError with the nearest name when the genome has no such chromosome."""
    if chrom in chrom_sizes:
        return
    swapped = chrom.removeprefix("chr") if chrom.startswith("chr") else f"chr{chrom}"
    folded = {name.lower(): name for name in chrom_sizes}
    near = next((folded[name] for name in (chrom.lower(), swapped.lower()) if name in folded), None)
    if near is None:
        near = next(iter(difflib.get_close_matches(chrom, chrom_sizes, n=1)), None)
    hint = f"it has {first_few(list(chrom_sizes), 5)}" if near is None else f"did you mean '{near}'?"
    raise UsageError(f"{where}: the genome has no chromosome {chrom!r}; {hint}")


def parse_region(text: str, chrom_sizes: Mapping[str, int]) -> Region:
    """Read a samtools-style region: ``chr20``, ``chr20:5,001`` (to the end) or ``chr20:1,001-2,000`` (inclusive).

    Raises UsageError that names the fault: unknown chromosome (with the nearest name), a position that is no
    number, before 1, past the chromosome's end, or reversed.
    """
    text = text.strip()
    where = f"region {text!r}"
    # A name may itself hold a colon (HLA contigs), so a whole name wins over name:span, as in samtools.
    if text in chrom_sizes:
        return Region(text, 0, chrom_sizes[text])
    chrom, colon, span = text.rpartition(":")
    if not colon:
        chrom, span = text, ""
    if not chrom:
        raise UsageError(f"{where} names no chromosome; write it like chr20:10,000,000-10,400,000")
    check_chrom(chrom, chrom_sizes, where)
    first_text, _, last_text = span.replace(" ", "").replace(",", "").partition("-")
    if not _is_position(first_text) or not _is_position(last_text or "1"):
        raise UsageError(f"{where}: {span!r} is not a span; write it like {chrom}:10,000,000-10,400,000")
    length = chrom_sizes[chrom]
    first = int(first_text)
    last = int(last_text) if last_text else length
    if first < 1:
        raise UsageError(f"{where}: positions are counted from 1, and this starts at {first}")
    if first > length or last > length:
        raise UsageError(f"{where} reaches past the end of {chrom}, which has {length:,} bases")
    if last < first:
        raise UsageError(f"{where} is reversed: it starts at {first:,} and ends at {last:,}")
    return Region(chrom, first - 1, last)


def _is_position(text: str) -> bool:
    # No chromosome needs more digits, and Python refuses to read thousands of them.
    return re.fullmatch(r"[0-9]{1,18}", text) is not None


@dataclass(frozen=True, slots=True)
class NamedRegion:
    """A region as a BED file has it: with its name and its strand (``+``, ``-`` or ``.``), empty where it has none."""

    region: Region
    name: str = ""
    strand: str = ""


def read_bed(path: Path, chrom_sizes: Mapping[str, int]) -> list[Region]:
    """Read the first three columns of a BED file (plain or gzip), 0-based half-open, in file order.

    Raises TracksError when the file cannot be read and UsageError that names the line when one is wrong.
    """
    return [row.region for row in read_named_bed(path, chrom_sizes)]


def read_named_bed(path: Path, chrom_sizes: Mapping[str, int]) -> Iterator[NamedRegion]:
    """Yield the regions of a BED file (plain or gzip) with name and strand, in file order; none are held.

    Raises, where the reading has come to it, what ``read_bed`` raises.
    """
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
            yield from parse_named_bed(lines, str(path), chrom_sizes)
    except FileNotFoundError as error:
        raise UsageError(f"there is no BED file {path}") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TracksError(f"cannot read the BED file {path}: {reason}") from error


def parse_bed(lines: Iterable[str], where: str, chrom_sizes: Mapping[str, int]) -> list[Region]:
    """Read the first three columns of BED lines that are from ``where``; comments and headers are passed over.

    Raises UsageError that names the line when one is wrong, or when there is no region.
    """
    return [row.region for row in parse_named_bed(lines, where, chrom_sizes)]


def parse_named_bed(lines: Iterable[str], where: str, chrom_sizes: Mapping[str, int]) -> Iterator[NamedRegion]:
    """Yield the regions of BED lines with name (fourth column) and strand (sixth, where it is one).

    Raises what ``parse_bed`` raises, where the reading has come to it.
    """
    empty = True
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#") or line.split(None, 1)[0] in ("track", "browser"):
            continue
        empty = False
        line = line.rstrip("\r\n")
        fields = line.split("\t") if "\t" in line else line.split()
        region = _bed_region(fields, f"{where}, line {number}", chrom_sizes)
        strand = fields[5].strip() if len(fields) > 5 else ""
        yield NamedRegion(
            region, fields[3].strip() if len(fields) > 3 else "", strand if strand in ("+", "-", ".") else ""
        )
    if empty:
        raise UsageError(f"{where} holds no regions; a BED line is: chromosome, start, end, tab-separated")


def _bed_region(fields: Sequence[str], where: str, chrom_sizes: Mapping[str, int]) -> Region:
    if len(fields) < 3:
        raise UsageError(f"{where}: a BED line needs three columns (chromosome, start, end), found {len(fields)}")
    chrom, start, end = fields[:3]
    check_chrom(chrom, chrom_sizes, where)
    if not (_is_position(start.strip()) and _is_position(end.strip())):
        raise UsageError(f"{where}: start and end must be whole numbers, found {start!r} and {end!r}")
    if int(end) <= int(start):
        raise UsageError(f"{where}: the region is empty or reversed: start {int(start):,}, end {int(end):,}")
    if int(end) > chrom_sizes[chrom]:
        raise UsageError(f"{where}: {int(end):,} is past the end of {chrom}, which has {chrom_sizes[chrom]:,} bases")
    return Region(chrom, int(start), int(end))


def join_spans(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the union of half-open spans as disjoint ones that do not touch, by start."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def merge(regions: Iterable[Region], chrom_sizes: Mapping[str, int]) -> list[Region]:
    """Return the union of regions as disjoint ones, in the genome's chromosome order and by start."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for region in regions:
        spans.setdefault(region.chrom, []).append((region.start, region.end))
    order = {name: rank for rank, name in enumerate(chrom_sizes)}
    return [
        Region(chrom, start, end)
        for chrom in sorted(spans, key=order.__getitem__)
        for start, end in join_spans(spans[chrom])
    ]
