"""TrackData as a figure in the house style."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tracks.errors import UsageError
from tracks.figure_style import SOFT, canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tracks.track import Track
    from tracks.trackdata import TrackData

_OBSERVED = "#4d4d4d"
_POINTS = 1200
_PANEL = 0.95
"""Inches of height."""
_WIDTHS = (2, 40)


def draw_tracks(data: TrackData, observed: TrackData | None, width: float) -> Figure:
    """Draw a panel for each track, as ``TrackData.plot`` says."""
    if not _WIDTHS[0] <= width <= _WIDTHS[1]:
        raise UsageError(f"a figure is {_WIDTHS[0]} to {_WIDTHS[1]} inches wide, not {width}")
    if not data.tracks:
        raise UsageError("there is no track to draw")
    if observed is not None and (observed.region, observed.resolution) != (data.region, data.resolution):
        raise UsageError(f"observed is of {observed.region}, and the figure of {data.region}")
    with canvas(_PANEL * len(data.tracks) + 0.85, width) as figure:
        rows: list[Axes] = figure.subplots(len(data.tracks), 1, sharex=True, squeeze=False)[:, 0].tolist()
        for axes, track in zip(rows, data.tracks, strict=True):
            _draw(axes, data, track, observed)
        rows[0].set_xlim(data.region.start, data.region.end)
        rows[-1].xaxis.set_major_locator(MaxNLocator(6))
        digits = 3 if len(data.region) < 2e6 else 1
        rows[-1].xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at / 1e6:,.{digits}f}"))
        rows[-1].set_xlabel(f"{data.region.chrom} (Mb)")
        figure.suptitle(str(data.region), x=0.01, ha="left", fontsize=9.5, fontweight="bold")
    return figure


def _draw(axes: Axes, data: TrackData, track: Track, observed: TrackData | None) -> None:
    edges = _edges(data)
    values = data.column(track)
    seen = None
    if observed is not None:
        alike = next((other for other in observed.tracks if other.slug == track.slug), None)
        seen = observed.column(alike) if alike is not None else None
    if seen is not None:
        axes.stairs(_coarse(seen), edges, fill=True, color=_OBSERVED, alpha=0.28)
        axes.stairs(_coarse(seen), edges, baseline=None, color=_OBSERVED, linewidth=0.5)
        both = np.isfinite(seen) & np.isfinite(values)
        if both.sum() > 1 and np.ptp(seen[both]) > 0 and np.ptp(values[both]) > 0:
            r = np.corrcoef(seen[both].astype(np.float64), values[both].astype(np.float64))[0, 1]
            words = f"observed in grey, r = {r:.2f} ({both.sum():,} bins of {data.resolution} bp)"
            axes.set_title(words, loc="right", fontsize=7.5, fontweight="normal", color=SOFT, pad=3)
    axes.stairs(_coarse(values), edges, baseline=None, color=track.color, linewidth=1.1)
    if track.is_fraction:
        axes.set_ylim(-0.02, 1.04)
        axes.set_yticks([0, 1])
    axes.set_ylabel("\n".join(track.unit.split()), fontsize=7)
    axes.grid(axis="y")
    axes.set_title(track.name, fontsize=8, pad=3)


def _step(bins: int) -> int:
    return max(1, -(-bins // _POINTS))


def _edges(data: TrackData) -> np.ndarray:
    """The positions between the points, int64 ``[points + 1]``."""
    bins = len(data.values)
    cuts = np.append(np.arange(0, bins, _step(bins)), bins)
    edges: np.ndarray = np.minimum(data.region.start + cuts * data.resolution, data.region.end)
    return edges


def _coarse(values: np.ndarray) -> np.ndarray:
    """The means of consecutive bins, so that at most 1,200 are left; NaN where none has a value."""
    step = _step(len(values))
    padded = np.full(-(-len(values) // step) * step, np.nan)
    padded[: len(values)] = values
    parts = padded.reshape(-1, step)
    count = np.isfinite(parts).sum(axis=1)
    mean: np.ndarray = np.nansum(parts, axis=1) / np.where(count, count, np.nan)
    return mean
