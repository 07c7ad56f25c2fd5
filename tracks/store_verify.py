"""Checking that a prediction store is sound, and mending it."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tracks.errors import TracksError
from tracks.grid import BINS
from tracks.store import SUMMARY, WindowStore
from tracks.store_admin import array_attributes, array_shape, holdings, precision_folders
from tracks.window_array import PARTIAL, WindowArray, put_file
from tracks.window_summary import MAKING, Summary, SummaryFiles, remove_folder, summarise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LEFT_ALONE = 3600.0
"""Seconds for which an unfinished file may be one that a live process is writing."""
_HEX = "[0-9a-f]{32}"
_UNFINISHED = {
    "windows": re.compile(rf"(0|zarr|zarr\.json)\.{_HEX}{re.escape(PARTIAL)}"),
    "folders": re.compile(rf"{re.escape(MAKING)}{_HEX}"),
    "views": re.compile(rf"\.{_HEX}\.[0-9]+{re.escape(PARTIAL)}\.json"),
}
"""The names that we, and Zarr in older versions, give to what is not finished: nothing else is removed as left over."""
_SECOND_LOOK = 1.0
"""Seconds until what looks wrong is looked at again: a live process writes a window and then its summaries."""


@dataclass(frozen=True)
class Problem:
    """Something wrong in a store: where (a folder or file, of which array, which window), what, and how it is
    mended."""

    path: Path
    what: str
    mend: Callable[[], None]
    array: Path | None = None
    window: int | None = None

    def __str__(self) -> str:
        return f"{self.path}{'' if self.window is None else f', window {self.window:,}'}: {self.what}"


def verify(
    root: Path, repair: bool = False, progress: Callable[[int, int], None] = lambda done, total: None
) -> list[Problem]:
    """Return what is wrong in a store; with ``repair``, mend it.

    Every window must decode and have the right shape, and its summaries must be those of its values. In repairs damaged
    windows are removed (they are predicted again when next asked for), summaries made again, names that are damaged
    emptied (they are written again with the next window; the windows stay), arrays that no program could use removed
    whole, since their windows could be read as what they are not, and so is what killed processes left unfinished more
    than an hour ago. Other processes may write meanwhile. ``progress`` is told the windows looked at and in all.

    Raises UsageError where there is no store, TracksError where it cannot be read or mended.
    """
    held = holdings(root)
    total, done = sum(entry.known for entry in held), 0
    problems: list[Problem] = []
    try:
        for entry in held:
            progress(done, total)
            problems += _array_problems(entry.folder)
            done += entry.known
        progress(done, total)
        problems += _leftovers(root)
        for problem in problems if repair else ():
            problem.mend()
        # A folder that may not be written to can be looked at as if it were mended.
        harmed = {problem.array for problem in problems if problem.array is not None} if repair else ()
        for problem in (left for folder in harmed if folder.exists() for left in _array_problems(folder)):
            raise TracksError(f"cannot mend {problem}; may its files be written to?")
    except OSError as error:
        raise TracksError(f"cannot {'mend' if repair else 'check'} the prediction store {root}: {error}") from error
    return problems


def _array_problems(folder: Path) -> list[Problem]:
    store = _opened(folder)
    if store is None:
        time.sleep(_SECOND_LOOK)
        return [] if _opened(folder) is not None or not folder.exists() else [_unusable(folder)]
    problems = []
    if array_attributes(folder) is None:
        problems.append(
            Problem(folder, "the names of what it holds are damaged", partial(_forget_names, folder), folder)
        )
    files = _summaries(store)
    chunks = {int(path.name) for path in (folder / "c").glob("*") if path.name.isdecimal()}
    flagged = set() if files is None else set(np.flatnonzero(files.array("known")).tolist())
    suspects = [index for index in sorted(chunks | flagged) if _window_problem(store, files, index)]
    without = files is None and store.folder.joinpath("c").is_dir()
    if not (suspects or without):
        return problems
    time.sleep(_SECOND_LOOK)
    files = _summaries(store)
    if without and files is None and folder.exists():
        problems.append(Problem(folder, "its summaries are missing or damaged", partial(_summarise, store), folder))
    for index in suspects:
        what = _window_problem(store, files, index)
        if what is not None:
            problems.append(Problem(folder, what, partial(store.mend, index), folder, index))
    return problems


def _opened(folder: Path) -> WindowStore | None:
    with contextlib.suppress(FileNotFoundError):
        (folder / "zarr.json").read_bytes()  # what may not be read is not damaged
    shape = array_shape(folder)
    try:
        return WindowStore(folder, shape[0] // BINS, shape[1]) if shape else None
    except TracksError:
        return None


def _unusable(folder: Path) -> Problem:
    what = "it does not say what it holds, or holds something else"
    return Problem(folder, what, partial(remove_folder, folder), folder)


def _forget_names(folder: Path) -> None:
    place = folder / "zarr.json"
    put_file(place, json.dumps({**json.loads(place.read_bytes()), "attributes": {}}, indent=1).encode())


def _summaries(store: WindowStore) -> SummaryFiles | None:
    try:
        return SummaryFiles(store.folder / SUMMARY, store.windows, store.tracks)
    except OSError:
        return None


def _summarise(store: WindowStore) -> None:
    store.known()  # makes what is missing


def _window_problem(store: WindowStore, files: SummaryFiles | None, index: int) -> str | None:
    if index >= store.windows:
        return "it lies past the end of its chromosome"
    # As it is on disk: a store's own read would mend its summaries.
    values = WindowArray.read(store, index)
    if values is None and store.chunk_file(index).exists():
        return "it is damaged"
    if files is None:
        return None
    if files.array("known")[index] != (values is not None):
        return "it has no summaries" if values is not None else "it has summaries and is not there"
    if values is None:
        return None
    for parts, right in summarise(values).items():
        found = Summary(*files.array(str(parts))[index])
        # Two processes may have computed it at once, and a GPU need not round twice alike.
        alike = all(
            np.allclose(has, wants, rtol=1e-5, atol=1e-5 * max(1.0, float(np.abs(wants).max())))
            for has, wants in zip(found.columns, right.columns, strict=True)
        )
        if not (alike and np.array_equal(found.counts, right.counts)):
            return "its summaries are of other values"
    return None


def _leftovers(root: Path) -> Iterator[Problem]:
    limit = time.time() - LEFT_ALONE
    for path in sorted(_unfinished(root)):
        try:
            old = path.lstat().st_mtime < limit
        except FileNotFoundError:  # it was live
            continue
        if old:
            yield Problem(path, "a killed process left it unfinished", partial(_remove, path))


def _unfinished(root: Path) -> Iterator[Path]:
    """Yield what is or was being made, where we make it and under the names that we give: other people's files may
    lie in the same folder."""
    places = [(root / "viewconfs", "views")]
    for precision in precision_folders(root):
        places.append((precision, "folders"))
        for folder in precision.iterdir():
            if folder.is_dir() and not folder.name.startswith(MAKING):
                windows = (path for path in folder.glob("c/*") if path.name.isdecimal())
                places += [(folder, "folders"), *((place, "windows") for place in (folder, *windows))]
    for place, kind in places:
        for path in place.iterdir() if place.is_dir() else ():
            whole = path.is_dir() if kind == "folders" else path.is_file()
            if _UNFINISHED[kind].fullmatch(path.name) and whole and not path.is_symlink():
                yield path


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
