"""The four published heads of LMNB1 and CpG, as their training wrote them (facts/cs282a.md sections 4 and 4.1).

Each is told by its keys and shapes, and becomes the head that acts as it did: softplus after the linear probe,
attention over a batch of one window, the embedding rounded to float16 first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from model.heads import AttentionConfig, ConvConfig, HeadConfig, HeadSpec, LinearConfig, Link, MaxPoolConfig, scope_of
from model.weights.targets import generic_tracks
from tracks.catalogue import published_tracks
from tracks.errors import TracksError
from tracks.grid import BINS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch

State = dict[str, "torch.Tensor"]

HEADS = 6
"""Attention heads of the published head; its weights do not tell, and at one window a batch it makes no difference."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A head with its weights, named as ``model.heads`` names them, and the width of the embedding that it reads."""

    spec: HeadSpec
    weights: State
    embedding_filters: int


def read_checkpoint(state: Mapping[str, torch.Tensor], name: str | None = None) -> Checkpoint:
    """Make a head of a published checkpoint's state dict. ``name`` is its kind if it is not given.

    Raises TracksError for other keys than a published head has, and for shapes that do not fit together.
    """
    for keys, reader in _READERS:
        if set(state) == keys:
            config, weights, width, tracks = reader(state)
            break
    else:
        raise TracksError(
            f"it has the entries {_some(state)}; expected a published head (conv_layer.*, layers.conv1x1.* with "
            "layers.fc1.*, or attention.*) or the PyTorch port of Basenji2 (model.trunk.*)"
        )
    link: Link = "softplus" if isinstance(config, LinearConfig) else "identity"
    named = published_tracks(scope_of(config))
    spec = HeadSpec(
        name or config.kind,
        named if len(named) == tracks else generic_tracks(tracks),
        (link,) * tracks,
        config,
        half_embedding=True,
    )
    return Checkpoint(spec, {key: value.float() for key, value in weights.items()}, width)


_Read = tuple[HeadConfig, State, int, int]


def _linear(state: Mapping[str, torch.Tensor]) -> _Read:
    weight, bias = state["conv_layer.weight"], state["conv_layer.bias"]
    tracks, width = _shape(state, "conv_layer.weight", (None, None, 1))[:2]
    _shape(state, "conv_layer.bias", (tracks,))
    return LinearConfig(), {"weight": weight, "bias": bias}, width, tracks


def _perceptron(state: Mapping[str, torch.Tensor]) -> _Read:
    hidden, width = _shape(state, "layers.conv1x1.weight", (None, None, 1))[:2]
    tracks, inputs = _shape(state, "layers.fc1.weight", (None, None))
    _shape(state, "layers.conv1x1.bias", (hidden,))
    _shape(state, "layers.fc1.bias", (tracks,))
    if inputs not in (hidden, hidden * BINS):
        raise TracksError(
            f"layers.fc1.weight reads {inputs:,} numbers; expected {hidden:,} (max-pool) or {hidden * BINS:,} (conv)"
        )
    config = MaxPoolConfig(hidden) if inputs == hidden else ConvConfig(hidden)
    weights = {
        "mix.weight": state["layers.conv1x1.weight"],
        "mix.bias": state["layers.conv1x1.bias"],
        "output.weight": state["layers.fc1.weight"],
        "output.bias": state["layers.fc1.bias"],
    }
    return config, weights, width, tracks


def _attention(state: Mapping[str, torch.Tensor]) -> _Read:
    width = _shape(state, "attention.in_proj_weight", (None, None))[1]
    tracks = _shape(state, "output_transform.weight", (None, width))[0]
    forward = _shape(state, "feed_forward.0.weight", (None, width))[0]
    for key, shape in {
        "attention.in_proj_weight": (3 * width, width),
        "attention.in_proj_bias": (3 * width,),
        "attention.out_proj.weight": (width, width),
        "feed_forward.0.bias": (forward,),
        "feed_forward.3.weight": (width, forward),
        "output_transform.bias": (tracks,),
        **dict.fromkeys(
            ("attention.out_proj.bias", "norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"), (width,)
        ),
        "feed_forward.3.bias": (width,),
    }.items():
        _shape(state, key, shape)
    weights = {
        # Rows 0..2C make queries and keys, which a softmax over the one key of a batch of one leaves without effect.
        "value.weight": state["attention.in_proj_weight"][2 * width :],
        "value.bias": state["attention.in_proj_bias"][2 * width :],
    }
    for part, original in {
        "merge": "attention.out_proj",
        "norm1": "norm1",
        "norm2": "norm2",
        "expand": "feed_forward.0",
        "contract": "feed_forward.3",
        "output": "output_transform",
    }.items():
        weights[f"{part}.weight"], weights[f"{part}.bias"] = state[f"{original}.weight"], state[f"{original}.bias"]
    return AttentionConfig(legacy=True, heads=HEADS, feed_forward=forward), weights, width, tracks


def _pairs(*parts: str) -> frozenset[str]:
    return frozenset(f"{part}.{kind}" for part in parts for kind in ("weight", "bias"))


_READERS: tuple[tuple[frozenset[str], Callable[[Mapping[str, torch.Tensor]], _Read]], ...] = (
    (_pairs("conv_layer"), _linear),
    (_pairs("layers.conv1x1", "layers.fc1"), _perceptron),
    (
        _pairs("attention.out_proj", "norm1", "norm2", "feed_forward.0", "feed_forward.3", "output_transform")
        | {"attention.in_proj_weight", "attention.in_proj_bias"},
        _attention,
    ),
)


def _shape(state: Mapping[str, torch.Tensor], key: str, expected: tuple[int | None, ...]) -> tuple[int, ...]:
    """Return an entry's shape. Raises TracksError unless it is as expected, where None is any length above 0."""
    found = tuple(state[key].shape)
    if len(found) != len(expected) or any(
        length != wanted if wanted is not None else not length for length, wanted in zip(found, expected, strict=True)
    ):
        wanted = " x ".join("any" if length is None else f"{length:,}" for length in expected)
        raise TracksError(f"{key}: expected {wanted}, found {' x '.join(f'{length:,}' for length in found)}")
    return found


def _some(state: Mapping[str, torch.Tensor]) -> str:
    keys = list(state)
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
