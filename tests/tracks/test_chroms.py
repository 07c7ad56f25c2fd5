from __future__ import annotations

import pytest

from tracks.chroms import ChromNames, match_chroms, plain_name
from tracks.errors import UsageError

GENOME = {"chr1": 1_000, "chr2": 900, "chrX": 800, "chrM": 16}


def test_names_alike_are_matched_without_a_word() -> None:
    names = match_chroms({"chr2": 900, "chr1": 1_000, "chrUn": 5}, GENOME, "a.bw")
    assert names == ChromNames({"chr1": "chr1", "chr2": "chr2"})
    assert names.of_file == {"chr1": "chr1", "chr2": "chr2"}


def test_ensembl_names_are_matched_with_a_note() -> None:
    names = match_chroms({"1": 1_000, "X": 800, "MT": 16}, GENOME, "a.bw")
    assert names.of_genome == {"chr1": "1", "chrX": "X", "chrM": "MT"}
    assert names.of_file["MT"] == "chrM"
    assert names.note == "a.bw: its chromosome 1 is taken for chr1 (and 2 more)"
    assert match_chroms(["chr2"], {"2": 900}, "b.bed").note == "b.bed: its chromosome chr2 is taken for 2"


@pytest.mark.parametrize("found", [{"1": 1_000, "chr1": 1_000}, ["chr1", "1"], ["CHR1", "chr1"]])
def test_two_names_for_one_are_refused(found: dict[str, int] | list[str]) -> None:
    with pytest.raises(UsageError, match=r"a\.bw: '.*' and '.*' would both be the genome's chr1"):
        match_chroms(found, GENOME, "a.bw")


def test_equal_names_come_first() -> None:
    """A genome may have both chrM and chrMT, or 1 and chr1."""
    genome = {"chrM": 16_571, "chrMT": 16_569}
    names = match_chroms({"chrMT": 16_569, "chrM": 16_571}, genome, "a.bw")
    assert names == ChromNames({"chrM": "chrM", "chrMT": "chrMT"})


def test_another_build_is_refused_with_both_lengths() -> None:
    with pytest.raises(UsageError, match=r"its 2 has 1,234 bases, the genome's chr2 900"):
        match_chroms({"1": 1_000, "2": 1_234}, GENOME, "a.bw")


def test_another_genome_is_refused_with_its_names() -> None:
    with pytest.raises(UsageError, match=r"no chromosome of it is in the genome; it has I, II, the genome chr1, chr2"):
        match_chroms(["I", "II"], GENOME, "a.bw")
    assert match_chroms([], GENOME, "empty.bed") == ChromNames()


def test_plain_names() -> None:
    assert [plain_name(name) for name in ("chr1", "1", "Chr1", "chrM", "MT", "chrX_random")] == [
        "1", "1", "1", "M", "M", "X_random",
    ]  # fmt: skip
