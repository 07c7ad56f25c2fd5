"""Writing files so that a final name never holds half a file."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tracks.errors import TracksError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def check_folder(folder: Path, what: str) -> None:
    """See that files could be written to a folder that may be yet to make; nothing is made. For before long work.

    Raises UsageError when a file is in its place, TracksError when it may not be written; both name ``what``.
    """
    nearest = folder.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise UsageError(f"cannot write {what}: {nearest} is a file, not a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise TracksError(f"cannot write {what}: permission denied in {nearest}")


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Yield a name beside ``path`` to write to; rename it to ``path`` on success and remove it on any failure.

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
        beside.replace(path)
    except OSError as error:
        raise TracksError(f"cannot write {path}: {error}") from error
    finally:
        beside.unlink(missing_ok=True)
