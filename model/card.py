"""The model card: accuracy on held-out blocks beside its baselines, as data, as text and as a page."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from model.metrics import Estimate
from tracks.errors import TracksError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FORMAT = 1
NO_MODEL = "no model"
METRICS = {"pearson": "Pearson r", "spearman": "Spearman rho", "auroc": "AUROC", "low_auroc": "low-methylation AUROC"}


@dataclass(frozen=True)
class BaselineScore:
    """One baseline on the same bins, and the model minus it (paired draws)."""

    name: str
    detail: str
    score: Estimate
    difference: Estimate


@dataclass(frozen=True)
class Score:
    """One metric of one track on one part of the genome at one resolution."""

    fold: str
    part: str
    resolution: int
    metric: str
    bins: int
    blocks: int
    model: Estimate
    baselines: tuple[BaselineScore, ...]
    block: int = 0
    """Bases in one bootstrap block."""
    unpredicted: int = 0
    """128-bp bins that are observed and not scored, because the model has no value there."""

    @property
    def joined(self) -> bool:
        """Whether the part is several chromosomes taken together."""
        return " + " in self.part

    def best_baseline(self) -> BaselineScore | None:
        """Return the baseline that scores highest here: chosen on these very bins, so it flatters the baselines."""
        defined = [baseline for baseline in self.baselines if baseline.score.value is not None]
        return max(defined, key=lambda baseline: baseline.score.value or 0.0, default=None)

    def verdict(self) -> str:
        """Say what the interval of the paired difference to the best baseline says of model and composition."""
        best = self.best_baseline()
        if self.model.value is None or best is None or best.difference.low is None or best.difference.high is None:
            return "no verdict"
        if best.difference.low > 0:
            return "better than composition"
        return "worse than composition" if best.difference.high < 0 else "composition alone does as well"

    def grounds(self) -> str:
        """Name the baseline that the verdict compares with, or say why there is no verdict."""
        best = self.best_baseline()
        if self.model.value is None:
            return self.model.reason
        if best is None:
            return "no baseline is defined"
        return best.name if self.verdict() != "no verdict" else best.difference.reason


@dataclass(frozen=True)
class TrackCard:
    """All scores of one track, and what they say about composition."""

    name: str
    unit: str
    scores: tuple[Score, ...]
    verdict: str
    source: str = ""
    """Where the observed track comes from."""


@dataclass(frozen=True)
class Card:
    """A model's accuracy: made by ``tracks card``, kept in the model folder as card.json.

    It holds no date and no path, so that the same model and data give the same card.
    """

    model: str
    digest: str
    project: str
    block: int
    draws: int
    seed: int
    method: str
    tracks: tuple[TrackCard, ...]
    format: int = FORMAT
    genome: dict[str, str] = field(default_factory=dict)
    """The refget digest of each chromosome."""
    split: tuple[str, ...] = ()
    """Each block of the split with its fold."""
    command: str = ""

    def to_json(self) -> str:
        """Return the card as JSON text; what is undefined is null."""
        return json.dumps(dataclasses.asdict(self), indent=1, allow_nan=False) + "\n"


def card_from_json(fields: dict[str, Any]) -> Card:
    """Make a card again from its JSON. Raises TracksError when it is not one, or of a newer format."""
    try:
        if int(fields["format"]) > FORMAT:
            raise TracksError(f"the model card has format {fields['format']}, and this version reads up to {FORMAT}")
        tracks = tuple(
            TrackCard(
                track["name"],
                track["unit"],
                tuple(
                    Score(
                        **{
                            **score,
                            "model": Estimate(**score["model"]),
                            "baselines": tuple(
                                BaselineScore(
                                    baseline["name"],
                                    baseline["detail"],
                                    Estimate(**baseline["score"]),
                                    Estimate(**baseline["difference"]),
                                )
                                for baseline in score["baselines"]
                            ),
                        }
                    )
                    for score in track["scores"]
                ),
                track["verdict"],
                track.get("source", ""),
            )
            for track in fields["tracks"]
        )
        return Card(**{**fields, "tracks": tracks, "split": tuple(fields.get("split", ()))})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TracksError(f"card.json is damaged at {error}; make it again with tracks card") from error


def track_verdict(scores: Sequence[Score]) -> str:
    """Say in words what the intervals on the test blocks say, chromosome by chromosome: whether the model is better
    than the best baseline by Pearson's r at each resolution, and by its low-methylation AUROC."""
    if any(score.model.reason == NO_MODEL for score in scores):
        return "Composition alone, without a model."
    said = []
    tested = [score for score in scores if score.fold == "test" and not score.joined]
    for part in dict.fromkeys(score.part for score in tested):
        found = [
            (
                (score.verdict(), score.grounds()),
                f"by {METRICS['low_auroc']}" if score.metric == "low_auroc" else f"at {_base_pairs(score.resolution)}",
            )
            for score in sorted(tested, key=lambda score: score.metric == "low_auroc")
            if score.part == part and score.metric in {"pearson", "low_auroc"}
        ]
        groups = ((words, [at for _, at in group]) for words, group in groupby(found, key=lambda pair: pair[0]))
        said.append(
            f"{part}: "
            + ", ".join(f"{verdict} {', '.join(places)} ({grounds})" for (verdict, grounds), places in groups)
        )
    return f"Test blocks, Pearson r. {'; '.join(said)}." if said else "No test block scores this track."


def shown(estimate: Estimate) -> str:
    """Write an estimate: ``.53 (.41 to .62)``; the reason stands for what is not there."""
    if estimate.value is None:
        return estimate.reason
    text = _number(estimate.value)
    if estimate.low is None or estimate.high is None:
        return f"{text} ({estimate.reason})" if estimate.reason else text
    return f"{text} ({_number(estimate.low)} to {_number(estimate.high)})"


def _number(value: float) -> str:
    text = f"{round(value, 2) + 0.0:.2f}"  # no minus zero
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def _base_pairs(resolution: int) -> str:
    return f"{resolution:,} bp"


def card_lines(card: Card) -> list[str]:
    """Return the card as lines of text: for each track its verdict, then its scores on each chromosome beside the
    best baseline, with 95 % intervals. Spearman, AUROC at other resolutions than 4,096 bp and scores of several
    chromosomes together are in the JSON and the Markdown page."""
    lines = ["held-out accuracy, with 95 % block-bootstrap intervals, beside the best baseline of the same bins"]
    for track in card.tracks:
        lines.append(f"  {track.name}: {track.verdict}")
        for score in track.scores:
            if score.metric == "spearman" or score.joined or (score.metric == "auroc" and score.resolution != 4_096):
                continue
            best = score.best_baseline()
            beside = f"; {best.name} {shown(best.score)}" if best else ""
            if best and best.difference.value is not None:
                beside += f"; difference {shown(best.difference)}"
            lines.append(
                f"    {score.fold} {score.part}, {METRICS[score.metric]} at {_base_pairs(score.resolution)}: "
                f"{shown(score.model)}{beside}; {score.bins:,} bins, {score.blocks} blocks"
            )
    lines += [f"  {line}" for line in textwrap.wrap(card.method, 110)]
    if card.command:
        lines.append(f"  made by {card.command}")
    return lines


def summary_table(card: Card) -> str:
    """Return the card's chief figures as a Markdown table: a row per track and held-out part that defines them."""
    lines = [
        "| track | held-out part | Pearson r, 128 bp | Pearson r, 4,096 bp (95 %) | best baseline, 4,096 bp | AUROC |",
        "|---|---|---|---|---|---|",
    ]
    for track in card.tracks:
        scores = {(score.fold, score.part, score.metric, score.resolution): score for score in track.scores}
        for fold, part in dict.fromkeys((score.fold, score.part) for score in track.scores):
            fine, coarse = scores[fold, part, "pearson", 128], scores[fold, part, "pearson", 4_096]
            best = coarse.best_baseline()
            if best is None or coarse.model.value is None or coarse.joined:
                continue
            area = scores.get((fold, part, "low_auroc", 128)) or scores.get((fold, part, "auroc", 4_096))
            beside = area.best_baseline() if area else None
            cells = [
                track.name,
                f"{fold}, {part}",
                shown(Estimate(fine.model.value)),
                shown(coarse.model),
                f"{shown(Estimate(best.score.value))} ({best.name})",
                f"{shown(Estimate(area.model.value))}; {shown(Estimate(beside.score.value))} ({beside.name})"
                if area and beside
                else "",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def card_markdown(card: Card) -> str:
    """Return the card as a Markdown page with a table per track."""
    return "\n".join(_page(card))


def _page(card: Card) -> Iterator[str]:
    yield f"# Model card: {card.model}"
    yield ""
    made = f"Made by `{card.command}`" if card.command else "Made by `tracks card`"
    yield f"{made} (seed {card.seed}); digest of the model `{card.digest[:16] or NO_MODEL}`. {card.method}"
    yield ""
    yield (
        "Every row has the model and the baselines on the same bins. The difference is the model minus the best "
        "baseline *of that row*, which flatters the baselines: *composition alone does as well* means that the "
        "interval of the difference includes 0, so that the data do not tell the two apart."
    )
    yield ""
    yield summary_table(card)
    yield ""
    yield "AUROC is of observed at least half covered (LADs, at 4,096 bp) or of methylation below .25 against above .6."
    yield "Beside each figure stands its best baseline."
    for track in card.tracks:
        yield ""
        yield f"## {track.name}"
        yield ""
        yield track.verdict
        yield ""
        if track.source:
            yield f"Observed: {track.source}."
            yield ""
        names = [baseline.name for baseline in track.scores[0].baselines] if track.scores else []
        head = ["held-out part", "bins of", "metric", "model", *names, "model minus best", "bins", "blocks"]
        yield f"| {' | '.join(head)} |"
        yield "|" + "---|" * len(head)
        for score in track.scores:
            best = score.best_baseline()
            cells = [
                f"{score.fold} {score.part}",
                _base_pairs(score.resolution),
                METRICS[score.metric],
                shown(score.model),
                *(shown(Estimate(baseline.score.value, reason=baseline.score.reason)) for baseline in score.baselines),
                shown(best.difference) if best else "",
                f"{score.bins:,}",
                f"{score.blocks} of {score.block / 1e6:g} Mb",
            ]
            yield "| " + " | ".join(cells) + " |"
        if track.scores:
            details = ", ".join(f"{baseline.name} {baseline.detail}" for baseline in track.scores[0].baselines)
            yield ""
            yield f"Baselines, fitted on training blocks: {details}."
            missing = {f"{s.fold} {s.part}": s.unpredicted for s in track.scores if s.unpredicted}
            if missing:
                counts = ", ".join(f"{count:,} on {part}" for part, count in missing.items())
                yield ""
                yield f"Observed 128-bp bins without a prediction, which are not scored: {counts}."
    yield ""
    yield "## Data"
    yield ""
    if card.split:
        yield f"Split: {'; '.join(card.split)}."
    if card.genome:
        digests = ", ".join(f"{chrom} `{digest}`" for chrom, digest in card.genome.items())
        yield ""
        yield f"Sequence, by refget digest: {digests}."
    yield ""
