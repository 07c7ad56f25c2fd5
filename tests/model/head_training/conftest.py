"""A genome whose base composition wanders, a small random trunk, and labels that are functions of the sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch

from model.folder import save_trunk
from model.trunk import Trunk, TrunkConfig
from tests.conftest import write_fasta
from tracks.genome import Genome
from tracks.grid import BIN, BINS, FLANK, INPUT
from tracks.split import Fold
from tracks.track import Track
from tracks.windows import Scope, WindowRow

TRUNK = TrunkConfig(
    stem_filters=8,
    tower_filters=8,
    tower_growth=1.1,
    residual_filters=8,
    residual_blocks=2,
    embedding_filters=24,
)
TRACKS = (
    Track("Lamina", "ChIP-seq", "cells", "log2 enrichment", "#1b6ca8"),
    Track("Methylation", "WGBS", "cells", "methylated fraction", "#d95f02"),
    Track("Calls", "WGBS", "cells", "CpG calls per 128 bp", "#666666"),
)
TRAIN, VALID, TEST = 40, 12, 16


@dataclass
class InMemoryLabels:
    """A label set of arrays: one ``[rows, 896 or 1, tracks]`` for each scope."""

    name: str
    windows: tuple[WindowRow, ...]
    arrays: dict[Scope, np.ndarray]
    described: tuple[Track, ...] = TRACKS
    covered: dict[Scope, np.ndarray] = field(default_factory=dict)
    largest_read: int = 0

    @property
    def scopes(self) -> tuple[Scope, ...]:
        return tuple(self.arrays)

    def tracks(self, scope: Scope) -> tuple[Track, ...]:
        return self.described

    def labels(self, rows: np.ndarray, scope: Scope) -> np.ndarray:
        self.largest_read = max(self.largest_read, len(rows))
        return self.arrays[scope][rows].copy()

    def coverage(self, rows: np.ndarray, scope: Scope) -> np.ndarray | None:
        return self.covered[scope][rows] if scope in self.covered else None

    def rows(self, fold: Fold) -> np.ndarray:
        return np.array([row for row, window in enumerate(self.windows) if window.fold == fold])


@pytest.fixture(scope="session")
def wandering(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    """One chromosome of 69 windows; GC content wanders between 0.25 and 0.75 over some kb, and from window to
    window."""
    rng = np.random.default_rng(5)
    windows = TRAIN + VALID + TEST + 1
    bins = windows * INPUT // BIN
    steps = np.repeat(rng.normal(size=bins // 16 + 1), 16)[:bins] + np.repeat(rng.normal(size=windows), 1024)[:bins]
    gc = np.repeat(0.5 + 0.25 * np.tanh(steps), BIN)
    strong = rng.random(len(gc)) < gc
    letters = np.where(strong, rng.choice([b"C", b"G"], len(gc)), rng.choice([b"A", b"T"], len(gc)))
    path = tmp_path_factory.mktemp("wandering") / "genome.fa"
    return Genome(write_fasta(path, {"chr1": letters.astype("S1").tobytes().decode()}))


@pytest.fixture(scope="session")
def trunk_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random trunk in which no layer is the identity."""
    torch.manual_seed(3)
    trunk = Trunk(TRUNK)
    for name, value in trunk.state_dict().items():
        if "running_mean" in name or "norm.bias" in name:
            value.normal_(std=0.1)
        elif "running_var" in name or "norm.weight" in name:
            value.uniform_(0.5, 1.5)
    folder = tmp_path_factory.mktemp("trunk")
    save_trunk(folder, name="tiny", config=TRUNK, weights=trunk.state_dict(), source={"made": "by a test"})
    return folder


def windows_of(train: int = TRAIN, valid: int = VALID, test: int = TEST) -> tuple[WindowRow, ...]:
    """Windows side by side, off the grid, in an order that is not that of the chromosome."""
    folds: Sequence[Fold] = ("train",) * train + ("valid",) * valid + ("test",) * test
    places = np.random.default_rng(1).permutation(len(folds))
    return tuple(WindowRow("chr1", int(place) * INPUT + 37, fold) for place, fold in zip(places, folds, strict=True))


def labels_of(genome: Genome, windows: Sequence[WindowRow], seed: int = 2) -> InMemoryLabels:
    """Labels that are functions of the GC content of each bin, or of the window, and alike on both strands."""
    rng = np.random.default_rng(seed)
    codes = np.stack([genome.codes(w.chrom, w.start + FLANK, w.start + FLANK + BINS * BIN) for w in windows])
    gc = np.isin(codes, (1, 2)).reshape(len(windows), BINS, BIN).mean(axis=2)
    arrays: dict[Scope, np.ndarray] = {}
    for scope, seen in (("bins", gc), ("window", gc.mean(axis=1, keepdims=True))):
        lamina = 3 - 6 * seen
        methylation = 1 / (1 + np.exp(-8 * (0.5 - seen)))
        calls = rng.poisson(40 * seen**2).astype(float)
        arrays[scope] = np.stack([lamina, methylation, calls], axis=2).astype(np.float32)  # type: ignore[index]
    arrays["bins"][:, ::7, 1] = np.nan
    return InMemoryLabels("wandering", tuple(windows), arrays)


@pytest.fixture(scope="session")
def label_set(wandering: Genome) -> InMemoryLabels:
    return labels_of(wandering, windows_of())


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A residual cache that the tests fill together."""
    return tmp_path_factory.mktemp("cache")
