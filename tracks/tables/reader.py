"""Rows of a text table in blocks of bounded size, each with its line number.

pandas parses a block at once; only where it stumbles are the lines looked at one by one, to name the one at fault.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import numpy as np

from tracks.errors import TracksError, UsageError, first_few

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tracks.tables.formats import TableFormat

_BLOCK = 1 << 22
_MISSING = ("", ".", "NA", "NaN", "nan", "NAN", "N/A")
_NUMBERS: dict[str, str] = {
    "value": "a number",
    "fraction": "a number from 0 to 1",
    "percent": "a number from 0 to 100",
}
_WHOLE: dict[str, str] = {
    "start": "a whole number (its position)",
    "end": "a whole number (its end)",
    "modified": "a whole number of modified calls",
    "unmodified": "a whole number of unmodified calls",
    "valid": "a whole number of calls",
}
_SKIPPED = (b"#", b"track", b"browser", b"\n", b"\r")


@dataclass(frozen=True, eq=False)
class Words:
    """A column of text: its different words, and which of them each row has (``codes`` int ``[n]``)."""

    words: tuple[str, ...]
    codes: np.ndarray


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows of a table, in its order: ``lines`` int64 ``[n]`` (from 1), numbers by role (int64, or float64 with
    NaN for a missing one), and text by role. ``starts`` is 0-based whatever the table counts from, ends half-open."""

    lines: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    numbers: dict[str, np.ndarray]
    text: dict[str, Words]

    def take(self, kept: np.ndarray) -> Block:
        """Return some of the rows."""
        return Block(
            self.lines[kept],
            self.starts[kept],
            self.ends[kept],
            {role: column[kept] for role, column in self.numbers.items()},
            {role: Words(column.words, column.codes[kept]) for role, column in self.text.items()},
        )


def read_blocks(path: Path, table: TableFormat, roles: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Block]:
    """Yield the rows of a table with those columns of some roles that its format has; ``optional`` ones are left out
    where the first row is too short. Chromosome, start and end are always read. Comments (``#``), ``track`` and
    ``browser`` lines, blank lines and a header line are no rows.

    Raises UsageError when there is no such file or a line is wrong (it is named), TracksError when it cannot be read
    or is a truncated gzip file.
    """
    layout: _Layout | None = None
    for first_line, data in _lines(path):
        number = first_line
        if layout is None:
            found = _layout(path, table, roles, optional, first_line, data)
            if found is None:
                continue
            layout, at, number = found
            data = data[at:]
        block = _parsed(layout, number, data)
        if block is not None:
            yield block
    if layout is None:
        raise UsageError(f"{path} holds no rows")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Whole lines of a file, some megabytes at a time, with the number of the first."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with _opened(path, packed) as file:
            rest, line = b"", 1
            while data := file.read(_BLOCK):
                data = rest + data.removeprefix(b"\xef\xbb\xbf") if line == 1 and not rest else rest + data
                end = data.rfind(b"\n") + 1
                rest = data[end:]
                if len(rest) > _BLOCK:
                    raise UsageError(f"{path}, line {line}: it has no end; this is no text table")
                if end:
                    yield line, data[:end]
                    line += data.count(b"\n", 0, end)
            if rest:
                yield line, rest
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {path}") from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise TracksError(f"cannot read {path}: {reason}") from error


def _opened(path: Path, packed: bool) -> IO[bytes]:
    return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value]


@dataclass(frozen=True)
class _Layout:
    """How the lines of one file are split, and the place of each role's column, from 0."""

    path: Path
    columns: dict[str, int]
    separator: str | None
    quoted: bool
    one_based: bool

    def split(self, line: str) -> list[str]:
        return [field.strip() for field in line.split(self.separator)]


def _layout(
    path: Path, table: TableFormat, roles: Sequence[str], optional: Sequence[str], line: int, data: bytes
) -> tuple[_Layout, int, int] | None:
    """Look at the first lines: the layout, where rows start in the data, and the number of their first line."""
    names = [column for column in table.columns.values() if isinstance(column, str)]
    header: list[str] = []
    at = 0
    for raw in data.splitlines(keepends=True):
        skipped = _is_skipped(raw)
        text = raw.decode(errors="replace").strip("\r\n")
        fields, separator = _split(text.lstrip("#").strip() if skipped else text, table)
        if names and not header and (not skipped or set(names) <= set(fields)):
            _check_header(path, line, table, fields)
            header = fields
        elif not skipped and not _looks_like_header(fields, table):
            columns = _places(path, line, table, roles, optional, fields, header)
            return _Layout(path, columns, separator, table.kind == "table", not table.zero_based), at, line
        at, line = at + len(raw), line + 1
    return None


def _is_skipped(raw: bytes) -> bool:
    words = raw.split(None, 1)
    return not words or raw.startswith(b"#") or words[0] in (b"track", b"browser")


def _split(text: str, table: TableFormat) -> tuple[list[str], str | None]:
    # modkit separated its last columns by spaces for long, and no field of a bedMethyl is empty.
    separator = "\t" if "\t" in text and table.kind != "bedmethyl" else None
    if separator is None and table.kind == "table" and "," in text:
        separator = ","
    fields = [field.strip() for field in text.split(separator)]
    return [field.strip('"') for field in fields] if table.kind == "table" else fields, separator


def _check_header(path: Path, line: int, table: TableFormat, header: list[str]) -> None:
    for role, name in table.columns.items():
        if isinstance(name, str) and name not in header:
            raise UsageError(
                f"{path}, line {line}: its header names no column '{name}' (for {role}); it has {first_few(header, 12)}"
            )


def _looks_like_header(fields: list[str], table: TableFormat) -> bool:
    start = table.columns["start"]
    return isinstance(start, int) and len(fields) >= start and re.match("[A-Za-z_]", fields[start - 1]) is not None


def _places(
    path: Path,
    line: int,
    table: TableFormat,
    roles: Sequence[str],
    optional: Sequence[str],
    fields: list[str],
    header: list[str],
) -> dict[str, int]:
    places: dict[str, int] = {}
    for role, column in table.columns.items():
        if role not in ("chrom", "start", "end", *roles):
            continue
        # R writes row names under no heading of their own.
        place = header.index(column) + (len(fields) == len(header) + 1) if isinstance(column, str) else column - 1
        if place < len(fields):
            places[role] = place
        elif role not in optional:
            raise UsageError(
                f"{path}, line {line}: its {role} should be in column {column}, and there are {len(fields)} columns"
            )
    return places


def _parsed(layout: _Layout, number: int, data: bytes) -> Block | None:
    lines = None
    if data.startswith(_SKIPPED) or any(b"\n" + start in data for start in _SKIPPED):
        data, lines = _without_skipped(data)
    try:
        return _frame(layout, number, data, lines)
    except (ValueError, OverflowError) as error:  # pandas' errors are ValueErrors
        if lines is None:
            data, lines = _without_skipped(data)  # lines of spaces alone
        _name_fault(layout, number, data, lines)
        try:
            return _frame(layout, number, data, lines)
        except (ValueError, OverflowError):
            raise UsageError(
                f"{layout.path}, from line {number} on: it is no table of this format ({error})"
            ) from error


def _without_skipped(data: bytes) -> tuple[bytes, np.ndarray]:
    """Leave out what is no row; also the place of each row among the lines, from 0."""
    kept = [(at, raw) for at, raw in enumerate(data.splitlines(keepends=True)) if not _is_skipped(raw)]
    return b"".join(raw for _, raw in kept), np.array([at for at, _ in kept], np.int64)


def _frame(layout: _Layout, number: int, data: bytes, lines: np.ndarray | None) -> Block | None:
    if not data.strip():
        return None
    # It takes a third of a second to load, which a command without text tables is spared.
    import pandas as pd

    by_place = {place: role for role, place in layout.columns.items()}
    types = {
        place: "float64" if r in _NUMBERS else "int64" if r in _WHOLE else "category" for place, r in by_place.items()
    }
    frame = pd.read_csv(
        io.BytesIO(data.replace(b'"', b"") if layout.quoted else data),
        sep=layout.separator or r"\s+",
        header=None,
        usecols=sorted(by_place),
        dtype=types,
        quoting=csv.QUOTE_NONE,
        keep_default_na=False,
        na_values={place: list(_MISSING) for place, role in by_place.items() if role in _NUMBERS},
        skip_blank_lines=False,
        low_memory=False,
        encoding_errors="replace",
        float_precision="high",
    )
    lines = np.arange(len(frame)) if lines is None else lines
    if len(lines) != len(frame):
        raise ValueError("its lines cannot be told apart")
    numbers: dict[str, np.ndarray] = {}
    text: dict[str, Words] = {}
    for place, role in by_place.items():
        column = frame[place]
        if role in _NUMBERS or role in _WHOLE:
            numbers[role] = column.to_numpy()
        else:
            codes = column.cat.codes.to_numpy()
            if (codes < 0).any():
                raise ValueError("a line is too short")
            text[role] = Words(tuple(str(word) for word in column.cat.categories), codes)
    block = Block(lines + number, *_spans(layout, numbers), numbers, text)
    _check_numbers(layout, block, data)
    return block


def _spans(layout: _Layout, numbers: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    starts = numbers.pop("start") - layout.one_based
    return starts, numbers.pop("end") if "end" in numbers else starts + 1


def _check_numbers(layout: _Layout, block: Block, data: bytes) -> None:
    first = int(layout.one_based)
    _refuse(layout, block, block.starts < 0, block.starts + first, f"positions are counted from {first}, found")
    _refuse(layout, block, block.ends <= block.starts, block.ends, "its end is not behind its start, found end")
    for role, column in block.numbers.items():
        if role in _WHOLE:
            _refuse(layout, block, column < 0, column, f"{role} is a count of calls, found")
        else:
            _refuse(layout, block, np.isinf(column) | (abs(column) > np.finfo(np.float32).max), column,
                    f"its {role} is not finite, found")  # fmt: skip
            if np.isnan(column).any():
                _check_missing(layout, block, role, np.isnan(column), data)
        if role in ("fraction", "percent"):
            most = 1 if role == "fraction" else 100
            _refuse(layout, block, (column < 0) | (column > most), column, f"a {role} is from 0 to {most}, found")


def _refuse(layout: _Layout, block: Block, bad: np.ndarray, column: np.ndarray, what: str) -> None:
    if bad.any():
        at = int(bad.argmax())
        raise UsageError(f"{layout.path}, line {block.lines[at]}: {what} {column[at]:,}")


def _check_missing(layout: _Layout, block: Block, role: str, missing: np.ndarray, data: bytes) -> None:
    """A missing number is written as such; a line that is too short lacks it otherwise."""
    rows = data.splitlines()
    for at in np.flatnonzero(missing):
        if len(layout.split(rows[at].decode(errors="replace"))) <= layout.columns[role]:
            raise UsageError(
                f"{layout.path}, line {block.lines[at]}: it needs {_NUMBERS[role]} in column "
                f"{layout.columns[role] + 1}, and has fewer columns"
            )


def _name_fault(layout: _Layout, number: int, data: bytes, lines: np.ndarray) -> None:
    """Find the line that cannot be parsed, and say what is wrong with it."""
    for at, raw in zip(lines, data.splitlines(), strict=True):
        where = f"{layout.path}, line {number + at}"
        text = raw.decode(errors="replace")
        fields = layout.split(text.replace('"', "") if layout.quoted else text)
        for role, place in sorted(layout.columns.items(), key=lambda column: column[1]):
            if place >= len(fields):
                raise UsageError(
                    f"{where}: it needs at least {max(layout.columns.values()) + 1} columns, found {len(fields)}"
                )
            field = fields[place]
            if role in _WHOLE and not (_is_number(field) and abs(float(field)) < 1e18 and float(field).is_integer()):
                raise UsageError(f"{where}: it needs {_WHOLE[role]} in column {place + 1}, found '{field[:40]}'")
            if role in _NUMBERS and field not in _MISSING and not _is_number(field):
                raise UsageError(f"{where}: it needs {_NUMBERS[role]} in column {place + 1}, found '{field[:40]}'")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
