"""``tracks train --head`` from files: a project's bigWigs, and HDF5 labels of the published layout."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import Result

from model.folder import head_names, load_head, load_model
from tests.model.head_training.conftest import labels_of, windows_of
from tracks.bigwig import Bins, write_bigwig
from tracks.catalogue import published_tracks
from tracks.genome import Genome
from tracks.split import read_split
from tracks.windows import Scope, WindowRow

Cli = Callable[..., Result]


@pytest.fixture(scope="module")
def project(wandering: Genome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GC content as a fraction in a bigWig; valid blocks are long enough to be scored."""
    folder = tmp_path_factory.mktemp("project")
    size = wandering.chrom_sizes["chr1"]
    codes = wandering.codes("chr1", 0, -(-size // 128) * 128)
    gc = np.isin(codes, (1, 2)).reshape(-1, 128).mean(axis=1).astype(np.float32)
    write_bigwig(folder / "gc.bw", wandering.chrom_sizes, [Bins("chr1", 0, gc)])
    (folder / "split.bed").write_text(
        "chr1\t0\t1500000\ttrain\nchr1\t1500000\t2500000\tvalid\nchr1\t2500000\t3000000\ttest\n"
    )
    (folder / "tracks.toml").write_text(
        f'name = "toy"\ngenome = "{wandering.path}"\nsplit = "split.bed"\n'
        '[[track]]\nname = "GC"\nassay = "x"\nbiosample = "y"\nunit = "covered fraction"\ncolor = "#112233"\n'
        'observed = "gc.bw"\n'
    )
    return folder / "tracks.toml"


@pytest.fixture(scope="module")
def published(wandering: Genome, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """HDF5 labels of the 18 published tracks with their windows: (labels, sequences.bed)."""
    folder = tmp_path_factory.mktemp("published")
    order: list[WindowRow] = sorted(
        windows_of(10, 4, 2), key=lambda window: ("train", "valid", "test").index(window.fold)
    )
    bed = folder / "sequences.bed"
    bed.write_text("".join(f"{w.chrom}\t{w.start}\t{w.end}\t{w.fold}\n" for w in order))
    made = labels_of(wandering, order)
    scopes: dict[Scope, str] = {"bins": "128bp_bins", "window": "single_bin"}
    with h5py.File(folder / "labels.h5", "w") as file:
        for scope, dataset in scopes.items():
            columns = []
            for at, track in enumerate(published_tracks(scope)):
                values = made.arrays[scope][..., 0 if at < 12 else 2 if "calls" in track.unit else 1]
                columns.append(track.transform.forward(np.nan_to_num(values) + (1 if "calls" in track.unit else 0)))
            file[dataset] = np.stack(columns, axis=-1).astype(np.float32)
    return folder / "labels.h5", bed


def test_a_head_is_trained_from_a_project(cli: Cli, project: Path, trunk_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    shutil.copytree(trunk_folder, out)
    done = cli("train", "--head", "linear", "--labels", project, "--trunk", out, "--epochs", 1, "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert "epoch 0: on the valid windows:" in done.output
    assert "GC: loss 0." in done.output
    assert f"wrote the head 'linear' to {out}" in done.output
    model = load_model(out)
    assert [track.unit for track in model.tracks] == ["covered fraction"]
    assert model.heads[0].links == ("sigmoid",)
    folds = {block.fold for block in read_split(out / "heads" / "linear" / "split.bed")}
    assert folds == {"train", "valid", "test"}
    again = cli("train", "--head", "linear", "--labels", project, "--trunk", out)
    assert again.exit_code == 2
    assert "already has a head 'linear'; give another --name" in again.output


def test_a_label_set_trains_and_scores_as_the_project_of_its_file_does(
    cli: Cli, project: Path, wandering: Genome, trunk_folder: Path, tmp_path: Path
) -> None:
    recipe = project.with_name("labels.toml")
    recipe.write_text(project.read_text().replace("observed =", "signal ="))
    labels = tmp_path / "labels.zarr"
    assert cli("labels", "build", recipe, "-o", labels, "--processes", 1).exit_code == 0
    told, scores = [], []
    for name, source in (("project", (project,)), ("set", (labels, "--genome", wandering.path))):
        out = tmp_path / name / "model"
        shutil.copytree(trunk_folder, out)
        words = ("--head", "linear", "--labels", *source, "--trunk", out, "--epochs", 1, "--device", "cpu")
        done = cli("train", *words)
        assert done.exit_code == 0, done.output
        told.append([line for line in done.output.splitlines() if "loss" in line])
        report = tmp_path / name / "report"
        scored = cli("evaluate", out, "--labels", *source, "--fold", "test", "-o", report, "--device", "cpu")
        assert scored.exit_code == 0, scored.output
        scores.append((report / "metrics.tsv").read_text())
    assert len(told[0]) == 3
    assert told[0] == told[1]
    assert scores[0] == scores[1]


def test_heads_are_trained_from_published_labels(
    cli: Cli, published: tuple[Path, Path], wandering: Genome, trunk_folder: Path, tmp_path: Path
) -> None:
    labels, bed = published
    files = ("--labels", labels, "--windows", bed, "--genome", wandering.path, "--trunk", trunk_folder)
    common = (*files, "-o", tmp_path / "out", "--device", "cpu", "--cache", tmp_path / "cache", "--yes")
    done = cli(
        "train",
        "--head",
        "maxpool",
        *common,
        "--epochs",
        2,
        "--width",
        16,
        "--loss",
        f"{published_tracks('window')[12].name}=gaussian",
    )
    assert done.exit_code == 0, done.output
    spec, _ = load_head(tmp_path / "out", "maxpool")
    assert [track.unit for track in spec.tracks] == [track.unit for track in published_tracks("window")]
    assert spec.links[0] == spec.links[12] == "identity"
    assert spec.links[13:16] == ("sigmoid", "sigmoid", "softplus")
    legacy = cli(
        "train", "--head", "linear", *common, "--recipe", "legacy", "--name", "probe",
        "--epochs", 1, "--learning-rate", 1e-3,
    )  # fmt: skip
    assert legacy.exit_code == 0, legacy.output
    assert "takes 0.0 kB more for 0 of 14 windows" in legacy.output  # the fixed run has passed them all
    probe, _ = load_head(tmp_path / "out", "probe")
    assert probe.tracks == published_tracks("bins")
    assert head_names(tmp_path / "out") == ("maxpool", "probe")


def test_a_cache_is_confirmed(
    cli: Cli, published: tuple[Path, Path], wandering: Genome, trunk_folder: Path, tmp_path: Path
) -> None:
    labels, bed = published
    done = cli(
        "train", "--head", "conv", "--labels", labels, "--windows", bed, "--genome", wandering.path,
        "--trunk", trunk_folder, "-o", tmp_path / "out", "--cache", tmp_path / "cache",
    )  # fmt: skip
    # There is nobody to answer, which is no yes.
    assert done.exit_code == 130
    assert "kB more for 24 of 24 windows" in done.output
    assert "Write it?" in done.output
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--head", "conv", "--trunk", "{trunk}"), "training a head needs --labels"),
        (("--head", "conv", "--labels", "{project}"), "training a head needs --trunk"),
        (("{project}", "--head", "conv"), "with --head, a project is given as --labels tracks.toml"),
        (("{project}", "-o", "x", "--cache", "c"), "--cache goes with --head"),
        (("{project}", "-o", "x", "--recipe", "fixed"), "--recipe goes with --head"),
        (("{project}", "-o", "x", "--windows", "a.bed"), "--windows goes with --head"),
        (("{project}",), "needs a project and a folder"),
        (("--head", "conv", "--validate-every", "5"), "--validate-every goes with training from scratch"),
        (("{all}", "--genome", "hg38.fa"), "names its genome: leave --genome out"),
        (("{all}", "--windows", "a.bed"), "a project has windows of its own: leave --windows out"),
        (("{all}", "--loss", "GC"), "--loss needs TRACK=LOSS"),
        (("{all}", "--loss", "GC=mse"), "with a loss of gaussian, poisson, binomial; found 'GC=mse'"),
        (("{all}", "--loss", "AT=poisson"), "a loss is given for 'AT', which is no track of the labels; they are 'GC'"),
        (("{all}", "--tune", "adapters"), "give it a folder of its own with -o"),
        (("{all}", "--tune", "trunk", "-o", "x", "--cache", "c"), "with --tune the trunk changes, so leave it out"),
        (("{all}", "--recipe", "legacy", "--width", "8"), "the heads of legacy have the original's shapes"),
        (("--head", "linear", "--labels", "{project}", "--trunk", "{trunk}", "--width", "8"), "no hidden channels"),
        (("--head", "attention", "--labels", "{project}", "--trunk", "{trunk}", "--width", "7"), "an even --width"),
        (("--head", "conv", "--labels", "l.h5", "--trunk", "{trunk}"), "give the FASTA file with --genome"),
        (("--head", "conv", "--labels", "{project}", "--trunk", "nowhere"), "is not a model folder"),
    ],
)
def test_options_that_do_not_go_together_are_named(
    words: tuple[str, ...], message: str, cli: Cli, project: Path, trunk_folder: Path
) -> None:
    every = ["--head", "conv", "--labels", str(project), "--trunk", str(trunk_folder)]
    filled: list[str] = []
    for word in words:
        filled += every if word == "{all}" else [word.format(project=project, trunk=trunk_folder)]
    done = cli("train", *filled)
    assert done.exit_code == 2, done.output
    assert message in done.output
    assert head_names(trunk_folder) == ()
