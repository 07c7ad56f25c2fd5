"""HDF5 files whose writing can fail: a full disk, or a quota, ends in an OSError.

Left to itself, the HDF5 library fails again when it closes such a file, and takes the process with it.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Literal, Self

import h5py

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from _typeshed import ReadableBuffer


class _Sink(io.FileIO):
    """A file that keeps its first failure for later, and tells HDF5 that all went well."""

    failure: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left:  # a disk that is almost full takes a part
                left = left[super().write(left) :]
        except OSError as error:
            self.failure = self.failure or error
        return size

    def truncate(self, size: int | None = None, /) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return size or 0


class Hdf5Writer:
    """An HDF5 file to write (``w``) or to go on with (``r+``): ``file`` is h5py's.

    ``check``, and leaving the ``with`` block, raise OSError when something could not be written; until then writing
    seems to succeed, so ``check`` belongs behind each part that counts.
    """

    def __init__(self, path: Path, mode: Literal["w", "r+"] = "w") -> None:
        self._sink = _Sink(path, "w+" if mode == "w" else "r+")
        # Version 1.8 keeps attributes of any size; older ones stop at 64 kB. Chunks are written whole and once, and
        # without a cache at once, so that a failure is known at its row.
        self.file = h5py.File(self._sink, mode, libver=("v108", "latest"), rdcc_nbytes=0)

    def check(self) -> None:
        """Raise the OSError of the first write that failed, if any did."""
        if self._sink.failure is not None:
            raise self._sink.failure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()
        self._sink.close()
        if kind is None:
            self.check()
