"""The command line: one short module per command, loaded only when it is called."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from tracks import __version__
from tracks.errors import TracksError

_COMMANDS = {
    "bench": "Measure how fast this machine predicts: a table to paste.",
    "card": "Make a model's card: its held-out scores beside what base composition says.",
    "coverage": "Count the reads of a BAM file along the genome, as a bigWig.",
    "data": "Fetch and prepare real data to train and look at.",
    "demo": "Open observed and predicted tracks of real data in the browser.",
    "evaluate": "Score models against observed tracks: a table and a page with figures.",
    "hub": "Write a track hub for UCSC, IGV and JBrowse: a folder for any web host.",
    "info": "Say what a model folder, a label set or a bigWig file is.",
    "labels": "Build, check and export label sets: observed tracks in 128-bp bins.",
    "liftover": "Carry tracks, BED files and counts to another genome build.",
    "materialize": "Write a model's virtual bigWigs as files, byte for byte.",
    "merge": "Write the bigWigs of an export whose shards are all computed.",
    "methylation": "Count the modified bases of a BAM file along the genome.",
    "plot": "Draw observed and predicted tracks of a region as a figure.",
    "predict": "Predict the tracks of regions, BED files or chromosomes.",
    "seams": "Measure the jumps of predicted bigWigs where windows meet.",
    "serve": "Open observed and predicted tracks of a project in the browser.",
    "store": "List, check and prune the store of predicted windows.",
    "table": "Make a table of observed and predicted means of regions.",
    "train": "Train a network on observed tracks, or a head on a trunk that is there.",
    "weights": "Import Basenji2's published weights and heads, or download them.",
}


class _LazyGroup(click.Group):
    """A group that imports a command's module when the command runs, so that ``--help`` never imports torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"tracks.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))

    def main(self, *args: Any, **options: Any) -> Any:
        """Run, and turn every expected failure into one line and an exit code."""
        options["standalone_mode"] = False
        try:
            sys.exit(super().main(*args, **options) or 0)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except TracksError as error:
            click.echo(f"tracks: error: {error}", err=True)
            sys.exit(error.exit_code)
        except (KeyboardInterrupt, click.Abort) as stopped:
            words = ["interrupted; nothing unfinished has its final name", *map(str, stopped.args)]
            click.echo(f"tracks: {'; '.join(words)}", err=True)
            sys.exit(130)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="tracks")
def main() -> None:
    """Observed and predicted nuclear-lamina and CpG-methylation tracks, browsed as one.

    \b
    Examples:
      tracks demo
      tracks predict --region chr20:10,000,000-10,400,000 -o out/
      tracks info out/cpg_methylation_imr90.bw
    """
