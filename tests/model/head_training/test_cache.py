from __future__ import annotations

import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from model.head_training.cache import ResidualCache, cache_key
from tracks.errors import TracksError
from tracks.genome import Genome
from tracks.windows import WindowRow

KEY = "k" * 64


def _residual(seed: int, width: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=20, size=(width, 896)).astype(np.float32)


def test_what_was_written_comes_back_in_half_precision(tmp_path: Path) -> None:
    cache = ResidualCache(tmp_path, KEY, 5, 8)
    assert cache.read(3, "forward") is None
    cache.write(3, "forward", _residual(0))
    cache.write(3, "reverse", _residual(1))
    cache.write(4, "forward", np.zeros((8, 896)))  # all fill values, and known all the same
    again = ResidualCache(tmp_path, KEY, 5, 8)
    np.testing.assert_array_equal(again.read(3, "forward"), _residual(0).astype(np.float16))
    np.testing.assert_array_equal(again.read(3, "reverse"), _residual(1).astype(np.float16))
    assert again.known("forward").tolist() == [False, False, False, True, True]
    assert again.known("reverse").tolist() == [False, False, False, True, False]
    assert ResidualCache(tmp_path, "x" * 64, 5, 8).read(3, "forward") is None


def test_a_plan_says_the_bytes_that_will_be_written(tmp_path: Path) -> None:
    cache = ResidualCache(tmp_path, KEY, 5, 8)
    cache.write(1, "forward", _residual(0))
    chunk = tmp_path / KEY[:32] / "forward" / "c" / "1" / "0" / "0"
    plan = cache.plan([0, 1, 2], strands=2)
    assert (plan.windows, plan.missing) == (6, 5)
    assert plan.missing_bytes == 5 * chunk.stat().st_size
    assert "takes 71.7 kB more for 5 of 6 windows" in str(plan)
    # Basenji2: 768 channels of float16, 1.4 MB a window and 105 GB for both strands of 38,171 windows.
    whole = ResidualCache(tmp_path, KEY, 38_171, 768).plan(range(38_171), strands=2)
    assert whole.missing_bytes == pytest.approx(105.07e9, rel=1e-3)


def test_a_damaged_window_counts_as_missing(tmp_path: Path) -> None:
    cache = ResidualCache(tmp_path, KEY, 2, 8)
    for row in (0, 1):
        cache.write(row, "forward", _residual(row))
    chunk = tmp_path / KEY[:32] / "forward" / "c" / "0" / "0" / "0"
    held = bytearray(chunk.read_bytes())
    held[100] ^= 1
    chunk.write_bytes(held)
    assert cache.read(0, "forward") is None
    chunk.write_bytes(held[:200])
    assert cache.read(0, "forward") is None
    cache.write(0, "forward", _residual(0))
    np.testing.assert_array_equal(cache.read(0, "forward"), _residual(0).astype(np.float16))


def test_another_shape_under_the_same_name_is_refused(tmp_path: Path) -> None:
    ResidualCache(tmp_path, KEY, 2, 8).write(0, "forward", _residual(0))
    with pytest.raises(TracksError, match="is of another shape"):
        ResidualCache(tmp_path, KEY, 3, 8).write(0, "forward", _residual(0))


def test_what_float16_cannot_hold_is_said(tmp_path: Path) -> None:
    with pytest.raises(TracksError, match=r"reaches 1e\+05, which float16 cannot hold"):
        ResidualCache(tmp_path, KEY, 2, 8).write(0, "forward", np.full((8, 896), 1e5, np.float32))


_FILL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from model.head_training.cache import ResidualCache
from tracks.errors import TracksError
cache = ResidualCache(Path(sys.argv[1]), "k" * 64, 4, 8)
for row in range(4):
    if row == 2:  # no file may grow past 5 kB now, as on a disk that is full
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
    try:
        cache.write(row, "forward", np.random.default_rng(row).normal(scale=20, size=(8, 896)))
    except TracksError as error:
        sys.exit(str(error))
"""


def test_a_full_disk_ends_in_one_line_and_what_is_there_stays(tmp_path: Path) -> None:
    assert resource.RLIMIT_FSIZE
    assert signal.SIGXFSZ
    words = [sys.executable, "-c", _FILL, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "cannot write to the cache" in done.stderr
    assert "the 2 windows (forward strand) that are there stay" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    cache = ResidualCache(tmp_path, KEY, 4, 8)
    assert cache.known("forward").tolist() == [True, True, False, False]
    for row in (0, 1):
        expected = np.random.default_rng(row).normal(scale=20, size=(8, 896)).astype(np.float16)
        np.testing.assert_array_equal(cache.read(row, "forward"), expected)
    cache.write(2, "forward", _residual(2))
    np.testing.assert_array_equal(cache.read(2, "forward"), _residual(2).astype(np.float16))
    assert not list(tmp_path.rglob("*.partial"))


def test_a_key_is_of_trunk_sequence_and_places(genome: Genome) -> None:
    windows = (WindowRow("chr1", 0, "train"), WindowRow("chr2", 5, "train"))
    key = cache_key("trunk", "fp32", genome, windows)
    assert key == cache_key("trunk", "fp32", genome, tuple(WindowRow(w.chrom, w.start, "test") for w in windows))
    assert len({
        key,
        cache_key("other", "fp32", genome, windows),
        cache_key("trunk", "bf16", genome, windows),
        cache_key("trunk", "fp32", genome, windows[:1]),
        cache_key("trunk", "fp32", genome, (windows[0], WindowRow("chr2", 6, "train"))),
    }) == 5  # fmt: skip
