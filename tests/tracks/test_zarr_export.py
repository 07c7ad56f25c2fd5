"""The Zarr group of an export, by readers that are not ours: zarr-python and xarray."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray
import zarr
from hypothesis import given
from hypothesis import strategies as st

from tests.tracks.test_export import NONE, ONE, SIZES, SPANS, TRACKS, TWO, piece, pieces
from tracks.errors import TracksError, UsageError
from tracks.export import check_array_names, check_output, remove_leftovers, write_tracks, written_bytes
from tracks.grid import BIN, BINS
from tracks.regions import Region
from tracks.track import Track
from tracks.trackdata import TrackData
from tracks.zarr_writer import folder_beside

SOURCE = {"model": "tiny", "model_digest": "ab" * 32}


@pytest.fixture
def group(tmp_path: Path) -> zarr.Group:
    written = write_tracks(tmp_path, pieces, TRACKS, SIZES, "zarr", source=SOURCE)
    assert {entry.path for entry in written} == {tmp_path / "predictions.zarr"}
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.zarr"]
    return zarr.open_group(tmp_path / "predictions.zarr", mode="r", zarr_format=3)


def test_zarr_python_reads_what_was_given(group: zarr.Group) -> None:
    assert set(group.group_keys()) == {"values", "regions"}
    for chrom in SIZES:
        expected = np.concatenate([piece(*span).values for span in SPANS if span[0] == chrom])
        array = group["values"][chrom]
        assert (array.dtype, array.attrs["length"]) == (np.float32, SIZES[chrom])
        np.testing.assert_array_equal(array[:], expected)
    described = [{key: value for key, value in track.items() if key != "slug"} for track in group.attrs["tracks"]]
    assert [Track.from_json(track) for track in described] == list(TRACKS)


def test_it_is_what_hdf5_holds(group: zarr.Group, tmp_path: Path) -> None:
    write_tracks(tmp_path, pieces, TRACKS, SIZES, "hdf5", source=SOURCE)
    with h5py.File(tmp_path / "predictions.h5") as file:
        assert set(file["values"]) == set(group["values"].array_keys())
        for chrom, values in file["values"].items():
            found = group["values"][chrom][:]
            assert found.tobytes() == values[:].tobytes()
        table = file["regions"][:]
        for column in ("start", "end", "row"):
            np.testing.assert_array_equal(group["regions"][column][:], table[column])
        assert group["regions"]["chrom"][:].tolist() == [name.decode() for name in table["chrom"]]
        assert set(group.attrs) == set(file.attrs)
        assert {name: group.attrs[name] for name in SOURCE} == SOURCE == {name: file.attrs[name] for name in SOURCE}


def test_xarray_opens_it(group: zarr.Group, tmp_path: Path) -> None:
    path = tmp_path / "predictions.zarr"
    with xarray.open_zarr(path, group="values", consolidated=False) as values:
        assert values["chr20"].dims == ("chr20_bin", "track")
        assert values.sizes == {"chr20_bin": 1_006, "chr3_bin": 295, "track": 3}
        np.testing.assert_array_equal(values["chr3"].values, piece(*SPANS[4]).values)
    with xarray.open_zarr(path, group="regions", consolidated=False) as regions:
        assert regions["chrom"].values.tolist() == ["chr20"] * 3 + ["chr3"]
        assert regions["end"].values.tolist() == [900 * BIN, 2_100 * BIN, 400_050, 300 * BIN]


@given(st.lists(st.integers(1, 700), min_size=1, max_size=8), st.integers(1, 400))
def test_any_cuts_give_the_same_rows(tmp_path_factory: pytest.TempPathFactory, cuts: list[int], columns: int) -> None:
    """Of many tracks a chunk is one window of bins, of few it is many."""
    tracks = tuple(Track(f"t{at}", "", "", "", "#000000") for at in range(columns))
    edges = np.cumsum([0, *cuts]).tolist()
    values = np.random.default_rng(columns).random((edges[-1], columns), np.float32)

    def parts() -> Iterator[TrackData]:
        for first, last in itertools.pairwise(edges):
            yield TrackData(values[first:last], Region("c", first * BIN, last * BIN), tracks)

    out = tmp_path_factory.mktemp("any")
    write_tracks(out, parts, tracks, {"c": 10_000 * BIN}, "zarr")
    group = zarr.open_group(out / "predictions.zarr", mode="r")
    np.testing.assert_array_equal(group["values"]["c"][:], values)
    assert group["regions"]["row"][:].tolist() == [0]
    if columns > 300:
        assert len(list((out / "predictions.zarr/values/c/c").iterdir())) == -(-edges[-1] // BINS)


def test_an_older_group_is_replaced_whole(tmp_path: Path) -> None:
    write_tracks(tmp_path, pieces, TRACKS, SIZES, "zarr")
    with pytest.raises(UsageError, match=r"predictions\.zarr exists already; choose another folder, or replace"):
        write_tracks(tmp_path, pieces, (ONE, TWO), SIZES, "zarr")
    written = write_tracks(tmp_path, lambda: [piece(*SPANS[4])], (ONE, TWO), SIZES, "zarr", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.zarr"]
    group = zarr.open_group(tmp_path / "predictions.zarr", mode="r")
    assert list(group["values"].array_keys()) == ["chr3"]
    assert written_bytes(written) == sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())


def test_a_link_to_a_group_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    write_tracks(tmp_path / "one", pieces, TRACKS, SIZES, "zarr")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "predictions.zarr").symlink_to(tmp_path / "one" / "predictions.zarr")
    write_tracks(tmp_path / "two", pieces, TRACKS, SIZES, "zarr", overwrite=True)
    assert [(path.name, path.is_symlink()) for path in (tmp_path / "two").iterdir()] == [("predictions.zarr", False)]
    assert (tmp_path / "one" / "predictions.zarr" / "zarr.json").is_file()


def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "predictions.zarr").mkdir()
    (tmp_path / "predictions.zarr" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"cannot replace .*predictions\.zarr: it is a folder without zarr\.json"):
        check_output(tmp_path, (ONE,), "zarr", overwrite=True)


def test_the_older_group_stays_when_the_new_one_cannot_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.zarr"
    path.mkdir()
    (path / "old").write_text("older")
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if ".partial" in self.name:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(TracksError, match=r"cannot write .*a\.zarr: No space left"), folder_beside(path) as beside:
        beside.mkdir()
    assert [file.relative_to(tmp_path).as_posix() for file in sorted(tmp_path.rglob("*"))] == ["a.zarr", "a.zarr/old"]


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".predictions.123.partial.zarr"
    (left / "values").mkdir(parents=True)
    other = tmp_path / ".predictions.123.partial.h5"
    other.write_text("")
    remove_leftovers(tmp_path, (ONE,), "zarr")
    assert list(tmp_path.iterdir()) == [other]


@pytest.mark.parametrize("name", ["a/b", "..", ".", "__meta"])
def test_chromosomes_that_no_array_can_be_named_after(name: str) -> None:
    with pytest.raises(UsageError, match=f"Zarr cannot name a chromosome '{name}'; write bigWigs"):
        check_array_names(["chr1", name], "zarr")
    check_array_names([name], "bigwig")


def test_a_group_without_a_value_is_not_written(tmp_path: Path) -> None:
    (written,) = write_tracks(tmp_path, pieces, (NONE,), SIZES, "zarr")
    assert written.path is None
    assert list(tmp_path.iterdir()) == []
