from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import Result

from tests.conftest import CHROM_SIZES, command_line
from tests.model.conftest import PassCount
from tracks.grid import BINS, INPUT
from tracks.window_files import WindowFile

Cli = Callable[..., Result]
STARTS = (0, 17, 65_599, 100_000, 368_978)


@pytest.fixture
def windows(tmp_path: Path) -> Path:
    path = tmp_path / "sequences.bed"
    lines = [f"chr20\t{start}\t{start + INPUT}\ttest\n" for start in STARTS]
    path.write_text("".join([*lines, f"chr3\t3\t{3 + INPUT}\ttrain\n"]))
    return path


def test_rows_are_the_network_on_each_window(
    cli: Cli, windows: Path, two_headed_folder: Path, fasta: Path, tmp_path: Path
) -> None:
    import torch

    from model.context import WindowCounts, window_context
    from model.folder import load_model
    from tracks.genome import Genome

    out = tmp_path / "out"
    given = ("--genome", fasta, "--model", two_headed_folder, "--head", "bins", "--head", "window")
    result = cli("predict", "--windows", windows, *given, "-o", out)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in out.iterdir()) == ["bins.h5", "window.h5"]
    bins, window = WindowFile(out / "bins.h5", 6), WindowFile(out / "window.h5", 6)
    model, genome = load_model(two_headed_folder, ("bins", "window")), Genome(fasta)
    assert bins.tracks("bins") == model.heads[0].tracks
    for row, (chrom, start) in enumerate([*(("chr20", start) for start in STARTS), ("chr3", 3)]):
        codes = torch.from_numpy(genome.codes(chrom, start, start + INPUT))[None]
        with torch.inference_mode():
            raw = model.network(codes, {"bins": torch.zeros(1, 9, BINS)})
        label = torch.sigmoid(raw["window"]).numpy()
        np.testing.assert_allclose(window.read(np.array([row]), "window")[0], label, rtol=1e-6)
        # The track without context; the other one depends on the composition around.
        local = torch.sigmoid(raw["bins"])[0, 0].numpy()
        np.testing.assert_allclose(bins.read(np.array([row]), "bins")[0, :, 0], local, rtol=1e-5, atol=1e-6)
    context = model.heads[0].context
    assert context is not None
    # A window of the grid has the context of the grid.
    on_grid = window_context(WindowCounts(genome), "chr20", 0, context)[0]
    assert np.ptp(on_grid) > 0
    with h5py.File(out / "bins.h5") as file:
        assert file.attrs["head"] == "bins"
        assert json.loads(file["128bp_bins"].attrs["tracks"])[0]["unit"] == "methylated fraction"


def test_files_that_are_there_are_kept(
    cli: Cli, windows: Path, two_headed_folder: Path, fasta: Path, tmp_path: Path
) -> None:
    given = ("predict", "--windows", windows, "--genome", fasta, "--model", two_headed_folder, "-o", tmp_path)
    (tmp_path / "bins.h5").write_text("mine")
    refused = cli(*given)
    assert refused.exit_code == 2
    assert "bins.h5 exists already" in refused.stderr
    assert (tmp_path / "bins.h5").read_text() == "mine"
    assert cli(*given, "--overwrite").exit_code == 0
    assert WindowFile(tmp_path / "bins.h5").rows == 6


def test_a_run_that_stopped_between_its_files_goes_on(
    cli: Cli,
    windows: Path,
    two_headed_folder: Path,
    fasta: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heads = ("--head", "bins", "--head", "window")
    out = tmp_path / "out"
    given = ("predict", "--windows", windows, "--genome", fasta, "--model", two_headed_folder, *heads, "-o", out)
    folder = out / "window.h5"
    folder.mkdir(parents=True)
    refused = cli(*given, "--overwrite")
    assert refused.exit_code == 2
    assert f"{folder} is a folder; give the file another name" in refused.stderr
    folder.rmdir()
    with monkeypatch.context() as patch:
        # The second file cannot be given its name.
        rename = Path.replace
        patch.setattr(Path, "replace", lambda self, to: folder.open() if to == folder else rename(self, to))
        stopped = cli(*given)
    assert stopped.exit_code == 1
    assert f"cannot write {folder}" in stopped.stderr
    assert (out / "bins.h5").is_file()
    assert cli(*given).exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == ["bins.h5", "window.h5"]
    again = cli(*given)
    assert again.exit_code == 2
    assert "bins.h5 exists already" in again.stderr


def test_windows_of_another_genome(cli: Cli, windows: Path, model_folder: Path, fasta: Path, tmp_path: Path) -> None:
    windows.write_text(windows.read_text() + f"chr3\t80000\t{80_000 + INPUT}\ttest\nchrQ\t0\t{INPUT}\ttest\n")
    result = cli("predict", "--windows", windows, "--genome", fasta, "--model", model_folder, "-o", tmp_path / "none")
    assert result.exit_code == 2
    [line] = result.stderr.splitlines()
    assert "the genome has no chrQ" in line
    assert f"1 windows leave their chromosome, the first at chr3:80,001-211,072 of {CHROM_SIZES['chr3']:,}" in line
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("more", [("--region", "chr20:1-5"), ("--format", "hdf5"), ("--track", "x")])
def test_options_that_do_not_go_together(cli: Cli, windows: Path, tmp_path: Path, more: tuple[str, str]) -> None:
    result = cli("predict", "--windows", windows, *more, "-o", tmp_path / "none")
    assert result.exit_code == 2
    assert "leave --region" in result.stderr


def test_a_killed_run_goes_on(windows: Path, two_headed_folder: Path, fasta: Path, tmp_path: Path, cli: Cli) -> None:
    many = "".join(f"chr20\t{1_000 * row}\t{1_000 * row + INPUT}\ttrain\n" for row in range(150))
    windows.write_text(many)
    given = ("predict", "--windows", windows, "--genome", fasta, "--model", two_headed_folder, "--head", "window")
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    assert cli(*given, "-o", whole).exit_code == 0
    run = subprocess.Popen(
        command_line(*given, "--threads", 1, "-o", resumed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while len(list(resumed.glob(".*.partial/window/c/*/0"))) < 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    [aside] = resumed.iterdir()
    done = {path: path.stat().st_mtime_ns for path in aside.glob("window/c/*/0")}
    assert 20 <= len(done) < 150
    assert not list(resumed.glob("*.h5"))
    before = time.time_ns()
    assert cli(*given, "-o", resumed).exit_code == 0
    assert all(changed < before for changed in done.values())
    assert [path.name for path in resumed.iterdir()] == ["window.h5"]
    rows = np.arange(150)
    np.testing.assert_array_equal(
        WindowFile(resumed / "window.h5").read(rows, "window"), WindowFile(whole / "window.h5").read(rows, "window")
    )


def test_embeddings_come_beside_when_asked_for(
    cli: Cli, windows: Path, two_headed_folder: Path, fasta: Path, tmp_path: Path
) -> None:
    given = ("predict", "--windows", windows, "--genome", fasta, "--model", two_headed_folder, "--head", "window")
    result = cli(*given, "--embeddings", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "the embeddings take 0.00 GB" in result.stderr
    found = WindowFile(tmp_path / "out" / "embeddings.h5", 6).read_embeddings(np.arange(6))
    assert (found.shape, found.dtype) == ((6, BINS, 8), np.float16)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["embeddings.h5", "window.h5"]
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "window.h5").write_text("mine")
    assert cli(*given, "--embeddings", "-o", tmp_path / "there").exit_code == 2
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["window.h5"]
    refused = cli("predict", "--region", "chr20:1-500", "--embeddings", "-o", tmp_path / "no")
    assert refused.exit_code == 2
    assert "--embeddings goes with --windows" in refused.stderr


def test_labels_and_embeddings_share_the_trunk(
    windows: Path, two_headed_folder: Path, fasta: Path, tmp_path: Path
) -> None:
    from model.embedding_file import EmbeddingRows, write_embeddings
    from model.folder import load_model
    from model.predict import Predictor
    from model.predict_rows import predict_rows
    from tracks.genome import Genome
    from tracks.windows import read_windows

    predictor = Predictor(load_model(two_headed_folder, ("bins", "window")), Genome(fasta), "cpu", 1)
    rows = read_windows(windows)
    passes = PassCount(predictor)
    beside = EmbeddingRows(predictor, rows, tmp_path / "both")
    made = predict_rows(predictor, rows, tmp_path / "both", embeddings=beside)
    assert passes.since() == len(rows)
    alone = predict_rows(predictor, rows, tmp_path / "alone")
    assert [path.read_bytes() for path in made.values()] == [path.read_bytes() for path in alone.values()]
    assert beside.path.read_bytes() == write_embeddings(predictor, rows, tmp_path / "alone").read_bytes()
