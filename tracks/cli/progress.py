"""A progress bar on standard error; plain lines now and then where that is no terminal."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINE_EVERY = 30.0


class Bar:
    """What a command tells its user while it runs."""

    def __init__(self, title: str, console: Console, rich: Progress) -> None:
        self._title, self._console, self._rich = title, console, rich
        self._task = rich.add_task(title, total=None, note="")
        self._last_line = time.monotonic()

    def update(self, done: int, total: int, note: str = "") -> None:
        """Show how much is done."""
        if self._console.is_terminal:
            self._rich.update(self._task, completed=done, total=total, note=note)
        elif time.monotonic() - self._last_line > _LINE_EVERY:
            self._last_line = time.monotonic()
            self.say(f"{self._title}: {done:,} of {total:,} {note}".rstrip())

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def bar(title: str) -> Iterator[Bar]:
    """Show a progress bar on standard error for as long as the block runs."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as rich:
        yield Bar(title, console, rich)
