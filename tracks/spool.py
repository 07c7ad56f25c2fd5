"""What waits to be sorted, put aside on disk by chromosome and tile, so that memory does not grow with it."""

from __future__ import annotations

import itertools
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def by_tile(chroms: np.ndarray, starts: np.ndarray, size: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yield each chromosome (by number) and tile of ``size`` bases that holds starts, and which ones (int64), in the
    order that they come in."""
    keys = (chroms.astype(np.int64) << 32) + starts.astype(np.int64) // size
    order = np.argsort(keys, kind="stable")
    bounds = np.flatnonzero(np.diff(keys[order], prepend=-1))
    for first, last in itertools.pairwise([*bounds.tolist(), len(order)]):
        key = int(keys[order[first]])
        yield key >> 32, key & 0xFFFFFFFF, order[first:last]


class Spool:
    """Items of chromosomes' tiles, in files of a folder of our own; they come back in the order they were added."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self._keys: set[tuple[int, int]] = set()

    def add(self, chrom: int, tile: int, item: Any) -> None:
        """Keep an item."""
        self._keys.add((chrom, tile))
        with (self._folder / f"{chrom}.{tile}").open("ab") as file:
            pickle.dump(item, file, pickle.HIGHEST_PROTOCOL)

    def tiles(self) -> Iterator[tuple[int, list[Any]]]:
        """Yield the chromosome and all items of each tile, by chromosome and tile; what was read is gone."""
        for chrom, tile in sorted(self._keys):
            path = self._folder / f"{chrom}.{tile}"
            items = []
            with path.open("rb") as file:
                while file.peek(1):
                    items.append(pickle.load(file))
            path.unlink()
            yield chrom, items
        self._keys.clear()
