"""Virtual bigWigs as files, in programs that are not ours: pyBigWig, pybigtools, and pybbi, which is UCSC's code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bbi
import numpy as np
import pybigtools
import pyBigWig
import pytest

from tests.tracks.virtual.toy import SIZES, Toy, summary
from tracks.bigwig import read_bins
from tracks.grid import BIN, WINDOW
from tracks.regions import Region
from tracks.virtual import JBROWSE_SLOT, SLOT, TIGHT, lay_out, materialize

ZOOMS = [1024 * 4**level for level in range(9)]


def by_pybigwig(path: Path, chrom: str, start: int, end: int) -> np.ndarray:
    with pyBigWig.open(str(path)) as file:
        found: np.ndarray = file.values(chrom, start, end, numpy=True)
    return found


def by_pybigtools(path: Path, chrom: str, start: int, end: int) -> np.ndarray:
    with pybigtools.open(str(path)) as file:
        found: np.ndarray = file.values(chrom, start, end, fillna=np.nan).astype(np.float32)
    return found


def by_pybbi(path: Path, chrom: str, start: int, end: int) -> np.ndarray:
    found: np.ndarray = bbi.fetch(str(path), chrom, start, end, missing=np.nan).astype(np.float32)
    return found


READERS = [by_pybigwig, by_pybigtools, by_pybbi]
Reader = Callable[[Path, str, int, int], np.ndarray]


@pytest.fixture(scope="module")
def toy() -> Toy:
    return Toy()


@pytest.fixture(scope="module", params=[TIGHT, SLOT, JBROWSE_SLOT])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, toy: Toy) -> Path:
    path = tmp_path_factory.mktemp("virtual") / "toy.bw"
    materialize(path, lay_out(SIZES, toy.totals(), request.param), toy)
    return path


@pytest.mark.parametrize("reader", READERS)
def test_each_base_of_each_chromosome(path: Path, toy: Toy, reader: Reader) -> None:
    for chrom, length in SIZES.items():
        np.testing.assert_array_equal(reader(path, chrom, 0, length), toy.bases(chrom))


@pytest.mark.parametrize("reader", READERS)
def test_regions_across_windows_and_at_ends(path: Path, toy: Toy, reader: Reader) -> None:
    rng = np.random.default_rng(2)
    for chrom, length in SIZES.items():
        firsts = [0, length - 1, max(length - 300, 0), *(rng.integers(0, length, 5)).tolist()]
        firsts += [at for at in (WINDOW - 100, 2 * WINDOW) if at < length]
        for first in firsts:
            last = min(first + 250, length)
            np.testing.assert_array_equal(reader(path, chrom, first, last), toy.bases(chrom)[first:last])


def test_our_own_reader(path: Path, toy: Toy) -> None:
    for chrom, length in SIZES.items():
        found = read_bins(path, Region(chrom, 0, length))
        np.testing.assert_array_equal(found, toy.shown(chrom))


def test_missing_bins_are_no_items(path: Path, toy: Toy) -> None:
    """Items are the bins that have a value, one each, and none reaches past a chromosome's end."""
    for chrom, length in SIZES.items():
        values = toy.shown(chrom)
        there = np.flatnonzero(~np.isnan(values))
        expected = [(at * BIN, min((at + 1) * BIN, length), float(values[at])) for at in there.tolist()]
        with pyBigWig.open(str(path)) as file:
            assert list(file.intervals(chrom)) == expected
        with pybigtools.open(str(path)) as file:
            assert [tuple(row) for row in file.records(chrom)] == expected
        with bbi.open(str(path)) as file:
            found = file.fetch_intervals(chrom, 0, length)
        assert [tuple(row) for row in found[["start", "end", "value"]].values.tolist()] == expected


def test_the_header(path: Path, toy: Toy) -> None:
    totals = toy.totals()
    in_order = {chrom: SIZES[chrom] for chrom in sorted(SIZES)}
    with pyBigWig.open(str(path)) as file:
        header = file.header()
        assert list(file.chroms().items()) == list(in_order.items())
    assert (header["version"], header["nLevels"], header["nBasesCovered"]) == (4, 9, totals.bases)
    with pybigtools.open(str(path)) as file:
        assert file.chroms() == in_order
        assert file.zooms() == ZOOMS
        info = file.info()
    assert info["isCompressed"] is False
    assert bbi.chromsizes(str(path)) == in_order
    for told in (info["summary"], bbi.info(str(path))["summary"]):
        assert told["basesCovered"] == totals.bases
        assert (told["min"], told["max"]) == (-5.0, 5.0)
        np.testing.assert_allclose(told["sum"], totals.sum)


def test_zoom_records_are_those_of_the_known_windows(path: Path, toy: Toy) -> None:
    """Whatever is known of a stretch: all, some, or nothing, which has no record."""
    columns = ("bases_covered", "min_val", "max_val", "sum", "sum_squares")
    with pybigtools.open(str(path)) as file:
        for chrom, length in SIZES.items():
            known = toy.bases(chrom, only_known=True)
            for size in ZOOMS:
                spans = [(at, min(at + size, length)) for at in range(0, length, size)]
                expected = {span: numbers for span in spans if (numbers := summary(known[slice(*span)]))[0]}
                found = list(file.zoom_records(size, chrom))
                assert [(start, end) for start, end, _ in found] == list(expected), (chrom, size)
                told = np.array([[row[name] for name in columns] for _, _, row in found])
                right = np.array(list(expected.values()))
                np.testing.assert_allclose(told.reshape(-1, 5), right.reshape(-1, 5), rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("chrom", ["chr1", "chr2", "chr1_alt"])
def test_wide_views_are_alike_in_all_readers(path: Path, toy: Toy, chrom: str) -> None:
    """Means and extremes from zoom levels, NaN exactly where nothing of a pixel is known. Pixels are whole records, so
    that what is right is known."""
    size, count = 4 * ZOOMS[1], SIZES[chrom] // (4 * ZOOMS[1])
    end = size * count
    known = toy.bases(chrom, only_known=True)[:end].reshape(count, size)
    right = np.stack([summary(pixel) for pixel in known], axis=1)
    empty = right[0] == 0
    with np.errstate(invalid="ignore"):
        expected = {"mean": right[3] / right[0], "min": right[1], "max": right[2]}
    for kind, values in expected.items():
        values[empty] = np.nan
        with pyBigWig.open(str(path)) as file:
            told = file.stats(chrom, 0, end, type=kind, nBins=count)
        found = {"pyBigWig": np.array([np.nan if one is None else one for one in told])}
        with pybigtools.open(str(path)) as file:
            found["pybigtools"] = file.values(chrom, 0, end, bins=count, summary=kind, fillna=np.nan)
        found["pybbi"] = bbi.fetch(str(path), chrom, 0, end, bins=count, summary=kind, missing=np.nan)
        for name, ours in found.items():
            np.testing.assert_array_equal(np.isnan(ours), empty, f"{name}, {kind}")
            np.testing.assert_allclose(ours[~empty], values[~empty], rtol=1e-5, atol=1e-6, err_msg=f"{name}, {kind}")


def test_a_chromosome_of_which_nothing_is_known(path: Path) -> None:
    length = SIZES["chrN"]
    with pyBigWig.open(str(path)) as file:
        assert file.stats("chrN", 0, length, nBins=3) == [None] * 3
    with pybigtools.open(str(path)) as file:
        assert np.isnan(file.values("chrN", 0, length, bins=3, fillna=np.nan)).all()
    assert np.isnan(bbi.fetch(str(path), "chrN", 0, length, bins=3, missing=np.nan)).all()


def test_exact_means_of_regions(path: Path, toy: Toy) -> None:
    """From the items themselves: what is parked counts nowhere."""
    rng = np.random.default_rng(3)
    for chrom in ("chr1", "chr2", "chr9"):
        length = SIZES[chrom]
        for _ in range(5):
            start = int(rng.integers(0, length))
            end = min(start + int(rng.integers(1, 3 * WINDOW)), length)
            bases = toy.bases(chrom)[start:end].astype(np.float64)
            if np.isnan(bases).all():
                continue
            with pyBigWig.open(str(path)) as file:
                found = file.stats(chrom, start, end, exact=True)[0]
                covered = file.stats(chrom, start, end, type="coverage", exact=True)[0]
            np.testing.assert_allclose(found, np.nanmean(bases), rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(covered, np.mean(~np.isnan(bases)))
            with pybigtools.open(str(path)) as file:
                told = file.values(chrom, start, end, bins=1, exact=True, fillna=np.nan)[0]
            np.testing.assert_allclose(told, np.nanmean(bases), rtol=1e-5, atol=1e-6)


def test_455_contigs_whose_names_sort_oddly(tmp_path: Path) -> None:
    """By their bytes, capitals come before small letters, and 10 before 2."""
    rng = np.random.default_rng(4)
    kinds = ("chr{}", "Chr{}", "chrUn_KI{}v1", "chr1_GL{}_random", "HLA-A*{}:01", "{}", "chr{}_alt")
    names = [kinds[at % len(kinds)].format(at) for at in rng.permutation(455).tolist()]
    sizes = {name: int(rng.integers(1, 1_500)) for name in names}
    sizes[names[7]] = 2 * WINDOW + 3
    assert sorted(names) != names
    toy = Toy(sizes, unknown=0.5)
    path = tmp_path / "many.bw"
    materialize(path, lay_out(sizes, toy.totals()), toy)
    with pyBigWig.open(str(path)) as file:
        assert file.chroms() == sizes
        for name in names:
            np.testing.assert_array_equal(file.values(name, 0, sizes[name], numpy=True), toy.bases(name))
    with pybigtools.open(str(path)) as file:
        assert file.chroms() == sizes
        for name in names:
            found = file.values(name, fillna=np.nan).astype(np.float32)
            np.testing.assert_array_equal(found, toy.bases(name))
            assert len(list(file.zoom_records(1024, name))) == sum(
                bool(summary(toy.bases(name, only_known=True)[at : at + 1024])[0]) for at in range(0, sizes[name], 1024)
            )
    with bbi.open(str(path)) as file:
        for name in names:
            found = file.fetch(name, 0, sizes[name], missing=np.nan).astype(np.float32)
            np.testing.assert_array_equal(found, toy.bases(name))
