"""Connections of the server whose answers are made no faster than they are read.

A WSGI server takes an answer's parts as fast as they come, and sends them when it can. Of a file whose parts are
computed, that would compute what nobody reads: a reader may ask for all bytes from a place on, take what it needs, and
hang up. (facts: virtual_bigwig.md, section 4.)
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any, Protocol

from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.task import WSGITask

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

HangUp: type[Exception] = ClientDisconnected
"""For an answer's parts to raise, to end it where it is: its connection is closed, so nobody takes it for whole."""

_KEY = "tracks.connection"
_LITTLE = 1 << 14
_LOOK_AGAIN = 0.5


class Connection(Protocol):
    """Who reads an answer, as far as its parts want to know."""

    def gone(self) -> bool:
        """Say whether nobody reads any longer, as the kernel knows it at this moment."""
        ...

    def settle(self, most: int) -> None:
        """Wait until at most ``most`` bytes of what was said are still to be sent, or nobody reads any longer."""
        ...

    def send_little(self) -> None:
        """Have the kernel take few bytes ahead, from now on."""
        ...


class _Task(WSGITask):  # type: ignore[misc]
    def get_environment(self) -> WSGIEnvironment:
        environment: WSGIEnvironment = super().get_environment()
        environment[_KEY] = self.channel
        return environment


class Channel(HTTPChannel):  # type: ignore[misc]
    """waitress's connection, as a ``Connection``; a server's ``channel_class``."""

    task_class = _Task
    stopping = threading.Event()
    """Set when the server stops: nothing is sent any more, so an answer that went on would hold the stop up."""

    def gone(self) -> bool:
        """As ``Connection`` has it; waitress itself learns it when it reads next, which may be too late."""
        with self.outbuf_lock:
            if not self.connected or self.stopping.is_set():
                return True
            try:
                return not self.socket.recv(1, socket.MSG_PEEK)
            except (BlockingIOError, InterruptedError):
                return False
            except OSError:
                return True

    def settle(self, most: int) -> None:
        """As ``Connection`` has it."""
        with self.outbuf_lock:
            while self.connected and self.total_outbufs_len > most and not self.stopping.is_set():
                self.server.pull_trigger()
                self.outbuf_lock.wait(_LOOK_AGAIN)

    def send_little(self) -> None:
        """As ``Connection`` has it."""
        with self.outbuf_lock:
            if self.connected:
                # Some systems refuse it where the reader is gone, which is found out soon enough.
                with contextlib.suppress(OSError):
                    self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LITTLE)


def channel_class(stopping: threading.Event) -> type[Channel]:
    """Return the ``channel_class`` of a server whose answers end when ``stopping`` is set."""

    class OfServer(Channel):
        pass

    OfServer.stopping = stopping
    return OfServer


class _Whole:
    """Answers that are read as a whole, as another server or a test reads them."""

    def gone(self) -> bool:
        return False

    def settle(self, most: int) -> None:
        pass

    def send_little(self) -> None:
        pass


def connection_of(environment: dict[str, Any]) -> Connection:
    """Return the connection that a request came by."""
    found: Connection = environment.get(_KEY) or _Whole()
    return found
