"""Rows put aside on disk by chromosome and tile, so that a file in any order is worked off in bounded memory."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from tracks.errors import TracksError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

TILE = 1 << 22
"""Bases. A tile with a row for each of its bases takes 50 MB."""


class Spool:
    """Rows of one NumPy type that has a field ``start``, in a file for each tile of ``TILE`` bases.

    A context manager: the files lie in ``folder`` until it ends. Raises TracksError where they cannot be written.
    """

    def __init__(self, folder: Path, dtype: np.dtype) -> None:
        self._dtype = dtype
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._folder = tempfile.TemporaryDirectory(prefix=".tracks-table-", dir=folder)
        except OSError as error:
            raise TracksError(f"cannot write to the folder {folder}: {error.strerror}") from error

    def add(self, chroms: np.ndarray, rows: np.ndarray) -> None:
        """Put rows aside: the number of the chromosome of each, int ``[n]``, and the rows, in the order to keep."""
        tiles = rows["start"].astype(np.int64) // TILE
        keys = chroms.astype(np.int64) << 32 | tiles
        order = np.argsort(keys, kind="stable")
        edges = np.flatnonzero(np.diff(keys[order], prepend=-1, append=-1))
        try:
            for first, last in itertools.pairwise(edges):
                at = order[first]
                with self._path(int(chroms[at]), int(tiles[at])).open("ab") as file:
                    rows[order[first:last]].tofile(file)
        except OSError as error:
            raise TracksError(f"cannot write to the folder {self._folder.name}: {error.strerror}") from error

    def _path(self, chrom: int, tile: int) -> Path:
        return Path(self._folder.name) / f"{chrom}-{tile:06d}"

    def tiles(self, chrom: int) -> Iterator[np.ndarray]:
        """Yield all rows of each tile of a chromosome, by start of the tile, in the order they came."""
        for path in sorted(Path(self._folder.name).glob(f"{chrom}-*")):
            yield np.fromfile(path, self._dtype)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()
