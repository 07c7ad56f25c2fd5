from __future__ import annotations

from importlib.resources import files

import pytest

from tracks.errors import UsageError
from tracks.hub.assemblies import ASSEMBLIES, Assembly, fitting_names, told_assembly

HG38 = Assembly("hg38", ASSEMBLIES["hg38"], contigs=True)
CHR20, CHR22 = 64_444_167, 50_818_468


def test_known_assemblies_agree_with_what_others_ship() -> None:
    for name, sizes in ASSEMBLIES.items():
        lines = (files("negspy") / "data" / name / "chromInfo.txt").read_text().splitlines()
        theirs = {chrom: int(length) for chrom, length in (line.split()[:2] for line in lines) if "_" not in chrom}
        assert sizes == theirs


@pytest.mark.parametrize(
    ("found", "names"),
    [
        ({"chr20": CHR20}, {"chr20": "chr20"}),
        ({"20": CHR20, "MT": 16_569}, {"20": "chr20", "MT": "chrM"}),
        ({"X": 156_040_895, "chrUn_KI270302v1": 2_274}, {"X": "chrX", "chrUn_KI270302v1": "chrUn_KI270302v1"}),
        ({"chr1_KI270706v1_random": 175_055}, {"chr1_KI270706v1_random": "chr1_KI270706v1_random"}),
    ],
)
def test_names_that_differ_by_chr_alone(found: dict[str, int], names: dict[str, str]) -> None:
    assert fitting_names(HG38, found, "x.bw") == names


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            {"chr20": CHR20, "lambda": 48_502},
            "hg38 has no chromosome 'lambda'; it has chr1, chr2, chr3, chr4, ...",
        ),
        ({"KI270728.1": 1_872_759}, "hg38 has no chromosome 'KI270728.1'"),
        ({"chrEBV": 171_823}, "hg38 has no chromosome 'chrEBV'"),
        ({"chr20": CHR20 + 1}, "another genome build: its chr20 has 64,444,168 bases, chr20 of hg38 64,444,167"),
        ({"20": CHR20 + 1}, "its 20 has 64,444,168 bases, chr20 of hg38"),
        ({"20": CHR20, "chr20": CHR20}, "'20' and 'chr20' would both be chr20 of hg38"),
        ({"chr20": 63_025_520, "chr22": 51_304_566}, "x.bw is of hg19, by its chromosomes' lengths"),
    ],
)
def test_files_of_another_genome(found: dict[str, int], words: str) -> None:
    with pytest.raises(UsageError) as error:
        fitting_names(HG38, found, "x.bw")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_chromosomes_are_left_out_on_request() -> None:
    assert fitting_names(HG38, {"lambda": 48_502, "20": CHR20}, "x.bw", skip=True) == {"20": "chr20"}
    with pytest.raises(UsageError, match="no chromosome of it is in hg38"):
        fitting_names(HG38, {"lambda": 48_502}, "x.bw", skip=True)


@pytest.mark.parametrize(
    ("found", "name"),
    [
        ({"chr20": 63_025_520, "chr22": 51_304_566}, "hg19"),
        ({"20": CHR20, "MT": 16_569}, "hg38"),
        ({"chr1": 195_471_971}, "mm10"),
        ({"chr20": CHR20, "chr22": 51_304_566}, None),
        ({"chrM": 16_569}, None),
        ({}, None),
    ],
)
def test_an_assembly_is_told_by_its_lengths(found: dict[str, int], name: str | None) -> None:
    assert told_assembly(found) == name
