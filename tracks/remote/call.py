"""One question to another server, which ends at a time."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING

from tracks.remote.address import rules_of
from tracks.remote.errors import RemoteError

if TYPE_CHECKING:
    from tracks.remote.address import Address


class Call:
    """One question to a server: it ends at a time (``time.monotonic``), and another thread can end it."""

    def __init__(self, until: float) -> None:
        self.until = until
        self._sock: socket.socket | None = None
        self._ended = False

    def left(self, address: Address) -> float:
        """Return the seconds left. Raises RemoteError when there are none."""
        left = self.until - time.monotonic()
        if left <= 0 or self._ended:
            raise timed_out(address)
        return left

    def wait(self, address: Address) -> None:
        """Let what is read next take no longer than is left."""
        left = self.left(address)
        if self._sock is not None:
            self._sock.settimeout(left)

    def hold(self, sock: socket.socket | None) -> None:
        """Note what the question is asked through."""
        self._sock = sock

    def end(self) -> None:
        """End it: who reads its answer is woken."""
        self._ended = True
        sock = self._sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def timed_out(address: Address) -> RemoteError:
    """Say that a server took too long."""
    return RemoteError(address, f"its server did not answer within {rules_of(address).timeout:g} seconds")
