"""Binned signals in figures, in the same look wherever they are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tracks.figure_style import SOFT
from tracks.grid import BIN
from tracks.track import OBSERVED_COLOR

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tracks.regions import Region
    from tracks.track import Track

_POINTS = 1200


def draw_observed(axes: Axes, values: np.ndarray, region: Region, resolution: int = BIN, baseline: float = 0.0) -> None:
    """Draw the observed bins that touch a region, float32 ``[bins]``, as a grey area."""
    steps = _steps(values, region, resolution)
    axes.stairs(*steps, baseline=baseline, fill=True, color=OBSERVED_COLOR, alpha=0.28)
    axes.stairs(*steps, baseline=None, color=OBSERVED_COLOR, linewidth=0.5)


def draw_predicted(axes: Axes, values: np.ndarray, region: Region, color: str, resolution: int = BIN) -> None:
    """Draw the predicted bins that touch a region, float32 ``[bins]``, as a line in the track's colour."""
    axes.stairs(*_steps(values, region, resolution), baseline=None, color=color, linewidth=1.1)


def name_track(axes: Axes, track: Track, words: str = "") -> None:
    """Write a track's name above it and its unit beside it; ``words`` stand at the right."""
    axes.set_ylabel("\n".join(track.unit.split()), fontsize=7)
    axes.grid(axis="y")
    axes.set_title(track.name, fontsize=8, pad=3)
    if words:
        axes.set_title(words, loc="right", fontsize=7.5, fontweight="normal", color=SOFT, pad=3)


def name_positions(rows: list[Axes], region: Region) -> None:
    """Give rows that share an axis the region's positions, in megabases below the last."""
    rows[0].set_xlim(region.start, region.end)
    last, digits = rows[-1], 3 if len(region) < 2e6 else 1
    last.xaxis.set_major_locator(MaxNLocator(6))
    last.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at / 1e6:,.{digits}f}"))
    last.set_xlabel(f"{region.chrom} (Mb)")


def _steps(values: np.ndarray, region: Region, resolution: int) -> tuple[np.ndarray, np.ndarray]:
    """The means of consecutive bins, so that at most 1,200 are left (NaN where none has a value), and the positions
    between them."""
    size = max(1, -(-len(values) // _POINTS))
    padded = np.full(-(-len(values) // size) * size, np.nan)
    padded[: len(values)] = values
    parts = padded.reshape(-1, size)
    count = np.isfinite(parts).sum(axis=1)
    means: np.ndarray = np.nansum(parts, axis=1) / np.where(count, count, np.nan)
    cuts = np.append(np.arange(0, len(values), size), len(values))
    return means, np.minimum((region.start // resolution + cuts) * resolution, region.end)
