from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from click.testing import Result

from tests.model.weights.test_importing import Evil


def test_import_predict_and_info(
    golden: dict[str, Path], fasta: Path, cli: Callable[..., Result], tmp_path: Path
) -> None:
    """From Keras's file to a bigWig, by commands alone."""
    folder = tmp_path / "model"
    done = cli("weights", "import", golden["keras3_model.h5"], "-o", folder, "--name", "small", "--head", "human")
    assert done.exit_code == 0, done.output
    assert (
        f"imported a trunk (GELU tanh, embedding of 7 channels) and the head 'human' of 5 tracks into {folder}"
        in done.output
    )
    facts = json.loads(cli("info", folder, "--json").stdout)
    assert facts["name"] == "small"
    assert facts["source"]["file"] == "keras3_model.h5"
    assert [track["name"] for track in facts["heads"][0]["tracks"]] == [f"target {index}" for index in range(5)]
    predicted = cli(
        *("predict", "--model", folder, "--genome", fasta, "--region", "chr20:50,001-60,000", "-o", tmp_path / "out")
    )
    assert predicted.exit_code == 0, predicted.output
    assert (tmp_path / "out" / "target_3.bw").stat().st_size > 0


def test_a_gelu_that_differs_from_the_file_is_noted(
    golden: dict[str, Path], cli: Callable[..., Result], tmp_path: Path
) -> None:
    done = cli("weights", "import", golden["keras2_model.h5"], "-o", tmp_path / "model", "--gelu", "sigmoid")
    assert done.exit_code == 0
    assert "note: the model in the file was made with GELU 'tanh'; it is imported with 'sigmoid'" in done.stderr


def test_a_hostile_file_ends_in_one_line(cli: Callable[..., Result], tmp_path: Path) -> None:
    torch.save({"conv_layer.weight": Evil(tmp_path / "it-ran")}, tmp_path / "model.pth")
    done = cli("weights", "import", tmp_path / "model.pth", "-o", tmp_path / "model")
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"tracks: error: cannot import {tmp_path / 'model.pth'}: it is refused")
    assert not (tmp_path / "it-ran").exists()
    assert not (tmp_path / "model").exists()
