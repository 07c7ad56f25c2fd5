"""UCSC chain files: which stretches of one genome build lie where in another (genome.ucsc.edu/goldenPath/help/chain).

A chain's *source* is what the format calls target or reference (always on the forward strand), and its *target* what
the format calls query: one lifts from source to target. Coordinates here are 0-based half-open, on forward strands.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tracks.errors import TracksError, UsageError
from tracks.liftover.segments import Segments

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PIECE = 1 << 23
"""Bytes of text that are read at a time."""
_MOST_DIGITS = 15


@dataclass(frozen=True, eq=False)
class Blocks:
    """Stretches without gaps of one source chromosome, by start; they may overlap where chains do.

    ``starts``, ``ends``: int64 ``[n]`` on the source. ``targets``: int32 ``[n]``, which of the chains' target
    chromosomes; ``target_starts`` int64 ``[n]`` there; ``reverse`` bool ``[n]``: turned round. ``scores`` and ``ids``
    int64 ``[n]`` are the chain's.
    """

    starts: np.ndarray
    ends: np.ndarray
    targets: np.ndarray
    target_starts: np.ndarray
    reverse: np.ndarray
    scores: np.ndarray
    ids: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def segments(self) -> Segments:
        """The chromosome cut at the blocks' edges."""
        return Segments.of(self.starts, self.ends)


@dataclass(frozen=True, eq=False)
class Chains:
    """The chains of a file: ``blocks`` by source chromosome, and all chromosome lengths of both builds that they name.

    ``name`` is what messages call it.
    """

    name: str
    source_sizes: dict[str, int]
    target_sizes: dict[str, int]
    blocks: dict[str, Blocks]

    def inverted(self) -> Chains:
        """Return the chains from target to source. What several source bases map to is then mapped several times."""
        sources = list(self.blocks)
        owner = np.repeat(np.arange(len(sources)), [len(blocks) for blocks in self.blocks.values()])
        whole = _concatenated(list(self.blocks.values()))
        numbers = {chrom: at for at, chrom in enumerate(self.source_sizes)}
        swapped = Blocks(
            whole.target_starts,
            whole.target_starts + (whole.ends - whole.starts),
            np.array([numbers[chrom] for chrom in sources], np.int32)[owner],
            whole.starts,
            whole.reverse,
            whole.scores,
            whole.ids,
        )
        by_chrom = _by_chrom(list(self.target_sizes), whole.targets, swapped)
        return Chains(f"{self.name} (inverted)", self.target_sizes, self.source_sizes, by_chrom)


def _concatenated(parts: list[Blocks]) -> Blocks:
    names = list(Blocks.__dataclass_fields__)
    return Blocks(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _by_chrom(chroms: list[str], owner: np.ndarray, blocks: Blocks) -> dict[str, Blocks]:
    """Blocks of each chromosome by start; ``owner`` int ``[n]`` says which chromosome each is of."""
    order = np.lexsort((blocks.starts, owner))
    columns = [getattr(blocks, name)[order] for name in Blocks.__dataclass_fields__]
    bounds = np.searchsorted(owner[order], np.arange(len(chroms) + 1))
    return {
        chrom: Blocks(*(column[first:last] for column in columns))
        for chrom, first, last in zip(chroms, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
        if first < last
    }


def read_chains(path: Path) -> Chains:
    """Read a chain file, plain or gzip.

    Raises UsageError when there is no such file, TracksError that names the line when it is no chain file, its blocks
    do not add up, or a chromosome has two lengths, and when it ends too early.
    """
    reading = _Reading(path)
    try:
        for piece in _pieces(path):
            reading.add(piece)
    except FileNotFoundError as error:
        raise UsageError(f"there is no chain file {path}") from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise TracksError(f"cannot read the chain file {path}: {reason}") from error
    return reading.chains()


def _pieces(path: Path) -> Iterator[bytes]:
    """Yield the text in pieces of whole chains."""
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
    rest = b""
    with gzip.open(path) if zipped else path.open("rb") as file:
        while more := file.read(_PIECE):
            rest += more
            whole = rest.rfind(b"\nchain") + 1
            yield rest[:whole]
            rest = rest[whole:]
    yield rest


@dataclass(frozen=True)
class _Header:
    line: int
    score: int
    source: str
    source_size: int
    source_start: int
    source_end: int
    target: str
    target_size: int
    reverse: bool
    target_start: int
    target_end: int
    id: int


class _Reading:
    """What was read of a chain file so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = 0
        self._source_sizes: dict[str, int] = {}
        self._target_sizes: dict[str, int] = {}
        self._owners: list[np.ndarray] = []
        self._parts: list[Blocks] = []

    def chains(self) -> Chains:
        if not self._parts:
            raise TracksError(f"cannot read the chain file {self._path}: it holds no chain")
        by_chrom = _by_chrom(list(self._source_sizes), np.concatenate(self._owners), _concatenated(self._parts))
        return Chains(str(self._path), self._source_sizes, self._target_sizes, by_chrom)

    def _wrong(self, line: int, what: str) -> TracksError:
        """``line`` counts from 0 within the piece."""
        return TracksError(f"cannot read the chain file {self._path}, line {self._lines + line + 1}: {what}")

    def add(self, piece: bytes) -> None:
        if not piece.strip():
            self._lines += piece.count(b"\n")
            return
        piece = piece if piece.endswith(b"\n") else piece + b"\n"
        text = np.frombuffer(piece, np.uint8)
        ends = np.flatnonzero(text == ord("\n"))
        starts = np.concatenate([[0], ends[:-1] + 1])
        at_header = np.flatnonzero(text[starts] == ord("c"))
        headers = [self._header(line, piece[starts[line] : ends[line]]) for line in at_header.tolist()]
        numbers = text.copy()
        for line in np.flatnonzero((text[starts] == ord("c")) | (text[starts] == ord("#"))).tolist():
            numbers[starts[line] : ends[line]] = ord(" ")
        lines, sizes, source_gaps, target_gaps = self._rows(numbers, ends)
        if len(headers):
            self._keep(headers, at_header, lines, sizes, source_gaps, target_gaps)
        elif len(lines):
            raise self._wrong(int(lines[0]), "it lies outside a chain; is this a chain file?")
        self._lines += len(ends)

    def _header(self, line: int, text: bytes) -> _Header:
        shown = text.decode(errors="replace").strip()
        fields = shown.split()
        if len(fields) not in (12, 13) or fields[0] != "chain" or fields[4] != "+" or fields[9] not in ("+", "-"):
            raise self._wrong(
                line,
                "a chain starts with: chain, score, name, length, +, start, end, name, length, + or -, start, end, id; "
                f"found {shown[:80]!r}",
            )
        try:
            # Scores are whole numbers in UCSC's files; some tools write them with a fraction, or a text as id.
            score = int(float(fields[1]))
            source_size, source_start, source_end = (int(fields[at]) for at in (3, 5, 6))
            target_size, target_start, target_end = (int(fields[at]) for at in (8, 10, 11))
            number = int(fields[12]) if len(fields) == 13 and fields[12].isdecimal() else -1
        except (ValueError, OverflowError) as error:
            raise self._wrong(line, f"a number of the chain is none: {error}") from error
        for chrom, size, start, end in (
            (fields[2], source_size, source_start, source_end),
            (fields[7], target_size, target_start, target_end),
        ):
            if not 0 <= start < end <= size:
                raise self._wrong(line, f"the chain's span of {chrom}, {start} to {end}, leaves its {size} bases")
        for sizes, chrom, size in (
            (self._source_sizes, fields[2], source_size),
            (self._target_sizes, fields[7], target_size),
        ):
            if sizes.setdefault(chrom, size) != size:
                raise self._wrong(line, f"{chrom} has {size:,} bases here, and {sizes[chrom]:,} in another chain")
        return _Header(
            line, score, fields[2], source_size, source_start, source_end,
            fields[7], target_size, fields[9] == "-", target_start, target_end, number,
        )  # fmt: skip

    def _rows(self, text: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Read lines of one or three numbers: the line of each row, its size, and its gaps on the source and the
        target (int64 ``[n]``; -1 in the last row of a chain, which has no gaps)."""
        digit = (text >= ord("0")) & (text <= ord("9"))
        strange = ~digit & (text != ord("\n")) & (text != ord(" ")) & (text != ord("\t")) & (text != ord("\r"))
        if strange.any():
            line = int(np.searchsorted(ends, np.flatnonzero(strange)[0]))
            shown = text[ends[line - 1] + 1 if line else 0 : ends[line]][:60].tobytes().decode(errors="replace")
            raise self._wrong(line, f"a line of a chain holds one or three numbers, found {shown!r}")
        changes = np.flatnonzero(np.diff(digit.astype(np.int8), prepend=0))
        first, after = changes[::2], changes[1::2]
        lengths = after - first
        lines = np.searchsorted(ends, first)
        if (lengths > _MOST_DIGITS).any():
            raise self._wrong(int(lines[np.argmax(lengths)]), "a number is too long")
        values = np.zeros(len(first), np.int64)
        for place in range(int(lengths.max(initial=0))):
            more = lengths > place
            values[more] = values[more] * 10 + (text[first[more] + place] - ord("0"))
        rows, begins, counts = np.unique(lines, return_index=True, return_counts=True)
        odd = (counts != 1) & (counts != 3)
        if odd.any():
            at = int(np.argmax(odd))
            raise self._wrong(int(rows[at]), f"a line of a chain holds one or three numbers, found {counts[at]}")
        gaps = np.full((2, len(rows)), -1, np.int64)
        inner = counts == 3
        gaps[:, inner] = values[begins[inner] + 1], values[begins[inner] + 2]
        return rows, values[begins], gaps[0], gaps[1]

    def _keep(
        self,
        headers: list[_Header],
        at_header: np.ndarray,
        lines: np.ndarray,
        sizes: np.ndarray,
        source_gaps: np.ndarray,
        target_gaps: np.ndarray,
    ) -> None:
        """Turn the rows of whole chains to blocks, and check that they add up."""
        chain = np.searchsorted(at_header, lines) - 1
        if len(chain) and chain[0] < 0:
            raise self._wrong(int(lines[0]), "it lies outside a chain; is this a chain file?")
        counts = np.bincount(chain, minlength=len(headers))
        last = np.cumsum(counts) - 1
        ending = np.zeros(len(lines), bool)
        ending[last[counts > 0]] = True
        wrong = ending != (source_gaps < 0)
        if wrong.any() or (counts == 0).any():
            line = lines[np.argmax(wrong)] if wrong.any() else at_header[np.argmin(counts)]
            raise self._wrong(int(line), "a chain ends with one line of a single number; the file may be cut off")
        source_gaps, target_gaps = np.maximum(source_gaps, 0), np.maximum(target_gaps, 0)

        def column(name: str) -> np.ndarray:
            return np.array([getattr(header, name) for header in headers])

        def reached(start: str, gaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            """Where each block starts, and where each chain ends."""
            before = np.cumsum(sizes + gaps) - (sizes + gaps)
            starts = column(start)[chain] + before - before[last - counts + 1][chain]
            return starts, (starts + sizes)[last]

        starts, source_ends = reached("source_start", source_gaps)
        target_starts, target_ends = reached("target_start", target_gaps)
        for found, said, what in (
            (source_ends, column("source_end"), "first chromosome"),
            (target_ends, column("target_end"), "second chromosome"),
        ):
            if (found != said).any():
                at = int(np.argmax(found != said))
                raise self._wrong(
                    headers[at].line,
                    f"the blocks of the chain end at {found[at]} of its {what}, its first line says {said[at]}",
                )
        reverse = column("reverse")[chain]
        forward_starts = np.where(reverse, column("target_size")[chain] - target_starts - sizes, target_starts)
        source_numbers = {chrom: at for at, chrom in enumerate(self._source_sizes)}
        target_numbers = {chrom: at for at, chrom in enumerate(self._target_sizes)}
        owner = np.array([source_numbers[header.source] for header in headers], np.int32)[chain]
        targets = np.array([target_numbers[header.target] for header in headers], np.int32)[chain]
        columns = (
            starts,
            starts + sizes,
            targets,
            forward_starts,
            reverse,
            column("score")[chain],
            column("id")[chain],
        )
        some = sizes > 0
        self._owners.append(owner[some])
        self._parts.append(Blocks(*(values[some] for values in columns)))
