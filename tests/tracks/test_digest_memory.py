"""Digests of chromosomes are read once, for as long as their file stays what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import write_fasta
from tracks.digest_memory import DigestMemory
from tracks.genome import Genome


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    return write_fasta(tmp_path / "a.fa", {"chr1": "ACGT" * 100, "chr2": "GATTACA"})


def refuse(*args: object) -> bytes:
    raise AssertionError("the file was read again")


def test_a_digest_is_read_once(fasta: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Genome(fasta)
    first.remember(tmp_path)
    digests = {chrom: first.digest(chrom) for chrom in first.chrom_sizes}
    assert digests == {chrom: Genome(fasta).digest(chrom) for chrom in digests}
    monkeypatch.setattr(Genome, "_fetch", refuse)
    again = Genome(fasta)
    again.remember(tmp_path)
    assert {chrom: again.digest(chrom) for chrom in digests} == digests


def test_another_file_of_the_same_name_is_read_anew(fasta: Path, tmp_path: Path) -> None:
    first = Genome(fasta)
    first.remember(tmp_path)
    before = first.digest("chr2")
    write_fasta(fasta, {"chr1": "ACGT" * 100, "chr2": "GATTACC"})  # of the same size
    changed = Genome(fasta)
    changed.remember(tmp_path)
    assert changed.digest("chr2") == Genome(fasta).digest("chr2") != before


@pytest.mark.parametrize("text", ["", "[1]", '{"/a.fa": 3}', "no JSON"])
def test_what_cannot_be_used_is_made_again(fasta: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "genomes.json").write_text(text)
    genome = Genome(fasta)
    genome.remember(tmp_path)
    assert genome.digest("chr2") == Genome(fasta).digest("chr2")
    assert DigestMemory(tmp_path).recall(fasta) == {"chr2": genome.digest("chr2")}


def test_a_folder_that_cannot_be_written_to_is_no_failure(fasta: Path, tmp_path: Path) -> None:
    genome = Genome(fasta)
    genome.remember(tmp_path / "file" / "below")
    (tmp_path / "file").write_text("")
    assert genome.digest("chr1")


def test_what_may_be_of_a_file_replaced_meanwhile_is_not_kept(fasta: Path, tmp_path: Path) -> None:
    """A process that runs for long holds the file open that it began with."""
    opened = Genome(fasta)
    opened.remember(tmp_path)
    other = write_fasta(tmp_path / "b.fa", {"chr1": "ACGT" * 100, "chr2": "GATTACC"})
    other.replace(fasta)
    old = opened.digest("chr2")
    new = Genome(fasta)
    new.remember(tmp_path)
    assert new.digest("chr2") == Genome(fasta).digest("chr2") != old
