"""``tracks predict --overview``: all windows and their zoom levels, in the store and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Cli = Callable[..., Result]


def test_it_keeps_overviews_and_goes_on_from_what_is_known(
    cli: Cli, fasta: Path, model_folder: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    words = ("predict", "--overview", "--genome", fasta, "--model", model_folder, "--store", store)
    said = cli(*words, "--dry-run")
    assert said.exit_code == 0
    assert "8 windows" in said.stderr
    assert not list(store.rglob("*.zooms"))
    made = cli(*words)
    assert made.exit_code == 0, made.output
    assert "kept the overviews of 2 tracks" in made.stdout
    found = {path.stem: path.read_bytes() for path in store.rglob("*.zooms")}
    assert sorted(found) == ["cpg_methylation_imr90", "lmnb1_lad_liver"]
    again = cli(*words)
    assert again.exit_code == 0
    assert "8 of 8 windows were already known" in again.stderr
    assert {path.stem: path.read_bytes() for path in store.rglob("*.zooms")} == found
    assert cli("store", "verify", "--store", store).exit_code == 0
    assert "overviews" in cli("store", "du", "--store", store).stdout
    assert cli("store", "prune", "--store", store, "--model", "tiny", "--yes").exit_code == 0
    assert not list(store.rglob("*.zooms"))


def test_a_run_that_is_stopped_says_what_goes_on(
    cli: Cli, fasta: Path, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from model.export import GenomeExport

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(GenomeExport, "compute", stopped)
    made = cli("predict", "--overview", "--genome", fasta, "--model", model_folder, "--store", tmp_path)
    assert made.exit_code == 130
    assert "what was predicted is kept, and the same command goes on from there" in made.stderr
    assert not list(tmp_path.rglob("*.zooms"))


def test_the_size_of_overviews_that_come_and_go(cli: Cli, fasta: Path, model_folder: Path, tmp_path: Path) -> None:
    words = ("--genome", fasta, "--model", model_folder, "--store", tmp_path)
    assert cli("predict", "--overview", *words).exit_code == 0
    next(tmp_path.rglob("*.zooms")).with_name("going").symlink_to("gone")
    assert cli("store", "du", "--store", tmp_path).exit_code == 0


@pytest.mark.parametrize(
    "words", [("--region", "chr20:1-1000"), ("-o", "out"), ("--chrom", "chr20"), ("--track", "x"), ("--shard", "1/2")]
)
def test_what_does_not_go_with_it_is_said(cli: Cli, words: tuple[str, ...]) -> None:
    made = cli("predict", "--overview", *words)
    assert made.exit_code == 2
    assert "--overview predicts the whole genome" in made.stderr


def test_files_need_a_folder(cli: Cli) -> None:
    made = cli("predict", "--region", "chr20:1-1000")
    assert made.exit_code == 2
    assert "Name a folder with -o" in made.stderr
