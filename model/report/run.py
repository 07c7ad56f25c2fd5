"""An evaluation from end to end: labels and predictions in, scores of each fold out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from model.report.accumulate import tracks_first
from model.report.baselines import OthersMean, fit_composition, training_means
from model.report.chunk import Chunk, window_means
from model.report.fold import SAMPLE, FoldScorer, take_sample
from model.report.layout import lay_out
from model.report.panels import default_pairs, difference_panels, lad_panels, named_pairs, panel_rows
from model.report.pooled import pooled_rows
from model.report.rows import fold_rows
from model.report.sources import Matched, label_source
from tracks.errors import UsageError, first_few
from tracks.labels import values
from tracks.memory import keep_freed_memory
from tracks.track import slug_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from model.report.chunk import Prediction
    from model.report.fold import FoldScores
    from model.report.lads import Domains
    from model.report.layout import Layout
    from model.report.panels import Panel
    from model.report.table import Row
    from tracks.genome import Genome
    from tracks.labels import LabelSet
    from tracks.split import Fold
    from tracks.track import Track
    from tracks.windows import Scope

CHUNK = 128
"""Windows that are scored at a time: arrays of a track stay in the cache, and Python costs little."""
SLOW_CHUNK = 8
"""The same where a model computes them, so that progress is seen."""


@dataclass(frozen=True)
class Options:
    """What to evaluate beside the predictions themselves.

    ``lads``: (name of a track, domains); ``pairs``: names of two tracks or biosamples, none for the ones that differ
    most; ``lengths`` of chromosomes, where known.
    """

    folds: tuple[Fold, ...] = ("test",)
    lads: tuple[tuple[str, Domains], ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    replicate: LabelSet | None = None
    genome: Genome | None = None
    lengths: Mapping[str, int] = field(default_factory=dict)
    chunk: int = CHUNK
    threads: int = 2


@dataclass(frozen=True, eq=False)
class FoldReport:
    """One fold: scores, rows and ROC panels."""

    scores: FoldScores
    rows: tuple[Row, ...]
    lads: tuple[Panel, ...]
    differences: tuple[Panel, ...]


@dataclass(frozen=True, eq=False)
class Report:
    """An evaluation. ``notes`` says in sentences what was left out and why, and how baselines were made."""

    tracks: tuple[Track, ...]
    folds: tuple[FoldReport, ...]
    notes: tuple[str, ...]

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows of all folds."""
        return tuple(row for fold in self.folds for row in fold.rows)


def scored_tracks(labels: LabelSet, names: Sequence[str]) -> tuple[tuple[Track, ...], tuple[str, ...]]:
    """Return the tracks of a label set that some prediction has (``names``: all that are predicted), and sentences
    about those of either side that the other lacks. Raises UsageError when they share none."""
    scope = "window" if "window" in labels.scopes else labels.scopes[0]
    there = labels.tracks(scope)
    predicted = {slug_of(name): name for name in names}
    scored = tuple(track for track in there if track.slug in predicted)
    if not scored:
        raise UsageError(
            f"the labels {labels.name} and the predictions share no track by name: the labels have "
            f"{_quoted([track.name for track in there])}, predicted are {_quoted(list(predicted.values()))}"
        )
    notes = []
    unpredicted = [track.name for track in there if track not in scored]
    if unpredicted:
        notes.append(f"Labels without a prediction of that name, not scored: {', '.join(unpredicted)}.")
    slugs = {track.slug for track in there}
    unlabelled = [name for slug, name in predicted.items() if slug not in slugs]
    if unlabelled:
        notes.append(f"Predicted tracks without labels of that name, not scored: {', '.join(unlabelled)}.")
    return scored, tuple(notes)


def _quoted(names: list[str]) -> str:
    return first_few([f"'{name}'" for name in names])


def evaluate_windows(
    labels: LabelSet,
    tracks: Sequence[Track],
    predictions: Sequence[Prediction],
    options: Options,
    say: Callable[[str], None] = lambda message: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Score predictions of tracks on the windows of a label set, fold by fold, beside baselines.

    Every prediction gives the tracks in the order of ``tracks``. ``progress`` is told windows done and in all,
    samples included. Raises UsageError for a fold without windows, or names that are not there.
    """
    keep_freed_memory()
    layouts = [lay_out(labels.windows, fold) for fold in options.folds]
    for layout in layouts:
        if not len(layout.rows):
            held = sorted({window.fold for window in labels.windows})
            raise UsageError(f"{labels.name} has no {layout.fold} windows; it has {', '.join(held)}")
    lads = [(_track_named(tracks, name), domains) for name, domains in options.lads]
    baselines, means, notes = _baselines(labels, tracks, options, say)
    everyone = [*predictions, *baselines]
    total = sum(min(SAMPLE, len(layout.rows)) + len(layout.rows) for layout in layouts)
    done = 0

    def tell(windows: int) -> None:
        nonlocal done
        done += windows
        progress(done, total)

    reports = []
    for layout in layouts:
        scores = _score(labels, tracks, everyone, layout, lads, options, tell)
        say(f"drawing intervals for the {layout.fold} fold")
        pairs = named_pairs(scores, options.pairs) if options.pairs else default_pairs(scores)
        panels, differences = tuple(lad_panels(scores)), tuple(difference_panels(scores, pairs))
        rows = [*fold_rows(scores, means), *pooled_rows(scores, means)]
        rows += [row for panel in (*panels, *differences) for row in panel_rows(panel, layout.fold)]
        reports.append(FoldReport(scores, tuple(rows), panels, differences))
        notes += _left_out(scores)
    return Report(tuple(tracks), tuple(reports), tuple(dict.fromkeys(notes)))


def read_chunk(labels: LabelSet, tracks: Sequence[Track], layout: Layout, places: np.ndarray) -> Chunk:
    """Read the observed values of windows at some places of a layout, all of one chromosome."""
    rows = layout.rows[places]
    bins = None
    if "bins" in labels.scopes:
        bins = tracks_first(values(labels, rows, "bins")[:, :, _columns(labels, tracks, "bins")])
    if "window" in labels.scopes:
        window = values(labels, rows, "window")[:, 0, _columns(labels, tracks, "window")].T
    else:
        assert bins is not None, "a label set has a scope"
        window = window_means(bins, tracks)
    return Chunk(rows, layout.chroms[layout.chrom[places[0]]], layout.starts[places], bins, window)


def _columns(labels: LabelSet, tracks: Sequence[Track], scope: Scope) -> list[int]:
    there = {track.slug: index for index, track in enumerate(labels.tracks(scope))}
    return [there[track.slug] for track in tracks]


def _score(
    labels: LabelSet,
    tracks: Sequence[Track],
    everyone: Sequence[Prediction],
    layout: Layout,
    lads: Sequence[tuple[int, Domains]],
    options: Options,
    tell: Callable[[int], None],
) -> FoldScores:
    named = [one.named for one in everyone]
    places = layout.sample(SAMPLE)
    chunks, predicted = [], []
    for run in np.split(places, np.flatnonzero(np.diff(layout.chrom[places])) + 1):
        for start in range(0, len(run), options.chunk):
            chunk = read_chunk(labels, tracks, layout, run[start : start + options.chunk])
            chunks.append(chunk)
            predicted.append([one.predict(chunk) for one in everyone])
            tell(len(chunk.rows))
    sample = take_sample(tracks, named, chunks, predicted)
    del chunks, predicted
    scorer = FoldScorer(layout, tracks, named, sample, lads, options.lengths, options.threads)
    for place in layout.chunks(options.chunk):
        chunk = read_chunk(labels, tracks, layout, np.arange(place.start, place.stop))
        scorer.add(chunk, [one.predict(chunk) for one in everyone])
        tell(len(chunk.rows))
    return scorer.result()


def _baselines(
    labels: LabelSet, tracks: Sequence[Track], options: Options, say: Callable[[str], None]
) -> tuple[list[Prediction], np.ndarray, list[str]]:
    """The baselines that there are data for, each track's mean over training windows, and notes about them."""
    scope: Scope = "bins" if "bins" in labels.scopes else "window"
    train, valid = lay_out(labels.windows, "train"), lay_out(labels.windows, "valid")
    found: list[Prediction] = []
    notes = []
    if len(train.rows):
        say("means of the training windows")
        means = training_means(labels, scope, train, _columns(labels, tracks, scope))
    else:
        means = np.full(len(tracks), np.nan)
        notes.append("The labels have no training windows: no mean of each track, no baselines of composition.")
    if options.genome is None:
        notes.append("GC, CpG density and ridge regression are left out: they need the sequence (--genome).")
    elif scope != "bins":
        notes.append("GC, CpG density and ridge regression are left out: they are fitted on labels of 128-bp bins.")
    elif len(train.rows):
        columns = _columns(labels, tracks, scope)
        composition = fit_composition(labels, tracks, columns, options.genome, train, valid, say)
        found += composition
        for one in composition:
            details = "; ".join(
                f"{track.name} {detail}" for track, detail in zip(tracks, one.details, strict=True) if detail
            )
            notes.append(f"Baseline {one.named.model}, fitted on training windows: {details}.")
    others = OthersMean(tracks, scope)
    if others.any:
        found.append(others)
    else:
        notes.append("No two tracks are of one assay and unit, so there is no mean of other biosamples.")
    if options.replicate is not None:
        source = label_source(options.replicate, "replicate")
        if not {track.slug for track in source.tracks} & {track.slug for track in tracks}:
            raise UsageError(f"the replicate {options.replicate.name} has none of the scored tracks by name")
        found.append(Matched(source, tracks))
    return found, means, notes


def _track_named(tracks: Sequence[Track], name: str) -> int:
    slug = slug_of(name)
    for index, track in enumerate(tracks):
        if track.slug == slug:
            return index
    raise UsageError(
        f"--lads names the track '{name}', which is not scored; there are {_quoted([t.name for t in tracks])}"
    )


def _left_out(scores: FoldScores) -> list[str]:
    """Say which tracks and values of a fold were not scored."""
    notes = []
    fold = scores.layout.fold
    agreement = scores.bins if scores.bins is not None else scores.windows
    named = scores.bin_named if scores.bins is not None else scores.named
    what = "128-bp bins" if scores.bins is not None else "windows"
    for index, track in enumerate(scores.tracks):
        observed = int(agreement.observed[index])
        if not observed:
            notes.append(f"{track.name} has no observed value in the {fold} fold: it is excluded, not scored as zero.")
            continue
        absent = [one.label for one, member in zip(named, agreement.members[index], strict=True) if not member]
        if absent:
            notes.append(f"{track.name}, {fold} fold: no value of {', '.join(absent)}.")
        members = np.flatnonzero(agreement.members[index])
        if len(members):
            scored = int(agreement.values[index, members[0], :, 0].sum())
            if scored < observed:
                notes.append(
                    f"{track.name}, {fold} fold: {observed - scored:,} of {observed:,} observed {what} are not scored, "
                    "for some prediction or baseline has no value there."
                )
    return notes
