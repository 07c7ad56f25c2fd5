"""``tracks labels check``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from tracks.cli.options import PATH
from tracks.errors import TracksError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


@click.command("check")
@click.argument("path", metavar="LABELS", type=PATH)
@click.option("-o", "--out", type=PATH, help="Also draw a figure, a .png or a .svg file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.option("--strict", is_flag=True, help="End with exit code 1 when there are warnings.")
@click.option("--overwrite", is_flag=True, help="Replace the figure when it is there.")
def command(path: Path, out: Path | None, as_json: bool, strict: bool, overwrite: bool) -> None:
    """Say what a label set holds, and what looks wrong in it.

    For each track: how many bins have a label, the distribution of the labels in the track's unit, and how many bins
    are masked. Warned of are tracks without a label or with one on some chromosomes alone (another genome build, or
    other names), constant ones, values outside the unit (a fraction above 1), one value in more than half of the
    labels, and signals in steps that are coarser than the bins.

    \b
    Examples:
      tracks labels check labels.zarr
      tracks labels check labels.zarr -o labels.png
      tracks labels check labels.zarr --strict --json
    """
    import dataclasses

    from tracks.cli.progress import bar
    from tracks.files import check_absent, check_folder
    from tracks.labels.built import BuiltLabels
    from tracks.labels.check import check_labels, fact_lines

    if out is not None:
        if out.suffix not in (".png", ".svg"):
            raise UsageError(f"a figure is a .png or a .svg file, and {out} is neither")
        check_folder(out.parent, str(out))
        check_absent(out, overwrite)
    with bar("checking") as shown:
        facts = check_labels(BuiltLabels(path), shown.update)
    if as_json:
        click.echo(json.dumps({**dataclasses.asdict(facts), "bins": facts.bins, "masked": facts.masked}, indent=2))
    else:
        for line in fact_lines(facts):
            click.echo(line)
    if out is not None:
        from tracks.labels.check_figure import draw_check

        draw_check(facts, out)
        click.echo(f"wrote {out}", err=as_json)
    if strict and facts.warnings:
        raise TracksError(f"{path} has {facts.warnings} warning{'' if facts.warnings == 1 else 's'}")
