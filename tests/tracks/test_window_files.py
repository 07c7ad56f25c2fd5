from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
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


def test_a_table_of_thousands_of_tracks_is_kept(tmp_path: Path) -> None:
    """Basenji2's own head has 5,313; plain HDF5 attributes end at 64 kB."""
    tracks = [dataclasses.replace(published_tracks("window")[0], name=f"target {at}") for at in range(2_000)]
    write_window_file(tmp_path / "x.h5", 1, "window", tracks, iter(np.ones((1, 1, 2_000), np.float32)), {})
    assert WindowFile(tmp_path / "x.h5").tracks("window") == tuple(tracks)


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    """A limit on file sizes stands for the full disk: both fail a write of the HDF5 library."""
    program = f"""
import resource, sys
from pathlib import Path
import numpy as np
from tracks.catalogue import published_tracks
from tracks.errors import TracksError
from tracks.window_files import write_window_file
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
asked = []
def rows():
    for row in range(40):
        asked.append(row)
        yield np.random.default_rng(row).random((896, 18), np.float32)
try:
    write_window_file(Path({str(tmp_path / "x.h5")!r}), 40, "bins", published_tracks("bins"), rows(), {{}})
except TracksError as error:
    sys.exit(f"{{error}} after {{len(asked)}} rows")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    found = re.fullmatch(rf"cannot write {tmp_path}/x.h5: \[Errno \d+\] File too large after (\d+) rows", line)
    assert found, line
    assert int(found[1]) < 20
    assert list(tmp_path.iterdir()) == []


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


@pytest.mark.parametrize("table", [b"TREE", b"HEAP", b"SNOD"])
def test_damaged_tables(published: Path, table: bytes) -> None:
    """The group's own tables: its B-tree, its names, its entries."""
    content = published.read_bytes()
    assert table in content
    published.write_bytes(content.replace(table, b"\0\0\0\0", 1))
    with pytest.raises(TracksError, match="no HDF5 file, or a truncated one"):
        WindowFile(published)


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
