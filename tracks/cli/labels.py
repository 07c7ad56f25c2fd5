"""``tracks labels``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tracks.cli import options
from tracks.cli.labels_check import command as check
from tracks.cli.labels_export import command as export
from tracks.cli.options import PATH

if TYPE_CHECKING:
    from pathlib import Path

    from tracks.labels.recipe import Kind


@click.group("labels")
def command() -> None:
    """Build, check and export label sets: observed tracks in 128-bp bins, as heads are trained on them."""


@command.command("build")
@click.argument("recipe", type=PATH)
@click.option("-o", "--out", required=True, type=PATH, help="Label set to make, a folder such as labels.zarr.")
@click.option(
    "--recipe",
    "kind",
    type=click.Choice(["fixed", "legacy"]),
    default="fixed",
    show_default=True,
    help="Follow the recipe as it is meant, or with its tables 'legacy': the original's quirks.",
)
@click.option("--data", type=PATH, help="Folder where relative paths of the recipe start [default: the recipe's own].")
@options.processes
@click.option("--overwrite", is_flag=True, help="Replace a label set that is there.")
def build(recipe: Path, out: Path, kind: Kind, data: Path | None, processes: int | None, overwrite: bool) -> None:
    """Build a label set from measured files, as RECIPE (labels.toml) says.

    bigWig, bedGraph, BED, bedMethyl and tables of counts become labels of 128-bp bins: on the grid of whole
    chromosomes, in the windows of a BED file, or both. Beside each label stands the valid count behind it (bases, or
    calls); where that is too small, or the bin is masked, the label is missing. Files that
    are missing, of another genome build or of another kind are all named before any work.

    A build that was stopped goes on where it was, and one that is finished is not done again. The label set trains
    heads (tracks train --head --labels labels.zarr), is evaluated against (tracks evaluate --labels), checked
    (tracks labels check) and exported (tracks labels export). How a recipe is written: docs/labels.md.

    \b
    Examples:
      tracks labels build labels.toml -o labels.zarr
      tracks labels recipe cs282a > labels.cs282a.toml
      tracks labels build labels.cs282a.toml --recipe legacy -o published.zarr
    """
    import time

    from tracks.cli.progress import bar
    from tracks.labels.build import build_labels
    from tracks.labels.built import BuiltLabels
    from tracks.labels.recipe import load_recipe

    started = time.monotonic()
    described = load_recipe(recipe, kind, data)
    with bar("building labels") as shown:
        made = build_labels(
            described, out, overwrite=overwrite, processes=processes, say=lambda line: shown.say(f"tracks: {line}"),
            progress=shown.update,
        )  # fmt: skip
    if not made:
        click.echo(f"{out} is there already, made of the same recipe and files")
        return
    labels = BuiltLabels(out)
    parts = [f"{len(labels.targets)} track{'s' if len(labels.targets) > 1 else ''}"]
    if labels.grid_chroms:
        parts.append(f"the grid of {len(labels.grid_chroms)} chromosome{'s' if len(labels.grid_chroms) > 1 else ''}")
    if labels.windows:
        parts.append(f"{len(labels.windows):,} windows")
    click.echo(f"wrote {out}: {', '.join(parts)}, in {time.monotonic() - started:.1f} s")


@command.command("recipe")
@click.argument("name", type=click.Choice(["cs282a"]))
def recipe(name: str) -> None:
    """Print a recipe that comes with this program.

    cs282a is the published data set of 18 LMNB1 and CpG tracks; its head says where each of its files comes from.

    \b
    Example:
      tracks labels recipe cs282a > labels.cs282a.toml
    """
    from tracks.catalogue import label_recipe

    click.echo(label_recipe(name), nl=False)


command.add_command(check)
command.add_command(export)
