"""Residual streams of a frozen trunk on disk, so that epochs need not pass the trunk again.

One Zarr v3 array float16 ``[windows, width, 896]`` a strand, one chunk a window; a window is known when its chunk is
there. The stream has half the channels of the embedding, which is a 1x1 block of it (facts/models.md section 6): for
Basenji2 1.4 MB a window against 2.8. Each chunk ends in a checksum, and one that fails is computed again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracks.errors import TracksError
from tracks.files import nearest_folder
from tracks.grid import BINS
from tracks.window_array import CRC32C, WindowArray

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tracks.genome import Genome
    from tracks.windows import WindowRow

STRANDS = ("forward", "reverse")


@dataclass(frozen=True)
class CachePlan:
    """What filling a cache will take. ``windows`` counts each strand; ``missing`` of them are not there yet."""

    folder: Path
    windows: int
    missing: int
    bytes_a_window: int

    @property
    def missing_bytes(self) -> int:
        """Bytes that will be written."""
        return self.missing * self.bytes_a_window

    def __add__(self, other: CachePlan) -> CachePlan:
        windows, missing = self.windows + other.windows, self.missing + other.missing
        return CachePlan(self.folder, windows, missing, self.bytes_a_window)

    def __str__(self) -> str:
        free = shutil.disk_usage(nearest_folder(self.folder)).free
        return (
            f"the cache {self.folder} takes {_size(self.missing_bytes)} more for {self.missing:,} of "
            f"{self.windows:,} windows; {_size(free)} are free there"
        )


class ResidualCache:
    """The residual streams of some windows under one trunk, which several processes may read and write at once.

    Raises TracksError when the folder cannot be made or holds something else.
    """

    def __init__(self, root: Path, key: str, windows: int, width: int) -> None:
        self.folder = root / key[:32]
        self._width = width
        # Not compressed, because float16 activations do not get smaller.
        self._strands = {
            strand: WindowArray(self.folder / strand, windows, (1, width, BINS), "float16", 0.0, CRC32C, "the cache")
            for strand in STRANDS
        }

    @property
    def bytes_a_window(self) -> int:
        """Bytes of one window on disk, one strand; a checksum is 4."""
        return 2 * self._width * BINS + 4

    def plan(self, rows: Sequence[int] | np.ndarray, strands: int) -> CachePlan:
        """Return what it takes to have these rows on one or both strands."""
        missing = sum(int((~self.known(strand)[np.asarray(rows, int)]).sum()) for strand in STRANDS[:strands])
        return CachePlan(self.folder, len(rows) * strands, missing, self.bytes_a_window)

    def known(self, strand: str) -> np.ndarray:
        """Return which windows are there, bool ``[windows]``."""
        return self._strands[strand].known()

    def read(self, row: int, strand: str) -> np.ndarray | None:
        """Return one window's residual stream, float16 ``[width, 896]``, or None when it is not there or damaged."""
        found = self._strands[strand].read(row)
        return None if found is None else found[0]

    def write(self, row: int, strand: str, residual: np.ndarray) -> None:
        """Keep one window's residual stream, ``[width, 896]``.

        Raises TracksError when it cannot be written, or does not fit float16.
        """
        with np.errstate(over="ignore"):
            half = residual.astype(np.float16)
        if not np.isfinite(half).all():
            raise TracksError(
                f"the trunk's residual stream reaches {np.abs(residual).max():.3g}, which float16 cannot hold; "
                "train without a cache"
            )
        try:
            self._strands[strand].write(row, half[None])
        except OSError as error:
            raise TracksError(
                f"cannot write to the cache {self.folder}: {error.strerror}; the {int(self.known(strand).sum()):,} "
                f"windows ({strand} strand) that are there stay: make room and run the same command to go on"
            ) from error


def cache_key(trunk_digest: str, number_format: str, genome: Genome, windows: Sequence[WindowRow]) -> str:
    """Return what names the residual streams of windows: the trunk, the number format it runs in, and the sequence
    and place of each window."""
    sequences = {chrom: genome.digest(chrom) for chrom in dict.fromkeys(window.chrom for window in windows)}
    places = [[sequences[window.chrom], window.start] for window in windows]
    return hashlib.sha256(json.dumps([trunk_digest, number_format, places]).encode()).hexdigest()


def _size(count: int) -> str:
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count / 1000:,.1f} kB"
