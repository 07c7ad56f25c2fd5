"""Tracks of a store as values and zoom records, against every base in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tracks.virtual.toy import SIZES, Toy, summary
from tracks.errors import TracksError
from tracks.grid import BIN, BINS, WINDOW
from tracks.store import Store, WindowStore
from tracks.virtual import StoredValues, Totals, VirtualBigWig, lay_out, stored_totals

TRACKS, COLUMN = 3, 1
STORED = [chrom for chrom in SIZES if chrom != "chr10"]
"""Of chr10 there is no store."""


def stores_of(root: Path, toy: Toy) -> dict[str, WindowStore]:
    """A store of the known windows of three tracks, of which ``COLUMN`` is the toy's."""
    store = Store(root)
    stores = {chrom: store.windows("a" * 64, f"SQ.{chrom}", SIZES[chrom], TRACKS) for chrom in STORED}
    for chrom, windows in stores.items():
        for index in np.flatnonzero(toy.known[chrom]).tolist():
            values = np.random.default_rng(index).normal(50, 9, (BINS, TRACKS)).astype(np.float32)
            values[:, COLUMN] = toy.bins[chrom][index]
            values[-(-SIZES[chrom] // BIN) - index * BINS :] = np.nan  # as a predictor leaves them
            windows.write(index, values)
    return stores


@pytest.fixture(scope="module")
def toy() -> Toy:
    return Toy(seed=6)


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory, toy: Toy) -> StoredValues:
    return StoredValues(SIZES, stores_of(tmp_path_factory.mktemp("store"), toy), COLUMN)


def test_windows_are_those_that_are_stored(values: StoredValues, toy: Toy) -> None:
    for chrom, known in toy.known.items():
        for index, there in enumerate(known):
            found = values.window(chrom, index)
            assert (found.shape, found.dtype) == ((BINS,), np.float32)
            shown = toy.shown(chrom)[index * BINS : (index + 1) * BINS]
            expected = shown if there and chrom in STORED else np.full(len(shown), np.nan)
            np.testing.assert_array_equal(found[: len(shown)], expected)


def check_records(values: StoredValues, toy: Toy, chrom: str, level: int, over: range) -> None:
    """All numbers, but that of a stretch with the chromosome's end where its last bin counts as a whole one."""
    size, length = 1024 * 4**level, SIZES[chrom]
    found = values.records(chrom, level, over)
    assert (found.shape, found.dtype) == ((5, len(over)), np.float64)
    bases = toy.bases(chrom, only_known=True) if chrom in STORED else np.full(length, np.nan)
    for at, numbers in zip(over, found.T, strict=True):
        part = bases[at * size : (at + 1) * size]
        expected = summary(part)
        if not expected[0]:
            assert numbers[0] == 0
            continue
        if (at + 1) * size >= length and length % BIN:
            bins = summary(np.append(part[::BIN], []))
            here = min(bins[0] * BIN, len(part))
            assert abs(numbers[0] - expected[0]) < BIN
            assert numbers[0] == here
            expected = np.array([here, *bins[1:3], *bins[3:] / bins[0] * here])
        np.testing.assert_array_equal(numbers[:3], expected[:3])
        np.testing.assert_allclose(numbers[3:], expected[3:], rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("level", range(9))
def test_records_of_whole_chromosomes(values: StoredValues, toy: Toy, level: int) -> None:
    for chrom, length in SIZES.items():
        check_records(values, toy, chrom, level, range(-(-length // (1024 * 4**level))))


@given(data=st.data())
def test_records_of_any_stretch(values: StoredValues, toy: Toy, data: st.DataObject) -> None:
    chrom = data.draw(st.sampled_from(sorted(SIZES)))
    level = data.draw(st.integers(0, 8))
    count = -(-SIZES[chrom] // (1024 * 4**level))
    first, last = sorted((data.draw(st.integers(0, count)), data.draw(st.integers(0, count))))
    check_records(values, toy, chrom, level, range(first, last))


def test_totals(values: StoredValues, toy: Toy, tmp_path: Path) -> None:
    """Of all chromosomes that are stored, within what their last bins make."""
    bases, *rest = summary(np.concatenate([toy.bases(chrom, only_known=True) for chrom in STORED]))
    found = stored_totals(values, SIZES)
    assert abs(found.bases - bases) < BIN * len(SIZES)
    assert (found.least, found.most) == tuple(rest[:2])
    np.testing.assert_allclose([found.sum, found.squares], rest[2:], rtol=1e-2)
    nothing = StoredValues(SIZES, {}, COLUMN)
    assert stored_totals(nothing, SIZES) == Totals(0, 0.0, 0.0, 0.0, 0.0)
    of_none = {"chr2": Store(tmp_path).windows("a" * 64, "SQ.chr2", SIZES["chr2"], TRACKS)}
    assert stored_totals(StoredValues(SIZES, of_none, COLUMN), SIZES) == Totals(0, 0.0, 0.0, 0.0, 0.0)
    assert list(tmp_path.iterdir()) == [], "to look makes nothing"


def test_a_window_that_comes_shows_up(tmp_path: Path, toy: Toy) -> None:
    windows = Store(tmp_path).windows("a" * 64, "SQ.x", 2 * WINDOW, TRACKS)
    values = StoredValues({"x": 2 * WINDOW}, {"x": windows}, COLUMN)
    assert np.isnan(values.window("x", 1)).all()
    assert values.records("x", 3, range(4))[0].tolist() == [0, 0, 0, 0]
    windows.write(1, np.full((BINS, TRACKS), 2.5, np.float32))
    assert (values.window("x", 1) == 2.5).all()
    inside = 2 * 65_536 - WINDOW
    assert values.records("x", 3, range(4))[0].tolist() == [0, inside, 65_536, WINDOW - 65_536 - inside]
    found = stored_totals(values, {"x": 2 * WINDOW})
    assert found == Totals(WINDOW, 2.5, 2.5, 2.5 * WINDOW, 6.25 * WINDOW)


def test_a_track_that_is_to_be_whole_says_what_is_missing(tmp_path: Path, toy: Toy) -> None:
    stores = stores_of(tmp_path, toy)
    values = StoredValues(SIZES, stores, COLUMN, whole=True)
    (missing, *_) = np.flatnonzero(~toy.known["chr1"]).tolist()
    (known, *_) = np.flatnonzero(toy.known["chr1"]).tolist()
    assert not np.isnan(values.window("chr1", known)).all()
    with pytest.raises(TracksError, match=rf"window {missing} of chr1 is missing from .*, or damaged there"):
        values.window("chr1", missing)
    damaged = stores["chr1"].chunk_file(known)
    damaged.write_bytes(damaged.read_bytes()[:-9])
    with pytest.raises(TracksError, match=rf"window {known} of chr1 is missing"):
        values.window("chr1", known)
    assert np.isnan(values.window("chr10", 0)).all(), "a chromosome that was left out is missing on purpose"
    with pytest.raises(TracksError, match="of chr1 is missing"):
        VirtualBigWig(lay_out(SIZES, toy.totals()), values).read(0, 10**9)


def test_summaries_of_a_track_that_is_to_be_whole_miss_nothing(tmp_path: Path, toy: Toy) -> None:
    stores = stores_of(tmp_path, toy)
    values = StoredValues(SIZES, stores, COLUMN, whole=True)
    (missing, *_) = np.flatnonzero(~toy.known["chr1"]).tolist()
    with pytest.raises(TracksError, match=f"window {missing} of chr1 is missing from .*"):
        values.records("chr1", 3, range(4))
    for index in np.flatnonzero(~toy.known["chr1"]).tolist():
        stores["chr1"].write(index, np.full((BINS, TRACKS), np.nan, np.float32))
    assert values.records("chr1", 3, range(4)).shape == (5, 4)
    assert values.records("chr10", 3, range(4))[0].tolist() == [0, 0, 0, 0]
