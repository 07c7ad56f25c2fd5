"""Evaluation: a model on the held-out blocks of a project, beside what base composition alone says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model.baselines import Baseline, features, fit_baselines
from model.card import BaselineScore, Card, Score, TrackCard
from model.context import chromosome_counts
from model.dataset import load_labels
from model.metrics import Estimate, auroc, draw_weights, estimate, pearson, pooled, spearman
from model.predict import Predictor, predict_windows
from tracks.errors import UsageError
from tracks.genome import Genome
from tracks.grid import BIN, BINS, windows_over
from tracks.split import read_split

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from model.folder import Model
    from tracks.project import Project, TrackEntry
    from tracks.split import Block
    from tracks.store import Store

RESOLUTIONS = (128, 4_096, 114_688)
BLOCK = 500_000
"""Bases in one bootstrap block."""
DRAWS = 2_000
SEED = 1

_FEWEST = 10
_METHOD = (
    f"scored 131,072 bp inside each held-out block; intervals are 95 % of {DRAWS:,} bootstrap draws of "
    f"{BLOCK // 1000:,}-kb blocks; coarser bins need half of their 128-bp bins observed."
)


@dataclass(frozen=True, eq=False)
class _Part:
    """Aligned bins of one fold on one chromosome: observed and predicted per track, and composition."""

    fold: str
    chrom: str
    first_bin: int
    observed: np.ndarray
    predicted: np.ndarray
    features: np.ndarray


def evaluate(
    model: Model,
    project: Project,
    device: str = "auto",
    store: Store | None = None,
    report: Callable[[str], None] = lambda message: None,
) -> Card:
    """Score a model's tracks on the valid and test blocks of a project's split.

    Raises UsageError when the project has no split, or observes none of the model's tracks.
    """
    if project.split is None:
        raise UsageError(f"project '{project.name}' names no split, so nothing is held out to score on")
    by_name = {entry.name: entry for entry in project.track if entry.observed is not None}
    entries = [(index, by_name[track.name]) for index, track in enumerate(model.tracks) if track.name in by_name]
    if not entries:
        names = ", ".join(track.name for track in model.tracks)
        raise UsageError(f"project '{project.name}' observes none of the model's tracks ({names})")
    blocks = read_split(project.split)
    predictor = Predictor(model, Genome(project.genome), device)
    held_out: list[_Part] = []
    train: list[tuple[np.ndarray, np.ndarray]] = []
    for chrom in dict.fromkeys(block.region.chrom for block in blocks):
        report(f"scoring {chrom}")
        parts, training = _chromosome(predictor, chrom, [entry for _, entry in entries], blocks, store)
        held_out += [_select(part, [index for index, _ in entries]) for part in parts]
        train += training
    report("fitting baselines and drawing intervals")
    cards = tuple(_track(entry, place, held_out, train) for place, (_, entry) in enumerate(entries))
    return Card(model.name, model.digest, project.name, BLOCK, DRAWS, SEED, _METHOD, cards)


def _select(part: _Part, indices: list[int]) -> _Part:
    return _Part(part.fold, part.chrom, part.first_bin, part.observed, part.predicted[:, indices], part.features)


def _chromosome(
    predictor: Predictor, chrom: str, entries: Sequence[TrackEntry], blocks: Sequence[Block], store: Store | None
) -> tuple[list[_Part], list[tuple[np.ndarray, np.ndarray]]]:
    """Return the held-out parts of a chromosome, and (features, observed) of every eighth training bin."""
    genome = predictor.genome
    counts = chromosome_counts(genome, chrom)
    observed = np.stack([load_labels(entry, chrom, genome.chrom_sizes[chrom], counts) for entry in entries], axis=1)
    composition = features(counts)
    parts, training = [], []
    for block in blocks:
        if block.region.chrom != chrom:
            continue
        if block.fold == "train":
            bins = slice(-(-block.region.start // BIN), block.region.end // BIN, 8)
            training.append((composition[bins], observed[bins]))
            continue
        scored = block.scored()
        if scored is None or np.isnan(observed[scored.start // BIN : scored.end // BIN]).all():
            continue
        first, last = -(-scored.start // BIN), scored.end // BIN
        windows = windows_over(scored)
        predicted = np.concatenate([values for _, values in predict_windows(predictor, chrom, windows, store)])
        predicted = predicted[first - windows.start * BINS : last - windows.start * BINS]
        here = slice(first, last)
        parts.append(_Part(block.fold, chrom, first, observed[here], predicted, composition[here]))
    return parts, training


def _track(
    entry: TrackEntry, place: int, held_out: Sequence[_Part], train: Sequence[tuple[np.ndarray, np.ndarray]]
) -> TrackCard:
    x = np.concatenate([values for values, _ in train])
    y = np.concatenate([observed[:, place] for _, observed in train]).astype(np.float64)
    valid = [part for part in held_out if part.fold == "valid"]
    vx = np.concatenate([part.features for part in valid]) if valid else x[:0]
    vy = np.concatenate([part.observed[:, place] for part in valid]).astype(np.float64) if valid else y[:0]
    seen, valid_seen = np.isfinite(y), np.isfinite(vy)
    baselines = fit_baselines((x[seen], y[seen]), (vx[valid_seen], vy[valid_seen]))
    scores = []
    for fold in ("valid", "test"):
        chroms = list(dict.fromkeys(part.chrom for part in held_out if part.fold == fold))
        for chrom in chroms:
            parts = [part for part in held_out if part.fold == fold and part.chrom == chrom]
            if any(np.isfinite(part.observed[:, place]).any() for part in parts):
                scores += _scores(entry, place, fold, chrom, parts, baselines)
    return TrackCard(entry.name, entry.unit, tuple(scores), _verdict(scores))


def _scores(
    entry: TrackEntry, place: int, fold: str, chrom: str, parts: Sequence[_Part], baselines: Sequence[Baseline]
) -> list[Score]:
    scores = []
    for resolution in RESOLUTIONS:
        columns, block = _aligned(place, parts, baselines, resolution)
        observed = columns[0]
        names: dict[str, np.ndarray | None] = {"pearson": None, "spearman": None}
        if "methyl" in entry.unit:
            if resolution == BIN:
                names["low_auroc"] = (observed < 0.25) | (observed > 0.6)
        else:
            names["auroc"] = np.ones(len(observed), bool)
        for metric, kept in names.items():
            scores.append(_score(metric, fold, chrom, resolution, columns, block, kept, baselines))
    return scores


def _aligned(
    place: int, parts: Sequence[_Part], baselines: Sequence[Baseline], resolution: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return observed, model and baselines ``[2 + baselines, n]`` on the bins where both are known, and each bin's
    bootstrap block ``[n]``, numbered 0, 1, ..."""
    pool = resolution // BIN
    columns, blocks = [], []
    for part in parts:
        kept = np.isfinite(part.observed[:, place]) & np.isfinite(part.predicted[:, place])
        values = [part.observed[:, place], part.predicted[:, place], *(b.predict(part.features) for b in baselines)]
        means = np.stack([pooled(value, kept, part.first_bin, pool) for value in values])
        run = part.first_bin // pool + np.arange(means.shape[1])
        seen = np.isfinite(means[0])
        columns.append(means[:, seen])
        blocks.append(run[seen] * resolution // BLOCK)
    block = np.concatenate(blocks)
    return np.concatenate(columns, axis=1), np.unique(block, return_inverse=True)[1]


def _score(
    metric: str,
    fold: str,
    chrom: str,
    resolution: int,
    columns: np.ndarray,
    block: np.ndarray,
    kept: np.ndarray | None,
    baselines: Sequence[Baseline],
) -> Score:
    if kept is not None:
        columns, block = columns[:, kept], np.unique(block[kept], return_inverse=True)[1]
    observed, *predictions = columns
    bins, blocks = len(observed), int(block.max()) + 1 if len(block) else 0
    positive = observed < 0.25 if metric == "low_auroc" else observed >= 0.5
    reason = ""
    if bins < _FEWEST:
        reason = f"only {bins} bins"
    elif metric in {"auroc", "low_auroc"} and (positive.all() or not positive.any()):
        reason = "one class only"
    elif observed.std() == 0:
        reason = "the observed track is constant"
    if reason:
        nothing = Estimate(None, reason=reason)
        beside = tuple(BaselineScore(b.name, b.detail, nothing, nothing) for b in baselines)
        return Score(fold, chrom, resolution, metric, bins, blocks, nothing, beside)
    weights = draw_weights(blocks, DRAWS, SEED)
    if metric == "pearson":
        drawn = [pearson(predicted, observed, block)(weights) for predicted in predictions]
    elif metric == "spearman":
        drawn = [spearman(predicted, observed, block)(weights) for predicted in predictions]
    else:
        sign = -1.0 if metric == "low_auroc" else 1.0
        drawn = [auroc(sign * predicted, positive, block)(weights) for predicted in predictions]
    model, *others = drawn
    beside = tuple(
        BaselineScore(baseline.name, baseline.detail, estimate(other), estimate(model - other))
        for baseline, other in zip(baselines, others, strict=True)
    )
    return Score(fold, chrom, resolution, metric, bins, blocks, estimate(model), beside)


def _verdict(scores: Sequence[Score]) -> str:
    """Say what the paired intervals of Pearson's r on the test blocks say, at 4,096 bp, against the best baseline."""
    said = []
    for score in scores:
        if (score.fold, score.metric, score.resolution) != ("test", "pearson", 4_096):
            continue
        best = score.best_baseline()
        if best is None or best.difference.low is None or best.difference.high is None:
            said.append(f"not scored on {score.part} ({score.model.reason})")
        elif best.difference.low > 0:
            said.append(f"better than composition on {score.part}")
        elif best.difference.high < 0:
            said.append(f"worse than composition ({best.name}) on {score.part}")
        else:
            said.append(f"composition alone ({best.name}) does as well on {score.part}")
    return f"On the test blocks at 4,096 bp: {'; '.join(said)}." if said else "No test block scores this track."
