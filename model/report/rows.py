"""All rows of one fold's scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.report.scores import Where, rows_of
from tracks.grid import BIN, WINDOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from model.report.fold import FoldScores
    from model.report.table import Row

SPECIFIC = "specific "
"""Before a metric's name: after removing the across-track mean."""


def fold_rows(scores: FoldScores, means: np.ndarray | None) -> Iterator[Row]:
    """Yield the rows of a fold, bins first; ``means`` float64 ``[tracks]`` are those of the training windows."""
    names = tuple(track.name for track in scores.tracks)
    layout = scores.layout
    if scores.bins is not None and scores.specific_bins is not None:
        where = Where(layout.fold, BIN, names, layout.block_chroms)
        yield from rows_of(scores.bins, scores.bin_named, where, means)
        where = Where(layout.fold, BIN, names, layout.block_chroms, SPECIFIC)
        yield from rows_of(scores.specific_bins, scores.bin_named, where, each_chrom=False)
    where = Where(layout.fold, WINDOW, names, layout.block_chroms)
    yield from rows_of(scores.windows, scores.named, where, means)
    where = Where(layout.fold, WINDOW, names, layout.block_chroms, SPECIFIC)
    yield from rows_of(scores.specific_windows, scores.named, where, each_chrom=False)
