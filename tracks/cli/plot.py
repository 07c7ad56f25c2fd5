"""``tracks plot``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tracks.cli import options
from tracks.cli.options import PATH

if TYPE_CHECKING:
    from pathlib import Path


@click.command("plot")
@click.option("--region", required=True, help="Region, chromosome or gene, such as chr22:20,000,000-20,100,000.")
@click.option("-o", "--out", required=True, type=PATH, help="The figure: a .pdf, .svg or .png file.")
@click.option("--project", type=PATH, help="A tracks.toml [default: the embedded data].")
@click.option("--model", type=PATH, help="Model folder [default: the project's, else the shipped model].")
@click.option("--head", help="Head of the model [default: its first].")
@click.option("--track", "names", multiple=True, help="Only this track, by name or slug (repeatable) [default: all].")
@click.option("--width", type=click.FloatRange(2, 40), default=7.2, show_default=True, help="Inches.")
@click.option("--overwrite", is_flag=True, help="Replace the figure when it is there.")
@options.store
@options.device
def command(
    region: str,
    out: Path,
    project: Path | None,
    model: Path | None,
    head: str | None,
    names: tuple[str, ...],
    width: float,
    overwrite: bool,
    root: Path | None,
    device: str,
) -> None:
    """Draw observed and predicted tracks of a region as a figure for a paper.

    Windows that were not predicted before are predicted first, and kept in the store. The figure says which fold the
    region belongs to, and Pearson's r between observed and predicted over its 128-bp bins.

    \b
    Examples:
      tracks plot --region chr22:19,950,000-20,050,000 -o comt.pdf
      tracks plot --region JAG1 --track "LMNB1 LAD Tig-3" -o jag1.svg
      tracks plot --region chr1:1-2,000,000 --project mine/tracks.toml --model mine/model -o figure.png
    """
    from server.figure import check_figure_path
    from tracks.cli.progress import bar
    from tracks.files import check_absent, check_folder

    check_figure_path(out)
    check_folder(out.parent, str(out))
    check_absent(out, overwrite)
    from server.notebook import plot

    with bar("predicting") as shown:
        plot(
            region,
            project=project,
            model=model,
            head=head,
            store=root,
            device=device,
            tracks=names,
            out=out,
            width=width,
            progress=shown.update,
        )
    click.echo(f"wrote {out}")
