"""The figures of one fold: agreement by track and by chromosome, specificity, scatter, calibration and ROC."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from model.report.agreement import ALL
from model.report.draw import MODEL_COLORS, as_png, as_svg, model_looks, small_multiples
from model.report.levels import calibration_of_levels
from model.report.rows import SPECIFIC
from model.report.table import POOLED
from model.sums import pearson_of
from tracks.figure_style import FAINT, INK, SOFT, canvas
from tracks.grid import BIN, WINDOW
from tracks.track import slug_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from matplotlib.axes import Axes

    from model.report.chunk import Named
    from model.report.draw import Picture
    from model.report.fold import FoldScores
    from model.report.panels import Panel
    from model.report.run import FoldReport
    from model.report.table import Row
    from tracks.track import Track

RESOLUTIONS = {BIN: "128-bp bins", WINDOW: "windows of 114,688 bp"}
_GROUPS = 20
_MOST_POINTS = 4_000


def agreement_figure(report: FoldReport) -> Picture | None:
    """Pearson's r of every track with its interval, models and baselines, at each resolution."""
    fold = report.scores.layout.fold
    found, tracks = _to_show(report, "pearson")
    shown = list(found)
    drawn = {one for r in shown for rows in found[r].values() for one, row in rows.items() if row.value is not None}
    looks = {one: look for one, look in _of_models(report.scores.named) if one in drawn}
    if not tracks:
        return None
    with canvas(1.1 + 0.29 * len(tracks)) as figure:
        grid = figure.subplots(1, len(shown), squeeze=False, sharey=True)[0]
        for axes, resolution in zip(grid, shown, strict=True):
            axes.axvline(0, color=SOFT, linewidth=0.7)
            for place, track in enumerate(tracks):
                rows = found[resolution].get(track.name, {})
                models = [one for one in looks if not one.baseline and one in rows]
                for one, (_, marker) in looks.items():
                    row = rows.get(one)
                    if row is None or row.value is None:
                        continue
                    if one.baseline:
                        axes.plot(row.value, place, marker=marker, color=SOFT, markersize=6, linestyle="none")
                        continue
                    offset = (models.index(one) - (len(models) - 1) / 2) * 0.6 / max(len(models), 2)
                    if row.low is not None and row.high is not None:
                        axes.plot([row.low, row.high], [place + offset] * 2, color=track.color, linewidth=1.6)
                    axes.plot(
                        row.value, place + offset, marker=marker, color=track.color, markersize=5.5, linestyle="none",
                        markeredgecolor="white", markeredgewidth=0.5,
                    )  # fmt: skip
            axes.set_title(RESOLUTIONS[resolution])
            axes.set_xlabel("Pearson r")
            axes.grid(axis="x")
        grid[0].set_yticks(range(len(tracks)), [track.name for track in tracks])
        grid[0].set_ylim(len(tracks) - 0.4, -0.6)
        handles = [
            Line2D([], [], marker=m, color=SOFT if one.baseline else INK, linestyle="none", label=one.label)
            for one, (_, m) in looks.items()
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=4)
        return as_svg(
            figure,
            f"agreement-{fold}",
            "Agreement of each track",
            "Pearson's r of predicted with observed values in the track's unit, with 95 % block-bootstrap intervals of "
            "the models (in the track's colour); grey marks are baselines on the very same bins.",
        )


def specificity_figure(report: FoldReport) -> Picture | None:
    """r after taking away what the tracks of an assay have in common."""
    fold = report.scores.layout.fold
    found, tracks = _to_show(report, SPECIFIC + "pearson")
    shown = list(found)
    if not tracks:
        return None
    models = [one for one in report.scores.named if not one.baseline]
    with canvas(1.0 + 0.27 * len(tracks)) as figure:
        grid = figure.subplots(1, len(shown), squeeze=False, sharey=True)[0]
        for axes, resolution in zip(grid, shown, strict=True):
            own = [one for one in models if any(one in rows for rows in found[resolution].values())]
            height = 0.78 / max(len(own), 1)
            for place, track in enumerate(tracks):
                for index, one in enumerate(own):
                    row = found[resolution].get(track.name, {}).get(one)
                    if row is None or row.value is None:
                        continue
                    at = place + (index - (len(own) - 1) / 2) * height
                    axes.barh(at, row.value, height * 0.92, color=track.color, alpha=1 - 0.55 * index / len(own))
                    if row.low is not None and row.high is not None:
                        axes.plot([row.low, row.high], [at, at], color=INK, linewidth=0.8)
            axes.axvline(0, color=SOFT, linewidth=0.7)
            axes.set_title(RESOLUTIONS[resolution])
            axes.set_xlabel("r after removing the across-track mean")
            axes.grid(axis="x")
        grid[0].set_yticks(range(len(tracks)), [track.name for track in tracks])
        grid[0].set_ylim(len(tracks) - 0.4, -0.6)
        if len(models) > 1:
            handles = [
                Patch(color=INK, alpha=1 - 0.55 * i / len(models), label=one.label) for i, one in enumerate(models)
            ]
            figure.legend(handles=handles, loc="outside lower center", ncols=4)
        return as_svg(
            figure,
            f"specificity-{fold}",
            "Specificity: what sets a biosample apart",
            "Pearson's r after the mean over the tracks of the same assay and unit is taken away, bin by bin, from "
            "observed and predicted alike; lines are 95 % intervals. A model that predicts the same for every "
            "biosample scores near 0 here, however high its r above.",
        )


def chromosome_figure(report: FoldReport, one: Named) -> Picture | None:
    """r of each track on each chromosome."""
    scores = report.scores
    resolution = BIN if one.scope == "bins" and scores.bins is not None else WINDOW
    rows = {
        (row.track, row.chrom): row
        for row in report.rows
        if (row.model, row.head, row.metric, row.resolution, row.versus)
        == (one.model, one.head, "pearson", resolution, "")
    }
    tracks = [
        track.name
        for track in scores.tracks
        if any(row.value is not None for (name, _), row in rows.items() if name == track.name)
    ]
    chroms = [*scores.layout.chroms, ALL]
    if not tracks or len(chroms) < 3:
        return None
    values = np.full((len(tracks), len(chroms)), np.nan)
    for i, track in enumerate(tracks):
        for j, chrom in enumerate(chroms):
            row = rows.get((track, chrom))
            if row is not None and row.value is not None:
                values[i, j] = row.value
    with canvas(1.0 + 0.27 * len(tracks)) as figure:
        axes = figure.subplots()
        colors = LinearSegmentedColormap.from_list("r", ["#b35806", "#fdf6ec", "#ffffff", "#dcebf5", "#0b5394"])
        axes.set_facecolor(FAINT)
        image = axes.imshow(values, vmin=-1, vmax=1, cmap=colors, aspect="auto")
        for i, j in zip(*np.nonzero(np.isfinite(values)), strict=True):
            text = f"{round(values[i, j], 2) + 0.0:.2f}".replace("0.", ".", 1)  # no minus zero
            dark = abs(values[i, j]) > 0.72
            axes.text(j, i, text, ha="center", va="center", fontsize=6.5, color="white" if dark else INK)
        counts = np.bincount(scores.layout.chrom, minlength=len(scores.layout.chroms))
        labels = [f"{chrom.removeprefix('chr')}\n{count}" for chrom, count in zip(chroms, counts, strict=False)]
        axes.set_xticks(range(len(chroms)), [*labels, f"all\n{counts.sum()}"])
        axes.set_yticks(range(len(tracks)), tracks)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        figure.colorbar(image, ax=axes, label="Pearson r", fraction=0.02, pad=0.01)
        return as_svg(
            figure,
            f"chromosomes-{scores.layout.fold}-{_address(one)}",
            f"By chromosome: {one.label}",
            f"Pearson's r over {RESOLUTIONS[resolution]}; below each chromosome its number of windows in the fold. "
            "Few windows give an r that means little: intervals are in metrics.tsv. Grey: undefined.",
        )


def scatter_figures(scores: FoldScores) -> Iterator[Picture]:
    """Predicted against observed, one small picture a track: density of bins, or points of windows."""
    fold = scores.layout.fold
    for place, one in enumerate(scores.named):
        if one.baseline:
            continue
        if one.scope == "bins" and scores.bin_scores is not None:
            own = scores.bin_named.index(one)
            tracks = [t for t in range(len(scores.tracks)) if scores.bin_scores.pictures[t, own].any()]
            if tracks:
                yield _grid_of(
                    scores, tracks, f"scatter-bins-{fold}-{_address(one)}", f"Scatter of 128-bp bins: {one.label}",
                    "Predicted (across) against observed (up), every fourth scored bin in the track's unit: density on "
                    "a log scale between the 0.01 % and 99.99 % quantiles; the line is where both are equal.",
                    partial(_density, scores, own),
                )  # fmt: skip
        tracks = [
            t
            for t in range(len(scores.tracks))
            if (np.isfinite(scores.windows_observed[t]) & np.isfinite(scores.windows_predicted[place, t])).any()
        ]
        if tracks:
            yield _grid_of(
                scores, tracks, f"scatter-windows-{fold}-{_address(one)}", f"Scatter of windows: {one.label}",
                "Predicted (across) against observed (up), a point for each window of 114,688 bp"
                + (f" ({_MOST_POINTS:,} of them, evenly taken)" if len(scores.layout.rows) > _MOST_POINTS else "")
                + "; r is Pearson's, the line is where both are equal.",
                partial(_points, scores, place),
            )  # fmt: skip


def _grid_of(
    scores: FoldScores, tracks: Sequence[int], name: str, title: str, caption: str, draw: Callable[[Axes, int], None]
) -> Picture:
    columns = min(6, len(tracks))
    width = min(1.0, 0.2 + columns / 6) * 10.6
    with canvas(width / columns * -(-len(tracks) // columns) * 1.08, width) as figure:
        figure.set_dpi(130)
        for axes, track in zip(small_multiples(figure, len(tracks), columns), tracks, strict=True):
            draw(axes, track)
            axes.set_title(_short(scores.tracks[track].name, 24), fontsize=7)
            axes.tick_params(labelsize=6.5, length=2)
            axes.locator_params(nbins=4)
        figure.supxlabel("predicted", fontsize=8.5)
        figure.supylabel("observed", fontsize=8.5)
        return as_png(figure, name, title, caption, colors=256)


def _density(scores: FoldScores, own: int, axes: Axes, track: int) -> None:
    assert scores.bin_scores is not None
    levels = scores.bin_scores.levels[track]
    x, y = levels.predicted[own], levels.observed
    assert x is not None
    counts = scores.bin_scores.pictures[track, own].astype(np.float64)
    colors = LinearSegmentedColormap.from_list("track", ["#ffffff", scores.tracks[track].color, "#101418"])
    density = np.where(counts > 0, np.log10(np.maximum(counts, 1)), np.nan)
    across, up = _wide(x.low, x.high), _wide(y.low, y.high)
    axes.imshow(
        density.T, origin="lower", extent=(*across, *up), aspect="auto", cmap=colors, vmin=-0.4,
        vmax=np.nanmax(density), interpolation="nearest",
    )  # fmt: skip
    _equal_line(axes, across, up)
    assert scores.bins is not None
    _say_r(axes, scores.bins.values[track, own].sum(axis=0))


def _wide(low: float, high: float) -> tuple[float, float]:
    """Give a constant some width to be drawn in."""
    room = 0.5 * max(abs(low), 1.0) if low == high else 0.0
    return low - room, high + room


def _points(scores: FoldScores, place: int, axes: Axes, track: int) -> None:
    x, y = scores.windows_predicted[place, track], scores.windows_observed[track]
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    drawn = known[:: -(-len(known) // _MOST_POINTS)]
    axes.plot(x[drawn], y[drawn], ".", color=scores.tracks[track].color, markersize=2.6, alpha=0.55, markeredgewidth=0)
    low = float(np.quantile(np.concatenate([x[known], y[known]]), 0.001))
    high = float(np.quantile(np.concatenate([x[known], y[known]]), 0.999))
    _equal_line(axes, (low, high), (low, high))
    _say_r(axes, scores.windows.values[track, place].sum(axis=0))


def _equal_line(axes: Axes, x: tuple[float, float], y: tuple[float, float]) -> None:
    low, high = max(x[0], y[0]), min(x[1], y[1])
    if low < high:
        axes.plot([low, high], [low, high], color=INK, linewidth=0.7, linestyle=(0, (4, 3)))


def _say_r(axes: Axes, sums: np.ndarray) -> None:
    r = float(pearson_of(sums))
    text = f"r {round(r, 2) + 0.0:.2f}" if np.isfinite(r) else "r undefined"
    axes.text(0.04, 0.96, text, transform=axes.transAxes, va="top", fontsize=7)


def calibration_figure(scores: FoldScores) -> Picture | None:
    """Mean observed for each twentieth of the predictions."""
    models = [one for one in scores.named if not one.baseline]
    curves: dict[int, list[tuple[int, np.ndarray]]] = {}
    for index, one in enumerate(models):
        for track in range(len(scores.tracks)):
            curve = _calibration(scores, one, track)
            if len(curve) > 1:
                curves.setdefault(track, []).append((index, curve))
    if not curves:
        return None
    columns = min(6, len(curves))
    width = min(1.0, 0.2 + columns / 6) * 10.6
    with canvas(width / columns * -(-len(curves) // columns) * 1.08 + 0.3, width) as figure:
        for axes, track in zip(small_multiples(figure, len(curves), columns), curves, strict=True):
            low = min(float(curve[:, :2].min()) for _, curve in curves[track])
            high = max(float(curve[:, :2].max()) for _, curve in curves[track])
            _equal_line(axes, (low, high), (low, high))
            for index, curve in curves[track]:
                color = scores.tracks[track].color if len(models) == 1 else MODEL_COLORS[index % len(MODEL_COLORS)]
                axes.plot(curve[:, 0], curve[:, 1], color=color, marker="o", markersize=2.2, linewidth=1.1)
            axes.set_title(_short(scores.tracks[track].name, 24), fontsize=7)
            axes.tick_params(labelsize=6.5, length=2)
            axes.locator_params(nbins=4)
            axes.grid()
        figure.supxlabel("mean predicted", fontsize=8.5)
        figure.supylabel("mean observed", fontsize=8.5)
        if len(models) > 1:
            handles = [Line2D([], [], color=c, marker="o", label=one.label) for one, (c, _) in _of_models(models)]
            figure.legend(handles=handles, loc="outside upper center", ncols=4)
        return as_svg(
            figure,
            f"calibration-{scores.layout.fold}",
            "Calibration",
            f"Mean observed against mean predicted for each of {_GROUPS} groups of equal size by rising prediction: "
            "128-bp bins of heads that predict bins, windows of the others. On the dashed line, what is predicted is "
            "what is seen on average; flatter means that the model exaggerates.",
        )


def _calibration(scores: FoldScores, one: Named, track: int) -> np.ndarray:
    if one.scope == "bins" and scores.bin_scores is not None:
        own = scores.bin_named.index(one)
        levels = scores.bin_scores.levels[track]
        x = levels.predicted[own]
        if x is None:
            return np.empty((0, 3))
        return calibration_of_levels(scores.bin_scores.joint[track, own], x, levels.observed, _GROUPS)
    x, y = scores.windows_predicted[scores.named.index(one), track], scores.windows_observed[track]
    known = np.isfinite(x) & np.isfinite(y)
    order = np.argsort(x[known], kind="stable")
    parts = [part for part in np.array_split(order, _GROUPS) if len(part)]
    return np.array([[x[known][p].mean(), y[known][p].mean(), len(p) / len(order)] for p in parts]).reshape(-1, 3)


def roc_figure(panels: Sequence[Panel], named: Sequence[Named], name: str, title: str, caption: str) -> Picture | None:
    """ROC curves, a panel for each question."""
    if not panels:
        return None
    looks = dict(zip(named, model_looks(named), strict=True))
    columns = min(3, len(panels))
    width = 10.6 * columns / 3
    with canvas(width / columns * -(-len(panels) // columns) * 1.0, width) as figure:
        for axes, panel in zip(small_multiples(figure, len(panels), columns), panels, strict=True):
            axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
            for curve in panel.curves:
                color = INK if curve.named is None else looks[curve.named][0]
                label = "labels" if curve.named is None else curve.named.label
                area, precision = (
                    "undefined" if found.value is None else f"{found.value:.3f}" for found in (curve.auroc, curve.auprc)
                )
                axes.plot(
                    *_thinned(curve.false_positive, curve.true_positive), color=color, linewidth=1.5,
                    label=f"{_short(label, 24)}  {area} / {precision}",
                )  # fmt: skip
            axes.set_title(f"{_short(panel.track, 40)}\n", fontsize=8)
            axes.text(0, 1.02, _short(panel.what, 58), transform=axes.transAxes, fontsize=7, color=SOFT)
            axes.set_xlabel(f"false positive rate   ({panel.positives:,} positive, {panel.negatives:,} negative)")
            axes.set_ylabel("true positive rate")
            axes.set_aspect("equal")
            axes.legend(
                loc="lower right",
                title=f"AUROC / AUPRC (by chance {panel.prevalence:.3f})",
                title_fontsize=7,
                fontsize=7,
            )
        return as_svg(figure, name, title, caption)


def _thinned(x: np.ndarray, y: np.ndarray, most: int = 400) -> tuple[np.ndarray, np.ndarray]:
    kept = np.unique(np.linspace(0, len(x) - 1, min(most, len(x))).round().astype(int))
    return x[kept], y[kept]


def pooled_rows_of(rows: Sequence[Row]) -> list[Row]:
    """Return the rows pooled over tracks."""
    return [row for row in rows if row.track.startswith(POOLED)]


def _to_show(report: FoldReport, metric: str) -> tuple[dict[int, dict[str, dict[Named, Row]]], list[Track]]:
    """Rows of one metric at each resolution that has any, and the tracks with a value among them."""
    found = {resolution: rows for resolution in RESOLUTIONS if (rows := _plain(report, metric, resolution))}
    return found, [
        track for track in report.scores.tracks if any(_defined(rows.get(track.name)) for rows in found.values())
    ]


def _plain(report: FoldReport, metric: str, resolution: int) -> dict[str, dict[Named, Row]]:
    """Rows of one metric on all chromosomes, by track and prediction; each track's mean is not among them."""
    named: dict[tuple[str, str, str], Named] = {(one.model, one.head, one.scope): one for one in report.scores.named}
    found: dict[str, dict[Named, Row]] = {}
    for row in report.rows:
        one = named.get((row.model, row.head, row.scope))
        if one and (row.metric, row.resolution, row.chrom, row.versus) == (metric, resolution, ALL, ""):
            found.setdefault(row.track, {})[one] = row
    return found


def _defined(rows: dict[Named, Row] | None) -> bool:
    return any(row.value is not None for row in (rows or {}).values())


def _of_models(models: Sequence[Named]) -> list[tuple[Named, tuple[str, str]]]:
    return list(zip(models, model_looks(models), strict=True))


def _address(one: Named) -> str:
    return slug_of(f"{one.label} {one.scope}").replace("_", "-")


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
