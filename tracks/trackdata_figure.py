"""TrackData as a figure in the house style."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracks.errors import UsageError
from tracks.figure_signals import draw_observed, draw_predicted, name_positions, name_track
from tracks.figure_style import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tracks.track import Track
    from tracks.trackdata import TrackData

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
        name_positions(rows, data.region)
        figure.suptitle(str(data.region), x=0.01, ha="left", fontsize=9.5, fontweight="bold")
    return figure


def _draw(axes: Axes, data: TrackData, track: Track, observed: TrackData | None) -> None:
    values = data.column(track)
    seen = None
    words = ""
    if observed is not None:
        alike = next((other for other in observed.tracks if other.slug == track.slug), None)
        seen = observed.column(alike) if alike is not None else None
    if seen is not None:
        draw_observed(axes, seen, data.region, data.resolution)
        both = np.isfinite(seen) & np.isfinite(values)
        if both.sum() > 1 and np.ptp(seen[both]) > 0 and np.ptp(values[both]) > 0:
            r = np.corrcoef(seen[both].astype(np.float64), values[both].astype(np.float64))[0, 1]
            words = f"observed in grey, r = {r:.2f} ({both.sum():,} bins of {data.resolution} bp)"
    draw_predicted(axes, values, data.region, track.color, data.resolution)
    if track.is_fraction:
        axes.set_ylim(-0.02, 1.04)
        axes.set_yticks([0, 1])
    name_track(axes, track, words)
