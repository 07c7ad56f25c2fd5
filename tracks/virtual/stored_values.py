"""Tracks of a store's predicted windows, as what a virtual bigWig is a file of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracks.errors import TracksError
from tracks.grid import BINS
from tracks.virtual.stored import stored_records

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracks.store import WindowStore


class StoredValues:
    """One track, ``column`` of the windows in ``stores`` by chromosome, as far as it is stored now: ``Values`` that
    compute nothing. Safe for several threads.

    A chromosome without a store has no value. A window that is not stored has none either, unless the track is to be
    ``whole``: then asking for it, or for summaries of its chromosome, raises TracksError, as for a window that is
    damaged.
    """

    def __init__(
        self, chrom_sizes: Mapping[str, int], stores: Mapping[str, WindowStore], column: int, whole: bool = False
    ) -> None:
        self._chrom_sizes, self._stores, self._column, self._whole = chrom_sizes, stores, column, whole

    def window(self, chrom: str, index: int) -> np.ndarray:
        """Return the values of one window, float32 ``[896]``; NaN is missing."""
        store = self._stores.get(chrom)
        values = None if store is None else store.read(index)
        if values is not None:
            return values[:, self._column]
        if store is not None and self._whole:
            raise TracksError(_missing(index, chrom, store))
        return np.full(BINS, np.nan, np.float32)

    def records(self, chrom: str, level: int, over: range) -> np.ndarray:
        """Return summaries of stretches of ``1,024 * 4 ** level`` bases, as ``Values.records`` has them."""
        store = self._stores.get(chrom)
        if store is None:
            return np.zeros((5, len(over)))
        records = stored_records(store, self._chrom_sizes[chrom], self._column, level, over)
        # Looked at after, so that a store that is pruned meanwhile is found out.
        if self._whole and not (known := store.known()).all():
            raise TracksError(_missing(int(known.argmin()), chrom, store))
        return records


def _missing(index: int, chrom: str, store: WindowStore) -> str:
    return f"window {index} of {chrom} is missing from the prediction store {store.folder}, or damaged there"
