from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr

from tests.conftest import bound_by_permissions
from tracks.errors import TracksError
from tracks.store import Store

RNG = np.random.default_rng(0)
WINDOW_A = RNG.random((896, 3), np.float32)


def test_a_written_window_is_read_and_others_are_unknown(tmp_path: Path) -> None:
    windows = Store(tmp_path).windows("a" * 64, "SQ.x", 500_000, 3)
    assert windows.read(1) is None
    windows.write(1, WINDOW_A)
    found = windows.read(1)
    assert found is not None
    np.testing.assert_array_equal(found, WINDOW_A)
    assert windows.read(0) is None
    assert windows.known().tolist() == [False, True, False, False, False]


def test_a_window_without_values_is_known(tmp_path: Path) -> None:
    windows = Store(tmp_path).windows("a" * 64, "SQ.x", 500_000, 2)
    windows.write(4, np.full((896, 2), np.nan, np.float32))
    assert windows.known().tolist() == [False] * 4 + [True]
    found = windows.read(4)
    assert found is not None
    assert np.isnan(found).all()


@pytest.mark.parametrize(
    "other",
    [
        {"model_digest": "b" * 64},
        {"sequence_digest": "SQ.y"},
        {"precision": "bf16"},
        {"ensemble": "rc"},
    ],
)
def test_every_part_of_the_key_separates(tmp_path: Path, other: dict[str, str]) -> None:
    key = {"model_digest": "a" * 64, "sequence_digest": "SQ.x", "chrom_length": 500_000, "tracks": 3}
    Store(tmp_path).windows(**key).write(0, WINDOW_A)  # type: ignore[arg-type]
    assert Store(tmp_path).windows(**{**key, **other}).read(0) is None  # type: ignore[arg-type]
    assert Store(tmp_path).windows(**key).read(0) is not None  # type: ignore[arg-type]


def test_it_is_a_zarr_array_with_one_chunk_a_window(tmp_path: Path) -> None:
    windows = Store(tmp_path).windows("a" * 64, "SQ.x", 500_000, 3)
    windows.write(2, WINDOW_A)
    array = zarr.open_array(windows.folder, mode="r")
    assert array.chunks == (896, 3)
    np.testing.assert_array_equal(np.asarray(array[2 * 896 : 3 * 896]), WINDOW_A)
    assert np.isnan(np.asarray(array[: 2 * 896])).all()


_WRITER = """
import sys, numpy as np
from pathlib import Path
from tracks.store import Store
root, first = Path(sys.argv[1]), int(sys.argv[2])
windows = Store(root).windows("a" * 64, "SQ.x", 896 * 128 * 40, 3)
for index in range(first, 40, 2):
    windows.write(index, np.full((896, 3), index, np.float32))
"""


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path), str(first)]) for first in (0, 1)]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    windows = Store(tmp_path).windows("a" * 64, "SQ.x", 896 * 128 * 40, 3)
    assert windows.known().all()
    for index in range(40):
        found = windows.read(index)
        assert found is not None
        assert (found == index).all()


def test_another_shape_under_the_same_key_is_refused(tmp_path: Path) -> None:
    Store(tmp_path).windows("a" * 64, "SQ.x", 500_000, 3).write(0, WINDOW_A)
    with pytest.raises(TracksError, match="is of another shape"):
        Store(tmp_path).windows("a" * 64, "SQ.x", 500_000, 2)


def test_a_store_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TracksError, match="cannot make the prediction store"):
        Store(tmp_path / "file" / "store")


def test_a_damaged_window_is_predicted_again(tmp_path: Path) -> None:
    windows = Store(tmp_path).windows("a" * 64, "SQ.x", 500_000, 3)
    windows.write(1, WINDOW_A)
    chunk = windows.folder / "c" / "1" / "0"
    for damage in (b"", chunk.read_bytes()[:100], b"x" * 500):
        chunk.write_bytes(damage)
        assert windows.read(1) is None
    windows.write(1, WINDOW_A)
    np.testing.assert_array_equal(windows.read(1), WINDOW_A)


_ONE_MORE = """
import sys, numpy as np
from pathlib import Path
from tracks.store import Store
Store(Path(sys.argv[1])).windows("a" * 64, "SQ.x", 500_000, 3).write(2, np.zeros((896, 3), np.float32))
"""


def test_a_store_that_cannot_be_written_to(tmp_path: Path) -> None:
    windows = Store(tmp_path).windows("a" * 64, "SQ.x", 500_000, 3)
    windows.write(1, WINDOW_A)
    (windows.folder / "c").chmod(0o555)
    command = bound_by_permissions([sys.executable, "-c", _ONE_MORE, str(tmp_path)])
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    (windows.folder / "c").chmod(0o755)
    assert "TracksError: cannot write to the prediction store" in run.stderr
    assert "Permission denied; the windows before are kept" in run.stderr.splitlines()[-1]
