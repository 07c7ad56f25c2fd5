"""Server-sent events: what happens in the background, told to each page that listens.

A stream holds a thread of the server for as long as the page is open, so there is a limit to how many there are.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from server.events import Events

STREAMS = 32
"""Streams that may be open at once."""

PING_SECONDS = 10.0
"""A stream that has nothing to say says so this often, so that nothing on the way closes it."""

_RETRY = b"retry: 2000\n\n"
_LOOK_SECONDS = 1.0


def encode(kind: str, data: object, event_id: str) -> bytes:
    """Return one event as the text of an event stream."""
    return f"id: {event_id}\nevent: {kind}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


class Streams:
    """The open streams of a server. ``instance`` tells a page that comes back whether it is the server it knew;
    ``left`` is called with a client's id when its last stream ends; ``stopping`` ends them all."""

    def __init__(self, events: Events, left: Callable[[str], None], stopping: threading.Event) -> None:
        self.events, self.stopping = events, stopping
        self.instance = secrets.token_hex(8)
        self._left = left
        self._open: set[Stream] = set()
        self._of: dict[str, Stream] = {}
        self._lock = threading.Lock()

    def open(
        self,
        client: str,
        status: Callable[[], dict[str, Any]],
        last_id: str = "",
        gone: Callable[[], bool] = lambda: False,
    ) -> Stream | None:
        """Open a client's stream, which ends the one that it had; None when too many are open.

        ``status`` says what the first event tells; ``last_id`` is that of the last event that the client has seen;
        ``gone`` says whether the client has hung up.
        """
        with self._lock:
            if len(self._open) >= STREAMS:
                return None
            stream = Stream(self, client, status, last_id, gone)
            self._open.add(stream)
            replaced = self._of.get(client)
            self._of[client] = stream
        if replaced is not None:
            replaced.replaced.set()
        return stream

    def closed(self, stream: Stream) -> None:
        """Forget a stream, and its client with the client's last one."""
        with self._lock:
            self._open.discard(stream)
            last = self._of.get(stream.client) is stream
            if last:
                del self._of[stream.client]
        if last:
            self._left(stream.client)


class Stream:
    """One client's events, as a WSGI server reads them: ``hello`` with the server's instance and the present status
    first, then everything published; ``replaced`` last when the client has opened another."""

    def __init__(
        self,
        streams: Streams,
        client: str,
        status: Callable[[], dict[str, Any]],
        last_id: str,
        gone: Callable[[], bool],
    ) -> None:
        self.client, self.replaced = client, threading.Event()
        self._streams, self._gone, self._status = streams, gone, status
        self._serial = streams.events.serial
        instance, _, seen = last_id.partition("-")
        if instance == streams.instance and seen.isdecimal() and len(seen) < 16:
            self._serial = min(int(seen), self._serial)
        self._parts = self._run()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._parts)

    def close(self) -> None:
        """End the stream; also called for one that was never read."""
        self._parts.close()
        self._streams.closed(self)

    def _run(self) -> Generator[bytes, None, None]:
        events, instance = self._streams.events, self._streams.instance
        yield _RETRY + encode("hello", {"instance": instance, "status": self._status()}, self._id(self._serial))
        said = time.monotonic()
        while not (self._streams.stopping.is_set() or self._gone()):
            if self.replaced.is_set():
                yield encode("replaced", {}, self._id(self._serial))
                return
            serial, new = events.after(self._serial, _LOOK_SECONDS)
            if new:
                first = serial - len(new) + 1
                yield b"".join(
                    encode(event.kind, event.data, self._id(number)) for number, event in enumerate(new, first)
                )
            elif time.monotonic() - said >= PING_SECONDS:
                yield b": nothing new\n\n"
            else:
                continue
            self._serial, said = serial, time.monotonic()

    def _id(self, serial: int) -> str:
        return f"{self._streams.instance}-{serial}"
