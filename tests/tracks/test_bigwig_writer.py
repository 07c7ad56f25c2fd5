"""Blocks of three kinds, and bytes that do not depend on how intervals come."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import bbi
import numpy as np
import pybigtools
import pyBigWig
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracks.bigwig_reader import BigWigReader
from tracks.bigwig_writer import BigWigWriter, cut

LENGTH = 3_000_000
GRAPH, VARIABLE, FIXED = 1, 2, 3


def write(path: Path, starts: np.ndarray, ends: np.ndarray, values: np.ndarray, *, piece: int = 1 << 30) -> None:
    with BigWigWriter(path, {"c": LENGTH}) as writer:
        for at in range(0, len(starts), piece):
            part = slice(at, at + piece)
            writer.add("c", starts[part], ends[part], values[part])


def kinds(path: Path) -> list[tuple[int, int]]:
    """Kind and rows of each block, in order."""
    with BigWigReader(path) as reader:
        places = reader._places("c", 0, LENGTH)
        heads = [struct.unpack("<IIIIIBBH", reader._body(at, size)[:24]) for at, size in places.tolist()]
    return [(head[5], head[7]) for head in heads]


def check_readers(path: Path, starts: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None:
    """Every interval and every base, as five readers give them (pybbi is UCSC's own code)."""
    rows = list(zip(starts.tolist(), ends.tolist(), values.tolist(), strict=True))
    base = np.full(LENGTH, np.nan, np.float32)
    for start, end, value in rows:
        base[start:end] = value
    with pyBigWig.open(str(path)) as handle:
        assert list(handle.intervals("c")) == rows
        np.testing.assert_array_equal(handle.values("c", 0, LENGTH, numpy=True), base)
    assert [tuple(row) for row in pybigtools.open(str(path)).records("c")] == rows
    np.testing.assert_array_equal(bbi.fetch(str(path), "c", 0, LENGTH, missing=np.nan).astype(np.float32), base)
    with BigWigReader(path) as reader:
        found = list(reader.runs("c"))
    for name, column in (("starts", starts), ("ends", ends), ("values", values)):
        np.testing.assert_array_equal(np.concatenate([getattr(run, name) for run in found]), column)


def intervals(spans: np.ndarray, gaps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    starts = np.cumsum(np.append(0, spans[:-1])) + np.cumsum(gaps)
    return starts, starts + spans, np.random.default_rng(0).normal(0, 1, len(spans)).astype(np.float32)


@pytest.mark.parametrize("piece", [1 << 30, 7])
def test_each_block_is_of_the_kind_that_says_the_least(tmp_path: Path, piece: int) -> None:
    spans, gaps = np.full(6_000, 128), np.zeros(6_000, np.int64)
    gaps[2_000] = 128  # in the second block
    gaps[3_072] = 64  # between the third and the fourth
    spans[4_500] = 256  # in the fifth
    spans[-1] = 50  # in the last
    rows = intervals(spans, gaps)
    write(tmp_path / "a.bw", *rows, piece=piece)
    assert kinds(tmp_path / "a.bw") == [
        (FIXED, 1_024),
        (VARIABLE, 1_024),
        (FIXED, 1_024),
        (FIXED, 1_024),
        (GRAPH, 1_024),
        (GRAPH, 880),
    ]
    check_readers(tmp_path / "a.bw", *rows)


def test_short_blocks(tmp_path: Path) -> None:
    """A last block of one interval or two, which follow one another or not."""
    for spans, gaps, kind in [
        ([128] * 1_025, [0] * 1_025, FIXED),
        ([128] * 1_026, [0] * 1_026, FIXED),
        ([128] * 1_026, [0] * 1_025 + [1], VARIABLE),
        ([128] * 1_025 + [1], [0] * 1_026, GRAPH),
    ]:
        rows = intervals(np.array(spans), np.array(gaps))
        write(tmp_path / "a.bw", *rows)
        assert kinds(tmp_path / "a.bw") == [(FIXED, 1_024), (kind, len(spans) - 1_024)]
        check_readers(tmp_path / "a.bw", *rows)


@pytest.mark.parametrize(("distinct", "most"), [(None, 7.2), (40, 4.0)])
def test_files_of_bins_are_little_more_than_their_values(tmp_path: Path, distinct: int | None, most: float) -> None:
    """As rows of start, end and value, and records of zoom levels, 20,000 random bins took 9.5 bytes each; as 40 whole
    numbers 6.0. Values that all differ are not compressed, counts are."""
    starts, ends, values = intervals(np.full(20_000, 128), np.zeros(20_000, np.int64))
    if distinct is not None:
        values = np.random.default_rng(0).integers(0, distinct, 20_000).astype(np.float32)
    write(tmp_path / "a.bw", starts, ends, values)
    assert (tmp_path / "a.bw").stat().st_size < most * 20_000
    check_readers(tmp_path / "a.bw", starts, ends, values)


def pieces_of(count: int, sizes: Iterator[int]) -> Iterator[slice]:
    at = 0
    while at < count:
        size = next(sizes)
        yield slice(at, at + size)
        at += size


def test_the_bytes_do_not_depend_on_how_many_intervals_come_at_a_time(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    spans = rng.choice([16, 16, 16, 16, 100, 5], 80_000)
    rows = intervals(spans, rng.choice([0, 0, 0, 9], 80_000))
    assert rows[1][-1] <= LENGTH
    for name, size in {"whole": 1 << 30, "windows": 896, "some": 5_000, "more": 32_769}.items():
        write(tmp_path / name, *rows, piece=size)
    whole = (tmp_path / "whole").read_bytes()
    assert all((tmp_path / name).read_bytes() == whole for name in ("windows", "some", "more"))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 700), st.sampled_from([0, 0, 1, 900])), min_size=1, max_size=400),
    st.integers(1, 50),
    st.sampled_from([10, 128, 1_280]),
)
def test_zoom_records_of_any_intervals(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, int]], piece: int, size: int
) -> None:
    """Each record against float64 sums over its own bases."""
    spans, gaps = (np.array(column) for column in zip(*drawn, strict=True))
    starts, ends, values = intervals(spans, gaps)
    length = int(ends[-1])
    path = tmp_path_factory.mktemp("any") / "a.bw"
    with BigWigWriter(path, {"c": length}, size) as writer:
        bases = 0
        for part in pieces_of(len(starts), iter([piece] * len(starts))):
            writer.add("c", starts[part], ends[part], values[part])
            bases += int((ends[part] - starts[part]).sum())
            assert writer.bases == bases
    base = np.full(length, np.nan)
    for start, end, value in zip(starts, ends, values, strict=True):
        base[start:end] = value
    with BigWigReader(path) as reader:
        for level in reader.zooms:
            records = reader.zoom_records(level)
            assert records["bases"].sum() == np.isfinite(base).sum()
            assert (records["start"] // level == (records["end"] - 1) // level).all()
            assert (np.diff(records["start"] // level) > 0).all()
            for record in records:
                own = base[record["start"] : record["end"]]
                own = own[np.isfinite(own)]
                assert (record["bases"], record["least"], record["most"]) == (len(own), own.min(), own.max())
                assert record["sum"] == pytest.approx(own.sum(), rel=1e-6, abs=1e-6 * np.abs(own).sum())
                assert record["squares"] == pytest.approx((own**2).sum(), rel=1e-6)


@given(
    st.lists(st.tuples(st.integers(1, 300), st.integers(0, 200)), min_size=1, max_size=60), st.sampled_from([1, 7, 100])
)
def test_cut_pieces_are_the_intervals(drawn: list[tuple[int, int]], size: int) -> None:
    spans, gaps = (np.array(column) for column in zip(*drawn, strict=True))
    starts, ends, _ = intervals(spans, gaps)
    expected = [
        (at, max(start, cell * size), min(end, (cell + 1) * size))
        for at, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True))
        for cell in range(start // size, -(-end // size))
    ]
    assert list(zip(*(column.tolist() for column in cut(starts, ends, size)), strict=True)) == expected
