"""``tracks demo``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("demo")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to serve on (default: 8765, or the next free one).")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option(
    "--project",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A tracks.toml to show (default: the embedded data).",
)
@click.option(
    "--model", type=click.Path(path_type=Path, file_okay=False), help="A model folder (default: the shipped model)."
)
@click.option("--head", help="Head of the model (default: its first).")
@click.option("--stride", type=int, help="Bases from one value of a window head to the next (default: 114,688).")
@click.option(
    "--store",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder that keeps predictions (default: the user cache).",
)
def command(
    port: int | None,
    no_browser: bool,
    project: Path | None,
    model: Path | None,
    head: str | None,
    stride: int | None,
    store: Path | None,
) -> None:
    """Open observed and predicted tracks of real data in the browser.

    The page is served by this machine to this machine (127.0.0.1 only), without any other network. Predictions are
    computed while you look, and kept.

    \b
    Examples:
      tracks demo
      tracks demo --port 9000 --no-browser
      tracks demo --project mine/tracks.toml --model mine/model
      tracks demo --head attention --stride 16384
    """
    from server.serve import demo
    from tracks.grid import WINDOW

    demo(
        project,
        model=model,
        head=head,
        stride=stride or WINDOW,
        store=store,
        port=port,
        browser=not no_browser,
    )
