"""A genome of three chromosomes, and reading a bigWig back with a library that did not write it."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pyBigWig
import pytest

SIZES = {"chr2": 9_000_000, "chr1": 5_000_000, "chrM": 16_569}
"""Not in the order of their names; chr2 has three tiles."""

Runs = dict[str, list[tuple[int, int, float]]]


@pytest.fixture
def read() -> Callable[[Path], Runs]:
    def read_runs(path: Path) -> Runs:
        with pyBigWig.open(str(path)) as handle:
            assert handle.chroms() == SIZES
            found = {chrom: list(handle.intervals(chrom) or ()) for chrom in SIZES}
        return {chrom: runs for chrom, runs in found.items() if runs}

    return read_runs


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write a file by name and text, packed where its name ends in .gz."""

    def write_text(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return write_text
