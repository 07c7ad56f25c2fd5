"""Streams of events through a real server on the loopback address, read as a browser reads them."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import server.stream
from server.app import create_app
from server.events import Events
from server.site import Site
from server.stream import STREAMS, Streams, encode
from tests.server.listening import listening


@dataclass
class Served:
    """A server on the loopback address."""

    port: int
    site: Site
    stopping: threading.Event
    left: list[str]

    def listen(self, client: str = "me", last_id: str = "") -> Listener:
        """Open a stream of events."""
        return Listener(self.port, client, last_id)


class Listener:
    """One open stream."""

    def __init__(self, port: int, client: str, last_id: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.connection.request("GET", f"/api/events?s={client}", headers={"Last-Event-ID": last_id} if last_id else {})
        self.response = self.connection.getresponse()

    def lines(self) -> list[str]:
        """Read the lines up to the next blank one; none at the end."""
        found = []
        while (line := self.response.readline().decode()) not in ("", "\n"):
            found.append(line.rstrip("\n"))
        return found

    def event(self) -> tuple[str, Any, str]:
        """Read the next event: its kind, data and id."""
        while True:
            lines = self.lines()
            fields = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
            if "event" in fields:
                return fields["event"], json.loads(fields["data"]), fields["id"]
            assert lines, "the stream has ended"

    def close(self) -> None:
        self.response.close()
        self.connection.close()


@contextmanager
def serving(site: Site, static: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    left: list[str] = []
    leave = site.predictions.leave

    def noted(client: str) -> None:
        leave(client)
        left.append(client)

    monkeypatch.setattr(site.predictions, "leave", noted)
    stopping = threading.Event()
    with listening(create_app(site, static, stopping=stopping), stopping, STREAMS + 4) as port:
        yield Served(port, site, stopping, left)


@pytest.fixture
def served(waiting_site: Site, static: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with serving(waiting_site, static, monkeypatch) as made:
        yield made


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_events_are_written_as_the_standard_has_them() -> None:
    text = encode("job", {"name": "two\nlines", "é": None}, "a-1").decode()
    assert text.startswith("id: a-1\nevent: job\ndata: ")
    assert text.endswith("\n\n")
    assert text.count("\n") == 4, "no line break of the data is one of the stream"
    assert json.loads(text.splitlines()[2].removeprefix("data: ")) == {"name": "two\nlines", "é": None}


def test_hello_comes_first_and_then_what_happens(served: Served) -> None:
    listener = served.listen()
    assert listener.response.status == 200
    assert listener.response.headers["Content-Type"].startswith("text/event-stream")
    assert listener.response.headers["Cache-Control"] == "no-store"
    assert listener.lines() == ["retry: 2000"]
    kind, hello, _ = listener.event()
    assert kind == "hello"
    assert hello["status"]["state"] == "idle"
    served.site.events.publish("changed", {"spans": [[1, 2]]})
    served.site.events.publish("job", {"id": "x"})
    assert listener.event()[:2] == ("changed", {"spans": [[1, 2]]})
    assert listener.event()[:2] == ("job", {"id": "x"})
    listener.close()


def test_a_prediction_is_told_of(served: Served) -> None:
    listener = served.listen()
    served.site.predictions.start()
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    connection.request("GET", "/api/v1/tiles/?d=predicted-bins-lmnb1_lad_liver.3.4&s=me&view=530000-540000")
    assert connection.getresponse().read()
    connection.close()
    start, end = served.site.axis.absolute(served.site.predictions.stored.region(("chr3", 0)))
    while True:
        kind, data, _ = listener.event()
        if kind == "changed" and data["spans"] == [[start, end]]:
            break
    listener.close()


def test_who_comes_back_gets_what_was_missed(served: Served) -> None:
    first = served.listen()
    assert first.event()[0] == "hello"
    served.site.events.publish("job", {"number": 1})
    _, _, last_id = first.event()
    first.close()
    served.site.events.publish("job", {"number": 2})
    served.site.events.publish("job", {"number": 3})
    again = served.listen(last_id=last_id)
    assert again.event()[0] == "hello"
    assert [again.event()[1] for _ in range(2)] == [{"number": 2}, {"number": 3}]
    again.close()
    for other in ("another-0", "nonsense", f"{last_id.partition('-')[0]}-{'9' * 30}"):
        fresh = served.listen("you", last_id=other)
        assert fresh.event()[0] == "hello"
        served.site.events.publish("job", {"number": 4})
        assert fresh.event()[1] == {"number": 4}, "nothing of before, and nothing skipped"
        fresh.close()


def test_who_hangs_up_has_left(served: Served) -> None:
    served.site.predictions.ask("me", (0, 1000), "bins")
    listener = served.listen()
    listener.event()
    assert served.site.predictions.now().queued == 1
    listener.close()
    until(lambda: served.left == ["me"], server.stream.PING_SECONDS / 2)
    assert served.site.predictions.now().queued == 0


def test_a_second_stream_of_a_client_replaces_the_first(served: Served) -> None:
    first = served.listen()
    first.event()
    second = served.listen()
    second.event()
    assert first.event()[0] == "replaced"
    assert first.response.read() == b""
    first.close()
    time.sleep(0.2)
    assert served.left == [], "the client is still there"
    served.site.events.publish("job", {})
    assert second.event()[0] == "job"
    second.close()
    until(lambda: served.left == ["me"])


def test_a_request_for_the_headers_alone_holds_no_stream(served: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    for number in range(STREAMS + 1):
        connection.request("HEAD", f"/api/events?s=client-{number}")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
    connection.close()
    assert len(served.left) == STREAMS + 1


def test_a_silent_stream_says_so_now_and_then(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.stream, "PING_SECONDS", 0.1)
    listener = served.listen()
    listener.event()
    assert all(listener.lines() == [": nothing new"] for _ in range(2))
    listener.close()


def test_streams_are_bounded(served: Served) -> None:
    open_ones = [served.listen(f"client-{number}") for number in range(STREAMS)]
    assert all(listener.response.status == 200 for listener in open_ones)
    refused = served.listen("one-too-many")
    assert refused.response.status == 503
    assert int(refused.response.headers["Retry-After"]) > 0
    assert "too many" in json.loads(refused.response.read())["error"]
    refused.close()
    # What is left of the threads answers everything else.
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    connection.request("GET", "/api/status")
    assert connection.getresponse().status == 200
    connection.close()
    open_ones.pop().close()
    until(lambda: len(served.left) == 1)
    late = served.listen("one-too-many")
    assert late.response.status == 200
    for listener in [*open_ones, late]:
        listener.close()


@pytest.mark.parametrize("client", ["", "a%20b", "x" * 65, "%3Cb%3E"])
def test_a_client_has_a_name(served: Served, client: str) -> None:
    listener = served.listen(client)
    assert listener.response.status == 400
    assert "letters" in json.loads(listener.response.read())["error"]
    listener.close()


def test_streams_end_when_the_server_stops(waiting_site: Site, static: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(waiting_site, static, monkeypatch) as served:
        listeners = [served.listen(f"client-{number}") for number in range(5)]
        for listener in listeners:
            listener.event()
        started = time.monotonic()
        served.stopping.set()
        for listener in listeners:
            assert listener.response.read() == b""
            listener.close()
        assert time.monotonic() - started < 5
        until(lambda: len(served.left) == 5)


def test_a_stream_that_nobody_reads_is_closed_all_the_same() -> None:
    left: list[str] = []
    streams = Streams(Events(), left.append, threading.Event())
    stream = streams.open("me", dict)
    assert stream is not None
    stream.close()
    stream.close()
    assert left == ["me"]
    for _ in range(STREAMS):
        assert streams.open("me", dict) is not None
    assert streams.open("me", dict) is None
