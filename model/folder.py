"""Model folders: ``model.json`` (shape, tracks, provenance), ``weights.safetensors``, ``split.bed``, ``card.json``."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
import safetensors.torch

from model.context import ContextConfig
from model.network import Network, NetworkConfig
from model.trunk import TrunkConfig
from tracks import __version__
from tracks.errors import TracksError, UsageError
from tracks.files import written_beside
from tracks.split import Block, read_split
from tracks.track import Track

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

FORMAT = 1
"""The newest model-folder format that this version reads and the one that it writes."""

ENGINE = 1
"""Raised when the engine would give other numbers for the same weights, so that no stored prediction outlives it."""


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded model. ``digest`` names its numbers: weights, shape, track order and units, and engine."""

    name: str
    tracks: tuple[Track, ...]
    network: Network
    digest: str
    folder: Path
    card: dict[str, Any] | None
    split: tuple[Block, ...]
    training: dict[str, Any]


def demo_model_folder() -> Path:
    """Return the folder of the model that ships with the package."""
    return Path(__file__).parent / "demo"


def save_model(
    folder: Path,
    *,
    name: str,
    tracks: tuple[Track, ...],
    config: NetworkConfig,
    weights: Mapping[str, torch.Tensor],
    split: str,
    training: Mapping[str, Any],
) -> None:
    """Write a model folder (without a card, which ``tracks evaluate`` adds). ``split`` is the text of split.bed."""
    with written_beside(folder / "weights.safetensors") as beside:
        beside.write_bytes(safetensors.torch.save({key: value.contiguous() for key, value in weights.items()}))
    with written_beside(folder / "split.bed") as beside:
        beside.write_text(split)
    description = {
        "format": FORMAT,
        "written_by": f"tracks {__version__}",
        "name": name,
        "network": dataclasses.asdict(config),
        "tracks": [track.to_json() for track in tracks],
        "training": training,
    }
    # Last, because a folder without model.json is not a model folder.
    with written_beside(folder / "model.json") as beside:
        beside.write_text(json.dumps(description, indent=2) + "\n")


def load_model(folder: Path) -> Model:
    """Load a model folder; nothing in it is executed.

    Raises UsageError when it is not a model folder or one of a newer format, TracksError when it is damaged.
    """
    description = _description(folder)
    try:
        tracks = tuple(Track.from_json(track) for track in description["tracks"])
        config = _network_config(description["network"])
        network = Network(config, tuple(track.context for track in tracks))
        weights = safetensors.torch.load_file(folder / "weights.safetensors")
        network.load_state_dict(weights)
        digest = _digest(folder, description)
        split = read_split(folder / "split.bed") if (folder / "split.bed").exists() else ()
        card = json.loads((folder / "card.json").read_text()) if (folder / "card.json").exists() else None
        name, training = str(description["name"]), dict(description["training"])
    except (KeyError, TypeError, ValueError) as error:
        raise TracksError(f"{folder} is damaged: model.json is not right at {error}") from error
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise TracksError(f"{folder} is damaged: weights.safetensors does not fit model.json ({reason})") from error
    return Model(name, tracks, network.eval().requires_grad_(False), digest, folder, card, split, training)


def _description(folder: Path) -> dict[str, Any]:
    path = folder / "model.json"
    if not path.is_file():
        raise UsageError(f"{folder} is not a model folder: it holds no model.json (tracks train makes such folders)")
    try:
        description = json.loads(path.read_text())
        version = int(description["format"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TracksError(f"{path} is damaged: it is not the JSON of a model folder ({error})") from error
    if version > FORMAT:
        raise UsageError(
            f"{folder} has model format {version}, and tracks {__version__} reads up to {FORMAT}: "
            "update tracks, or export the model again with an older one"
        )
    return dict(description)


def _network_config(fields: dict[str, Any]) -> NetworkConfig:
    context: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in fields["context"].items()
    }
    return NetworkConfig(
        trunk=TrunkConfig(**fields["trunk"]),
        context=ContextConfig(**context),
        context_hidden=fields["context_hidden"],
    )


def _digest(folder: Path, description: dict[str, Any]) -> str:
    numbers = {
        "engine": ENGINE,
        "network": description["network"],
        "tracks": [[track["name"], track["unit"], track["transform"]] for track in description["tracks"]],
    }
    digest = hashlib.sha256(json.dumps(numbers, sort_keys=True).encode())
    digest.update(hashlib.sha256((folder / "weights.safetensors").read_bytes()).digest())
    return digest.hexdigest()
