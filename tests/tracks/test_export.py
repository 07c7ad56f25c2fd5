from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pyBigWig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.bigwig import Bins, read_bins
from tracks.errors import TracksError, UsageError
from tracks.export import FORMATS, Format, check_output, output_path, write_bedgraph, write_tracks
from tracks.grid import BIN
from tracks.regions import Region
from tracks.track import Track
from tracks.trackdata import TrackData

ONE = Track("Track one", "WGBS", "cells", "methylated fraction", "#d95f02")
TWO = Track("Track two", "DamID", "cells", "covered fraction", "#1b6ca8", context=True)
NONE = Track("Nothing", "", "", "", "#000000")
TRACKS = (ONE, TWO, NONE)
SIZES = {"chr20": 400_050, "chr3": 100_000}
# Regions of bins, in the genome's order: two pieces that touch, one apart, the end of a chromosome, the other one.
SPANS = [("chr20", 0, 896), ("chr20", 896, 900), ("chr20", 2_000, 2_100), ("chr20", 3_120, 3_126), ("chr3", 5, 300)]


def piece(chrom: str, first: int, last: int) -> TrackData:
    values = np.random.default_rng(first).random((last - first, 3), np.float32)
    values[: (last - first) // 3, 1] = np.nan
    values[:, 2] = np.nan
    return TrackData(values, Region(chrom, first * BIN, min(last * BIN, SIZES[chrom])), TRACKS)


def pieces() -> Iterator[TrackData]:
    return (piece(*span) for span in SPANS)


@pytest.mark.parametrize("track", [ONE, TWO])
def test_bigwigs_hold_the_pieces_and_nothing_else(tmp_path: Path, track: Track) -> None:
    written = write_tracks(tmp_path / "out", pieces, (ONE, TWO), SIZES)
    path = tmp_path / "out" / f"{track.slug}.bw"
    assert path in [entry.path for entry in written]
    assert len(list((tmp_path / "out").iterdir())) == 2
    for chrom, length in SIZES.items():
        expected = np.full(-(-length // BIN), np.nan, np.float32)
        for span in SPANS:
            if span[0] == chrom:
                expected[span[1] : span[2]] = piece(*span).column(track)
        np.testing.assert_array_equal(read_bins(path, Region(chrom, 0, length)), expected)
    with pyBigWig.open(str(path)) as handle:
        assert handle.chroms() == SIZES


def test_what_was_written_is_counted(tmp_path: Path) -> None:
    bins = sum(last - first for _, first, last in SPANS)
    missing = sum((last - first) // 3 for _, first, last in SPANS)
    for form in FORMATS:
        one, two, none = write_tracks(tmp_path / form, pieces, TRACKS, SIZES, form)
        assert (one.bins, one.valued) == (bins, bins)
        assert (two.bins, two.valued) == (bins, bins - missing)
        assert (none.bins, none.valued) == (bins, 0)
        assert (none.path is None) == (form in ("bigwig", "bedgraph"))


def test_bedgraph_lines(tmp_path: Path) -> None:
    write_tracks(tmp_path, pieces, (TWO,), SIZES, "bedgraph")
    lines = [line.split("\t") for line in (tmp_path / "track_two.bedgraph").read_text().splitlines()]
    assert {len(line) for line in lines} == {4}
    found = [(chrom, int(start), int(end), np.float32(value)) for chrom, start, end, value in lines]
    expected = []
    for span in SPANS:
        for at, value in enumerate(piece(*span).column(TWO), span[1]):
            if np.isfinite(value):
                expected.append((span[0], at * BIN, min((at + 1) * BIN, SIZES[span[0]]), value))
    assert found == expected
    assert lines[-1][0] == "chr3"
    assert ["chr20", "399872", "400000"] in [line[:3] for line in lines]
    assert ["chr20", "400000", "400050"] in [line[:3] for line in lines]


@given(st.lists(st.floats(width=32), min_size=1, max_size=9))
def test_bedgraph_numbers_give_back_their_float32(
    tmp_path_factory: pytest.TempPathFactory, values: list[float]
) -> None:
    path = tmp_path_factory.mktemp("any") / "a.bedgraph"
    given_values = np.array(values, np.float32)
    write_bedgraph(path, {"c": 9 * BIN}, [Bins("c", 0, given_values)])
    found = np.full(len(values), np.nan, np.float32)
    for line in path.read_text().splitlines():
        _, start, end, value = line.split("\t")
        found[int(start) // BIN : int(end) // BIN] = np.float32(value)
    np.testing.assert_array_equal(found, np.where(np.isfinite(given_values), given_values, np.nan))


def test_hdf5_says_what_each_row_and_column_is(tmp_path: Path) -> None:
    source = {"model": "tiny", "model_digest": "ab" * 32}
    written = write_tracks(tmp_path, pieces, TRACKS, SIZES, "hdf5", source=source)
    assert {entry.path for entry in written} == {tmp_path / "predictions.h5"}
    with h5py.File(tmp_path / "predictions.h5") as file:
        assert (file.attrs["format_version"], file.attrs["bin_size"]) == (1, BIN)
        assert {name: file.attrs[name] for name in source} == source
        tracks = json.loads(file.attrs["tracks"])
        assert [Track.from_json({k: v for k, v in track.items() if k != "slug"}) for track in tracks] == list(TRACKS)
        assert {chrom: data.attrs["length"] for chrom, data in file["values"].items()} == SIZES
        regions = [(row["chrom"].decode(), *row.tolist()[1:]) for row in file["regions"]]
        assert regions == [
            ("chr20", 0, 900 * BIN, 0),
            ("chr20", 2_000 * BIN, 2_100 * BIN, 900),
            ("chr20", 3_120 * BIN, 400_050, 1_000),
            ("chr3", 5 * BIN, 300 * BIN, 0),
        ]
        for chrom, expected in {
            "chr20": np.concatenate([piece(*span).values for span in SPANS[:4]]),
            "chr3": piece(*SPANS[4]).values,
        }.items():
            np.testing.assert_array_equal(file["values"][chrom], expected)


def test_hdf5_keeps_the_description_of_thousands_of_tracks(tmp_path: Path) -> None:
    many = tuple(Track(f"track {number}", "CAGE", "cells", "count", "#123456") for number in range(2_000))
    data = TrackData(np.ones((1, 2_000), np.float32), Region("chr3", 0, BIN), many)
    write_tracks(tmp_path, lambda: [data], many, SIZES, "hdf5")
    with h5py.File(tmp_path / "predictions.h5") as file:
        assert len(json.loads(file.attrs["tracks"])) == 2_000


@pytest.mark.parametrize("form", FORMATS)
def test_where_nothing_has_a_value_nothing_is_written_or_removed(tmp_path: Path, form: Format) -> None:
    old = output_path(tmp_path, NONE, form)
    old.write_text("older")
    (written,) = write_tracks(tmp_path, pieces, (NONE,), SIZES, form, overwrite=True)
    assert written.path is None
    assert written.bins > 0
    assert [path.read_text() for path in tmp_path.iterdir()] == ["older"]


def test_an_older_file_of_a_track_without_values_goes(tmp_path: Path) -> None:
    """Else files of two runs would lie side by side as if they were of one."""
    (tmp_path / "nothing.bw").write_text("older")
    (tmp_path / "track_one.bw").write_text("older")
    write_tracks(tmp_path, pieces, (ONE, NONE), SIZES, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["track_one.bw"]
    assert read_bins(tmp_path / "track_one.bw", Region("chr3", 5 * BIN, 6 * BIN)) == piece(*SPANS[4]).values[0, 0]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("calls", [1, 2])
@pytest.mark.parametrize("failure", [KeyboardInterrupt, TracksError("the store is gone")])
def test_an_interrupted_run_leaves_no_file(
    tmp_path: Path, form: Format, calls: int, failure: BaseException | type[BaseException]
) -> None:
    count = 0

    def failing() -> Iterator[TrackData]:
        nonlocal count
        count += 1
        for number, span in enumerate(SPANS):
            if number == 3 and (count == calls or form in ("hdf5", "zarr")):
                raise failure
            yield piece(*span)

    (tmp_path / "track_one.bw").write_text("older")
    expected = KeyboardInterrupt if failure is KeyboardInterrupt else TracksError
    with pytest.raises(expected):
        write_tracks(tmp_path, failing, (ONE, TWO), SIZES, form, overwrite=True)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["older"]


@pytest.mark.parametrize("form", FORMATS)
def test_files_that_are_there_are_kept_unless_told(tmp_path: Path, form: Format) -> None:
    path = output_path(tmp_path, TWO, form)
    path.write_text("older")
    with pytest.raises(UsageError, match=f"{path.name} exists already; choose another folder, or replace with --over"):
        write_tracks(tmp_path, pieces, (ONE, TWO), SIZES, form)
    assert [entry.read_text() for entry in tmp_path.iterdir()] == ["older"]
    write_tracks(tmp_path, pieces, (ONE, TWO), SIZES, form, overwrite=True)
    assert path.stat().st_size > 100


def test_places_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match=r"cannot write to .*file is a file, not a folder"):
            check_output(out, TRACKS, "bigwig")
    (tmp_path / "track_one.bw").mkdir()
    with pytest.raises(UsageError, match=r"cannot replace .*track_one\.bw: it is a folder"):
        check_output(tmp_path, TRACKS, "bigwig", overwrite=True)
    with pytest.raises(TracksError, match="cannot write to"):
        check_output(tmp_path / ("x" * 300), TRACKS, "bigwig")


_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from tracks.export import write_tracks
from tracks.regions import Region
from tracks.track import Track
from tracks.trackdata import TrackData
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
track = Track("a", "", "", "", "#000000")
values = np.random.default_rng(0).random((40_000, 1), np.float32)
data = TrackData(values, Region("c", 0, len(values) * 128), (track,))
write_tracks(Path(sys.argv[1]), lambda: [data], (track,), {"c": len(values) * 128}, sys.argv[2])
"""


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("limit", [1_000, 60_000])
def test_a_full_disk_is_one_line_and_leaves_no_file(tmp_path: Path, form: Format, limit: int) -> None:
    command = [sys.executable, "-c", _FULL_DISK, str(tmp_path), form, str(limit)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert run.stderr.splitlines()[-1].startswith("tracks.errors.TracksError: cannot write ")
    assert list(tmp_path.iterdir()) == []


def test_checking_makes_nothing(tmp_path: Path) -> None:
    check_output(tmp_path / "a" / "b", TRACKS, "hdf5")
    assert list(tmp_path.iterdir()) == []


def test_two_tracks_of_one_file_name(tmp_path: Path) -> None:
    same = Track("track-ONE", "", "", "", "#000000")
    with pytest.raises(UsageError, match="two tracks would both be written as 'track_one'"):
        check_output(tmp_path, (ONE, same), "bigwig")


@pytest.mark.parametrize("form", FORMATS)
def test_memory_does_not_grow_with_what_is_written(tmp_path: Path, form: Format) -> None:
    def peak(windows: int) -> int:
        def many() -> Iterator[TrackData]:
            for at in range(windows):
                values = np.random.default_rng(at).random((896, 1), np.float32)
                yield TrackData(values, Region("c", at * 896 * BIN, (at + 1) * 896 * BIN), (ONE,))

        tracemalloc.start()
        write_tracks(tmp_path, many, (ONE,), {"c": windows * 896 * BIN}, form, overwrite=True)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(5)
    # What still grows are the buffers of the upper zoom levels, which hold at most 1,024 rows each.
    assert peak(700) - peak(300) < 0.25 * 400 * 896 * 4
