"""The files of a hub: bigBeds, renamed and subtracted bigWigs, axes."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import bbi
import numpy as np
import pybigtools
import pyBigWig
import pytest

from tracks.bigwig import Bins, read_bins, read_chrom_sizes, summarise_bigwig, write_bigwig
from tracks.errors import TracksError, UsageError
from tracks.grid import BIN
from tracks.hub.bigbed import Interval, Placed, place, read_intervals, write_bigbed
from tracks.hub.limits import difference_limits, outwards, robust_range, signal_limits
from tracks.hub.signals import put_file, rename_chroms, write_difference
from tracks.regions import Region
from tracks.track import Track

SIZES = {"chr1": 300_000, "chr2": 100_050}
COUNTS = Track("Reads", "", "", "reads", "#1b6ca8")
FRACTION = Track("CpG", "", "", "methylated fraction", "#1b6ca8")


def write_bed(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def test_intervals_cut_sorted_and_renamed(tmp_path: Path) -> None:
    text = "track name=x\n#no\n\n2\t100000\t100060\tb\n1\t500\t900\nchrZ\t1\t2\n1\t20\t30\ta b\n2\t100050\t100060\n"
    found = read_intervals(write_bed(tmp_path / "x.bed.gz", text))
    placed = place(found, SIZES, {"1": "chr1", "2": "chr2"}.get)
    assert placed.intervals == (
        Interval("chr1", 20, 30, "a_b"),
        Interval("chr1", 500, 900),
        Interval("chr2", 100_000, 100_050, "b"),
    )
    assert (placed.left_out, placed.cut, placed.columns) == (2, 1, 4)
    path = tmp_path / "x.bb"
    write_bigbed(path, placed, SIZES)
    assert list(pybigtools.open(str(path)).records("chr1")) == [(20, 30, "a_b"), (500, 900, ".")]
    assert bbi.is_bigbed(str(path))
    assert len(list(bbi.fetch_intervals(str(path), "chr1", 0, 300_000, iterator=True))) == 2
    with pyBigWig.open(str(path)) as file:
        assert file.isBigBed()
        assert file.entries("chr2", 0, 100_050) == [(100_000, 100_050, "b")]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["x.bb", "x.bed.gz"]


def test_intervals_that_overlap_and_have_no_names(tmp_path: Path) -> None:
    placed = place([Interval("chr1", 0, 50), Interval("chr1", 10, 20), Interval("chr1", 0, 9)], SIZES, str)
    write_bigbed(tmp_path / "x.bb", placed, SIZES)
    assert placed.columns == 3
    assert list(pybigtools.open(str(tmp_path / "x.bb")).records("chr1")) == [(0, 9), (0, 50), (10, 20)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("chr1\t5", "line 2: a BED line needs a chromosome, a start and an end"),
        ("chr1\tx\t9", "line 2: a BED line needs"),
        ("chr1\t-5\t9", "line 2: a BED line needs"),
        ("chr1\t9\t5", "line 2: the interval is empty or reversed: 9 to 5"),
    ],
)
def test_lines_that_are_no_intervals(tmp_path: Path, line: str, words: str) -> None:
    path = write_bed(tmp_path / "x.bed", f"chr1\t1\t2\n{line}\n")
    with pytest.raises(TracksError, match=words):
        read_intervals(path)


def test_bed_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no BED file"):
        read_intervals(tmp_path / "no.bed")
    (tmp_path / "cut.bed.gz").write_bytes(gzip.compress(b"chr1\t1\t2\n" * 999)[:30])
    with pytest.raises(TracksError, match="cannot read the BED file"):
        read_intervals(tmp_path / "cut.bed.gz")
    with pytest.raises(TracksError, match="there is no interval to write"):
        write_bigbed(tmp_path / "x.bb", Placed((), 0, 0), SIZES)
    assert not (tmp_path / "x.bb").exists()


def random_bigwig(path: Path, sizes: dict[str, int], seed: int, scale: float = 1.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    found = {}
    for chrom, length in sizes.items():
        values = (rng.random(-(-length // BIN)) * scale).astype(np.float32)
        values[rng.random(len(values)) < 0.3] = np.nan
        found[chrom] = values
    write_bigwig(path, sizes, [Bins(chrom, 0, values) for chrom, values in found.items()])
    return found


def bins_of(path: Path, chrom: str) -> np.ndarray:
    return read_bins(path, Region(chrom, 0, read_chrom_sizes(path)[chrom]))


def test_chromosomes_renamed_with_every_value_in_its_place(tmp_path: Path) -> None:
    values = random_bigwig(tmp_path / "a.bw", {"2": 100_000, "1": 300_000, "odd": 5_000}, 1)
    rename_chroms(tmp_path / "a.bw", tmp_path / "b.bw", {"2": "chr2", "1": "chr1"}, SIZES)
    assert read_chrom_sizes(tmp_path / "b.bw") == SIZES
    for ours, theirs in (("chr1", "1"), ("chr2", "2")):
        np.testing.assert_array_equal(bins_of(tmp_path / "b.bw", ours)[: len(values[theirs])], values[theirs])
    reader = pybigtools.open(str(tmp_path / "b.bw"))
    assert reader.info()["summary"]["basesCovered"] == sum(
        BIN * int(np.isfinite(values[chrom]).sum()) - (0 if np.isnan(values[chrom][-1]) else -length % BIN)
        for chrom, length in (("1", 300_000), ("2", 100_000))
    )
    assert bbi.fetch(str(tmp_path / "b.bw"), "chr1", 0, 300_000, bins=4).shape == (4,)


def test_renaming_to_nothing_leaves_nothing(tmp_path: Path) -> None:
    write_bigwig(tmp_path / "a.bw", {"1": 1_000, "2": 1_000}, [Bins("2", 0, np.ones(3, np.float32))])
    with pytest.raises(TracksError, match="has no value on the chromosomes"):
        rename_chroms(tmp_path / "a.bw", tmp_path / "b.bw", {"1": "chr1"}, SIZES)
    assert [path.name for path in tmp_path.iterdir()] == ["a.bw"]


def test_a_difference_is_where_both_have_a_value(tmp_path: Path) -> None:
    observed = random_bigwig(tmp_path / "o.bw", SIZES, 1)
    predicted = random_bigwig(tmp_path / "p.bw", {"chr2": 100_050, "chr1": 300_000, "chr9": 1_000}, 2)
    assert write_difference(tmp_path / "d.bw", tmp_path / "p.bw", tmp_path / "o.bw")
    for chrom in SIZES:
        np.testing.assert_array_equal(bins_of(tmp_path / "d.bw", chrom), predicted[chrom] - observed[chrom])


def test_a_difference_of_finer_values_is_of_their_means(tmp_path: Path) -> None:
    with pyBigWig.open(str(tmp_path / "o.bw"), "w") as file:
        file.addHeader([("chr1", 1_000)])
        file.addEntries(["chr1"] * 3, [0, 32, 200], ends=[32, 64, 264], values=[1.0, 3.0, 5.0])
    write_bigwig(tmp_path / "p.bw", {"chr1": 1_000}, [Bins("chr1", 0, np.full(8, 10, np.float32))])
    assert write_difference(tmp_path / "d.bw", tmp_path / "p.bw", tmp_path / "o.bw")
    np.testing.assert_array_equal(bins_of(tmp_path / "d.bw", "chr1"), [8, 5, 5, *[np.nan] * 5])


def test_no_difference_without_a_common_bin(tmp_path: Path) -> None:
    write_bigwig(tmp_path / "o.bw", SIZES, [Bins("chr1", 0, np.ones(3, np.float32))])
    write_bigwig(tmp_path / "p.bw", SIZES, [Bins("chr1", 5, np.ones(3, np.float32))])
    assert not write_difference(tmp_path / "d.bw", tmp_path / "p.bw", tmp_path / "o.bw")
    assert not (tmp_path / "d.bw").exists()


def test_files_copied_and_linked(tmp_path: Path) -> None:
    source = tmp_path / "a.bw"
    source.write_bytes(b"1234")
    assert put_file(source, tmp_path / "copy.bw")
    assert not put_file(source, tmp_path / "link.bw", link=True)
    assert (tmp_path / "link.bw").samefile(source)
    assert not (tmp_path / "copy.bw").samefile(source)


def test_a_disk_without_links_gets_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refused)
    (tmp_path / "a.bw").write_bytes(b"1234")
    assert put_file(tmp_path / "a.bw", tmp_path / "b.bw", link=True)
    assert (tmp_path / "b.bw").read_bytes() == b"1234"


def test_axes_of_fractions_and_of_others(tmp_path: Path) -> None:
    random_bigwig(tmp_path / "a.bw", SIZES, 1, scale=0.3)
    summary = summarise_bigwig(tmp_path / "a.bw")
    assert signal_limits(tmp_path / "a.bw", FRACTION, summary) == (0, 1)
    assert difference_limits(tmp_path / "a.bw", FRACTION, summary) == (-1, 1)
    assert signal_limits(tmp_path / "a.bw", COUNTS, summary) == (0, 0.3)
    assert difference_limits(tmp_path / "a.bw", COUNTS, summary) == (-0.3, 0.3)


def test_a_few_extreme_values_do_not_stretch_an_axis(tmp_path: Path) -> None:
    sizes = {"chr1": 200_000_000}
    rng = np.random.default_rng(3)
    values = rng.gamma(2, 1, 1_562_500).astype(np.float32)
    values[rng.integers(0, len(values), 20)] = 10_000
    values[1000] = -5_000
    write_bigwig(tmp_path / "a.bw", sizes, [Bins("chr1", 0, values)])
    low, high = signal_limits(tmp_path / "a.bw", COUNTS, summarise_bigwig(tmp_path / "a.bw"))
    assert low == 0
    assert np.quantile(values, 0.99) < high < 20


def test_a_file_without_zoom_levels_has_the_range_of_its_values(tmp_path: Path) -> None:
    with pyBigWig.open(str(tmp_path / "a.bw"), "w") as file:
        file.addHeader([("chr1", 1_000)], maxZooms=0)
        file.addEntries(["chr1"], [0], ends=[100], values=[7.0])
    summary = summarise_bigwig(tmp_path / "a.bw")
    assert summary.maximum < summary.minimum  # libBigWig's header lacks a maximum that comes first
    assert robust_range(tmp_path / "a.bw", summary) == (7, 7)
    assert signal_limits(tmp_path / "a.bw", COUNTS, summary) == (0, 7)


@pytest.mark.parametrize(
    ("ends", "rounded"),
    [
        ((0, 0), (0, 1)),
        ((0, 0.123), (0, 0.13)),
        ((-0.5, 1234), (-100, 1300)),
        ((0, 1), (0, 1)),
        ((-3, 0), (-3, 0)),
        ((0, 3e38), (0, 1e30)),
    ],
)
def test_ends_of_an_axis_are_round(ends: tuple[float, float], rounded: tuple[float, float]) -> None:
    assert outwards(*ends) == rounded
