"""The predicted tracks as tilesets: what is in the store now, and in words why a bin has no value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from server.axis import TILE_BINS, Axis, Piece, Tile
from server.binning import means, sums
from server.known_parts import (
    COMPUTING,
    FAILED,
    NOT_IN_VIEW,
    QUEUED,
    REASONS,
    TOO_LITTLE,
    TOO_WIDE,
    Parts,
    joined,
    places,
    runs,
)
from server.progress import Status, Work
from server.tilesets import Tileset, dense_tile
from tracks.errors import TracksError, UsageError
from tracks.grid import BIN, BINS, WINDOW, windows_over
from tracks.window_summary import SUMMARY_PARTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.predictions import Predictions
    from server.tilesets import TileData

_COARSENESS = 8
"""A tile's bin is at least so many times as wide as the parts of windows that it is made of; below 4,096 bp it is made
of the 128-bp bins themselves, exactly."""
_PARTS = (1, 7, 28, 112, 224)


@dataclass(frozen=True)
class Asker:
    """Who asks for tiles: a client's own id, and what its screen shows, a span of the axis (None: not known)."""

    client: str = ""
    view: tuple[int, int] | None = None


NOBODY = Asker()
"""One who gives no name: a script, or HiGlass without our data fetcher."""


class PredictedTileset(Tileset):
    """One predicted track of one head. A tile is answered at once with what is known; unknown windows are asked for.

    ``missing`` lists [first bin, end bin, reason] for the bins without a value, ``notices`` has words for some of the
    reasons, and ``waiting`` says whether the tile may change by itself, or by its client's looking elsewhere in it.
    """

    def __init__(
        self, uid: str, name: str, axis: Axis, coordinates: str, predictions: Predictions, head: str, column: int
    ) -> None:
        super().__init__(uid, name, axis, coordinates)
        self.predictions, self.head, self.column = predictions, head, column
        # The narrowest tile that holds the widest view.
        self._widest = TILE_BINS * BIN
        while self._widest < predictions.max_view:
            self._widest *= 2

    def tiles_for(self, tile_ids: Sequence[str], asker: Asker) -> list[tuple[str, TileData]]:
        """Return each tile for one client, or ``{"error": text}`` for one that cannot be made."""
        answers: list[tuple[str, TileData]] = []
        for tile_id in tile_ids:
            try:
                answers.append((tile_id, self.tile(self.axis.tile(tile_id), asker)))
            except TracksError as error:
                answers.append((tile_id, {"error": str(error)}))
        return answers

    def tile(self, tile: Tile, asker: Asker = NOBODY) -> TileData:
        """Return the tile's means of what is known, and what is missing. Raises UsageError for another mode."""
        if tile.mode != "mean":
            raise UsageError(f"a predicted track has means, no {tile.mode}")
        view = asker.view
        too_wide = (view[1] - view[0] > self.predictions.max_view) if view else tile.end - tile.start > self._widest
        if not too_wide:
            self.predictions.ask(asker.client, (tile.start, tile.end), self.head, view)
        unknown = TOO_WIDE if too_wide else NOT_IN_VIEW
        parts = next((n for n in _PARTS if tile.bin_width >= _COARSENESS * WINDOW // n), BINS)
        work = self.predictions.work()
        pieces = list(self.axis.pieces(tile.start, tile.end))
        known = joined([self._parts(piece, parts, unknown, work) for piece in pieces])
        edges = tile.start + tile.bin_width * np.arange(TILE_BINS + 1, dtype=np.float64)
        mean = means(*sums(known.signal(), edges))
        why = known.reasons(edges, np.isnan(mean) & (edges[:-1] < self.axis.length))
        present = set(np.unique(why).tolist())
        # Before the sequence is counted, what lacks a value may turn out to have none.
        counted = self.predictions.sequence.ready.is_set()
        may_change = {QUEUED, COMPUTING, TOO_WIDE, NOT_IN_VIEW} if counted else set(range(1, len(REASONS)))
        return {
            **dense_tile(mean),
            "missing": runs(why),
            "waiting": not present.isdisjoint(may_change),
            "notices": self._notices(present, self._failure(pieces, work), view or (tile.start, tile.end)),
        }

    def _failure(self, pieces: Sequence[Piece], work: Work) -> str:
        """Return why a window of some pieces failed, in words; empty when none did."""
        over = {piece.region.chrom: windows_over(piece.region) for piece in pieces}
        failed = (
            why
            for ((chrom, index), head), why in work.failed.items()
            if head == self.head and index in over.get(chrom, ())
        )
        return next(failed, "")

    def _notices(self, present: set[int], failure: str, view: tuple[int, int]) -> dict[str, str]:
        words = {}
        if FAILED in present:
            words[REASONS[FAILED]] = f"prediction failed: {failure}" if failure else "prediction failed"
        if TOO_WIDE in present:
            cost = self.predictions.estimate(view, [self.head]).seconds
            about = f" (about {in_words(cost)})" if cost is not None else ""
            limit = f"{self.predictions.max_view / 1e6:g} Mb"
            words[REASONS[TOO_WIDE]] = f"zoom in below {limit} to predict, or press Predict region{about}"
        return words

    def _parts(self, piece: Piece, parts: int, unknown: int, work: Work) -> Parts:
        """Return what is known of the windows over a piece, in ``parts`` parts a window."""
        chrom, over = piece.region.chrom, windows_over(piece.region)
        status = self.predictions.status(chrom, self.head, over.start, over.stop, work)
        starts, ends, bins = places(self.axis.offsets[chrom], self.axis.chrom_sizes[chrom], over, parts)
        there, sequence = bins, self.predictions.sequence
        if parts > max(SUMMARY_PARTS):
            totals, counts = self._bins(chrom, over, status, parts)
        else:
            totals, counts = self._summary(chrom, over, parts)
        if sequence.ready.is_set():
            there = sequence.counts(chrom, over, parts)
        reason = np.array([unknown, QUEUED, COMPUTING, FAILED, TOO_LITTLE], np.uint8)[status]
        # What was not known a moment ago may have a summary by now.
        counts = np.where((status == Status.KNOWN).repeat(parts), counts, 0)
        return Parts(starts, ends, bins, there, counts, totals, reason.repeat(parts))

    def _bins(self, chrom: str, over: range, status: np.ndarray, parts: int) -> tuple[np.ndarray, np.ndarray]:
        totals = np.zeros((len(over), BINS))
        counts = np.zeros((len(over), BINS), np.float64)
        for place, index in enumerate(over):
            known = status[place] == Status.KNOWN
            values = self.predictions.stored.kept((chrom, index), self.head) if known else None
            if values is not None:
                column = values[:, self.column]
                there = np.isfinite(column)
                totals[place, there], counts[place] = column[there], there
            elif known:  # the disk lost it
                status[place] = Status.QUEUED
                self.predictions.ask_anew((chrom, index), self.head)
        if parts == BINS:
            return totals.ravel(), counts.ravel()
        return totals.reshape(-1, BINS // parts).sum(axis=1), counts.reshape(-1, BINS // parts).sum(axis=1)

    def _summary(self, chrom: str, over: range, parts: int) -> tuple[np.ndarray, np.ndarray]:
        store = self.predictions.stored.opened(chrom, self.head)
        if store is None:
            return np.zeros(len(over) * parts), np.zeros(len(over) * parts)
        finest = min(kept for kept in SUMMARY_PARTS if kept % parts == 0)
        summary = store.summary(finest)
        totals, counts = (
            each[over.start : over.stop, :, self.column].reshape(-1, finest // parts).sum(axis=1, dtype=np.float64)
            for each in (summary.sums, summary.counts)
        )
        return totals, counts


def in_words(seconds: float) -> str:
    """Say a time as a person would: ``40 s``, ``3 min``, ``2.5 h``."""
    if seconds < 100:
        return f"{max(round(seconds), 1)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3600:.1f} h"
