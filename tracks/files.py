"""Writing files so that a final name never holds half a file."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tracks.errors import TracksError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


def nearest_folder(folder: Path) -> Path:
    """Return the folder itself where it exists, else what it would be made in."""
    nearest = folder.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    return nearest


def check_folder(folder: Path, what: str) -> None:
    """See that files could be written to a folder that may be yet to make; nothing is made. For before long work.

    Raises UsageError when a file is in its place, TracksError when it may not be written; both name ``what``.
    """
    try:
        nearest = nearest_folder(folder)
        is_folder = nearest.is_dir()
    except OSError as error:
        raise TracksError(f"cannot write {what}: {error.strerror}") from error
    if not is_folder:
        raise UsageError(f"cannot write {what}: {nearest} is a file, not a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise TracksError(f"cannot write {what}: permission denied in {nearest}")


def check_absent(path: Path, overwrite: bool) -> None:
    """Raise UsageError where there is a folder, or a file that may not be replaced."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder; give the file another name")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists already; choose another name, or replace it with --overwrite")


def check_not_input(out: Path, inputs: Iterable[Path | None]) -> None:
    """Raise UsageError where a file to write is one of those that are read."""
    for path in inputs:
        if path is not None and path.exists() and out.exists() and path.samefile(out):
            raise UsageError(f"{out} is read by this command; give what it writes another name")


def sha256(path: Path) -> str:
    """Return a file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_file(path: Path) -> None:
    """See that a file's content outlasts a loss of power. Raises OSError (some disks say only here that they are
    full)."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(path: Path) -> None:
    """See that the names in a folder outlast a loss of power, where the file system can promise that."""
    with suppress(OSError):
        sync_file(path)


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Yield a name beside ``path`` to write to; rename it to ``path`` on success and remove it on any failure.

    The content is on the disk before it gets its name, so that a loss of power leaves no empty file under it.
    Raises TracksError when the folder cannot be made or written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TracksError(f"cannot make the folder {path.parent}: {error.strerror}") from error
    if not os.access(path.parent, os.W_OK):
        raise TracksError(f"cannot write to the folder {path.parent}: permission denied")
    # The suffix stays last because some writers choose their format by it.
    beside = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield beside
        sync_file(beside)
        beside.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise TracksError(f"cannot write {path}: {error}") from error
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with written_beside(path) as beside:
        beside.write_text(text)
