"""A small real genome file and a small random model, shared by the tests of the model room."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from model.context import ContextConfig
from model.folder import Model, load_model, save_model
from model.heads import HeadSpec, LinearConfig
from model.network import Network
from model.predict import Predictor
from model.trunk import TrunkConfig
from tests.conftest import write_fasta
from tracks.genome import Genome
from tracks.track import Track

# Two busy processes that each wait for their slowest thread slow each other down many times over.
torch.set_num_threads(1)

TINY_TRUNK = TrunkConfig(
    stem_filters=4,
    tower_filters=4,
    tower_growth=1.1,
    residual_filters=4,
    residual_blocks=2,
    embedding_filters=8,
)
TINY_TRACKS = (
    Track("Methylation", "WGBS", "cells", "methylated fraction", "#d95f02"),
    Track("LAD", "DamID", "cells", "covered fraction", "#1b6ca8", context=True),
)


class PassCount:
    """Counts the passes that a predictor's engine makes."""

    def __init__(self, predictor: Predictor) -> None:
        self.count = 0
        self._residual = predictor.engine.residual
        predictor.engine.residual = self._counted  # type: ignore[method-assign]

    def _counted(self, tower: torch.Tensor) -> torch.Tensor:
        self.count += 1
        return self._residual(tower)

    def since(self) -> int:
        """The passes since the last time."""
        self.count, count = 0, self.count
        return count


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Let a test draw the same numbers each time: a few draws in a thousand lie past the edge of a tolerance."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    """Two chromosomes: 600,050 bases with 150 kb of N (window 2 has none of its own), and 100,000 bases."""
    rng = np.random.default_rng(7)
    first = "".join(rng.choice(list("ACGTacgt"), 600_050))
    first = first[:220_000] + "N" * 150_000 + first[370_000:]
    second = "".join(rng.choice(list("ACGGC"), 100_000))
    return Genome(write_fasta(tmp_path_factory.mktemp("genome") / "small.fa", {"chr1": first, "chr2": second}))


def random_model(folder: Path, trunk: TrunkConfig) -> Model:
    """Save and load a random model whose BatchNorm statistics are random too, so that no layer is the identity."""
    context = ContextConfig(
        (50_000, 100_000, 200_000), mean=(0.5, 0.06, 1.0) * 3, deviation=(0.1, 0.02, 0.2) * 3, min_known=0.1
    )
    heads = (HeadSpec("bins", TINY_TRACKS, ("sigmoid", "sigmoid"), LinearConfig(context)),)
    torch.manual_seed(3)
    network = Network(trunk, heads)
    for name, value in network.state_dict().items():
        if "running_mean" in name or ".bias" in name:
            value.normal_(std=0.3)
        elif "running_var" in name or "norm.weight" in name:
            value.uniform_(0.5, 1.5)
        elif name == "heads.bins.context.output.weight":
            value.normal_(std=0.5)
    save_model(
        folder,
        name="tiny",
        trunk=trunk,
        heads=heads,
        weights=network.state_dict(),
        split="chr1\t0\t300000\ttrain\nchr1\t300000\t600050\ttest\n",
        training={"windows": 0},
    )
    return load_model(folder)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A random model, whose residual blocks reach 3 bins, so that no bin sees the ends of a window."""
    return random_model(tmp_path_factory.mktemp("model"), TINY_TRUNK)


@pytest.fixture(scope="session")
def deep_model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The same with the 11 residual blocks of Basenji2, which reach 212 bins: a third of the bins see an end."""
    return random_model(tmp_path_factory.mktemp("deep"), dataclasses.replace(TINY_TRUNK, residual_blocks=11))
