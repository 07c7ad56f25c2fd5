"""Where a file's bytes come from: a path on this machine, or a permitted address."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tracks.errors import TracksError, UsageError
from tracks.remote.address import Address

if TYPE_CHECKING:
    import numpy as np

Source = Path | Address
"""A file: on this machine, or on another server."""


class Bytes(Protocol):
    """An open file's bytes, at offsets; several threads may read at once."""

    size: int

    def read(self, at: int, size: int) -> bytes:
        """Return bytes from an offset on, fewer where the file ends. Raises TracksError when they cannot be had."""

    def prepare(self, spans: np.ndarray) -> None:
        """Hear what is about to be read: int64 ``[n, 2]`` of offset and size."""

    def close(self) -> None:
        """End reading."""


def open_bytes(source: Source) -> Bytes:
    """Open a file. Raises UsageError when there is none, TracksError (RemoteError) when it cannot be read."""
    if isinstance(source, Path):
        return _LocalBytes(source)
    # Most commands read no other server's files, and these libraries take time to load.
    from tracks.remote.file import remote_file

    return remote_file(source).open()


class _LocalBytes:
    def __init__(self, path: Path) -> None:
        self._path, self._handle = path, -1
        try:
            # Not mapped into memory: who writes the file anew while it is open would end the process.
            self._handle = os.open(path, os.O_RDONLY)
            self.size = os.fstat(self._handle).st_size
        except FileNotFoundError as error:
            raise UsageError(f"there is no bigWig file {path}") from error
        except OSError as error:
            raise TracksError(f"cannot read {path}: {error.strerror}") from error

    def read(self, at: int, size: int) -> bytes:
        try:
            return os.pread(self._handle, size, at)
        except OSError as error:
            raise TracksError(f"cannot read {self._path}: {error.strerror}") from error

    def prepare(self, spans: np.ndarray) -> None:
        pass

    def close(self) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)
