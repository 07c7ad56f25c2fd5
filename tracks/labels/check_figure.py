"""The figure of ``tracks labels check``: a histogram of each track's values, and what of each chromosome is covered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from tracks.errors import UsageError
from tracks.figure_style import FAINT, INK, SOFT, canvas
from tracks.files import written_beside

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from tracks.labels.check import LabelFacts, TrackFacts

_MOST_CHROMS = 30
_WARNING = "#b5179e"
_DASHES = (0, (4, 3))
_ROW = 1.45
"""Inches."""


def draw_check(facts: LabelFacts, path: Path) -> None:
    """Draw the facts of a label set to a PNG or SVG file. Raises UsageError for other suffixes, TracksError when the
    file cannot be written."""
    if path.suffix not in (".png", ".svg"):
        raise UsageError(f"a figure is a .png or a .svg file, and {path} is neither")
    largest = sorted(range(len(facts.chroms)), key=lambda at: -facts.chroms[at].bins)[:_MOST_CHROMS]
    chroms = sorted(largest)
    with canvas(0.9 + _ROW * len(facts.tracks)) as figure, written_beside(path) as beside:
        rows = figure.subplots(len(facts.tracks), 2, squeeze=False, gridspec_kw={"width_ratios": [1, 1.6]})
        for (left, right), track in zip(rows, facts.tracks, strict=True):
            _histogram(left, track)
            _coverage(right, facts, track, chroms)
        handles = [
            Line2D([], [], color=INK, linewidth=0.8, linestyle=_DASHES, label="median"),
            Patch(color=SOFT, label="with a label (in the track's colour)"),
            Patch(color=FAINT, label="masked"),
            Patch(facecolor="white", edgecolor=SOFT, linewidth=0.7, label="missing"),
        ]
        figure.legend(handles=handles, loc="outside upper right", ncols=4)
        figure.suptitle(f"Labels of {facts.name}", x=0.01, ha="left", fontsize=11, fontweight="bold")
        figure.savefig(beside, dpi=160, metadata={"Date": None} if path.suffix == ".svg" else None)


def _histogram(axes: Axes, track: TrackFacts) -> None:
    axes.set_title(track.name if len(track.name) <= 44 else track.name[:43] + "…")
    axes.set_xlabel(track.unit)
    axes.set_yticks([])
    axes.spines.left.set_visible(False)
    if track.histogram is None:
        axes.text(0.5, 0.5, "no label", transform=axes.transAxes, ha="center", va="center", color=_WARNING)
        axes.set_xticks([])
        return
    shown = track.histogram
    room = 0.0 if shown.high > shown.low else 0.5 * max(abs(shown.low), 1.0)
    edges = np.linspace(shown.low - room, shown.high + room, len(shown.counts) + 1)
    axes.stairs(shown.counts, edges, fill=True, color=track.color)
    axes.axvline(track.quantiles["0.5"], color=INK, linewidth=0.8, linestyle=_DASHES)
    axes.set_ylim(bottom=0)
    if shown.beyond:
        share = max(shown.beyond / track.labelled, 0.001)
        axes.text(1, 1, f"{share:.1%} beyond", transform=axes.transAxes, ha="right", va="top", fontsize=6.5, color=SOFT)


def _coverage(axes: Axes, facts: LabelFacts, track: TrackFacts, chroms: list[int]) -> None:
    """Stacked parts of each chromosome's bins: with a label, masked, and missing (what is left)."""
    bins = np.array([max(facts.chroms[at].bins, 1) for at in chroms])
    labelled = np.array([track.labelled_by_chrom[at] for at in chroms]) / bins
    # A legacy label set has labels in masked bins too; they count as labels.
    masked = np.minimum(np.array([facts.chroms[at].masked for at in chroms]) / bins, 1 - labelled)
    places = np.arange(len(chroms))
    axes.bar(places, 1, 0.8, color="white", edgecolor=SOFT, linewidth=0.5)
    axes.bar(places, labelled, 0.8, color=track.color)
    axes.bar(places, masked, 0.8, bottom=1 - masked, color=FAINT)
    axes.set_xticks(places, [facts.chroms[at].chrom.removeprefix("chr") for at in chroms], fontsize=6.5)
    axes.set_xlim(-0.6, max(len(chroms), 4) - 0.4)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    axes.tick_params(length=2)
    if track.warnings:
        more = f" (and {len(track.warnings) - 1} more)" if len(track.warnings) > 1 else ""
        first = track.warnings[0]
        text = (first if len(first) <= 84 else first[:83] + "…") + more
        axes.set_title(text, fontsize=7, fontweight="normal", color=_WARNING)
