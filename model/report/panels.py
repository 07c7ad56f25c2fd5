"""ROC panels: LADs against a track's value, bin by bin, and which of two biosamples is higher, window by window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

from model.metrics import Estimate, draw_weights, estimate
from model.report.agreement import ALL
from model.report.lads import CLASSES, NO_LAD
from model.report.roc import auprc_of, auroc_of, roc_curve
from model.report.scores import DRAWS, SEED
from model.report.table import Row
from tracks.errors import UsageError
from tracks.grid import BIN, WINDOW
from tracks.track import slug_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from model.report.chunk import Named
    from model.report.fold import FoldScores

_GROUPS = 2_048
"""Window scores are grouped into at most so many levels, of equal share, for the draws; values are exact."""


@dataclass(frozen=True, eq=False)
class Curve:
    """One score's ROC curve and areas; ``named`` is None for the labels themselves."""

    named: Named | None
    false_positive: np.ndarray
    true_positive: np.ndarray
    auroc: Estimate
    auprc: Estimate


@dataclass(frozen=True, eq=False)
class Panel:
    """Curves of one question on the same bins or windows.

    ``what`` is the positive class in words, ``left_out`` the bins (windows) that lack a value in some score.
    """

    track: str
    what: str
    resolution: int
    positives: int
    negatives: int
    blocks: int
    left_out: int
    curves: tuple[Curve, ...]

    @property
    def prevalence(self) -> float:
        """The share of positives: the average precision of a score that knows nothing."""
        return self.positives / max(self.positives + self.negatives, 1)


def lad_panels(scores: FoldScores) -> Iterator[Panel]:
    """Yield a panel for each LAD file and class that it holds."""
    for track, scored, lads in scores.lads:
        for name in lads.domains.classes():
            positive = lads.counts[:, :, list(CLASSES[name])].sum(axis=2)
            negative = lads.counts[:, :, NO_LAD]
            curves = tuple(
                _curve(None if index == 0 else scores.named[scored[index - 1]], positive[index], negative[index])
                for index in range(len(positive))
            )
            left_out = lads.bins - int(lads.counts[0].sum())
            yield Panel(
                scores.tracks[track].name,
                f"{name} of {lads.domains.name}",
                BIN,
                int(positive[0].sum()),
                int(negative[0].sum()),
                int((positive[0] + negative[0]).any(axis=1).sum()),
                left_out,
                curves,
            )


def _curve(named: Named | None, positive: np.ndarray, negative: np.ndarray) -> Curve:
    """A curve from counts by block ``[blocks, levels]``."""
    held = (positive + negative).any(axis=1)
    positive, negative = positive[held].astype(np.float64), negative[held].astype(np.float64)
    weights = draw_weights(max(len(positive), 1), DRAWS, SEED)[:, : len(positive)]
    drawn = weights @ positive, weights @ negative
    reason = "no bin is positive" if not positive.sum() else "no bin is negative"
    return Curve(
        named,
        *roc_curve(positive.sum(axis=0), negative.sum(axis=0)),
        estimate(auroc_of(*drawn), len(positive), reason),
        estimate(auprc_of(*drawn), len(positive), reason),
    )


def default_pairs(scores: FoldScores) -> tuple[tuple[int, int], ...]:
    """Return, of each group of tracks of one assay and unit that is no count, the two biosamples whose observed
    windows agree least: there is most to tell apart. Chosen by the labels alone."""
    pairs = []
    for group in scores.groups:
        if "calls" in scores.tracks[group[0]].unit:
            continue
        found = []
        for at, one in enumerate(group):
            for other in group[at + 1 :]:
                x, y = scores.windows_observed[[one, other]].astype(np.float64)
                known = np.isfinite(x) & np.isfinite(y)
                if known.sum() > 2 and np.ptp(x[known]) > 0 and np.ptp(y[known]) > 0:
                    found.append((float(np.corrcoef(x[known], y[known])[0, 1]), one, other))
        if found:
            _, one, other = min(found)
            pairs.append((one, other))
    return tuple(pairs)


def named_pairs(scores: FoldScores, names: Sequence[tuple[str, str]]) -> tuple[tuple[int, int], ...]:
    """Return the tracks of pairs of names: of tracks, or of biosamples, which is every assay and unit that has both.

    Raises UsageError naming what is not there.
    """
    pairs = []
    for one, other in names:
        found = [
            (first, second)
            for first in _meant(scores, one)
            for second in _meant(scores, other)
            if (scores.tracks[first].assay, scores.tracks[first].unit)
            == (scores.tracks[second].assay, scores.tracks[second].unit)
            and first != second
        ]
        if not found:
            known = ", ".join(dict.fromkeys(track.biosample for track in scores.tracks))
            raise UsageError(f'--pair "{one},{other}" names no two tracks of one assay; there are {known}')
        pairs += found
    return tuple(pairs)


def _meant(scores: FoldScores, name: str) -> list[int]:
    slug = slug_of(name)
    exact = [index for index, track in enumerate(scores.tracks) if track.slug == slug]
    return exact or [index for index, track in enumerate(scores.tracks) if slug_of(track.biosample) == slug]


def difference_panels(scores: FoldScores, pairs: Sequence[tuple[int, int]]) -> Iterator[Panel]:
    """Yield a panel for each pair of tracks (one, other): positive are the windows where one is observed higher than
    other, each in standard deviations from its own observed mean; the score is the same difference as predicted,
    with the observed deviations. Windows with a value in both tracks, observed and by every model."""
    for one, other in pairs:
        models = [
            index
            for index, named in enumerate(scores.named)
            if not named.baseline and np.isfinite(scores.windows_predicted[index][[one, other]]).any(axis=1).all()
        ]
        values = np.stack([scores.windows_observed, *(scores.windows_predicted[index] for index in models)])
        first, second = values[:, one].astype(np.float64), values[:, other].astype(np.float64)
        known = np.isfinite(first).all(axis=0) & np.isfinite(second).all(axis=0)
        seen = int((np.isfinite(first[0]) & np.isfinite(second[0])).sum())
        first, second, block = first[:, known], second[:, known], scores.layout.block[known]
        if not known.any() or np.ptp(first[0]) == 0 or np.ptp(second[0]) == 0:
            continue
        # Means are constants, which move no rank; they matter for what is positive alone.
        difference = first / first[0].std() - second / second[0].std()
        middle = first[0].mean() / first[0].std() - second[0].mean() / second[0].std()
        positive = difference[0] > middle
        curves = tuple(
            _exact_curve(scores.named[models[index - 1]], difference[index], positive, block)
            for index in range(1, len(values))
        )
        yield Panel(
            f"{scores.tracks[one].name} - {scores.tracks[other].name}",
            f"higher in {scores.tracks[one].biosample} than in {scores.tracks[other].biosample}",
            WINDOW,
            int(positive.sum()),
            int((~positive).sum()),
            len(np.unique(block)),
            seen - int(known.sum()),
            curves,
        )


def _exact_curve(named: Named, score: np.ndarray, positive: np.ndarray, block: np.ndarray) -> Curve:
    """A curve of windows: few enough for exact values, and for counts by block that the draws are made from."""
    ranks = rankdata(score, "dense").astype(np.int64) - 1
    levels = int(ranks.max()) + 1
    exact = np.bincount(ranks[positive], minlength=levels), np.bincount(ranks[~positive], minlength=levels)
    groups = min(levels, _GROUPS)
    group = ranks * groups // levels
    blocks = int(block.max()) + 1
    by_block = [
        np.bincount(block[own] * groups + group[own], minlength=blocks * groups).reshape(blocks, groups)
        for own in (positive, ~positive)
    ]
    drawn = _curve(named, *by_block)
    areas = []
    for of, found in ((auroc_of, drawn.auroc), (auprc_of, drawn.auprc)):
        value = float(of(*exact))
        moved = Estimate(None, reason=found.reason)
        if np.isfinite(value):
            shift = value - (found.value or 0.0)
            low = None if found.low is None else round(found.low + shift, 4)
            high = None if found.high is None else round(found.high + shift, 4)
            moved = Estimate(round(value, 4), low, high, found.reason)
        areas.append(moved)
    return Curve(named, *roc_curve(*exact), *areas)


def panel_rows(panel: Panel, fold: str) -> Iterator[Row]:
    """Yield a panel's areas as rows, each with the prevalence: what average precision is without knowledge."""
    n = panel.positives + panel.negatives
    left_out = f"{panel.left_out:,} left out: no value in some score" if panel.left_out else ""
    for curve in panel.curves:
        for metric, found in (("auroc", curve.auroc), ("auprc", curve.auprc)):
            named = curve.named
            yield Row(
                "labels" if named is None else named.model,
                "" if named is None else named.head,
                "bins" if named is None else named.scope,
                panel.track,
                fold,
                ALL,
                panel.resolution,
                f"{metric}: {panel.what}",
                "",
                found.value,
                found.low,
                found.high,
                named is None,
                n,
                panel.blocks,
                "; ".join(filter(None, [found.reason, left_out])),
            )
    yield Row(
        "prevalence", "", "", panel.track, fold, ALL, panel.resolution, f"auprc: {panel.what}", "",
        round(panel.prevalence, 4), None, None, True, n, panel.blocks, "",
    )  # fmt: skip
