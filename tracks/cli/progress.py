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
        self._first: tuple[float, int] | None = None

    def update(self, done: int, total: int, note: str = "") -> None:
        """Show how much is done. What was done at the first call tells nothing of how long the rest takes."""
        if self._first is None:
            self._first = (time.monotonic(), done)
        if self._console.is_terminal:
            self._rich.update(self._task, completed=done, total=total, note=note)
        elif time.monotonic() - self._last_line > _LINE_EVERY:
            self._last_line = time.monotonic()
            said = f"{self._title}: {done:,} of {total:,} {note}".rstrip()
            began, before = self._first
            if done > before:
                said += f", about {spoken((total - done) * (self._last_line - began) / (done - before))} left"
            self.say(said)

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def spoken(seconds: float) -> str:
    """Return a time as people say it: ``45 s``, ``12 min``, ``3 h 5 min``, ``2 d 4 h``."""
    for unit, size, smaller, part in (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60)):
        if seconds >= size:
            whole, rest = divmod(round(seconds / part) * part, size)
            return f"{whole} {unit} {rest // part} {smaller}"
    return f"{seconds / 60:.0f} min" if seconds >= 100 else f"{max(seconds, 1):.0f} s"


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
