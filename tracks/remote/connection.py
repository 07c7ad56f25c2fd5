"""One range of one file, asked of its server: kept-alive connections, a deadline for the whole answer, permitted
redirects only, and answers that are checked before they are believed."""

from __future__ import annotations

import atexit
import functools
import http.client
import re
import select
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracks.errors import UsageError
from tracks.remote.address import rules_of
from tracks.remote.call import Call, timed_out
from tracks.remote.errors import RemoteError

if TYPE_CHECKING:
    from tracks.remote.address import Address

SMALL = 1 << 20
"""A server that sends whole files instead of ranges is put up with for files up to this."""

_REDIRECTS = 5
_PIECE = 1 << 16
_IDLE_SECONDS = 20.0
_KEPT = 6
_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})")
_NO_RANGE = re.compile(r"bytes \*/([0-9]{1,19})")
_PASSING = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Version:
    """What tells that a file is the one that was seen before: its size, and its server's marks where it gives any."""

    size: int
    etag: str | None = None
    modified: str | None = None

    def same(self, other: Version) -> bool:
        """Say whether both are of one file: by their tags where both have one, else by their dates."""
        if self.size != other.size:
            return False
        if self.etag is not None and other.etag is not None:
            return self.etag == other.etag
        return self.modified is None or other.modified is None or self.modified == other.modified


@dataclass(frozen=True, eq=False)
class Part:
    """Bytes of a file from ``first`` on, of which version they are, and who sent them after redirects."""

    first: int
    data: bytes
    version: Version
    sender: Address


class _Idle:
    """Connections that wait for the next question, by server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str, int], list[tuple[float, http.client.HTTPConnection]]] = {}

    def take(self, address: Address) -> http.client.HTTPConnection | None:
        with self._lock:
            kept = self._kept.get((address.scheme, address.host, address.port), [])
            while kept:
                since, connection = kept.pop()
                if time.monotonic() - since < _IDLE_SECONDS and not _spoke(connection):
                    return connection
                connection.close()
        return None

    def give(self, address: Address, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            kept = self._kept.setdefault((address.scheme, address.host, address.port), [])
            kept.append((time.monotonic(), connection))
            surplus = kept.pop(0)[1] if len(kept) > _KEPT else None
        if surplus is not None:
            surplus.close()

    def close(self) -> None:
        with self._lock:
            for kept in self._kept.values():
                for _, connection in kept:
                    connection.close()
            self._kept.clear()


def _spoke(connection: http.client.HTTPConnection) -> bool:
    """Say whether a server said more than it was asked for: mostly that it closed the connection."""
    if connection.sock is None:
        return True
    waiting = select.poll()
    waiting.register(connection.sock, select.POLLIN)
    return bool(waiting.poll(0))


_IDLE = _Idle()
atexit.register(_IDLE.close)


def fetch(address: Address, first: int, count: int, call: Call) -> Part:
    """Return ``count`` bytes of a file from ``first`` on, or those that it has from there on.

    Of a file of at most 1 MiB it may be the whole, where the server gives no ranges. Raises RemoteError when the server
    cannot be asked, answers with an error, a redirect that is not permitted or something else than was asked for.
    """
    asked = address
    for _ in range(_REDIRECTS + 1):
        connection = _IDLE.take(asked) or _connection(asked, call)
        response, whole = None, False
        try:
            response = _response(connection, asked, first, count, call)
            call.left(address)  # where it was ended meanwhile, what was read of its headers seems to be all of them
            if response.status in (301, 302, 303, 307, 308):
                asked = _followed(address, asked, response)
                continue
            part = _part(address, asked, response, first, count, call)
            whole = (response.isclosed() or response.length == 0) and not response.will_close
            return part
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise _explained(address, error, call) from error
        finally:
            call.hold(None)
            if response is not None:
                response.close()
            if whole:
                _IDLE.give(asked, connection)
            else:
                connection.close()
    raise RemoteError(address, f"its server sends from one address to the next, more than {_REDIRECTS} times")


def _connection(address: Address, call: Call) -> http.client.HTTPConnection:
    # http.client asks no proxy that an environment variable names.
    host, timeout = address.host.strip("[]"), call.left(address)
    if address.scheme == "http":
        return http.client.HTTPConnection(host, address.port, timeout=timeout)
    return http.client.HTTPSConnection(host, address.port, timeout=timeout, context=_tls())


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _response(
    connection: http.client.HTTPConnection, address: Address, first: int, count: int, call: Call
) -> http.client.HTTPResponse:
    if connection.sock is None:
        connection.connect()
    call.hold(connection.sock)
    call.wait(address)
    connection.putrequest("GET", address.target, skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", address.authority)
    connection.putheader("Range", f"bytes={first}-{first + count - 1}")
    connection.putheader("Accept-Encoding", "identity")
    connection.putheader("User-Agent", "tracks")
    connection.endheaders()
    return connection.getresponse()


def _followed(address: Address, asked: Address, response: http.client.HTTPResponse) -> Address:
    try:
        return asked.joined(response.headers.get("Location", ""))
    except UsageError as error:
        # The words name where to; they are for the terminal, by way of the cause.
        raise RemoteError(address, "its server sends on to an address that [files] urls does not permit") from error


def _part(
    address: Address,
    sender: Address,
    response: http.client.HTTPResponse,
    first: int,
    count: int,
    call: Call,
) -> Part:
    """Check an answer, and read it."""
    status, headers = response.status, response.headers
    marks = headers.get("ETag"), headers.get("Last-Modified")
    if status == 416 and (past := _NO_RANGE.fullmatch(headers.get("Content-Range", "").strip())):
        return Part(first, b"", Version(int(past[1]), *marks), sender)
    if status not in (200, 206):
        words = http.client.responses.get(status, "")
        raise RemoteError(
            address, f"its server answers {status}" + (f" ({words})" if words else ""), lasting=status not in _PASSING
        )
    if headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
        raise RemoteError(address, "its server sends it compressed, so that parts of it cannot be asked for")
    if status == 206:
        said = _RANGE.fullmatch(headers.get("Content-Range", "").strip())
        start, end, size = (int(number) for number in said.groups()) if said else (-1, -1, -1)
        if start != first or end != min(first + count, size) - 1 or end < start:
            raise RemoteError(address, "its server answers with another part of the file than was asked for")
        expected, most = end - start + 1, count
    else:
        start, most = 0, min(SMALL, rules_of(address).max_bytes)
        expected = response.length if response.length is not None else -1
        if expected > most:
            raise RemoteError(
                address, f"its server gives no ranges, and sends whole files, which is too much for {expected:,} bytes"
            )
    data = _body(address, response, most, call)
    if status == 200 and len(data) > most:
        raise RemoteError(address, f"its server gives no ranges, and the file has more than {most:,} bytes")
    if expected >= 0 and len(data) != expected:
        raise RemoteError(address, "its server's answer is shorter or longer than it says", lasting=False)
    return Part(start, data, Version(size if status == 206 else len(data), *marks), sender)


def _body(address: Address, response: http.client.HTTPResponse, most: int, call: Call) -> bytes:
    """Read a body: at most one byte more than ``most``, and for no longer than the call lasts."""
    pieces, size = [], 0
    while size <= most:
        call.wait(address)
        piece = response.read1(min(_PIECE, most + 1 - size))
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def _explained(address: Address, error: Exception, call: Call) -> RemoteError:
    if isinstance(error, TimeoutError) or time.monotonic() >= call.until:
        return timed_out(address)
    if isinstance(error, ssl.SSLCertVerificationError):
        return RemoteError(address, "its server's certificate is not valid")
    if isinstance(error, ssl.SSLError):
        return RemoteError(address, "its server speaks no TLS that can be used", lasting=False)
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return RemoteError(address, "the name of its server is not known", lasting=False)
    if isinstance(error, ConnectionRefusedError):
        return RemoteError(address, "its server refuses connections", lasting=False)
    if isinstance(error, http.client.HTTPException) and not isinstance(error, http.client.IncompleteRead):
        # A server that closed a kept connection is one of these too.
        return RemoteError(address, "its server does not speak HTTP, or ended the connection", lasting=False)
    return RemoteError(address, "the connection to its server broke", lasting=False)
