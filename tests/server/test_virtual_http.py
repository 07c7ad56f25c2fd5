"""Virtual files through the real server on the loopback address: ranges, readers that vanish, windows that fail."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import pytest
from flask import Flask, jsonify
from werkzeug.exceptions import HTTPException

from server.channel import Connection, HangUp
from server.virtual_http import READERS, add_virtual, no_such_file
from tests.server.listening import listening
from tests.tracks.virtual.toy import Toy
from tracks.errors import TracksError, UsageError
from tracks.grid import WINDOW
from tracks.virtual import SLOT, Layout, Totals, VirtualBigWig, lay_out

SIZES = {"chr1": 60 * WINDOW, "chr2": 1_000_001}
TOTALS = Totals(100, 0.0, 1.0, 50.0, 30.0)
PATH = "/virtual/digest/track.bw"


@dataclass
class ToyTrack:
    """A track of made-up values, whose windows are computed when the test lets them."""

    frozen: bool = False
    toy: Toy = field(default_factory=lambda: Toy(SIZES))
    computed: list[tuple[str, int]] = field(default_factory=list)
    expected: list[tuple[str, int]] = field(default_factory=list)
    closed: int = 0
    may_go_on: threading.Event = field(default_factory=threading.Event)
    fails: tuple[str, int] | None = None
    opens: bool = True

    def __post_init__(self) -> None:
        self.may_go_on.set()

    def layout(self, slot: int) -> Layout:
        return lay_out(SIZES, TOTALS, slot)

    def open(self, connection: Connection, to_the_end: bool) -> ToyValues:
        if not self.opens:
            raise UsageError("it does not open")
        return ToyValues(self, connection)

    def bytes(self, slot: int = SLOT) -> bytes:
        return VirtualBigWig(self.layout(slot), self.toy).read(0, 1 << 40)


@dataclass
class ToyValues:
    """What one answer reads."""

    track: ToyTrack
    connection: Connection

    def window(self, chrom: str, index: int) -> np.ndarray:
        self.connection.settle(0)
        time.sleep(0.02)
        while not self.track.may_go_on.wait(0.01):
            if self.connection.gone():
                raise HangUp
        if self.connection.gone():
            raise HangUp
        if (chrom, index) == self.track.fails:
            raise TracksError("the weights are no numbers")
        self.track.computed.append((chrom, index))
        return self.track.toy.window(chrom, index)

    def records(self, chrom: str, level: int, over: range) -> np.ndarray:
        return self.track.toy.records(chrom, level, over)

    def expect(self, windows: Sequence[tuple[str, int]]) -> None:
        self.track.expected += windows

    def close(self) -> None:
        self.track.closed += 1


@dataclass
class Served:
    """A server of one track."""

    port: int
    track: ToyTrack

    def get(self, method: str = "GET", path: str = PATH, **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
            with closing(connection.getresponse()) as answer:
                return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def window_range(self, index: int, count: int = 1, slot: int = SLOT) -> tuple[int, int]:
        """The first and last byte of windows of chr1."""
        first = self.track.layout(slot).sections_at + index * slot
        return first, first + count * slot - 1

    def begin(self, path: str = PATH, **headers: str) -> socket.socket:
        """Ask, and return the socket unread."""
        asking = socket.socket()
        asking.settimeout(30)
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        asking.connect(("127.0.0.1", self.port))
        lines = "".join(f"{name.replace('_', '-')}: {text}\r\n" for name, text in headers.items())
        asking.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n".encode())
        return asking


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    track = ToyTrack(frozen=getattr(request, "param", False))

    class Shelf:
        def find(self, digest: str, name: str) -> ToyTrack:
            if (digest, name) != ("digest", "track"):
                raise no_such_file(digest, name, ["/virtual/digest/ of model toy: track"])
            return track

    app = Flask("test")
    add_virtual(app, Shelf())

    @app.errorhandler(Exception)
    def in_words(error: Exception) -> object:
        if isinstance(error, UsageError):
            return jsonify(error=str(error)), 400
        if isinstance(error, HTTPException):
            return jsonify(error=error.description), error.code
        raise error

    with listening(app) as port:
        yield Served(port, track)
        track.may_go_on.set()


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_ranges_are_the_bytes_of_the_file(served: Served) -> None:
    whole = served.track.bytes()
    first, last = served.window_range(2, 3)
    for asked, begin, end in (
        (f"bytes={first}-{last}", first, last + 1),
        ("bytes=0-63", 0, 64),
        ("bytes=-4", len(whole) - 4, len(whole)),
        (f"bytes={len(whole) - 10}-{len(whole) + 10}", len(whole) - 10, len(whole)),
        (f"bytes={len(whole) - 10}-", len(whole) - 10, len(whole)),
    ):
        status, headers, body = served.get(Range=asked)
        assert (status, body) == (206, whole[begin:end])
        assert headers["Content-Range"] == f"bytes {begin}-{end - 1}/{len(whole)}"
        assert headers["Accept-Ranges"] == "bytes"


def test_head_says_the_length_and_computes_nothing(served: Served) -> None:
    status, headers, body = served.get("HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) == served.track.layout(SLOT).size
    assert headers["ETag"]
    assert headers["Last-Modified"]
    # A range is of what GET gives (RFC 9110, 14.2).
    assert served.get("HEAD", Range="bytes=0-9")[1]["Content-Length"] == headers["Content-Length"]
    assert not served.track.computed


def test_slots_are_other_files(served: Served) -> None:
    found = {slot: served.get("HEAD", f"{PATH}?slot={slot}")[1] for slot in (1, 8192, 131_072)}
    assert len({headers["ETag"] for headers in found.values()}) == 3
    for slot, headers in found.items():
        assert int(headers["Content-Length"]) == served.track.layout(slot).size
    assert served.get("HEAD")[1]["ETag"] == found[SLOT]["ETag"]


@pytest.mark.parametrize(
    ("asked", "status"), [("bytes=9-1", 400), ("bytes=x", 400), ("bytes=0-1,5-6", 416), (f"bytes={1 << 50}-", 416)]
)
def test_bad_ranges_are_refused_in_words(served: Served, asked: str, status: int) -> None:
    found, headers, body = served.get(Range=asked)
    assert found == status
    assert body.strip()
    if status == 416:
        assert headers["Content-Range"] == f"bytes */{served.track.layout(SLOT).size}"
    assert not served.track.computed


@pytest.mark.parametrize(("path", "words"), [(f"{PATH}?slot=7", b"8192"), ("/virtual/x/track.bw", b"model toy")])
def test_an_address_of_nothing_says_what_there_is(served: Served, path: str, words: bytes) -> None:
    status, _, body = served.get(path=path)
    assert status in (400, 404)
    assert words in body


def test_a_closed_range_asks_for_its_windows_at_once(served: Served) -> None:
    first, last = served.window_range(3, 5)
    served.get(Range=f"bytes={first}-{last}")
    assert served.track.expected == [("chr1", index) for index in range(3, 8)] == served.track.computed
    until(lambda: served.track.closed == 1)


def test_an_open_range_computes_while_it_is_read(served: Served) -> None:
    first, _ = served.window_range(0)
    asking = served.begin(Range=f"bytes={first}-")
    # As UCSC's reader does: two windows and a bit, then it hangs up.
    got = 0
    while got < 2 * SLOT + 100:
        got += len(asking.recv(4096))
    asking.close()
    until(lambda: served.track.closed == 1)
    count = len(served.track.computed)
    assert 2 <= count <= 10
    time.sleep(0.3)
    assert len(served.track.computed) == count
    assert not served.track.expected


def test_nothing_is_computed_for_a_reader_that_left(served: Served) -> None:
    served.track.may_go_on.clear()
    first, last = served.window_range(0, 8)
    asking = served.begin(Range=f"bytes={first}-{last}")
    until(lambda: bool(served.track.expected))
    asking.close()
    until(lambda: served.track.closed == 1)
    served.track.may_go_on.set()
    time.sleep(0.1)
    assert not served.track.computed


def test_a_reader_that_stands_still_is_waited_for(served: Served) -> None:
    first, _ = served.window_range(0)
    asking = served.begin(Range=f"bytes={first}-")
    before = -1
    while before != len(served.track.computed) or not before:  # until what lies on the way is full
        before = len(served.track.computed)
        time.sleep(0.5)
    assert before < 30, "all was computed though nothing was read"
    received = b""
    while len(received) < served.track.layout(SLOT).size - first:
        part = asking.recv(1 << 16)
        assert part
        received += part
    asking.close()
    _, _, body = received.partition(b"\r\n\r\n")
    assert len(body) > 50 * SLOT
    assert served.track.bytes()[first:].startswith(body)


def test_a_first_window_that_fails_is_an_error(served: Served) -> None:
    served.track.fails = ("chr1", 0)
    first, last = served.window_range(0, 2)
    status, _, body = served.get(Range=f"bytes={first}-{last}")
    assert status == 503
    assert b"terminal says why" in body
    assert served.track.closed == 1
    served.track.fails = None
    assert served.get(Range=f"bytes={first}-{last}")[0] == 206


def test_a_later_window_that_fails_cuts_the_connection(served: Served) -> None:
    served.track.fails = ("chr1", 1)
    first, last = served.window_range(0, 2)
    with pytest.raises(http.client.IncompleteRead):
        served.get(Range=f"bytes={first}-{last}")
    until(lambda: served.track.closed == 1)


def test_more_readers_than_places_are_told_to_come_again(served: Served) -> None:
    served.track.may_go_on.clear()
    first, last = served.window_range(0)
    asking = [served.begin(Range=f"bytes={first}-{last}") for _ in range(READERS)]
    until(lambda: len(served.track.expected) == READERS)
    assert served.get(Range=f"bytes={first}-{last}")[0] == 503
    assert served.get("HEAD")[0] == 200
    served.track.may_go_on.set()
    for each in asking:
        assert each.recv(100).startswith(b"HTTP/1.1 206")
        each.close()
    until(lambda: served.track.closed == READERS)
    assert served.get(Range="bytes=0-9")[0] == 206


def test_what_does_not_open_takes_no_place(served: Served) -> None:
    served.track.opens = False
    for _ in range(READERS):
        assert served.get(Range="bytes=0-9")[0] == 400
    served.track.opens = True
    assert served.get(Range="bytes=0-9")[0] == 206


def test_what_may_change_is_not_kept(served: Served) -> None:
    _, headers, _ = served.get(Range="bytes=0-9")
    assert headers["Cache-Control"] == "no-store"
    assert served.get(If_None_Match=headers["ETag"], Range="bytes=0-9")[0] == 206


@pytest.mark.parametrize("served", [True], indirect=True)
def test_what_never_changes_may_be_kept(served: Served) -> None:
    _, headers, _ = served.get(Range="bytes=0-9")
    assert "immutable" in headers["Cache-Control"]
    for known in (headers["ETag"], f'"other", W/{headers["ETag"]}', "*"):
        assert served.get(If_None_Match=known)[0] == 304
    for unknown in ('"other"', headers["ETag"].replace("8192", "1"), f'"x{headers["ETag"][1:]}'):
        assert served.get(If_None_Match=unknown, Range="bytes=0-9")[0] == 206
    assert served.get(Range=f"bytes={1 << 50}-")[1]["Cache-Control"] == "no-store", "an error is none of its bytes"
    # A version that somebody has from before is no reason to send all of it.
    assert served.get(If_Range='"another"', Range="bytes=0-9")[0] == 206
