from __future__ import annotations

import numpy as np
import pysam
from hypothesis import given
from hypothesis import strategies as st

from model.augment import reverse_complement, with_gaps, without_unknown_bins

codes_lists = st.lists(st.integers(0, 4), min_size=1, max_size=200)


@given(codes_lists)
def test_reverse_complement_equals_htslib(codes: list[int]) -> None:
    read = pysam.AlignedSegment()
    read.query_sequence = "".join("ACGTN"[code] for code in codes)
    read.flag = 16  # htslib gives the other strand of a reverse-strand read
    found = "".join("ACGTN"[code] for code in reverse_complement(np.array(codes, np.uint8)))
    assert found == read.get_forward_sequence()


@given(codes_lists)
def test_reverse_complement_twice_is_nothing(codes: list[int]) -> None:
    array = np.array(codes, np.uint8)
    np.testing.assert_array_equal(reverse_complement(reverse_complement(array)), array)


def test_with_gaps_borrows_only_the_gaps() -> None:
    found = with_gaps(np.array([0, 1, 2, 3, 4], np.uint8), np.array([4, 0, 4, 0, 0], np.uint8))
    assert found.tolist() == [4, 1, 4, 3, 4]


def test_bins_with_too_few_known_bases_lose_their_label() -> None:
    codes = np.zeros(2 * 8192 + 2 * 128, np.uint8)
    codes[8192 : 8192 + 65] = 4  # the first bin keeps 63 known bases
    codes[8192 + 128 : 8192 + 128 + 64] = 4  # the second keeps 64
    labels = without_unknown_bins(np.ones((2, 1), np.float32), codes, 64)
    assert np.isnan(labels[0, 0])
    assert labels[1, 0] == 1
