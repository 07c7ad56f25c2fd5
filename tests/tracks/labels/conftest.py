"""A small genome for label sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import write_fasta
from tests.tracks.labels.measured import HOLE, SIZES


@pytest.fixture(scope="session")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(3)
    sequences = {chrom: rng.choice(np.frombuffer(b"ACGT", "S1"), length) for chrom, length in SIZES.items()}
    sequences["chr2"][slice(*HOLE)] = b"N"
    folder = tmp_path_factory.mktemp("genome")
    return write_fasta(folder / "small.fa", {chrom: bases.tobytes().decode() for chrom, bases in sequences.items()})
