"""Weights of other programs into a model folder: what kind a file is, is told from its content alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from model.folder import head_names, head_width, load_trunk, save_head, save_trunk
from model.heads import HeadSpec, LinearConfig, Link
from model.trunk import TrunkConfig
from model.weights.checkpoints import read_checkpoint
from model.weights.keras import keras_config, read_keras
from model.weights.layers import Layers, conv_shapes, dense_weights, trunk_config, trunk_weights
from model.weights.port import is_port, port_layers
from model.weights.targets import generic_tracks, read_targets
from model.weights.torch_file import read_state_dict
from tracks.errors import TracksError, UsageError
from tracks.files import check_folder, sha256
from tracks.track import slug_of

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from model.trunk import GeluVariant

_HDF5 = b"\x89HDF\r\n\x1a\n"
_DENSE_HEADS = {5313: "human", 1643: "mouse"}


@dataclass(frozen=True)
class Choices:
    """What a file does not say. None: the default, or for ``head`` and ``name`` what the file's content suggests.

    ``gelu`` and ``epsilon`` belong to a trunk (defaults: tanh, and what the file records or else 1e-3), ``name`` is
    the model's name, ``head`` the head's, ``targets`` the table of a dense head's targets.
    """

    gelu: GeluVariant | None = None
    epsilon: float | None = None
    name: str | None = None
    head: str | None = None
    targets: Path | None = None


@dataclass(frozen=True, eq=False)
class Contents:
    """What was found in a file. ``notes`` are for its user."""

    layout: str
    trunk: tuple[TrunkConfig, dict[str, torch.Tensor]] | None
    head: tuple[HeadSpec, dict[str, torch.Tensor], int] | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Imported:
    """What was written to a folder."""

    folder: Path
    layout: str
    trunk: TrunkConfig | None
    head: HeadSpec | None
    notes: tuple[str, ...]


def import_weights(file: Path, out: Path, choices: Choices | None = None, *, overwrite: bool = False) -> Imported:
    """Write the weights of a file to a model folder: a Keras HDF5 file or PyTorch port of Basenji2, with or without
    its dense head, or a published head of LMNB1 and CpG.

    Everything is read and checked before anything is written; nothing in the file is executed. A folder can get its
    trunk and its heads in any order. Raises UsageError for a trunk or head that the folder has already, unless
    ``overwrite``, for a head of another embedding width than its trunk, and for choices that such a file does not
    have; TracksError for a file that is damaged or holds something else.
    """
    choices = choices or Choices()
    if choices.head is not None and slug_of(choices.head) != choices.head:
        raise UsageError(f"a head's name has small letters, digits and underscores; '{choices.head}' has others")
    check_folder(out, "the model folder")
    try:
        digest, size = sha256(file), file.stat().st_size
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}") from error
    contents = read_weights(file, choices)
    notes = contents.notes + _check_place(out, contents, overwrite)
    source = {"file": file.name, "sha256": digest, "bytes": size, "layout": contents.layout}
    if contents.head is not None:
        spec, weights, _ = contents.head
        save_head(out, spec, weights, source=source)
    if contents.trunk is not None:
        config, weights = contents.trunk
        save_trunk(out, name=choices.name or _model_name(file, config), config=config, weights=weights, source=source)
        # It is of the trunk that was here before.
        (out / "split.bed").unlink(missing_ok=True)
    return Imported(
        out,
        contents.layout,
        contents.trunk[0] if contents.trunk else None,
        contents.head[0] if contents.head else None,
        notes,
    )


def read_weights(file: Path, choices: Choices | None = None) -> Contents:
    """Read and check the weights of a file without writing anything; errors as in ``import_weights``."""
    choices = choices or Choices()
    try:
        with file.open("rb") as opened:
            start = opened.read(len(_HDF5))
        if start == _HDF5:
            return _read_keras(file, choices)
        if start[:4] == b"PK\x03\x04" or start[:1] == b"\x80":
            return _read_torch(file, choices)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}") from error
    except UsageError:
        raise
    except TracksError as error:
        raise TracksError(f"cannot import {file}: {error}") from error
    kind = "an empty file" if not start else "neither HDF5 nor a PyTorch checkpoint"
    raise TracksError(f"cannot import {file}: it is {kind}; expected model_human.h5, basenji2.pth or a published head")


def _read_keras(file: Path, choices: Choices) -> Contents:
    found = read_keras(file)
    config, said = keras_config(found), found.recorded.gelu
    chosen = choices.gelu or config.gelu
    notes: tuple[str, ...] = ()
    if said is not None and said != chosen:
        notes = (f"the model in the file was made with GELU '{said}'; it is imported with '{chosen}' (--gelu)",)
    return _trunk_and_head(found.layers, found.layout, config, choices, notes)


def _read_torch(file: Path, choices: Choices) -> Contents:
    state = read_state_dict(file)
    if is_port(state):
        layers = port_layers(state)
        return _trunk_and_head(layers, "PyTorch port (state dict)", trunk_config(layers.convs), choices, ())
    given = {"--gelu": choices.gelu, "--epsilon": choices.epsilon, "--name": choices.name, "--targets": choices.targets}
    if misplaced := [option for option, value in given.items() if value is not None]:
        raise UsageError(f"{file} holds a head without its trunk; {misplaced[0]} does not apply to it")
    head = read_checkpoint(state, choices.head)
    kind = head.spec.config.kind
    return Contents(f"published {kind} head (state dict)", None, (head.spec, head.weights, head.embedding_filters))


def _trunk_and_head(
    layers: Layers, layout: str, config: TrunkConfig, choices: Choices, notes: tuple[str, ...]
) -> Contents:
    if choices.gelu is not None:
        config = replace(config, gelu=choices.gelu)
    if choices.epsilon is not None:
        if not 0 < choices.epsilon < 1:
            raise UsageError(f"a BatchNorm epsilon is between 0 and 1, found {choices.epsilon:g}; Basenji2's is 0.001")
        config = replace(config, batch_norm_epsilon=choices.epsilon)
    trunk = (config, trunk_weights(layers, config))
    if layers.dense is None:
        if choices.head is not None or choices.targets is not None:
            option = "--head" if choices.head is not None else "--targets"
            raise UsageError(f"the file holds a trunk without a head; {option} does not apply to it")
        return Contents(layout, trunk, None, notes)
    weights = dense_weights(layers.dense, config)
    count = len(weights["bias"])
    tracks = read_targets(choices.targets, count) if choices.targets else generic_tracks(count)
    name = choices.head or _DENSE_HEADS.get(count, "targets")
    link: Link = "softplus"
    spec = HeadSpec(name, tracks, (link,) * count, LinearConfig())
    return Contents(layout, trunk, (spec, weights, config.embedding_filters), notes)


def _check_place(out: Path, contents: Contents, overwrite: bool) -> tuple[str, ...]:
    """Refuse to replace what is there, unless told to, and to put a head and a trunk together that do not fit.

    Returns what the user should know of the pair.
    """
    has_trunk = (out / "model.json").is_file()
    head = contents.head[0].name if contents.head is not None else None
    others = [name for name in head_names(out) if name != head]
    if not overwrite:
        if contents.trunk is not None and has_trunk:
            raise UsageError(f"{out} has a trunk already; --overwrite replaces it, with the heads in the file")
        if head is not None and (out / "heads" / head).exists():
            raise UsageError(f"{out} has a head '{head}' already; --overwrite replaces it, --head names this one")
    if contents.trunk is not None:
        width = contents.trunk[0].embedding_filters
        for name in others:
            if (read := head_width(out / "heads" / name)) != width:
                raise UsageError(
                    f"this trunk gives an embedding of {width:,} channels, and head '{name}' of {out} reads {read:,}"
                )
    elif contents.head is not None and has_trunk:
        there, read = load_trunk(out), contents.head[2]
        if read != (width := there.config.embedding_filters):
            raise UsageError(
                f"head '{head}' reads an embedding of {read:,} channels, "
                f"and the trunk of {out} ({there.name}) gives {width:,}"
            )
        if there.config.gelu != "tanh":
            return (
                f"the published heads were trained on GELU 'tanh', and the trunk of {out} has {there.config.gelu!r}",
            )
    return ()


def _model_name(file: Path, config: TrunkConfig) -> str:
    return "Basenji2" if conv_shapes(config) == conv_shapes(TrunkConfig()) else file.stem
