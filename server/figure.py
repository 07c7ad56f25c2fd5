"""A region as a figure: genes, intervals, and each track observed and predicted on one axis, as the page shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from model.metrics import pearson
from server.export import known_bins
from tracks.errors import TracksError, UsageError
from tracks.figure_signals import draw_observed, draw_predicted, name_positions, name_track
from tracks.figure_style import FAINT, INK, canvas
from tracks.files import written_beside
from tracks.grid import bins_over
from tracks.track import OBSERVED_COLOR

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from server.predicted import PredictedTileset
    from server.site import Panel, Shown, Site
    from server.tilesets import ObservedTileset
    from tracks.regions import Region

FORMATS = (".pdf", ".svg", ".png")

_GENE_ROWS = 4
_DPI = 300
_FOLDS = {"train": "training data", "valid": "held out: validation", "test": "held out: test"}


def check_figure_path(path: Path) -> None:
    """Raise UsageError unless a path ends as figures do."""
    if path.suffix not in FORMATS:
        raise UsageError(f"a figure is a .pdf, a .svg or a .png file, and {path} is none of these")


def draw_region(site: Site, region: Region, panels: Sequence[Panel], out: Path | None, width: float) -> Figure:
    """Draw what is known of a region (0-based half-open), ``width`` inches wide, and write it where ``out`` says.

    A point is the mean of so many 128-bp bins that at most 1,200 are drawn; r is Pearson's over the bins of 128 bp
    where both are known. Raises UsageError for another suffix, TracksError when the file cannot be written.
    """
    if out is not None:
        check_figure_path(out)
    genes = _gene_rows(site, region)
    heights = [0.16 * max(len(genes), 1), *(0.12 for _ in site.annotations), *(0.95 for _ in panels)]
    with canvas(sum(heights) + 0.85, width) as figure:
        grid = figure.subplots(len(heights), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights})
        rows: list[Axes] = grid[:, 0].tolist()
        _draw_genes(rows[0], genes, region)
        for axes, shown in zip(rows[1:], site.annotations, strict=False):
            _draw_intervals(axes, shown, region)
        for axes, panel in zip(rows[1 + len(site.annotations) :], panels, strict=True):
            _draw_panel(axes, panel, region)
        name_positions(rows, region)
        handles = [
            Patch(facecolor=OBSERVED_COLOR + "47", edgecolor=OBSERVED_COLOR, linewidth=0.5, label="observed"),
            Line2D([], [], color=panels[0].track.color, linewidth=1.1, label="predicted (in the track's colour)"),
        ]
        figure.legend(handles=handles, loc="outside lower right", ncols=2, fontsize=7)
        figure.suptitle(_title(site, region), x=0.01, ha="left", fontsize=9.5, fontweight="bold")
        if out is not None:
            _write(figure, out)
    return figure


def _write(figure: Figure, out: Path) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with written_beside(out) as beside:
            dated = {".pdf": "CreationDate", ".svg": "Date"}.get(out.suffix)
            figure.savefig(beside, format=out.suffix[1:], dpi=_DPI, metadata={dated: None} if dated else None)
    except OSError as error:
        raise TracksError(f"cannot write {out}: {error.strerror}") from error


def _title(site: Site, region: Region) -> str:
    folds = dict.fromkeys(
        _FOLDS[block.fold]
        for block in site.blocks
        if block.region.chrom == region.chrom and block.region.start < region.end and block.region.end > region.start
    )
    return f"{region} ({site.assembly})" + (f"   {', '.join(folds)}" if folds else "")


def _draw_panel(axes: Axes, panel: Panel, region: Region) -> None:
    seen, made = observed(panel, region), predicted(panel, region)
    low, high = panel.scale
    words = ""
    if seen is not None:
        draw_observed(axes, seen, region, baseline=max(low, 0.0))
    if made is not None:
        draw_predicted(axes, made, region, panel.track.color)
    if seen is not None and made is not None:
        both = np.isfinite(seen) & np.isfinite(made)
        if both.sum() > 1:
            pair = made[both].astype(np.float64), seen[both].astype(np.float64)
            r = float(pearson(*pair, np.zeros(both.sum(), np.int64))(np.ones((1, 1)))[0])
            words = f"r = {r:.2f} ({both.sum():,} bins of 128 bp)" if np.isfinite(r) else "r is not defined: constant"
    axes.set_ylim(low - 0.02 * (high - low), high + 0.04 * (high - low))
    axes.set_yticks([low, high])
    name_track(axes, panel.track, words)


def observed(panel: Panel, region: Region) -> np.ndarray | None:
    """Return a panel's observed bins of a region, float32 ``[bins]``, NaN where there is no value; None when the track
    was not observed."""
    return _whole(panel.observed, region) if panel.observed is not None else None


def predicted(panel: Panel, region: Region) -> np.ndarray | None:
    """Return a panel's predicted bins of a region by its first head, as far as they are stored: float32 ``[bins]``."""
    return _whole(panel.predicted[0].tileset, region) if panel.predicted else None


def _whole(tileset: ObservedTileset | PredictedTileset, region: Region) -> np.ndarray:
    bins = bins_over(region)
    values = np.full(len(bins), np.nan, np.float32)
    for piece in known_bins(tileset, [region]):
        first = piece.first - bins.start
        values[first : first + len(piece.values)] = piece.values
    return values


def _gene_rows(site: Site, region: Region) -> list[list[tuple[str, Region, str]]]:
    """Lay the genes of a region out in rows, the longest first, as many as have room."""
    room = len(region) / 60
    rows: list[list[tuple[str, Region, str]]] = []
    here = [
        gene
        for gene in site.genes.genes
        if gene.region.chrom == region.chrom and gene.region.start < region.end and gene.region.end > region.start
    ]
    for gene in sorted(here, key=lambda gene: -len(gene.region)):
        needed = (gene.region.start - room, _reach(gene.name, gene.region, room))
        for row in rows:
            if all(needed[1] <= other.start - room or needed[0] >= _reach(name, other, room) for name, other, _ in row):
                row.append((gene.name, gene.region, gene.strand))
                break
        else:
            if len(rows) < _GENE_ROWS:
                rows.append([(gene.name, gene.region, gene.strand)])
    return rows


def _reach(name: str, region: Region, room: float) -> float:
    return max(region.end, region.start + room * len(name)) + room


def _draw_genes(axes: Axes, rows: Sequence[Sequence[tuple[str, Region, str]]], region: Region) -> None:
    for height, row in enumerate(rows):
        for name, gene, strand in row:
            start, end = max(gene.start, region.start), min(gene.end, region.end)
            axes.plot([start, end], [height, height], color=INK, linewidth=2.2, solid_capstyle="butt")
            axes.text(start, height + 0.18, f"{name} {'>' if strand == '+' else '<'}", fontsize=5.5, va="bottom")
    axes.set_ylim(-0.4, max(len(rows), 1) - 0.05)
    _bare(axes, "genes")


def _draw_intervals(axes: Axes, shown: Shown, region: Region) -> None:
    for other in shown.tileset.over(region):
        axes.axvspan(max(other.start, region.start), min(other.end, region.end), color=shown.color, linewidth=0)
    axes.set_facecolor(FAINT + "55")
    _bare(axes, shown.tileset.name)


def _bare(axes: Axes, name: str) -> None:
    axes.set_yticks([])
    axes.tick_params(bottom=False)
    axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=7)
    for spine in axes.spines.values():
        spine.set_visible(False)
