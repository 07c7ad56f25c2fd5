from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from model.context import ContextConfig
from model.dataset import TrainingData
from model.folder import load_model
from model.train import Progress, TrainConfig, masked_loss, train
from tests.model.conftest import TINY_TRUNK
from tracks.bigwig import Bins, write_bigwig
from tracks.errors import TracksError, UsageError
from tracks.genome import Genome
from tracks.project import Project, load_project

CONFIG = TrainConfig(windows=8, batch=2, warmup_steps=2, validate_every=2)


def _entry(name: str, slug: str, **more: object) -> str:
    fields = {"assay": "x", "biosample": "y", "unit": "fraction", "color": "#112233", **more}
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in fields.items())
    return f'[[track]]\nname = "{name}"\nobserved = "{slug}.bw"\n{lines}'


@pytest.fixture(scope="module")
def folder(genome: Genome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project on the small genome: GC content as a label that can be learnt, a sparse track, an auxiliary one."""
    folder = tmp_path_factory.mktemp("project")
    sizes = genome.chrom_sizes
    codes = genome.codes("chr1", 0, 600_064).reshape(-1, 128)
    gc = np.isin(codes, (1, 2)).mean(axis=1).astype(np.float32)
    sparse = np.where(np.arange(len(gc)) < 1700, gc, np.float32(np.nan))
    write_bigwig(folder / "gc.bw", sizes, [Bins("chr1", 0, gc)])
    write_bigwig(folder / "sparse.bw", sizes, [Bins("chr1", 0, sparse)])
    write_bigwig(folder / "percent.bw", sizes, [Bins("chr1", 0, 100 * gc)])
    (folder / "split.bed").write_text("chr1\t0\t220000\ttrain\nchr1\t220000\t600050\tvalid\nchr2\t0\t100000\ttrain\n")
    (folder / "tracks.toml").write_text(
        f'name = "toy"\ngenome = "{genome.path}"\nsplit = "split.bed"\n'
        + _entry("GC", "gc", context=True)
        + _entry("Sparse GC", "sparse", weight=3.0)
        + _entry("Aux GC", "gc", role="auxiliary")
    )
    return folder


@pytest.fixture(scope="module")
def project(folder: Path) -> Project:
    return load_project(folder / "tracks.toml")


@pytest.fixture(scope="module")
def data(project: Project) -> TrainingData:
    return TrainingData(project, ContextConfig(), lambda message: None)


def test_labels_are_masked_where_sequence_is_missing(data: TrainingData, genome: Genome) -> None:
    labels = data.chromosomes["chr1"].labels
    known = (genome.codes("chr1", 0, 600_064).reshape(-1, 128) < 4).sum(axis=1)
    np.testing.assert_array_equal(np.isnan(labels[:, 0]), known < 64)
    assert np.isnan(data.chromosomes["chr2"].labels).all()


def test_drawn_windows_stay_inside_training_blocks(data: TrainingData) -> None:
    rng = np.random.default_rng(0)
    starts = data._train_starts("chr1")
    assert starts.min() * 128 - 8192 - 64 >= 0
    assert (starts.max() + 896) * 128 + 8192 + 64 <= 220_000
    for _ in range(20):
        window = data.draw(rng)
        assert window.codes.shape == (131_072,)
        assert window.labels.shape == (896, 3)
        assert np.isfinite(window.labels[:, 1]).any()


def test_labels_follow_their_sequence_through_augmentation(data: TrainingData) -> None:
    """The label is the bin's GC, so a window's own sequence must give it back, on either strand."""
    rng = np.random.default_rng(1)
    for _ in range(10):
        window = data.draw(rng)
        gc = np.isin(window.codes[8192:-8192].reshape(-1, 128), (1, 2)).mean(axis=1)
        seen = np.isfinite(window.labels[:, 0])
        # A shift of up to half a bin is allowed, so values are close and not equal.
        assert np.corrcoef(gc[seen], window.labels[seen, 0])[0, 1] > 0.4


def test_masked_loss_equals_its_formula() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(2, 3, 5))
    labels = rng.random((2, 3, 5))
    labels[0, 0, 1] = labels[1, 2, 3] = np.nan
    labels[:, 1] = np.nan
    p = 1 / (1 + np.exp(-logits))
    each = -(labels * np.log(p) + (1 - labels) * np.log(1 - p))
    first, third = np.nanmean(each[:, 0]), np.nanmean(each[:, 2])
    found = masked_loss(torch.from_numpy(logits), torch.from_numpy(labels), 2, 0.15)
    assert float(found) == pytest.approx((first + 0) / 2 + 0.15 * third)


def test_a_run_gives_a_model_folder_of_the_targets(project: Project, tmp_path: Path) -> None:
    told: list[Progress] = []
    train(project, tmp_path / "m", CONFIG, TINY_TRUNK, "cpu", told.append)
    model = load_model(tmp_path / "m")
    assert [track.name for track in model.tracks] == ["GC", "Sparse GC"]
    assert model.training["auxiliary_tracks"] == ["Aux GC"]
    assert [block.fold for block in model.split] == ["train", "valid", "train"]
    assert not (tmp_path / "m" / "checkpoint.pt").exists()
    steps = [progress for progress in told if progress.steps]
    assert [progress.step for progress in steps] == [1, 2, 3, 4]
    assert [name for name, _, _ in steps[-1].scores] == ["GC", "Sparse GC"]
    with pytest.raises(UsageError, match="already holds a trained model"):
        train(project, tmp_path / "m", CONFIG, TINY_TRUNK, "cpu")


def test_a_stopped_run_goes_on_to_the_same_weights(project: Project, tmp_path: Path) -> None:
    """Dropout aside (its state is not kept), a resumed run sees the same draws and the same schedule."""
    trunk = dataclasses.replace(TINY_TRUNK, residual_dropout=0.0, embedding_dropout=0.0)
    train(project, tmp_path / "straight", CONFIG, trunk, "cpu")

    def stop(progress: Progress) -> None:
        if progress.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(project, tmp_path / "stopped", CONFIG, trunk, "cpu", stop)
    assert not (tmp_path / "stopped" / "model.json").exists()
    told: list[Progress] = []
    train(project, tmp_path / "stopped", CONFIG, trunk, "cpu", told.append)
    assert any(progress.message == "going on from step 2 of 4" for progress in told)
    straight = load_model(tmp_path / "straight").network.state_dict()
    stopped = load_model(tmp_path / "stopped").network.state_dict()
    for name, value in straight.items():
        torch.testing.assert_close(stopped[name], value, rtol=1e-4, atol=1e-5)


def test_the_weights_that_validate_best_are_kept(project: Project, tmp_path: Path) -> None:
    """With a learning rate that wrecks the network later, an early validation must win, and its weights be shipped."""
    config = TrainConfig(windows=16, batch=2, warmup_steps=1, learning_rate=3e-2, validate_every=2)
    told: list[Progress] = []
    train(project, tmp_path / "m", config, TINY_TRUNK, "cpu", told.append)
    scores = {p.step: np.nanmean([coarse for _, _, coarse in p.scores]) for p in told if p.scores}
    best = max(scores, key=lambda step: scores[step])
    model = load_model(tmp_path / "m")
    assert model.training["best_step"] == best
    if best < config.steps:
        shorter = tmp_path / "stopped"

        def stop(progress: Progress) -> None:
            if progress.step == best:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(project, shorter, config, TINY_TRUNK, "cpu", stop)
        averaged = torch.load(shorter / "checkpoint.pt", weights_only=True)["averaged"]
        for name, value in model.network.state_dict().items():
            if not name.startswith("head."):
                torch.testing.assert_close(value, averaged[name], rtol=1e-4, atol=1e-5)


def test_a_checkpoint_of_other_settings_is_refused(project: Project, tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(project, tmp_path, CONFIG, TINY_TRUNK, "cpu", stop)
    with pytest.raises(UsageError, match="is of other settings"):
        train(project, tmp_path, dataclasses.replace(CONFIG, seed=9), TINY_TRUNK, "cpu")


def test_training_learns(project: Project, tmp_path: Path) -> None:
    losses: list[float] = []
    config = TrainConfig(windows=40, batch=1, warmup_steps=5, learning_rate=1e-2, validate_every=100)
    train(project, tmp_path / "m", config, TINY_TRUNK, "cpu", lambda progress: losses.append(progress.loss))
    losses = [loss for loss in losses if math.isfinite(loss)]
    assert np.mean(losses[-8:]) < np.mean(losses[:8])


def test_labels_that_are_no_fraction_are_refused(folder: Path) -> None:
    text = (folder / "tracks.toml").read_text().replace("sparse.bw", "percent.bw")
    (folder / "percent.toml").write_text(text)
    with pytest.raises(TracksError, match=r"'Sparse GC' has labels from .* a fraction lies between 0 and 1"):
        TrainingData(load_project(folder / "percent.toml"), ContextConfig(), lambda message: None)
    (folder / "scaled.toml").write_text(text.replace("weight = 3.0", "weight = 3.0\nscale = 0.01"))
    TrainingData(load_project(folder / "scaled.toml"), ContextConfig(), lambda message: None)


def test_a_target_without_training_windows_is_named(folder: Path) -> None:
    text = (folder / "tracks.toml").read_text().replace("split.bed", "other.bed")
    (folder / "other.bed").write_text("chr1\t220000\t600050\ttrain\n")
    (folder / "other.toml").write_text(text)
    with pytest.raises(UsageError, match="'Sparse GC' is observed in no training block"):
        TrainingData(load_project(folder / "other.toml"), ContextConfig(), lambda message: None)
