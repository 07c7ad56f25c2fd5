"""Which windows of an export are in a store, and bringing those of several stores together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracks.grid import window_count
from tracks.store import Store
from tracks.store_admin import array_attributes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tracks.bigwig_export import BigWigExport, ExportChrom, ExportHead
    from tracks.store import WindowStore


def whole_windows(windows: WindowStore) -> np.ndarray:
    """Return which windows are known, bool ``[windows]``. The store forgets those whose file lost its content, as a
    power failure leaves new files."""
    for index in np.flatnonzero(windows.known()).tolist():
        try:
            lost = windows.chunk_file(index).stat().st_size == 0
        except OSError:
            lost = True
        if lost:
            windows.read(index)  # it forgets what it does not find
    return windows.known()


def collect(
    export: BigWigExport,
    others: Sequence[Path],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """Copy the windows of an export that its store has not from ``others``, the first that has them. Return the windows
    that none has, counted through the whole export: int64, rising.

    ``progress`` is told the windows looked at, and in all. Raises TracksError when the store cannot be written to.
    """
    stores, first = [Store(root) for root in others], 0
    missing: list[np.ndarray] = []
    progress(0, export.windows)
    for chrom in export.chroms:
        lacking = np.zeros(window_count(chrom.length), bool)
        for head in export.heads:
            lacking |= ~_collected(export, [_windows(store, export, head, chrom) for store in stores], head, chrom)
        missing.append(first + np.flatnonzero(lacking))
        first += len(lacking)
        progress(first, export.windows)
    return np.concatenate(missing)


def _collected(export: BigWigExport, others: Sequence[WindowStore], head: ExportHead, chrom: ExportChrom) -> np.ndarray:
    """Copy one head's windows of one chromosome; return which there are now, bool."""
    here = _windows(Store(export.store), export, head, chrom)
    known = whole_windows(here)
    for other in others:
        wanted = np.flatnonzero(whole_windows(other) & ~known).tolist()
        if wanted and not here.exists():
            about = array_attributes(other.folder)
            here = Store(export.store).windows(
                head.digest, chrom.sequence, chrom.length, head.stored, export.method, about
            )
        for index in wanted:
            values = other.read(index)
            if values is not None:
                here.write(index, values)
                known[index] = True
    return known


def _windows(store: Store, export: BigWigExport, head: ExportHead, chrom: ExportChrom) -> WindowStore:
    return store.windows(head.digest, chrom.sequence, chrom.length, head.stored, export.method)
