"""Who reads a virtual file, and which windows each waits for. No threads here: ``Predictions`` has those."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from server.wants import Wants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np

    from server.predictions import Predictions
    from server.wants import Span, Window

SOON = 64
"""Windows that one answer may have computed beside those that pages wait for; with more it waits its turn behind them,
as whoever copies a whole file does."""


class Readers:
    """The readers of virtual files, each with what it waits for; they take turns. At most ``wants.CLIENTS`` at once."""

    def __init__(self, place: Callable[[Window], Span]) -> None:
        self._soon, self._later = Wants(place), Wants(place)
        self._gone: dict[str, Callable[[], bool]] = {}
        self._asked: dict[str, set[Window]] = {}
        self._numbers = itertools.count(1)

    def enter(self, gone: Callable[[], bool]) -> str:
        """Return a name for a new reader; ``gone`` says whether it reads no longer."""
        name = f"reader {next(self._numbers)}"
        self._gone[name], self._asked[name] = gone, set()
        return name

    def leave(self, name: str) -> None:
        """Forget a reader and what it waits for."""
        if self._gone.pop(name, None) is not None:
            del self._asked[name]
            self._soon.leave(name)
            self._later.leave(name)

    def leave_gone(self) -> None:
        """Forget those that read no longer."""
        for name in [name for name, gone in self._gone.items() if gone()]:
            self.leave(name)

    def ask(self, name: str, windows: Sequence[Window], head: str) -> None:
        """Note that a reader, if it is still here, waits for windows of a head, the first of them before the others."""
        if name not in self._gone:
            return
        if len(self._asked[name]) <= SOON:  # beyond, it makes no difference how many, and a whole file has many
            self._asked[name].update(windows)
        wants = self._soon if len(self._asked[name]) <= SOON else self._later
        # Of a client without a view the one that was asked for last comes first.
        wants.ask(name, reversed(windows), [head])

    def next_soon(self) -> tuple[Window, set[str]] | None:
        """Return the window, and heads, that is next among readers of little."""
        return self._soon.next()

    def next_later(self) -> tuple[Window, set[str]] | None:
        """Return the window, and heads, that is next among readers of much."""
        return self._later.next()

    def windows(self) -> Iterator[Window]:
        """Yield what is waited for; a window that several wait for comes several times."""
        yield from self._soon.windows()
        yield from self._later.windows()

    def done(self, window: Window, head: str) -> None:
        """Note that nobody waits for a head's window any longer."""
        self._soon.done(window, head)
        self._later.done(window, head)


class Reading:
    """One reader's way to the windows of a head, in whatever order it comes to them."""

    def __init__(self, predictions: Predictions, head: str, name: str, gone: Callable[[], bool]) -> None:
        self._predictions, self._head, self._name, self._gone = predictions, head, name, gone

    def known(self, window: Window) -> np.ndarray | None:
        """Return a window that is known, float32 ``[896, tracks]``; NaN where there is no sequence. Else None."""
        return self._predictions.known_values(window, self._head)

    def expect(self, windows: Sequence[Window]) -> None:
        """Have windows computed that will be waited for, the first of them first."""
        self._predictions.expect(self._name, windows, self._head)

    def wait_for(self, window: Window) -> np.ndarray | None:
        """Return a window as soon as it is known; None where nobody reads any longer. Raises TracksError."""
        return self._predictions.wait_for(self._name, window, self._head, self._gone)

    def close(self) -> None:
        """Give up what is still waited for."""
        self._predictions.finished(self._name)
