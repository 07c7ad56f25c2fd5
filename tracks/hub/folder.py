"""A hub as a folder: its files are made in a folder within, and get their names together."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tracks.errors import TracksError, UsageError
from tracks.files import check_folder, sync_file
from tracks.folder_lock import LOCK_NAME, folder_lock
from tracks.hub.files import HubFiles
from tracks.hub.order import HubOrder, WrittenHub
from tracks.renaming import LIST_NAME, rename_together, unfinished_names

if TYPE_CHECKING:
    from collections.abc import Iterator
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

    All files get their names together, at the end. Raises UsageError for what a browser would refuse and for files of
    another genome; TracksError when a file cannot be read or written. Nothing has its name then.
    """
    check_hub_folder(out, order.overwrite)
    with folder_lock(out, "tracks hub") as locked, _working_folder(out, locked) as working:
        made = HubFiles(working, order)
        hub = made.write()
        files = {path.name: path for path in sorted(working.iterdir()) if path.is_file()}
        size = sum(path.stat().st_size for path in files.values())
        check_hub_folder(out, order.overwrite)
        try:
            for path in files.values():
                if path.suffix not in (".bw", ".bb"):  # these are on the disk already
                    sync_file(path)
            rename_together(out, files)
        except OSError as error:
            raise TracksError(f"cannot write to {out}: {error.strerror}") from error
    return WrittenHub(hub, tuple(files), size, tuple(made.notes))


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
