from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from tracks.catalogue import published_tracks
from tracks.errors import TracksError, UsageError
from tracks.window_files import WindowFile, write_window_file

ROWS = 7


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A file as the original wrote it: gzip 9, a chunk a row, nothing but the datasets."""
    rng = np.random.default_rng(3)
    path = tmp_path / "dataset_14-lmnb1_4-cpg.h5"
    with h5py.File(path, "w") as file:
        for name, middle in (("128bp_bins", 896), ("single_bin", 1)):
            shape = (middle, 18)
            data = file.create_dataset(
                name, (ROWS, *shape), "f4", chunks=(1, *shape), compression="gzip", compression_opts=9
            )
            data[:] = rng.random((ROWS, *shape), np.float32)
        embeddings = rng.normal(size=(ROWS, 896, 16)).astype(np.float16)
        file.create_dataset("embeddings", data=embeddings, chunks=(1, 896, 16), compression="gzip")
    return path


@pytest.mark.parametrize("rows", [[0, 1, 2], [5, 0, 3], [6, 6], []])
def test_rows_come_in_the_order_asked_for(published: Path, rows: list[int]) -> None:
    file = WindowFile(published, ROWS)
    assert file.scopes == ("bins", "window")
    assert file.track_count("bins") == 18
    assert file.tracks("bins") is None
    with h5py.File(published) as raw:
        bins, single, embeddings = raw["128bp_bins"][:], raw["single_bin"][:], raw["embeddings"][:]
    chosen = np.array(rows, np.int64)
    np.testing.assert_array_equal(file.read(chosen, "bins"), bins[chosen])
    np.testing.assert_array_equal(file.read(chosen, "window"), single[chosen])
    np.testing.assert_array_equal(file.read_embeddings(chosen), embeddings[chosen])
    assert file.read_embeddings(chosen).dtype == np.float16


def test_what_is_written_has_the_published_layout(tmp_path: Path) -> None:
    labels = np.random.default_rng(4).random((ROWS, 1, 18), np.float32)
    tracks = published_tracks("window")
    write_window_file(tmp_path / "maxpool.h5", ROWS, "window", tracks, iter(labels), {"model": "x"})
    with h5py.File(tmp_path / "maxpool.h5") as file:
        assert list(file) == ["single_bin"]
        assert (file["single_bin"].shape, file["single_bin"].dtype) == ((ROWS, 1, 18), np.float32)
        assert file["single_bin"].chunks == (1, 1, 18)
        np.testing.assert_array_equal(file["single_bin"][:], labels)
        assert file.attrs["model"] == "x"
    assert WindowFile(tmp_path / "maxpool.h5", ROWS).tracks("window") == tracks


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def labels():  # type: ignore[no-untyped-def]
        yield np.zeros((1, 18), np.float32)
        raise TracksError("the trunk broke")

    with pytest.raises(TracksError, match="the trunk broke"):
        write_window_file(tmp_path / "m.h5", ROWS, "window", published_tracks("window"), labels(), {})
    assert list(tmp_path.iterdir()) == []


def test_other_row_counts_name_both(published: Path) -> None:
    with pytest.raises(UsageError, match=r"has 7 rows, and the BED file 9 windows"):
        WindowFile(published, 9)


def test_a_truncated_file(published: Path) -> None:
    published.write_bytes(published.read_bytes()[:-2_000])
    with pytest.raises(TracksError, match="no HDF5 file, or a truncated one"):
        WindowFile(published)
    published.write_bytes(b"no HDF5 at all")
    with pytest.raises(TracksError, match="no HDF5 file"):
        WindowFile(published)
    with pytest.raises(UsageError, match="there is no HDF5 file"):
        WindowFile(published.with_name("none.h5"))


def test_damage_inside_is_said_when_it_is_read(published: Path) -> None:
    with h5py.File(published) as file:
        place = file["128bp_bins"].id.get_chunk_info(3)
    content = bytearray(published.read_bytes())
    content[place.byte_offset : place.byte_offset + place.size] = b"\xff" * place.size
    published.write_bytes(content)
    file = WindowFile(published)
    file.read(np.array([2]), "bins")
    with pytest.raises(TracksError, match="the file is damaged"):
        file.read(np.array([3]), "bins")


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("labels", np.zeros((3, 896, 18), np.float32), "holds labels, and neither 128bp_bins, single_bin nor"),
        ("128bp_bins", np.zeros((3, 895, 18), np.float32), r"should be .* \[windows, 896, n\], found .*895"),
        ("128bp_bins", np.zeros((3, 896, 18), np.int64), "found int64"),
        ("single_bin", np.zeros((3, 18), np.float32), r"\[windows, 1, n\], found float32 \(3, 18\)"),
    ],
)
def test_other_layouts(tmp_path: Path, name: str, data: np.ndarray, words: str) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file[name] = data
    with pytest.raises(TracksError, match=words):
        WindowFile(tmp_path / "x.h5")
