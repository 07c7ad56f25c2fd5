"""Which columns of a text file are coordinates: BED, bedGraph, and tables of counts at single bases."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from tracks.bigwig_reader import BIGWIG_SUFFIXES
from tracks.errors import UsageError
from tracks.tables import formats
from tracks.tables.formats import unpacked_name

if TYPE_CHECKING:
    from pathlib import Path

Kind = Literal["bigwig", "bedgraph", "bed", "counts"]


@dataclass(frozen=True)
class Layout:
    """Columns, counted from 0, of a tab-separated text file.

    ``first`` is what the file calls a chromosome's first base. ``strand`` holds one of ``strands`` (or anything else,
    which stays). ``copies`` are columns that repeat start and end. ``sites``: its rows are single bases (or CpGs),
    which lift whole or not at all, and no intervals, which may be cut. ``thick``: columns 7, 8 and 10 to 12 are those
    of BED, where a file has them. ``summit``: a column that says how far from its start a peak is highest, -1 for
    unknown.
    """

    name: str
    chrom: int
    start: int
    end: int | None = None
    strand: int | None = None
    first: Literal[0, 1] = 0
    strands: str = "+-"
    copies: tuple[int, int] | None = None
    sites: bool = False
    thick: bool = False
    summit: int | None = None

    @property
    def columns(self) -> int:
        """How many columns a line needs at least; BED may leave the strand out."""
        strand = self.strand if self.strand is not None and self.sites else 0
        return max(self.chrom, self.start, self.end or 0, strand) + 1


BED = Layout("BED", 0, 1, 2, 5, thick=True)
NARROW_PEAK = Layout("narrowPeak", 0, 1, 2, 5, summit=9)
BROAD_PEAK = Layout("broadPeak", 0, 1, 2, 5)
BEDGRAPH = Layout("bedGraph", 0, 1, 2)
BEDMETHYL = Layout("bedMethyl", 0, 1, 2, 5, copies=(6, 7), sites=True)
COVERAGE = Layout("Bismark coverage", 0, 1, 2, first=1, sites=True)
ZERO_COVERAGE = Layout("Bismark coverage, zero-based", 0, 1, 2, sites=True)
REPORT = Layout("Bismark cytosine report", 0, 1, None, 2, first=1, sites=True)
CGMAP = Layout("CGmap", 0, 2, None, 1, first=1, strands="CG", sites=True)
ALLC = Layout("allc", 0, 1, None, 2, first=1, sites=True)

_COUNTS = {
    "bedmethyl": BEDMETHYL,
    "bismark": COVERAGE,
    "bismark_zero": ZERO_COVERAGE,
    "cytosine_report": REPORT,
    "cgmap": CGMAP,
    "allc": ALLC,
}


def guess_kind(path: Path) -> Kind:
    """Say by its name what a file is. Raises UsageError that lists the names that are known."""
    if unpacked_name(path).endswith(BIGWIG_SUFFIXES):
        return "bigwig"
    kind = formats.guess_kind(path)
    if kind in ("bedgraph", "bed"):
        return "bed" if kind == "bed" else "bedgraph"
    if kind is not None:
        return "counts"
    known = ", ".join((*BIGWIG_SUFFIXES, *formats.SUFFIXES))
    raise UsageError(f"{path}: its name does not say what it is (known: {known}, also with .gz); give --format")


def bed_layout(path: Path) -> Layout:
    """Return the layout of a BED file by its name: ENCODE's peaks have other columns from the seventh on."""
    layouts = {".narrowpeak": NARROW_PEAK, ".broadpeak": BROAD_PEAK}
    return next((layout for suffix, layout in layouts.items() if unpacked_name(path).endswith(suffix)), BED)


def counts_layout(path: Path, columns: str | None = None) -> Layout:
    """Return the layout of a table of counts: by its name, or from columns that are told apart.

    ``columns`` is like ``chrom=1,start=2,end=3,strand=4,first=1``: columns counted from 1; ``first`` is what the table
    calls the first base of a chromosome, 0 (the default) or 1. Raises UsageError when they cannot be read, or the name
    says nothing.
    """
    if columns is None:
        layout = _COUNTS.get(formats.guess_kind(path) or "")
        if layout is not None:
            return layout
        raise UsageError(f"{path}: its name does not say which columns it has; give --columns chrom=1,start=2,first=0")
    told: dict[str, int] = {}
    for word in columns.split(","):
        name, _, number = word.strip().partition("=")
        if name not in ("chrom", "start", "end", "strand", "first") or not number.isdecimal() or name in told:
            raise UsageError(f"--columns {columns!r}: {word!r} is no chrom=, start=, end=, strand= or first=")
        told[name] = int(number)
    first = told.pop("first", 0)
    if not {"chrom", "start"} <= set(told) or 0 in told.values() or first not in (0, 1):
        raise UsageError(f"--columns {columns!r}: it needs chrom and start, columns count from 1, and first is 0 or 1")
    at = {name: number - 1 for name, number in told.items()}
    layout = Layout("table", at["chrom"], at["start"], at.get("end"), at.get("strand"), sites=True)
    return replace(layout, first=1) if first else layout
