"""The table of regions (``tracks.table``) of a model's predictions, kept in the store, and a project's bigWigs."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from model.predict import predict_windows
from tracks.grid import BINS
from tracks.observed_signal import ObservedSignal
from tracks.table import TableTrack, table_rows, windows_touched
from tracks.track import select_tracks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from model.predict import Predictor
    from tracks.project import TrackEntry
    from tracks.regions import NamedRegion, Region
    from tracks.store import Store
    from tracks.table import TableRows

_HELD = 8
"""Windows that are kept for the next region, which mostly lies in one of them."""


class RegionTable:
    """Which tracks a table has, and where their numbers are from: all tracks of the predictor's model, those of
    ``entries`` that are observed only, and of these all, or those named.

    With ``known_only`` nothing is computed: what the store has not is missing. Raises UsageError for a name that no
    track has and for a bigWig of another genome, TracksError for one that cannot be read.
    """

    def __init__(
        self,
        predictor: Predictor,
        store: Store,
        entries: Sequence[TrackEntry] = (),
        names: Sequence[str] = (),
        known_only: bool = False,
    ) -> None:
        self._predictor, self._store, self._known_only = predictor, store, known_only
        files = {entry.track: entry.observed for entry in entries if entry.observed is not None}
        own = iter(predictor.model.tracks)
        # A model of several heads names its tracks after them; what was measured is the same.
        slugs = {next(own): plain.slug for spec in predictor.model.heads for plain in spec.tracks}
        columns = {track: column for column, track in enumerate(slugs)}
        slugs |= {track: track.slug for track in files if track.slug not in slugs.values()}
        chosen = select_tracks(tuple(slugs), names) if names else tuple(slugs)
        sizes = predictor.genome.chrom_sizes
        wanted = {slugs[track] for track in chosen}
        signals = {track.slug: ObservedSignal(path, sizes) for track, path in files.items() if track.slug in wanted}
        self.tracks = tuple(TableTrack(track, columns.get(track), signals.get(slugs[track])) for track in chosen)
        """The tracks of each region, in the order of their rows."""

    def compute(
        self, regions: Iterable[Region], progress: Callable[[int, int], None] = lambda done, total: None
    ) -> None:
        """Predict the windows that regions touch and that the store has not; all are kept there.

        ``progress`` is told the windows done and in all. Nothing is done where only what is known is wanted.
        """
        if self._known_only or all(entry.column is None for entry in self.tracks):
            for _ in regions:  # what is wrong with them is found before anything is written
                pass
            return
        touched = windows_touched(regions)
        done, total = 0, sum(map(len, touched.values()))
        progress(done, total)
        for chrom, indices in touched.items():
            for _ in predict_windows(self._predictor, chrom, indices, self._store):
                done += 1
                progress(done, total)

    def rows(self, regions: Iterable[NamedRegion]) -> Iterator[TableRows]:
        """Yield the rows of regions, in their order. Windows that the store has lost meanwhile are computed again."""
        read = self._known if self._known_only else self._predicted
        return table_rows(regions, self.tracks, functools.lru_cache(_HELD)(read))

    def _predicted(self, chrom: str, index: int) -> np.ndarray:
        [(_, values)] = predict_windows(self._predictor, chrom, [index], self._store)
        return values

    def _known(self, chrom: str, index: int) -> np.ndarray:
        parts = []
        for spec in self._predictor.model.heads:
            windows = self._predictor.known_windows(self._store, chrom, spec.name)
            values = windows.read(index)
            parts.append(values if values is not None else np.full((BINS, windows.tracks), np.nan, np.float32))
        return np.concatenate(parts, axis=1)
