"""Signals, BED files and counts of one genome build as files in another, through chains.

Everything streams: what was lifted waits on disk, by target chromosome and tile, and each tile is sorted by itself.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from tracks.bigwig_reader import BigWigReader
from tracks.bigwig_writer import BigWigWriter
from tracks.chroms import match_chroms, plain_name
from tracks.errors import TracksError, UsageError, first_few
from tracks.files import check_folder, written_beside
from tracks.liftover.layouts import BEDGRAPH, Layout
from tracks.liftover.lift import COLLIDES, LEFT_OUT, UNMAPPED, Lost, Pieces, Route, collisions, lift_intervals, merged
from tracks.liftover.piece_spool import PieceSpool
from tracks.liftover.report import LiftReport, LostFile, Tally
from tracks.liftover.rows import RowFile
from tracks.liftover.segments import Segments
from tracks.liftover.text import SortedText, piece_lines, site_lines
from tracks.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tracks.liftover.rows import Rows

_MOST_NEIGHBOURS = 0.05
"""Fewer neighbours than this fraction are errors in a table of CpGs: in the IMR90 data of bsseq it is 0.009%."""


class _Job:
    """One file on its way: names of both builds' chromosomes, the counts, and the list of what was lost.

    ``sizes`` are the target's chromosomes as they are written, numbered in this order.
    """

    def __init__(
        self,
        route: Route,
        target_sizes: Mapping[str, int] | None,
        tally: Tally,
        lost_file: LostFile,
        say: Callable[[str], None],
    ) -> None:
        self.route, self.tally, self._lost_file, self._say = route, tally, lost_file, say
        # Chain files name chromosomes by the score of their chains, which is no order to write a file in.
        self.sizes = dict(target_sizes or sorted(route.target_sizes.items()))
        names = match_chroms(route.target_sizes, self.sizes, f"the target of {route.steps[-1].name}")
        for note in (*route.notes, *([names.note] if names.note else [])):
            say(note)
        at = {theirs: number for number, theirs in enumerate(names.of_genome.get(chrom) for chrom in self.sizes)}
        self._numbers = np.array([at.get(chrom, -1) for chrom in route.target_sizes], np.int32)
        self._plain = np.array([plain_name(chrom) for chrom in self.sizes])
        self._by_plain = {plain_name(chrom): chrom for chrom in route.source_sizes}

    def chain_name(self, chrom: str) -> str | None:
        """What the chains call a chromosome of the source; None where they lack it."""
        return self._by_plain.get(plain_name(chrom))

    def check_names(self, found: Mapping[str, int | None], where: str) -> None:
        """Say where the source's names differ from the chains', and which of its chromosomes these lack.

        Raises UsageError when none matches, two are the same, or a length differs.
        """
        names = match_chroms(found, self.route.source_sizes, where)
        if names.note:
            self._say(names.note)
        lacking = [chrom for chrom in found if chrom not in names.of_file]
        if lacking:
            self._say(f"{where}: no chain has {first_few(lacking)}")

    def lift(self, chrom: str, starts: np.ndarray, ends: np.ndarray) -> tuple[Pieces, Lost]:
        """Lift intervals of a chromosome as the source calls it; targets are numbered as in ``sizes``."""
        pieces, lost = lift_intervals(self.route, self.chain_name(chrom) or chrom, starts, ends)
        numbers = self._numbers[pieces.targets]
        out = pieces[numbers < 0]
        pieces = replace(pieces, targets=numbers)
        if len(out):
            lost = Lost.joined([lost, lost_pieces(out, LEFT_OUT)])
        return pieces[numbers >= 0], lost

    def lose(self, chrom: str, lost: Lost) -> None:
        """Count lost parts of a chromosome of the source, and list them."""
        self.tally.add_lost(lost)
        self._lost_file.add(chrom, lost)

    def keep(self, chrom: str, pieces: Pieces, weights: np.ndarray) -> None:
        """Count lifted pieces of a chromosome of the source, ``weights`` int64 ``[n]`` bases or rows each."""
        self.tally.add_lifted(pieces, weights, self._plain[pieces.targets] == plain_name(chrom))


def lost_pieces(pieces: Pieces, reason: int) -> Lost:
    """Return pieces as lost parts, for one reason."""
    return Lost(pieces.of, pieces.source_starts, pieces.source_ends, np.full(len(pieces), reason))


def several(pieces: Pieces) -> int:
    """Count the intervals that lie in several stretches of the target."""
    cut = pieces[np.bincount(pieces.of)[pieces.of] > 1]
    return int((np.bincount(merged(cut).of) > 1).sum())


@contextmanager
def _outputs(out: Path, unmapped: Path | None) -> Iterator[tuple[Path, LostFile, Path]]:
    """Yield a name to write to, the open list of lost parts, and a folder for what waits beside the result."""
    check_folder(out.parent, str(out))
    with written_beside(out) as beside:
        scratch = tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.")
        if unmapped is None:
            with scratch as folder, LostFile(None) as lost_file:
                yield beside, lost_file, Path(folder)
            return
        with scratch as folder, written_beside(unmapped) as lost_beside, LostFile(lost_beside) as lost_file:
            yield beside, lost_file, Path(folder)


def lift_bigwig(
    source: Path,
    route: Route,
    target_sizes: Mapping[str, int] | None,
    out: Path,
    unmapped: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> LiftReport:
    """Lift a bigWig file base by base: each keeps its value, at its new place.

    ``target_sizes`` are the chromosomes to write (by default all that the chains name, by name); bases that land on
    others are left out. ``unmapped``: a BED file for bases that were lost, with the reason. Memory stays bounded.
    Raises UsageError when the file is of another build than the chains' source, TracksError when it cannot be read or
    nothing of it lifts; no file is left then.
    """
    with BigWigReader(source) as reader, _outputs(out, unmapped) as (beside, lost_file, folder):
        job = _Job(route, target_sizes, Tally("bases"), lost_file, say)
        job.check_names(dict(reader.chrom_sizes), str(source))
        spool = PieceSpool(folder / "pieces")
        done, total = 0, 2 * sum(reader.chrom_sizes.values())
        chroms = list(reader.chrom_sizes)
        for number, chrom in enumerate(chroms):
            for runs in reader.runs(chrom):
                pieces, lost = job.lift(chrom, runs.starts, runs.ends)
                job.tally.source += int((runs.ends - runs.starts).sum())
                job.tally.split += several(pieces)
                job.lose(chrom, lost)
                spool.add(number, pieces, runs.values[pieces.of])
                progress(done + int(runs.ends[-1]), total)
            done += reader.chrom_sizes[chrom]
        with BigWigWriter(beside, job.sizes) as writer:
            for chrom, runs in _joined_runs(_clean(job, spool, chroms)):
                writer.add(chrom, runs.starts, runs.ends, runs.values)
                progress(done + int(done * job.tally.lifted / max(job.tally.source, 1)), total)
            if not writer.bases:
                raise TracksError(f"cannot write {out}: nothing of {source} lifts")
    return job.tally.report()


def _clean(job: _Job, spool: PieceSpool, chroms: list[str]) -> Iterator[tuple[str, Runs]]:
    """Yield the runs of each tile without what collides; count both."""
    names = list(job.sizes)
    for target, sources, pieces, values in spool.tiles():
        masked = Segments.of(*collisions(sources, pieces))
        kept, gone, of, of_gone = without(pieces, masked)
        for number in np.unique(sources).tolist():
            chosen = kept[sources[of] == number]
            job.keep(chroms[number], chosen, chosen.ends - chosen.starts)
            job.lose(chroms[number], lost_pieces(gone[sources[of_gone] == number], COLLIDES))
        yield names[target], Runs(kept.starts, kept.ends, values[of])


def without(pieces: Pieces, masked: Segments) -> tuple[Pieces, Pieces, np.ndarray, np.ndarray]:
    """Cut pieces of one target chromosome into parts outside and inside masked stretches; return both, and for each
    the piece that every part is of (int64)."""
    if not masked.depth.any():
        everything = np.arange(len(pieces))
        return pieces, pieces[:0], everything, everything[:0]
    of, starts, ends, segment = masked.cut(pieces.starts, pieces.ends)
    parts = pieces.parts(of, starts, ends)
    inside = masked.depth[segment] > 0
    return parts[~inside], parts[inside], of[~inside], of[inside]


def _joined_runs(pieces: Iterator[tuple[str, Runs]]) -> Iterator[tuple[str, Runs]]:
    """Join runs that touch and have the same value, also from one piece to the next: a chain's blocks cut them."""
    held, held_chrom = Runs.none(), ""
    for chrom, runs in pieces:
        if chrom != held_chrom:
            yield from [(held_chrom, held)] if len(held) else []
            held, held_chrom = Runs.none(), chrom
        runs = Runs.joined([held, runs])
        if not len(runs):
            continue
        opens = np.append(True, (runs.starts[1:] != runs.ends[:-1]) | (runs.values[1:] != runs.values[:-1]))
        first = np.flatnonzero(opens)
        ends = runs.ends[np.append(first[1:], len(runs)) - 1]
        runs = Runs(runs.starts[first], ends, runs.values[first])
        # The last one may go on in the next piece.
        yield chrom, Runs(runs.starts[:-1], runs.ends[:-1], runs.values[:-1])
        held = Runs(runs.starts[-1:], runs.ends[-1:], runs.values[-1:])
    if len(held):
        yield held_chrom, held


class _Text:
    """A text file on its way: read once to check it and to see what collides, and once more to lift its rows."""

    def __init__(self, file: RowFile, job: _Job, folder: Path, progress: Callable[[int, int], None]) -> None:
        self.file, self.job, self._folder = file, job, folder
        self._progress = progress
        self.stranded = False
        self._sites = self._neighbours = 0
        self.masked = self._survey()

    @property
    def holds_cpgs(self) -> bool:
        """Whether rows are CpGs at the forward strand's C: no strand is named, and hardly any two are neighbours, as
        the C of a CpG and that of its other strand are."""
        return not self.stranded and self._neighbours < _MOST_NEIGHBOURS * self._sites

    def rows(self) -> Iterator[Rows]:
        """Yield all rows."""
        return self.file.batches(lambda done, total: self._progress(total + done, 2 * total))

    def _survey(self) -> dict[int, Segments]:
        """Check the file; return what collides on each target chromosome."""
        spool = PieceSpool(self._folder / "pieces")
        numbers: dict[str, int] = {}
        last: dict[str, int] = {}
        for rows in self.file.batches(lambda done, total: self._progress(done, 2 * total)):
            number = numbers.setdefault(rows.chrom, len(numbers))
            self._check_rows(rows, last)
            pieces, _ = self.job.lift(rows.chrom, rows.starts, rows.ends)
            spool.add(number, pieces, np.zeros(len(pieces), np.float32))
        self.job.check_names(dict.fromkeys(numbers), str(self.file.path))
        masked: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
        for target, sources, pieces, _ in spool.tiles():
            stretches = collisions(sources, pieces)
            if len(stretches[0]):
                masked.setdefault(target, []).append(stretches)
        return {
            target: Segments.of(*(np.concatenate(column) for column in zip(*parts, strict=True)))
            for target, parts in masked.items()
        }

    def _check_rows(self, rows: Rows, last: dict[str, int]) -> None:
        layout, path = self.file.layout, self.file.path
        name = self.job.chain_name(rows.chrom)
        length = self.job.route.source_sizes.get(name or "")
        if length is not None and rows.ends.max() > length:
            raise UsageError(
                f"{path} is of another genome build: it has a row at {rows.chrom}:{rows.ends.max():,}, "
                f"and {name} of {self.job.route.steps[0].name} has {length:,} bases"
            )
        if layout is BEDGRAPH:
            before = np.append(last.get(rows.chrom, 0), rows.ends[:-1])
            if (rows.starts < before).any():
                at = int(rows.starts[np.argmax(rows.starts < before)])
                raise UsageError(
                    f"{path}: the row at {rows.chrom}, {at} overlaps the one before it, or the file is not sorted; "
                    f"sort it with: sort -k1,1 -k2,2n"
                )
            last[rows.chrom] = int(rows.ends[-1])
        if layout.sites:
            sites = np.unique(rows.starts)
            self._sites += len(sites)
            self._neighbours += int((np.diff(sites) == 1).sum())
            if layout.strand is not None:
                self.stranded |= any(row[layout.strand] in tuple(layout.strands) for row in rows.fields)

    def lift(self, chrom: str, starts: np.ndarray, ends: np.ndarray) -> tuple[Pieces, Lost]:
        """Lift intervals without what collides; count those that the chains split."""
        pieces, lost = self.job.lift(chrom, starts, ends)
        self.job.tally.split += several(pieces)
        for target, masked in self.masked.items():
            here = pieces.targets == target
            if here.any():
                kept, gone, _, _ = without(pieces[here], masked)
                if len(gone):
                    lost = Lost.joined([lost, lost_pieces(gone, COLLIDES)])
                    pieces = Pieces.joined([pieces[~here], kept])
        return pieces, lost


def lift_rows(
    source: Path,
    layout: Layout,
    route: Route,
    target_sizes: Mapping[str, int] | None,
    out: Path,
    unmapped: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    join: int = 0,
) -> LiftReport:
    """Lift the intervals of a BED or bedGraph file (plain or gzip): each becomes the stretches that it lifts to.

    A stretch is of bases that lie side by side on one strand of the target, or at most ``join`` apart; its row keeps
    all columns but those of the place (``piece_lines`` says which). Rows are written by chromosome (in the order of
    ``target_sizes``, else by name), start and end. Bases that collide with those of another row are masked in both;
    rows that overlap in the source overlap in the target. Arguments and errors as in ``lift_bigwig``; a bedGraph must
    be sorted and without overlap.
    """
    file = RowFile(source, layout)
    with _outputs(out, unmapped) as (beside, lost_file, folder):
        job = _Job(route, target_sizes, Tally("bases"), lost_file, say)
        text, lines = _Text(file, job, folder, progress), SortedText(folder / "lines")
        for rows in text.rows():
            pieces, lost = text.lift(rows.chrom, rows.starts, rows.ends)
            lines.add(piece_lines(layout, rows, pieces, list(job.sizes), join))
            job.tally.source += int((rows.ends - rows.starts).sum())
            job.keep(rows.chrom, pieces, pieces.ends - pieces.starts)
            job.lose(rows.chrom, lost)
        _write(lines, beside, file, job, out)
    return job.tally.report()


def lift_counts(
    source: Path,
    layout: Layout,
    route: Route,
    target_sizes: Mapping[str, int] | None,
    out: Path,
    unmapped: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    sites: Literal["auto", "cpg", "base"] = "auto",
) -> LiftReport:
    """Lift a table with a row for each base or CpG (plain or gzip); each row lifts whole or is lost. Counted in rows.

    A row on a strand stays with its base, and its strand turns where the chain does. In a table without strands, in
    which next to no rows are neighbours, rows are CpGs at the C of the forward strand: a CpG lifts where both its bases
    still lie side by side, and goes to the forward strand's C there. (Where a twentieth or more are, the table has the
    C of either strand at its own base, and they stay with their bases.) Other columns stay as they are.
    ``sites`` says which, where that guess would be wrong: ``cpg`` or ``base``.
    Arguments, order and errors as in ``lift_rows``.
    """
    file = RowFile(source, layout)
    with _outputs(out, unmapped) as (beside, lost_file, folder):
        job = _Job(route, target_sizes, Tally("rows"), lost_file, say)
        text, lines = _Text(file, job, folder, progress), SortedText(folder / "lines")
        cpgs = text.holds_cpgs if sites == "auto" else sites == "cpg"
        if cpgs and sites == "auto":
            say(f"{source}: it has no strands and no neighbours, so rows are taken for CpGs at the forward strand's C")
        for rows in text.rows():
            widths = rows.ends - rows.starts
            needed = np.full(len(widths), 2) if cpgs else widths
            pieces, lost = text.lift(rows.chrom, rows.starts, rows.starts + needed)
            whole = merged(pieces)
            whole = whole[whole.ends - whole.starts == needed[whole.of]]
            lines.add(site_lines(layout, rows, whole, widths[whole.of], list(job.sizes)))
            job.tally.source += len(widths)
            job.keep(rows.chrom, whole, np.ones(len(whole), np.int64))
            # A CpG that is apart in the target is no CpG there; else the reason is that of its first lost base.
            reasons = np.full(len(widths), UNMAPPED)
            reasons[lost.of[::-1]] = lost.reasons[::-1]
            gone = np.setdiff1d(np.arange(len(widths)), whole.of)
            job.lose(rows.chrom, Lost(gone, rows.starts[gone], rows.ends[gone], reasons[gone]))
        _write(lines, beside, file, job, out)
    return job.tally.report()


def _write(lines: SortedText, beside: Path, file: RowFile, job: _Job, out: Path) -> None:
    if not job.tally.lifted:
        raise TracksError(f"cannot write {out}: nothing of {file.path} lifts")
    lines.write(beside, file.header)
