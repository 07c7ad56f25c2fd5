"""``tracks demo``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from tracks.cli import options

if TYPE_CHECKING:
    from pathlib import Path


@click.command("demo")
@options.model
@options.heads
@options.stride
@options.store
@options.device
@options.spare_threads
@options.port
@options.no_browser
def command(
    model: Path | None,
    heads: tuple[str, ...],
    stride: int | None,
    root: Path | None,
    device: str,
    threads: int | None,
    port: int | None,
    no_browser: bool,
) -> None:
    """Open observed and predicted tracks of real data in the browser.

    The page is served by this machine to this machine (127.0.0.1 only), without any other network. Predictions are
    computed while you look, first where you look, and kept. For data of your own: tracks serve.

    \b
    Examples:
      tracks demo
      tracks demo --port 9000 --no-browser
      tracks demo --head attention --stride 16384
    """
    from server.serve import demo
    from tracks.grid import WINDOW

    demo(
        model=model,
        heads=heads,
        stride=WINDOW if stride is None else stride,
        store=root,
        device=device,
        threads=threads,
        port=port,
        browser=not no_browser,
    )
    # What its threads are at may take long, and nothing unfinished has its final name.
    sys.stdout.flush()
    os._exit(0)
