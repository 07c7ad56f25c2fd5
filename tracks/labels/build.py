"""``tracks labels build``: measured files to a label set, piece by piece, in several processes, resumably.

A label set is built in a folder beside its own, ``<name>.partial``, which gets its name when it is whole. A run that
was stopped goes on from there, where the recipe and its files are the same.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tracks.errors import TracksError, UsageError
from tracks.files import check_folder, write_text
from tracks.genome_sizes import is_table
from tracks.grid import BINS
from tracks.labels.arrays import BLACKLISTED, PIECE_ROWS, UNMAPPABLE, grid_arrays, row_arrays
from tracks.labels.built import FORMAT, SPLIT_FILE, TABLE, WINDOWS_FILE
from tracks.labels.pieces import Piece, Plan, build_piece, forget
from tracks.labels.prepare import Preparation, check_files, input_files
from tracks.labels.signals import check_signals, expanded
from tracks.observed import LEAST_OBSERVED
from tracks.parallel import map_in_order, usable_cpus
from tracks.split import split_text
from tracks.window_array import PARTIAL
from tracks.windows import windows_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tracks.labels.recipe import Recipe
    from tracks.split import Block
    from tracks.windows import WindowRow


def build_labels(
    recipe: Recipe,
    out: Path,
    *,
    overwrite: bool = False,
    processes: int | None = None,
    say: Callable[[str], None] = lambda line: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> bool:
    """Build a label set in the folder ``out``; return False when it was there already, made of the same recipe and
    files, and nothing had to be done.

    ``say`` is told of what a person should know, ``progress`` how many pieces are done. Raises UsageError that lists
    all files that are missing or of another genome before any work, and when ``out`` holds something else and is not
    to be overwritten; TracksError when a file cannot be read or written.
    """
    if out.suffix != ".zarr":
        raise UsageError(f"a label set is a folder whose name ends in .zarr, and {out} does not")
    check_folder(out.parent, str(out))
    forget()
    sizes, rows, blocks = check_files(recipe)
    chosen = (recipe.chroms or tuple(sizes)) if recipe.on_grid else ()
    digest = _digest(recipe, sizes)
    with _alone(out):
        if out.exists():
            found = _record(out).get("digest")
            if found == digest and not overwrite:
                return False
            if found is None:
                raise UsageError(f"{out} exists already and is no label set; choose another name, or remove it")
            if not overwrite:
                raise UsageError(
                    f"{out} exists already, and is of another recipe or of other files; choose another name, or "
                    "replace it with --overwrite"
                )
        _build(recipe, out, sizes, chosen, rows, blocks, digest, processes or usable_cpus(), say, progress)
    return True


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keep other processes from building the same label set. Raises TracksError where one does."""
    lock = out.with_name(f".{out.name}.lock")
    out.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TracksError(f"another process is building {out}; wait for it, or choose another name") from error
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _build(
    recipe: Recipe,
    out: Path,
    sizes: dict[str, int],
    chosen: tuple[str, ...],
    rows: tuple[WindowRow, ...],
    blocks: tuple[Block, ...],
    digest: str,
    processes: int,
    say: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> None:
    partial_folder = out.with_name(f"{out.name}.partial")
    _start(partial_folder, digest, say)
    prepared = Preparation(partial_folder / "prepared", sizes, say)
    inputs = tuple(prepared.track(entry) for entry in recipe.track)
    masks = tuple(
        (bit, prepared.intervals(path))
        for bit, paths in ((BLACKLISTED, recipe.mask.blacklist), (UNMAPPABLE, recipe.mask.unmappable))
        for path in paths
    )
    if recipe.windows is None:
        for one in inputs:
            check_signals(one, chosen)
    plan = Plan(
        partial_folder,
        None if is_table(recipe.genome) else recipe.genome,
        sizes,
        recipe.mask,
        masks,
        inputs,
        LEAST_OBSERVED if recipe.kind == "fixed" else 0.0,
    )
    due, total = _due(plan, recipe, chosen, rows)
    progress(total - len(due), total)
    if 0 < len(due) < total:
        say(f"{total - len(due):,} of {total:,} pieces were built already")
    work = map_in_order(partial(build_piece, plan), due, processes)
    for done, _ in enumerate(work, total - len(due) + 1):
        progress(done, total)
    _finish(plan, recipe, chosen, rows, blocks, digest, list(prepared.notes), out)


def _digest(recipe: Recipe, sizes: Mapping[str, int]) -> str:
    """A digest of the recipe and of which files it names, by size and time of change, and of this program's format."""
    files = []
    for what, path in input_files(recipe):
        for file in dict.fromkeys(expanded(path, sizes).values()):
            if not file.exists():  # of the file of each chromosome, some may not be there
                continue
            stat = file.stat()
            files.append((what, str(file), stat.st_size, stat.st_mtime_ns))
    return hashlib.sha256(json.dumps([FORMAT, recipe.model_dump(mode="json"), files]).encode()).hexdigest()


def _record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / TABLE).read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _start(folder: Path, digest: str, say: Callable[[str], None]) -> None:
    """Take an unfinished build up, or begin anew where it is of another recipe or of other files."""
    mark = folder / "digest"
    if folder.exists() and not mark.is_file() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageError(f"{folder} is in the way, and is no unfinished build of this program; move or remove it")
    if folder.exists() and not (mark.is_file() and mark.read_text() == digest):
        say(f"{folder} is an unfinished build of another recipe or of other files: it is begun anew")
        shutil.rmtree(folder)
    if not folder.exists():
        write_text(mark, digest)


def _due(plan: Plan, recipe: Recipe, chroms: Sequence[str], rows: Sequence[WindowRow]) -> tuple[list[Piece], int]:
    """The pieces that are not there yet, and the number of all."""
    due, total, tracks = [], 0, len(recipe.track)
    for chrom in chroms:
        known = grid_arrays(plan.folder, chrom, plan.sizes[chrom], tracks).known()
        due += [Piece(index, chrom) for index in np.flatnonzero(~known).tolist()]
        total += len(known)
    if rows:
        known = row_arrays(plan.folder, len(rows), tracks, BINS).known()
        for index in np.flatnonzero(~known).tolist():
            due.append(Piece(index, rows=tuple(rows[index * PIECE_ROWS : (index + 1) * PIECE_ROWS]), count=len(rows)))
        total += len(known)
    return due, total


def _finish(
    plan: Plan,
    recipe: Recipe,
    chroms: Sequence[str],
    rows: Sequence[WindowRow],
    blocks: Sequence[Block],
    digest: str,
    notes: Sequence[str],
    out: Path,
) -> None:
    """Write down what was built, and give the folder its name."""
    entries = [
        {
            "track": entry.track.to_json(),
            "window_track": entry.window_track.to_json(),
            "aggregation": entry.aggregate,
            "stored": entry.stored,
            "missing": entry.missing,
            "sources": [path.name for path in entry.files().values()],
        }
        for entry in recipe.track
    ]
    table = {
        "format_version": FORMAT,
        "digest": digest,
        "name": recipe.name,
        "recipe": recipe.kind,
        "genome": recipe.genome.name,
        "chrom_sizes": plan.sizes,
        "grid_chroms": list(chroms),
        "tracks": entries,
        "notes": list(notes),
    }
    try:
        if rows:
            write_text(plan.folder / WINDOWS_FILE, windows_text(rows))
        if blocks:
            write_text(plan.folder / SPLIT_FILE, split_text(blocks))
        for left in plan.folder.rglob(f"*{PARTIAL}"):
            left.unlink()
        write_text(plan.folder / TABLE, json.dumps(table, indent=1) + "\n")
        shutil.rmtree(plan.folder / "prepared", ignore_errors=True)
        replaced = out.with_name(f".{out.name}.replaced")
        shutil.rmtree(replaced, ignore_errors=True)
        if out.exists():
            out.rename(replaced)
        plan.folder.rename(out)
        (out / "digest").unlink()
        shutil.rmtree(replaced, ignore_errors=True)
    except OSError as error:
        raise TracksError(f"cannot write {out}: {error.strerror}") from error
