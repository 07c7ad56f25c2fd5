"""The golden files that real Keras wrote (``golden/make.py``), and ways to write them otherwise."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from model.folder import load_head, load_trunk
from model.heads import head_labels

GOLDEN = Path(__file__).parent / "golden"
LAYOUTS = ("keras2_model.h5", "keras2_weights.h5", "keras3_model.h5", "keras3.weights.h5")


@dataclass
class KerasLayer:
    """A layer of a Keras file: its name and its weights by name, in order."""

    name: str
    weights: dict[str, np.ndarray]


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The golden files by name, unpacked."""
    folder = tmp_path_factory.mktemp("golden")
    paths = {}
    for name in LAYOUTS:
        paths[name] = folder / name
        paths[name].write_bytes(gzip.decompress((GOLDEN / f"{name}.gz").read_bytes()))
    return paths


@pytest.fixture(scope="session")
def expected() -> Mapping[str, np.ndarray]:
    """``codes``, and for each GELU what Keras computes: ``embedding_tanh`` [7, 16], ``labels_tanh`` [5, 16], ..."""
    with np.load(GOLDEN / "expected.npz") as file:
        return dict(file)


@pytest.fixture
def layers(golden: dict[str, Path]) -> list[KerasLayer]:
    """All layers of the golden model, those without weights too, in order."""
    with h5py.File(golden["keras2_model.h5"]) as file:
        root = file["model_weights"]
        return [
            KerasLayer(name, {w.split("/")[-1]: root[name][w][()] for w in root[name].attrs["weight_names"]})
            for name in root.attrs["layer_names"]
        ]


def with_weights(layers: list[KerasLayer], kind: str) -> list[KerasLayer]:
    """Return the layers that have a weight of that name (without ``:0``) in order; the dense one is no ``kernel``."""
    return [layer for layer in layers if f"{kind}:0" in layer.weights and (kind == "bias" or len(layer.weights) != 2)]


def write_keras(
    path: Path,
    layers: list[KerasLayer],
    *,
    made: Callable[[list[KerasLayer]], list[KerasLayer]] = list,
    **attrs: object,
) -> Path:
    """Write layers as Keras 2 ``model.save`` lays them out; ``made`` orders the making of the groups."""
    with h5py.File(path, "w") as file:
        file.attrs.update(attrs)
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [layer.name.encode() for layer in layers]
        for layer in made(layers):
            group = root.create_group(layer.name)
            group.attrs["weight_names"] = [f"{layer.name}/{name}".encode() for name in layer.weights]
            for name, values in layer.weights.items():
                group[f"{layer.name}/{name}"] = values
    return path


def computed(folder: Path, codes: np.ndarray, head: str = "targets") -> tuple[np.ndarray, np.ndarray]:
    """Return the embedding and the labels of one sequence, from a model folder."""
    trunk = load_trunk(folder).trunk
    spec, module = load_head(folder, head)
    with torch.inference_mode():
        embedding = trunk(torch.from_numpy(codes)[None])
        return embedding[0].numpy(), head_labels(spec.links, module(embedding))[0].numpy()


def relative(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return the relative error, in L2 norm."""
    return float(np.linalg.norm(found.astype(np.float64) - wanted) / np.linalg.norm(wanted.astype(np.float64)))
