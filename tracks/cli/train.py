"""``tracks train``: a whole network from scratch, or with ``--head`` a head on a frozen trunk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from tracks.cli import options
from tracks.errors import UsageError

if TYPE_CHECKING:
    from model.train import Progress

_NETWORK_ONLY = ("draws", "validate_every")
_HEAD_ONLY = (
    "windows",
    "labels",
    "genome",
    "trunk",
    "name",
    "recipe",
    "epochs",
    "patience",
    "losses",
    "width",
    "augment",
    "stride",
    "cache",
    "yes",
    "tune",
    "rank",
    "trunk_learning_rate",
    "precision",
)


@click.command("train")
@click.argument("project", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder for the model (a head: default --trunk).")
@click.option("--draws", type=click.IntRange(1), default=30_000, show_default=True, help="Windows to draw in the run.")
@click.option(
    "--windows", type=click.Path(path_type=Path, dir_okay=False), help="BED file of the windows of HDF5 labels."
)
@click.option("--batch", type=click.IntRange(1), help="Windows in one optimiser step [default: 4; a head 8 or 4].")
@click.option("--learning-rate", type=click.FloatRange(0, min_open=True), help="Highest learning rate.")
@click.option("--seed", default=1, show_default=True, help="Seed of weights and draws.")
@click.option("--validate-every", default=750, show_default=True, help="Steps between validations and checkpoints.")
@options.device
@options.threads
@click.option("--head", type=click.Choice(["linear", "conv", "maxpool", "attention"]), help="Train this head only.")
@click.option("--labels", type=options.PATH, help="What a head learns: tracks.toml, a label set (.zarr), or HDF5.")
@click.option("--genome", type=click.Path(path_type=Path, dir_okay=False), help="FASTA file of .zarr or HDF5 labels.")
@click.option("--trunk", type=click.Path(path_type=Path, file_okay=False), help="Model folder whose trunk is used.")
@click.option("--name", help="Name of the head [default: its kind].")
@click.option(
    "--recipe",
    type=click.Choice(["fixed", "legacy"]),
    default="fixed",
    show_default=True,
    help="legacy: the original's optimiser, loss, schedule and shapes, on labels as they are stored.",
)
@click.option("--epochs", type=click.IntRange(0), help="Passes over the training windows (a recipe's own).")
@click.option("--patience", type=click.IntRange(1), help="Epochs without a lower held-out loss before it stops.")
@click.option(
    "--loss",
    "losses",
    multiple=True,
    metavar="TRACK=LOSS",
    help="gaussian, poisson or binomial for a track (default: by its unit); may be given again.",
)
@click.option("--width", type=click.IntRange(1), help="Hidden channels of a conv, maxpool or attention head.")
@click.option(
    "--augment/--no-augment", default=True, show_default=True, help="Other strand and shifts while training (fixed)."
)
@click.option("--stride", type=click.IntRange(1), help="Bases between training windows of a project [default: 57344].")
@click.option("--cache", type=click.Path(path_type=Path, file_okay=False), help="Folder to keep the trunk's output in.")
@click.option("--yes", is_flag=True, help="Write the cache without asking.")
@click.option(
    "--tune",
    type=click.Choice(["trunk", "adapters"]),
    help="Train the trunk too: all of it, or low-rank adapters on its dilated blocks. Needs -o.",
)
@click.option("--rank", default=8, show_default=True, type=click.IntRange(1), help="Rank of the adapters.")
@click.option("--trunk-learning-rate", default=1e-4, show_default=True, help="Learning rate of what --tune trains.")
@click.option(
    "--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", show_default=True, help="Of the trunk's passes."
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    project: Path | None,
    out: Path | None,
    draws: int,
    windows: Path | None,
    batch: int | None,
    learning_rate: float | None,
    seed: int,
    validate_every: int,
    device: str,
    threads: int | None,
    head: str | None,
    **head_options: object,
) -> None:
    """Train a small trunk and a linear head per bin on the observed tracks of PROJECT (a tracks.toml), or with
    --head a head on the frozen trunk of a model folder.

    A run that was stopped goes on from its last checkpoint when the same command is given again.

    \b
    Examples:
      tracks data mini --out mini/
      tracks train mini/tracks.toml -o mymodel/
      tracks train mini/tracks.toml -o mymodel/ --draws 60000 --device cuda
      tracks train --head attention --labels mini/tracks.toml --trunk mymodel/
      tracks train --head conv --labels dataset.h5 --windows sequences.bed \\
        --genome hg38.fa --trunk basenji2/ -o mine/ --cache cache/
      tracks train --head linear --labels mini/tracks.toml --trunk mymodel/ -o tuned/ \\
        --tune adapters --rank 8
    """
    _check_mode(ctx, head)
    options.use_threads(threads)
    if head is not None:
        from tracks.cli.train_head import run_head_training

        run_head_training(
            head,
            out=out,
            windows=windows,
            batch=batch,
            learning_rate=learning_rate,
            seed=seed,
            device=device,
            **head_options,  # type: ignore[arg-type]
        )
        return
    if project is None or out is None:
        raise UsageError("tracks train needs a project and a folder: tracks train tracks.toml -o mymodel/")
    _train_network(project, out, draws, batch, learning_rate, seed, validate_every, device)


def _check_mode(ctx: click.Context, head: str | None) -> None:
    """Raise UsageError for an option that the other way of training takes."""
    given = [
        parameter
        for parameter in ctx.command.params
        if parameter.name is not None and ctx.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    ]
    for parameter in given:
        option = parameter.opts[0]
        if head is None and parameter.name in _HEAD_ONLY:
            raise UsageError(f"{option} goes with --head, which trains a head on a frozen trunk")
        if head is not None and parameter.name == "project":
            raise UsageError("with --head, a project is given as --labels tracks.toml")
        if head is not None and parameter.name in _NETWORK_ONLY:
            raise UsageError(f"{option} goes with training from scratch; a head is validated after each epoch")


def _train_network(
    project: Path,
    out: Path,
    draws: int,
    batch: int | None,
    learning_rate: float | None,
    seed: int,
    validate_every: int,
    device: str,
) -> None:
    from model.train import TrainConfig, train
    from tracks.cli.progress import bar
    from tracks.project import load_project

    config = TrainConfig(
        windows=draws,
        batch=batch if batch is not None else 4,
        learning_rate=learning_rate if learning_rate is not None else 2e-3,
        seed=seed,
        validate_every=validate_every,
    )
    with bar("training") as shown:

        def report(progress: Progress) -> None:
            if progress.message:
                shown.say(progress.message)
            if progress.steps:
                shown.update(progress.step, progress.steps, f"loss {progress.loss:.4f}")
            for name, fine, coarse in progress.scores:
                shown.say(f"  step {progress.step:,}: {name}: valid r {fine:.3f} at 128 bp, {coarse:.3f} at 4,096 bp")

        train(load_project(project), out, config, device=device, report=report)
    click.echo(f"wrote the model {out}; score it with: tracks card {out} --project {project}")
