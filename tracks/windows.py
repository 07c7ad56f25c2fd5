"""Windows named by a BED file, one a line, as the published data sets have them (``sequences.bed``).

They lie off the grid. The line's number, from 0, is the row of every HDF5 file that goes with the BED file
(facts/cs282a.md section 2).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from tracks.errors import TracksError, UsageError
from tracks.grid import BIN, FLANK, INPUT, WINDOW, input_span
from tracks.regions import Region, join_spans
from tracks.split import Fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tracks.split import Block

_SHIFT = BIN // 2
"""Training shifts a window by up to this many bases, and must not leave its block."""

Scope = Literal["bins", "window"]
"""Whether there is a value for each 128-bp bin of a window, or one for all of it."""


@dataclass(frozen=True)
class WindowRow:
    """One window: its input is ``[start, start + 131072)``, which may leave the chromosome; its bins lie 8,192 bp
    inside."""

    chrom: str
    start: int
    fold: Fold

    @property
    def end(self) -> int:
        """The first base after the input."""
        return self.start + INPUT

    @property
    def bins_region(self) -> Region:
        """The central 114,688 bp, which the 896 bins cover."""
        return Region(self.chrom, self.start + FLANK, self.start + FLANK + WINDOW)


def read_windows(path: Path) -> tuple[WindowRow, ...]:
    """Read windows: BED with 131,072 bp in each line and the fold (train, valid or test) in column 4.

    Raises UsageError when there is no such file, TracksError naming a line that is not right.
    """
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError as error:
        raise UsageError(f"there is no BED file {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise TracksError(f"cannot read the windows {path}: {error}") from error
    rows = []
    for number, line in enumerate(lines, 1):
        fields = line.split("\t")
        spans = len(fields) > 3 and all(re.fullmatch("[0-9]{1,18}", field) for field in fields[1:3])
        if not spans or fields[3] not in get_args(Fold):
            raise TracksError(
                f"{path}, line {number}: it needs chromosome, start, end, train|valid|test; found '{line}'"
            )
        start, end = int(fields[1]), int(fields[2])
        if end - start != INPUT:
            raise TracksError(f"{path}, line {number}: a window has {INPUT:,} bases, this one {end - start:,}")
        fold: Fold = fields[3]  # type: ignore[assignment]
        rows.append(WindowRow(fields[0], start, fold))
    if not rows:
        raise TracksError(f"{path} holds no windows")
    return tuple(rows)


def windows_text(rows: Iterable[WindowRow]) -> str:
    """Return windows as ``read_windows`` reads them."""
    return "".join(f"{row.chrom}\t{row.start}\t{row.end}\t{row.fold}\n" for row in rows)


def overlaps_with_training(
    windows: Iterable[WindowRow], blocks: Iterable[Block]
) -> Iterator[tuple[WindowRow, tuple[int, int]]]:
    """Yield the windows whose input overlaps a train block, each with the first span of blocks, joined where they
    touch, that it overlaps."""
    seen: dict[str, list[tuple[int, int]]] = {}
    for block in blocks:
        if block.fold == "train":
            seen.setdefault(block.region.chrom, []).append((block.region.start, block.region.end))
    joined = {chrom: join_spans(spans) for chrom, spans in seen.items()}
    for window in windows:
        spans = joined.get(window.chrom, [])
        at = bisect_right(spans, window.start, key=lambda span: span[1])
        if at < len(spans) and spans[at][0] < window.end:
            yield window, spans[at]


def check_stride(stride: int) -> None:
    """Raise UsageError unless windows so many bases apart all start on a bin."""
    if stride < BIN or stride % BIN:
        raise UsageError(f"training windows start on a bin: a stride of {stride} is no multiple of {BIN}")


def windows_of(block: Block, stride: int) -> list[WindowRow]:
    """Return the windows of a block: on the grid and inside its scored part, or every ``stride`` bases, from a bin's
    edge on, where it trains."""
    region = block.region
    if block.fold == "train":
        first = -(-(region.start + _SHIFT) // BIN) * BIN
        starts = range(first, region.end - INPUT - _SHIFT + 1, stride)
        return [WindowRow(region.chrom, start, "train") for start in starts]
    scored = block.scored()
    if scored is None:
        return []
    indices = range(-(-scored.start // WINDOW), scored.end // WINDOW)
    return [WindowRow(region.chrom, input_span(index)[0], block.fold) for index in indices]
