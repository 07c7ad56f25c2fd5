"""Who wants which windows predicted, and which comes next. No threads and no clock here: ``Predictions`` has those."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Window = tuple[str, int]
"""A chromosome and the index of one of its windows."""

CLIENTS = 64
"""Clients remembered; beyond them the one that asked longest ago is forgotten."""

CLIENT_WINDOWS = 128
"""Windows that one client may have waiting; beyond them its oldest are dropped."""

Span = tuple[int, int]
"""A half-open stretch of the genome axis."""


@dataclass
class _Client:
    view: Span | None = None
    heads: set[str] = field(default_factory=set)
    # The newest last.
    windows: OrderedDict[Window, set[str]] = field(default_factory=OrderedDict)
    served: int = 0
    heard: float = 0.0


class Wants:
    """What each client waits for.

    Clients take turns: next is the one that was served longest ago. Of its windows those in view come first, the
    nearest to the view's middle before the others; without a view, the one that was asked for last.
    ``place`` gives a window's span on the axis.
    """

    def __init__(self, place: Callable[[Window], Span]) -> None:
        self._place = place
        self._clients: OrderedDict[str, _Client] = OrderedDict()
        self._turn = 0

    def __len__(self) -> int:
        return len(set(self.windows()))

    def windows(self) -> Iterator[Window]:
        """Yield what is waited for; a window that several wait for comes several times."""
        for client in self._clients.values():
            yield from client.windows

    def ask(self, client: str, windows: Iterable[Window], heads: Iterable[str], now: float = 0.0) -> None:
        """Note that a client waits for windows of some heads, asked for at the time ``now``."""
        known = self._client(client)
        known.heard = now
        heads = set(heads)
        known.heads |= heads
        for window in windows:
            known.windows.setdefault(window, set()).update(heads)
            known.windows.move_to_end(window)
        while len(known.windows) > CLIENT_WINDOWS:
            known.windows.popitem(last=False)

    def look(self, client: str, view: Span, now: float = 0.0) -> set[str]:
        """Note where a client looks, drop what it waits for more than a view's width away, and return the heads that
        it has asked for so far."""
        known = self._client(client)
        known.view, known.heard = view, now
        start, end = view
        margin = end - start
        for window in list(known.windows):
            first, last = self._place(window)
            if last <= start - margin or first >= end + margin:
                del known.windows[window]
        return set(known.heads)

    def leave(self, client: str) -> None:
        """Forget a client."""
        self._clients.pop(client, None)

    def forget(self, before: float) -> None:
        """Forget the clients that asked for nothing since a time."""
        for name in [name for name, client in self._clients.items() if client.heard < before]:
            del self._clients[name]

    def views(self) -> list[tuple[Span, set[str]]]:
        """Return where each client looks, the last first, and the heads that it has asked for."""
        return [
            (client.view, set(client.heads))
            for client in reversed(self._clients.values())
            if client.view and client.heads
        ]

    def next(self) -> tuple[Window, set[str]] | None:
        """Return the window to compute next, with the heads that anybody wants of it; None when nothing is wanted."""
        waiting = [client for client in self._clients.values() if client.windows]
        if not waiting:
            return None
        window = self._best(min(waiting, key=lambda waiter: waiter.served))
        return window, set().union(*(other.windows.get(window, set()) for other in waiting))

    def done(self, window: Window, head: str) -> None:
        """Note that nobody waits for a head's window any longer: it is known, or cannot be."""
        self._turn += 1
        for client in self._clients.values():
            heads = client.windows.get(window)
            if heads is not None:
                client.served = self._turn
                heads.discard(head)
                if not heads:
                    del client.windows[window]

    def _best(self, client: _Client) -> Window:
        if client.view is None:
            return next(reversed(client.windows))
        start, end = client.view
        middle = (start + end) / 2

        def rank(window: Window) -> tuple[bool, float]:
            first, last = self._place(window)
            return not (first < end and last > start), abs((first + last) / 2 - middle)

        return min(client.windows, key=rank)

    def _client(self, name: str) -> _Client:
        known = self._clients.setdefault(name, _Client())
        self._clients.move_to_end(name)
        if len(self._clients) > CLIENTS:
            self._clients.popitem(last=False)
        return known
