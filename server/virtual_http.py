"""Virtual bigWigs over HTTP: one route, whose answers are computed no faster than they are read.

What each reader asks for, and where it breaks, is in facts: virtual_bigwig.md, sections 3 and 4. What has to be
computed is waited for: a reader shows an error for long, and a wait only for as long as it takes.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from flask import Response, request
from werkzeug.exceptions import NotFound, ServiceUnavailable

from server.channel import HangUp, connection_of
from server.ranges import UnsatisfiableError, parse_range
from tracks.errors import TracksError, UsageError
from tracks.virtual import SLOT, Values, VirtualBigWig
from tracks.virtual.layout import SLOTS

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from flask import Flask

    from server.channel import Connection
    from server.ranges import ByteRange
    from tracks.virtual import Layout

READERS = 64
"""Answers that are given at once, each of which may hold a thread for as long as its reader takes."""

EXPECTED = 64
"""Most windows of one answer that are asked for at once. Of a wider range they are computed as they are read."""

FOREVER = "public, max-age=31536000, immutable"

_AHEAD = 1 << 18
"""Bytes that an answer may be ahead of its reader."""
_MADE = "Thu, 01 Jan 2026 00:00:00 GMT"
"""When all files were last changed: their addresses change with them, and UCSC asks."""


class OpenValues(Values, Protocol):
    """A track's values for one answer."""

    def expect(self, windows: Sequence[tuple[str, int]]) -> None:
        """Be told which windows will be asked for soon, the first of them first."""
        ...

    def close(self) -> None:
        """Be done."""
        ...


class VirtualTrack(Protocol):
    """What lies at one address; its zoom levels grow unless it is ``frozen``."""

    @property
    def frozen(self) -> bool:
        """Whether all bytes stay what they are."""
        ...

    def layout(self, slot: int) -> Layout:
        """Return the layout with sections in slots of so many bytes."""
        ...

    def open(self, connection: Connection, to_the_end: bool) -> OpenValues:
        """Return the values for one answer, whose reader may not want all that it asks for ``to_the_end``.

        Its methods raise ``HangUp`` when the reader is gone, and TracksError when there are no values.
        """
        ...


class Shelf(Protocol):
    """All virtual files of a server."""

    def find(self, digest: str, name: str) -> VirtualTrack:
        """Return a track by the parts of its address. Raises NotFound that says what there is."""
        ...


def add_virtual(app: Flask, shelf: Shelf) -> None:
    """Add ``/virtual/<digest>/<name>.bw`` to an application, by GET and HEAD, with ranges of bytes.

    ``?slot=`` is the bytes at whose multiples sections begin: 8192, where nothing is said, or 131072 for JBrowse.
    """
    places = threading.BoundedSemaphore(READERS)

    @app.get("/virtual/<digest>/<name>.bw")
    def virtual(digest: str, name: str) -> Response:
        track = shelf.find(digest, name)
        slot = _slot(request.args.get("slot"))
        layout = track.layout(slot)
        tag = f"{digest}-{name}-{slot}"
        headers = {
            "Accept-Ranges": "bytes",
            "Cache-Control": FOREVER if track.frozen else "no-store",
            "Last-Modified": _MADE,
            "ETag": f'"{tag}"',
        }
        if track.frozen and request.if_none_match.contains_weak(tag):
            return Response(status=304, headers=headers)
        try:
            asked = parse_range(request.headers.get("Range") if request.method == "GET" else None, layout.size)
        except UnsatisfiableError as error:
            headers |= {"Content-Range": f"bytes */{layout.size}", "Cache-Control": "no-store"}
            return Response(f"{error}\n", 416, headers, mimetype="text/plain")
        headers["Content-Length"] = str(asked.last - asked.first)
        if asked.part:
            headers["Content-Range"] = f"bytes {asked.first}-{asked.last - 1}/{layout.size}"
        status = 206 if asked.part else 200
        if request.method == "HEAD":
            return Response(status=status, headers=headers, mimetype="application/octet-stream")
        if not places.acquire(blocking=False):
            raise ServiceUnavailable(f"{READERS} readers of predictions are served already; try again a little later")
        try:
            answer = _Answer(track, layout, asked, connection_of(request.environ), places)
        except BaseException:
            places.release()
            raise
        try:
            answer.begin()
        except BaseException as error:
            answer.close()
            if isinstance(error, HangUp):
                raise ServiceUnavailable("nobody reads this any longer, or the server stops") from error
            raise
        response = Response(answer, status, headers, mimetype="application/octet-stream")
        response.call_on_close(answer.close)
        return response


class _Answer:
    """The bytes of one answer, in parts; the first is there before anything is said, so that an error can be."""

    def __init__(
        self,
        track: VirtualTrack,
        layout: Layout,
        asked: ByteRange,
        connection: Connection,
        places: threading.BoundedSemaphore,
    ) -> None:
        self._connection, self._asked, self._places = connection, asked, places
        if asked.to_the_end:
            connection.send_little()
        self._values = track.open(connection, asked.to_the_end)
        self._file = VirtualBigWig(layout, self._values)
        self._parts = self._run()
        self._first: bytes | None = None
        self._closed = False

    def begin(self) -> None:
        """Make the first part. Raises ServiceUnavailable where that fails."""
        first, length = self._asked.first, self._asked.last - self._asked.first
        if not self._asked.to_the_end:
            windows = self._file.windows(first, length)
            self._values.expect(windows if len(windows) <= EXPECTED else windows[:1])
        try:
            self._first = next(self._parts)
        except TracksError as error:
            # Its words may name this machine's folders, and are on the terminal already.
            raise ServiceUnavailable("a window could not be predicted; the server's terminal says why") from error

    def close(self) -> None:
        """Be done; also called for an answer that was never read."""
        if not self._closed:
            self._closed = True
            self._parts.close()
            self._values.close()
            self._places.release()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._first is not None:
            part, self._first = self._first, None
            return part
        try:
            return next(self._parts)
        except TracksError as error:
            # What was said cannot be taken back; a gap would be kept by whoever reads it.
            raise HangUp from error

    def _run(self) -> Generator[bytes, None, None]:
        for part in self._file.parts(self._asked.first, self._asked.last - self._asked.first):
            yield part
            self._connection.settle(_AHEAD)
            if self._connection.gone():
                raise HangUp


def _slot(text: str | None) -> int:
    """Return the slot that an address names. Raises UsageError that names those there are."""
    if text is None:
        return SLOT
    if text not in map(str, SLOTS):
        raise UsageError(f"there is no slot of '{text[:20]}' bytes; choose {', '.join(map(str, SLOTS))}")
    return int(text)


def no_such_file(digest: str, name: str, there: Sequence[str]) -> NotFound:
    """Return the error for an address at which nothing lies, with the addresses where something does."""
    listed = "; ".join(there) or "none yet"
    return NotFound(f"there is no predicted file /virtual/{digest[:40]}/{name[:80]}.bw; there are {listed}")
