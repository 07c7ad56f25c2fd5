"""The page of an evaluation: one HTML file that asks for nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from model.report.agreement import ALL
from model.report.figures import (
    RESOLUTIONS,
    agreement_figure,
    calibration_figure,
    chromosome_figure,
    pooled_rows_of,
    roc_figure,
    scatter_figures,
    specificity_figure,
)
from model.report.profile_figures import profile_pictures
from model.report.rows import SPECIFIC
from model.report.scores import BLOCK, DRAWS, SEED
from model.report.table import label_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from model.report.chunk import Named
    from model.report.draw import Picture
    from model.report.run import FoldReport, Report
    from model.report.table import Row

METHOD = (
    "Values are in each track's unit. A bin or window counts for a track when the observed and every prediction and "
    "baseline has a value there, so that all rows of a table are of the same places; what is missing is left out and "
    "counted, never zero. The value of a window is the mean of its observed bins (of a log2 enrichment, the log2 of "
    "the mean enrichment), where at least a quarter of them is known; files that hold window labels give them "
    f"directly. Intervals are 95 % of {DRAWS:,} bootstrap draws of blocks of {BLOCK // 1_000_000} Mb (seed {SEED}), "
    "the same draws for all, so that differences are paired. Spearman and AUROC of bins come from 256 rank levels and "
    "agree with exact ranks to about 0.0001; those of windows are exact. R2 is 1 minus squared error over squared "
    "deviation from the observed mean of the same places: below 0 is worse than a constant. Baselines of composition "
    "are smoothed over 16 kb to 1 Mb and fitted on training windows."
)


@dataclass(frozen=True)
class Provenance:
    """What made a page: no date and no path, so that the same inputs give the same page."""

    command: str
    labels: str
    models: tuple[tuple[str, str], ...]
    """Each model's or file's name, and its digest."""
    warnings: tuple[str, ...] = ()

    def line(self) -> str:
        """Say it in one line, for below a figure."""
        models = ", ".join(f"{name} {digest[:12]}" for name, digest in self.models)
        return f"{self.command} · {models} · labels {self.labels} · seed {SEED}"


def page_text(report: Report, provenance: Provenance, say: Callable[[str], None] = lambda message: None) -> str:
    """Return the page as HTML."""
    return "".join(_page(report, provenance, say))


def _asset(name: str) -> str:
    return files("model.report").joinpath(name).read_text()


def _page(report: Report, provenance: Provenance, say: Callable[[str], None]) -> Iterator[str]:
    models = [one for one in report.folds[0].scores.named if not one.baseline]
    title = f"Evaluation of {', '.join(dict.fromkeys(one.model for one in models))}"
    yield (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_asset('page.css')}</style>\n</head>\n<body>\n<main>\n"
    )
    folds = ", ".join(f"{fold.scores.layout.fold} ({len(fold.scores.layout.rows):,} windows)" for fold in report.folds)
    yield f"<header><h1>{escape(title)}</h1>\n"
    yield (
        f"<p class=lead>{len(report.tracks)} track{'s' if len(report.tracks) > 1 else ''} of "
        f"{escape(provenance.labels)}, fold {folds}. "
        "All figures are in <code>metrics.tsv</code> beside this page.</p>\n</header>\n"
    )
    for warning in provenance.warnings:
        yield f"<p class=warning>{escape(warning)}</p>\n"
    for fold in report.folds:
        yield from _fold(fold, provenance, say, several=len(report.folds) > 1)
    yield "<section><h2>How this was made</h2>\n"
    yield f"<p><code>{escape(provenance.command)}</code></p>\n<table class=plain><tbody>\n"
    for name, digest in provenance.models:
        yield f"<tr><th>{escape(name)}</th><td><code>{escape(digest)}</code></td></tr>\n"
    yield f"<tr><th>labels</th><td>{escape(provenance.labels)}</td></tr>\n</tbody></table>\n<p>{escape(METHOD)}</p>\n"
    if report.notes:
        yield "<h3>Left out, and how baselines were made</h3>\n<ul>\n"
        yield "".join(f"<li>{escape(note)}</li>\n" for note in report.notes)
        yield "</ul>\n"
    yield f"</section>\n</main>\n<script>{_asset('page.js')}</script>\n</body>\n</html>\n"


def _fold(fold: FoldReport, provenance: Provenance, say: Callable[[str], None], several: bool) -> Iterator[str]:
    scores = fold.scores
    name = scores.layout.fold
    models = [one for one in scores.named if not one.baseline]
    say(f"drawing the figures of the {name} fold")

    def shown(picture: Picture | None) -> str:
        return "" if picture is None else _figure(picture, provenance)

    yield f'<section id="{name}"><h2>{"Fold " + name if several else "Accuracy, fold " + name}</h2>\n'
    for resolution, what in RESOLUTIONS.items():
        yield from _accuracy_table(fold, models, resolution, what)
    yield shown(agreement_figure(fold))
    yield shown(specificity_figure(fold))
    yield from _differences(fold, models)
    yield from _pooled(fold)
    yield "<h3>By chromosome</h3>\n"
    for one in models:
        yield shown(chromosome_figure(fold, one))
    yield "<h3>Predicted against observed</h3>\n"
    for index, picture in enumerate(scatter_figures(scores)):
        yield shown(picture) if index < 2 else _folded(picture, provenance)
    yield shown(calibration_figure(scores))
    if fold.lads or fold.differences:
        yield "<h3>ROC</h3>\n"
    yield shown(
        roc_figure(
            fold.lads, scores.named, f"roc-lads-{name}", "LADs told apart by a track's value",
            "Positive: a 128-bp bin of which LADs (of a class) cover at least half, at its true place; negative: a bin "
            "in no LAD. The score is the value of the track named above, as labelled and as predicted (a head of one "
            "value a window gives it to all its bins). The legend gives AUROC / AUPRC; bins without a value in some "
            f"score are left out ({_left_out(fold)}).",
        )
    )  # fmt: skip
    yield shown(
        roc_figure(
            fold.differences, scores.named, f"roc-differences-{name}", "Which of two biosamples is higher",
            "Positive: windows where the first track is observed higher than the second, each in standard deviations "
            "from its own mean; the score is the same difference as predicted. The legend gives AUROC / AUPRC.",
        )
    )  # fmt: skip
    yield "<h3>Along the chromosomes</h3>\n"
    for index, picture in enumerate(profile_pictures(scores)):
        yield shown(picture) if index == 0 else _folded(picture, provenance)
    yield "</section>\n"


def _left_out(fold: FoldReport) -> str:
    said = {f"{panel.track}, {panel.what.split(' of ', 1)[1]}: {panel.left_out:,}" for panel in fold.lads}
    return "; ".join(sorted(said))


def _figure(picture: Picture, provenance: Provenance, heading: bool = True) -> str:
    title = f"<h4>{escape(picture.title)}</h4>" if heading else ""
    return (
        f'<figure id="{escape(picture.name)}">{title}<img src="{picture.data}" width="{picture.width}" '
        f'alt="{escape(picture.title)}"><figcaption>{escape(picture.caption)} '
        f"<span class=made>{escape(provenance.line())}</span></figcaption></figure>\n"
    )


def _folded(picture: Picture, provenance: Provenance) -> str:
    inside = _figure(picture, provenance, heading=False)
    return f"<details><summary>{escape(picture.title)}</summary>\n{inside}</details>\n"


def _accuracy_table(fold: FoldReport, models: Sequence[Named], resolution: int, what: str) -> Iterator[str]:
    """A row for each track and model: r, rho, R2 and specificity, the best baseline and the difference to it."""
    rows = [row for row in fold.rows if row.resolution == resolution and row.chrom == ALL]
    plain = {(r.track, r.metric, r.model, r.head, r.scope): r for r in rows if not r.versus}
    versus = {(r.track, r.metric, r.model, r.head, r.scope, r.versus): r for r in rows if r.versus}
    body = []
    for track in fold.scores.tracks:
        baselines = [
            r for r in rows if r.track == track.name and r.metric == "pearson" and r.baseline and r.value is not None
        ]
        best = max(baselines, key=lambda r: r.value or 0.0, default=None)
        for one in models:
            key = (one.model, one.head, one.scope)
            r = plain.get((track.name, "pearson", *key))
            if r is None:
                continue
            cells = [
                f'<td class=track><span class=dot style="background:{track.color}"></span>{escape(track.name)}</td>',
                f"<td class=track>{escape(one.label)}</td>",
                _cell(r, interval=True),
                _cell(plain.get((track.name, "spearman", *key))),
                _cell(plain.get((track.name, "r2", *key))),
                _cell(plain.get((track.name, SPECIFIC + "pearson", *key))),
            ]
            if best is None:
                cells += ["<td></td>", "<td></td>"]
            else:
                cells.append(f"<td data-v={best.value}>{best.value:.3f} <small>{escape(best.model)}</small></td>")
                cells.append(_cell(versus.get((track.name, "pearson", *key, best.model)), interval=True, sign=True))
            cells.append(f"<td data-v={r.n}>{r.n:,}</td>")
            body.append(f"<tr>{''.join(cells)}</tr>\n")
    if not body:
        return
    heads = (
        "Track", "Model", "Pearson r (95 %)", "Spearman", "R2", "Specific r", "Best baseline r",
        "Model minus best (95 %)", "n",
    )  # fmt: skip
    yield f"<h3>{escape(what[0].upper() + what[1:])}</h3>\n<table class=sortable><thead><tr>"
    yield "".join(f"<th>{head}</th>" for head in heads)
    yield f"</tr></thead><tbody>\n{''.join(body)}</tbody></table>\n"


def _cell(row: Row | None, interval: bool = False, sign: bool = False) -> str:
    if row is None:
        return "<td></td>"
    if row.value is None:
        said = row.reason if interval else "–"
        return f'<td class=undefined title="{escape(row.reason)}">{escape(said)}</td>'
    text = ("+" if sign and row.value > 0 else "") + _number(row.value)
    shown = ""
    if interval and row.low is not None and row.high is not None:
        shown = f" <small>{_number(row.low)} to {_number(row.high)}</small>"
        if sign and (row.low > 0 or row.high < 0):
            text = f"<b class={'up' if row.low > 0 else 'down'}>{text}</b>"
    elif interval and row.reason:
        shown = f" <small>{escape(row.reason)}</small>"
    return f"<td data-v={row.value}>{text}{shown}</td>"


def _number(value: float) -> str:
    return f"{round(value, 3) + 0.0:.3f}" if abs(value) < 10 else f"{value:.3g}"  # no minus zero


def _differences(fold: FoldReport, models: Sequence[Named]) -> Iterator[str]:
    """Paired differences between models, where there are several."""
    if len(models) < 2:
        return
    labels = {one.label for one in models}
    body = [
        f"<tr><td>{escape(row.track)}</td><td>{RESOLUTIONS[row.resolution]}</td>"
        f"<td>{escape(label_of(row.model, row.head))}</td><td>{escape(row.versus)}</td>"
        f"{_cell(row, interval=True, sign=True)}</tr>\n"
        for row in fold.rows
        if row.versus in labels and row.metric == "pearson" and row.chrom == ALL
    ]
    if body:
        yield "<details><summary>Paired differences between models, Pearson r</summary>\n<table class=sortable><thead>"
        yield "<tr><th>Track</th><th>Places</th><th>Model</th><th>minus</th><th>Difference (95 %)</th></tr></thead>"
        yield f"<tbody>\n{''.join(body)}</tbody></table></details>\n"


def _pooled(fold: FoldReport) -> Iterator[str]:
    rows = pooled_rows_of(fold.rows)
    if not rows:
        return
    yield (
        "<details><summary>Correlation pooled over tracks, beside the mean-predictor</summary>\n"
        "<p>All tracks thrown together, as some papers print it. Tracks differ more from each other than places do, so "
        "that <em>track mean</em>, which predicts each track's training mean everywhere, scores high as well: only "
        "what a model adds to it says anything.</p>\n<table class=plain><thead><tr><th>Prediction</th><th>Metric</th>"
        "<th>Value (95 %)</th><th>Tracks</th></tr></thead><tbody>\n"
    )
    for row in rows:
        label = escape(label_of(row.model, row.head))
        yield f"<tr><td>{label}</td><td>{row.metric}</td>{_cell(row, interval=True)}<td>{row.track}</td></tr>\n"
    yield "</tbody></table></details>\n"
