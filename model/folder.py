"""Model folders: a trunk, and any number of heads on it.

``model.json`` (shape and provenance of the trunk), ``trunk.safetensors``, ``heads/<name>/head.json`` and
``weights.safetensors``, ``split.bed``, ``card.json``. Nothing in a folder is ever executed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
import safetensors.torch

from model.heads import HeadSpec, build_head, head_config_from_json
from model.network import Network, part_of
from model.trunk import Trunk, TrunkConfig
from tracks import __version__
from tracks.errors import TracksError, UsageError
from tracks.files import write_text, written_beside
from tracks.grid import BIN, WINDOW
from tracks.split import Block, read_split
from tracks.track import Track, slug_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from torch import nn

FORMAT = 2
"""The model-folder format that this version reads and writes."""

ENGINE = 1
"""Raised when the engine would give other numbers for the same weights, by more than float32 rounds otherwise from one
machine to the next, so that no stored prediction outlives it."""


@dataclass(frozen=True, eq=False)
class LoadedTrunk:
    """A trunk from a model folder, for training and for inspection. ``digest`` names its numbers."""

    name: str
    config: TrunkConfig
    trunk: Trunk
    digest: str
    source: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Model:
    """A trunk and one or more of its heads. ``digest`` names their numbers: weights, shape, track order and units,
    stride and engine; ``head_digests`` those of each head alone, by which its predictions are stored: what ``digest``
    is of a model with that one head. ``stride``: bases from one value of a window head to the next."""

    name: str
    tracks: tuple[Track, ...]
    network: Network
    digest: str
    folder: Path
    card: dict[str, Any] | None
    split: tuple[Block, ...]
    training: dict[str, Any]
    heads: tuple[HeadSpec, ...]
    head_digests: Mapping[str, str]
    trunk_digest: str
    stride: int = WINDOW

    @property
    def widest_context(self) -> int:
        """Bases around a bin whose composition any head reads; 0 where none does."""
        contexts = [spec.context for spec in self.heads if spec.context is not None]
        return max((width for context in contexts for width in context.widths), default=0)


def demo_model_folder() -> Path:
    """Return the folder of the model that ships with the package."""
    return Path(__file__).parent / "demo"


def save_trunk(
    folder: Path,
    *,
    name: str,
    config: TrunkConfig,
    weights: Mapping[str, torch.Tensor],
    source: Mapping[str, Any],
    training: Mapping[str, Any] | None = None,
    split: str | None = None,
) -> None:
    """Write a trunk to a model folder, replacing the one that is there; heads stay. ``split`` is split.bed's text."""
    _save_weights(folder / "trunk.safetensors", weights)
    if split is not None:
        write_text(folder / "split.bed", split)
    description = {
        "format": FORMAT,
        "written_by": f"tracks {__version__}",
        "name": name,
        "trunk": dataclasses.asdict(config),
        "source": dict(source),
        "training": dict(training or {}),
    }
    # Last, because a folder without model.json is not a model folder.
    write_text(folder / "model.json", json.dumps(description, indent=2) + "\n")


def save_head(
    folder: Path,
    spec: HeadSpec,
    weights: Mapping[str, torch.Tensor],
    *,
    source: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    split: str | None = None,
) -> None:
    """Write a head into a model folder, which may be yet without its trunk. ``split`` is the text of a split of the
    head's own, where it saw other sequence than the trunk. Raises UsageError for a name that no folder can have."""
    if slug_of(spec.name) != spec.name:
        raise UsageError(f"a head's name has small letters, digits and underscores; '{spec.name}' has others")
    home = folder / "heads" / spec.name
    _save_weights(home / "weights.safetensors", weights)
    if split is not None:
        write_text(home / "split.bed", split)
    description = {
        "format": FORMAT,
        "written_by": f"tracks {__version__}",
        "tracks": [track.to_json() for track in spec.tracks],
        "links": spec.links,
        "config": dataclasses.asdict(spec.config),
        "half_embedding": spec.half_embedding,
        "source": dict(source or {}),
        "training": dict(training or {}),
    }
    write_text(home / "head.json", json.dumps(description, indent=2) + "\n")


def save_model(
    folder: Path,
    *,
    name: str,
    trunk: TrunkConfig,
    heads: Sequence[HeadSpec],
    weights: Mapping[str, torch.Tensor],
    split: str,
    training: Mapping[str, Any],
) -> None:
    """Write a network's trunk and heads, with the state dict of the whole network, to a model folder."""
    for spec in heads:
        save_head(folder, spec, part_of(weights, f"heads.{spec.name}."))
    trunk_weights = part_of(weights, "trunk.")
    save_trunk(folder, name=name, config=trunk, weights=trunk_weights, source={}, training=training, split=split)


def head_names(folder: Path) -> tuple[str, ...]:
    """Return the names of a folder's heads, sorted; ``bins``, which was trained with the trunk, comes first."""
    names = [path.parent.name for path in (folder / "heads").glob("*/head.json")]
    return tuple(sorted(names, key=lambda name: (name != "bins", name)))


def load_trunk(folder: Path) -> LoadedTrunk:
    """Load the trunk of a model folder, in evaluation mode and without gradients.

    Raises UsageError when it is not a model folder or one of another format, TracksError when it is damaged.
    """
    description = _description(folder)
    try:
        config = TrunkConfig(**description["trunk"])
        trunk = Trunk(config)
        name, source = str(description["name"]), dict(description["source"])
    except (KeyError, TypeError, ValueError) as error:
        raise TracksError(f"{folder} is damaged: model.json is not right at {error}") from error
    _load_weights(trunk, folder / "trunk.safetensors", "model.json")
    numbers = {"engine": ENGINE, "trunk": dataclasses.asdict(config)}
    digest = _digest(numbers, [_file_digest(folder / "trunk.safetensors")])
    return LoadedTrunk(name, config, trunk.eval().requires_grad_(False), digest, source)


def load_head(folder: Path, name: str, embedding_filters: int | None = None) -> tuple[HeadSpec, nn.Module]:
    """Load one head of a model folder, in evaluation mode and without gradients.

    Raises UsageError when there is none of that name, or it was made for an embedding of another width than
    ``embedding_filters``; TracksError when it is damaged.
    """
    home = folder / "heads" / name
    if not (home / "head.json").is_file():
        raise UsageError(f"{folder} has no head '{name}'; {_heads_there(folder)}")
    fields = _read_json(home / "head.json", "a head")
    try:
        tracks = tuple(Track.from_json(track) for track in fields["tracks"])
        config = head_config_from_json(fields["config"])
        spec = HeadSpec(name, tracks, tuple(fields["links"]), config, bool(fields["half_embedding"]))
        width = head_width(home)
        if embedding_filters is not None and width != embedding_filters:
            raise UsageError(
                f"head '{name}' of {folder} reads an embedding of {width:,} channels, "
                f"and the trunk there gives {embedding_filters:,}"
            )
        head = build_head(spec, width)
    except (KeyError, TypeError, ValueError) as error:
        raise TracksError(f"{home} is damaged: head.json is not right at {error}") from error
    _load_weights(head, home / "weights.safetensors", "head.json")
    return spec, head.eval().requires_grad_(False)


def head_width(home: Path) -> int:
    """Return the channels of the embedding that a head was made for, from the shape of its first layer."""
    path = home / "weights.safetensors"
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            for key in ("weight", "mix.weight", "project.weight", "value.weight", "qkv.weight"):
                if key in file.keys():  # noqa: SIM118 - the file is no dict
                    return int(file.get_slice(key).get_shape()[1])
    except (OSError, safetensors.SafetensorError) as error:
        raise TracksError(f"{path} is damaged: {str(error).splitlines()[0]}") from error
    raise TracksError(f"{path} is damaged: it holds no layer that reads an embedding")


def load_model(folder: Path, heads: Sequence[str] = (), stride: int = WINDOW) -> Model:
    """Load a model folder with one or more of its heads, by default its only one or ``bins``.

    The tracks are those of all heads in that order; with several heads each is named ``NAME (head)``. ``stride``
    slides heads of scope window: a whole part of a window, in bases. Raises UsageError when it is not a model folder,
    one of another format, without such a head, or for a stride that cannot be; TracksError when it is damaged.
    """
    loaded = load_trunk(folder)
    names = tuple(heads) or head_names(folder)[:1]
    if not names:
        raise UsageError(f"{folder} has a trunk and no head yet; add one with tracks weights import or tracks train")
    if not heads and "bins" not in names and len(head_names(folder)) > 1:
        raise UsageError(f"{folder} has several heads; name one or more with --head ({', '.join(head_names(folder))})")
    if len(set(names)) < len(names):
        raise UsageError(f"a head is named twice: {', '.join(names)}")
    parts = [load_head(folder, name, loaded.config.embedding_filters) for name in names]
    specs = tuple(spec for spec, _ in parts)
    _check_stride(stride, specs)
    network = Network(loaded.config, ())
    network.trunk = loaded.trunk
    for spec, head in parts:
        network.specs[spec.name] = spec
        network.heads[spec.name] = head
    tracks = tuple(
        dataclasses.replace(track, name=f"{track.name} ({spec.name})") if len(specs) > 1 else track
        for spec in specs
        for track in spec.tracks
    )
    weights = {name: _file_digest(folder / "heads" / name / "weights.safetensors") for name in names}
    digest = _heads_digest(loaded.digest, specs, weights, stride)
    # A stride means nothing to a head of scope bins, so one beside it must not give the same numbers another name.
    head_digests = {
        spec.name: _heads_digest(loaded.digest, (spec,), weights, stride if spec.scope == "window" else WINDOW)
        for spec in specs
    }
    splits = [folder / "split.bed", *(folder / "heads" / name / "split.bed" for name in names)]
    split = tuple(dict.fromkeys(block for path in splits if path.exists() for block in read_split(path)))
    card = _read_json(folder / "card.json", "a model card") if (folder / "card.json").exists() else None
    training = dict(_description(folder).get("training", {}))
    return Model(
        name=loaded.name,
        tracks=tracks,
        network=network.eval(),
        digest=digest,
        folder=folder,
        card=card,
        split=split,
        training=training,
        heads=specs,
        head_digests=head_digests,
        trunk_digest=loaded.digest,
        stride=stride,
    )


def stored_digests(folder: Path) -> set[str]:
    """Return every digest under which predictions of a model folder's heads may be stored, with any stride.

    Raises as ``load_model`` does.
    """
    loaded = load_trunk(folder)
    digests = set()
    for name in head_names(folder):
        spec, _ = load_head(folder, name, loaded.config.embedding_filters)
        weights = {name: _file_digest(folder / "heads" / name / "weights.safetensors")}
        strides = [WINDOW, *_STRIDES] if spec.scope == "window" else [WINDOW]
        digests |= {_heads_digest(loaded.digest, (spec,), weights, stride) for stride in strides}
    return digests


_STRIDES = [stride for stride in range(2 * BIN, WINDOW, 2 * BIN) if WINDOW % stride == 0]


def _check_stride(stride: int, specs: Sequence[HeadSpec]) -> None:
    if stride == WINDOW:
        return
    if all(spec.scope == "bins" for spec in specs):
        raise UsageError("a stride slides heads that give one value a window; the heads chosen give one a bin")
    if stride not in _STRIDES:
        near = [WINDOW // parts for parts in (2, 4, 7, 14, 28, 56, 112, 448)]
        raise UsageError(f"a stride of {stride:,} does not divide a window into equal bins; choose one of {near}")


def _head_numbers(spec: HeadSpec) -> dict[str, Any]:
    return {
        "config": dataclasses.asdict(spec.config),
        "links": spec.links,
        "half_embedding": spec.half_embedding,
        "tracks": [[track.name, track.unit, dataclasses.asdict(track.transform)] for track in spec.tracks],
    }


def _heads_there(folder: Path) -> str:
    names = head_names(folder)
    return f"it has {', '.join(names)}" if names else "it has none"


def _description(folder: Path) -> dict[str, Any]:
    path = folder / "model.json"
    if not path.is_file():
        names = head_names(folder)
        if names:
            raise UsageError(
                f"{folder} has heads ({', '.join(names)}) and no trunk yet; "
                f"add it with: tracks weights import model_human.h5 -o {folder}"
            )
        raise UsageError(f"{folder} is not a model folder: it holds no model.json (tracks train makes such folders)")
    description = _read_json(path, "a model folder")
    try:
        version = int(description["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise TracksError(f"{path} is damaged: it is not the JSON of a model folder ({error})") from error
    if version > FORMAT:
        raise UsageError(
            f"{folder} has model format {version}, and tracks {__version__} reads up to {FORMAT}: "
            "update tracks, or export the model again with an older one"
        )
    if version < FORMAT:
        raise UsageError(f"{folder} has model format {version}, from before the first release; train it again")
    return description


def _read_json(path: Path, what: str) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise TracksError(f"{path} is damaged: it is not the JSON of {what} ({error})") from error


def _load_weights(module: nn.Module, path: Path, description: str) -> None:
    try:
        module.load_state_dict(safetensors.torch.load_file(path))
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        reason = " ".join(str(error).splitlines()[:2])
        raise TracksError(f"{path.parent} is damaged: {path.name} does not fit {description} ({reason})") from error


def _save_weights(path: Path, weights: Mapping[str, torch.Tensor]) -> None:
    with written_beside(path) as beside:
        beside.write_bytes(safetensors.torch.save({key: value.contiguous() for key, value in weights.items()}))


def _heads_digest(trunk: str, specs: Sequence[HeadSpec], weights: Mapping[str, bytes], stride: int) -> str:
    numbers: dict[str, Any] = {"trunk": trunk, "heads": [_head_numbers(spec) for spec in specs]}
    if stride != WINDOW:
        numbers["stride"] = str(stride)
    return _digest(numbers, [weights[spec.name] for spec in specs])


def _digest(numbers: dict[str, Any], weights: Sequence[bytes]) -> str:
    digest = hashlib.sha256(json.dumps(numbers, sort_keys=True).encode())
    for of_file in weights:
        digest.update(of_file)
    return digest.hexdigest()


def _file_digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
