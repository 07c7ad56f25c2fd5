"""The keys of the PyTorch port of Basenji2 (``basenji2.pth``, Zenodo 14969593; facts/cs282a.md section 1.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.weights.layers import TOWER_BLOCKS, Conv, Dense, Layers, Norm
from tracks.errors import TracksError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    import torch

_HEAD = "model.head.final.block.1"
_STEM = "model.trunk.0.block"


def is_port(state: Mapping[str, torch.Tensor]) -> bool:
    """Tell whether a state dict has the port's keys."""
    return f"{_STEM}.1.weight" in state


def port_layers(state: Mapping[str, torch.Tensor]) -> Layers:
    """Read the layers of the port's state dict, in the order of the data flow.

    Raises TracksError that names a key that is missing, left over, or not of a layer's dimensions.
    """
    left = dict(state)
    blocks = len({key.split(".")[4] for key in state if key.startswith("model.trunk.2.block.")})

    def take(key: str, dimensions: int) -> np.ndarray:
        if key not in left:
            raise TracksError(f"it has no {key}; expected the {6 * (2 * blocks + 8)} weights of the port's trunk")
        values = left.pop(key)
        if values.ndim != dimensions:
            raise TracksError(f"{key} is {' x '.join(map(str, values.shape))}; expected {dimensions} dimension(s)")
        return values.float().numpy()

    convs, norms = [], []
    for block in _blocks(blocks):
        convs.append(Conv(f"{block}.1", take(f"{block}.1.weight", 3)))
        names = ("weight", "bias", "running_mean", "running_var")
        norms.append(Norm(f"{block}.2", *(take(f"{block}.2.{name}", 1) for name in names)))
        left.pop(f"{block}.2.num_batches_tracked", None)
    dense = None
    if f"{_HEAD}.weight" in left:
        dense = Dense(_HEAD, take(f"{_HEAD}.weight", 2), take(f"{_HEAD}.bias", 1))
    if left:
        raise TracksError(f"it has {next(iter(left))}, which is no layer of the port of Basenji2")
    return Layers(tuple(convs), tuple(norms), dense)


def _blocks(residual: int) -> Iterator[str]:
    """Yield the port's names of its convolution blocks in the order of the data flow."""
    yield _STEM
    yield from (f"model.trunk.1.tower.{block}.block" for block in range(TOWER_BLOCKS))
    yield from (f"model.trunk.2.block.{block}.module.{part}.block" for block in range(residual) for part in (0, 1))
    yield "model.trunk.4.block"
