"""A file on another server as bytes at offsets, and as libraries read files: both made of its blocks."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tracks.remote.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracks.remote.connection import Version

BLOCK = 1 << 16
"""Bytes that are kept, or not, together."""


class Blocks(Protocol):
    """Who has the blocks of a file."""

    def blocks(self, wanted: Iterable[int], version: Version) -> dict[int, bytes]:
        """Return blocks of a version of the file, by number. Raises RemoteError when they cannot be had."""


class RemoteBytes:
    """One version of a file on another server, as bytes at offsets."""

    def __init__(self, file: Blocks, version: Version) -> None:
        self._file, self.version = file, version
        self.size = version.size

    def read(self, at: int, size: int) -> bytes:
        """Return bytes from an offset on, fewer where the file ends. Raises RemoteError when they cannot be had."""
        size = min(size, self.size - at)
        if size <= 0:
            return b""
        first, last = at // BLOCK, (at + size - 1) // BLOCK
        found = self._file.blocks(range(first, last + 1), self.version)
        data = b"".join(found.get(block, b"") for block in range(first, last + 1))
        return data[at - first * BLOCK : at - first * BLOCK + size]

    def prepare(self, spans: np.ndarray) -> None:
        """Fetch what lies in spans, int64 ``[n, 2]`` of offset and size, in as few questions as may be: for what is
        about to be read. Raises RemoteError when it cannot be had."""
        if not len(spans):
            return
        first, last = spans[:, 0] // BLOCK, (spans[:, 0] + np.maximum(spans[:, 1], 1) - 1) // BLOCK
        wanted = {
            block for span in zip(first.tolist(), last.tolist(), strict=True) for block in range(span[0], span[1] + 1)
        }
        most = -(-self.size // BLOCK)
        self._file.blocks(sorted(block for block in wanted if 0 <= block < most), self.version)

    def close(self) -> None:
        """Do nothing: the blocks are kept for who reads next."""


class RemoteStream(io.RawIOBase):
    """A file on another server, as libraries read files. ``failure`` is what went wrong, where anything did: they make
    an error of their own of it."""

    def __init__(self, source: RemoteBytes) -> None:
        self._source, self._at = source, 0
        self.failure: RemoteError | None = None

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be read from any place."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, and return it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        self._at = max(start + offset, 0)
        return self._at

    def tell(self) -> int:
        """Return the place."""
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Return the bytes from here on. Raises OSError when they cannot be had."""
        wanted = self._source.size if size is None or size < 0 else size
        try:
            data = self._source.read(self._at, wanted)
        except RemoteError as error:
            self.failure = error
            raise OSError(error.why) from error
        self._at += len(data)
        return data
