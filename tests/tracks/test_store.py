from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import zarr

from tests.conftest import bound_by_permissions
from tracks.errors import TracksError
from tracks.method import Ensemble, Method
from tracks.store import Store
from tracks.store_verify import verify

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
        {"head_digest": "b" * 64},
        {"sequence_digest": "SQ.y"},
        {"method": Method("bf16")},
        {"method": Method(edges="seamless")},
        {"method": Method(ensemble=Ensemble(reverse_complement=True))},
    ],
)
def test_every_part_of_the_key_separates(tmp_path: Path, other: dict[str, object]) -> None:
    key = {"head_digest": "a" * 64, "sequence_digest": "SQ.x", "chrom_length": 500_000, "tracks": 3}
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


_FULL = """
import resource, sys, numpy as np
from pathlib import Path
from tracks.errors import TracksError
from tracks.store import Store
windows = Store(Path(sys.argv[1])).windows("a" * 64, "SQ.x", 896 * 128 * 200, 3)
windows.write(0, np.random.default_rng(0).random((896, 3), np.float32))
for limit, index in ((5_000, 1), (60_000, 150)):  # less than a window, and than where its summaries lie
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        windows.write(index, np.random.default_rng(0).random((896, 3), np.float32))
    except TracksError as error:
        print(error)
    print(np.flatnonzero(windows.known()).tolist(), windows.read(1))
"""


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """Files that may not grow, as on a full disk: an error and nothing half, wherever it strikes."""
    words = [sys.executable, "-c", _FULL, str(tmp_path)]
    run = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    lines = run.stdout.splitlines()
    assert [line.partition(" the prediction")[0] for line in lines[::2]] == ["cannot write to"] * 2, run.stderr
    assert lines[1::2] == ["[0] None"] * 2
    assert not list(tmp_path.rglob("*.partial"))
    windows = Store(tmp_path).windows("a" * 64, "SQ.x", 896 * 128 * 200, 3)
    # The window itself did get its place the second time.
    assert np.flatnonzero(windows.known()).tolist() == [0, 150]
    assert verify(tmp_path) == []


_ENDLESS = """
import sys, numpy as np
from pathlib import Path
from tracks.store import Store
windows = Store(Path(sys.argv[1])).windows("a" * 64, "SQ.x", 896 * 128 * 400, 3)
print("ready", flush=True)
for index in range(int(sys.argv[2]), 400, 7):
    windows.write(index, np.full((896, 3), index, np.float32))
"""


def test_processes_killed_at_any_moment(tmp_path: Path) -> None:
    """Two writers at a time, killed while they make files, windows or summaries: what counts as known is right, and
    repairs leave nothing wrong."""
    random.seed(4)
    for start in range(6):
        writers = [
            subprocess.Popen([sys.executable, "-c", _ENDLESS, str(tmp_path), str(first)], stdout=subprocess.PIPE)
            for first in (start, start + 1)
        ]
        for writer in writers:
            assert writer.stdout is not None
            writer.stdout.readline()
        for writer in writers:
            time.sleep(random.uniform(0, 0.02))
            writer.send_signal(signal.SIGKILL)
            writer.communicate()
        windows = Store(tmp_path).windows("a" * 64, "SQ.x", 896 * 128 * 400, 3)
        for index in np.flatnonzero(windows.known()).tolist():
            np.testing.assert_array_equal(windows.read(index), np.full((896, 3), index, np.float32))
            assert (windows.summary(1).sums[index] == 896 * index).all()
    assert windows.known().any()
    verify(tmp_path, repair=True)
    assert verify(tmp_path) == []


def test_nothing_is_made_before_something_is_written(tmp_path: Path) -> None:
    windows = Store(tmp_path).windows("a" * 64, "SQ.x", 500_000, 3)
    assert not windows.known().any()
    assert windows.read(0) is None
    assert not windows.summary(7).counts.any()
    assert list(tmp_path.iterdir()) == []


def test_it_says_what_it_is_of(tmp_path: Path) -> None:
    about = {"model": "tiny", "head": "bins", "tracks": [{"name": "one"}]}
    key = ("a" * 64, "SQ.x", 500_000, 3)
    # As it was before stores said so.
    bare = Store(tmp_path).windows(*key)
    bare.write(0, WINDOW_A)
    description = json.loads((bare.folder / "zarr.json").read_text())
    description["attributes"] = {}
    (bare.folder / "zarr.json").write_text(json.dumps(description))
    windows = Store(tmp_path).windows(*key, about=about)
    np.testing.assert_array_equal(windows.read(0), WINDOW_A)
    assert dict(zarr.open_array(windows.folder, mode="r").attrs) == {}
    windows.write(1, WINDOW_A)
    array = zarr.open_array(windows.folder, mode="r")
    assert dict(array.attrs) == {
        **about,
        "digest": "a" * 64,
        "sequence": "SQ.x",
        "length": 500_000,
        "precision": "fp32",
        "edges": "window",
        "ensemble": "single",
    }
    np.testing.assert_array_equal(np.asarray(array[: 2 * 896]), np.concatenate([WINDOW_A, WINDOW_A]))


def test_a_store_that_zarr_wrote(tmp_path: Path) -> None:
    """Stores from before this program wrote chunks itself: no summaries, no names, no checksums in the chunks."""
    folder = tmp_path / ("a" * 32) / "fp32-single" / "SQ.x"
    folder.parent.mkdir(parents=True)
    array = zarr.create_array(
        folder, shape=(5 * 896, 3), chunks=(896, 3), dtype="float32", fill_value=np.nan,
        compressors=[zarr.codecs.ZstdCodec(level=1)],
    )  # fmt: skip
    array[896 : 2 * 896] = WINDOW_A
    windows = Store(tmp_path).windows("a" * 64, "SQ.x", 500_000, 3)
    assert windows.known().tolist() == [False, True, False, False, False]
    np.testing.assert_array_equal(windows.read(1), WINDOW_A)
    np.testing.assert_allclose(windows.summary(1).sums[1, 0], WINDOW_A.sum(axis=0, dtype=np.float64), rtol=1e-6)
    windows.write(2, WINDOW_A)
    np.testing.assert_array_equal(np.asarray(array[896 : 3 * 896]), np.concatenate([WINDOW_A, WINDOW_A]))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dtype": "float64"}, "holds an array of another kind; remove that folder"),
        ({"compressors": [zarr.codecs.BloscCodec()]}, "holds an array of another kind; remove that folder"),
        ({"chunks": (448, 3)}, "holds an array of another kind; remove that folder"),
        ({"shape": (896, 3), "chunks": (896, 3)}, r"is of another shape, \(896, 3\); remove that folder"),
        ("{}", "its zarr.json is damaged; remove that folder"),
        ("", "cannot open the prediction store"),
    ],
)
def test_a_folder_that_holds_something_else(tmp_path: Path, options: dict[str, object] | str, words: str) -> None:
    folder = tmp_path / ("a" * 32) / "fp32-single" / "SQ.x"
    folder.mkdir(parents=True)
    if isinstance(options, str):
        (folder / "zarr.json").write_text(options)
    else:
        usual = {"shape": (5 * 896, 3), "chunks": (896, 3), "dtype": "float32", "fill_value": np.nan}
        zarr.create_array(folder, **{**usual, **options}, overwrite=True)
    with pytest.raises(TracksError, match=words):
        Store(tmp_path).windows("a" * 64, "SQ.x", 500_000, 3)


def test_a_window_of_another_place_or_shape(tmp_path: Path) -> None:
    windows = Store(tmp_path).windows("a" * 64, "SQ.x", 500_000, 3)
    with pytest.raises(IndexError, match="has windows 0 to 4, not 5"):
        windows.write(5, WINDOW_A)
    with pytest.raises(ValueError, match=r"has shape \(896, 3\), not \(896, 2\)"):
        windows.write(0, WINDOW_A[:, :2])
    assert list(tmp_path.iterdir()) == []
