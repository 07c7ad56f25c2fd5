"""Rows of text files as intervals, in batches, with all their columns."""

from __future__ import annotations

import gzip
import io
import itertools
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracks.errors import TracksError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tracks.liftover.layouts import Layout

_BATCH = 1 << 16
_HINT = " (a bedMethyl is lifted with --format bedmethyl)"
_THICK, _BLOCKS = 8, 12
"""Columns of a BED file that has thick parts, and of one that has blocks."""


@dataclass(frozen=True, eq=False)
class Rows:
    """A batch of rows of one chromosome (``chrom``: as the file has it).

    ``fields`` are the columns of each row. ``of`` int64 ``[n]`` says which row an interval is of (a BED row with blocks
    has one for each), ``starts`` and ``ends`` int64 ``[n]`` where it is, ``thick_starts`` and ``thick_ends`` likewise
    the part that is drawn thick, or a peak's summit (equal where there is none).
    """

    chrom: str
    fields: list[list[str]]
    of: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    thick_starts: np.ndarray
    thick_ends: np.ndarray


class RowFile:
    """A text file of rows, plain or gzip, which may be read several times. ``header`` are the lines before its rows
    (comments, ``track`` and ``browser`` lines, names of columns).

    Raises UsageError that names the line when one is wrong, TracksError when the file cannot be read.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path, self.layout = path, layout
        self.header: list[str] = []
        for number, line in self._lines():
            fields = _split(line)
            names = layout.sites and not any(map(_is_data, self.header)) and len(fields) >= layout.columns
            if _is_data(line) and not (names and not fields[layout.start].lstrip("-").isdecimal()):
                self._first, self._columns = number, len(fields)
                break
            self.header.append(line)
        else:
            raise UsageError(f"{path} holds no rows")

    def _lines(self, progress: Callable[[int, int], None] = lambda done, total: None) -> Iterator[tuple[int, str]]:
        """Number and text of each line that is not blank."""
        try:
            size = self.path.stat().st_size
            with self.path.open("rb") as raw:
                zipped = raw.read(2) == b"\x1f\x8b"
                raw.seek(0)
                with io.TextIOWrapper(gzip.GzipFile(fileobj=raw) if zipped else raw, encoding="utf-8-sig") as text:
                    for number, line in enumerate(text, 1):
                        if number % _BATCH == 0:
                            progress(raw.tell(), size)
                        if not line.isspace():
                            yield number, line.rstrip("\r\n")
            progress(size, size)
        except FileNotFoundError as error:
            raise UsageError(f"there is no file {self.path}") from error
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise TracksError(f"cannot read {self.path}: {reason}") from error

    def batches(self, progress: Callable[[int, int], None]) -> Iterator[Rows]:
        """Yield all rows: those of a batch by chromosome, each in the order of the file."""
        lines = ((number, line) for number, line in self._lines(progress) if number >= self._first and _is_data(line))
        while batch := list(itertools.islice(lines, _BATCH)):
            numbers, fields = [number for number, _ in batch], [_split(line) for _, line in batch]
            starts, ends = self._spans(numbers, fields)
            by_chrom: dict[str, list[int]] = {}
            for at, row in enumerate(fields):
                by_chrom.setdefault(row[self.layout.chrom], []).append(at)
            for chrom, chosen in by_chrom.items():
                yield self._rows(
                    chrom,
                    [numbers[at] for at in chosen],
                    [fields[at] for at in chosen],
                    starts[np.array(chosen)],
                    ends[np.array(chosen)],
                )

    def _wrong(self, number: int, what: str) -> UsageError:
        return UsageError(f"{self.path}, line {number}: {what}")

    def _spans(self, numbers: list[int], fields: list[list[str]]) -> tuple[np.ndarray, np.ndarray]:
        layout = self.layout
        for number, row in zip(numbers, fields, strict=True):
            if len(row) != self._columns or len(row) < layout.columns:
                needed = max(layout.columns, self._columns)
                raise self._wrong(number, f"a {layout.name} line has {needed} columns here, found {len(row)}")
        starts = self._whole(numbers, fields, layout.start) - layout.first
        ends = starts + 1 if layout.end is None else self._whole(numbers, fields, layout.end)
        wrong = (starts < 0) | (ends <= starts)
        if layout.sites:
            wrong |= ends > starts + 2
        if wrong.any():
            at = int(np.argmax(wrong))
            expected = "a single base or a CpG" if layout.sites else "at least one base, from 0 on"
            found = "\t".join(fields[at])[:60]
            raise self._wrong(numbers[at], f"a row of {layout.name} holds {expected}, found {found!r}")
        return starts, ends

    def _whole(self, numbers: list[int], fields: list[list[str]], column: int) -> np.ndarray:
        try:
            return np.array([int(row[column]) for row in fields], np.int64)
        except (ValueError, OverflowError):
            for number, row in zip(numbers, fields, strict=True):
                if not row[column].isdecimal() or len(row[column]) > 18:
                    what = f"column {column + 1} must be a whole number, found {row[column]!r}"
                    raise self._wrong(number, what) from None
            raise

    def _rows(
        self, chrom: str, numbers: list[int], fields: list[list[str]], starts: np.ndarray, ends: np.ndarray
    ) -> Rows:
        of = np.arange(len(fields))
        thick_starts = thick_ends = starts
        if self.layout.thick and self._columns >= _THICK:
            thick_starts = self._whole(numbers, fields, 6)
            thick_ends = self._whole(numbers, fields, 7)
        if self.layout.summit is not None and self._columns > self.layout.summit:
            summits = np.array([_summit(row[self.layout.summit]) for row in fields], np.int64)
            thick_starts = starts + np.maximum(summits, 0)
            thick_ends = thick_starts + (summits >= 0)
        if self.layout.thick and self._columns >= _BLOCKS:
            sizes, offsets = ([_numbers(row[column]) for row in fields] for column in (10, 11))
            for at, row in enumerate(fields):
                ok = row[9].isdecimal() and int(row[9]) == len(sizes[at]) == len(offsets[at]) > 0
                if not ok or min(sizes[at]) < 1 or min(offsets[at]) < 0:
                    raise self._wrong(
                        numbers[at],
                        f"columns 10 to 12 do not list blocks: {' '.join(row[9:12])[:60]!r}{_HINT}",
                    )
            of = np.repeat(of, [len(row) for row in sizes])
            starts = starts[of] + np.array([offset for row in offsets for offset in row], np.int64)
            past = starts + np.array([size for row in sizes for size in row], np.int64) > ends[of]
            if past.any():
                raise self._wrong(numbers[of[np.argmax(past)]], "a block goes on past the end of its row")
            ends = starts + np.array([size for row in sizes for size in row], np.int64)
            thick_starts, thick_ends = thick_starts[of], thick_ends[of]
        return Rows(chrom, fields, of, starts, ends, thick_starts, thick_ends)


def _split(line: str) -> list[str]:
    return line.split("\t") if "\t" in line else line.split()


def _is_data(line: str) -> bool:
    return not line.startswith("#") and line.split(None, 1)[0] not in ("track", "browser")


def _numbers(text: str) -> list[int]:
    """The numbers of a list like ``10,20,``; nothing where it is no such list."""
    words = text.removesuffix(",").split(",")
    return [int(word) for word in words] if all(word.isdecimal() for word in words) else []


def _summit(text: str) -> int:
    return int(text) if text.isdecimal() else -1
