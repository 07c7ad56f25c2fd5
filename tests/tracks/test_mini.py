"""The data preparation: its parts on small inputs, and the embedded demo data that it made."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyliftover import LiftOver

from tracks.bigwig import read_bins, read_chrom_sizes
from tracks.errors import TracksError
from tracks.genome import Genome
from tracks.mini import labels, methylation, sequence, sources
from tracks.mini.demo import KEPT
from tracks.mini.methylation import Sites
from tracks.mini.sequence import CHROM_SIZES
from tracks.project import load_project
from tracks.regions import Region
from tracks.split import read_split

DEMO = Path(__file__).parents[2] / "tracks" / "demo"

MAF = """##maf version=1
a
s Hsap.22 5 6 + 30 ACgt--NA
s Ptro.22 0 6 + 90 ACGTTTNA

a
s Hsap.22 20 3 + 30 TTT
"""


def test_alignment_rows_are_bases_at_their_positions() -> None:
    rows = list(sequence.alignment_rows(MAF.splitlines(), "Hsap.22", 30))
    assert [(start, bases.tobytes()) for start, bases in rows] == [(5, b"ACGTNA"), (20, b"TTT")]


def test_an_alignment_row_of_another_length_is_refused() -> None:
    with pytest.raises(TracksError, match=r"line 7: Hsap\.22 has 3 bases and says 4"):
        list(sequence.alignment_rows(MAF.replace("20 3", "20 4").splitlines(), "Hsap.22", 30))
    with pytest.raises(TracksError, match="reverse strand"):
        list(sequence.alignment_rows(MAF.replace("20 3 +", "20 3 -").splitlines(), "Hsap.22", 30))


def test_sources_of_sequence_fill_each_other_and_must_agree() -> None:
    whole = sequence.letters(b"NNACNN").copy()
    sequence.fill(whole, 1, sequence.letters(b"GANT"))
    assert whole.tobytes() == b"NGACTN"
    with pytest.raises(TracksError, match="disagree at base 3"):
        sequence.fill(whole, 2, sequence.letters(b"C"))
    assert sequence.masked(whole, [(1, 3)]).tobytes() == b"NGANNN"


def test_a_written_fasta_is_read_back(tmp_path: Path) -> None:
    text = b"ACGTN" * 61 + b"AC"
    sequence.write_fasta(tmp_path / "x.fa.gz", {"chrA": sequence.letters(text), "chrB": sequence.letters(b"acgx")})
    genome = Genome(tmp_path / "x.fa.gz")
    assert genome.chrom_sizes == {"chrA": 307, "chrB": 4}
    assert "".join("ACGTN"[code] for code in genome.codes("chrA", 0, 307)) == text.decode()
    assert genome.codes("chrB", 0, 4).tolist() == [0, 1, 2, 4]
    assert {path.name for path in tmp_path.iterdir()} == {"x.fa.gz", "x.fa.gz.fai", "x.fa.gz.gzi"}


intervals = st.lists(st.tuples(st.integers(0, 990), st.integers(1, 400)), max_size=8)


@given(intervals)
def test_covered_fraction_equals_marking_bases(spans: list[tuple[int, int]]) -> None:
    length = 1_000
    rows = np.array([(start, start + size) for start, size in spans], np.int64).reshape(-1, 2)
    marked = np.zeros(length, bool)
    for start, end in rows:
        marked[start:end] = True
    expected = [marked[start : start + 128].mean() for start in range(0, length, 128)]
    np.testing.assert_allclose(labels.covered_fraction(rows, length), expected, rtol=1e-6)


@pytest.fixture
def chain(tmp_path: Path) -> LiftOver:
    """10,000 bases stay, 10,000 move by 5,000 onto the other strand, the rest has no place."""
    path = tmp_path / "test.chain.gz"
    path.write_bytes(
        gzip.compress(
            b"chain 1000 chr1 40000 + 0 10000 chr1 50000 + 0 10000 1\n10000\n\n"
            b"chain 900 chr1 40000 + 10000 20000 chr1 50000 - 25000 35000 2\n10000\n\n"
        )
    )
    return LiftOver(str(path))


def test_pieces_follow_the_chain_and_its_strand(chain: LiftOver) -> None:
    pieces = labels.lifted_pieces(chain, "chr1", 40_000)
    assert pieces[:, 0].tolist() == list(range(0, 20_000, 1_000))
    np.testing.assert_array_equal(pieces[:10, 1], np.arange(0, 10_000, 1_000))
    # On the reverse strand 10,000 is the last base of what lies at 15,000 to 25,000.
    np.testing.assert_array_equal(pieces[10:, 2], np.arange(25_000, 15_000, -1_000))
    assert (pieces[:, 2] - pieces[:, 1] == 1_000).all()


def test_lifted_domains_are_masked_where_nothing_lifts(chain: LiftOver) -> None:
    pieces = labels.lifted_pieces(chain, "chr1", 40_000)
    fraction = labels.lifted_fraction(np.array([[2_000, 4_000], [12_000, 14_000]]), pieces, 50_000)
    bases = np.full(50_048, np.nan)
    bases[:10_000] = bases[15_000:25_000] = 0
    bases[2_000:4_000] = 1
    bases[21_000:23_000] = 1  # 12,000 to 14,000 read from the other end
    split = bases.reshape(-1, 128)
    reached = np.isfinite(split).sum(axis=1) >= 64
    np.testing.assert_array_equal(np.isfinite(fraction), reached)
    np.testing.assert_allclose(fraction[reached], np.nanmean(split[reached], axis=1), rtol=1e-6)


def test_repair_restores_the_cpgs_that_the_data_omits() -> None:
    codes = np.full(20_000, 0, np.uint8)
    for position in (100, 200, 5_100, 5_101 + 5_000, 19_000):
        codes[position : position + 2] = (1, 2)
    sites = Sites(np.array([100, 300, 5_100]), np.array([3, 9, 4]), np.array([4, 9, 8]))
    found = methylation.repaired(sites, codes)
    # 300 is no CG; 200 lies near 100; 10,101 lies 5,001 from 5,100, and 19,000 further.
    assert found.positions.tolist() == [100, 5_100, 200]
    assert found.methylated.tolist() == [3, 4, 0]
    assert found.coverage.tolist() == [4, 8, 20]


def test_sites_off_every_cg_are_a_wrong_build() -> None:
    with pytest.raises(TracksError, match="the build or the positions are wrong"):
        methylation.repaired(Sites(*(np.array([5]),) * 3), np.zeros(100, np.uint8))


def test_methylated_fraction_is_weighted_by_coverage() -> None:
    sites = Sites(np.array([0, 127, 128, 300]), np.array([1, 3, 0, 0]), np.array([10, 10, 5, 0]))
    fraction = methylation.methylated_fraction(sites, 400)
    np.testing.assert_array_equal(fraction, np.array([0.2, 0, np.nan, np.nan], np.float32))


def test_lifted_sites_keep_their_counts(chain: LiftOver) -> None:
    found = methylation.lifted(Sites(np.array([50, 15_000, 30_000]), np.arange(3), np.arange(3)), chain, "chr1")
    assert found.positions.tolist() == [50]  # the second lies on the other strand, the third has no place
    assert found.methylated.tolist() == [0]


def _source(digest: str) -> sources.Source:
    return sources.Source("apt", "some-package", "usr/share/file.txt", digest, "MIT", "a test file")


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """apt-get and dpkg-deb that hand out one package with one file: real processes, no network."""
    archive = tmp_path / "files.tar"
    with tarfile.open(archive, "w") as files:
        member = tarfile.TarInfo("./usr/share/file.txt")
        member.size = 5
        files.addfile(member, io.BytesIO(b"hello"))
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "apt-get").write_text(
        '#!/bin/sh\n[ "$2" = some-package ] || { echo "E: no $2" >&2; exit 100; }\n: > x.deb\n'
    )
    (programs / "dpkg-deb").write_text(f"#!/bin/sh\ncat {archive}\n")
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    return tmp_path


def test_a_file_of_a_debian_package_is_fetched_once(debian: Path) -> None:
    said: list[str] = []
    source = _source(hashlib.sha256(b"hello").hexdigest())
    with sources.Cache(debian / "cache", None, said.append) as cache:
        found = cache.get(source)
    assert found.read_text() == "hello"
    with sources.Cache(debian / "cache", None, said.append) as cache:
        assert cache.get(source) == found
    assert len(said) == 1


def test_another_file_than_the_one_meant_leaves_nothing(debian: Path) -> None:
    found = hashlib.sha256(b"hello").hexdigest()
    refusal = pytest.raises(TracksError, match=rf"SHA-256 should be {'0' * 64}, found {found}; nothing was kept")
    with sources.Cache(debian / "cache", None, lambda line: None) as cache, refusal:
        cache.get(_source("0" * 64))
    assert not list((debian / "cache").glob("*"))


def test_a_package_that_apt_does_not_have(debian: Path) -> None:
    source = sources.Source("apt", "other", "x", "0" * 64, "MIT", "x")
    refusal = pytest.raises(TracksError, match="the Debian package other: apt-get download other: E: no other")
    with sources.Cache(debian / "cache", None, lambda line: None) as cache, refusal:
        cache.get(source)


def test_a_machine_without_apt_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    refusal = pytest.raises(TracksError, match="this needs apt-get and dpkg-deb")
    with sources.Cache(tmp_path / "cache", None, lambda line: None) as cache, refusal:
        cache.get(_source("0" * 64))


def test_a_folder_without_the_geo_files_is_told_which(tmp_path: Path) -> None:
    refusal = pytest.raises(TracksError, match=r"holds no GSM5669183_CardiacMyocytes.*; get it from GEO")
    with sources.Cache(tmp_path / "cache", tmp_path, lambda line: None) as cache, refusal:
        cache.get(sources.LADS_CARDIAC)


# The embedded demo data.


@pytest.fixture(scope="module")
def demo_genome() -> Genome:
    return Genome(DEMO / "hg19_demo.fa.gz")


def test_the_demo_genome_is_hg19_with_n_elsewhere(demo_genome: Genome) -> None:
    assert demo_genome.chrom_sizes == {chrom: CHROM_SIZES[chrom] for chrom in ("chr20", "chr22")}
    for chrom, length in demo_genome.chrom_sizes.items():
        known = demo_genome.codes(chrom, 0, length) < 4
        kept = np.zeros(length, bool)
        for start, end in KEPT[chrom]:
            kept[start:end] = True
            assert known[start:end].mean() > (0.99 if chrom == "chr20" else 0.6)
        assert not known[~kept].any()


def test_the_demo_genome_is_the_reference(demo_genome: Genome) -> None:
    """A place that anyone can look up: SNAP25's exons by GENCODE start and end at splice sites, AG before, GT after."""
    with gzip.open(DEMO / "genes.tsv.gz", "rt") as lines:
        gene = next(line.rstrip("\n").split("\t") for line in lines if line.startswith("SNAP25\t"))
    assert gene[2] == "+"
    starts, ends = ([int(place) for place in column.split(",")] for column in gene[5:7])
    acceptors = [demo_genome.codes("chr20", start - 2, start).tolist() for start in starts[1:]]
    donors = [demo_genome.codes("chr20", end, end + 2).tolist() for end in ends[:-1]]
    assert acceptors == [[0, 2]] * len(acceptors)
    assert donors == [[2, 3]] * len(donors)


@pytest.mark.parametrize("slug", ["cpg_methylation_imr90", "lmnb1_lad_tig_3"])
def test_observed_demo_tracks_are_fractions_where_there_is_sequence(demo_genome: Genome, slug: str) -> None:
    path = DEMO / "observed" / f"{slug}.bw"
    for chrom in read_chrom_sizes(path):
        length = demo_genome.chrom_sizes[chrom]
        values = read_bins(path, Region(chrom, 0, length))
        seen = np.isfinite(values)
        codes = demo_genome.codes(chrom, 0, len(values) * 128).reshape(-1, 128)
        assert ((codes < 4).sum(axis=1)[seen] >= 64).all()
        assert values[seen].min() == 0
        assert values[seen].max() <= 1
        assert seen.sum() > 10_000


def test_islands_are_unmethylated_and_the_rest_is_not() -> None:
    """What makes the label worth learning. Islands near the telomere are more methylated than the others."""
    length = CHROM_SIZES["chr22"]
    values = read_bins(DEMO / "observed" / "cpg_methylation_imr90.bw", Region("chr22", 0, length))
    island = labels.covered_fraction(labels.read_intervals(DEMO / "cpg_islands.bed.gz", "chr22"), length) > 0.5
    assert np.nanmean(values[~island]) > 0.65
    assert np.nanmean(values[island]) < np.nanmean(values[~island]) - 0.2


def test_the_demo_project_names_held_out_sequence() -> None:
    project = load_project(DEMO / "tracks.toml")
    assert [entry.observed is not None for entry in project.track] == [True, True, False, False]
    assert project.split is not None
    held_out = [block.region for block in read_split(project.split) if block.fold != "train"]
    for chrom, spans in KEPT.items():
        for start, end in spans:
            assert any(block.chrom == chrom and block.start < end and start < block.end for block in held_out)
