"""Whole training runs on a small trunk: what is learnt is checked on test windows, which training never reads."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import safetensors.torch
import torch

from model.folder import load_head, load_model, load_trunk, save_trunk
from model.head_training.batches import HeadLabels, Views, WindowStream, epoch_views
from model.head_training.cache import CachePlan, ResidualCache
from model.head_training.recipes import HeadKind, Recipe, RecipeName, recipe
from model.head_training.run import train_head
from model.head_training.settings import HeadTraining, Progress
from model.heads import AttentionConfig, MaxPoolConfig, head_labels
from tests.model.head_training.conftest import TRACKS, TRUNK, InMemoryLabels, labels_of, windows_of
from tracks.errors import TracksError, UsageError
from tracks.genome import Genome
from tracks.grid import INPUT
from tracks.labels import values
from tracks.split import read_split
from tracks.transform import Affine
from tracks.windows import Scope

KINDS: tuple[HeadKind, ...] = get_args(HeadKind)

Train = Callable[..., Path]

LEGACY: dict[Scope, tuple[Affine, Affine, Affine]] = {
    # The probe cuts labels to whole numbers; the window heads start from outputs near 0.
    "bins": (Affine(10, 60), Affine(100), Affine(4)),
    "window": (Affine(2), Affine(8, -4), Affine(0.5, -5)),
}


@pytest.fixture
def train(wandering: Genome, trunk_folder: Path, label_set: InMemoryLabels, tmp_path: Path) -> Train:
    """Train a head and return its folder: ``train("linear", epochs=2)``; recipe fields by name."""

    def run(
        kind: HeadKind,
        name: RecipeName = "fixed",
        labels: InMemoryLabels = label_set,
        out: Path = tmp_path / "out",
        settings: dict[str, Any] | None = None,
        told: list[Progress] | None = None,
        **fields: Any,
    ) -> Path:
        options = {key: fields.pop(key) for key in ("cache", "confirm") if key in fields}
        how = dataclasses.replace(recipe(kind, name, TRUNK.embedding_filters), **fields)
        report = (lambda progress: None) if told is None else told.append
        chosen = HeadTraining(kind, how, **(settings or {}))
        train_head(labels, wandering, trunk_folder, out, chosen, device="cpu", report=report, **options)
        return out

    return run


@torch.no_grad()
def _predicted(folder: Path, name: str, genome: Genome, labels: InMemoryLabels, rows: np.ndarray) -> np.ndarray:
    """What the saved head says of rows, in track units, ``[rows, 896 or 1, tracks]``, by way of the model folder."""
    trunk = load_trunk(folder).trunk
    spec, head = load_head(folder, name, TRUNK.embedding_filters)
    found = []
    for row in rows:
        window = labels.windows[row]
        codes = torch.from_numpy(genome.codes(window.chrom, window.start, window.start + INPUT))[None]
        label = head_labels(spec.links, head(trunk(codes), None))[0].numpy()
        columns = [track.transform.inverse(np.atleast_1d(label[at])) for at, track in enumerate(spec.tracks)]
        found.append(np.stack(columns, axis=1))
    return np.stack(found)


def _scores(folder: Path, name: str, genome: Genome, labels: InMemoryLabels, scope: Scope) -> list[float]:
    """Pearson r and R2 of the first two tracks on the test windows."""
    rows = labels.rows("test")
    predicted, observed = _predicted(folder, name, genome, labels, rows), values(labels, rows, scope)
    scores = []
    for track in range(2):
        seen = np.isfinite(observed[..., track])
        x, y = predicted[..., track][seen], observed[..., track][seen]
        scores += [float(np.corrcoef(x, y)[0, 1]), 1 - float(((x - y) ** 2).mean() / y.var())]
    return scores


def _legacy_labels(labels: InMemoryLabels, scope: Scope) -> InMemoryLabels:
    """The same labels on a scale of their own, nothing missing, as the original stored them."""
    described = tuple(dataclasses.replace(t, transform=f) for t, f in zip(TRACKS, LEGACY[scope], strict=True))
    seen = np.nan_to_num(labels.arrays[scope])
    columns = [track.transform.forward(seen[..., at]) for at, track in enumerate(described)]
    return InMemoryLabels("legacy", labels.windows, {scope: np.stack(columns, axis=-1).astype(np.float32)}, described)


FIXED: dict[HeadKind, dict[str, Any]] = {
    "linear": {"epochs": 1},
    "conv": {"epochs": 6},
    "maxpool": {"epochs": 12, "config": MaxPoolConfig(100), "learning_rate": 2e-3},
    "attention": {
        "epochs": 4,
        "batch": 4,
        "learning_rate": 3e-3,
        "config": AttentionConfig(heads=1, width=12, feed_forward=24),
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_fixed_head_learns_what_holds_on_test_windows(
    kind: HeadKind, train: Train, wandering: Genome, label_set: InMemoryLabels, cache_folder: Path
) -> None:
    folder = train(kind, cache=cache_folder, **FIXED[kind])
    scope: Scope = "bins" if kind == "linear" else "window"
    lamina, lamina_r2, methylation, methylation_r2 = _scores(folder, kind, wandering, label_set, scope)
    assert min(lamina, methylation) > 0.7
    assert min(lamina_r2, methylation_r2) > 0.3  # the scale is right too, not the order alone


LEGACY_FIELDS: dict[HeadKind, dict[str, Any]] = {
    # The original's rules at learning rates that suit a trunk of 24 channels.
    "linear": {"epochs": 16, "learning_rate": 0.03, "momentum": 0.5},
    "conv": {"epochs": 8, "learning_rate": 1e-5},
    "maxpool": {"epochs": 24, "learning_rate": 3e-3},
    "attention": {
        "epochs": 14,
        "learning_rate": 1e-2,
        "config": AttentionConfig(legacy=True, heads=6, feed_forward=32),
    },
}
LEGACY_BARS: dict[HeadKind, tuple[float, float]] = {
    "linear": (0.55, 0.0),
    "conv": (0.7, 0.3),
    "maxpool": (0.7, 0.3),
    "attention": (0.7, 0.3),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_legacy_head_learns_what_holds_on_test_windows(
    kind: HeadKind, train: Train, wandering: Genome, label_set: InMemoryLabels, cache_folder: Path
) -> None:
    labels = _legacy_labels(label_set, "bins" if kind == "linear" else "window")
    folder = train(kind, "legacy", labels, cache=cache_folder, **LEGACY_FIELDS[kind])
    spec, _ = load_head(folder, kind)
    assert spec.half_embedding
    assert set(spec.links) == {"softplus" if kind == "linear" else "identity"}
    assert spec.tracks == labels.described
    lamina, lamina_r2, methylation, methylation_r2 = _scores(folder, kind, wandering, labels, spec.scope)
    least_r, least_r2 = LEGACY_BARS[kind]
    assert min(lamina, methylation) > least_r
    assert min(lamina_r2, methylation_r2) > least_r2


def test_legacy_recipes_are_the_originals() -> None:
    """facts/cs282a.md section 4, line by line."""
    made = {kind: recipe(kind, "legacy", 1536) for kind in KINDS}
    table = {
        kind: (r.optimizer, r.learning_rate, r.momentum, r.batch, r.epochs, r.loss, r.start, r.keep)
        for kind, r in made.items()
    }
    assert table == {
        "linear": ("sgd", 0.15, 0.99, 4, 10, "poisson", "kaiming", "last"),
        "conv": ("sgd", 5e-6, 0.8, 4, 5, "mse", "torch", "best"),
        "maxpool": ("sgd", 5e-6, 0.8, 4, 5, "mse", "torch", "best"),
        "attention": ("adam", 1e-3, 0.0, 4, 10, "mse", "torch", "best"),
    }
    for how in made.values():
        extras = (how.reverse_complement, how.shift, how.weight_decay, how.clip_norm, how.patience, how.cosine)
        assert not any((*extras, how.warmup_steps, how.standardise))
    config = made["attention"].config
    assert isinstance(config, AttentionConfig)
    assert (config.heads, config.feed_forward, config.dropout, config.width) == (6, 3072, 0.2, None)


def _embeddings(folder: Path, genome: Genome, labels: InMemoryLabels, rows: np.ndarray) -> np.ndarray:
    trunk = load_trunk(folder).trunk
    with torch.no_grad():
        return np.stack(
            [
                trunk(torch.from_numpy(genome.codes(w.chrom, w.start, w.end))[None])[0].double().numpy().T
                for w in (labels.windows[row] for row in rows)
            ]
        )


def test_the_linear_start_is_the_exact_solution(
    train: Train, trunk_folder: Path, wandering: Genome, label_set: InMemoryLabels
) -> None:
    few = dataclasses.replace(label_set, windows=tuple(
        dataclasses.replace(w, fold="test") if row % 4 else w for row, w in enumerate(label_set.windows)
    ))  # fmt: skip
    folder = train("linear", labels=few, epochs=0)
    training = json.loads((folder / "heads" / "linear" / "head.json").read_text())["training"]
    x = _embeddings(trunk_folder, wandering, few, few.rows("train")).reshape(-1, TRUNK.embedding_filters)
    y = few.arrays["bins"][few.rows("train")].reshape(-1, 3)[:, 0].astype(np.float64)
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    z, centred = (x - mean) / deviation, y - y.mean()
    penalty = training["ridge_penalties"][0] * len(x) * np.eye(len(mean))
    weights = np.linalg.solve(z.T @ z + penalty, z.T @ centred)
    predicted = _predicted(folder, "linear", wandering, few, few.rows("valid"))[..., 0]
    held_out = _embeddings(trunk_folder, wandering, few, few.rows("valid"))
    expected = (held_out - mean) / deviation @ weights + y.mean()
    np.testing.assert_allclose(predicted, expected, atol=2e-4)


def test_a_cached_stream_is_the_computed_one_to_half_precision(
    trunk_folder: Path, wandering: Genome, label_set: InMemoryLabels, tmp_path: Path
) -> None:
    trunk = load_trunk(trunk_folder).trunk
    labels = HeadLabels(label_set, "bins", [0, 1, 2], TRACKS)
    cache = ResidualCache(tmp_path, "k" * 40, len(label_set.windows), TRUNK.residual_width)
    plain = WindowStream(trunk, wandering, labels, torch.device("cpu"))
    cached = WindowStream(trunk, wandering, labels, torch.device("cpu"), cache)
    views = Views(np.array([4, 1, 7]), np.array([False, True, False]), np.zeros(3, int))
    exact = plain.embedding(plain.read(views))
    first = cached.embedding(cached.read(views))
    batch = cached.read(views)
    assert all(stream.dtype == np.float16 for stream in batch.streams)
    again = cached.embedding(batch)
    assert torch.equal(first, again)
    assert not torch.equal(first, exact)
    torch.testing.assert_close(again, exact, rtol=2e-3, atol=2e-3)
    chunk = tmp_path / ("k" * 32) / "reverse" / "c" / "1" / "0" / "0"
    chunk.write_bytes(b"damaged")
    assert torch.equal(cached.embedding(cached.read(views)), first)
    assert chunk.stat().st_size == cache.bytes_a_window


def test_labels_follow_their_sequence_onto_the_other_strand(
    trunk_folder: Path, wandering: Genome, label_set: InMemoryLabels
) -> None:
    labels = HeadLabels(label_set, "bins", [0], TRACKS[:1])
    stream = WindowStream(load_trunk(trunk_folder).trunk, wandering, labels, torch.device("cpu"))
    views = epoch_views(label_set.rows("train"), 8, seed=1, epoch=3, reverse_complement=True, shift=True)
    assert sorted(np.concatenate([view.rows for view in views])) == label_set.rows("train").tolist()
    strands = np.concatenate([view.reverse for view in views])
    assert 0.25 < strands.mean() < 0.75
    shifts = np.concatenate([view.shift for view in views])
    assert np.abs(shifts).max() <= 64
    assert len(set(shifts.tolist())) > 10
    unmoved = Views(views[0].rows, views[0].reverse, np.zeros(8, int))
    batch = stream.read(unmoved)
    for codes, label in zip(batch.streams, batch.labels, strict=True):
        gc = np.isin(codes[8192:-8192].reshape(-1, 128), (1, 2)).mean(axis=1)
        np.testing.assert_allclose(label[0].numpy(), 3 - 6 * gc, atol=1e-5)
    other = epoch_views(label_set.rows("train"), 8, seed=1, epoch=4, reverse_complement=True, shift=True)
    assert [view.rows.tolist() for view in other] != [view.rows.tolist() for view in views]


_KILLED = """
import os, signal, sys, torch
torch.set_num_threads(1)
from pathlib import Path
from tests.model.head_training.test_run import ATTENTION, labels_of, windows_of
from model.head_training import train_head
from tracks.genome import Genome
fasta, trunk, out, epoch, step = sys.argv[1:]
genome = Genome(fasta)
def report(progress):
    if (progress.epoch, progress.step) == (int(epoch), int(step)):
        os.kill(os.getpid(), signal.SIGKILL)
labels = labels_of(genome, windows_of(8, 2, 1))
train_head(labels, genome, Path(trunk), Path(out), ATTENTION, device="cpu", report=report)
"""

ATTENTION = HeadTraining(
    "attention",
    Recipe(
        "fixed",
        AttentionConfig(heads=1, width=12, feed_forward=24),
        epochs=2,
        learning_rate=1e-3,
        batch=2,
    ),
    checkpoint_steps=2,
)


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / "heads" / "attention" / "weights.safetensors").read_bytes()).hexdigest()


def test_a_killed_run_goes_on_to_the_same_weights(wandering: Genome, trunk_folder: Path, tmp_path: Path) -> None:
    labels = labels_of(wandering, windows_of(8, 2, 1))
    train_head(labels, wandering, trunk_folder, tmp_path / "whole", ATTENTION, device="cpu")
    for epoch, step in ((1, 3), (2, 4)):  # inside an epoch, and at the end of one before its checkpoint
        words = [sys.executable, "-c", _KILLED, wandering.path, trunk_folder, tmp_path / "killed", epoch, step]
        done = subprocess.run([str(word) for word in words], check=False, timeout=120)
        assert done.returncode == -signal.SIGKILL
        assert (tmp_path / "killed" / "heads" / "attention" / "checkpoint.pt").exists()
        assert not (tmp_path / "killed" / "heads" / "attention" / "head.json").exists()
    told: list[Progress] = []
    train_head(labels, wandering, trunk_folder, tmp_path / "killed", ATTENTION, device="cpu", report=told.append)
    assert any("going on from epoch 2" in progress.message for progress in told)
    assert _digest(tmp_path / "killed") == _digest(tmp_path / "whole")
    assert not (tmp_path / "killed" / "heads" / "attention" / "checkpoint.pt").exists()


def test_a_checkpoint_of_another_run_is_refused(train: Train, cache_folder: Path, tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    class Told(list[Progress]):
        def append(self, progress: Progress) -> None:
            if progress.epoch == 1:
                raise StopError

    with pytest.raises(StopError):
        train("maxpool", cache=cache_folder, told=Told())
    with pytest.raises(UsageError, match=r"checkpoint.pt is of other labels, settings or trunk; remove it"):
        train("maxpool", cache=cache_folder, settings={"seed": 2})
    (tmp_path / "out" / "heads" / "maxpool" / "checkpoint.pt").write_bytes(b"PK")
    with pytest.raises(TracksError, match="is damaged; remove it"):
        train("maxpool", cache=cache_folder)


def test_training_stops_when_the_held_out_loss_no_longer_falls(train: Train, cache_folder: Path) -> None:
    folder = train("conv", cache=cache_folder, epochs=40, patience=3, learning_rate=2e-3)
    training = json.loads((folder / "heads" / "conv" / "head.json").read_text())["training"]
    losses = [entry["valid_loss"] for entry in training["history"]]
    assert len(losses) == training["best_epoch"] + 3 + 1 < 41
    assert losses[training["best_epoch"]] == min(losses)


def test_a_head_goes_to_the_trunks_folder_or_takes_it_along(
    train: Train, trunk_folder: Path, wandering: Genome, label_set: InMemoryLabels, cache_folder: Path, tmp_path: Path
) -> None:
    folder = train("linear", cache=cache_folder, epochs=0)
    model = load_model(folder)
    assert [track.name for track in model.tracks] == [track.name for track in TRACKS]
    assert load_trunk(folder).digest == load_trunk(trunk_folder).digest
    claimed = {(b.region.start, b.region.end, b.fold) for b in read_split(folder / "heads" / "linear" / "split.bed")}
    for window in label_set.windows:
        assert any(start <= window.start and window.end <= end and fold == window.fold for start, end, fold in claimed)
    train("maxpool", out=folder, cache=cache_folder, epochs=0)
    assert set(load_model(folder, ("linear", "maxpool")).network.heads) == {"linear", "maxpool"}
    with pytest.raises(UsageError, match="already has a head 'linear'; give another --name"):
        train("linear", out=folder, epochs=0)


def test_a_folder_with_another_trunk_is_refused(train: Train, tmp_path: Path, trunk_folder: Path) -> None:
    weights = {name: value + 0.01 for name, value in load_trunk(trunk_folder).trunk.state_dict().items()}
    save_trunk(tmp_path / "other", name="other", config=TRUNK, weights=weights, source={})
    with pytest.raises(UsageError, match="holds another trunk than"):
        train("linear", out=tmp_path / "other")


def test_tracks_without_labels_are_left_out_and_constant_ones_are_told(
    train: Train, label_set: InMemoryLabels, cache_folder: Path
) -> None:
    arrays = {scope: array.copy() for scope, array in label_set.arrays.items()}
    arrays["window"][label_set.rows("train"), :, 0] = np.nan
    arrays["window"][..., 2] = 7.0
    told: list[Progress] = []
    labels = dataclasses.replace(label_set, arrays=arrays)
    folder = train("maxpool", labels=labels, told=told, cache=cache_folder, epochs=1)
    said = " ".join(progress.message for progress in told)
    assert "track 'Lamina' has no label in any training window and is left out" in said
    assert "track 'Calls' is 7 in all training windows: constant, so that its correlation is undefined" in said
    assert [track.name for track in load_head(folder, "maxpool")[0].tracks] == ["Methylation", "Calls"]
    scores = [progress.scores for progress in told if progress.scores][-1]
    assert np.isnan(scores[1].pearson)
    arrays["window"][:] = np.nan
    with pytest.raises(UsageError, match="hold no label in any training window"):
        train("conv", labels=labels)


def test_a_label_that_is_nan_does_not_stop_a_legacy_run(
    train: Train, label_set: InMemoryLabels, cache_folder: Path
) -> None:
    labels = _legacy_labels(label_set, "window")
    labels.arrays["window"][label_set.rows("train")[5], :, 1] = np.nan
    folder = train("maxpool", "legacy", labels, cache=cache_folder, epochs=2, learning_rate=1e-3)
    weights = safetensors.torch.load_file(folder / "heads" / "maxpool" / "weights.safetensors")
    assert all(torch.isfinite(value).all() for value in weights.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arrays": "bins only"}, "'wandering' have no value per window, which this head is trained on"),
        ({"fold": ("train", "valid")}, "'wandering' have no window of fold train"),
        ({"fold": ("valid", "test")}, "'wandering' have no labelled window of fold valid"),
        ({"chrom": "chr9"}, r"row 0 of the labels is on chr9, .*the labels are of another genome"),
    ],
)
def test_labels_that_cannot_train_a_head_are_named(
    change: dict[str, Any], message: str, train: Train, label_set: InMemoryLabels
) -> None:
    labels = label_set
    if "arrays" in change:
        labels = dataclasses.replace(labels, arrays={"bins": label_set.arrays["bins"]})
    if "fold" in change:
        before, after = change["fold"]
        windows = [dataclasses.replace(w, fold=after if w.fold == before else w.fold) for w in labels.windows]
        labels = dataclasses.replace(labels, windows=tuple(windows))
    if "chrom" in change:
        moved = (dataclasses.replace(labels.windows[0], chrom=change["chrom"]), *labels.windows[1:])
        labels = dataclasses.replace(labels, windows=moved)
    with pytest.raises(UsageError, match=message):
        train("conv", labels=labels)


def test_a_cache_is_asked_for_before_it_is_written(train: Train, tmp_path: Path) -> None:
    asked: list[str] = []

    def decline(plan: CachePlan) -> bool:
        asked.append(str(plan))
        return False

    with pytest.raises(UsageError, match="the cache was not wanted"):
        train("conv", cache=tmp_path / "cache", confirm=decline)
    assert len(asked) == 1
    assert "92 of 92 windows" in asked[0]  # 40 on both strands, 12 on one
    assert not (tmp_path / "cache").exists()
    with pytest.raises(UsageError, match="cannot be used where the trunk is tuned"):
        train("conv", cache=tmp_path / "cache", settings={"tune": "trunk"})


@pytest.mark.parametrize("tune", ["adapters", "trunk"])
def test_tuning_makes_a_new_trunk_that_does_better(
    tune: str, train: Train, trunk_folder: Path, wandering: Genome
) -> None:
    labels = labels_of(wandering, windows_of(10, 4, 0))
    told: list[Progress] = []
    settings = {"tune": tune, "rank": 3, "trunk_learning_rate": 1e-2 if tune == "adapters" else 1e-3}
    folder = train("linear", labels=labels, settings=settings, told=told, epochs=6, batch=2)
    losses = [np.mean([score.loss for score in progress.scores]) for progress in told if progress.scores]
    assert losses[-1] < losses[0] - 0.01
    tuned, before = load_trunk(folder), load_trunk(trunk_folder)
    assert tuned.digest != before.digest
    assert tuned.source["tuned_from"] == before.digest
    changed = {
        name
        for name, value in tuned.trunk.state_dict().items()
        if not torch.equal(value, before.trunk.state_dict()[name])
    }
    dilated = {f"residual.{block}.{part}.weight" for block in (0, 1) for part in ("narrow", "widen")}
    assert changed == dilated if tune == "adapters" else changed > dilated
    rows = labels.rows("valid")
    predicted = _predicted(folder, "linear", wandering, labels, rows)[..., 0]
    observed = values(labels, rows, "bins")[..., 0]
    unexplained = ((predicted - observed) ** 2).mean() / labels.arrays["bins"][labels.rows("train"), :, 0].var()
    last = [progress.scores for progress in told if progress.scores][-1]
    assert unexplained == pytest.approx(last[0].loss, rel=1e-3)  # the merged trunk is the trained one
    assert load_model(folder).split


def test_a_tuned_trunk_does_not_replace_its_own(train: Train, trunk_folder: Path) -> None:
    with pytest.raises(UsageError, match="a tuned trunk is a new trunk and cannot go to the trunk's own folder"):
        train("linear", out=trunk_folder, settings={"tune": "adapters"})


def test_windows_that_the_trunk_was_trained_on_are_told(
    train: Train, trunk_folder: Path, label_set: InMemoryLabels, tmp_path: Path, wandering: Genome
) -> None:
    loaded = load_trunk(trunk_folder)
    split = f"chr1\t0\t{wandering.chrom_sizes['chr1']}\ttrain\n"
    weights = loaded.trunk.state_dict()
    save_trunk(tmp_path / "seen", name="seen", config=TRUNK, weights=weights, source={}, split=split)
    told: list[Progress] = []
    settings = HeadTraining("linear", dataclasses.replace(recipe("linear", "fixed", 24), epochs=0))
    few = labels_of(wandering, windows_of(2, 3, 1))
    train_head(few, wandering, tmp_path / "seen", tmp_path / "seen", settings, device="cpu", report=told.append)
    said = [progress.message for progress in told]
    assert "3 valid windows overlap sequence that the trunk was trained on; scores there flatter" in said


def test_memory_is_bounded_by_the_batch(train: Train, wandering: Genome, cache_folder: Path, tmp_path: Path) -> None:
    peaks = []
    for train_windows in (12, 48):
        labels = labels_of(wandering, windows_of(train_windows, 4, 0))
        labels.largest_read = 0
        folder = tmp_path / str(train_windows)
        tracemalloc.start()
        train("maxpool", labels=labels, out=folder, cache=cache_folder, epochs=1, batch=2)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert labels.largest_read <= 32
    assert peaks[1] < 1.3 * peaks[0]
