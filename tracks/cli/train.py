"""``tracks train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from model.train import Progress


@click.command("train")
@click.argument("project", type=click.Path(path_type=Path, dir_okay=False))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder for the trained model.")
@click.option("--windows", default=30_000, show_default=True, help="Windows to draw in the whole run.")
@click.option("--batch", default=4, show_default=True, help="Windows in one optimiser step.")
@click.option("--learning-rate", default=2e-3, show_default=True, help="Highest learning rate (AdamW, cosine).")
@click.option("--seed", default=1, show_default=True, help="Seed of weights and draws.")
@click.option("--validate-every", default=750, show_default=True, help="Steps between validations and checkpoints.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads (default: what PyTorch chooses).")
def command(
    project: Path,
    out: Path,
    windows: int,
    batch: int,
    learning_rate: float,
    seed: int,
    validate_every: int,
    device: str,
    threads: int | None,
) -> None:
    """Train a small trunk and a linear head per bin on the observed tracks of PROJECT (a tracks.toml).

    A run that was stopped goes on from its last checkpoint when the same command is given again.

    \b
    Examples:
      tracks data mini --out mini/
      tracks train mini/tracks.toml -o mymodel/
      tracks train mini/tracks.toml -o mymodel/ --windows 60000 --device cuda
    """
    import torch

    from model.train import TrainConfig, train
    from tracks.cli.progress import bar
    from tracks.project import load_project

    if threads is not None:
        torch.set_num_threads(threads)
    config = TrainConfig(
        windows=windows, batch=batch, learning_rate=learning_rate, seed=seed, validate_every=validate_every
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
    click.echo(f"wrote the model {out}; score it with: tracks evaluate {out} --project {project}")
