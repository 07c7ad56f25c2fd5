"""Rows of a table put aside by chromosome and tile, so that a file in any order is worked off in bounded memory."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from tracks.errors import TracksError
from tracks.spool import Spool, by_tile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

TILE = 1 << 22
"""Bases. A tile with a row for each of its bases takes 50 MB."""


class RowSpool:
    """Rows of one NumPy type that has a field ``start``.

    A context manager: files lie in ``folder`` until it ends. Raises TracksError where they cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._in = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._folder = tempfile.TemporaryDirectory(prefix=".tracks-table-", dir=folder)
        except OSError as error:
            raise TracksError(f"cannot write to the folder {folder}: {error.strerror}") from error
        self._spool = Spool(Path(self._folder.name) / "rows")

    def add(self, chroms: np.ndarray, rows: np.ndarray) -> None:
        """Put rows aside: the number of the chromosome of each, int ``[n]``, and the rows, in the order to keep."""
        try:
            for chrom, tile, here in by_tile(chroms, rows["start"], TILE):
                self._spool.add(chrom, tile, rows[here])
        except OSError as error:
            raise TracksError(f"cannot write to the folder {self._in}: {error.strerror}") from error

    def tiles(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield each tile's chromosome and all of its rows in the order they came, by chromosome and tile."""
        for chrom, items in self._spool.tiles():
            yield chrom, np.concatenate(items)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()
