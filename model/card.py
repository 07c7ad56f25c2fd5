"""The model card: accuracy on held-out blocks beside its baselines, as data, as text and as a page."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model.metrics import Estimate
from tracks.errors import TracksError

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = 1
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

    def best_baseline(self) -> BaselineScore | None:
        """Return the baseline that scores highest here: chosen on these very bins, so it flatters the baselines."""
        defined = [baseline for baseline in self.baselines if baseline.score.value is not None]
        return max(defined, key=lambda baseline: baseline.score.value or 0.0, default=None)


@dataclass(frozen=True)
class TrackCard:
    """All scores of one track, and what they say about composition."""

    name: str
    unit: str
    scores: tuple[Score, ...]
    verdict: str


@dataclass(frozen=True)
class Card:
    """A model's accuracy: made by ``tracks evaluate``, kept in the model folder as card.json."""

    model: str
    digest: str
    project: str
    block: int
    draws: int
    seed: int
    method: str
    tracks: tuple[TrackCard, ...]
    format: int = FORMAT

    def to_json(self) -> str:
        """Return the card as JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=1) + "\n"


def _estimate(fields: dict[str, Any]) -> Estimate:
    return Estimate(**fields)


def card_from_json(fields: dict[str, Any]) -> Card:
    """Make a card again from its JSON. Raises TracksError when it is not one, or of a newer format."""
    try:
        if fields["format"] > FORMAT:
            raise TracksError(f"the model card has format {fields['format']}, and this version reads up to {FORMAT}")
        tracks = tuple(
            TrackCard(
                track["name"],
                track["unit"],
                tuple(
                    Score(
                        **{
                            **score,
                            "model": _estimate(score["model"]),
                            "baselines": tuple(
                                BaselineScore(
                                    baseline["name"],
                                    baseline["detail"],
                                    _estimate(baseline["score"]),
                                    _estimate(baseline["difference"]),
                                )
                                for baseline in score["baselines"]
                            ),
                        }
                    )
                    for score in track["scores"]
                ),
                track["verdict"],
            )
            for track in fields["tracks"]
        )
        return Card(**{**fields, "tracks": tracks})
    except (KeyError, TypeError) as error:
        raise TracksError(f"card.json is damaged at {error}; make it again with tracks evaluate") from error


def shown(estimate: Estimate) -> str:
    """Write an estimate: ``.53 (.41 to .62)``."""
    if estimate.value is None:
        return estimate.reason
    text = _number(estimate.value)
    return (
        text
        if estimate.low is None or estimate.high is None
        else (f"{text} ({_number(estimate.low)} to {_number(estimate.high)})")
    )


def _number(value: float) -> str:
    return f"{value:.2f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.2f}"


def _base_pairs(resolution: int) -> str:
    return f"{resolution:,} bp"


def card_lines(card: Card) -> list[str]:
    """Return the card as lines of text: Pearson r at each resolution beside the best baseline, and the verdicts."""
    lines = [f"held-out accuracy ({card.method})"]
    for track in card.tracks:
        lines.append(f"  {track.name}: {track.verdict}")
        for score in track.scores:
            if score.metric == "spearman" or (score.metric == "auroc" and score.resolution != 4_096):
                continue
            best = score.best_baseline()
            beside = f"; {best.name} {shown(best.score)}" if best else ""
            lines.append(
                f"    {score.fold} {score.part}, {METRICS[score.metric]} at {_base_pairs(score.resolution)}: "
                f"{shown(score.model)}{beside}"
            )
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
            if best is None or coarse.model.value is None:
                continue
            area = scores.get((fold, part, "low_auroc", 128)) or scores[fold, part, "auroc", 4_096]
            beside = next(baseline.score for baseline in area.baselines if baseline.name == best.name)
            cells = [
                track.name,
                f"{fold}, {part}",
                shown(Estimate(fine.model.value)),
                shown(coarse.model),
                f"{shown(Estimate(best.score.value))} ({best.name})",
                f"{shown(Estimate(area.model.value))}; {best.name} {shown(Estimate(beside.value))}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def card_markdown(card: Card) -> str:
    """Return the card as a Markdown page with a table per track."""
    return "\n".join(_page(card))


def _page(card: Card) -> Iterator[str]:
    yield f"# Model card: {card.model}"
    yield ""
    yield f"Digest `{card.digest[:16]}`. Made by `tracks evaluate`; {card.method}"
    yield ""
    yield (
        "Every row has the model and the four baselines on the same bins. The difference is the model minus the best "
        "baseline *of that row*, which flatters the baselines. No figure is pooled over tracks."
    )
    yield ""
    yield summary_table(card)
    yield ""
    yield "AUROC is of observed at least half covered (LADs, at 4,096 bp) or of methylation below .25 against above .6."
    for track in card.tracks:
        yield ""
        yield f"## {track.name}"
        yield ""
        yield track.verdict
        yield ""
        names = [baseline.name for baseline in track.scores[0].baselines] if track.scores else []
        yield f"| block | bins of | metric | model | {' | '.join(names)} | model minus best | bins | blocks |"
        yield "|---|---|---|---|" + "---|" * (len(names) + 3)
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
                str(score.blocks),
            ]
            yield "| " + " | ".join(cells) + " |"
        if track.scores:
            details = ", ".join(f"{baseline.name} {baseline.detail}" for baseline in track.scores[0].baselines)
            yield ""
            yield f"Baselines, chosen on training blocks: {details}."
    yield ""
