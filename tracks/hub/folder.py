"""A hub as a folder: its files are made in a folder within, and get their names together."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tracks.errors import TracksError, UsageError, first_few
from tracks.files import check_folder, sync_file
from tracks.folder_lock import LOCK_NAME, folder_lock
from tracks.hub.files import HubFiles
from tracks.hub.former import former_files
from tracks.hub.order import HubOrder, WrittenHub
from tracks.renaming import LIST_NAME, rename_together, unfinished_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


def check_hub_folder(out: Path, overwrite: bool) -> None:
    """See that a hub could be written to a folder. Raises UsageError where it is a file, or holds files and
    ``overwrite`` is off, TracksError where it may not be written to."""
    check_folder(out, f"the hub {out}")
    if out.is_dir() and not overwrite:
        ours = unfinished_names(out) | {LOCK_NAME, LIST_NAME}
        there = sorted(path.name for path in out.iterdir() if path.name not in ours and not _is_working(path))
        if there:
            raise UsageError(
                f"{out} holds {there[0]}{' and more' if len(there) > 1 else ''} already; choose a new folder, "
                "or replace files of the same names with --overwrite"
            )


def write_hub(out: Path, order: HubOrder) -> WrittenHub:
    """Write a hub: bigWigs, differences, bigBeds, pages, hub.txt, IGV sessions and a JBrowse configuration.

    All files get their names together, at the end; those of a hub that was there before, and that have no place in this
    one, go then. Raises UsageError for what a browser would refuse and for files of another genome; TracksError when a
    file cannot be read or written. Nothing has its name then.
    """
    check_hub_folder(out, order.overwrite)
    _check_not_within(out, order)
    with folder_lock(out, "tracks hub") as locked, _working_folder(out, locked) as working:
        made = HubFiles(working, order)
        hub = made.write()
        files = {path.name: path for path in sorted(working.iterdir()) if path.is_file()}
        size = sum(path.stat().st_size for path in files.values())
        check_hub_folder(out, order.overwrite)
        _check_no_folder(out, files)
        gone = sorted(former_files(out) - files.keys())
        try:
            for path in files.values():
                if path.suffix not in (".bw", ".bb"):  # these are on the disk already
                    sync_file(path)
            rename_together(out, {**files, **dict.fromkeys(gone)})
        except OSError as error:
            raise TracksError(f"cannot write to {out}: {error.strerror}") from error
    if gone:
        made.notes.append(f"removed of the hub that was in {out}: {first_few(gone)}")
    return WrittenHub(hub, tuple(files), size, tuple(made.notes))


def _check_not_within(out: Path, order: HubOrder) -> None:
    """See that no file to read is in the hub's folder, where it could be taken for an older hub's and go."""
    within = next((source.path for source in order.sources if source.path.resolve().parent == out.resolve()), None)
    if within is not None:
        raise UsageError(f"{within} is read by this command, and {out} is where the hub goes; choose another folder")


def _check_no_folder(out: Path, names: Iterable[str]) -> None:
    there = next((name for name in names if (out / name).is_dir()), None)
    if there is not None:
        raise UsageError(f"{out / there} is a folder, and the hub has a file of that name; choose another folder")


@contextmanager
def _working_folder(out: Path, alone: bool) -> Iterator[Path]:
    if alone:
        for left in filter(_is_working, out.iterdir()):
            shutil.rmtree(left, ignore_errors=True)
    working = out / f".hub-{os.getpid()}.partial"
    try:
        working.mkdir()
    except OSError as error:
        raise TracksError(f"cannot write to {out}: {error.strerror}") from error
    try:
        yield working
    finally:
        shutil.rmtree(working, ignore_errors=True)


def _is_working(path: Path) -> bool:
    return path.name.startswith(".hub-") and path.name.endswith(".partial")
