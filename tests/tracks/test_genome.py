from __future__ import annotations

import base64
import gzip
import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import CHROM_SIZES, command_line, write_fasta
from tracks.errors import TracksError, UsageError
from tracks.genome import Genome, N, demo_genome


@pytest.fixture(scope="module")
def genome(fasta: Path) -> Genome:
    return Genome(fasta)


@pytest.fixture(scope="module")
def bgzip(fasta: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bgzip") / "small.fa.gz"
    pysam.tabix_compress(str(fasta), str(path))
    return path


def plain_codes(sequence: str) -> list[int]:
    return ["ACGT".index(base) if base in "ACGT" else N for base in sequence.upper()]


def test_lengths_are_those_of_the_file_in_its_order(genome: Genome) -> None:
    assert list(genome.chrom_sizes.items()) == list(CHROM_SIZES.items())


@given(st.sampled_from(sorted(CHROM_SIZES)), st.integers(-300, 500_300), st.integers(0, 400))
def test_codes_are_the_bases_and_n_outside(
    genome: Genome, sequences: dict[str, str], chrom: str, start: int, length: int
) -> None:
    codes = genome.codes(chrom, start, start + length)
    padded = "N" * 300 + sequences[chrom] + "N" * 500_700
    assert codes.dtype == np.uint8
    assert codes.tolist() == plain_codes(padded[300 + start : 300 + start + length])


@pytest.mark.parametrize("region", [("chr20", 0, 500_050), ("chr3", 69, 71), ("chr3", 199_990, 200_000)])
def test_codes_are_those_of_samtools_faidx(genome: Genome, tmp_path: Path, region: tuple[str, int, int]) -> None:
    chrom, start, end = region
    pysam.faidx("-o", str(tmp_path / "found.fa"), str(genome.path), f"{chrom}:{start + 1}-{end}")
    found = "".join((tmp_path / "found.fa").read_text().splitlines()[1:])
    assert genome.codes(chrom, start, end).tolist() == plain_codes(found)


def test_bgzip_and_plain_are_alike(genome: Genome, bgzip: Path) -> None:
    packed = Genome(bgzip)
    assert packed.chrom_sizes == genome.chrom_sizes
    np.testing.assert_array_equal(packed.codes("chr20", 0, 500_050), genome.codes("chr20", 0, 500_050))
    assert packed.digest("chr20") == genome.digest("chr20")
    assert {path.name for path in bgzip.parent.iterdir()} == {"small.fa.gz", "small.fa.gz.fai", "small.fa.gz.gzi"}


@pytest.mark.parametrize("chrom", CHROM_SIZES)
def test_the_digest_is_that_of_the_plain_sequence(genome: Genome, sequences: dict[str, str], chrom: str) -> None:
    first = hashlib.sha512(sequences[chrom].upper().encode()).digest()[:24]
    assert genome.digest(chrom) == "SQ." + base64.urlsafe_b64encode(first).decode()


def test_the_digest_of_the_specification(tmp_path: Path) -> None:
    """The example that refget and VRS print for the sequence ACGT."""
    assert Genome(write_fasta(tmp_path / "a.fa", {"a": "acGT"})).digest("a") == "SQ.aKF498dAxcJAqme6QYQ7EZ07-fiw8Kw2"


def test_threads_read_the_same(genome: Genome) -> None:
    starts = list(range(0, 500_000, 25_000)) * 5
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda start: genome.codes("chr20", start, start + 25_000), starts))
    for start, codes in zip(starts, found, strict=True):
        np.testing.assert_array_equal(codes, genome.codes("chr20", start, start + 25_000))


def test_the_embedded_genome_has_the_lengths_of_hg19() -> None:
    with Genome(demo_genome()) as genome:
        assert genome.chrom_sizes == {"chr20": 63_025_520, "chr22": 51_304_566}
        codes = genome.codes("chr20", 10_000_000, 10_400_000)
    assert (codes == N).mean() < 0.01
    assert 0.3 < np.isin(codes, (1, 2)).mean() < 0.5


def test_an_unknown_chromosome(genome: Genome) -> None:
    with pytest.raises(UsageError, match=r"small\.fa: the genome has no chromosome '20'; did you mean 'chr20'"):
        genome.codes("20", 0, 10)
    with pytest.raises(UsageError, match="did you mean 'chr20'"):
        genome.digest("20")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "is empty"),
        (b"ACGT\n", "should start with '>'"),
        (b"@read\nACGT\n+\nIIII\n", "should start with '>'"),
        (gzip.compress(b">a\nACGT\n"), "recompress it: gunzip it, then bgzip it"),
        (b">a\nACGT\nAC\nACGT\n", "lines of one length"),
        (b">a\n", "cannot index"),
    ],
)
def test_a_file_that_is_no_fasta(tmp_path: Path, content: bytes, fault: str) -> None:
    path = tmp_path / "a.fa"
    path.write_bytes(content)
    with pytest.raises(TracksError) as caught:
        Genome(path)
    assert fault in str(caught.value)
    assert str(path) in str(caught.value)
    assert [path] == list(tmp_path.iterdir())


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no FASTA file"):
        Genome(tmp_path / "a.fa")
    with pytest.raises(TracksError, match="Is a directory"):
        Genome(tmp_path)


def test_protein_is_named_with_its_place(tmp_path: Path) -> None:
    genome = Genome(write_fasta(tmp_path / "a.fa", {"p": "ACGTMKLV"}))
    with pytest.raises(TracksError, match=r"a\.fa is not DNA: p, base 7 is 'L'"):
        genome.codes("p", 2, 8)


def test_a_truncated_bgzip_file(bgzip: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.fa.gz").write_bytes(bgzip.read_bytes()[:30_000])
    with pytest.raises(TracksError, match="cut short"):
        Genome(tmp_path / "cut.fa.gz")


def test_an_index_of_another_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_fasta(tmp_path / "a.fa", {"a": "ACGT" * 30})
    Path(f"{path}.fai").write_text("a\t90000\t3\t70\t71\n")
    with pytest.raises(TracksError, match="its index may be of another file"):
        Genome(path).codes("a", 0, 90_000)
    assert capfd.readouterr().err == ""


def test_a_damaged_index_and_an_empty_one(tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "a.fa", {"a": "ACGT"})
    Path(f"{path}.fai").write_text("nonsense\n")
    with pytest.raises(TracksError, match=r"delete .*a\.fa\.fai"):
        Genome(path)
    Path(f"{path}.fai").write_text("")
    assert Genome(path).chrom_sizes == {"a": 4}


def _bound(path: Path) -> subprocess.CompletedProcess[str]:
    code = (
        f"from tracks.genome import Genome; from pathlib import Path; print(Genome(Path({str(path)!r})).chrom_sizes);"
    )
    words = command_line(before=code + "import sys; sys.exit();", bound=True)
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


def test_a_read_only_folder_needs_an_index_there(tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "a.fa", {"a": "ACGT"})
    tmp_path.chmod(0o555)
    refused = _bound(path)
    assert "has no index and its folder is not writable; copy it" in refused.stderr
    assert f"samtools faidx {path}" in refused.stderr
    tmp_path.chmod(0o755)
    pysam.faidx(str(path))
    tmp_path.chmod(0o555)
    assert _bound(path).stdout == "{'a': 4}\n"
    tmp_path.chmod(0o755)


def test_an_unreadable_file(tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "a.fa", {"a": "ACGT"})
    path.chmod(0)
    assert f"TracksError: cannot read the FASTA file {path}: Permission denied" in _bound(path).stderr


def test_two_processes_index_at_once(tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "a.fa", {"a": "ACGT" * 50_000})
    code = f"from tracks.genome import Genome; assert Genome({str(path)!r}).codes('a', 199_997, 200_001)[2] == 3"
    runs = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [run.wait(60) for run in runs] == [0, 0, 0]
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.fa", "a.fa.fai"}
