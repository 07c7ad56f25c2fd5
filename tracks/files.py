"""Writing files so that a final name never holds half a file."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tracks.errors import TracksError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
