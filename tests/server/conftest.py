"""A small project, opened: three chromosomes of odd lengths, one track observed and predicted, one predicted only."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient

from server.app import create_app
from server.site import Site
from tracks.bigwig import Bins, write_bigwig
from tracks.genome import Genome
from tracks.grid import bin_count
from tracks.store import Store

PROJECT = """
name = "small"
genome = "small.fa"
split = "split.bed"

[[track]]
name = "CpG methylation IMR90"
assay = "WGBS"
biosample = "IMR90 lung fibroblast"
unit = "methylated fraction"
color = "#d95f02"
observed = "observed.bw"

[[track]]
name = "LMNB1 LAD liver"
assay = "LMNB1 ChIP-seq"
biosample = "liver"
unit = "covered fraction"
color = "#1b6ca8"
context = true
"""

GENES = """name\tchrom\tstrand\ttx_start\ttx_end\texon_starts\texon_ends
ALPHA1\tchr20\t+\t10000\t90000\t10000,50000\t12000,90000
ALPHA2\tchr20\t-\t95000\t99000\t95000\t99000
BETA\tchr3\t+\t1000\t4000\t1000,3000\t1500,4000
ELSEWHERE\tchrY\t+\t1\t2\t1\t2
"""


@pytest.fixture(scope="session")
def observed(fasta: Path) -> dict[str, np.ndarray]:
    """The observed track: float32 ``[bins]`` a chromosome, a third of them NaN; one chromosome has no data."""
    rng = np.random.default_rng(4)
    found = {}
    for chrom, length in list(Genome(fasta).chrom_sizes.items())[:2]:
        values = rng.random(bin_count(length)).astype(np.float32)
        values[rng.random(len(values)) < 0.3] = np.nan
        found[chrom] = values
    return found


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory, fasta: Path, observed: dict[str, np.ndarray]) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "small.fa").write_bytes(fasta.read_bytes())
    sizes = Genome(fasta).chrom_sizes
    write_bigwig(folder / "observed.bw", sizes, [Bins(chrom, 0, values) for chrom, values in observed.items()])
    (folder / "tracks.toml").write_text(PROJECT)
    (folder / "split.bed").write_text("chr20\t0\t500050\ttrain\n")
    with gzip.open(folder / "genes.tsv.gz", "wt") as file:
        file.write(GENES)
    with gzip.open(folder / "cpg_islands.bed.gz", "wt") as file:
        file.write("chr20\t9500\t11000\nchr3\t900\t1200\n")
    (folder / "loci.bed").write_text("chr20\t280000\t420000\tA border\tSomething changes here.\n")
    return folder / "tracks.toml"


@pytest.fixture
def waiting_site(project: Path, model_folder: Path, tmp_path: Path) -> Iterator[Site]:
    """The project opened, nothing predicted yet: a test starts it, or not."""
    site = Site(project, model_folder, Store(tmp_path / "store"))
    yield site
    site.predictions.stop()


@pytest.fixture(scope="session")
def site(project: Path, model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The project opened, everything predicted."""
    site = Site(project, model_folder, Store(tmp_path_factory.mktemp("store")), fill=True)
    site.predictions.start()
    assert site.predictions.wait(60)
    yield site
    site.predictions.stop()


@pytest.fixture(scope="session")
def static(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page that says nothing, in a folder beside a file that nobody may read."""
    folder = tmp_path_factory.mktemp("page") / "static"
    folder.mkdir()
    (folder / "index.html").write_text("<title>Tracks</title>")
    (folder / "jobs.html").write_text("<title>Jobs</title>")
    (folder / "plugin").mkdir()
    (folder / "plugin" / "plugin.js").write_text("// the plugin")
    (folder.parent / "secret.txt").write_text("secret")
    return folder


@pytest.fixture
def client(site: Site, static: Path) -> FlaskClient:
    """Who asks the opened project from this machine."""
    return create_app(site, static).test_client()
