from __future__ import annotations

from pathlib import Path

import pytest

from tracks.errors import TracksError
from tracks.grid import INPUT
from tracks.regions import Region
from tracks.split import Block, read_split


def test_blocks_are_read_in_file_order(tmp_path: Path) -> None:
    (tmp_path / "s.bed").write_text("# folds\n\nchr2\t5\t10\ttest\nchr1\t0\t100\ttrain\textra\nchr1\t100\t300\tvalid\n")
    assert read_split(tmp_path / "s.bed") == (
        Block(Region("chr2", 5, 10), "test"),
        Block(Region("chr1", 0, 100), "train"),
        Block(Region("chr1", 100, 300), "valid"),
    )


@pytest.mark.parametrize(
    "line",
    [
        "chr1\t0\t100",
        "chr1\t0\t100\ttune",
        "chr1\t\t100\ttest",
        "chr1\ta\t9\ttest",
        "chr1\t9\t9\ttest",
        "chr1 0 9 test",
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "s.bed").write_text(f"chr1\t200\t300\ttrain\n{line}\n")
    with pytest.raises(TracksError, match=r"s\.bed, line 2: it needs chromosome, start, end, train\|valid\|test"):
        read_split(tmp_path / "s.bed")


def test_a_base_cannot_be_in_two_folds(tmp_path: Path) -> None:
    (tmp_path / "s.bed").write_text("chr1\t100\t300\ttrain\nchr1\t0\t101\ttest\n")
    with pytest.raises(TracksError, match="chr1:1-101 and chr1:101-300 overlap"):
        read_split(tmp_path / "s.bed")


def test_a_missing_split(tmp_path: Path) -> None:
    with pytest.raises(TracksError, match="cannot read the split"):
        read_split(tmp_path / "s.bed")


def test_no_scored_base_shares_its_input_with_another_block() -> None:
    scored = Block(Region("chr1", 1_000_000, 2_000_000), "test").scored()
    assert scored == Region("chr1", 1_000_000 + INPUT, 2_000_000 - INPUT)
    assert Block(Region("chr1", 0, 2 * INPUT), "test").scored() is None
    assert Block(Region("chr1", 0, 2 * INPUT + 1), "test").scored() == Region("chr1", INPUT, INPUT + 1)
