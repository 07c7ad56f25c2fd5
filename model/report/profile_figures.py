"""Profiles along chromosomes: observed against predicted, a band for each track and axes for each model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model.report.draw import as_png, small_multiples
from model.report.profiles import PIECE
from tracks.figure_style import FAINT, canvas

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

    from model.report.draw import Picture
    from model.report.fold import FoldScores
    from model.report.profiles import Profile

_MOST_POINTS = 1_600
"""Points drawn along a chromosome; more would not be seen."""
_COLUMNS = 2
"""Models beside each other; more would be too narrow to read."""
_BAND = 0.88
"""Height of a track's band; the rest keeps neighbours apart."""


def profile_pictures(scores: FoldScores) -> Iterator[Picture]:
    """Yield a picture for each chromosome, the one with most windows first."""
    for profile in sorted(scores.profiles, key=lambda one: (-one.windows, scores.layout.chroms.index(one.chrom))):
        yield profile_picture(scores, profile)


def profile_picture(scores: FoldScores, profile: Profile) -> Picture:
    """Draw all tracks of one chromosome, each in a band of its own: one axes a model, for many are slow to lay out."""
    models = [one for one in scores.named if not one.baseline]
    tracks = [t for t in range(len(scores.tracks)) if np.isfinite(profile.values[t, 0]).any()]
    painted = np.isfinite(profile.values[:, 0]).any(axis=0)
    first, last = _span(painted, profile.length)
    columns = min(len(models), _COLUMNS)
    rows = -(-len(models) // columns)
    with canvas(rows * (0.75 + 0.46 * max(len(tracks), 1))) as figure:
        grid = small_multiples(figure, len(models), columns)
        for axes in grid:
            axes.set_xlim(first, last)
        names = []
        for band, track in enumerate(reversed(tracks)):
            low, high = _limits(profile.values[track])
            for column, axes in enumerate(grid):
                _draw(axes, profile, track, 1 + column, scores.tracks[track].color, (low, high), band)
            unit = scores.tracks[track].unit
            names.append(f"{scores.tracks[track].name}\n{unit}, {_number(low)} to {_number(high)}")
        for axes, one in zip(grid, models, strict=True):
            axes.set_title(one.label, fontsize=8)
            axes.set_ylim(0, max(len(tracks), 1))
            axes.spines[["left", "bottom"]].set_visible(False)
            axes.tick_params(axis="y", length=0, labelsize=6)
            axes.set_xlabel(f"{profile.chrom} (Mb)")
            axes.set_yticks([])
        for axes in grid[::columns]:
            axes.set_yticks(np.arange(len(tracks)) + 0.45, names)
        return as_png(
            figure,
            f"profile-{scores.layout.fold}-{profile.chrom}",
            f"{profile.chrom}: {profile.windows:,} {scores.layout.fold} windows over {painted.mean():.1%} of it",
            f"Observed (grey area) and predicted (line in the track's colour) along {profile.chrom}, in steps of "
            f"{PIECE:,} bp at their true places; where windows overlap, their mean. No window, no line. Beside each "
            "track, its unit and the values at the foot and the top of its band."
            + ("" if first == 0 else " Only the part of the chromosome that has windows is shown."),
            colors=64,
        )


def _span(painted: np.ndarray, length: int) -> tuple[float, float]:
    """Which Mb of a chromosome to show: all of it, but the part with windows where that is less than half."""
    places = np.flatnonzero(painted)
    if not len(places) or (places[-1] - places[0]) * PIECE > length / 2:
        return 0.0, length / 1e6
    room = 0.02 * (places[-1] - places[0] + 1)
    return max(places[0] - room, 0.0) * PIECE / 1e6, min((places[-1] + 1 + room) * PIECE, length) / 1e6


def _draw(
    axes: Axes, profile: Profile, track: int, layer: int, color: str, limits: tuple[float, float], band: int
) -> None:
    low, high = limits

    def placed(values: np.ndarray) -> np.ndarray:
        fraction: np.ndarray = np.clip((values - low) / (high - low), 0, 1)
        return band + _BAND * fraction

    at, observed = _reduced(profile.values[track, 0], axes.get_xlim())
    _, predicted = _reduced(profile.values[track, layer], axes.get_xlim())
    axes.fill_between(at, band, placed(observed), color="#aab4be", linewidth=0, step="mid")
    axes.plot(at, placed(predicted), color=color, linewidth=0.9)
    axes.axhline(band, color=FAINT, linewidth=0.6)


def _reduced(values: np.ndarray, shown: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Means of so many neighbours that at most 1,600 are left of what is shown (Mb), with their places in Mb."""
    step = max(round((shown[1] - shown[0]) * 1e6 / PIECE / _MOST_POINTS), 1)
    padded = np.pad(values.astype(np.float64), (0, -len(values) % step), constant_values=np.nan).reshape(-1, step)
    known = np.isfinite(padded)
    count = known.sum(axis=1)
    means = np.where(known, padded, 0).sum(axis=1) / np.where(count > 0, count, np.nan)
    return (np.arange(len(means)) + 0.5) * step * PIECE / 1e6, means


def _limits(values: np.ndarray) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    low, high = np.quantile(known, [0.005, 0.995])
    room = 0.08 * (high - low) or 1.0
    # What is never negative stands on zero.
    foot = max(low - room, 0.0) if known.min() >= 0 else low - room
    return float(foot), float(high + room)


def _number(value: float) -> str:
    return f"{value:.3g}"
