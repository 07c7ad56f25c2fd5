"""Real data of one build as labels on another: LADs of liver (hg38) and CpG methylation of IMR90 (hg18) on hg19."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from pyliftover import LiftOver

from tests.tracks.labels.measured import recipe_file, track
from tests.tracks.liftover.made import fetched, fetched_chain
from tracks.grid import BIN
from tracks.labels import BuiltLabels
from tracks.labels.build import build_labels
from tracks.labels.recipe import load_recipe
from tracks.mini import sources
from tracks.mini.methylation import read_bsseq

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


def test_methylation_of_imr90_of_hg18_on_hg19(tmp_path: Path) -> None:
    """All 494,728 CpGs of chr22, each by pyliftover."""
    pytest.importorskip("rdata")
    chain = fetched_chain("hg18ToHg19")
    sites = read_bsseq(fetched(sources.METHYLATION))
    table = np.stack([sites.positions, sites.methylated, sites.coverage], axis=1)
    with gzip.open(tmp_path / "imr90.tsv.gz", "wt", compresslevel=1) as file:
        file.writelines(f"22\t{position}\t{count}\t{total}\n" for position, count, total in table.tolist())
    (tmp_path / "hg19.chrom.sizes").write_text(f"chr22\t{HG19['chr22']}\n")
    columns = {"chrom": 1, "start": 2, "modified": 3, "valid": 4}
    made = track("IMR90", counts="imr90.tsv.gz", columns=columns, lift=str(chain))
    recipe = recipe_file(tmp_path, tmp_path / "hg19.chrom.sizes", made)
    build_labels(load_recipe(recipe), tmp_path / "labels.zarr", processes=1)
    pieces = list(BuiltLabels(tmp_path / "labels.zarr").pieces())
    lift = LiftOver(str(chain))
    counts = np.zeros((2, -(-HG19["chr22"] // BIN)))
    for position, modified, valid in table.tolist():
        places = lift.convert_coordinate("chr22", position)
        if places and len(places) == 1 and places[0][0] == "chr22":
            counts[:, places[0][1] // BIN] += modified, valid
    np.testing.assert_array_equal(np.concatenate([piece.valid[:, 0] for piece in pieces]), counts[1])
    with np.errstate(invalid="ignore"):
        fraction = counts[0] / counts[1]
    np.testing.assert_allclose(np.concatenate([piece.labels[:, 0] for piece in pieces]), fraction, rtol=1e-6)
    assert np.isfinite(fraction).sum() > 150_000
