from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.tracks.test_parallel import alive_in_group
from tracks.bigwig_export import BigWigExport, BigWigExporter, ExportChrom, ExportHead, check_export
from tracks.errors import TracksError, UsageError
from tracks.export import Written, write_tracks
from tracks.grid import BIN, BINS, WINDOW, bin_count, window_count
from tracks.method import Method
from tracks.regions import Region
from tracks.renaming import LIST_NAME
from tracks.store import Store
from tracks.track import Track
from tracks.trackdata import TrackData

METHOD = Method("bf16")
SIZES = {"chr20": 3 * WINDOW + 50, "unused": 4_000, "chr3": 2 * WINDOW, "chrS": 70}
CHROMS = tuple(ExportChrom(name, SIZES[name], f"sequence of {name}") for name in ("chr20", "chr3", "chrS"))
TRACKS = tuple(Track(name, "", "", "", "#123456") for name in ("one", "two", "nothing", "four", "five"))
HEADS = (ExportHead("a" * 40, 4, (3, 0, 1), TRACKS[:3]), ExportHead("b" * 40, 2, (0, 1), TRACKS[3:]))
WINDOWS = 4 + 2 + 1


def window(head: ExportHead, chrom: ExportChrom, index: int) -> np.ndarray:
    """Values with plateaus, zeros and gaps; the track ``nothing`` has none, nor has a whole window of each."""
    rng = np.random.default_rng([ord(head.digest[0]), len(chrom.name), index])
    values = rng.gamma(2, 1, (BINS, head.stored)).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = np.nan
    values[100:200, 0] = 0.5
    values[-5:] = values[:5] = 0.25
    values[300:700] = np.where(index % 2, np.nan, values[300:700])
    if head is HEADS[0]:
        values[:, 1] = np.nan
    if index == 1:
        values[:] = np.nan
    values[bin_count(chrom.length) - index * BINS :] = np.nan
    return values


def fill(root: Path, done: int = WINDOWS) -> None:
    """Put the first ``done`` windows into a store."""
    store, places = Store(root), [(chrom, at) for chrom in CHROMS for at in range(window_count(chrom.length))]
    for chrom, index in places[:done]:
        for head in HEADS:
            windows = store.windows(head.digest, chrom.sequence, chrom.length, head.stored, METHOD)
            if windows.read(index) is None:
                windows.write(index, window(head, chrom, index))


def pieces() -> Iterator[TrackData]:
    for chrom in CHROMS:
        for index in range(window_count(chrom.length)):
            values = np.concatenate([window(head, chrom, index)[:, head.columns] for head in HEADS], axis=1)
            end = min((index + 1) * BINS, bin_count(chrom.length))
            region = Region(chrom.name, index * WINDOW, min(end * BIN, chrom.length))
            yield TrackData(values[: end - index * BINS], region, TRACKS)


@pytest.fixture
def export(tmp_path: Path) -> BigWigExport:
    return BigWigExport(tmp_path / "out", tmp_path / "store", METHOD, SIZES, CHROMS, HEADS)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[Written, ...], dict[str, bytes]]:
    out = tmp_path_factory.mktemp("expected")
    written = write_tracks(out, pieces, TRACKS, SIZES)
    return written, content(out)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


Expected = tuple[tuple[Written, ...], dict[str, bytes]]


def write(export: BigWigExport, processes: int = 2) -> tuple[Written, ...]:
    with BigWigExporter(export, processes) as exporter:
        return exporter.finish()


@pytest.mark.parametrize("processes", [1, 2, 9])
def test_the_bytes_are_those_of_write_tracks(export: BigWigExport, expected: Expected, processes: int) -> None:
    fill(export.store)
    told: list[tuple[int, int]] = []
    with BigWigExporter(export, processes) as exporter:
        written = exporter.finish(lambda done, total: told.append((done, total)))
    assert [(entry.track, entry.bins, entry.valued) for entry in written] == [
        (entry.track, entry.bins, entry.valued) for entry in expected[0]
    ]
    assert [entry.path and entry.path.parent for entry in written] == [export.out, export.out, None] + 2 * [export.out]
    assert content(export.out) == expected[1]
    bins = sum(bin_count(chrom.length) for chrom in CHROMS)
    assert told[-1] == (5 * bins, 5 * bins)
    assert told == sorted(told)


def test_files_are_written_while_windows_come(export: BigWigExport, expected: Expected) -> None:
    with BigWigExporter(export, 2) as exporter:
        for done in range(WINDOWS + 1):
            fill(export.store, done)
            exporter.advance(done)
            time.sleep(0.1)
            assert not [path for path in export.out.iterdir() if not path.name.startswith(".")]
        deadline = time.monotonic() + 30
        while len(list(export.out.glob(".*.partial.bw"))) < 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(list(export.out.glob(".*.partial.bw"))) == 4  # before finish
        exporter.finish()
    assert content(export.out) == expected[1]
    write(dataclasses.replace(export, overwrite=True), 1)
    assert content(export.out) == expected[1]


def test_many_tracks_go_in_groups(export: BigWigExport, expected: Expected, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracks.bigwig_export._OPEN_TRACKS", 2)
    fill(export.store)
    with BigWigExporter(export, 1) as exporter:
        assert len(exporter._workers) == 1
        exporter.finish()
    assert content(export.out) == expected[1]


def test_tracks_in_another_order_and_of_one_head_twice(export: BigWigExport, expected: Expected) -> None:
    first, second = HEADS
    heads = (
        dataclasses.replace(second, columns=(1,), tracks=(TRACKS[4],)),
        dataclasses.replace(first, columns=(0, 3), tracks=(TRACKS[1], TRACKS[0])),
        dataclasses.replace(second, columns=(0,), tracks=(TRACKS[3],)),
    )
    fill(export.store)
    written = write(dataclasses.replace(export, heads=heads), 1)
    assert [entry.track.name for entry in written] == ["five", "two", "one", "four"]
    assert content(export.out) == expected[1]


def test_an_older_file_of_a_track_without_values_goes(export: BigWigExport, expected: Expected) -> None:
    fill(export.store)
    export.out.mkdir()
    for name in ("nothing.bw", "one.bw", "other.bw"):
        (export.out / name).write_text("older")
    for processes in (1, 2):
        with pytest.raises(UsageError, match=r"one\.bw and 1 more exists already; choose another folder, or replace"):
            write(export, processes)
    write(dataclasses.replace(export, overwrite=True))
    assert content(export.out) == {**expected[1], "other.bw": b"older"}


def test_where_nothing_has_a_value_nothing_is_written_or_removed(export: BigWigExport) -> None:
    fill(export.store)
    export.out.mkdir()
    (export.out / "nothing.bw").write_text("older")
    head = dataclasses.replace(HEADS[0], columns=(1,), tracks=(TRACKS[2],))
    (written,) = write(dataclasses.replace(export, heads=(head,), overwrite=True))
    assert written.path is None
    assert written.bins > 0
    assert content(export.out) == {"nothing.bw": b"older"}


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_window_that_is_not_there(export: BigWigExport, expected: Expected, damage: str) -> None:
    fill(export.store)
    chrom, head = CHROMS[0], HEADS[1]
    windows = Store(export.store).windows(head.digest, chrom.sequence, chrom.length, head.stored, METHOD)
    chunk = windows.chunk_file(2)
    if damage == "missing":
        chunk.unlink()
    else:
        chunk.write_bytes(chunk.read_bytes()[:50])
    export.out.mkdir()
    (export.out / "five.bw").write_text("older")
    again = dataclasses.replace(export, overwrite=True)
    with pytest.raises(TracksError) as raised:
        write(again)
    assert str(raised.value) == (
        f"window 2 of chr20 is missing from the prediction store {export.store}, or damaged there; predicted "
        f"windows are kept in {export.store}, and the same command goes on from there"
    )
    assert content(export.out) == {"five.bw": b"older"}
    assert not windows.known()[2]
    fill(export.store)
    write(again)
    assert content(export.out) == expected[1]


def test_a_worker_that_is_killed_is_said(export: BigWigExport) -> None:
    with BigWigExporter(export, 2) as exporter:
        child = multiprocessing.active_children()[0]
        os.kill(child.pid or 0, signal.SIGKILL)
        with pytest.raises(TracksError, match=r"a process that wrote bigWigs was ended, .* the same command goes on"):
            exporter.finish()
    assert content(export.out) == {}
    assert multiprocessing.active_children() == []


def test_leaving_without_finish_leaves_nothing(export: BigWigExport) -> None:
    fill(export.store)

    def leave() -> None:
        with BigWigExporter(export, 2) as exporter:
            exporter.advance(WINDOWS)
            while not list(export.out.glob(".*.partial.bw")):
                time.sleep(0.05)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leave()
    assert content(export.out) == {}
    assert multiprocessing.active_children() == []


def test_a_second_export_to_the_folder_is_refused(export: BigWigExport, expected: Expected) -> None:
    fill(export.store)
    with BigWigExporter(export, 1) as exporter:
        assert exporter.locked
        with pytest.raises(UsageError, match=f"out is in use .*process {os.getpid()} on"):
            write(export)
        exporter.finish()
    assert content(export.out) == expected[1]


def test_a_run_that_was_killed_while_it_named_its_files_is_repeated(export: BigWigExport, expected: Expected) -> None:
    fill(export.store)
    export.out.mkdir()
    (export.out / "one.bw").write_text("named before the end")
    (export.out / LIST_NAME).write_text('["one.bw", "two.bw", "another.bw"]')
    check_export(export)
    write(export)
    found = content(export.out)
    assert found.pop(LIST_NAME) == b'["another.bw"]'
    assert found == expected[1]
    with pytest.raises(UsageError, match="exists already"):
        check_export(export)


def test_a_file_that_cannot_get_its_name(export: BigWigExport) -> None:
    fill(export.store)
    with BigWigExporter(export, 1) as exporter:
        (export.out / "four.bw").mkdir()
        with pytest.raises(TracksError, match=r"cannot replace .*four.bw: it is a folder; predicted windows are kept"):
            exporter.finish()
    assert not list(export.out.glob(".*.partial.bw"))


def test_a_file_that_came_meanwhile_is_not_replaced(export: BigWigExport) -> None:
    fill(export.store)
    with BigWigExporter(export, 1) as exporter:
        (export.out / "one.bw").write_text("somebody's")
        with pytest.raises(TracksError, match=r"one.bw exists already; .*; predicted windows are kept"):
            exporter.finish()
    assert content(export.out) == {"one.bw": b"somebody's"}


def test_what_cannot_be_written_is_said_before_anything_is_made(export: BigWigExport) -> None:
    with pytest.raises(TracksError, match="long is too long for the format"):
        check_export(dataclasses.replace(export, chrom_sizes={"long": 1 << 32}))
    twice = dataclasses.replace(HEADS[1], tracks=(TRACKS[3], TRACKS[3]))
    with pytest.raises(UsageError, match="two tracks would both be written as 'four'"):
        write(dataclasses.replace(export, heads=(twice,)))
    assert not export.out.exists()


_EXPORT = """
import resource, signal, sys, time
from pathlib import Path
from tests.tracks.test_bigwig_export import CHROMS, HEADS, METHOD, SIZES, WINDOWS
from tracks.bigwig_export import BigWigExport, BigWigExporter
from tracks.errors import TracksError
if __name__ == "__main__":
    folder, limit, ready = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    export = BigWigExport(folder / "out", folder / "store", METHOD, SIZES, CHROMS, HEADS)
    try:
        with BigWigExporter(export, 2) as exporter:
            exporter.advance(ready)
            while ready < WINDOWS:
                time.sleep(0.05)
                if len(list(export.out.glob(".*.partial.bw"))) == 4:
                    print("begun", flush=True)
            exporter.finish()
        assert "torch" not in sys.modules
    except KeyboardInterrupt:
        sys.exit(130)
    except TracksError as error:
        sys.exit(str(error))
"""


def command(export: BigWigExport, limit: int = 0, ready: int = WINDOWS) -> list[str]:
    script = export.store.parent / "export.py"
    script.write_text(_EXPORT)
    return [sys.executable, str(script), str(export.store.parent), str(limit), str(ready)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


@pytest.mark.parametrize("limit", [5_000, 8_000, 16_000])
def test_a_full_disk_is_one_line_and_leaves_no_file(export: BigWigExport, expected: Expected, limit: int) -> None:
    fill(export.store)
    run = subprocess.run(command(export, limit), capture_output=True, text=True, timeout=100, env=environment())
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert "File too large" in line
    assert line.endswith(f"predicted windows are kept in {export.store}, and the same command goes on from there")
    assert content(export.out) == {}
    assert subprocess.run(command(export), timeout=100, env=environment()).returncode == 0
    assert content(export.out) == expected[1]


def test_processes_that_cannot_be_started(export: BigWigExport) -> None:
    run = subprocess.run(command(export, 600), capture_output=True, text=True, timeout=100, env=environment())
    assert run.stderr == "cannot start processes that write bigWigs: File too large\n"
    assert content(export.out) == {}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_the_process(export: BigWigExport, expected: Expected, how: signal.Signals) -> None:
    fill(export.store, 4)
    process = subprocess.Popen(
        command(export, ready=4), stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        text=True, env=environment(),
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    if how is signal.SIGINT:
        os.killpg(process.pid, how)  # workers get it too, as of a terminal
    else:
        process.kill()
    stderr = process.communicate(timeout=30)[1]
    assert process.returncode == (130 if how is signal.SIGINT else -9)
    assert stderr == ""
    deadline = time.monotonic() + 10
    while alive_in_group(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive_in_group(process.pid)
    left = sorted(path.name for path in export.out.iterdir())
    assert all(name.startswith(".") for name in left)
    assert (len(left) == 5) == (how is signal.SIGKILL)
    fill(export.store)
    write(export)
    assert content(export.out) == expected[1]
