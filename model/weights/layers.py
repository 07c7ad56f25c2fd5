"""From the layers of a file, in their order, to a trunk: every reader of Basenji2 weights ends here.

A reader hands over convolutions, BatchNorms and perhaps a dense head in the order of the data flow; this module
works out the shape of the trunk, checks every layer against it, and names the weights as ``model.trunk.Trunk`` does.
The sequence of layers is that of facts/cs282a.md section 1.3.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from model.trunk import TrunkConfig
from tracks.errors import TracksError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TOWER_BLOCKS = 6
"""A trunk pools 2 x 2^6 = 128 bases to a bin."""

OUTSIDE_RESIDUAL = 1 + TOWER_BLOCKS + 1
"""Convolutions that are in no residual block: the stem, the tower and the last one."""


@dataclass(frozen=True, eq=False)
class Conv:
    """A convolution without bias: its name in the file and its kernel, float32 ``[out, in, width]``."""

    name: str
    weight: np.ndarray

    @property
    def shape(self) -> ConvShape:
        """What the layer is, for comparison and messages."""
        out, into, width = self.weight.shape
        return ConvShape(width, into, out)


@dataclass(frozen=True, eq=False)
class Norm:
    """A BatchNorm: its name in the file, and float32 ``[channels]`` each."""

    name: str
    gamma: np.ndarray
    beta: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


@dataclass(frozen=True, eq=False)
class Dense:
    """The head that Basenji2 was trained with: float32 weight ``[targets, embedding]`` and bias ``[targets]``."""

    name: str
    weight: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False)
class Layers:
    """The layers of a file that have weights, each kind in the order of the data flow."""

    convs: tuple[Conv, ...]
    norms: tuple[Norm, ...]
    dense: Dense | None = None


@dataclass(frozen=True)
class ConvShape:
    """The shape of a convolution."""

    width: int
    channels_in: int
    channels_out: int

    def __str__(self) -> str:
        return f"a kernel of width {self.width} from {self.channels_in:,} to {self.channels_out:,} channels"


def conv_shapes(config: TrunkConfig) -> tuple[ConvShape, ...]:
    """Return the shapes of a trunk's convolutions in the order of the data flow; 30 for Basenji2."""
    widths = (config.stem_filters, *config.tower_widths())
    tower = [ConvShape(config.tower_kernel, narrow, wide) for narrow, wide in itertools.pairwise(widths)]
    narrow = ConvShape(config.residual_kernel, widths[-1], config.residual_filters)
    widen = ConvShape(1, config.residual_filters, widths[-1])
    stem = ConvShape(config.stem_kernel, 4, config.stem_filters)
    last = ConvShape(1, widths[-1], config.embedding_filters)
    return (stem, *tower, *[narrow, widen] * config.residual_blocks, last)


def conv_roles(blocks: int) -> tuple[str, ...]:
    """Return what each convolution is called in messages, for a trunk of so many residual blocks."""
    tower = [f"tower block {block + 1}" for block in range(TOWER_BLOCKS)]
    residual = [f"residual block {block + 1}, {part} convolution" for block in range(blocks) for part in ("1st", "2nd")]
    return ("the stem", *tower, *residual, "the last block")


def trunk_config(convs: Sequence[Conv]) -> TrunkConfig:
    """Work out the shape of a trunk from its convolutions, which are checked on the way.

    Dilations leave no trace in weights, so they are the default's. Raises TracksError that names the layer, what was
    expected and what was found.
    """
    for conv in convs:
        if not conv.shape.width % 2 or not conv.weight.size:
            raise TracksError(f"layer {conv.name}: expected a kernel of odd width, found {conv.shape}")
    basenji2 = conv_shapes(TrunkConfig())
    alike = sum(conv.shape == expected for conv, expected in zip(convs, basenji2, strict=False))
    # What is mostly Basenji2 is held against Basenji2, so that the message names the one layer that differs.
    config = TrunkConfig() if 2 * alike >= len(basenji2) else _other_config(convs)
    expected = conv_shapes(config)
    if len(convs) != len(expected):
        raise TracksError(
            f"expected {len(expected)} convolutions (the stem, {TOWER_BLOCKS} tower blocks, "
            f"2 in each of {config.residual_blocks} residual blocks, and the last), found {len(convs)}"
        )
    for conv, role, shape in zip(convs, conv_roles(config.residual_blocks), expected, strict=True):
        if conv.shape != shape:
            raise TracksError(f"layer {conv.name} ({role}): expected {shape}, found {conv.shape}")
    return config


def _other_config(convs: Sequence[Conv]) -> TrunkConfig:
    """Read a trunk that is not Basenji2's size off its first layers of each kind; the caller checks the others."""
    blocks, odd = divmod(len(convs) - OUTSIDE_RESIDUAL, 2)
    if blocks < 1 or odd:
        raise TracksError(
            f"expected {OUTSIDE_RESIDUAL} convolutions and 2 for each residual block (Basenji2 has 30), "
            f"found {len(convs)}"
        )
    stem, tower, residual, last = convs[0], convs[1 : 1 + TOWER_BLOCKS], convs[1 + TOWER_BLOCKS], convs[-1]
    widths = [conv.shape.channels_out for conv in tower]
    return TrunkConfig(
        stem_filters=stem.shape.channels_out,
        stem_kernel=stem.shape.width,
        tower_filters=widths[0],
        tower_growth=tower_growth(widths),
        tower_kernel=tower[0].shape.width,
        residual_filters=residual.shape.channels_out,
        residual_kernel=residual.shape.width,
        residual_blocks=blocks,
        embedding_filters=last.shape.channels_out,
    )


def tower_growth(widths: Sequence[int]) -> float:
    """Return the factor, as short a number as can be, by which a tower's filters grow from the first block on.

    Raises TracksError when no factor gives these widths.
    """
    first = widths[0]
    low = max(((width - 0.5) / first) ** (1 / block) for block, width in enumerate(widths[1:], 1))
    high = min(((width + 0.5) / first) ** (1 / block) for block, width in enumerate(widths[1:], 1))
    for digits in range(16):
        growth = float(round((low + high) / 2, digits))
        config = TrunkConfig(tower_filters=first, tower_growth=growth, tower_blocks=len(widths))
        if growth > 0 and config.tower_widths() == tuple(widths):
            return growth
    raise TracksError(
        f"the tower's filters are {', '.join(map(str, widths))}; expected each block to have a fixed factor more, "
        "as Basenji2's 339, 399, 470, 554, 652, 768"
    )


def trunk_weights(layers: Layers, config: TrunkConfig) -> dict[str, torch.Tensor]:
    """Name the weights of a checked trunk as ``Trunk.state_dict`` does.

    Raises TracksError for a BatchNorm of another length than its convolution has filters, one whose variance is
    below 0, values that are no numbers, and another number of BatchNorms than convolutions.
    """
    if len(layers.norms) != len(layers.convs):
        raise TracksError(f"expected a BatchNorm for each convolution, {len(layers.convs)}, found {len(layers.norms)}")
    weights: dict[str, torch.Tensor] = {}
    roles = conv_roles(config.residual_blocks)
    for name, role, conv, norm in zip(_block_names(config), roles, layers.convs, layers.norms, strict=True):
        parts = {
            "weight": norm.gamma,
            "bias": norm.beta,
            "running_mean": norm.mean,
            "running_var": norm.variance,
        }
        filters = conv.shape.channels_out
        for values in parts.values():
            if values.shape != (filters,):
                raise TracksError(
                    f"layer {norm.name} ({role}): expected 4 x {filters:,} numbers, one for each filter of "
                    f"{conv.name}, found {' x '.join(map(str, values.shape)) or 'a single one'}"
                )
        lowest = norm.variance.min()
        if lowest < 0:
            raise TracksError(f"layer {norm.name} ({role}): expected variances of 0 or more, found {lowest:g}")
        weights[f"{name}.weight"] = _tensor(conv.weight, conv.name)
        for key, values in parts.items():
            weights[f"{name}.norm.{key}"] = _tensor(values, norm.name)
        weights[f"{name}.norm.num_batches_tracked"] = torch.tensor(0)
    return weights


def dense_weights(dense: Dense, config: TrunkConfig) -> dict[str, torch.Tensor]:
    """Name the weights of the dense head as ``model.heads.LinearHead`` does, ``[targets, embedding, 1]``.

    Raises TracksError for a head of another embedding width, or values that are no numbers.
    """
    targets, width = dense.weight.shape
    if width != config.embedding_filters or dense.bias.shape != (targets,):
        raise TracksError(
            f"layer {dense.name} (the dense head): expected weights for {config.embedding_filters:,} channels and "
            f"as many biases as targets, found {width:,} channels, {targets:,} targets and {dense.bias.size:,} biases"
        )
    return {"weight": _tensor(dense.weight, dense.name).unsqueeze(2), "bias": _tensor(dense.bias, dense.name)}


def _block_names(config: TrunkConfig) -> Iterator[str]:
    """Yield the trunk's names of its convolution blocks in the order of the data flow."""
    yield "stem"
    yield from (f"tower.{block}" for block in range(TOWER_BLOCKS))
    yield from (f"residual.{block}.{part}" for block in range(config.residual_blocks) for part in ("narrow", "widen"))
    yield "embed"


def _tensor(values: np.ndarray, name: str) -> torch.Tensor:
    if not np.isfinite(values).all():
        raise TracksError(f"layer {name}: expected numbers, found NaN or infinity among them")
    return torch.from_numpy(np.array(values, dtype=np.float32, order="C"))
