"""Who made a prediction, for its description: a model's name and digest, and its accuracy on held-out blocks, read from
the model folder's JSON files (no weights are loaded)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracks.errors import TracksError, UsageError
from tracks.track import Track

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_METRICS = {"pearson": "Pearson r", "auroc": "AUROC", "low_auroc": "low-methylation AUROC"}
_RESOLUTIONS = (128, 4_096)


@dataclass(frozen=True)
class Accuracy:
    """One score of a track on a held-out part, in words: the model's and that of the best baseline."""

    part: str
    metric: str
    resolution: int
    model: str
    baseline: str


@dataclass(frozen=True)
class ModelFacts:
    """A model as descriptions name it. ``tracks`` are those of its heads by slug; ``accuracy`` by a track's name.

    ``digests`` are those of the heads that predicted, by name; ``card_digest`` names the weights that were scored.
    ``method`` says how predictions were computed, where that is known.
    """

    name: str
    tracks: Mapping[str, Track]
    accuracy: Mapping[str, tuple[Accuracy, ...]]
    digests: Mapping[str, str]
    card_digest: str = ""
    method: str = ""


def read_model(folder: Path, digests: Mapping[str, str] | None = None, method: str = "") -> ModelFacts:
    """Read what a model folder says of itself; what it predicted with is not in there.

    Raises UsageError when it is none, TracksError when it is damaged.
    """
    if not (folder / "model.json").is_file():
        raise UsageError(f"{folder} is not a model folder: it has no model.json")
    name = str(_json(folder / "model.json").get("name", folder.name))
    paths = sorted((folder / "heads").glob("*/head.json"), key=lambda path: (path.parent.name != "bins", path))
    tracks: dict[str, Track] = {}
    for path in paths:
        try:
            for fields in _json(path)["tracks"]:
                track = Track.from_json(fields)
                tracks.setdefault(track.slug, track)
        except (KeyError, TypeError, ValueError) as error:
            raise TracksError(f"{path.parent} is damaged: head.json is not right at {error}") from error
    card = _json(folder / "card.json") if (folder / "card.json").is_file() else {}
    try:
        scores = {str(track["name"]): tuple(_accuracy(track["scores"])) for track in card.get("tracks", ())}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TracksError(f"{folder / 'card.json'} is damaged at {error}; make it again with tracks card") from error
    return ModelFacts(name, tracks, scores, dict(digests or {}), str(card.get("digest", "")), method)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TracksError(f"cannot read {path}: {error}") from error
    if not isinstance(found, dict):
        raise TracksError(f"cannot read {path}: it holds no JSON object")
    return found


def _accuracy(scores: list[dict[str, Any]]) -> Iterator[Accuracy]:
    """Choose scores of test blocks, or of validation blocks where there are none, each on one chromosome."""
    apart = [score for score in scores if " + " not in score["part"] and score["model"]["value"] is not None]
    fold = "test" if any(score["fold"] == "test" for score in apart) else "valid"
    for score in apart:
        if score["fold"] != fold or score["metric"] not in _METRICS or score["resolution"] not in _RESOLUTIONS:
            continue
        best = max(
            (baseline for baseline in score["baselines"] if baseline["score"]["value"] is not None),
            key=lambda baseline: float(baseline["score"]["value"]),
            default=None,
        )
        beside = f"{_shown(best['score'])}, {best['name']}" if best else ""
        part = f"{fold}, {score['part']}"
        yield Accuracy(part, _METRICS[score["metric"]], int(score["resolution"]), _shown(score["model"]), beside)


def _shown(estimate: Mapping[str, Any]) -> str:
    value, low, high = (estimate.get(name) for name in ("value", "low", "high"))
    text = f"{float(value or 0):.2f}"
    return text if low is None or high is None else f"{text} ({float(low):.2f} to {float(high):.2f})"
