from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from tests.conftest import run_command
from tracks.bigwig import Bins, write_bigwig
from tracks.grid import BIN

Cli = Callable[..., Result]


@pytest.fixture
def bigwig(tmp_path: Path) -> Path:
    values = np.array([np.nan, 0.5, -0.25, 1.0], np.float32)
    write_bigwig(tmp_path / "a.bw", {"chr20": 10_000, "chr3": 4 * BIN - 28}, [Bins("chr3", 0, values)])
    return tmp_path / "a.bw"


def test_a_bigwig_in_words(cli: Cli, bigwig: Path) -> None:
    result = cli("info", bigwig)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"bigWig {bigwig}",
        "  chromosomes  chr20 (10,000 bases), chr3 (484 bases)",
        "  with a value 356 of 10,484 bases (3.4%), or 3 bins of 128 bp",
        "  values       -0.25 to 1, mean 0.370787",
        "  zoom levels  1,280 bp",
    ]


def test_a_bigwig_as_json(cli: Cli, bigwig: Path) -> None:
    found = json.loads(cli("info", bigwig, "--json").stdout)
    assert found["kind"] == "bigWig"
    assert found["chromosomes"] == {"chr20": 10_000, "chr3": 484}
    assert (found["bases_covered"], found["bins"], found["minimum"], found["maximum"]) == (356, 3, -0.25, 1.0)
    assert found["mean"] == pytest.approx((0.5 * 128 - 0.25 * 128 + 100) / 356)


def test_a_model_in_words(cli: Cli, model_folder: Path) -> None:
    from model.folder import load_model

    model = load_model(model_folder)
    result = cli("info", model_folder)
    assert (result.exit_code, result.stderr) == (0, "")
    for words in (
        f"model tiny ({model_folder})",
        model.digest,
        f"in the store as {model.digest[:12]}",
        "format       2, written by tracks",
        f"{sum(weight.numel() for weight in model.network.parameters()):,} (0.0 MB)",
        "131,072 bases give 896 bins of 128 bp",
        "Basenji2 family: stem of 4 filters",
        "composition of 0.05, 0.1, 0.2 Mb around",
        "CpG methylation IMR90: methylated fraction; WGBS, IMR90\n",
        "LMNB1 LAD liver: covered fraction; ChIP-seq, liver; uses context\n",
        "training     seed 5",
        "train 0.2 Mb, valid 0.0 Mb, test 0.3 Mb",
        "no model card (tracks card makes one)",
    ):
        assert words in result.stdout


def test_a_model_as_json(cli: Cli, model_folder: Path) -> None:
    found = json.loads(cli("info", model_folder, "--json").stdout)
    assert (found["kind"], found["name"], found["format"], found["card"]) == ("model", "tiny", 2, None)
    [head] = found["heads"]
    assert (head["name"], head["kind"], head["scope"]) == ("bins", "linear", "bins")
    assert [track["slug"] for track in head["tracks"]] == ["cpg_methylation_imr90", "lmnb1_lad_liver"]
    assert head["tracks"][1]["context"] is True
    assert head["digest"] == found["digest"]
    assert found["trunk"]["residual_blocks"] == 2
    assert found["split"] == {"train": 250_000, "valid": 0, "test": 250_050}


@pytest.mark.parametrize("same", [True, False])
def test_a_card_is_shown_and_one_of_other_weights_is_named(
    cli: Cli, model_folder: Path, tmp_path: Path, same: bool
) -> None:
    from model.card import Card, Score, TrackCard
    from model.folder import load_model
    from model.metrics import Estimate

    estimate = Estimate(0.53, 0.41, 0.62)
    score = Score("test", "chr22", 4_096, "pearson", 100, 5, estimate, ())
    tracks = (TrackCard("CpG methylation IMR90", "methylated fraction", (score,), "Better than composition."),)
    digest = load_model(model_folder).digest if same else "0" * 64
    folder = Path(shutil.copytree(model_folder, tmp_path / "model"))
    (folder / "card.json").write_text(Card("tiny", digest, "mini", 500_000, 10, 1, "by hand", tracks).to_json())
    result = cli("info", folder)
    assert result.exit_code == 0, result.stderr
    assert "Better than composition." in result.stdout
    assert "test chr22, Pearson r at 4,096 bp: .53 (.41 to .62)" in result.stdout
    assert ("the card is of other weights" in result.stdout) != same


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("no", None, 2, "there is no file or folder"),
        (
            "a.txt",
            b"hello\n",
            1,
            "a.txt: it is not a bigWig file; tracks info describes bigWig files, label sets and model folders",
        ),
        ("a.bb", 0x8789F2EB.to_bytes(4, "little") + bytes(99), 1, "it is a bigBed file, not a bigWig"),
        ("folder", b"", 2, "is not a model folder: it holds no model.json"),
    ],
)
def test_what_is_neither_is_said_in_one_line(
    cli: Cli, tmp_path: Path, name: str, content: bytes | None, code: int, words: str
) -> None:
    if name == "folder":
        (tmp_path / name).mkdir()
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    result = cli("info", tmp_path / name)
    assert (result.exit_code, result.stdout) == (code, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("tracks: error: ")
    assert words in line


def test_a_damaged_model_is_one_line(cli: Cli, model_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(model_folder, tmp_path / "model"))
    weights = folder / "trunk.safetensors"
    weights.write_bytes(weights.read_bytes()[:900])
    result = cli("info", folder)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "damaged" in result.stderr


def test_an_unreadable_file_is_one_line(bigwig: Path) -> None:
    bigwig.chmod(0)
    run = run_command("info", bigwig, bound=True)
    assert run.returncode == 1
    assert run.stderr.startswith(f"tracks: error: cannot read {bigwig}: Permission denied")
    assert len(run.stderr.splitlines()) == 1
