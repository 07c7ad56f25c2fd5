"""Keras HDF5 files, read with h5py alone: Basenji2's ``model_human.h5`` and whatever Keras writes in its place.

Four layouts (facts/models.md section 4):

* Keras 2 ``model.save("x.h5")``: layer groups under ``/model_weights``, weights named ``kernel:0``;
* ``save_weights("x.h5")``: the layer groups at the root;
* Keras 3 of either: the same without the ``:0``;
* ``save_weights("x.weights.h5")``: ``/layers/<class>_<n>/vars/<k>``, no names of layers or weights at all.

Order. The first three have the attribute ``layer_names``, in the order of the data flow, and ``weight_names`` in each
group; only these count. The names themselves hold counters of the session that made the model (``conv1d_210``), and
HDF5 lists them by the alphabet. The fourth has neither attribute: Keras numbers there the layers of each class from
0 in the order of the model's layers, anew for each file, and finds them by that number when it reads, so the number is
the order. Either way a layer is what its weights' shapes say, and each shape is checked.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from model.trunk import TrunkConfig
from model.weights.layers import TOWER_BLOCKS, Conv, Dense, Layers, Norm, trunk_config
from tracks.errors import TracksError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from model.trunk import GeluVariant

MOST_NUMBERS = 200_000_000
"""What no layer has, so that a small file cannot ask for all memory."""

_NORM = ("gamma", "beta", "moving_mean", "moving_variance")


@dataclass(frozen=True)
class Recorded:
    """What a whole-model file says of itself beside its weights. None and empty: not said."""

    gelu: GeluVariant | None = None
    epsilon: float | None = None
    dilations: tuple[int, ...] = ()
    crop: int | None = None


@dataclass(frozen=True, eq=False)
class KerasFile:
    """A file's layers, the name of its layout, and what it says of itself."""

    layers: Layers
    layout: str
    recorded: Recorded


def read_keras(path: Path) -> KerasFile:
    """Read a Keras HDF5 file.

    Raises TracksError, that does not name the file, for one that is truncated, holds no Keras layers or other kinds
    of layers than Basenji2 has. Shapes are for ``model.weights.layers`` to check.
    """
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            if _strings(root, "layer_names"):
                named = list(_named_layers(root))
                layout = f"Keras HDF5 of {'model.save' if root != file else 'save_weights'}"
            else:
                named = list(_numbered_layers(file))
                layout = "Keras .weights.h5"
            if not named:
                raise TracksError("it is HDF5 without Keras layers; expected model_human.h5 or what Keras saves")
            return KerasFile(_sorted_by_kind(named), layout, _recorded(file.attrs.get("model_config")))
    except TracksError:
        raise
    except Exception as error:  # a damaged file can fail in any way; h5py says on the first line which
        raise TracksError(f"it is not whole HDF5 ({str(error).splitlines()[0]})") from error


def keras_config(file: KerasFile) -> TrunkConfig:
    """Work out the trunk of a file: its shape from the weights, the rest from what the file says of itself, if it does.

    Raises TracksError for weights that are no Basenji2 trunk, dilations that no ``TrunkConfig`` has, and another crop
    than windows of 896 bins need.
    """
    config, recorded = trunk_config(file.layers.convs), file.recorded
    if recorded.epsilon is not None:
        config = replace(config, batch_norm_epsilon=recorded.epsilon)
    if recorded.crop not in (None, config.crop):
        raise TracksError(f"its model crops {recorded.crop} bins a side; expected {config.crop}, for 896 bins a window")
    if len(recorded.dilations) != len(file.layers.convs):
        return config
    rates = recorded.dilations[1 + TOWER_BLOCKS : -1 : 2]
    for growth in (config.dilation_growth, *(step / 20 for step in range(20, 81))):
        if (grown := replace(config, dilation_growth=growth)).dilations() == rates:
            return grown
    raise TracksError(
        f"its residual blocks have dilations {', '.join(map(str, rates))}; expected 1 and then a fixed factor more for "
        f"each, as Basenji2's {', '.join(map(str, TrunkConfig().dilations()))}"
    )


@dataclass(frozen=True, eq=False)
class _Layer:
    """A layer's name, and its weights by their names."""

    name: str
    weights: Mapping[str, np.ndarray]


def _strings(group: h5py.Group, name: str) -> list[str]:
    """Read a list of strings; Keras splits those that HDF5 cannot hold in one attribute into NAME0, NAME1, ..."""
    attributes = [name] if name in group.attrs else []
    while attributes[:1] != [name] and f"{name}{len(attributes)}" in group.attrs:
        attributes.append(f"{name}{len(attributes)}")
    return [
        item.decode() if isinstance(item, bytes) else str(item) for part in attributes for item in group.attrs[part]
    ]


def _array(group: h5py.Group, name: str) -> np.ndarray:
    """Read a dataset that lies in this file (HDF5 can point to any other) and has a size that a layer can have."""
    dataset = group[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind != "f":
        raise TracksError(f"{name} is not an array of floating-point numbers")
    if dataset.external or dataset.is_virtual or dataset.file.filename != group.file.filename:
        raise TracksError(f"{name} lies in another file; expected all weights in this one")
    if not 0 < dataset.size <= MOST_NUMBERS:
        raise TracksError(f"{name} claims {dataset.size:,} numbers; Basenji2's largest layer has 8,160,768")
    values: np.ndarray = dataset[()]
    return values


def _named_layers(root: h5py.Group) -> Iterator[_Layer]:
    """Yield the layers with weights in the order of ``layer_names``; a model inside the model gives its own layers."""
    for layer in _strings(root, "layer_names"):
        group = root[layer]
        found: dict[str, dict[str, np.ndarray]] = {}
        for name in _strings(group, "weight_names"):
            parent, _, kind = name.rpartition("/")
            found.setdefault(parent, {})[kind.removesuffix(":0")] = _array(group, name)
        for parent, weights in found.items():
            yield _Layer(layer if len(found) == 1 else parent, weights)


def _numbered_layers(file: h5py.File) -> Iterator[_Layer]:
    """Yield the layers of a ``.weights.h5``: by class, and in each class by Keras's number."""
    groups = file.get("layers", file.get("_layer_checkpoint_dependencies"))
    for name in sorted(groups or (), key=_class_and_number):
        variables = groups[name].get("vars", {}) if isinstance(groups[name], h5py.Group) else {}
        arrays = [_array(variables, key) for key in sorted(variables, key=int)]
        if arrays:
            # What the numbers 0, 1, ... mean follows from the kind of layer, which their shapes give away.
            names = _NORM if len(arrays) == 4 else ("kernel", "bias")
            if len(arrays) > len(names):
                raise TracksError(f"layer {name} has {len(arrays)} weights; expected 1, 2 or 4")
            yield _Layer(name, dict(zip(names, arrays, strict=False)))


def _class_and_number(name: str) -> tuple[str, int]:
    matched = re.fullmatch(r"(.*?)(?:_(\d+))?", name)
    assert matched is not None
    return matched[1], int(matched[2] or 0)


def _sorted_by_kind(layers: Iterable[_Layer]) -> Layers:
    convs, norms, denses = [], [], []
    for layer in layers:
        weights, kinds = layer.weights, set(layer.weights)
        if kinds == set(_NORM):
            norms.append(Norm(layer.name, *(weights[name] for name in _NORM)))
        elif kinds == {"kernel"} and weights["kernel"].ndim == 3:
            convs.append(Conv(layer.name, weights["kernel"].transpose(2, 1, 0)))
        elif kinds == {"kernel", "bias"} and weights["kernel"].ndim == 2:
            denses.append(Dense(layer.name, weights["kernel"].T, weights["bias"]))
        else:
            shapes = ", ".join(f"{name} {' x '.join(map(str, value.shape))}" for name, value in weights.items())
            raise TracksError(
                f"layer {layer.name} holds {shapes}; expected a convolution (kernel of 3 dimensions, no bias), "
                f"a BatchNorm ({', '.join(_NORM)}) or a dense head (kernel of 2 dimensions and bias)"
            )
    if len(denses) > 1:
        names = ", ".join(dense.name for dense in denses)
        raise TracksError(f"it has {len(denses)} dense layers ({names}); expected 1 or none")
    return Layers(tuple(convs), tuple(norms), denses[0] if denses else None)


def _recorded(text: bytes | str | None) -> Recorded:
    """Read from a model's JSON what weights do not say. It describes, and proves nothing; no part of it is needed."""
    if text is None:
        return Recorded()
    try:
        layers = [(str(layer["class_name"]), layer) for layer in json.loads(text)["config"]["layers"]]
        crops = [layer["config"]["cropping"] for kind, layer in layers if kind == "Cropping1D"]
        rates = [layer["config"]["dilation_rate"] for kind, layer in layers if kind == "Conv1D"]
        epsilons = {float(layer["config"]["epsilon"]) for kind, layer in layers if kind == "BatchNormalization"}
        gelus = {gelu for kind, layer in layers if (gelu := _gelu(kind, layer)) is not None}
        return Recorded(
            gelu=gelus.pop() if len(gelus) == 1 else None,
            epsilon=epsilons.pop() if len(epsilons) == 1 and 0 < min(epsilons) < 1 else None,
            dilations=tuple(int(np.ravel(rate)[0]) for rate in rates),
            crop=int(np.ravel(crops[0])[0]) if crops else None,
        )
    except (ValueError, KeyError, TypeError, IndexError, OverflowError):
        return Recorded()


def _gelu(kind: str, layer: Mapping[str, Any]) -> GeluVariant | None:
    """Tell which GELU a layer is: Basenji's own until 2022, or TensorFlow's with its flag. None: neither, or unsaid."""
    if kind == "GELU":
        return "sigmoid"
    if kind == "Gelu":
        return "tanh" if layer["config"]["approximate"] else "erf"
    if kind == "TFOpLambda" and layer["config"].get("function") == "nn.gelu":
        return "tanh" if '"approximate": true' in json.dumps(layer.get("inbound_nodes")) else "erf"
    return None
