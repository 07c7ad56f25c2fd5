"""Zoom levels of a whole predicted genome, kept so that none of a virtual bigWig's bytes changes any more.

In a head's folder of the store, beside its windows: ``overviews/<genome>/<track>.zooms`` holds the records of all
levels, the finest first, of the chromosomes in the order of their names' bytes: bases, least, most, sum and sum of
squares, 20 bytes each. Of hg38 that is 80 MB a track. Its place names the predictions, the genome and the layout, so a
file is right or not there.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from tracks.errors import TracksError
from tracks.files import written_beside
from tracks.store import KEY_LETTERS
from tracks.virtual.layout import LEVELS, VERSION, ZOOM
from tracks.virtual.stored import stored_totals

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tracks.method import Method
    from tracks.virtual.values import Summaries, Totals

_RECORD = np.dtype([("bases", "<u4"), *((name, "<f4") for name in ("least", "most", "sum", "squares"))])
OVERVIEWS = "overviews"
_DIGEST_LETTERS = 32
_WRITTEN = 1 << 16
"""Records that are made at once."""


def layout_digest(chrom_sizes: Mapping[str, int], sequences: Mapping[str, str]) -> str:
    """Return a digest, 32 hexadecimal letters, of a genome as files are laid out over it: names, lengths and refget
    digests (``sequences``) of its chromosomes."""
    return _digest([VERSION, *([chrom, length, sequences[chrom]] for chrom, length in sorted(chrom_sizes.items()))])


def file_digest(head_digest: str, method: Method, layout: str, frozen: bool) -> str:
    """Return the digest in the address of a head's virtual files, 32 hexadecimal letters.

    It names all that their bytes depend on: the head's numbers, how windows are predicted, the genome (``layout``, its
    digest), and whether zoom levels are ``frozen`` or grow.
    """
    return _digest([head_digest, method.key, layout, "frozen" if frozen else "live"])


def overview_path(store: Path, head_digest: str, method: Method, layout: str, slug: str) -> Path:
    """Return where a track's overview is, or would be, in the folder of a store."""
    return store / head_digest[:KEY_LETTERS] / method.key / OVERVIEWS / layout / f"{slug}.zooms"


def overview_bytes(chrom_sizes: Mapping[str, int]) -> int:
    """Return the size of one track's overview."""
    return sum(count for _, _, count in _stretches(chrom_sizes)) * _RECORD.itemsize


def write_overview(path: Path, chrom_sizes: Mapping[str, int], values: Summaries) -> None:
    """Keep the records of all zoom levels, whole or not at all. Raises TracksError when the disk does not take them."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_beside(path) as beside, beside.open("wb") as file:
            for level, chrom, count in _stretches(chrom_sizes):
                for first in range(0, count, _WRITTEN):
                    made = values.records(chrom, level, range(first, min(first + _WRITTEN, count)))
                    rows = np.empty(made.shape[1], _RECORD)
                    for name, column in zip(_RECORD.names or (), made, strict=True):
                        # What nothing is known of says so by its bases; its other numbers may be infinite.
                        rows[name] = np.where(made[0] > 0, column, 0)
                    file.write(rows.tobytes())
    except OSError as error:
        raise TracksError(f"cannot write the overview {path}: {error.strerror}") from error


class Overview:
    """A track's overview, read from its file as it is asked for. Raises TracksError where it cannot be read."""

    def __init__(self, path: Path, chrom_sizes: Mapping[str, int]) -> None:
        self._firsts: dict[tuple[str, int], int] = {}
        total = 0
        for level, chrom, count in _stretches(chrom_sizes):
            self._firsts[chrom, level] = total
            total += count
        self._path = path
        try:
            size = path.stat().st_size
        except OSError as error:
            raise TracksError(f"cannot read the overview {path}: {error}; run tracks predict --overview") from error
        if size != total * _RECORD.itemsize:
            raise TracksError(f"the overview {path} is damaged: remove it and run tracks predict --overview")
        self.totals: Totals = stored_totals(self, chrom_sizes)

    def records(self, chrom: str, level: int, over: range) -> np.ndarray:
        """Return records as ``Values.records`` has them."""
        first = self._firsts[chrom, level]
        # Not mapped: where a disk fails, or somebody shortens the file, that would end the process.
        try:
            rows = np.fromfile(self._path, _RECORD, len(over), offset=(first + over.start) * _RECORD.itemsize)
        except OSError as error:
            raise TracksError(f"cannot read the overview {self._path}: {error}") from error
        if len(rows) < len(over):
            raise TracksError(f"the overview {self._path} was shortened; run tracks predict --overview")
        return np.stack([rows[name].astype(np.float64) for name in _RECORD.names or ()])


def _digest(named: list[Any]) -> str:
    text = json.dumps(named, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LETTERS]


def _stretches(chrom_sizes: Mapping[str, int]) -> list[tuple[int, str, int]]:
    """A level, a chromosome and the number of its records, in the order of a file."""
    names = sorted(chrom_sizes, key=str.encode)
    return [(level, chrom, -(-chrom_sizes[chrom] // (ZOOM * 4**level))) for level in range(LEVELS) for chrom in names]
