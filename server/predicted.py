"""The predicted tracks as tilesets: what is known now, and in words why a bin has no value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from server.axis import TILE_BINS, Axis, Piece, Tile
from server.binning import bins_as_steps, means, sums
from server.tilesets import Tileset, dense_tile
from tracks.grid import BIN, bin_count, bins_over, windows_over

if TYPE_CHECKING:
    from server.predictions import Predictions
    from server.tilesets import TileData

REASONS = ("", "zoom in to compute", "computing", "failed", "no sequence", "too little sequence around")
"""Why a bin has no value; the first is for bins that have one, or lie past the genome's end."""
_ZOOM_IN, _COMPUTING, _FAILED, _NO_SEQUENCE, _NO_CONTEXT = range(1, len(REASONS))
_REASON_OF = np.array([_ZOOM_IN, _COMPUTING, _NO_CONTEXT, _FAILED], np.uint8)
"""By ``Status``: a known window lacks a value where its sequence, or what is around it, is not known."""


class PredictedTileset(Tileset):
    """One predicted track. A tile is answered at once; windows it lacks are asked for, and ``waiting`` says whether
    it will change. ``missing`` lists [first bin, end bin, reason] for the bins without a value.
    """

    def __init__(self, uid: str, name: str, axis: Axis, coordinates: str, predictions: Predictions, track: int) -> None:
        super().__init__(uid, name, axis, coordinates)
        self.predictions, self.track_index = predictions, track

    def tile(self, tile: Tile) -> TileData:
        """Return the tile's means of what is known, and what is missing."""
        edges = tile.start + tile.bin_width * np.arange(TILE_BINS + 1, dtype=np.float64)
        totals = np.zeros((2, TILE_BINS))
        reasons = np.zeros((len(REASONS), TILE_BINS))
        for piece in self.axis.pieces(tile.start, tile.end):
            self.predictions.request(piece.region.chrom, windows_over(piece.region))
            values, codes = self._bins(piece)
            inside = np.clip(edges, piece.start, piece.start + len(piece.region))
            totals += self._sums(piece, values, inside)
            for code in np.unique(codes[codes > 0]):
                reasons[code] += self._sums(piece, np.where(codes == code, 1.0, np.nan), inside)[1]
        mean = means(totals[0], totals[1])
        # A bin with any value shows it; one without tells the reason that holds for most of it.
        why = np.where(np.isnan(mean) & (reasons.max(axis=0) > 0), reasons.argmax(axis=0), 0)
        waiting = bool((reasons[_COMPUTING] > 0).any())
        return {**dense_tile(mean), "missing": _runs(why), "waiting": waiting}

    def _sums(self, piece: Piece, values: np.ndarray, edges: np.ndarray) -> np.ndarray:
        chrom = piece.region.chrom
        first = bins_over(piece.region).start
        signal = bins_as_steps(values, first * BIN, BIN, self.axis.chrom_sizes[chrom])
        return np.stack(sums(signal.shifted(self.axis.offsets[chrom]), edges))

    def _bins(self, piece: Piece) -> tuple[np.ndarray, np.ndarray]:
        """Return a piece's values float32 ``[bins]`` and the reason, an index of ``REASONS``, where there is none."""
        chrom, bins = piece.region.chrom, bins_over(piece.region)
        stop = min(bins.stop, bin_count(self.axis.chrom_sizes[chrom]))
        values, status = self.predictions.bins(chrom, bins.start, stop, self.track_index)
        codes = _REASON_OF[status]
        sequence = self.predictions.sequence
        if sequence.ready.is_set():
            codes[~sequence.has_sequence(chrom, bins.start, stop)] = _NO_SEQUENCE
        codes[np.isfinite(values)] = 0
        return values, codes


def _runs(codes: np.ndarray) -> list[list[Any]]:
    """Return [first, end, reason] of each run of one code other than 0."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(codes)) + 1, [len(codes)]])
    spans = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    return [[first, end, REASONS[codes[first]]] for first, end in spans if codes[first]]
