from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.composition import bin_counts, composition, half_width, known_fraction, smoothed_counts
from tracks.grid import BIN

LETTERS = np.array(list("ACGTN"))


def text_counts(text: str) -> list[int]:
    """Counts of one bin and one base more, by Python's own string search."""
    return [BIN - text[:BIN].count("N"), text[:BIN].count("C"), text[:BIN].count("G"), text.count("CG")]


@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_counts_are_those_of_the_text(bins: int, seed: int) -> None:
    codes = np.random.default_rng(seed).choice(5, bins * BIN + 1, p=(0.1, 0.4, 0.3, 0.1, 0.1)).astype(np.uint8)
    text = "".join(LETTERS[codes])
    expected = [text_counts(text[at : at + BIN + 1]) for at in range(0, bins * BIN, BIN)]
    assert bin_counts(codes).tolist() == expected


def test_a_cpg_on_a_border_belongs_to_the_bin_of_its_c() -> None:
    codes = np.zeros(2 * BIN + 1, np.uint8)
    codes[BIN - 1], codes[BIN] = 1, 2
    codes[-2], codes[-1] = 1, 2
    assert bin_counts(codes)[:, 3].tolist() == [1, 1]
    assert bin_counts(codes)[:, 2].tolist() == [0, 1]


def test_codes_that_are_not_whole_bins() -> None:
    with pytest.raises(ValueError, match="whole bins of 128 and one base more, found 256"):
        bin_counts(np.zeros(256, np.uint8))


@given(st.integers(1, 40), st.sampled_from([100, 128, 256, 1_000, 2_560, 100_000]))
def test_smoothing_sums_the_bins_around(bins: int, width: int) -> None:
    counts = np.random.default_rng(bins).integers(0, 128, (bins, 4))
    half = half_width(width)
    around = [counts[max(at - half, 0) : at + half + 1].sum(axis=0) for at in range(bins)]
    np.testing.assert_array_equal(smoothed_counts(counts, width), around)


def test_composition_by_hand_and_where_it_is_undefined() -> None:
    counts = np.array([[100, 20, 30, 6], [0, 0, 0, 0], [128, 10, 0, 0]])
    found = composition(counts)
    np.testing.assert_allclose(found[0], [0.5, 0.06, 6 * 100 / (20 * 30)])
    assert np.isnan(found[1]).all()
    assert found[2, :2].tolist() == [10 / 128, 0]
    assert np.isnan(found[2, 2])


def test_the_known_fraction_counts_what_lies_outside_as_unknown() -> None:
    counts = np.full((3, 4), BIN)
    fraction = known_fraction(smoothed_counts(counts, 3 * BIN), 3 * BIN)
    np.testing.assert_allclose(fraction, [2 / 3, 1, 2 / 3])
