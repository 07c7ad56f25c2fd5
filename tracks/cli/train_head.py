"""``tracks train --head``: a head on the frozen trunk of a model folder."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from tracks.errors import UsageError
from tracks.grid import WINDOW

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from model.head_training.cache import CachePlan
    from model.head_training.losses import Likelihood
    from model.head_training.recipes import Recipe
    from model.head_training.settings import Progress
    from tracks.cli.progress import Bar

_LIKELIHOODS = ("gaussian", "poisson", "binomial")


def run_head_training(
    head: str,
    *,
    out: Path | None,
    labels: Path | None,
    windows: Path | None,
    genome: Path | None,
    trunk: Path | None,
    name: str | None,
    recipe: str,
    epochs: int | None,
    batch: int | None,
    learning_rate: float | None,
    patience: int | None,
    losses: Sequence[str],
    width: int | None,
    augment: bool,
    stride: int | None,
    cache: Path | None,
    yes: bool,
    tune: str | None,
    rank: int,
    trunk_learning_rate: float,
    precision: str,
    seed: int,
    device: str,
) -> None:
    """Train a head as the options say, and tell what comes of it. Raises UsageError for options that do not go
    together."""
    if labels is None or trunk is None:
        missing = "--labels (tracks.toml, labels.zarr or HDF5)" if labels is None else "--trunk (a model folder)"
        raise UsageError(f"training a head needs {missing}")
    if tune is not None and out is None:
        raise UsageError("a tuned trunk is a new trunk: give it a folder of its own with -o")
    if tune is not None and cache is not None:
        raise UsageError("--cache keeps what a frozen trunk gives; with --tune the trunk changes, so leave it out")
    chosen = _losses(losses)
    fasta = _genome(labels, genome)

    from model.folder import load_trunk
    from model.head_training.recipes import recipe as recipe_of
    from model.head_training.run import train_head
    from model.head_training.settings import HeadTraining
    from tracks.cli.progress import bar
    from tracks.genome import Genome
    from tracks.labels import open_labels

    filters = load_trunk(trunk).config.embedding_filters
    how = recipe_of(head, recipe, filters)  # type: ignore[arg-type]
    how = _changed(how, epochs, batch, learning_rate, patience, augment=augment, width=width)
    settings = HeadTraining(
        name or head,
        how,
        chosen,
        seed,
        tune or "nothing",  # type: ignore[arg-type]
        rank,
        trunk_learning_rate,
        precision,  # type: ignore[arg-type]
    )
    folder = out or trunk
    step = WINDOW // 2 if stride is None else stride
    label_set = open_labels(labels, windows, legacy=recipe == "legacy", stride=step, report=_say)
    with ExitStack() as stack:
        shown: list[Bar] = []

        def report(progress: Progress) -> None:
            # The bar comes with the first step, so that nothing is asked while it is drawn.
            if progress.steps and not shown:
                shown.append(stack.enter_context(bar("training")))
            _tell(progress, shown[0] if shown else None)

        train_head(
            label_set,
            Genome(fasta),
            trunk,
            folder,
            settings,
            device=device,
            cache=cache,
            confirm=lambda plan: yes or _agreed(plan),
            report=report,
        )
    click.echo(f"wrote the head '{settings.name}' to {folder}; use it with: tracks predict --head {settings.name}")


def _losses(pairs: Sequence[str]) -> dict[str, Likelihood]:
    chosen: dict[str, Likelihood] = {}
    for pair in pairs:
        track, equals, loss = pair.rpartition("=")
        if not equals or not track or loss not in _LIKELIHOODS:
            raise UsageError(f"--loss needs TRACK=LOSS, with a loss of {', '.join(_LIKELIHOODS)}; found '{pair}'")
        chosen[track] = loss  # type: ignore[assignment]
    return chosen


def _genome(labels: Path, genome: Path | None) -> Path:
    if labels.suffix != ".toml":
        if genome is None:
            raise UsageError(f"{labels} does not name its genome: give the FASTA file with --genome")
        return genome
    if genome is not None:
        raise UsageError(f"{labels} names its genome: leave --genome out")
    from tracks.project import load_project

    return load_project(labels).genome


def _changed(
    recipe: Recipe,
    epochs: int | None,
    batch: int | None,
    learning_rate: float | None,
    patience: int | None,
    *,
    augment: bool,
    width: int | None,
) -> Recipe:
    """The recipe with what the options say otherwise."""
    given = {"epochs": epochs, "batch": batch, "learning_rate": learning_rate, "patience": patience}
    fields: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if not augment:
        fields |= {"reverse_complement": False, "shift": False}
    if width is not None:
        fields["config"] = _widened(recipe, width)
    return dataclasses.replace(recipe, **fields)


def _widened(recipe: Recipe, width: int) -> Any:
    from model.heads import AttentionConfig, LinearConfig

    if recipe.name == "legacy":
        raise UsageError("--width goes with the recipe fixed; the heads of legacy have the original's shapes")
    if isinstance(recipe.config, LinearConfig):
        raise UsageError("a linear head has no hidden channels: leave --width out")
    if not isinstance(recipe.config, AttentionConfig):
        return dataclasses.replace(recipe.config, hidden=width)
    if width % 2:
        raise UsageError(f"an attention head needs an even --width for its positions, found {width}")
    heads = max(count for count in range(1, 7) if width % count == 0)
    return dataclasses.replace(recipe.config, width=width, heads=heads, feed_forward=4 * width)


def _say(line: str) -> None:
    click.echo(line, err=True)


def _agreed(plan: CachePlan) -> bool:
    return click.confirm("Write it?", default=True, err=True)


def _tell(progress: Progress, shown: Bar | None) -> None:
    say = _say if shown is None else shown.say
    if progress.message:
        say(progress.message)
    if progress.steps and shown is not None:
        where = f"epoch {progress.epoch} of {progress.epochs}" if progress.epoch else "linear solution"
        shown.update(progress.step, progress.steps, where)
    if progress.scores:
        trained = f"train loss {progress.loss:.4f}; " if progress.epoch else ""
        say(f"epoch {progress.epoch}: {trained}on the valid windows:")
    for score in progress.scores:
        say(f"  {score.name}: loss {score.loss:.4f}, r {score.pearson:.3f}")
