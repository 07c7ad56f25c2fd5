"""``tracks seams``."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import click

from tracks.cli.options import PATH

if TYPE_CHECKING:
    from pathlib import Path

    from model.seams import Seams


@click.command("seams")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=PATH)
@click.option("--chrom", "chroms", multiple=True, help="Chromosome to look at (repeatable) [default: all].")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def command(files: tuple[Path, ...], chroms: tuple[str, ...], as_json: bool) -> None:
    """Say how predicted bigWigs jump where windows of 114,688 bp meet.

    For each file that tracks predict wrote: the largest jump between the two bins at a window border, and where; the
    median and the 99th percentile of the differences of neighbouring bins inside windows; the largest jump and the
    median one at borders as multiples of that median; and the part of borders above that percentile. Without seams the
    last two are about 1 and 1 %. Predict with --edges seamless to have none.

    \b
    Examples:
      tracks seams out/cpg_methylation_imr90.bw
      tracks seams window/*.bw seamless/*.bw --chrom chr20
      tracks seams out/*.bw --json
    """
    from model.seams import bigwig_seams
    from tracks.markdown import table_lines

    found = [(path, bigwig_seams(path, chroms)) for path in files]
    if as_json:
        click.echo(json.dumps([seam_facts(path, seams) for path, seams in found], indent=2))
        return
    for line in table_lines(SEAM_HEADER, [seam_cells(str(path), seams) for path, seams in found]):
        click.echo(line)


def seam_facts(path: Path, seams: Seams) -> dict[str, Any]:
    """Return what a file does at window borders, as JSON-ready values; null where there is no value."""
    from tracks.grid import BIN

    facts = {
        "file": str(path),
        "borders": seams.borders,
        "largest_jump": seams.largest,
        "at": f"{seams.chrom}:{seams.place * BIN}" if seams.borders else None,
        "median_jump": seams.border_median,
        "differences_inside": seams.inside,
        "median_inside": seams.median,
        "percentile99_inside": seams.percentile99,
        "largest_to_median": seams.ratio,
        "median_to_median": seams.typical_ratio,
        "borders_above_percentile99": seams.above_share,
    }
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in facts.items()}


SEAM_HEADER = ("file", "borders", "largest", "at", "median", "p99", "largest/median", "border/median", "above p99")


def seam_cells(name: str, seams: Seams) -> tuple[str, ...]:
    """Return the cells of the table for one track."""
    from tracks.grid import BIN

    return (
        name,
        f"{seams.borders:,}",
        _number(seams.largest, ".3g"),
        f"{seams.chrom}:{seams.place * BIN + 1:,}" if seams.borders else "-",
        _number(seams.median, ".3g"),
        _number(seams.percentile99, ".3g"),
        _number(seams.ratio, ".1f"),
        _number(seams.typical_ratio, ".2f"),
        _number(seams.above_share, ".1%"),
    )


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)
