"""Text tables to bigWig files: signals, intervals, and counts of calls by position."""

from __future__ import annotations

import itertools
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np

from tracks.bigwig_writer import BigWigWriter, cut
from tracks.chroms import match_chroms, plain_name
from tracks.errors import TracksError, UsageError, first_few
from tracks.files import written_beside
from tracks.runs import union
from tracks.tables.reader import read_blocks
from tracks.tables.row_spool import TILE, RowSpool

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tracks.tables.formats import TableFormat
    from tracks.tables.reader import Block, Words

_RUN = np.dtype([("start", "<u4"), ("end", "<u4"), ("value", "<f4")])
_SPAN = np.dtype([("start", "<u4"), ("end", "<u4")])
_CALLS = np.dtype([("start", "<u4"), ("modified", "<u4"), ("valid", "<u4")])
_PIECE = 1 << 17


class _Chroms:
    """The chromosomes of one table: the genome's number for each row, and what is to be noted in the end."""

    def __init__(self, path: Path, genome_sizes: Mapping[str, int]) -> None:
        self._path, self._sizes = path, genome_sizes
        self._numbers = {chrom: at for at, chrom in enumerate(genome_sizes)}
        self._of_plain = {plain_name(chrom): at for chrom, at in self._numbers.items()}
        self._names = list(genome_sizes)
        self._lengths = np.array(list(genome_sizes.values()), np.int64)
        self._seen: dict[str, int] = {}

    def known(self, block: Block) -> tuple[Block, np.ndarray]:
        """Return the rows on chromosomes that the genome has, and the number of the chromosome of each, int64."""
        words = block.text["chrom"]
        counts = np.bincount(words.codes, minlength=len(words.words))
        for word, count in zip(words.words, counts.tolist(), strict=True):
            if count:
                self._seen[word] = self._seen.get(word, 0) + count
        numbers = np.array([self._number(word) for word in words.words], np.int64)[words.codes]
        if (numbers < 0).any():
            block, numbers = block.take(numbers >= 0), numbers[numbers >= 0]
        self._check_ends(block, numbers)
        return block, numbers

    def _number(self, word: str) -> int:
        return self._numbers.get(word, self._of_plain.get(plain_name(word), -1))

    def _check_ends(self, block: Block, numbers: np.ndarray) -> None:
        past = block.ends > self._lengths[numbers]
        if past.any():
            at = int(past.argmax())
            raise UsageError(
                f"{self._path}, line {block.lines[at]}: its end {block.ends[at]:,} is past the end of "
                f"{self._names[numbers[at]]}, which has {self._lengths[numbers[at]]:,} bases: "
                "the table is of another genome build"
            )

    def notes(self) -> list[str]:
        """Say which names were taken for others and which were skipped. Raises UsageError as ``match_chroms`` does."""
        names = match_chroms(list(self._seen), self._sizes, str(self._path))
        skipped = {word: count for word, count in self._seen.items() if word not in names.of_file}
        notes = [names.note] if names.note else []
        if skipped:
            notes.append(
                f"{self._path}: {sum(skipped.values()):,} rows skipped, on {len(skipped):,} chromosomes that the "
                f"genome lacks ({first_few(list(skipped))})"
            )
        return notes


def signal_to_bigwig(path: Path, table: TableFormat, genome_sizes: Mapping[str, int], out: Path) -> tuple[str, ...]:
    """Write the values of a bedGraph, or of a table with a column ``value``, ``fraction`` or ``percent`` (written as
    a fraction), to a bigWig whose chromosomes are the genome's. Returns notes, each one line.

    Values are written as they stand, float32; rows without one (NA, ., empty) are missing. Where a table has no end,
    a row is one base. Raises UsageError that names the line where rows are not sorted by start within each
    chromosome, overlap, or leave their chromosome; and as ``read_blocks``, ``match_chroms`` and ``BigWigWriter`` do.
    """
    signal: tuple[str, ...] = ("value", "fraction", "percent")
    role = next((role for role in signal if role in table.columns), None)
    if role is None:
        raise UsageError(f"{path}: {table.kind} has no value; a signal is a bedGraph or a table with a column 'value'")
    chroms, order, missing = _Chroms(path, genome_sizes), _Order(path), 0
    with RowSpool(out.parent) as spool:
        for whole in read_blocks(path, table, [role]):
            block, numbers = chroms.known(whole)
            order.check(block, numbers)
            values = block.numbers[role] / (100 if role == "percent" else 1)
            kept = np.isfinite(values)
            missing += int((~kept).sum())
            rows = np.empty(int(kept.sum()), _RUN)
            rows["start"], rows["end"], rows["value"] = block.starts[kept], block.ends[kept], values[kept]
            spool.add(numbers[kept], rows)
        notes, names = chroms.notes(), list(genome_sizes)
        with written_beside(out) as beside, BigWigWriter(beside, genome_sizes) as writer:
            for at, rows in spool.tiles():
                starts, ends = rows["start"].astype(np.int64), rows["end"].astype(np.int64)
                _add(writer, names[at], starts, ends, rows["value"])
            _check_written(writer, path, "no row has a value")
    if missing:
        notes.append(f"{path}: {missing:,} rows without a value are left out")
    return tuple(notes)


class _Order:
    """Sees that rows are sorted and do not overlap, from block to block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done: set[int] = set()
        self._last = (-1, 0, 0)
        """Chromosome, start and end of the last row."""

    def check(self, block: Block, numbers: np.ndarray) -> None:
        if not len(numbers):
            return
        chrom, start, end = self._last
        chroms = np.concatenate([[chrom], numbers])
        starts, ends = np.concatenate([[start], block.starts]), np.concatenate([[end], block.ends])
        same = chroms[1:] == chroms[:-1]
        bad = same & (starts[1:] < ends[:-1])
        firsts = np.flatnonzero(~same)
        for at in firsts.tolist():
            if chroms[at] >= 0:
                self._done.add(int(chroms[at]))
            if int(numbers[at]) in self._done:
                bad[at] = True
                break
        if bad.any():
            at = int(bad.argmax())
            if not same[at]:
                what = "its chromosome comes again after another one"
            elif starts[at + 1] < starts[at]:
                what = f"it starts at {starts[at + 1]:,}, before the row above ({starts[at]:,})"
            else:
                what = f"it starts at {starts[at + 1]:,}, inside the row above (to {ends[at]:,})"
            raise UsageError(
                f"{self._path}, line {block.lines[at]}: {what}; the rows of a signal are sorted and do not overlap "
                "(sort -k1,1 -k2,2n sorts them)"
            )
        self._last = (int(chroms[-1]), int(starts[-1]), int(ends[-1]))


def intervals_to_bigwig(
    path: Path, table: TableFormat, genome_sizes: Mapping[str, int], out: Path, name: str | None = None
) -> tuple[str, ...]:
    """Write the union of a table's intervals as runs of 1 to a bigWig; they may overlap and come in any order.
    What lies between them is left out: it is missing, not 0. Returns notes, each one line.

    ``name`` is a regular expression; intervals are kept whose name begins with a match (``T1LAD`` keeps T1LAD17).
    Raises UsageError that names a wrong line, TracksError where nothing matches; and as ``signal_to_bigwig`` does.
    """
    if name is not None and "name" not in table.columns:
        raise UsageError(f"{path}: {table.kind} has no column of names to choose '{name}' by")
    pattern = _compiled(path, name)
    chroms, found = _Chroms(path, genome_sizes), dict[str, None]()
    with RowSpool(out.parent) as spool:
        for whole in read_blocks(path, table, ["name"] if name is not None else []):
            block, numbers = chroms.known(whole)
            if pattern is not None:
                names = block.text["name"]
                found.update(dict.fromkeys(names.words[:100]))
                kept = _matching(names, [pattern.match(word) is not None for word in names.words])
                block, numbers = block.take(kept), numbers[kept]
            owner, starts, ends = cut(block.starts, block.ends, TILE)
            rows = np.empty(len(starts), _SPAN)
            rows["start"], rows["end"] = starts, ends
            spool.add(numbers[owner], rows)
        notes, ours = chroms.notes(), list(genome_sizes)
        with written_beside(out) as beside, BigWigWriter(beside, genome_sizes) as writer:
            for at, tiles in itertools.groupby(spool.tiles(), key=lambda tile: tile[0]):
                last = np.empty((2, 0), np.int64)
                for _, rows in tiles:
                    starts, ends = union(*np.append(last, [rows["start"], rows["end"]], axis=1))
                    # The last one may go on in the next tile.
                    last = np.array([starts[-1:], ends[-1:]])
                    _add(writer, ours[at], starts[:-1], ends[:-1], np.ones(len(starts) - 1, np.float32))
                _add(writer, ours[at], last[0], last[1], np.ones(1, np.float32))
            _check_written(writer, path, f"no interval's name begins with '{name}'; there are {first_few(list(found))}")
    return tuple(notes)


def _compiled(path: Path, name: str | None) -> re.Pattern[str] | None:
    try:
        return None if name is None else re.compile(name)
    except re.error as error:
        raise UsageError(f"{path}: the name '{name}' is no regular expression: {error}") from error


def _matching(words: Words, kept: list[bool]) -> np.ndarray:
    kept_rows: np.ndarray = np.array(kept, bool)[words.codes]
    return kept_rows


def counts_to_bigwigs(
    path: Path,
    table: TableFormat,
    genome_sizes: Mapping[str, int],
    modified_out: Path,
    valid_out: Path,
    code: str | None = None,
) -> tuple[str, ...]:
    """Write the modified and the valid calls of each position to a bigWig each; rows may come in any order.
    Returns notes, each one line.

    A row counts at its first base, so that the strands of a CpG stay apart where the table keeps them apart; rows of
    one position add up. Rows without any call are left out. Modified calls that a table gives as a fraction or
    percentage of the valid ones are rounded to whole calls. ``code`` chooses the modification of a bedMethyl (``m``,
    ``h``, ``a``), which need not be named where there is only one. Raises UsageError where a row has more modified
    than valid calls, or a bedMethyl has several modifications and none is chosen, or not that one.
    """
    if not table.has_counts:
        raise UsageError(
            f"{path}: {table.kind} has no counts; these are the columns modified and valid (or unmodified), "
            "or valid and fraction (or percent)"
        )
    chroms, codes, others = _Chroms(path, genome_sizes), dict[str, None](), 0
    roles: list[str] = ["modified", "unmodified", "valid", "fraction", "percent", "code", "context"]
    # Eleven columns, as ENCODE has them, hold no count of modified calls.
    optional: list[str] = ["modified"] if table.kind == "bedmethyl" else []
    with RowSpool(modified_out.parent) as spool:
        for whole in read_blocks(path, table, roles, optional):
            block, numbers = chroms.known(whole)
            if "context" in block.text:
                words = block.text["context"]
                kept = _matching(words, [word.upper().startswith(table.context) for word in words.words])
                others += int((~kept).sum())
                block, numbers = block.take(kept), numbers[kept]
            if "code" in block.text:
                words = block.text["code"]
                # modkit writes m,CG,0 where it was given motifs.
                plain = [word.split(",")[0] for word in words.words]
                codes.update(dict.fromkeys(plain))
                _check_codes(path, codes, code)
                kept = _matching(words, [code in (None, word) for word in plain])
                block, numbers = block.take(kept), numbers[kept]
            modified, valid = _calls(path, block)
            kept = valid > 0
            rows = np.empty(int(kept.sum()), _CALLS)
            rows["start"], rows["modified"], rows["valid"] = block.starts[kept], modified[kept], valid[kept]
            spool.add(numbers[kept], rows)
        notes = chroms.notes()
        if code is not None and codes and code not in codes:
            raise UsageError(f"{path} has no modification '{code}'; it has {first_few(sorted(codes))}")
        _write_calls(path, spool, genome_sizes, modified_out, valid_out)
    if others:
        notes.append(f"{path}: {others:,} rows skipped whose context is not {table.context}")
    return tuple(notes)


def _check_codes(path: Path, codes: Mapping[str, None], code: str | None) -> None:
    if code is None and len(codes) > 1:
        raise UsageError(f"{path} has the modifications {first_few(sorted(codes))}; say which one is meant (code)")


def _calls(path: Path, block: Block) -> tuple[np.ndarray, np.ndarray]:
    """Modified and valid calls of each row, int64 ``[n]``."""
    columns = block.numbers
    share = columns.get("fraction", columns["percent"] / 100 if "percent" in columns else None)
    if "modified" in columns:
        modified = columns["modified"]
        valid = columns["valid"] if "valid" in columns else modified + columns["unmodified"]
    else:
        assert share is not None
        valid = columns["valid"]
        if np.isnan(share[valid > 0]).any():
            at = int((np.isnan(share) & (valid > 0)).argmax())
            raise UsageError(f"{path}, line {block.lines[at]}: it has {valid[at]:,} calls and no fraction of them")
        modified = np.rint(np.nan_to_num(share) * valid).astype(np.int64)
    over = modified > valid
    if over.any():
        at = int(over.argmax())
        raise UsageError(
            f"{path}, line {block.lines[at]}: {modified[at]:,} calls are modified, of {valid[at]:,} valid ones in all"
        )
    if (valid >= 1 << 31).any():
        at = int(valid.argmax())
        raise UsageError(f"{path}, line {block.lines[at]}: {valid[at]:,} calls are no count of reads")
    return modified, valid


def _write_calls(
    path: Path, spool: RowSpool, genome_sizes: Mapping[str, int], modified_out: Path, valid_out: Path
) -> None:
    names = list(genome_sizes)
    with ExitStack() as stack:
        writers = {
            column: stack.enter_context(BigWigWriter(stack.enter_context(written_beside(out)), genome_sizes))
            for column, out in (("modified", modified_out), ("valid", valid_out))
        }
        for at, rows in spool.tiles():
            rows = rows[np.argsort(rows["start"], kind="stable")]
            first = np.flatnonzero(np.diff(rows["start"].astype(np.int64), prepend=-1))
            starts = rows["start"][first].astype(np.int64)
            for column, writer in writers.items():
                sums = np.add.reduceat(rows[column], first, dtype=np.int64).astype(np.float32)
                _add(writer, names[at], starts, starts + 1, sums)
        _check_written(writers["valid"], path, "no row has a call")


def _add(writer: BigWigWriter, chrom: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None:
    # The writer needs some hundred bytes for each row of one call.
    for first in range(0, len(starts), _PIECE):
        piece = slice(first, first + _PIECE)
        writer.add(chrom, starts[piece], ends[piece], values[piece])


def _check_written(writer: BigWigWriter, path: Path, what: str) -> None:
    if not writer.bases:
        raise TracksError(f"{path}: {what}")
