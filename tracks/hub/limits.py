"""The axis of a signal, from its data: the unit's own range, or one that a few extreme values do not stretch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tracks.bigwig_reader import BigWigReader
from tracks.errors import TracksError

if TYPE_CHECKING:
    from pathlib import Path

    from tracks.bigwig import BigWigSummary
    from tracks.track import Track

_RECORDS = 30_000
"""Zoom records of a file that are looked at, about: enough for the quantiles here, and read in some 10 ms."""
_LARGEST = 1e30
"""What an axis may reach: some tools write the largest number there is for what is missing."""
_TAIL = 0.005
"""Part of the covered bases that may lie outside the axis, at each end."""


def signal_limits(path: Path, track: Track, summary: BigWigSummary) -> tuple[float, float]:
    """Return the ends of a bigWig's axis: 0 to 1 for a fraction; otherwise from 0 on, to where all but half a percent
    of its stretches lie, rounded outwards to two digits. Raises TracksError when the file is damaged."""
    if track.is_fraction:
        return 0.0, 1.0
    low, high = robust_range(path, summary)
    return outwards(min(low, 0.0), max(high, 0.0))


def difference_limits(path: Path, track: Track, summary: BigWigSummary) -> tuple[float, float]:
    """Return the ends of a difference's axis, of which 0 is the middle: -1 to 1 for a fraction."""
    if track.is_fraction:
        return -1.0, 1.0
    low, high = robust_range(path, summary)
    _, most = outwards(0.0, max(-low, high))
    return -most, most


def value_range(path: Path, summary: BigWigSummary) -> tuple[float, float]:
    """Return the least and the greatest value of a bigWig: those of its coarsest zoom records, since libBigWig writes
    headers whose maximum lacks the first value; those of the header where it has none."""
    records = _zoom_records(path, 1)
    if records is not None:
        return float(records["least"].min()), float(records["most"].max())
    if math.isfinite(summary.minimum) and math.isfinite(summary.maximum):
        return summary.minimum, max(summary.minimum, summary.maximum)
    return _finite_range(path)


def robust_range(path: Path, summary: BigWigSummary) -> tuple[float, float]:
    """Return the range of a bigWig's values without the most extreme stretches at either end, by the extremes of its
    zoom records, weighted by the bases that have a value; all of it where the file has no zoom levels."""
    records = _zoom_records(path, _RECORDS)
    if records is None:
        return value_range(path, summary)
    weights = records["bases"].astype(np.float64)
    return _quantile(records["least"], weights, _TAIL), _quantile(records["most"], weights, 1 - _TAIL)


def _zoom_records(path: Path, most: int) -> np.ndarray | None:
    """Those records with finite extremes of the finest zoom level that has about ``most`` or fewer, of the coarsest
    where all have more; of a finer one where it has none; None where no level has any."""
    with BigWigReader(path) as reader:
        if not reader.zooms:
            return None
        total = sum(reader.chrom_sizes.values())
        first = next((at for at, size in enumerate(reader.zooms) if total / size <= most), len(reader.zooms) - 1)
        for size in reader.zooms[first::-1]:
            records = reader.zoom_records(size)
            finite = np.isfinite(records["least"]) & np.isfinite(records["most"])
            if finite.any():
                return np.asarray(records[finite])
    return None


def _finite_range(path: Path) -> tuple[float, float]:
    """The range of the values of a file of which no table tells it. Raises TracksError where it has none."""
    ends = []
    with BigWigReader(path) as reader:
        for chrom in reader.chrom_sizes:
            ends += [(runs.values.min(), runs.values.max()) for runs in reader.runs(chrom) if len(runs)]
    if not ends:
        raise TracksError(f"{path} has no finite value")
    return float(min(low for low, _ in ends)), float(max(high for _, high in ends))


def _quantile(values: np.ndarray, weights: np.ndarray, part: float) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][min(int(np.searchsorted(reached, part * reached[-1])), len(values) - 1)])


def outwards(low: float, high: float) -> tuple[float, float]:
    """Round ends away from each other to two digits, 1e30 at most; ends that are equal become 0 to 1."""
    if low == high:
        return 0.0, 1.0
    step = 10.0 ** (math.floor(math.log10(max(-low, high, high - low))) - 1)
    digits = max(0, -math.floor(math.log10(step)))
    ends = round(math.floor(low / step) * step, digits), round(math.ceil(high / step) * step, digits)
    return max(ends[0], -_LARGEST), min(ends[1], _LARGEST)
