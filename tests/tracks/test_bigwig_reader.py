"""Runs read from bigWigs of every block type, against pyBigWig; damage and truncation."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pybigtools
import pyBigWig
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracks.bigwig_reader import BigWigReader
from tracks.bigwig_writer import BASE_ZOOM, BigWigWriter
from tracks.errors import TracksError, UsageError
from tracks.runs import Runs

SIZES = {"chr2": 3_000_000, "chr10": 500_000, "chrEmpty": 1_000, "chr1": 90_000}


def _pieces(chrom: str) -> list[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Stretches of each kind that pyBigWig writes, with gaps, by start: kind, starts, ends, values."""
    rng = np.random.default_rng(len(chrom))
    values = rng.normal(0, 5, 3_000).astype(np.float32)
    if chrom == "chr1":
        return [("fixed", np.arange(0, 90_000, 30), np.arange(30, 90_001, 30), values)]
    starts = 1_000 + np.cumsum(rng.integers(20, 60, 3_000))
    variable = 200_000 + np.cumsum(rng.integers(12, 40, 3_000))
    fixed = 400_000 + np.arange(3_000) * 11
    return [
        ("bedgraph", starts, starts + rng.integers(1, 20, 3_000), values),
        ("variable", variable, variable + 12, values[::-1]),
        ("fixed", fixed, fixed + 7, values + 1),
    ]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reader") / "signal.bw"
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader(list(SIZES.items()))
        for chrom in SIZES:
            if chrom == "chrEmpty":
                continue
            for kind, starts, ends, values in _pieces(chrom):
                if kind == "bedgraph":
                    file.addEntries([chrom] * len(starts), starts.tolist(), ends=ends.tolist(), values=values.tolist())
                elif kind == "variable":
                    file.addEntries(chrom, starts.tolist(), values=values.tolist(), span=12)
                else:
                    span, step = int(ends[0] - starts[0]), int(starts[1] - starts[0])
                    file.addEntries(chrom, int(starts[0]), values=values.tolist(), span=span, step=step)
    return path


def read(path: Path, chrom: str, start: int = 0, end: int | None = None) -> Runs:
    with BigWigReader(path) as reader:
        return Runs.joined(list(reader.runs(chrom, start, end)))


def per_base(runs: Runs, start: int, end: int) -> np.ndarray:
    values = np.full(end - start, np.nan, np.float32)
    for at, stop, value in zip(runs.starts, runs.ends, runs.values, strict=True):
        values[at - start : stop - start] = value
    return values


@pytest.mark.parametrize("chrom", SIZES)
def test_whole_chromosomes_are_what_was_written(written: Path, chrom: str) -> None:
    runs = read(written, chrom)
    with pyBigWig.open(str(written)) as file:
        expected = file.intervals(chrom) or ()
    assert len(runs) == len(expected) == {"chr1": 3_000, "chrEmpty": 0}.get(chrom, 9_000)
    found = list(zip(runs.starts.tolist(), runs.ends.tolist(), runs.values.tolist(), strict=True))
    assert found == [(start, end, value) for start, end, value in expected]


@settings(max_examples=60)
@given(st.data())
def test_a_part_is_cut_out_exactly(written: Path, data: st.DataObject) -> None:
    chrom = data.draw(st.sampled_from(["chr2", "chr10", "chr1"]))
    start = data.draw(st.integers(0, 89_000) | st.integers(195_000, 205_000) | st.integers(395_000, 440_000))
    start = min(start, SIZES[chrom] - 1)
    end = data.draw(st.integers(start + 1, min(start + 2_000, SIZES[chrom])))
    with pyBigWig.open(str(written)) as file:
        expected = file.values(chrom, start, end, numpy=True)
    np.testing.assert_array_equal(per_base(read(written, chrom, start, end), start, end), expected)


def test_sizes_and_edges(written: Path) -> None:
    with BigWigReader(written) as reader:
        assert dict(reader.chrom_sizes) == SIZES
        assert not list(reader.runs("chr2", 3_000_000))
        assert not list(reader.runs("chr2", 10, 10))
        with pytest.raises(UsageError, match="did you mean 'chr2'"):
            list(reader.runs("2"))


def test_values_that_are_no_numbers_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "nan.bw"
    rows = [("chr1", 0, 5, 1.0), ("chr1", 5, 9, float("nan")), ("chr1", 9, 12, float("inf")), ("chr1", 12, 20, 2.0)]
    pybigtools.open(str(path), "w").write({"chr1": 100}, iter(rows))
    runs = read(path, "chr1")
    assert (runs.starts.tolist(), runs.ends.tolist(), runs.values.tolist()) == ([0, 12], [5, 20], [1.0, 2.0])


def test_many_blocks_and_chromosomes(tmp_path: Path) -> None:
    """Enough for several levels of both trees."""
    path = tmp_path / "many.bw"
    sizes = {f"contig{at:05}": 1_000 for at in range(700)} | {"chrBig": 4_000_000}
    rng = np.random.default_rng(1)
    values = rng.normal(size=400_000).astype(np.float32)
    rows = [(chrom, 10, 20, float(at)) for at, chrom in enumerate(sizes) if chrom != "chrBig"]
    big = [("chrBig", at * 10, at * 10 + 10, float(value)) for at, value in enumerate(values)]
    pybigtools.open(str(path), "w").write(sizes, iter([*big, *rows]))
    runs = read(path, "chrBig")
    np.testing.assert_array_equal(runs.values, values)
    assert read(path, "contig00642").values.tolist() == [642.0]
    assert read(path, "chrBig", 3_999_985).starts.tolist() == [3_999_985, 3_999_990]


def _big_endian(path: Path, out: Path) -> None:
    """Write one block of two intervals on one chromosome in the other byte order, by the format's own tables."""
    block = zlib.compress(
        struct.pack(">IIIIIBBH", 0, 3, 50, 0, 0, 1, 0, 2) + struct.pack(">IIfIIf", 3, 9, 1.5, 9, 50, -2)
    )
    chroms = (
        struct.pack(">IIIIQQ", 0x78CA8C91, 1, 4, 8, 1, 0)
        + struct.pack(">BBH", 1, 0, 1)
        + struct.pack(">4sII", b"chr1", 0, 60)
    )
    chroms_at = 64
    data_at = chroms_at + len(chroms)
    index_at = data_at + 8 + len(block)
    index = struct.pack(">IIQIIIIQII", 0x2468ACE0, 1, 1, 0, 3, 0, 50, index_at, 1024, 0)
    index += struct.pack(">BBH", 1, 0, 1) + struct.pack(">IIIIQQ", 0, 3, 0, 50, data_at + 8, len(block))
    header = struct.pack(">IHHQQQHHQQIQ", 0x888FFC26, 4, 0, chroms_at, data_at, index_at, 0, 0, 0, 0, 1 << 14, 0)
    out.write_bytes(header + chroms + struct.pack(">Q", 1) + block + index)


def test_the_other_byte_order(tmp_path: Path) -> None:
    path = tmp_path / "big.bw"
    _big_endian(path, path)
    runs = read(path, "chr1", 5)
    assert (runs.starts.tolist(), runs.ends.tolist(), runs.values.tolist()) == ([5, 9], [9, 50], [1.5, -2.0])


@pytest.mark.parametrize("kept", [0, 3, 40, 63, 64, 300, 0.2, 0.5, 0.9])
def test_a_file_that_is_cut_short(written: Path, tmp_path: Path, kept: float) -> None:
    data = written.read_bytes()
    path = tmp_path / "short.bw"
    path.write_bytes(data[: int(kept * len(data)) if kept < 1 and kept else int(kept)])
    with pytest.raises(TracksError, match=r"short\.bw: it is (not a bigWig|a damaged or truncated bigWig)"):
        _ = [read(path, chrom) for chrom in SIZES]


@settings(max_examples=150)
@given(st.integers(0, 1 << 30), st.integers(0, 255))
def test_damage_is_an_error_or_harmless(
    written: Path, tmp_path_factory: pytest.TempPathFactory, at: int, byte: int
) -> None:
    data = bytearray(written.read_bytes())
    data[at % len(data)] = byte
    path = tmp_path_factory.mktemp("damaged") / "x.bw"
    path.write_bytes(data)
    with suppress(TracksError), BigWigReader(path) as reader:
        for chrom in reader.chrom_sizes:
            for runs in reader.runs(chrom):
                assert (runs.ends > runs.starts).all()


def test_what_is_no_bigwig(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no bigWig file"):
        BigWigReader(tmp_path / "none.bw")
    (tmp_path / "text.bw").write_text("chr1\t0\t10\t1\n" * 20)
    with pytest.raises(TracksError, match="it is not a bigWig file"):
        BigWigReader(tmp_path / "text.bw")
    with pytest.raises(TracksError, match="cannot read"):
        BigWigReader(tmp_path)


def test_a_file_that_is_written_anew_while_it_is_open_is_an_error(written: Path, tmp_path: Path) -> None:
    path = tmp_path / "open.bw"
    path.write_bytes(written.read_bytes())
    with BigWigReader(path) as reader:
        chrom = next(iter(reader.chrom_sizes))
        path.write_bytes(b"")
        with pytest.raises(TracksError, match=r"open\.bw.*became shorter while it was open"):
            list(reader.runs(chrom))
    with pytest.raises(TracksError, match="cannot read"):
        list(reader.runs(chrom))


def test_zoom_records_are_those_of_the_values(tmp_path: Path) -> None:
    """What they hold is compared with the values themselves, record by record; and a span's are among all."""
    path = tmp_path / "zooms.bw"
    rng = np.random.default_rng(2)
    sizes = {"chr1": 700_000, "chr2": 300_123}
    bases = {chrom: np.where(rng.random(size) < 0.3, np.nan, rng.normal(size=size)) for chrom, size in sizes.items()}
    with BigWigWriter(path, sizes, BASE_ZOOM) as writer:
        for chrom, values in bases.items():
            at = np.flatnonzero(np.isfinite(values))
            writer.add(chrom, at, at + 1, values[at].astype(np.float32))
    with BigWigReader(path) as reader:
        names = {number: name for name, number in reader.chrom_ids.items()}
        assert len(reader.zooms) > 3
        assert reader.zooms == tuple(sorted(reader.zooms))
        for size in reader.zooms:
            rows = reader.zoom_records(size)
            assert rows["bases"].sum() == sum(np.isfinite(values).sum() for values in bases.values())
            for row in rows[:: max(1, len(rows) // 50)]:
                here = bases[names[int(row["chrom"])]][row["start"] : row["end"]]
                here = here[np.isfinite(here)]
                assert row["end"] - row["start"] <= size
                assert row["bases"] == len(here)
                np.testing.assert_allclose(row["sum"], here.sum(), rtol=1e-4, atol=1e-4)
                np.testing.assert_allclose(row["squares"], (here**2).sum(), rtol=1e-4)
                np.testing.assert_allclose([row["least"], row["most"]], [here.min(), here.max()], rtol=1e-6)
            number = reader.chrom_ids["chr2"]
            inside = rows[(rows["chrom"] == number) & (rows["end"] > 1000) & (rows["start"] < 200_000)]
            part = reader.zoom_records(size, "chr2", 1000, 200_000)
            assert set(part["chrom"].tolist()) == {number}
            assert set(inside["start"].tolist()) <= set(part["start"].tolist()) <= set(rows["start"].tolist())
        assert reader.block_count("chr1", 0, sizes["chr1"]) > reader.block_count("chr1", 0, 1000) == 1
        with pytest.raises(UsageError, match="no chromosome 'chr9'"):
            reader.zoom_records(reader.zooms[0], "chr9")


def _header(path: Path) -> tuple[bytearray, int, int, int]:
    """A file's bytes, and where its table of chromosomes, its index and the index of its first zoom level begin."""
    data = bytearray(path.read_bytes())
    chroms_at, _, index_at = struct.unpack_from("<QQQ", data, 8)
    (zoom_index_at,) = struct.unpack_from("<Q", data, 64 + 16)
    return data, chroms_at, index_at, zoom_index_at


def _inner_chroms(data: bytearray, at: int, rows: int, *children: int) -> bytearray:
    """Data with an inner node of names of 8 bytes at the end, one of many rows of the same child, as the root's."""
    for child in children:
        node = struct.pack("<BBH", 0, 0, rows) + (b"chr1\0\0\0\0" + struct.pack("<Q", child or len(data))) * rows
        root = len(data)
        data += node
    struct.pack_into("<I", data, at + 8, 8)
    # The table's head is moved before the last node, which it goes on with.
    moved = len(data)
    data += bytes(data[at : at + 32]) + data[root:]
    struct.pack_into("<Q", data, 8, moved)
    return data


def read_all(path: Path) -> None:
    with BigWigReader(path) as reader:
        list(reader.runs("chr2"))
        reader.zoom_records(min(reader.zooms, key=reader._zoom_roots.__getitem__))


def test_a_file_that_others_made_takes_no_more_than_it_is(written: Path, tmp_path: Path) -> None:
    """Trees without end or of the same branch again and again, numbers that would be arrays of them, and blocks that
    are small and unpack to anything."""
    path = tmp_path / "x.bw"
    data, chroms_at, index_at, zoom_index_at = _header(written)
    leaf = struct.calcsize("<BBH")
    (key_size,) = struct.unpack_from("<I", data, chroms_at + 8)

    def refused(changed: bytes, said: str) -> None:
        path.write_bytes(changed)
        with pytest.raises(TracksError, match=said):
            read_all(path)

    refused(_inner_chroms(bytearray(data), chroms_at, 1, 0, 0), "points back")
    refused(_inner_chroms(bytearray(data), chroms_at, 50_000, 0, 0), "points back")
    for at, number, said in [
        (chroms_at + 8, 1 << 30, "names of chromosomes"),
        (chroms_at + 32 + leaf + key_size, 1 << 31, "numbers a chromosome"),
        (64, 0, "zoom levels"),
    ]:
        changed = bytearray(data)
        struct.pack_into("<I", changed, at, number)
        refused(changed, said)
    for root in (index_at + 48, zoom_index_at + 48):
        changed = bytearray(data)
        node = struct.pack("<BBH", 0, 0, 2) + struct.pack("<IIIIQ", 0, 0, 9, 0, len(data) + 100) * 2
        changed[root : root + len(node)] = node
        changed += bytes(100) + struct.pack("<BBH", 1, 0, 0)
        refused(changed, "points back")
    for root in (index_at + 48, zoom_index_at + 48):
        changed = bytearray(data)
        bomb = zlib.compress(bytes(1 << 25))
        node = struct.pack("<BBH", 1, 0, 1) + struct.pack("<IIIIQQ", 0, 0, 9, 0, len(data), len(bomb))
        changed[root : root + len(node)] = node
        refused(changed + bomb, "too large")


def test_records_of_one_block_again_and_again_have_an_end(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracks.bigwig_reader._ZOOM_BYTES", 1 << 20)
    data, _, _, root = _header(written)
    block = zlib.compress(bytes(1 << 15))
    node = struct.pack("<BBH", 1, 0, 100) + struct.pack("<IIIIQQ", 0, 0, 9, 0, len(data), len(block)) * 100
    data += block
    struct.pack_into("<Q", data, 64 + 16, len(data))
    path = tmp_path / "x.bw"
    path.write_bytes(bytes(data) + bytes(data[root : root + 48]) + node)
    with BigWigReader(path) as reader:
        size = max(reader.zooms, key=reader._zoom_roots.__getitem__)
        with pytest.raises(TracksError, match="too many records"):
            reader.zoom_records(size)


def test_the_extent_is_what_the_file_says(written: Path) -> None:
    with BigWigReader(written) as reader, pyBigWig.open(str(written)) as other:
        header = other.header()
        assert reader.extent is not None
        np.testing.assert_allclose(reader.extent, (header["minVal"], header["maxVal"]), atol=1)
