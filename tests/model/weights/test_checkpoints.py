"""The published heads: against float64 NumPy for the two that survive, against PyTorch's own layers for the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import erf
from torch import nn

from model.folder import load_head
from model.heads import HeadSpec, head_labels
from model.weights import import_weights
from model.weights.importing import read_weights
from tests.model.conftest import TINY_TRUNK
from tracks.catalogue import published_tracks
from tracks.errors import TracksError
from tracks.grid import BINS

REFERENCE = Path(__file__).resolve().parents[4] / "shared" / "reference"
needs_reference = pytest.mark.skipif(
    not (REFERENCE / "linear_probe.pth").exists(), reason="the published checkpoints are not here"
)
FILTERS, TRACKS = 12, 18


def embedding(filters: int, seed: int = 8) -> np.ndarray:
    """An embedding of one window, as published: positive for the most part, and stored as float16."""
    values = np.random.default_rng(seed).gamma(0.3, 1.0, (filters, BINS)) - 0.1
    return values.astype(np.float16).astype(np.float32)


def imported(path: Path, folder: Path, values: np.ndarray) -> tuple[HeadSpec, np.ndarray]:
    """Import a head, load it, and return its labels for one embedding."""
    name = import_weights(path, folder).head
    assert name is not None
    spec, head = load_head(folder, name.name)
    with torch.inference_mode():
        return spec, head_labels(spec.links, head(torch.from_numpy(values)[None]))[0].numpy()


def weights_of(path: Path) -> dict[str, np.ndarray]:
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {key: value.double().numpy() for key, value in state.items()}


@needs_reference
def test_the_published_linear_probe(tmp_path: Path) -> None:
    path, values = REFERENCE / "linear_probe.pth", embedding(1536)
    spec, labels = imported(path, tmp_path, values)
    weights = weights_of(path)
    raw = weights["conv_layer.weight"][:, :, 0] @ values.astype(np.float64) + weights["conv_layer.bias"][:, None]
    assert labels.shape == (18, 896)
    np.testing.assert_allclose(labels, np.logaddexp(0, raw), rtol=2e-5, atol=2e-4)
    # As the float64 formula gave them once, so that a change of file, formula and reader together shows too.
    np.testing.assert_allclose(labels[0, :6], [72.3315, 190.0361, 106.2492, 120.5731, 150.7809, 211.7073], rtol=1e-4)
    np.testing.assert_allclose(labels.mean(axis=1)[[0, 9, 14, 17]], [130.6685, 109.6299, 81.4392, 37.7649], rtol=1e-4)
    assert spec.tracks == published_tracks("bins")
    assert spec.half_embedding
    assert (spec.name, spec.scope, set(spec.links)) == ("linear", "bins", {"softplus"})


@needs_reference
def test_the_published_maxpool_perceptron(tmp_path: Path) -> None:
    path, values = REFERENCE / "maxpool_perceptron.pth", embedding(1536)
    spec, labels = imported(path, tmp_path, values)
    weights = weights_of(path)
    mixed = weights["layers.conv1x1.weight"][:, :, 0] @ values.astype(np.float64)
    mixed += weights["layers.conv1x1.bias"][:, None]
    highest = (mixed * 0.5 * (1 + erf(mixed / np.sqrt(2)))).max(axis=1)
    wanted = weights["layers.fc1.weight"] @ highest + weights["layers.fc1.bias"]
    np.testing.assert_allclose(labels, wanted, rtol=2e-5, atol=2e-4)
    np.testing.assert_allclose(labels[[0, 9, 14, 17]], [40.0667, 37.9837, 72.019, 6.1168], rtol=1e-4)
    assert spec.tracks == published_tracks("window")
    assert spec.half_embedding
    assert (spec.name, spec.scope, set(spec.links)) == ("maxpool", "window", {"identity"})


class OriginalAttention(nn.Module):
    """The published layer as PyTorch's own parts, with the names that its checkpoint has."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(FILTERS, 6, dropout=0.2)
        self.norm1, self.norm2 = nn.LayerNorm(FILTERS), nn.LayerNorm(FILTERS)
        self.feed_forward = nn.Sequential(nn.Linear(FILTERS, 20), nn.ReLU(), nn.Dropout(0.2), nn.Linear(20, FILTERS))
        self.output_transform = nn.Linear(FILTERS, TRACKS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``[1, 896, C]``: the first axis is what it attends over, for batch_first is off."""
        query = self.norm1(self.attention(x, x, x)[0] + x)
        return self.output_transform(self.norm2(self.feed_forward(query) + query)).mean(dim=1)


class OriginalPerceptron(nn.Module):
    """The published conv and max-pool perceptrons."""

    def __init__(self, pool: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        self.layers.add_module("conv1x1", nn.Conv1d(FILTERS, 5, 1))
        self.layers.add_module("gelu", nn.GELU())
        if pool:
            self.layers.add_module("pool", nn.MaxPool1d(BINS))
        self.layers.add_module("flatten", nn.Flatten())
        self.layers.add_module("fc1", nn.Linear(5 if pool else 5 * BINS, TRACKS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``[1, 896, C]`` to ``[1, 18]``."""
        labels: torch.Tensor = self.layers(x.transpose(1, 2))
        return labels


class OriginalProbe(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv_layer = nn.Conv1d(FILTERS, TRACKS, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``[1, 896, C]`` to ``[1, 18, 896]``."""
        return nn.Softplus()(self.conv_layer(x.transpose(1, 2)))


ORIGINALS = {
    "linear": OriginalProbe,
    "conv": lambda: OriginalPerceptron(pool=False),
    "maxpool": lambda: OriginalPerceptron(pool=True),
    "attention": OriginalAttention,
}


@pytest.mark.parametrize("kind", list(ORIGINALS))
def test_each_head_acts_as_the_original_on_one_window(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(4)
    original = ORIGINALS[kind]().eval()
    for value in original.state_dict().values():
        value.normal_(std=0.4)
    torch.save(original.state_dict(), tmp_path / "model_20231128_3")
    values = embedding(FILTERS)
    with torch.inference_mode():
        wanted = original(torch.from_numpy(values).T[None])[0].numpy()
    spec, labels = imported(tmp_path / "model_20231128_3", tmp_path / "folder", values)
    assert spec.config.kind == spec.name == kind
    assert labels.shape == wanted.shape
    np.testing.assert_allclose(labels, wanted, rtol=1e-4, atol=1e-4)


def test_a_head_of_other_tracks_gets_numbered_ones(tmp_path: Path) -> None:
    torch.save({"conv_layer.weight": torch.zeros(3, 8, 1), "conv_layer.bias": torch.zeros(3)}, tmp_path / "own.pth")
    head = import_weights(tmp_path / "own.pth", tmp_path / "folder").head
    assert head is not None
    assert [track.name for track in head.tracks] == ["target 0", "target 1", "target 2"]
    assert TINY_TRUNK.embedding_filters == 8


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"weight": (3, 4)}, r"it has the entries weight; expected a published head \(conv_layer"),
        (
            {"conv_layer.weight": (3, 4, 3), "conv_layer.bias": (3,)},
            "conv_layer.weight: expected any x any x 1, found 3 x 4 x 3",
        ),
        ({"conv_layer.weight": (3, 4, 1), "conv_layer.bias": (4,)}, "conv_layer.bias: expected 3, found 4"),
        (
            {
                "layers.conv1x1.weight": (5, 4, 1),
                "layers.conv1x1.bias": (5,),
                "layers.fc1.weight": (3, 500),
                "layers.fc1.bias": (3,),
            },
            r"layers.fc1.weight reads 500 numbers; expected 5 \(max-pool\) or 4,480 \(conv\)",
        ),
    ],
)
def test_other_shapes_are_named(state: dict[str, tuple[int, ...]], says: str, tmp_path: Path) -> None:
    torch.save({key: torch.zeros(shape) for key, shape in state.items()}, tmp_path / "odd.pth")
    with pytest.raises(TracksError, match=says):
        read_weights(tmp_path / "odd.pth")


def test_attention_of_another_width_is_named(tmp_path: Path) -> None:
    state = OriginalAttention().state_dict()
    torch.save({**state, "attention.in_proj_weight": torch.zeros(24, 12)}, tmp_path / "odd.pth")
    with pytest.raises(TracksError, match="in_proj_weight: expected 36 x 12, found 24 x 12"):
        read_weights(tmp_path / "odd.pth")
