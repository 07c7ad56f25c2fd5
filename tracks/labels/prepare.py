"""Measured files to signals on the recipe's genome: text tables become bigWigs, and what is of another build is lifted.

What is made lies in one folder, each file under a name of its own, so that a run that was stopped finds it again.
"""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from tracks.bigwig_reader import BIGWIG_SUFFIXES
from tracks.bigwig_writer import BigWigWriter
from tracks.chroms import match_chroms
from tracks.errors import TracksError, UsageError
from tracks.files import write_text, written_beside
from tracks.genome_sizes import read_sizes
from tracks.labels.lift import of_chromosomes, read_lift
from tracks.labels.signals import Signal, TrackInputs, expanded, open_elsewhere, open_signal
from tracks.liftover.files import lift_bigwig
from tracks.regions import Region, check_chrom
from tracks.runs import Runs
from tracks.split import Block, read_split
from tracks.tables.bigwigs import counts_to_bigwigs, intervals_to_bigwig, signal_to_bigwig
from tracks.tables.formats import TableFormat, guess_format
from tracks.windows import WindowRow, read_windows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tracks.labels.recipe import ChainFile, Recipe, TrackRecipe
    from tracks.liftover.lift import Route

_Read = TypeVar("_Read")


def is_bigwig(path: Path, form: str = "") -> bool:
    """Say whether a measured file is a bigWig, by its name or by the format that the recipe names."""
    return form == "bigwig" if form else path.suffix.lower() in BIGWIG_SUFFIXES


def table_format(entry: TrackRecipe, path: Path) -> TableFormat:
    """Return the format of a track's text table. Raises UsageError where neither its name nor the recipe says it."""
    if entry.format or entry.columns:
        return TableFormat(entry.format or "table", entry.columns, entry.zero_based)
    return guess_format(path)


def input_files(recipe: Recipe) -> Iterator[tuple[str, Path]]:
    """Yield every file that a recipe names, and what it is."""
    yield "genome", recipe.genome
    for what, path in (("split", recipe.split), ("windows", recipe.windows)):
        if path is not None:
            yield what, path
    for path in (*recipe.mask.blacklist, *recipe.mask.unmappable):
        yield "mask", path
    for entry in recipe.track:
        for role, path in entry.files().items():
            yield f"{role} of '{entry.name}'", path
        for chain in entry.lift:
            yield f"lift of '{entry.name}'", chain.chain


def check_files(recipe: Recipe) -> tuple[dict[str, int], tuple[WindowRow, ...], tuple[Block, ...]]:
    """See that everything that a recipe names is there and can be what it is taken for; return the genome's chromosome
    lengths, the windows and the split, with the genome's chromosome names.

    Of tables only the format is looked at. Raises one UsageError that lists all that is wrong.
    """
    problems: dict[str, None] = {}

    def check(what: str, function: Callable[[], _Read]) -> _Read | None:
        try:
            return function()
        except TracksError as error:
            problems[f"{error} ({what})"] = None
            return None

    sizes = check("genome", partial(_read_genome, recipe)) or {}
    rows = check("windows", partial(read_rows, recipe.windows, sizes)) if recipe.windows is not None else ()
    blocks = check("split", partial(read_blocks, recipe.split, sizes)) if recipe.split is not None else ()
    for path in (*recipe.mask.blacklist, *recipe.mask.unmappable):
        check("mask", partial(_check_table, path, guess_format, "intervals"))
    for entry in recipe.track:
        for chain in entry.lift:
            check(f"lift of '{entry.name}'", partial(_check_there, chain.chain))
        route = None
        if all(chain.chain.is_file() for chain in entry.lift) and entry.lift:
            route = check(f"lift of '{entry.name}'", partial(read_lift, entry.lift))
        for role, path in entry.files().items():
            what = f"{role} of '{entry.name}'"
            if not is_bigwig(path, entry.format):
                check(what, partial(_check_table, path, partial(table_format, entry), role))
            elif role in ("intervals", "counts"):
                problems[f"{path} is a bigWig, and {role} are a text table ({what})"] = None
            elif sizes and not (entry.lift and route is None):
                check(what, partial(_check_bigwig, path, entry, route, sizes, recipe.chroms or tuple(sizes)))
    if len(problems) == 1:
        raise UsageError(next(iter(problems)))
    if problems:
        raise UsageError(f"{len(problems)} problems: {'; '.join(problems)}")
    return sizes, rows or (), blocks or ()


def _read_genome(recipe: Recipe) -> dict[str, int]:
    _check_there(recipe.genome)
    sizes = read_sizes(recipe.genome)
    for chrom in recipe.chroms:
        check_chrom(chrom, sizes, "chroms")
    return sizes


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise UsageError(f"there is no file {path}")


def _check_table(path: Path, form: Callable[[Path], TableFormat], role: str) -> None:
    if "{chrom}" in str(path):
        raise UsageError(f"{path}: a file for each chromosome is a bigWig; put text tables together into one")
    _check_there(path)
    table = form(path)
    if role == "counts" and not table.has_counts:
        raise UsageError(f"{path}: {table.kind} has no counts of calls")
    if role not in ("counts", "intervals") and not {"value", "fraction", "percent"} & set(table.columns):
        raise UsageError(f"{path}: {table.kind} has no value; intervals = ... takes BED, counts = ... tables of calls")


def _check_bigwig(
    path: Path, entry: TrackRecipe, route: Route | None, sizes: Mapping[str, int], chroms: Sequence[str]
) -> None:
    if "{chrom}" in str(path):
        if not any(file.is_file() for file in expanded(path, chroms).values()):
            raise UsageError(f"there is no {path} for any chromosome")
    else:
        _check_there(path)
    if entry.lift_by == "window start":
        open_elsewhere(path, sizes)
    else:
        open_signal(path, sizes if route is None else route.source_sizes)


def read_rows(path: Path, sizes: Mapping[str, int]) -> tuple[WindowRow, ...]:
    """Read given windows, with the genome's chromosome names. Raises UsageError that names a line of another genome."""
    rows = read_windows(path)
    names = match_chroms(dict.fromkeys(row.chrom for row in rows), sizes, str(path)).of_file
    for number, row in enumerate(rows, 1):
        if row.chrom not in names:
            raise UsageError(f"{path}, line {number}: the genome has no chromosome {row.chrom!r}")
        if row.bins_region.start >= sizes[names[row.chrom]]:
            raise UsageError(
                f"{path}, line {number}, is of another genome build: it lies past the end of {row.chrom}, which has "
                f"{sizes[names[row.chrom]]:,} bases"
            )
    return tuple(WindowRow(names[row.chrom], row.start, row.fold) for row in rows)


def read_blocks(path: Path, sizes: Mapping[str, int]) -> tuple[Block, ...]:
    """Read a split, with the genome's chromosome names. Raises UsageError that names a block of another genome."""
    _check_there(path)
    blocks = read_split(path)
    names = match_chroms(dict.fromkeys(block.region.chrom for block in blocks), sizes, str(path)).of_file
    for block in blocks:
        chrom = names.get(block.region.chrom)
        if chrom is None or block.region.end > sizes[chrom]:
            length = f"has {sizes[chrom]:,} bases" if chrom is not None else "is not in the genome"
            raise UsageError(f"{path}: its block {block.region} is of another genome: {block.region.chrom} {length}")
    return tuple(
        Block(Region(names[block.region.chrom], block.region.start, block.region.end), block.fold) for block in blocks
    )


class Preparation:
    """Makes signals on one genome. ``folder`` holds what had to be made; ``say`` is told of it; ``notes`` gathers what
    a person should know of the files."""

    def __init__(self, folder: Path, sizes: Mapping[str, int], say: Callable[[str], None] = lambda line: None) -> None:
        self.folder, self.sizes, self._say = folder, dict(sizes), say
        self.notes: dict[str, None] = {}

    def track(self, entry: TrackRecipe) -> TrackInputs:
        """Return a track's signals. Raises UsageError or TracksError that names the file that cannot be used."""
        files = entry.files()
        if entry.lift_by == "window start":
            return TrackInputs(entry, {role: open_elsewhere(path, self.sizes) for role, path in files.items()})
        if "counts" in files:
            signals = self._counts(entry, files["counts"])
        else:
            signals = {role: self._signal(entry, role, path) for role, path in files.items()}
        return TrackInputs(entry, signals, self._reach(entry.lift) if entry.lift else None)

    def intervals(self, path: Path) -> Signal:
        """Return the union of a BED file's intervals, as runs of 1."""
        made = self._made(
            ("intervals", str(path)), lambda out: intervals_to_bigwig(path, guess_format(path), self.sizes, out)
        )
        return open_signal(made, self.sizes)

    def _signal(self, entry: TrackRecipe, role: str, path: Path) -> Signal:
        if is_bigwig(path, entry.format):
            if not entry.lift:
                return self._opened(path)
            return self._lifted(self._whole(path, self._source_sizes(entry)), entry.lift, path.name)
        table, sizes = table_format(entry, path), self._source_sizes(entry)
        convert = (
            (lambda out: intervals_to_bigwig(path, table, sizes, out, entry.named or None))
            if role == "intervals"
            else (lambda out: signal_to_bigwig(path, table, sizes, out))
        )
        made = self._made((role, str(path), entry.named, table, entry.lift), convert)
        return self._lifted(made, entry.lift, path.name) if entry.lift else self._opened(made)

    def _counts(self, entry: TrackRecipe, path: Path) -> dict[str, Signal]:
        table, sizes = table_format(entry, path), self._source_sizes(entry)
        key = (str(path), entry.code, table, entry.lift)
        modified, valid = self._place(("modified", *key)), self._place(("valid", *key))

        def convert(out: Path) -> Sequence[str]:
            # Of the two files the one that counts as made is written last.
            return counts_to_bigwigs(path, table, sizes, modified, out, entry.code or None)

        self._made(("valid", *key), convert)
        made = {"modified": modified, "valid": valid}
        if entry.lift:
            return {role: self._lifted(file, entry.lift, f"{role} of {path.name}") for role, file in made.items()}
        return {role: self._opened(file) for role, file in made.items()}

    def _opened(self, path: Path) -> Signal:
        signal = open_signal(path, self.sizes)
        if signal.note:
            self._note(signal.note)
        return signal

    def _note(self, line: str) -> None:
        if line not in self.notes:
            self.notes[line] = None
            self._say(line)

    def _source_sizes(self, entry: TrackRecipe) -> dict[str, int]:
        return read_lift(entry.lift).source_sizes if entry.lift else self.sizes

    def _whole(self, path: Path, sizes: Mapping[str, int]) -> Path:
        """The file itself, or one of all chromosomes made of the file of each."""
        if "{chrom}" not in str(path):
            return path
        signal = open_signal(path, sizes)

        def write(out: Path) -> Sequence[str]:
            with written_beside(out) as beside, BigWigWriter(beside, sizes) as writer:
                for chrom in sizes:
                    for runs in signal.runs(chrom, 0, sizes[chrom]):
                        writer.add(chrom, runs.starts, runs.ends, runs.values)
            return ()

        return self._made(("whole", str(path)), write)

    def _lifted(self, source: Path, lift: tuple[ChainFile, ...], what: str = "") -> Signal:
        """A bigWig of another build on the genome's, base by base; ``what`` is named where the outcome is told."""

        def write(out: Path) -> Sequence[str]:
            report = lift_bigwig(source, of_chromosomes(read_lift(lift), self.sizes), self.sizes, out)
            return [f"{what}: {line}" for line in report.summary] if what else ()

        return self._opened(self._made(("lifted", str(source), lift), write))

    def _reach(self, lift: tuple[ChainFile, ...]) -> Signal:
        """The bases of the genome that a lift can reach: where all bases of the other genome's chromosomes come to."""
        sizes = read_lift(lift).source_sizes

        def write_everything(out: Path) -> Sequence[str]:
            with written_beside(out) as beside, BigWigWriter(beside, sizes) as writer:
                for chrom, length in sizes.items():
                    everything = Runs.of([0], [length], [1.0])
                    writer.add(chrom, everything.starts, everything.ends, everything.values)
            return ()

        everything = self._made(("everything", lift[0]), write_everything)
        return self._lifted(everything, lift)

    def _place(self, key: object) -> Path:
        return self.folder / f"{hashlib.sha256(repr(key).encode()).hexdigest()[:20]}.bw"

    def _made(self, key: object, write: Callable[[Path], Sequence[str]]) -> Path:
        """Make a file and keep what was said of it, unless an earlier run did."""
        path = self._place(key)
        beside = path.with_suffix(".json")
        if not (path.exists() and beside.exists()):
            self.folder.mkdir(parents=True, exist_ok=True)
            said = list(write(path))
            write_text(beside, json.dumps(said))
        for line in json.loads(beside.read_text()):
            self._note(line)
        return path
