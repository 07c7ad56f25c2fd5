"""Evaluation: a model on the held-out blocks of a project, beside what base composition alone says there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model.baselines import CLIP, Baseline, Sample, features, fit_baselines
from model.card import NO_MODEL, BaselineScore, Card, Score, TrackCard, track_verdict
from model.context import chromosome_counts
from model.metrics import Estimate, auroc, draw_weights, estimate, is_constant, pearson, pooled, spearman
from model.predict import Predictor, predict_windows
from tracks.errors import UsageError
from tracks.genome import Genome
from tracks.grid import BIN, BINS, windows_over
from tracks.observed import LEAST_OBSERVED, read_observed
from tracks.regions import Region, check_chrom
from tracks.split import read_split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from model.folder import Model
    from tracks.project import Project, TrackEntry
    from tracks.split import Block
    from tracks.store import Store

RESOLUTIONS = (128, 4_096, 114_688)
BLOCK_SIZES = (1_000_000, 500_000)
"""Bases in one bootstrap block: the first size of which a part holds enough blocks, else the last. LADs are domains
of 0.5 to 2 Mb, so smaller blocks would be too alike and intervals too narrow."""
ENOUGH_BLOCKS = 10
DRAWS = 2_000
SEED = 1
LOW, HIGH = 0.25, 0.6
"""Methylation below and above, of the bins that the low-methylation AUROC tells apart."""
COVERED = 0.5
"""Covered fraction from which on a bin is a positive of the AUROC."""
FEWEST_BINS = 10

METHYLATED, COVERED_FRACTION = "methylated fraction", "covered fraction"
"""Units whose tracks have an AUROC as well."""

METHOD = (
    "Scored inside each held-out block, 131,072 bp from its ends, on each chromosome apart and on all of a fold "
    "together; no figure is pooled over tracks. Bins of 4,096 bp and 114,688 bp are means over the 128-bp bins that "
    f"are observed and predicted, at least {LEAST_OBSERVED:.0%} of them, and the same for model and baselines. "
    f"Intervals are 95 % of {DRAWS:,} bootstrap draws of blocks of {BLOCK_SIZES[0] // 1_000_000} Mb "
    f"({BLOCK_SIZES[1] / 1_000_000:g} Mb where fewer than {ENOUGH_BLOCKS} of those have a value), the same draws for "
    "model and baselines; Spearman keeps the ranks of all bins in every draw. "
    f"AUROC is of a covered fraction of at least {COVERED:g}; low-methylation AUROC tells bins below {LOW:g} from bins "
    f"above {HIGH:g}. Baselines are composition of the known bases, smoothed over 16 kb to 2 Mb and cut at "
    f"{CLIP:g} standard deviations: of each feature the best width on training bins, and ridge regression on all "
    "widths up to 1 Mb, fitted on training bins."
)


@dataclass(frozen=True, eq=False)
class _Part:
    """The scored bins of one held-out block: observed and predicted ``[bins, tracks]`` in track units (predicted
    None without a model), and composition ``[bins, features]``."""

    fold: str
    chrom: str
    first_bin: int
    observed: np.ndarray
    predicted: np.ndarray | None
    features: np.ndarray


@dataclass(frozen=True, eq=False)
class _Columns:
    """Aligned bins of one resolution: observed ``[n]``, each prediction ``[n]`` (of the model first, when there is
    one, then of each baseline), and where a bin starts: chromosome number and base, ``[n]`` each."""

    observed: np.ndarray
    predictions: np.ndarray
    chrom: np.ndarray
    start: np.ndarray

    def of(self, kept: np.ndarray) -> _Columns:
        return _Columns(self.observed[kept], self.predictions[:, kept], self.chrom[kept], self.start[kept])

    def blocks(self, size: int) -> np.ndarray:
        """Number each bin's bootstrap block of ``size`` bases, 0, 1, ... ``[n]``."""
        place = np.stack([self.chrom, self.start // size], axis=1)
        return np.unique(place, axis=0, return_inverse=True)[1].reshape(-1)


def evaluate(
    model: Model,
    project: Project,
    device: str = "auto",
    store: Store | None = None,
    report: Callable[[str], None] = lambda message: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    command: str = "",
) -> Card:
    """Score a model's tracks on the valid and test blocks of a project's split.

    ``progress`` is told the windows done and in all; ``command`` is noted in the card. Nothing in a card depends on
    when it was made. Raises UsageError when the project has no split, observes none of the model's tracks, or holds
    out sequence that the model was trained on.
    """
    by_name = {entry.name: entry for entry in project.track if entry.observed is not None}
    chosen = [(index, by_name[track.name]) for index, track in enumerate(model.tracks) if track.name in by_name]
    if not chosen:
        names = ", ".join(track.name for track in model.tracks)
        raise UsageError(f"project '{project.name}' observes none of the model's tracks ({names})")
    with Genome(project.genome) as genome:
        blocks = _blocks(project, genome)
        _check_held_out(model, blocks)
        predictor = Predictor(model, genome, device)
        windows = sum(len(windows_over(scored)) for _, scored in _scored(blocks))
        done = 0

        def predicted(region: Region) -> np.ndarray:
            nonlocal done
            values = []
            over = windows_over(region)
            for _, window in predict_windows(predictor, region.chrom, over, store):
                values.append(window)
                done += 1
                progress(done, windows)
            first = region.start // BIN - over.start * BINS
            bins = np.concatenate(values)[first : first + len(region) // BIN]
            return bins[:, [index for index, _ in chosen]]

        tracks = _track_cards(project, [entry for _, entry in chosen], genome, blocks, predicted, report)
        return _card(model.name, model.digest, project, genome, blocks, tracks, command)


def evaluate_baselines(
    project: Project, report: Callable[[str], None] = lambda message: None, command: str = ""
) -> Card:
    """Score composition alone on the valid and test blocks of a project, for each observed target track.

    The card names no model, and every model score in it is None. Raises UsageError when the project has no split or
    observes no target.
    """
    entries = [entry for entry in project.targets() if entry.observed is not None]
    if not entries:
        raise UsageError(f"project '{project.name}' observes no target track")
    with Genome(project.genome) as genome:
        blocks = _blocks(project, genome)
        tracks = _track_cards(project, entries, genome, blocks, None, report)
        return _card("composition alone", "", project, genome, blocks, tracks, command)


def _card(
    name: str,
    digest: str,
    project: Project,
    genome: Genome,
    blocks: Sequence[Block],
    tracks: tuple[TrackCard, ...],
    command: str,
) -> Card:
    return Card(
        name,
        digest,
        project.name,
        BLOCK_SIZES[0],
        DRAWS,
        SEED,
        METHOD,
        tracks,
        genome={chrom: genome.digest(chrom) for chrom in dict.fromkeys(block.region.chrom for block in blocks)},
        split=tuple(f"{block.region} {block.fold}" for block in blocks),
        command=command,
    )


def _blocks(project: Project, genome: Genome) -> tuple[Block, ...]:
    if project.split is None:
        raise UsageError(f"project '{project.name}' names no split, so nothing is held out to score on")
    blocks = read_split(project.split)
    for block in blocks:
        check_chrom(block.region.chrom, genome.chrom_sizes, str(project.genome))
        length = genome.chrom_sizes[block.region.chrom]
        if block.region.end > length:
            raise UsageError(f"{project.split}: {block.region} leaves {block.region.chrom}, which has {length:,} bases")
    if not any(True for _ in _scored(blocks)):
        raise UsageError(
            f"{project.split} holds nothing out to score on: it needs valid or test blocks of more than 262,144 bases"
        )
    return blocks


def _scored(blocks: Sequence[Block]) -> Iterator[tuple[Block, Region]]:
    """Yield each held-out block with its scored part, cut to whole bins."""
    for block in blocks:
        scored = block.scored() if block.fold != "train" else None
        if scored is not None:
            first, last = -(-scored.start // BIN), scored.end // BIN
            if first < last:
                yield block, Region(scored.chrom, first * BIN, last * BIN)


def _check_held_out(model: Model, blocks: Sequence[Block]) -> None:
    for _, scored in _scored(blocks):
        for block in model.split:
            seen = block.region
            if (
                block.fold == "train"
                and seen.chrom == scored.chrom
                and seen.start < scored.end
                and scored.start < seen.end
            ):
                raise UsageError(
                    f"{scored} is not held out: model '{model.name}' was trained on {seen}; "
                    f"evaluate it with its own split ({model.folder / 'split.bed'})"
                )


def _track_cards(
    project: Project,
    entries: Sequence[TrackEntry],
    genome: Genome,
    blocks: Sequence[Block],
    predicted: Callable[[Region], np.ndarray] | None,
    report: Callable[[str], None],
) -> tuple[TrackCard, ...]:
    held_out: list[_Part] = []
    train: list[tuple[np.ndarray, np.ndarray, float]] = []
    for chrom in dict.fromkeys(block.region.chrom for block in blocks):
        report(f"reading sequence and observed tracks of {chrom}")
        counts, length = chromosome_counts(genome, chrom), genome.chrom_sizes[chrom]
        observed = np.stack([read_observed(entry.observed, chrom, length, counts[:, 0]) for entry in entries], axis=1)
        composition = features(counts)
        for block in blocks:
            if (block.region.chrom, block.fold) == (chrom, "train"):
                bins = slice(-(-block.region.start // BIN), block.region.end // BIN)
                train.append((composition[bins], observed[bins], project.chrom_weight.get(chrom, 1.0)))
        for block, scored in _scored([block for block in blocks if block.region.chrom == chrom]):
            bins = slice(scored.start // BIN, scored.end // BIN)
            if np.isfinite(observed[bins]).any():
                values = predicted(scored) if predicted else None
                held_out.append(_Part(block.fold, chrom, bins.start, observed[bins], values, composition[bins]))
    cards = []
    for place, entry in enumerate(entries):
        report(f"scoring {entry.name}")
        cards.append(_track_card(entry, place, held_out, train))
    return tuple(cards)


def _track_card(
    entry: TrackEntry,
    place: int,
    held_out: Sequence[_Part],
    train: Sequence[tuple[np.ndarray, np.ndarray, float]],
) -> TrackCard:
    parts = [part for part in held_out if np.isfinite(part.observed[:, place]).any()]
    fitted = _sample([(x, observed[:, place], weight) for x, observed, weight in train])
    valid = [
        _sample([(p.features, p.observed[:, place], 1.0) for p in parts if (p.fold, p.chrom) == ("valid", chrom)])
        for chrom in dict.fromkeys(part.chrom for part in parts if part.fold == "valid")
    ]
    baselines = fit_baselines(fitted, valid) if len(fitted.observed) else ()
    scores: list[Score] = []
    for fold in ("valid", "test"):
        own = [part for part in parts if part.fold == fold]
        chroms = list(dict.fromkeys(part.chrom for part in own))
        for chrom in chroms:
            scores += _scores(entry, place, chrom, [part for part in own if part.chrom == chrom], baselines)
        if len(chroms) > 1:
            scores += _scores(entry, place, " + ".join(chroms), own, baselines)
    assert entry.observed is not None
    source = "; ".join(filter(None, [entry.source, entry.observed.name]))
    return TrackCard(entry.name, entry.unit, tuple(scores), track_verdict(scores), source)


def _sample(pieces: Sequence[tuple[np.ndarray, np.ndarray, float]]) -> Sample:
    """Join the observed bins of (features, observed, weight of a bin)."""
    kept = [np.isfinite(observed) for _, observed, _ in pieces]
    if not any(mask.any() for mask in kept):
        return Sample(np.empty((0, 0)), np.empty(0), np.empty(0))
    return Sample(
        np.concatenate([x[mask] for (x, _, _), mask in zip(pieces, kept, strict=True)]),
        np.concatenate([y[mask] for (_, y, _), mask in zip(pieces, kept, strict=True)]).astype(np.float64),
        np.concatenate([np.full(mask.sum(), weight) for (_, _, weight), mask in zip(pieces, kept, strict=True)]),
    )


def _scores(
    entry: TrackEntry, place: int, name: str, parts: Sequence[_Part], baselines: Sequence[Baseline]
) -> Iterator[Score]:
    """Yield every metric of one track on some parts of one fold."""
    size = 0
    for resolution in RESOLUTIONS:
        columns, unpredicted = _aligned(place, parts, baselines, resolution)
        if not size:
            enough = (s for s in BLOCK_SIZES if len(np.unique(columns.blocks(s))) >= ENOUGH_BLOCKS)
            size = next(enough, BLOCK_SIZES[-1])
        rows: list[tuple[str, _Columns, np.ndarray]] = []
        observed = columns.observed
        rows += [(metric, columns, np.empty(0, bool)) for metric in ("pearson", "spearman")]
        if entry.unit == COVERED_FRACTION:
            rows.append(("auroc", columns, observed >= COVERED))
        if entry.unit == METHYLATED and resolution == BIN:
            kept = (observed < LOW) | (observed > HIGH)
            rows.append(("low_auroc", columns.of(kept), observed[kept] < LOW))
        for metric, bins, positive in rows:
            block = bins.blocks(size)
            model, beside = _compared(
                metric, bins, positive, block, baselines, with_model=parts[0].predicted is not None
            )
            yield Score(
                parts[0].fold,
                name,
                resolution,
                metric,
                len(block),
                int(block.max(initial=-1)) + 1,
                model,
                beside,
                size,
                unpredicted,
            )


def _aligned(
    place: int, parts: Sequence[_Part], baselines: Sequence[Baseline], resolution: int
) -> tuple[_Columns, int]:
    """Return the bins of one resolution where the track is observed and predicted, and how many 128-bp bins are
    observed but not predicted. Model and baselines are averaged over the very same 128-bp bins."""
    pool = resolution // BIN
    means, chroms, starts = [], [], []
    unpredicted = 0
    numbers = {chrom: number for number, chrom in enumerate(dict.fromkeys(part.chrom for part in parts))}
    for part in parts:
        observed = part.observed[:, place]
        kept = np.isfinite(observed)
        values = [observed]
        if part.predicted is not None:
            values.append(part.predicted[:, place])
            unpredicted += int((kept & np.isnan(values[1])).sum())
            kept &= np.isfinite(values[1])
        values += [baseline.predict(part.features) for baseline in baselines]
        pools = np.stack([pooled(value, kept, part.first_bin, pool, LEAST_OBSERVED) for value in values])
        seen = np.isfinite(pools[0])
        means.append(pools[:, seen])
        starts.append((part.first_bin // pool + np.flatnonzero(seen)) * resolution)
        chroms.append(np.full(seen.sum(), numbers[part.chrom]))
    joined = np.concatenate(means, axis=1)
    return _Columns(joined[0], joined[1:], np.concatenate(chroms), np.concatenate(starts)), unpredicted


def _compared(
    metric: str,
    bins: _Columns,
    positive: np.ndarray,
    block: np.ndarray,
    baselines: Sequence[Baseline],
    with_model: bool,
) -> tuple[Estimate, tuple[BaselineScore, ...]]:
    """Return one metric of the model, and of each baseline with the paired difference."""
    reason = ""
    if len(block) < FEWEST_BINS:
        reason = f"only {len(block)} bins"
    elif len(positive) and (positive.all() or not positive.any()):
        reason = "no bin is positive" if not positive.any() else "no bin is negative"
    elif is_constant(bins.observed):
        reason = "the observed track is constant"
    if reason:
        nothing = Estimate(None, reason=reason)
        return nothing, tuple(BaselineScore(b.name, b.detail, nothing, nothing) for b in baselines)
    none = Estimate(None, reason=NO_MODEL)
    blocks = int(block.max()) + 1
    weights = draw_weights(blocks, DRAWS, SEED)
    drawn = [_drawn(metric, prediction, bins.observed, positive, block)(weights) for prediction in bins.predictions]
    undefined = "the prediction is constant"
    others = drawn[1:] if with_model else drawn
    beside = tuple(
        BaselineScore(
            baseline.name,
            baseline.detail,
            estimate(other, blocks, undefined),
            estimate(drawn[0] - other, blocks, undefined) if with_model else none,
        )
        for baseline, other in zip(baselines, others, strict=True)
    )
    return estimate(drawn[0], blocks, undefined) if with_model else none, beside


def _drawn(
    metric: str, predicted: np.ndarray, observed: np.ndarray, positive: np.ndarray, block: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    if metric == "pearson":
        return pearson(predicted, observed, block)
    if metric == "spearman":
        return spearman(predicted, observed, block)
    # The positives of low methylation are the low bins.
    return auroc(-predicted if metric == "low_auroc" else predicted, positive, block)
