"""Numbers of regions: what was observed and what is predicted there, one row for each region and track.

``start`` and ``end`` are 0-based half-open, as in BED. A mean is over the bases that have a value; a predicted bin that
the region's edge cuts weighs by its bases inside. Coverage is the share of the region's bases that have a value.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracks.grid import BIN, BINS, bins_over, windows_over

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tracks.observed_signal import ObservedSignal
    from tracks.regions import NamedRegion, Region
    from tracks.runs import Runs
    from tracks.track import Track

    Windows = Callable[[str, int], np.ndarray]
    """A chromosome's predicted window by its index, float32 ``[896, tracks]``; NaN is missing."""

TEXT_COLUMNS = ("chrom", "name", "strand", "track", "unit")
POSITION_COLUMNS = ("start", "end")
NUMBER_COLUMNS = tuple(
    f"{kind}_{number}" for kind in ("observed", "predicted") for number in ("mean", "max", "coverage")
)
COLUMNS = ("chrom", "start", "end", "name", "strand", "track", "unit", *NUMBER_COLUMNS)

_BATCH = 512


@dataclass(frozen=True)
class TableTrack:
    """A track of a table: its column among the predicted ones, and its observed signal, where it has them."""

    track: Track
    column: int | None
    observed: ObservedSignal | None


@dataclass(frozen=True, eq=False)
class TableRows:
    """Consecutive rows: all ``tracks`` of each of ``regions``. ``numbers`` float32 ``[regions, tracks, 6]`` are those
    of ``NUMBER_COLUMNS``; NaN where there is none, and in a coverage where the track is not observed, or predicted."""

    regions: Sequence[NamedRegion]
    tracks: Sequence[Track]
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.regions) * len(self.tracks)

    @property
    def unpredicted(self) -> int:
        """How many of the regions have no predicted value of any track."""
        return int((~(self.numbers[:, :, -1] > 0).any(axis=1)).sum())

    def column(self, name: str) -> list[str] | np.ndarray:
        """Return a column: texts (empty where there is none), int64 ``[rows]`` or float32 ``[rows]``."""
        if name in NUMBER_COLUMNS:
            numbers: np.ndarray = self.numbers[:, :, NUMBER_COLUMNS.index(name)].ravel()
            return numbers
        if name in POSITION_COLUMNS:
            places = [getattr(row.region, name) for row in self.regions]
            return np.repeat(np.array(places, np.int64), len(self.tracks))
        if name in ("track", "unit"):
            words = [track.name if name == "track" else track.unit for track in self.tracks]
            return words * len(self.regions)
        texts = [row.region.chrom if name == "chrom" else getattr(row, name) for row in self.regions]
        return [text for text in texts for _ in self.tracks]


def table_rows(regions: Iterable[NamedRegion], tracks: Sequence[TableTrack], windows: Windows) -> Iterator[TableRows]:
    """Yield the rows of regions in their order, some hundred regions at a time; no more is held.

    ``windows`` gives the predicted windows. Raises what it and reading the observed signals raise.
    """
    described = [entry.track for entry in tracks]
    columns = np.array([entry.column for entry in tracks if entry.column is not None], int)
    predicted = np.flatnonzero([entry.column is not None for entry in tracks])
    remaining = iter(regions)
    while batch := list(itertools.islice(remaining, _BATCH)):
        numbers = np.full((len(batch), len(tracks), len(NUMBER_COLUMNS)), np.nan, np.float32)
        for at, row in enumerate(batch):
            for number, entry in enumerate(tracks):
                if entry.observed is not None:
                    signal = entry.observed.runs(row.region.chrom, row.region.start, row.region.end)
                    numbers[at, number, :3] = observed_numbers(row.region, signal)
            if len(columns):
                numbers[at, predicted, 3:] = predicted_numbers(row.region, windows, columns)
        yield TableRows(batch, described, numbers)


def observed_numbers(region: Region, signal: Iterable[Runs]) -> tuple[float, float, float]:
    """Return mean, maximum and coverage of runs that were cut to a region; NaN where nothing is covered."""
    total, covered, most = 0.0, 0, -np.inf
    for runs in signal:
        lengths = runs.ends - runs.starts
        total += float(runs.values.astype(np.float64) @ lengths)
        covered += int(lengths.sum())
        most = max(most, float(runs.values.max(initial=-np.inf)))
    if not covered:
        return np.nan, np.nan, 0.0
    return total / covered, most, covered / len(region)


def predicted_numbers(region: Region, windows: Windows, columns: np.ndarray) -> np.ndarray:
    """Return mean, maximum and coverage of some columns of windows in a region, float64 ``[columns, 3]``."""
    total, covered = np.zeros(len(columns)), np.zeros(len(columns), np.int64)
    most = np.full(len(columns), -np.inf)
    bins = bins_over(region)
    for index in windows_over(region):
        first, last = max(bins.start, index * BINS), min(bins.stop, (index + 1) * BINS)
        inside = windows(region.chrom, index)[first - index * BINS : last - index * BINS, columns]
        bases = np.full(last - first, BIN, np.int64)
        bases[0] -= max(region.start - first * BIN, 0)
        bases[-1] -= max(last * BIN - region.end, 0)
        known = np.isfinite(inside)
        total += bases @ np.where(known, inside, 0).astype(np.float64)
        covered += bases @ known
        most = np.maximum(most, np.where(known, inside, -np.inf).max(axis=0))
    none = covered == 0
    mean = total / np.where(none, 1, covered)
    numbers: np.ndarray = np.stack([mean, most, covered / len(region)], axis=1)
    numbers[none, :2] = np.nan
    return numbers


def windows_touched(regions: Iterable[Region]) -> dict[str, list[int]]:
    """Return the windows that regions touch: each chromosome's in order, chromosomes as they come first."""
    touched: dict[str, set[int]] = {}
    for region in regions:
        touched.setdefault(region.chrom, set()).update(windows_over(region))
    return {chrom: sorted(indices) for chrom, indices in touched.items()}
