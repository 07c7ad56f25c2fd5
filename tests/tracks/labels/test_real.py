"""Real domains of one build as labels on another: LADs of liver (Shah et al. 2023, hg38) on hg19."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from pyliftover import LiftOver

from tests.tracks.labels.measured import recipe_file, track
from tests.tracks.liftover.made import fetched_chain
from tracks.grid import BIN
from tracks.labels import BuiltLabels
from tracks.labels.build import build_labels
from tracks.labels.recipe import load_recipe

LADS = Path(__file__).parents[4] / "shared/reference/GSM5669232_Liver_LADs.sorted.bed.gz"
HG19 = {"chr20": 63_025_520, "chr22": 51_304_566}
HG38 = {"chr20": 64_444_167, "chr22": 50_818_468}


@pytest.mark.skipif(not LADS.exists(), reason="the LADs of GEO GSM5669232 are not beside the project")
def test_liver_lads_of_hg38_on_hg19(tmp_path: Path) -> None:
    chain = fetched_chain("hg38ToHg19")
    (tmp_path / "hg19.chrom.sizes").write_text("".join(f"{chrom}\t{length}\n" for chrom, length in HG19.items()))
    recipe = recipe_file(
        tmp_path,
        tmp_path / "hg19.chrom.sizes",
        track("all", intervals=str(LADS), lift=str(chain)),
        track("first class", intervals=str(LADS), lift=str(chain), named="T1LAD"),
    )
    build_labels(load_recipe(recipe), tmp_path / "labels.zarr", processes=1)
    pieces = list(BuiltLabels(tmp_path / "labels.zarr").pieces())
    with gzip.open(LADS, "rt") as lines:
        domains = [line.split("\t")[:4] for line in lines]
    lift = LiftOver(str(chain))
    rng = np.random.default_rng(0)
    for chrom, length in HG38.items():
        labels = np.concatenate([piece.labels for piece in pieces if piece.chrom == chrom])
        assert np.isfinite(labels).mean() > 0.6
        seen = np.zeros(2, int)
        spans = [(int(start), int(end), name) for where, start, end, name in domains if where == chrom]
        for position in rng.integers(0, length, 4_000).tolist():
            places = lift.convert_coordinate(chrom, position)
            if not places or len(places) > 1 or places[0][0] != chrom:
                continue
            covered = labels[places[0][1] // BIN]
            inside = [name for start, end, name in spans if start <= position < end]
            # A bin that is all in or all out says what holds for each of its bases.
            for at, held in enumerate((bool(inside), any(name.startswith("T1LAD") for name in inside))):
                if covered[at] in (0, 1):
                    assert covered[at] == held
                    seen[at] += 1
        assert (seen > 2_000).all()
