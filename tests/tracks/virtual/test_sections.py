"""The bytes of sections and of zoom records: what is known first, and what is missing where no reader draws it."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.grid import BIN, BINS, WINDOW
from tracks.virtual.sections import FARTHEST, pack_records, pack_section, section_bytes

NOWHERE = (1 << 31) - 1
GRAPH, VARIABLE = 1, 2

bins_of_windows = st.lists(st.none() | st.floats(-100, 100, width=32), min_size=1, max_size=60)


def values_of(bins: list[float | None]) -> np.ndarray:
    return np.array([np.nan if one is None else one for one in bins], np.float32)


@given(bins_of_windows, st.integers(0, 5), st.integers(0, 1_000))
def test_sections_of_whole_bins(bins: list[float | None], chrom: int, index: int) -> None:
    """varStep: a header, and 8 bytes for each bin."""
    values, start = values_of(bins), index * WINDOW
    end = start + len(bins) * BIN
    content = pack_section(chrom, start, end, np.append(values, np.float32(7)))
    assert len(content) == section_bytes(start, end) == 24 + 8 * len(bins)
    assert struct.unpack("<IIIIIBBH", content[:24]) == (chrom, start, end, 0, BIN, VARIABLE, 0, len(bins))
    there = [(start + at * BIN, one) for at, one in enumerate(values.tolist()) if one == one]
    missing = [(FARTHEST, 0.0)] * (len(bins) - len(there))
    assert list(struct.iter_unpack("<If", content[24:])) == [*there, *missing]


@given(bins_of_windows, st.integers(1, BIN - 1), st.integers(0, 1_000))
def test_sections_that_end_within_a_bin(bins: list[float | None], short: int, index: int) -> None:
    """bedGraph: 12 bytes for each bin, and the last ends where the chromosome does."""
    values, start = values_of(bins), index * WINDOW
    end = start + len(bins) * BIN - short
    content = pack_section(3, start, end, values)
    assert len(content) == section_bytes(start, end) == 24 + 12 * len(bins)
    assert struct.unpack("<IIIIIBBH", content[:24]) == (3, start, end, 0, 0, GRAPH, 0, len(bins))
    there = [
        (start + at * BIN, min(start + (at + 1) * BIN, end), one)
        for at, one in enumerate(values.tolist())
        if one == one
    ]
    missing = [(NOWHERE, NOWHERE, 0.0)] * (len(bins) - len(there))
    assert list(struct.iter_unpack("<IIf", content[24:])) == [*there, *missing]


def test_a_whole_window_fits_a_page_of_8_kib() -> None:
    assert section_bytes(0, WINDOW) == 24 + 8 * BINS < 8_192


def test_parked_bins_are_beyond_any_chromosome() -> None:
    """And end within 31 bits, which some readers count in."""
    assert FARTHEST + BIN < 1 << 31
    assert FARTHEST % BIN == 0


@pytest.mark.parametrize("known", [[], [0], [1, 3], [0, 1, 2, 3]])
def test_zoom_records(known: list[int]) -> None:
    """Of 4 stretches, the last of which the chromosome ends in."""
    records = np.zeros((5, 4))
    records[1], records[2] = np.inf, -np.inf
    for at in known:
        records[:, at] = 100 + at, -at, at, at / 3, at / 7
    content = pack_records(2, 4_096, 8_000, 1_024, records)
    rows = list(struct.iter_unpack("<IIIIffff", content))
    assert len(rows) == 4
    for at, row in zip(known, rows, strict=False):
        end = min(4_096 + (at + 1) * 1_024, 8_000)
        expected = (2, 4_096 + at * 1_024, end, 100 + at, *np.array([-at, at, at / 3, at / 7], np.float32).tolist())
        assert row == expected
    for chrom, start, end, bases, *numbers in rows[len(known) :]:
        assert (chrom, start, end, bases) == (2, NOWHERE, NOWHERE, 1)
        assert np.isnan(numbers).all()


def test_squares_of_huge_values_are_infinite() -> None:
    records = np.array([[1_024.0], [3e19], [3e19], [3e22], [9e41]])
    ((*_, total, squares),) = struct.iter_unpack("<IIIIffff", pack_records(0, 0, 1_024, 1_024, records))
    assert total == np.float32(3e22)
    assert squares == np.inf
