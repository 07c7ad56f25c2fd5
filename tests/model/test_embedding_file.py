from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from model.embedding_file import embeddings_bytes, write_embeddings
from model.folder import Model
from model.predict import Predictor
from tests.model.conftest import PassCount
from tracks.errors import TracksError, UsageError
from tracks.genome import Genome
from tracks.grid import INPUT
from tracks.window_files import WindowFile
from tracks.windows import WindowRow

WINDOWS = [WindowRow("chr1", start, "train") for start in range(17, 400_000, 16_411)]
ROWS = np.arange(len(WINDOWS))


@pytest.fixture
def predictor(model: Model, genome: Genome) -> Predictor:
    return Predictor(model, genome, device="cpu", threads=1)


def test_it_is_the_published_layout(predictor: Predictor, genome: Genome, tmp_path: Path) -> None:
    path = write_embeddings(predictor, WINDOWS, tmp_path)
    assert [path] == list(tmp_path.iterdir())
    with h5py.File(path) as file:
        data = file["embeddings"]
        assert (data.shape, data.dtype, data.chunks) == ((len(WINDOWS), 896, 8), np.float16, (1, 896, 8))
        assert data.id.get_storage_size() == embeddings_bytes(predictor, WINDOWS)
    found = WindowFile(path, len(WINDOWS)).read_embeddings(ROWS)
    for row in (0, 5, len(WINDOWS) - 1):
        start = WINDOWS[row].start
        codes = torch.from_numpy(genome.codes("chr1", start, start + INPUT))[None]
        with torch.inference_mode():
            expected = predictor.model.network.trunk(codes)[0].T.numpy()
        np.testing.assert_allclose(found[row], expected.astype(np.float16), rtol=2e-3, atol=1e-6)
        np.testing.assert_array_equal(found[row], predictor.embedding("chr1", start)[0].T.numpy().astype(np.float16))
    with pytest.raises(UsageError, match=r"embeddings.h5 exists already"):
        write_embeddings(predictor, WINDOWS, tmp_path)


_HALTED = """
import os, resource, signal, sys
from pathlib import Path
from model.embedding_file import write_embeddings
from model.folder import load_model
from model.predict import Predictor
from tests.model.test_embedding_file import WINDOWS
from tracks.errors import TracksError
from tracks.genome import Genome
predictor = Predictor(load_model(Path(sys.argv[1])), Genome(sys.argv[2]), device="cpu", threads=1)
seen = []
def halt(done, total):
    seen.append(done)
    if done == 9 and sys.argv[4] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if done == 9:  # every further write of a row fails, as it does on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, resource.RLIM_INFINITY))
try:
    write_embeddings(predictor, WINDOWS, Path(sys.argv[3]), progress=halt)
except TracksError as error:
    sys.exit(f"{error}; {len(seen)}")
"""


@pytest.mark.parametrize("how", ["kill", "full"])
def test_a_run_that_was_stopped_goes_on(predictor: Predictor, genome: Genome, tmp_path: Path, how: str) -> None:
    whole = write_embeddings(predictor, WINDOWS, tmp_path / "whole")
    out = tmp_path / "out"
    words = [sys.executable, "-c", _HALTED, str(predictor.model.folder), str(genome.path), str(out), how]
    stopped = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    if how == "kill":
        assert (stopped.returncode, stopped.stderr) == (-9, "")
    else:
        assert stopped.returncode == 1
        [line] = stopped.stderr.splitlines()
        assert line == f"cannot write {out}/embeddings.h5: File too large; run again to go on; 9"
    assert not (out / "embeddings.h5").exists()
    [marks] = out.glob(".*.rows")
    done = int(np.frombuffer(marks.read_bytes(), np.uint8).sum())
    assert done == 9

    passes = PassCount(predictor)
    path = write_embeddings(predictor, WINDOWS, out)
    assert passes.since() == len(WINDOWS) - done
    assert [path] == list(out.iterdir())
    assert path.read_bytes() == whole.read_bytes()


def test_what_float16_cannot_hold_is_said(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedding = predictor.engine.embedding
    monkeypatch.setattr(predictor.engine, "embedding", lambda stream: embedding(stream) + 1e6)
    with pytest.raises(TracksError, match="the embedding of chr1:18-131,089 leaves float16"):
        write_embeddings(predictor, WINDOWS, tmp_path)
