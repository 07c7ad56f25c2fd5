from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import CHROM_SIZES
from tracks.errors import TracksError, UsageError
from tracks.genome_sizes import is_table, read_sizes


def test_of_a_fasta_file_its_index_and_a_table(fasta: Path, tmp_path: Path) -> None:
    assert read_sizes(fasta) == CHROM_SIZES
    assert read_sizes(fasta.with_name(fasta.name + ".fai")) == CHROM_SIZES
    table = tmp_path / "small.chrom.sizes"
    table.write_text("# name length\n" + "".join(f"{chrom}\t{length}\n" for chrom, length in CHROM_SIZES.items()))
    assert read_sizes(table) == CHROM_SIZES
    assert list(read_sizes(table)) == list(CHROM_SIZES)
    assert is_table(table)
    assert not is_table(fasta)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr1\t10\nchr2\n", "line 2: it needs a chromosome and its length, found 'chr2'"),
        ("chr1\tten\n", "line 1: it needs a chromosome"),
        ("chr1\t0\n", "line 1: it needs a chromosome"),
        ("chr1\t10\nchr1\t10\n", "line 2: chr1 is there twice"),
        ("\n", "names no chromosome"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, text: str, message: str) -> None:
    table = tmp_path / "bad.sizes"
    table.write_text(text)
    with pytest.raises(TracksError, match=message):
        read_sizes(table)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file of chromosome lengths"):
        read_sizes(tmp_path / "none.sizes")
