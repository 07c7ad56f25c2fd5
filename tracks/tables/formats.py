"""Which columns of a text table mean what: bedGraph, BED, bedMethyl and the per-CpG tables of methylation callers.

Sources: UCSC's format pages (BED, bedGraph), ENCODE's and modkit's bedMethyl, Bismark's manual (coverage and cytosine
report), BS-Seeker2 / CGmapTools (CGmap), methylpy (allc).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tracks.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ROLES = (
    "chrom", "start", "end", "strand", "name", "code", "context",
    "value", "fraction", "percent", "modified", "unmodified", "valid",
)  # fmt: skip
"""What a column can hold. ``start`` is the position where a row is one base; ``fraction`` is 0 to 1, ``percent`` 0 to
100, ``value`` anything; ``modified``, ``unmodified`` and ``valid`` (their sum) are counts of calls."""

_KNOWN: dict[str, tuple[dict[str, str | int], bool]] = {
    "bedgraph": ({"chrom": 1, "start": 2, "end": 3, "value": 4}, True),
    "bed": ({"chrom": 1, "start": 2, "end": 3, "name": 4}, True),
    "bedmethyl": ({"chrom": 1, "start": 2, "end": 3, "code": 4, "valid": 10, "percent": 11, "modified": 12}, True),
    "bismark": ({"chrom": 1, "start": 2, "percent": 4, "modified": 5, "unmodified": 6}, False),
    "bismark_zero": ({"chrom": 1, "start": 2, "percent": 4, "modified": 5, "unmodified": 6}, True),
    "cytosine_report": ({"chrom": 1, "start": 2, "modified": 4, "unmodified": 5, "context": 6}, False),
    "cgmap": ({"chrom": 1, "start": 3, "context": 4, "fraction": 6, "modified": 7, "valid": 8}, False),
    "allc": ({"chrom": 1, "start": 2, "context": 4, "modified": 5, "valid": 6}, False),
}
KINDS = (*_KNOWN, "table")
_SUFFIXES: dict[str, str] = {
    ".bedgraph": "bedgraph",
    ".bdg": "bedgraph",
    ".bg": "bedgraph",
    ".bedmethyl": "bedmethyl",
    ".bedmethyl.bed": "bedmethyl",
    ".bed": "bed",
    ".narrowpeak": "bed",
    ".broadpeak": "bed",
    ".gappedpeak": "bed",
    ".cov": "bismark",
    ".zero.cov": "bismark_zero",
    ".cpg_report.txt": "cytosine_report",
    ".cx_report.txt": "cytosine_report",
    ".cytosine_report.txt": "cytosine_report",
    ".cgmap": "cgmap",
    ".cgmap.txt": "cgmap",
    ".allc": "allc",
    ".allc.tsv": "allc",
    ".allc.txt": "allc",
}
SUFFIXES = tuple(_SUFFIXES)
"""How names end, before .gz, that say what is in a file."""


@dataclass(frozen=True)
class TableFormat:
    """A text table of genome positions, plain or gzip, of one of ``KINDS``: which column holds what.

    ``columns`` gives for each role the column's number, from 1, or its name in the header line (kind table only; the
    other kinds have columns of their own). ``zero_based``: whether the first base of a chromosome is 0 or 1; ends are
    half-open in the one case and inclusive in the other. ``context`` keeps the rows whose context starts so, where
    the table has such a column. Raises UsageError where the columns of a table are not enough.
    """

    kind: str
    columns: Mapping[str, str | int] = field(default_factory=dict)
    zero_based: bool = True
    context: str = "CG"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"there is no table format '{self.kind}'; there are {', '.join(KINDS)}")
        if self.kind != "table":
            if self.columns:
                raise UsageError(f"{self.kind} has columns of its own; name columns only with the format 'table'")
            columns, zero_based = _KNOWN[self.kind]
            object.__setattr__(self, "columns", columns)
            object.__setattr__(self, "zero_based", zero_based)
        unknown = [role for role in self.columns if role not in ROLES]
        if unknown:
            raise UsageError(f"a table has no column '{unknown[0]}'; it may have {', '.join(ROLES)}")
        lacking = [role for role in ("chrom", "start") if role not in self.columns]
        if lacking:
            raise UsageError(f"a table needs the columns chrom and start, and here is no '{lacking[0]}'")
        bad = [name for name in self.columns.values() if isinstance(name, int) and name < 1]
        if bad:
            raise UsageError(f"columns are counted from 1, found {bad[0]}")

    @property
    def has_counts(self) -> bool:
        """Whether the calls of each position can be told: how many are modified, of how many."""
        known = self.columns.keys()
        return ("modified" in known and bool({"valid", "unmodified"} & known)) or (
            "valid" in known and bool({"fraction", "percent"} & known)
        )


def unpacked_name(path: Path) -> str:
    """Return a file's name as one looks at how it ends: in small letters, without what compression adds."""
    return path.name.lower().removesuffix(".gz").removesuffix(".bgz")


def guess_kind(path: Path) -> str | None:
    """Return the kind of table that a file's name stands for, or None."""
    name = unpacked_name(path)
    if name.startswith("allc_") and name.endswith(".tsv"):
        return "allc"
    ending = [suffix for suffix in SUFFIXES if name.endswith(suffix)]
    return _SUFFIXES[max(ending, key=len)] if ending else None


def guess_format(path: Path) -> TableFormat:
    """Return the format that a file's name stands for. Raises UsageError that lists what is known."""
    kind = guess_kind(path)
    if kind is not None:
        return TableFormat(kind)
    raise UsageError(
        f"{path}: its name does not say what it holds; known are {', '.join(_SUFFIXES)} (each also .gz); "
        "name the format, or 'table' and its columns"
    )
