"""Numbers of regions against brute force over bases, and tables as files."""

from __future__ import annotations

import gzip
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pyBigWig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.errors import TracksError, UsageError
from tracks.grid import BIN, BINS, WINDOW, bin_count
from tracks.observed_signal import ObservedSignal
from tracks.regions import NamedRegion, Region, parse_named_bed, read_named_bed
from tracks.runs import Runs
from tracks.table import (
    COLUMNS,
    NUMBER_COLUMNS,
    TableRows,
    TableTrack,
    observed_numbers,
    predicted_numbers,
    table_rows,
    windows_touched,
)
from tracks.table_file import check_table_path, table_writer
from tracks.track import Track

SIZES = {"chr20": 400_050, "chr3": 100_000}
ONE = Track("Track one", "WGBS", "cells", "methylated fraction", "#d95f02")
TWO = Track("Track two", "DamID", "cells", "covered fraction", "#1b6ca8")


def window(chrom: str, index: int) -> np.ndarray:
    values = np.random.default_rng([len(chrom), index]).normal(size=(BINS, 3)).astype(np.float32)
    values[values[:, 0] < -0.3, 1] = np.nan
    values[:, 2] = np.nan
    return values


def whole(chrom: str) -> np.ndarray:
    """Each base's values, float32 ``[bases, 3]``."""
    bins = np.concatenate([window(chrom, index) for index in range(-(-SIZES[chrom] // WINDOW))])
    return np.repeat(bins[: bin_count(SIZES[chrom])], BIN, axis=0)[: SIZES[chrom]]


BASES = {chrom: whole(chrom) for chrom in SIZES}


def brute(bases: np.ndarray) -> tuple[float, float, float]:
    known = bases[np.isfinite(bases)].astype(np.float64)
    if not len(known):
        return np.nan, np.nan, 0.0
    return float(known.mean()), float(known.max()), len(known) / len(bases)


def some_region(data: st.DataObject) -> Region:
    chrom = data.draw(st.sampled_from(sorted(SIZES)))
    start = data.draw(st.integers(0, SIZES[chrom] - 1))
    length = data.draw(st.integers(1, 700) | st.integers(1, SIZES[chrom]))
    return Region(chrom, start, min(start + length, SIZES[chrom]))


@given(st.data())
def test_predicted_numbers_are_those_of_the_bases(data: st.DataObject) -> None:
    region = some_region(data)
    columns = np.array(data.draw(st.permutations([0, 1, 2])))
    found = predicted_numbers(region, window, columns)
    inside = BASES[region.chrom][region.start : region.end]
    expected = np.array([brute(inside[:, column]) for column in columns])
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


@pytest.fixture(scope="module")
def bigwig(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of any length with gaps, by a writer that is not ours; its chromosomes are named 20 and 3."""
    path = tmp_path_factory.mktemp("signal") / "a.bw"
    rng = np.random.default_rng(3)
    with pyBigWig.open(str(path), "w") as handle:
        handle.addHeader([(chrom[3:], length) for chrom, length in sorted(SIZES.items())])
        for chrom, length in sorted(SIZES.items()):
            edges = np.unique(rng.integers(0, length, 6_000))
            starts, ends = edges[:-1:2][:2_900], edges[1::2][:2_900]
            values = rng.normal(size=len(starts)).round(3)
            handle.addEntries([chrom[3:]] * len(starts), starts.tolist(), ends=ends.tolist(), values=values.tolist())
    return path


@pytest.fixture(scope="module")
def measured(bigwig: Path) -> dict[str, np.ndarray]:
    """Each base's value by pyBigWig."""
    with pyBigWig.open(str(bigwig)) as handle:
        return {chrom: np.array(handle.values(chrom[3:], 0, length)) for chrom, length in SIZES.items()}


@given(data=st.data())
def test_observed_numbers_are_those_of_the_bases(
    bigwig: Path, measured: dict[str, np.ndarray], data: st.DataObject
) -> None:
    region = some_region(data)
    signal = ObservedSignal(bigwig, SIZES)
    found = observed_numbers(region, signal.runs(region.chrom, region.start, region.end))
    expected = brute(measured[region.chrom][region.start : region.end])
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))


@given(data=st.data())
def test_observed_bins_are_means_of_bases(bigwig: Path, measured: dict[str, np.ndarray], data: st.DataObject) -> None:
    region = some_region(data)
    found = ObservedSignal(bigwig, SIZES).bins(region)
    first, last = region.start // BIN, -(-region.end // BIN)
    bases = measured[region.chrom]
    expected = [brute(bases[at * BIN : (at + 1) * BIN])[0] for at in range(first, last)]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_a_bigwig_of_another_build_is_refused(bigwig: Path) -> None:
    with pytest.raises(UsageError, match=r"a\.bw is of another genome build: its 20 has 400,050 bases"):
        ObservedSignal(bigwig, {**SIZES, "chr20": 400_051})
    with pytest.raises(UsageError, match="there is no bigWig file"):
        ObservedSignal(bigwig.with_name("none.bw"), SIZES)


def test_nothing_observed_on_a_chromosome_is_no_coverage(bigwig: Path) -> None:
    signal = ObservedSignal(bigwig, {**SIZES, "chrM": 16_000})
    assert list(signal.runs("chrM", 0, 16_000)) == []
    assert np.isnan(signal.bins(Region("chrM", 0, 300))).all()
    mean, most, coverage = observed_numbers(Region("chrM", 0, 300), [Runs.none()])
    assert np.isnan([mean, most]).all()
    assert coverage == 0


def test_a_bed_line_has_name_and_strand_where_it_has_them() -> None:
    lines = [
        "# a comment",
        "track name=x",
        "chr20\t5\t9\tGene A\t0\t-\n",
        "chr20 5 9 beta 0 +",
        "chr3\t0\t100000",
        "chr3\t1\t2\tfour\t1000\t2.5",
        "chr3\t1\t2\t\t1000\t.\r\n",
    ]
    assert list(parse_named_bed(lines, "x.bed", SIZES)) == [
        NamedRegion(Region("chr20", 5, 9), "Gene A", "-"),
        NamedRegion(Region("chr20", 5, 9), "beta", "+"),
        NamedRegion(Region("chr3", 0, 100_000)),
        NamedRegion(Region("chr3", 1, 2), "four"),
        NamedRegion(Region("chr3", 1, 2), "", "."),
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("chr20\t5\n", "line 2: a BED line needs three columns"),
        ("chr20\t9\t5\n", "line 2: the region is empty or reversed"),
        ("chr9\t1\t5\n", "line 2: the genome has no chromosome 'chr9'"),
    ],
)
def test_a_bad_line_is_named_when_it_is_read(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "a.bed"
    path.write_text("chr20\t1\t2\n" + text)
    rows = read_named_bed(path, SIZES)
    assert next(rows).region == Region("chr20", 1, 2)
    with pytest.raises(UsageError, match=fault):
        next(rows)


REGIONS = [
    NamedRegion(Region("chr20", 100, 30_000), "alpha", "+"),
    NamedRegion(Region("chr3", 1, 2)),
    NamedRegion(Region("chr20", 114_600, 400_050), 'Beta, "two"', "."),
]


def rows(bigwig: Path, regions: list[NamedRegion] = REGIONS) -> Iterator[TableRows]:
    signal = ObservedSignal(bigwig, SIZES)
    tracks = [TableTrack(ONE, 1, signal), TableTrack(TWO, None, signal), TableTrack(TWO, 2, None)]
    return table_rows(regions, tracks, window)


def test_rows_are_regions_by_tracks_in_their_order(bigwig: Path, measured: dict[str, np.ndarray]) -> None:
    [table] = rows(bigwig)
    assert len(table) == 9
    assert table.column("chrom") == ["chr20"] * 3 + ["chr3"] * 3 + ["chr20"] * 3
    assert table.column("start").tolist() == [100] * 3 + [1] * 3 + [114_600] * 3  # type: ignore[union-attr]
    assert table.column("name") == ["alpha"] * 3 + [""] * 3 + ['Beta, "two"'] * 3
    assert table.column("strand") == ["+"] * 3 + [""] * 3 + ["."] * 3
    assert table.column("track") == ["Track one", "Track two", "Track two"] * 3
    assert table.column("unit") == ["methylated fraction", "covered fraction", "covered fraction"] * 3
    for at, row in enumerate(REGIONS):
        span = slice(row.region.start, row.region.end)
        seen, made = brute(measured[row.region.chrom][span]), brute(BASES[row.region.chrom][span, 1])
        np.testing.assert_allclose(table.numbers[at, 0], [*seen, *made], rtol=1e-6)
        np.testing.assert_allclose(table.numbers[at, 1], [*seen, np.nan, np.nan, np.nan], rtol=1e-6)
        np.testing.assert_allclose(table.numbers[at, 2], [np.nan, np.nan, np.nan, np.nan, np.nan, 0.0])
    assert table.unpredicted == sum(
        brute(BASES[r.region.chrom][r.region.start : r.region.end, 1])[2] == 0 for r in REGIONS
    )


def test_windows_touched() -> None:
    regions = [Region("chr3", 5, 6), Region("chr20", WINDOW - 1, WINDOW + 1), Region("chr20", 0, 3)]
    assert windows_touched(regions) == {"chr3": [0], "chr20": [0, 1]}


def write(path: Path, bigwig: Path) -> Path:
    with table_writer(path, {"model_digest": "ab"}) as writer:
        for part in rows(bigwig):
            writer.write(part)
    return path


def test_every_kind_of_file_holds_identical_numbers(tmp_path: Path, bigwig: Path) -> None:
    text = pd.read_csv(write(tmp_path / "a.tsv", bigwig), sep="\t", quoting=3, keep_default_na=False)
    packed = pd.read_csv(write(tmp_path / "a.tsv.gz", bigwig), sep="\t", quoting=3, keep_default_na=False)
    parquet = pq.read_table(write(tmp_path / "a.parquet", bigwig))
    assert list(text.columns) == parquet.column_names == list(COLUMNS)
    assert parquet.schema.metadata[b"model_digest"] == b"ab"
    pd.testing.assert_frame_equal(text, packed)
    [table] = rows(bigwig)
    for name in COLUMNS:
        column, given_column = parquet[name].to_pylist(), table.column(name)
        if name not in NUMBER_COLUMNS:
            assert [value or "" for value in column] == text[name].tolist() == list(given_column)
            continue
        read = np.array([np.nan if value == "" else value for value in text[name]], np.float32)
        again = np.array([np.nan if value is None else value for value in column], np.float32)
        assert read.tobytes() == np.asarray(given_column).tobytes() == again.tobytes()
        assert not np.isnan([value for value in column if value is not None]).any(), "missing is null"


def test_the_same_numbers_are_the_same_bytes(tmp_path: Path, bigwig: Path) -> None:
    for name in ("tsv", "tsv.gz", "parquet"):
        files = [write(tmp_path / f"{at}.{name}", bigwig).read_bytes() for at in "ab"]
        assert files[0] == files[1]
    assert gzip.decompress((tmp_path / "a.tsv.gz").read_bytes()) == (tmp_path / "a.tsv").read_bytes()


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz", "a.parquet"])
def test_what_is_interrupted_leaves_no_file(tmp_path: Path, bigwig: Path, name: str) -> None:
    def interrupted() -> None:
        with table_writer(tmp_path / name, {}) as writer:
            writer.write(next(rows(bigwig)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from tracks.regions import NamedRegion, Region
from tracks.table import TableRows
from tracks.table_file import table_writer
from tracks.track import Track
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000,) * 2)
regions = [NamedRegion(Region("c", at, at + 1)) for at in range(50_000)]
numbers = np.random.default_rng(0).random((50_000, 1, 6), np.float32)
with table_writer(Path(sys.argv[1]), {}) as writer:
    writer.write(TableRows(regions, [Track("a", "", "", "", "#000000")], numbers))
"""


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz", "a.parquet"])
def test_a_full_disk_is_one_line_and_leaves_no_file(tmp_path: Path, name: str) -> None:
    command = [sys.executable, "-c", _FULL_DISK, str(tmp_path / name)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert run.stderr.splitlines()[-1].startswith("tracks.errors.TracksError: cannot write "), run.stderr
    assert list(tmp_path.iterdir()) == []


def test_paths_that_no_table_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"a \.tsv, a \.tsv\.gz or a \.parquet file, and .*a\.csv is none"):
        check_table_path(tmp_path / "a.csv", False)
    (tmp_path / "a.tsv").write_text("older")
    with pytest.raises(UsageError, match="exists already"):
        check_table_path(tmp_path / "a.tsv", False)
    check_table_path(tmp_path / "a.tsv", True)
    with pytest.raises(TracksError, match="is a file, not a folder"):
        check_table_path(tmp_path / "a.tsv" / "b.tsv", False)
    check_table_path(tmp_path / "a.parquet", False)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UsageError, match=r"^Parquet needs pyarrow: pip install pyarrow, or write a \.tsv file$"):
        check_table_path(tmp_path / "a.parquet", False)


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz"])
def test_memory_does_not_grow_with_the_regions(tmp_path: Path, bigwig: Path, name: str) -> None:
    def peak(count: int) -> int:
        regions = (NamedRegion(Region("chr3", at, at + 50)) for at in range(count))
        tracemalloc.start()
        with table_writer(tmp_path / name, {}) as writer:
            for part in table_rows(regions, [TableTrack(ONE, None, ObservedSignal(bigwig, SIZES))], window):
                writer.write(part)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(600)
    assert peak(8_000) - peak(2_000) < 100_000
