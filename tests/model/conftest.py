"""A small real genome file and a small random model, shared by the tests of the model room."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.context import ContextConfig
from model.folder import Model, load_model, save_model
from model.heads import HeadSpec, LinearConfig
from model.network import Network
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


@pytest.fixture(scope="session")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    """Two chromosomes: 600,050 bases with 150 kb of N (window 2 has none of its own), and 100,000 bases."""
    rng = np.random.default_rng(7)
    first = "".join(rng.choice(list("ACGTacgt"), 600_050))
    first = first[:220_000] + "N" * 150_000 + first[370_000:]
    second = "".join(rng.choice(list("ACGGC"), 100_000))
    return Genome(write_fasta(tmp_path_factory.mktemp("genome") / "small.fa", {"chr1": first, "chr2": second}))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A random model whose BatchNorm statistics are random too, so that no layer is the identity."""
    folder = tmp_path_factory.mktemp("model")
    context = ContextConfig(
        (50_000, 100_000, 200_000), mean=(0.5, 0.06, 1.0) * 3, deviation=(0.1, 0.02, 0.2) * 3, min_known=0.1
    )
    heads = (HeadSpec("bins", TINY_TRACKS, ("sigmoid", "sigmoid"), LinearConfig(context)),)
    torch.manual_seed(3)
    network = Network(TINY_TRUNK, heads)
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
        trunk=TINY_TRUNK,
        heads=heads,
        weights=network.state_dict(),
        split="chr1\t0\t300000\ttrain\nchr1\t300000\t600050\ttest\n",
        training={"windows": 0},
    )
    return load_model(folder)
