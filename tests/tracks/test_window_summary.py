"""Summaries of stored windows: right, live, and made again wherever they are lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.conftest import bound_by_permissions
from tracks.grid import BINS, WINDOW
from tracks.store import SUMMARY, Store, WindowStore
from tracks.window_summary import SUMMARY_PARTS, Summary, summarise, summary_file

RNG = np.random.default_rng(1)
COUNTS = [6, 200]
"""Windows of a short contig, whose summaries are read anew each time, and of a chromosome, whose are mapped."""


def opened(root: Path, windows: int = 6) -> WindowStore:
    return Store(root).windows("a" * 64, "SQ.x", windows * WINDOW, 3)


def a_window() -> np.ndarray:
    values = RNG.normal(3, 50, (BINS, 3)).astype(np.float32)
    values[RNG.random((BINS, 3)) < 0.2] = np.nan
    values[:300, 1] = np.nan
    return values


def expected(values: np.ndarray, parts: int) -> Summary:
    """Summaries by numpy's own functions that know NaN, in float64."""
    bins = values.astype(np.float64).reshape(parts, -1, values.shape[1])
    counts = np.isfinite(bins).sum(axis=1)
    none = counts == 0
    filled = np.where(none[:, None], 0, bins)
    least, most = np.nanmin(filled, axis=1), np.nanmax(filled, axis=1)
    return Summary(np.nansum(bins, axis=1), counts, np.nansum(bins**2, axis=1), least, most)


def assert_alike(found: Summary, right: Summary) -> None:
    np.testing.assert_array_equal(found.counts, right.counts)
    np.testing.assert_array_equal(found.least, right.least)
    np.testing.assert_array_equal(found.most, right.most)
    for has, wants in ((found.sums, right.sums), (found.squares, right.squares)):
        np.testing.assert_allclose(has, wants, rtol=1e-6, atol=1e-6 * max(1, np.abs(wants).max()))


def assert_summarised(store: WindowStore, known: dict[int, np.ndarray]) -> None:
    assert np.flatnonzero(store.known()).tolist() == sorted(known)
    for parts in SUMMARY_PARTS:
        found = store.summary(parts)
        assert found.sums.shape == found.counts.shape == (store.windows, parts, 3)
        for index in range(store.windows):
            of_window = Summary(*(each[index] for each in found.columns))
            assert_alike(of_window, expected(known.get(index, np.full((BINS, 3), np.nan)), parts))


@settings(max_examples=60)
@given(
    arrays(
        np.float32,
        st.tuples(st.just(BINS), st.integers(1, 4)),
        elements=st.one_of(st.just(float("nan")), st.floats(-1e6, 1e6, width=32)),
        fill=st.sampled_from([0.0, 0.25, float("nan")]).map(np.float32),
    )
)
def test_summaries_are_those_of_a_float64_computation(values: np.ndarray) -> None:
    assert list(summarise(values)) == list(SUMMARY_PARTS)
    for parts, found in summarise(values).items():
        assert_alike(found, expected(values, parts))
        assert {column.dtype for column in found.columns} == {np.dtype(np.float32)}


@pytest.mark.parametrize("count", COUNTS)
def test_they_follow_what_is_written(tmp_path: Path, count: int) -> None:
    store = opened(tmp_path, count)
    assert_summarised(store, {})
    known = {index: a_window() for index in (0, 3, count - 1)}
    known[4] = np.full((BINS, 3), np.nan, np.float32)
    seen = store.summary(7)
    for index, values in known.items():
        store.write(index, values)
    assert_summarised(store, known)
    assert_summarised(opened(tmp_path, count), known)
    with pytest.raises(ValueError, match="read-only"):
        store.summary(1).sums[0] = 0
    assert not seen.counts.any()  # it was of a store that was not there yet
    if count == 200:
        seen = store.summary(7)
        store.write(150, a_window())
        assert seen.counts[150].any()


def test_any_zarr_reader_opens_them(tmp_path: Path) -> None:
    store = opened(tmp_path, 200)
    values = a_window()
    store.write(2, values)
    for parts in SUMMARY_PARTS:
        array = np.asarray(zarr.open_array(store.folder / SUMMARY / str(parts), mode="r")[:])
        np.testing.assert_array_equal(array[:, 0], store.summary(parts).sums)
        np.testing.assert_array_equal(array[:, 1], store.summary(parts).counts)
        np.testing.assert_array_equal(array[2], summarise(values)[parts].columns)
    flags = np.asarray(zarr.open_array(store.folder / SUMMARY / "known", mode="r")[:])
    np.testing.assert_array_equal(flags, store.known())


_WRITER = """
import sys, numpy as np
from pathlib import Path
from tracks.grid import WINDOW
from tracks.store import Store
root, first, step, windows = Path(sys.argv[1]), *map(int, sys.argv[2:])
store = Store(root).windows("a" * 64, "SQ.x", windows * WINDOW, 3)
for index in range(first, windows, step):
    store.write(index, np.full((896, 3), index, np.float32))
"""


@pytest.mark.parametrize("count", COUNTS)
def test_what_other_processes_write_is_seen(tmp_path: Path, count: int) -> None:
    store = opened(tmp_path, count)
    assert not store.known().any()
    words = [[sys.executable, "-c", _WRITER, str(tmp_path), str(first), "4", str(count)] for first in range(3)]
    writers = [subprocess.Popen(command) for command in words]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]
    known = {index: np.full((BINS, 3), index, np.float32) for index in range(count) if index % 4 < 3}
    assert_summarised(store, known)
    assert_summarised(opened(tmp_path, count), known)


def _lose_folder(summary: Path) -> None:
    shutil.rmtree(summary)


def _lose_flags(summary: Path) -> None:
    flags = summary_file(summary, "known")
    flags.write_bytes(bytes(flags.stat().st_size))


def _cut_file(summary: Path) -> None:
    os.truncate(summary_file(summary, "7"), 100)


def _lose_array(summary: Path) -> None:
    shutil.rmtree(summary / "112")


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("lose", [_lose_folder, _lose_flags, _cut_file, _lose_array])
def test_what_is_lost_is_made_again(tmp_path: Path, count: int, lose: object) -> None:
    assert callable(lose)
    known = {index: a_window() for index in (1, 3)}
    for index, values in known.items():
        opened(tmp_path, count).write(index, values)
    lose(opened(tmp_path, count).folder / SUMMARY)
    assert_summarised(opened(tmp_path, count), known)
    assert sorted(path.name for path in opened(tmp_path, count).folder.iterdir()) == ["c", SUMMARY, "zarr.json"]


@pytest.mark.parametrize("count", COUNTS)
def test_a_window_that_lost_its_flag_is_mended_as_it_is_read(tmp_path: Path, count: int) -> None:
    """Killed between the window and its summaries, while another process has the store open."""
    store = opened(tmp_path, count)
    store.write(0, a_window())
    assert store.known()[0]
    values = a_window()
    other = opened(tmp_path / "other", count)
    other.write(2, values)
    shutil.copytree(other.chunk_file(2).parent, store.chunk_file(2).parent)
    assert not store.known()[2]
    np.testing.assert_array_equal(store.read(2), values)
    assert store.known()[2]
    np.testing.assert_array_equal(store.summary(112).sums[2], summarise(values)[112].sums)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("how", ["removed", "damaged"])
def test_a_window_that_is_gone_is_not_known(tmp_path: Path, count: int, how: str) -> None:
    store, kept = opened(tmp_path, count), a_window()
    store.write(1, kept)
    store.write(4, a_window())
    if how == "removed":
        store.chunk_file(4).unlink()
    else:
        store.chunk_file(4).write_bytes(store.chunk_file(4).read_bytes()[:-9])
    assert store.known()[4]
    assert store.read(4) is None
    assert_summarised(store, {1: kept})
    if how == "removed":
        store.chunk_file(1).unlink()
        store.chunk_file(1).parent.rmdir()
        assert_summarised(opened(tmp_path, count), {})


@pytest.mark.parametrize("count", COUNTS)
def test_a_folder_that_is_removed_and_made_anew(tmp_path: Path, count: int) -> None:
    store = opened(tmp_path, count)
    store.write(1, a_window())
    assert store.summary(1).counts.any()
    shutil.rmtree(store.folder)
    assert_summarised(store, {})
    assert store.read(1) is None
    values = a_window()
    store.write(2, values)
    assert_summarised(store, {2: values})
    shutil.rmtree(store.folder)
    opened(tmp_path, count).write(3, values)
    assert_summarised(store, {3: values})
    assert zarr.open_array(store.folder, mode="r").shape == (count * BINS, 3)


_READER = """
import sys, numpy as np
from pathlib import Path
from tracks.grid import WINDOW
from tracks.store import Store
store = Store(Path(sys.argv[1])).windows("a" * 64, "SQ.x", int(sys.argv[2]) * WINDOW, 3)
for _ in range(2):
    print(np.flatnonzero(store.known()).tolist(), store.summary(7).counts.sum(), store.read(1).shape, store.read(0))
"""


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("summaries", ["kept", "lost", "behind"])
def test_a_store_that_may_only_be_read(tmp_path: Path, count: int, summaries: str) -> None:
    store = opened(tmp_path, count)
    for index in (1, 3):
        store.write(index, np.ones((BINS, 3), np.float32))
    if summaries == "lost":
        shutil.rmtree(store.folder / SUMMARY)
    elif summaries == "behind":
        _lose_flags(store.folder / SUMMARY)
    folders = [path for path in (tmp_path, *tmp_path.rglob("*")) if path.is_dir()]
    flags = summary_file(store.folder / SUMMARY, "known")
    for folder in folders:
        folder.chmod(0o555)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            path.chmod(0o444)
    words = bound_by_permissions([sys.executable, "-c", _READER, str(tmp_path), str(count)])
    run = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    for folder in folders:
        folder.chmod(0o755)
    assert run.stdout == 2 * f"[1, 3] {2 * BINS * 3}.0 (896, 3) None\n", run.stderr
    assert flags.exists() == (summaries != "lost")


def test_a_known_window_always_has_its_summaries(tmp_path: Path) -> None:
    """Threads that look while one writes: what counts as known is whole."""
    store = opened(tmp_path, 200)
    wrong: list[int] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            known = store.known()
            counts, sums = store.summary(1).counts[:, 0, 0], store.summary(1).sums[:, 0, 0]
            wrong.extend(index for index in np.flatnonzero(known) if counts[index] != BINS or sums[index] != BINS)
            wrong.extend(int(index) for index in np.flatnonzero(known)[-2:] if store.read(int(index)) is None)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for index in range(200):
        store.write(index, np.ones((BINS, 3), np.float32))
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert store.known().all()
