"""The axis of a signal, from its data: the unit's own range, or one that a few extreme values do not stretch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tracks.bigwig_reader import BigWigReader

if TYPE_CHECKING:
    from pathlib import Path

    from tracks.bigwig import BigWigSummary
    from tracks.track import Track

_RECORDS = 30_000
"""Zoom records of a file that are looked at, about: enough for the quantiles here, and read in some 10 ms."""
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
    return summary.minimum, max(summary.minimum, summary.maximum)


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
    where all have more; None where there is none."""
    with BigWigReader(path) as reader:
        if not reader.zooms:
            return None
        total = sum(reader.chrom_sizes.values())
        fit = [size for size in reader.zooms if total / size <= most] or reader.zooms[-1:]
        records = reader.zoom_records(fit[0])
    records = records[np.isfinite(records["least"]) & np.isfinite(records["most"])]
    return records if len(records) else None


def _quantile(values: np.ndarray, weights: np.ndarray, part: float) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][min(int(np.searchsorted(reached, part * reached[-1])), len(values) - 1)])


def outwards(low: float, high: float) -> tuple[float, float]:
    """Round ends away from each other to two digits; ends that are equal become 0 to 1."""
    if low == high:
        return 0.0, 1.0
    step = 10.0 ** (math.floor(math.log10(max(-low, high, high - low))) - 1)
    digits = max(0, -math.floor(math.log10(step)))
    return round(math.floor(low / step) * step, digits), round(math.ceil(high / step) * step, digits)
