"""The arrays of a built label set: values, the valid count behind each, and why a bin has none.

The grid of a chromosome is written in pieces of sixteen windows, given ones in pieces of sixteen rows; a piece is a
Zarr chunk, and is there when its mask is, which is written last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracks.errors import TracksError
from tracks.grid import BINS, bin_count
from tracks.window_array import ZSTD, WindowArray

if TYPE_CHECKING:
    from pathlib import Path

PIECE_WINDOWS = 16
PIECE_BINS = PIECE_WINDOWS * BINS
"""Bins in one piece of a chromosome's grid."""
PIECE_ROWS = 16
"""Given windows in one piece."""

UNKNOWN, BLACKLISTED, UNMAPPABLE, OBSERVED = 1, 2, 4, 8
"""Bits of a bin's mask: too few known bases, blacklisted, unmappable; some track has a value here."""
MASKED = UNKNOWN | BLACKLISTED | UNMAPPABLE
UNDEFINED = np.inf


@dataclass(frozen=True, eq=False)
class LabelPiece:
    """Aggregated values in linear scale, float32 ``[..., tracks]`` (NaN where missing; ``UNDEFINED`` where the label is
    NaN even if a number stands for what is missing), the valid count behind each (float32, same shape), and the mask's
    bits of each bin (uint8, without the last axis)."""

    values: np.ndarray
    valid: np.ndarray
    mask: np.ndarray


class LabelArrays:
    """Pieces of labels of one shape in a folder; several processes may write different pieces at once.

    Raises TracksError when the folder cannot be made or holds arrays of another shape.
    """

    def __init__(self, folder: Path, pieces: int, shape: tuple[int, ...], tracks: int) -> None:
        self.pieces, self._shape = pieces, shape
        args = (ZSTD, "the label set")
        self._values = WindowArray(folder / "values", pieces, (*shape, tracks), "float32", float("nan"), *args)
        self._valid = WindowArray(folder / "valid", pieces, (*shape, tracks), "float32", 0, *args)
        self._mask = WindowArray(folder / "mask", pieces, shape, "uint8", 0, *args)

    def write(self, index: int, piece: LabelPiece) -> None:
        """Keep one piece. Raises TracksError when it cannot be written."""
        try:
            self._values.write(index, piece.values)
            self._valid.write(index, piece.valid)
            self._mask.write(index, piece.mask)
        except OSError as error:
            raise TracksError(
                f"cannot write the label set {self._mask.folder.parent}: {error.strerror}; what was built before is "
                "kept, so run again to go on"
            ) from error

    def read(self, index: int) -> LabelPiece:
        """Return one piece. Raises TracksError when it is not there, or damaged."""
        values, valid, mask = self._values.read(index), self._valid.read(index), self._mask.read(index)
        if values is None or valid is None or mask is None:
            raise TracksError(f"the label set {self._mask.folder.parent} is damaged: it has no piece {index}")
        return LabelPiece(values, valid, mask)

    def known(self) -> np.ndarray:
        """Return which pieces were written, bool ``[pieces]``."""
        return self._mask.known()

    def masks(self) -> np.ndarray:
        """Return the mask's bits of every bin, uint8, pieces joined along their first axis."""
        pieces = [self._mask.read(index) for index in range(self.pieces)]
        return np.concatenate([np.zeros(self._shape, np.uint8) if piece is None else piece for piece in pieces])


def grid_arrays(folder: Path, chrom: str, length: int, tracks: int) -> LabelArrays:
    """Return the arrays of a chromosome's grid."""
    return LabelArrays(folder / "grid" / chrom, -(-bin_count(length) // PIECE_BINS), (PIECE_BINS,), tracks)


def row_arrays(folder: Path, rows: int, tracks: int, values: int) -> LabelArrays:
    """Return the arrays of given windows: of their bins (``values`` 896), or of whole windows (1)."""
    name = "windows" if values == BINS else "whole_windows"
    return LabelArrays(folder / name, -(-rows // PIECE_ROWS), (PIECE_ROWS, values), tracks)
