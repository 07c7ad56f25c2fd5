from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.head_training.folds import all_within, check_windows, split_text
from tracks.errors import UsageError
from tracks.genome import Genome
from tracks.grid import INPUT
from tracks.regions import Region
from tracks.split import Block, Fold, read_split
from tracks.windows import WindowRow, overlaps_with_training

FOLDS: tuple[Fold, ...] = ("train", "valid", "test")


def _row(start: int, fold: Fold = "train", chrom: str = "chr1") -> WindowRow:
    return WindowRow(chrom, start, fold)


def test_windows_of_another_genome_are_refused(wandering: Genome) -> None:
    with pytest.raises(UsageError, match=r"row 1 of the labels is on chr7, .* has not .*another genome"):
        check_windows([_row(0), _row(0, chrom="chr7")], wandering)
    with pytest.raises(UsageError, match=r"row 0 of the labels starts at chr1:90,000,000, and .* has 9,043,968 bases"):
        check_windows([_row(90_000_000)], wandering)
    check_windows([_row(-500), _row(wandering.chrom_sizes["chr1"] - 1000)], wandering)


def test_windows_of_two_folds_share_no_input(wandering: Genome) -> None:
    check_windows([_row(0), _row(65_536), _row(65_536 + INPUT, "valid")], wandering)
    with pytest.raises(UsageError, match=r"row 0 .*valid, chr1:196,607\) shares 1 bases of input with a train window"):
        check_windows([_row(65_535 + INPUT, "valid"), _row(0), _row(65_536)], wandering)


@settings(max_examples=60)
@given(
    places=st.lists(st.tuples(st.integers(-60_000, 4_300_000), st.sampled_from(FOLDS)), min_size=1, max_size=12),
    older=st.lists(st.tuples(st.integers(0, 4_000_000), st.integers(1, 300_000), st.sampled_from(FOLDS)), max_size=4),
)
def test_a_split_claims_each_base_once_and_training_first(
    wandering: Genome,
    tmp_path_factory: pytest.TempPathFactory,
    places: list[tuple[int, Fold]],
    older: list[tuple[int, int, Fold]],
) -> None:
    windows = [_row(start, fold) for start, fold in places]
    blocks = [Block(Region("chr1", start, start + length), fold) for start, length, fold in older]
    path = tmp_path_factory.mktemp("split") / "split.bed"
    path.write_text(split_text(windows, wandering, blocks))
    size = wandering.chrom_sizes["chr1"]
    expected = np.zeros(size, np.int8)
    for code, fold in reversed(list(enumerate(FOLDS, 1))):
        for window in windows:
            if window.fold == fold:
                expected[max(window.start, 0) : window.end] = code
        for block in blocks:
            if block.fold == fold:
                expected[block.region.start : block.region.end] = code
    found = np.zeros(size, np.int8)
    for block in read_split(path):  # which refuses overlaps
        found[block.region.start : block.region.end] = FOLDS.index(block.fold) + 1
    np.testing.assert_array_equal(found, expected)


def test_windows_that_the_trunk_was_trained_on_are_counted(tmp_path: Path) -> None:
    blocks = [
        Block(Region("chr1", 0, 100_000), "train"),
        Block(Region("chr1", 300_000, 400_000), "train"),
        Block(Region("chr1", 600_000, 900_000), "test"),
    ]
    starts = (99_999, 100_000, 168_928, 168_929, 400_000, 600_000)
    windows = [_row(start, "valid") for start in starts]
    expected = sum(start < 100_000 or (start < 400_000 and start + INPUT > 300_000) for start in starts)

    def overlapping(windows: list[WindowRow], fold: Fold, blocks: list[Block]) -> int:
        return len(list(overlaps_with_training([window for window in windows if window.fold == fold], blocks)))

    assert overlapping(windows, "valid", blocks) == expected == 2
    assert overlapping(windows, "test", blocks) == 0
    assert overlapping(windows, "valid", []) == 0


def test_windows_that_a_split_covers() -> None:
    blocks = [Block(Region("chr1", 0, 300_000), "train"), Block(Region("chr1", 300_000, 900_000), "valid")]
    assert all_within([_row(-5), _row(300_000 - INPUT), _row(300_000, "valid")], blocks)
    assert not all_within([_row(300_001 - INPUT)], blocks)
    assert not all_within([_row(0, "valid")], blocks)
    assert not all_within([_row(0, chrom="chr2")], blocks)
