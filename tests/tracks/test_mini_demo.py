"""The embedded demo data: what it promises about sequence, observed tracks, genes and provenance."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pyBigWig
import pytest

from tracks.bigwig import read_bins, read_chrom_sizes
from tracks.errors import UsageError
from tracks.files import sha256
from tracks.genome import Genome
from tracks.grid import BIN
from tracks.mini import labels, prepare_demo
from tracks.mini.cache import Cache
from tracks.mini.demo import KEPT, _project_text
from tracks.project import load_project
from tracks.regions import Region
from tracks.split import read_split

DEMO = Path(__file__).parents[2] / "tracks" / "demo"
SIZES = {"chr20": 63_025_520, "chr22": 51_304_566}


@pytest.fixture(scope="module")
def genome() -> Genome:
    return Genome(DEMO / "hg19_demo.fa.gz")


@pytest.fixture(scope="module")
def genes() -> list[dict[str, str]]:
    with gzip.open(DEMO / "genes.tsv.gz", "rt") as lines:
        header, *rows = (line.rstrip("\n").split("\t") for line in lines)
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_it_is_small_enough_for_the_repository() -> None:
    assert sum(path.stat().st_size for path in DEMO.rglob("*") if path.is_file()) <= 7_000_000


def test_chromosomes_are_whole_with_n_outside_the_kept_spans(genome: Genome) -> None:
    assert genome.chrom_sizes == SIZES
    for chrom, length in SIZES.items():
        known = genome.codes(chrom, 0, length) < 4
        kept = np.zeros(length, bool)
        for start, end in KEPT[chrom]:
            kept[start:end] = True
            assert known[start:end].mean() > (0.99 if chrom == "chr20" else 0.6)
        assert not known[~kept].any()


def test_introns_begin_with_gt_and_end_with_ag(genome: Genome, genes: list[dict[str, str]]) -> None:
    """Sequence and gene models come from different places; they meet at splice sites only when both are right."""
    complement = np.array([3, 2, 1, 0, 4])
    donors, acceptors = [], []
    for gene in genes:
        starts, ends = ([int(place) for place in gene[key].split(",")] for key in ("exon_starts", "exon_ends"))
        for intron_start, intron_end in zip(ends[:-1], starts[1:], strict=True):
            first = genome.codes(gene["chrom"], intron_start, intron_start + 2)
            last = genome.codes(gene["chrom"], intron_end - 2, intron_end)
            if gene["strand"] == "-":
                first, last = complement[last[::-1]], complement[first[::-1]]
            if (first < 4).all() and (last < 4).all():
                donors.append(first.tolist() == [2, 3])
                acceptors.append(last.tolist() == [0, 2])
    assert len(donors) > 1_000
    # About one intron in a hundred has other ends (GC-AG, AT-AC).
    assert np.mean(donors) > 0.97
    assert np.mean(acceptors) > 0.98


@pytest.mark.parametrize("slug", ["cpg_methylation_imr90", "lmnb1_lad_tig_3"])
def test_observed_tracks_are_fractions_inside_the_kept_spans(genome: Genome, slug: str) -> None:
    path = DEMO / "observed" / f"{slug}.bw"
    assert read_chrom_sizes(path).items() <= SIZES.items()
    found = 0
    with pyBigWig.open(str(path)) as handle:
        for chrom, length in handle.chroms().items():
            for start, end, value in handle.intervals(chrom) or ():
                assert 0 <= value <= 1
                assert start % BIN == 0
                assert end % BIN == 0 or end == length
                assert any(first <= start and end <= last for first, last in KEPT[chrom])
                found += end - start
            values = read_bins(path, Region(chrom, 0, length))
            codes = genome.codes(chrom, 0, len(values) * BIN).reshape(-1, BIN)
            assert ((codes < 4).sum(axis=1)[np.isfinite(values)] >= 64).all()
    assert found > 2_000_000


def test_methylation_is_seen_only_in_bins_with_a_cpg(genome: Genome) -> None:
    values = read_bins(DEMO / "observed" / "cpg_methylation_imr90.bw", Region("chr22", 0, SIZES["chr22"]))
    codes = genome.codes("chr22", 0, len(values) * BIN + 1)
    cpg = ((codes[:-1] == 1) & (codes[1:] == 2)).reshape(-1, BIN).any(axis=1)
    seen = np.isfinite(values)
    assert not (seen & ~cpg).any()
    assert seen[cpg].mean() > 0.9


def test_islands_are_less_methylated_than_the_rest() -> None:
    """What makes the label worth learning; without the repair islands would look like the rest."""
    length = SIZES["chr22"]
    values = read_bins(DEMO / "observed" / "cpg_methylation_imr90.bw", Region("chr22", 0, length))
    island = labels.covered_fraction(labels.read_intervals(DEMO / "cpg_islands.bed.gz", "chr22"), length) > 0.99
    assert np.nanmean(values[~island]) > 0.65
    assert np.nanmean(values[island]) < 0.45


def test_the_lad_track_is_its_intervals() -> None:
    path = DEMO / "observed" / "lmnb1_lad_tig_3.bw"
    fraction = labels.covered_fraction(labels.read_intervals(DEMO / "lads_tig3.bed.gz", "chr20"), SIZES["chr20"])
    values = read_bins(path, Region("chr20", 0, SIZES["chr20"]))
    seen = np.isfinite(values)
    np.testing.assert_array_equal(values[seen], fraction[seen])
    assert 0.1 < values[seen].mean() < 0.9


def test_genes_have_their_exons_inside(genes: list[dict[str, str]]) -> None:
    assert {gene["chrom"] for gene in genes} == set(SIZES)
    for gene in genes:
        starts, ends = ([int(place) for place in gene[key].split(",")] for key in ("exon_starts", "exon_ends"))
        assert gene["strand"] in "+-"
        assert int(gene["tx_start"]) == starts[0]
        assert int(gene["tx_end"]) == ends[-1] <= SIZES[gene["chrom"]]
        assert all(start < end for start, end in zip(starts, ends, strict=True))


def test_the_project_has_four_targets_and_observes_only_what_may_be_passed_on() -> None:
    project = load_project(DEMO / "tracks.toml")
    assert [(entry.name, entry.observed is not None) for entry in project.targets()] == [
        ("CpG methylation IMR90", True),
        ("LMNB1 LAD Tig-3", True),
        ("LMNB1 LAD cardiac myocytes", False),
        ("LMNB1 LAD liver", False),
    ]
    assert len(project.track) == 4
    assert all(entry.observed.is_file() for entry in project.track if entry.observed)
    shown = [(entry.name, entry.color, entry.bed.is_file()) for entry in project.annotation]
    assert shown == [("CpG islands", "#2a7f62", True), ("LADs Tig-3", "#1b6ca8", True)]
    assert project.genes == DEMO / "genes.tsv.gz"
    assert (DEMO / "tracks.toml").read_text() == _project_text(), "what would be made now"


def test_every_kept_span_holds_a_held_out_block() -> None:
    split = load_project(DEMO / "tracks.toml").split
    assert split is not None
    held_out = [block.region for block in read_split(split) if block.fold != "train"]
    for chrom, spans in KEPT.items():
        for start, end in spans:
            assert any(
                block.chrom == chrom and start <= block.start and block.end - end <= 1_000_000 for block in held_out
            )


def test_provenance_gives_the_digest_of_every_file() -> None:
    text = (DEMO / "PROVENANCE.md").read_text()
    listed = dict(re.findall(r"^\| `([^`]+)` \| [\d,]+ \| `([0-9a-f]{64})` \|$", text, flags=re.MULTILINE))
    present = {str(path.relative_to(DEMO)): sha256(path) for path in DEMO.rglob("*") if path.is_file()}
    assert {name: present.get(name) for name in listed} == listed
    assert set(present) - set(listed) <= {"PROVENANCE.md", "loci.bed"}


def test_a_folder_without_prepared_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no genome/hg19\.fa\.gz; make the folder with: tracks data mini"):
        prepare_demo(tmp_path, tmp_path / "out", Cache(tmp_path / "cache"))
    assert not (tmp_path / "out").exists()
