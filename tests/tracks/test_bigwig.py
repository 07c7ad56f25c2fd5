"""Written bigWigs against pyBigWig, pybbi (UCSC's own C code) and a recomputation of every zoom record."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import bbi
import numpy as np
import pybigtools
import pyBigWig
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracks.bigwig import Bins, read_bins, read_chrom_sizes, runs, summarise_bigwig, write_bigwig
from tracks.errors import TracksError, UsageError
from tracks.grid import BIN, bin_count
from tracks.regions import Region

# In no order, with lengths that are and are not whole bins, one of a single base, and one that gets no value.
SIZES = {"chr20": 2_500_050, "chr3": 256_000, "chr10": 300_001, "chrU": 5_000, "chr1": 1}


def signal(chrom: str) -> np.ndarray:
    """Values over the whole chromosome: runs of missing bins, plateaus, negative and tiny numbers."""
    rng = np.random.default_rng(len(chrom) + SIZES[chrom])
    values = rng.normal(0, 1, bin_count(SIZES[chrom])).astype(np.float32)
    values *= np.float32(10) ** rng.integers(-6, 3, len(values)).astype(np.float32)
    values[rng.random(len(values)) < 0.2] = np.nan
    for start in range(0, len(values), 97):
        values[start : start + 9] = [np.nan, 0.25, 0][start % 3]
    values[-1] = 0.7
    return values


ONE = np.ones(1, np.float32)
VALUED = {chrom: signal(chrom) for chrom in SIZES if chrom != "chrU"}
# A megabase of nothing inside, which no zoom record may bridge.
VALUED["chr20"][8_011:16_207] = np.nan


def pieces() -> Iterator[Bins]:
    for chrom, values in VALUED.items():
        for first in range(0, len(values), 896):
            yield Bins(chrom, first, values[first : first + 896])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bigwig") / "signal.bw"
    write_bigwig(path, SIZES, pieces())
    assert [path] == list(path.parent.iterdir())
    return path


def per_base(chrom: str) -> np.ndarray:
    return np.repeat(VALUED[chrom], BIN)[: SIZES[chrom]]


@pytest.mark.parametrize("chrom", VALUED)
def test_every_base_as_pybigwig_reads_it(written: Path, chrom: str) -> None:
    with pyBigWig.open(str(written)) as handle:
        assert handle.chroms() == SIZES
        np.testing.assert_array_equal(handle.values(chrom, 0, SIZES[chrom], numpy=True), per_base(chrom))
        spans = handle.intervals(chrom)
    assert spans[-1][1] == SIZES[chrom]
    assert all(math.isfinite(value) for _, _, value in spans)


@pytest.mark.parametrize("chrom", VALUED)
def test_every_base_as_pybbi_reads_it(written: Path, chrom: str) -> None:
    assert bbi.chromsizes(str(written)) == SIZES
    found = bbi.fetch(str(written), chrom, 0, SIZES[chrom], missing=np.nan, oob=np.nan)
    np.testing.assert_array_equal(found.astype(np.float32), per_base(chrom))


@pytest.mark.parametrize("chrom", VALUED)
def test_every_zoom_record(written: Path, chrom: str) -> None:
    """Each record against float64 sums over its own bases; together they hold every valued base once."""
    reader = pybigtools.open(str(written))
    base = per_base(chrom).astype(np.float64)
    assert len(reader.zooms()) >= 2
    for level in reader.zooms():
        records = list(reader.zoom_records(level, chrom))
        assert all(end - start <= level for start, end, _ in records)
        assert all(one[1] <= other[0] for one, other in itertools.pairwise(records))
        covered = np.zeros(len(base), bool)
        for start, end, found in records:
            values = base[start:end]
            values = values[np.isfinite(values)]
            covered[start:end] = True
            assert found["bases_covered"] == len(values) > 0
            assert found["min_val"] == values.min()
            assert found["max_val"] == values.max()
            size = np.abs(values).sum()
            assert found["sum"] == pytest.approx(values.sum(), rel=1e-6, abs=size * 1e-6)
            assert found["sum_squares"] == pytest.approx((values**2).sum(), rel=1e-6)
        assert covered[np.isfinite(base)].all()


@pytest.mark.parametrize("chrom", ["chr20", "chr3", "chr10"])
def test_what_ucscs_code_makes_of_the_zoom_records(written: Path, chrom: str) -> None:
    """Spans on the zoom grid: the means are those of the bases, and a gap is a gap, to the chromosome's end."""
    base = per_base(chrom).astype(np.float64)
    size = 20_480
    bins = SIZES[chrom] // size
    found = bbi.fetch(str(written), chrom, 0, bins * size, bins=bins, missing=np.nan)
    spans = base[: bins * size].reshape(bins, size)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(spans).all(axis=1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of no value
        expected = np.nanmean(spans, axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.nanmax(np.abs(base)))
    assert np.isnan(found).any() == (chrom == "chr20")


def test_the_summary(written: Path) -> None:
    every = np.concatenate([per_base(chrom) for chrom in VALUED]).astype(np.float64)
    summary = summarise_bigwig(written)
    assert summary.chrom_sizes == SIZES
    assert summary.covered == np.isfinite(every).sum()
    assert (summary.minimum, summary.maximum) == (np.nanmin(every), np.nanmax(every))
    assert summary.mean == pytest.approx(np.nanmean(every))
    assert list(summary.zoom_levels) == sorted(summary.zoom_levels)
    assert summary.zoom_levels


def test_a_chromosome_without_values_is_there_and_empty(written: Path) -> None:
    assert read_chrom_sizes(written) == SIZES
    assert np.isnan(read_bins(written, Region("chrU", 0, 5_000))).all()
    assert np.isnan(bbi.fetch(str(written), "chrU", 0, 5_000, missing=np.nan)).all()


@pytest.mark.parametrize("chroms", [1, 6, 80])
def test_deep_trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chroms: int) -> None:
    """Small nodes and blocks make deep trees of blocks and names, which three readers must find their way through."""
    monkeypatch.setattr("tracks.bigwig_format._CHILDREN", 3)
    monkeypatch.setattr("tracks.bigwig_writer._ROWS", 4)
    rng = np.random.default_rng(chroms)
    sizes = {f"contig_{number}": int(size) for number, size in enumerate(rng.integers(1, 40_000, chroms))}
    values = {chrom: rng.random(bin_count(size), np.float32) for chrom, size in sizes.items()}
    path = tmp_path / "a.bw"
    write_bigwig(path, sizes, [Bins(chrom, 0, row) for chrom, row in values.items()])
    assert bbi.chromsizes(str(path)) == pybigtools.open(str(path)).chroms() == sizes
    with pyBigWig.open(str(path)) as handle:
        for chrom, row in list(values.items())[::7]:
            base = np.repeat(row, BIN)[: sizes[chrom]]
            np.testing.assert_array_equal(handle.values(chrom, 0, sizes[chrom], numpy=True), base)
            np.testing.assert_array_equal(bbi.fetch(str(path), chrom, 0, sizes[chrom]).astype(np.float32), base)
            middle = sizes[chrom] // 2
            found = pybigtools.open(str(path)).values(chrom, middle, sizes[chrom], fillna=None)
            np.testing.assert_array_equal(found.astype(np.float32), base[middle:])
            reader = pybigtools.open(str(path))
            records = list(reader.zoom_records(reader.zooms()[0], chrom))
            assert sum(record["bases_covered"] for _, _, record in records) == sizes[chrom]
            assert records[-1][1] == sizes[chrom]


def test_long_plateaus_get_no_zoom_level_finer_than_themselves(tmp_path: Path) -> None:
    values = np.repeat(np.array([1, np.nan, 0.5, 0], np.float32), 8_000)
    sizes = {"c": len(values) * BIN}
    write_bigwig(tmp_path / "a.bw", sizes, [Bins("c", 0, values)])
    assert (tmp_path / "a.bw").stat().st_size < 2_000
    (level,) = summarise_bigwig(tmp_path / "a.bw").zoom_levels
    records = list(pybigtools.open(str(tmp_path / "a.bw")).zoom_records(level, "c"))
    assert sum(record["bases_covered"] for _, _, record in records) == 24_000 * BIN
    assert sum(record["sum"] for _, _, record in records) == 12_000 * BIN


def test_values_that_come_in_small_pieces_share_blocks(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random(5_000, np.float32)
    sizes = {"c": 5_000 * BIN}
    write_bigwig(tmp_path / "one.bw", sizes, [Bins("c", 0, values)])
    write_bigwig(tmp_path / "many.bw", sizes, (Bins("c", at, values[at : at + 9]) for at in range(0, 5_000, 9)))
    one, many = (tmp_path / name for name in ("one.bw", "many.bw"))
    assert many.stat().st_size == pytest.approx(one.stat().st_size, rel=0.01)
    np.testing.assert_array_equal(read_bins(many, Region("c", 0, sizes["c"])), values)


def test_a_chromosome_too_long_for_the_format(tmp_path: Path) -> None:
    with pytest.raises(TracksError, match="c is too long for the format"):
        write_bigwig(tmp_path / "a.bw", {"c": 1 << 32}, [Bins("c", 0, ONE)])


@given(st.sampled_from(sorted(VALUED)), st.data())
def test_what_was_written_is_read_bit_for_bit(written: Path, chrom: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, SIZES[chrom] - 1))
    end = data.draw(st.integers(start + 1, SIZES[chrom]))
    found = read_bins(written, Region(chrom, start, end))
    np.testing.assert_array_equal(found, VALUED[chrom][start // BIN : -(-end // BIN)])


_RUNS = st.lists(st.tuples(st.integers(0, 300), st.integers(1, 400), st.floats(-1e6, 1e6, width=32)), max_size=20)


@settings(max_examples=60)
@given(_RUNS, st.integers(0, 2_000), st.integers(1, 3_000))
def test_reading_is_the_mean_of_the_covered_bases(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[int, int, float]], start: int, length: int
) -> None:
    """Foreign files (intervals of any length, off the grid) against a brute force over every base."""
    base = np.full(6_000, np.nan)
    at, spans = 0, []
    for gap, size, value in runs:
        if at + gap + size > len(base):
            break
        spans.append(("c", at + gap, at + gap + size, value))
        base[at + gap : at + gap + size] = value
        at += gap + size
    spans = spans or [("c", 5_999, 6_000, 1.0)]
    base[spans[-1][1] : spans[-1][2]] = spans[-1][3]
    path = tmp_path_factory.mktemp("any") / "a.bw"
    pybigtools.open(str(path), "w").write({"c": len(base)}, iter(spans))
    region = Region("c", start, start + length)
    expected = []
    for first in range(start // BIN * BIN, region.end, BIN):
        values = base[first : first + BIN]
        values = values[np.isfinite(values)]
        expected.append(math.fsum(values) / len(values) if len(values) else np.nan)
    found = read_bins(path, region)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=3e-7, atol=1e-12 * np.nanmax(np.abs(base)))


def test_reading_in_pieces_is_reading_at_once(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracks.bigwig._READ_PIECE", 7 * BIN)
    found = read_bins(written, Region("chr10", 1_000, 300_001))
    np.testing.assert_array_equal(found, VALUED["chr10"][1_000 // BIN :])


def test_past_the_end_there_is_no_value(written: Path) -> None:
    found = read_bins(written, Region("chr1", 0, 3 * BIN))
    assert found[0] == np.float32(0.7)
    assert np.isnan(found[1:]).all()
    assert np.isnan(read_bins(written, Region("chr1", 5 * BIN, 6 * BIN))).all()


def test_the_smallest_values_keep_their_bits_beside_the_largest(tmp_path: Path) -> None:
    values = np.array([1e30, 1e-30, 1e-30, np.nan, -1e30, 3e-38], np.float32)
    write_bigwig(tmp_path / "a.bw", {"c": 6 * BIN}, [Bins("c", 0, values)])
    np.testing.assert_array_equal(read_bins(tmp_path / "a.bw", Region("c", 0, 6 * BIN)), values)


def test_equal_neighbours_are_joined_and_the_end_is_cut() -> None:
    bins = Bins("c", 2, np.array([1, 1, np.nan, np.nan, 2, 0, 0], np.float32))
    starts, ends, values = runs(bins, 9 * BIN - 5)
    assert starts.tolist() == [256, 768, 896]
    assert ends.tolist() == [512, 896, 1_147]
    assert values.tolist() == [1, 2, 0]
    assert [len(column) for column in runs(Bins("c", 0, np.empty(0, np.float32)), 100)] == [0, 0, 0]


@pytest.mark.parametrize("bins", [Bins("c", 8, np.ones(2, np.float32)), Bins("c", -1, np.ones(1, np.float32))])
def test_bins_outside_the_chromosome_are_refused(tmp_path: Path, bins: Bins) -> None:
    with pytest.raises(ValueError, match="leave c"):
        write_bigwig(tmp_path / "a.bw", {"c": 9 * BIN}, [bins])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        [Bins("c", 2, ONE), Bins("c", 1, ONE)],
        [Bins("c", 1, ONE), Bins("c", 1, ONE)],
        [Bins("c", 1, ONE), Bins("d", 1, ONE), Bins("c", 2, ONE)],
    ],
)
def test_pieces_out_of_order_are_refused(tmp_path: Path, wrong: list[Bins]) -> None:
    with pytest.raises(ValueError, match="come out of order, or twice"):
        write_bigwig(tmp_path / "a.bw", {"c": 900, "d": 900}, wrong)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("nothing", [[], [Bins("c", 0, np.full(3, np.nan, np.float32))]])
def test_a_file_without_a_value_is_refused(tmp_path: Path, nothing: list[Bins]) -> None:
    with pytest.raises(TracksError, match="there is no value to write"):
        write_bigwig(tmp_path / "a.bw", {"c": 900}, nothing)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("half way")])
def test_a_failing_source_leaves_no_file(tmp_path: Path, error: BaseException | type[BaseException]) -> None:
    def failing() -> Iterator[Bins]:
        yield Bins("c", 0, ONE)
        raise error

    (tmp_path / "a.bw").write_text("older")
    with pytest.raises(type(error) if isinstance(error, Exception) else KeyboardInterrupt):
        write_bigwig(tmp_path / "a.bw", {"c": 900}, failing())
    assert (tmp_path / "a.bw").read_text() == "older"
    assert len(list(tmp_path.iterdir())) == 1


_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from tracks.bigwig import Bins, write_bigwig
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
values = np.random.default_rng(0).random((int(sys.argv[2]), 896), np.float32)
sizes = {"c": values.size * 128}
write_bigwig(Path(sys.argv[1]), sizes, (Bins("c", i * 896, row) for i, row in enumerate(values)))
"""


@pytest.mark.parametrize(("windows", "limit"), [(100, 200_000), (2, 4_000), (2, 9_000), (2, 11_000), (1, 100)])
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path, windows: int, limit: int) -> None:
    command = [sys.executable, "-c", _FULL_DISK, str(tmp_path / "a.bw"), str(windows), str(limit)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert f"TracksError: cannot write {tmp_path / 'a.bw'}: " in run.stderr.splitlines()[-1]
    assert "File too large" in run.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_chromosome(written: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'chr20'"):
        read_bins(written, Region("20", 0, 10))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "not a bigWig"),
        (b"chr20\t0\t128\t0.5\n" * 9, "not a bigWig"),
        (0x8789F2EB.to_bytes(4, "little") + bytes(100), "it is a bigBed file"),
        (0x888FFC26.to_bytes(4, "little") + bytes(100), "damaged"),
    ],
)
def test_files_that_are_no_bigwig(tmp_path: Path, content: bytes, fault: str) -> None:
    (tmp_path / "a.bw").write_bytes(content)
    for read in (summarise_bigwig, read_chrom_sizes, lambda path: read_bins(path, Region("c", 0, 5))):
        with pytest.raises(TracksError, match=fault):
            read(tmp_path / "a.bw")


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no bigWig file"):
        summarise_bigwig(tmp_path / "a.bw")
    with pytest.raises(TracksError, match="Is a directory"):
        read_chrom_sizes(tmp_path)


_READ_ALL = """
import sys
from pathlib import Path
from tracks.bigwig import read_bins, read_chrom_sizes, summarise_bigwig
from tracks.errors import TracksError
from tracks.regions import Region
whole = Path(sys.argv[1]).read_bytes()
refused = 0
for size in (4, 40, 64, 65, 200, 400, 1_000, len(whole) // 2, len(whole) * 9 // 10):
    path = Path(sys.argv[2]) / f"{size}.bw"
    path.write_bytes(whole[:size])
    for read in (summarise_bigwig, read_chrom_sizes, lambda path: read_bins(path, Region("chr20", 0, 2_500_050))):
        try:
            read(path)
        except TracksError:
            refused += 1
print(refused)
"""


def test_a_file_cut_short_never_ends_the_process(written: Path, tmp_path: Path) -> None:
    """pyBigWig ends the process on some of these (signal 11), so this runs in another one."""
    command = [sys.executable, "-c", _READ_ALL, str(written), str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) >= 20
