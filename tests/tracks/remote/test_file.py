"""Files of a real server, read in ranges: what comes is what is there, or an error in words, in time."""

from __future__ import annotations

import logging
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tracks.remote.web import Web, serving
from tracks.errors import TracksError
from tracks.remote import file as remote
from tracks.remote.address import Rules, parse_address, parse_prefix
from tracks.remote.allowance import no_longer_than, one_answer
from tracks.remote.blocks import BLOCK, RemoteBytes, RemoteStream
from tracks.remote.connection import SMALL, Version
from tracks.remote.errors import RemoteChangedError, RemoteError
from tracks.remote.file import _QUESTIONS, RemoteFile, identity, remote_file

CONTENT = random.Random(3).randbytes(3 * BLOCK + 1000)
LARGE = random.Random(4).randbytes(SMALL + BLOCK + 5)


def test_ranges_come_as_they_are_and_are_asked_for_once(web: Web) -> None:
    file = web.add("/a.bw", CONTENT)
    opened = RemoteFile(web.address("/a.bw")).open()
    assert opened.size == len(CONTENT)
    assert opened.read(10, 20) == CONTENT[10:30]
    assert opened.read(BLOCK - 5, BLOCK + 10) == CONTENT[BLOCK - 5 : 2 * BLOCK + 5]
    assert opened.read(len(CONTENT) - 7, 100) == CONTENT[-7:]
    assert opened.read(len(CONTENT), 5) == b""
    assert opened.read(0, len(CONTENT)) == CONTENT
    starts = sorted(int(asked.removeprefix("bytes=").split("-")[0]) for asked in file.asked)
    assert starts == [0, BLOCK, 3 * BLOCK], "each block once, and blocks that follow one another together"
    assert web.connections == 1, "the connection is kept"
    assert file.hosts[0] == f"127.0.0.1:{web.port}"


@pytest.fixture(scope="module")
def kept() -> RemoteBytes:
    with serving() as web:
        web.add("/a.bw", CONTENT)
        # As small as a cache can be: nearly each read drops what another needs.
        yield RemoteFile(web.address("/a.bw", max_bytes=4 * BLOCK)).open()


@settings(max_examples=150)
@given(st.integers(0, len(CONTENT) + 10), st.integers(0, 2 * BLOCK))
def test_any_range_is_that_of_the_file(kept: RemoteBytes, at: int, size: int) -> None:
    assert kept.read(at, size) == CONTENT[at : at + size]


def test_what_is_kept_is_bounded(web: Web) -> None:
    web.add("/a.bw", LARGE)
    file = RemoteFile(web.address("/a.bw", max_bytes=4 * BLOCK))
    opened = file.open()
    for at in range(0, len(LARGE), BLOCK):
        assert opened.read(at, 10) == LARGE[at : at + 10]
        assert len(file._blocks) <= 4


def test_what_is_prepared_comes_in_few_questions(web: Web) -> None:
    file = web.add("/a.bw", LARGE)
    opened = RemoteFile(web.address("/a.bw")).open()
    spans = np.array([(at, 5000) for at in range(0, 12 * BLOCK, 7000)] + [(15 * BLOCK + 5, 10)])
    opened.prepare(spans)
    assert len(file.asked) == 3, "the first block, the others beside it, and one apart"
    for at, size in spans.tolist():
        assert opened.read(at, size) == LARGE[at : at + size]
    opened.prepare(np.empty((0, 2), np.int64))
    assert len(file.asked) == 3


def test_threads_share_a_question(web: Web) -> None:
    file = web.add("/a.bw", CONTENT)
    opened = RemoteFile(web.address("/a.bw")).open()
    file.seconds = 0.3
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: opened.read(BLOCK, 50), range(8)))
    assert found == [CONTENT[BLOCK : BLOCK + 50]] * 8
    assert len(file.asked) == 2


def test_many_files_share_what_is_kept(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "KEPT", 4 * BLOCK)
    remote_file.cache_clear()
    for name in ("/a.bw", "/b.bw"):
        web.add(name, CONTENT)
    files = [remote_file(web.address(name)) for name in ("/a.bw", "/b.bw")]
    for file in files:
        assert file.open().read(0, len(CONTENT)) == CONTENT
    assert [len(file._blocks) for file in files] == [2, 2]
    remote_file.cache_clear()


def test_many_threads_read_many_places(web: Web) -> None:
    file = web.add("/a.bw", LARGE)
    opened = RemoteFile(web.address("/a.bw", max_bytes=5 * BLOCK)).open()

    def read(seed: int) -> bool:
        draw = random.Random(seed)
        places = [(draw.randrange(len(LARGE)), draw.randrange(3 * BLOCK)) for _ in range(15)]
        return all(opened.read(at, size) == LARGE[at : at + size] for at, size in places)

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(read, range(12)))
    assert file.most_at_once <= remote._QUESTIONS


@pytest.mark.parametrize("way", ["whole", "whole, no length"])
def test_a_small_file_may_come_whole(web: Web, way: str) -> None:
    file = web.add("/a.txt", CONTENT, way)
    assert RemoteFile(web.address("/a.txt")).open().read(5, 9) == CONTENT[5:14]
    assert len(file.asked) == 1


@pytest.mark.parametrize("way", ["whole", "whole, no length"])
def test_a_large_one_may_not(web: Web, way: str) -> None:
    web.add("/a.bw", LARGE, way)
    with pytest.raises(RemoteError, match="its server gives no ranges"):
        RemoteFile(web.address("/a.bw")).open()


@pytest.mark.parametrize(
    ("way", "said", "times"),
    [
        ("404", "answers 404 (Not Found)", 1),
        ("403", "answers 403 (Forbidden)", 1),
        ("503", "answers 503 (Service Unavailable)", 2),
        ("299", "answers 299", 1),
        ("elsewhere", "another part of the file", 1),
        ("no range said", "another part of the file", 1),
        ("compressed", "sends it compressed", 1),
        ("half", "broke|ended the connection|shorter or longer", 2),
        ("reset", "ended the connection", 2),
        ("no http", "does not speak HTTP", 2),
        ("redirect /elsewhere/a.bw", r"\[files\] urls does not permit", 1),
        ("redirect http://127.0.0.1:9/data/a.bw", r"\[files\] urls does not permit", 1),
        ("redirect https://me:pass@127.0.0.1/data/a.bw", r"\[files\] urls does not permit", 1),
        ("redirect file:///etc/passwd", r"\[files\] urls does not permit", 1),
        ("redirect /data/a.bw", "more than 5 times", 6),
    ],
)
def test_what_a_server_does_wrong_is_said(web: Web, way: str, said: str, times: int) -> None:
    file = web.add("/data/a.bw", CONTENT, way)
    address = web.address("/data/a.bw?key=s3cret", "/data/")
    with pytest.raises(RemoteError, match=said.replace("(", r"\(").replace(")", r"\)")) as caught:
        RemoteFile(address).open()
    assert str(caught.value).startswith(f"cannot read {web.base}/data/a.bw: ")
    assert "s3cret" not in str(caught.value)
    assert len(file.asked) == times
    for hidden in ("127.0.0.1", str(web.port), "a.bw", "pass@"):
        assert hidden not in caught.value.public


def test_an_empty_file_is_said(web: Web) -> None:
    web.add("/a.bw", b"")
    with pytest.raises(RemoteError, match="the file is empty"):
        RemoteFile(web.address("/a.bw")).open()


def test_a_server_that_is_not_there_is_said() -> None:
    with serving() as web:
        address = web.address("/a.bw")
    with pytest.raises(RemoteError, match="refuses connections"):
        RemoteFile(address).open()


def test_a_name_that_nobody_knows_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    prefix = "https://data.lab.invalid/"
    with pytest.raises(RemoteError, match="the name of its server is not known"):
        RemoteFile(Rules((parse_prefix(prefix),)).check(parse_address(f"{prefix}a.bw"))).open()


@pytest.mark.parametrize("way", ["503", "reset", "half", "no http"])
def test_one_failure_in_passing_is_nothing(web: Web, way: str) -> None:
    file = web.add("/a.bw", CONTENT, way, "ranges")
    assert RemoteFile(web.address("/a.bw")).open().read(0, 9) == CONTENT[:9]
    assert len(file.asked) == 2


def test_a_kept_connection_that_was_closed_is_made_again(web: Web) -> None:
    web.add("/a.bw", CONTENT, "ranges", "reset", "ranges")
    opened = RemoteFile(web.address("/a.bw")).open()
    assert opened.read(2 * BLOCK, 9) == CONTENT[2 * BLOCK : 2 * BLOCK + 9]


def test_so_are_all_that_a_server_closed_meanwhile(web: Web) -> None:
    file = web.add("/a.bw", LARGE)
    opened = RemoteFile(web.address("/a.bw")).open()
    file.seconds, file.ways = 0.1, ["ranges, then closed"]
    opened.prepare(np.array([(2 * at * BLOCK, 9) for at in range(1, 6)]))
    time.sleep(0.2)
    assert web.connections >= 3
    assert opened.read(13 * BLOCK, 9) == LARGE[13 * BLOCK : 13 * BLOCK + 9]


@pytest.mark.parametrize("way", ["hang", "drip", "drip of headers"])
def test_nobody_waits_for_longer_than_the_time_out(web: Web, way: str) -> None:
    web.add("/a.bw", CONTENT, way)
    file = RemoteFile(web.address("/a.bw", timeout=0.6))
    started = time.monotonic()
    with pytest.raises(RemoteError, match=r"did not answer within 0\.6 seconds"):
        file.open()
    assert time.monotonic() - started < 1.2
    started = time.monotonic()
    with pytest.raises(RemoteError, match=r"did not answer within 0\.6 seconds"):
        file.open()
    assert time.monotonic() - started < 0.1, "it is not asked again for a while"


def test_nor_does_a_question_that_nobody_waits_for_any_more(web: Web) -> None:
    file = web.add("/a.bw", LARGE)
    opened = RemoteFile(web.address("/a.bw", timeout=0.6)).open()
    file.ways = ["drip of headers"]
    for at in range(_QUESTIONS):
        with pytest.raises(RemoteError, match="did not answer"), no_longer_than(0.02):
            opened.read((2 * at + 2) * BLOCK, 9)
    until = time.monotonic() + 5
    while any(thread.name == "remote" for thread in threading.enumerate()):
        assert time.monotonic() < until, "they hold all places of those who ask"
        time.sleep(0.02)
    with pytest.raises(RemoteError, match="did not answer"):
        opened.read(13 * BLOCK, 9)


def test_nor_for_the_look_up_of_a_name(monkeypatch: pytest.MonkeyPatch, web: Web) -> None:
    held = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: held.wait(20))
    started = time.monotonic()
    with pytest.raises(RemoteError, match="did not answer"):
        RemoteFile(web.address("/a.bw", timeout=0.4)).open()
    assert time.monotonic() - started < 0.8
    held.set()


def test_parts_of_an_answer_share_its_time(web: Web) -> None:
    file = web.add("/a.bw", LARGE)
    opened = RemoteFile(web.address("/a.bw", timeout=1.0)).open()
    file.seconds = 0.4
    started = time.monotonic()

    def read_all() -> None:
        for block in range(1, 9):
            opened.read(block * BLOCK, 1)

    with one_answer(1.0), pytest.raises(RemoteError, match="did not answer"):
        read_all()
    assert time.monotonic() - started < 1.3
    with no_longer_than(0.1), pytest.raises(RemoteError, match="did not answer"):
        opened.read(9 * BLOCK, 1)
    time.sleep(0.5)
    assert opened.read(9 * BLOCK, 1) == LARGE[9 * BLOCK : 9 * BLOCK + 1], "it came for who asks next"


def test_parts_of_an_answer_share_its_bytes(web: Web) -> None:
    file = web.add("/a.bw", LARGE)
    opened = RemoteFile(web.address("/a.bw", max_bytes=4 * BLOCK)).open()
    file.asked.clear()

    def read_all() -> None:
        for block in range(1, 9):
            opened.read(block * BLOCK, 1)

    with one_answer(5), pytest.raises(RemoteError, match="are the most for one answer") as caught:
        read_all()
    assert len(file.asked) == 4
    assert "max_bytes" in str(caught.value)
    with pytest.raises(RemoteError, match="are the most for one answer"):
        opened.read(5 * BLOCK, 6 * BLOCK)
    assert len(file.asked) == 4, "nothing is asked for in vain"
    assert opened.read(5 * BLOCK, 1) == LARGE[5 * BLOCK : 5 * BLOCK + 1], "the next answer has its own"


def test_a_failed_file_is_tried_again_later(
    web: Web, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(remote, "PAUSE", 0.3)
    served = web.add("/a.bw", CONTENT, "404", "404", "ranges")
    file = RemoteFile(web.address("/a.bw?key=s3cret"))
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            with pytest.raises(RemoteError, match="answers 404"):
                file.open()
        assert len(served.asked) == 1
        time.sleep(0.35)
        with pytest.raises(RemoteError, match="answers 404"):
            file.open()
        time.sleep(0.35)
    assert file.open().read(0, 5) == CONTENT[:5]
    assert len(caplog.records) == 1, "and the terminal hears of it once"
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("etag", [None, '"two"'])
def test_a_file_that_changed_is_noticed_and_opened_anew(web: Web, etag: str | None) -> None:
    served = web.add("/a.bw", CONTENT)
    file = RemoteFile(web.address("/a.bw"))
    opened = file.open()
    changed = LARGE if etag is None else bytes(len(CONTENT))
    served.content, served.etag = changed, etag or served.etag
    with pytest.raises(RemoteChangedError, match="it changed at its server"):
        opened.read(BLOCK, 5)
    with pytest.raises(RemoteChangedError):
        opened.read(0, 5)
    again = file.open()
    assert (again.size, again.read(0, 9)) == (len(changed), changed[:9])


def test_a_file_that_became_shorter_is_noticed(web: Web) -> None:
    served = web.add("/a.bw", CONTENT)
    file = RemoteFile(web.address("/a.bw"))
    opened = file.open()
    served.content = CONTENT[:100]
    with pytest.raises(RemoteChangedError):
        opened.read(2 * BLOCK, 5)
    assert file.open().read(0, 200) == CONTENT[:100]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Version(5), Version(5), True),
        (Version(5), Version(6), False),
        (Version(5, '"a"', "Mon"), Version(5, '"a"', "Tue"), True),
        (Version(5, '"a"'), Version(5, '"b"'), False),
        (Version(5, None, "Mon"), Version(5, '"b"', "Mon"), True),
        (Version(5, None, "Mon"), Version(5, None, "Tue"), False),
    ],
)
def test_what_tells_versions_apart(one: Version, other: Version, same: bool) -> None:
    assert one.same(other) is same


def test_permitted_redirects_are_followed_and_kept_to(web: Web) -> None:
    first = web.add("/data/a.bw", b"", "redirect /files/real.bw?sig=1")
    real = web.add("/files/real.bw", CONTENT)
    opened = RemoteFile(web.address("/data/a.bw", "/data/", "/files/")).open()
    assert opened.read(0, 5) + opened.read(2 * BLOCK, 5) == CONTENT[:5] + CONTENT[2 * BLOCK : 2 * BLOCK + 5]
    assert (len(first.asked), len(real.asked)) == (1, 2)
    real.ways = ["403", "ranges"]
    assert opened.read(3 * BLOCK, 5) == CONTENT[3 * BLOCK : 3 * BLOCK + 5], "the link had run out, and another is given"
    assert (len(first.asked), len(real.asked)) == (2, 4)


def test_environment_names_no_proxy(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    web.add("/a.bw", CONTENT)
    assert RemoteFile(web.address("/a.bw")).open().size == len(CONTENT)


def test_a_slow_server_holds_few_threads(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_QUEUE", 2)
    served = web.add("/a.bw", CONTENT)
    file = RemoteFile(web.address("/a.bw", timeout=2))
    opened = file.open()
    served.ways = ["hang"]

    def read() -> None:
        with pytest.raises(TracksError):
            opened.read(BLOCK, 1)

    waiting = [threading.Thread(target=read) for _ in range(2)]
    for thread in waiting:
        thread.start()
    time.sleep(0.2)
    started = time.monotonic()
    with pytest.raises(RemoteError, match="2 others wait for it already"):
        opened.read(2 * BLOCK, 1)
    assert time.monotonic() - started < 2
    web.free.set()
    for thread in waiting:
        thread.join(10)


def test_it_reads_as_a_file_does(web: Web) -> None:
    web.add("/a.bw", CONTENT)
    stream = RemoteStream(remote_file(web.address("/a.bw")).open())
    assert (stream.readable(), stream.seekable()) == (True, True)
    assert stream.seek(-10, 2) == len(CONTENT) - 10 == stream.tell()
    assert stream.read() == CONTENT[-10:]
    assert stream.seek(5) == 5
    assert stream.seek(5, 1) == 10
    assert (stream.read(3), stream.tell()) == (CONTENT[10:13], 13)
    web.files["/a.bw"].ways = ["404"]
    stream.seek(2 * BLOCK)
    with pytest.raises(OSError, match="answers 404") as caught:
        stream.read(5)
    assert stream.failure is not None
    assert web.base not in str(caught.value)


def test_all_readers_of_an_address_share_what_is_kept(web: Web) -> None:
    served = web.add("/a.bw", CONTENT)
    address = web.address("/a.bw")
    assert remote_file(address) is remote_file(web.address("/a.bw"))
    assert identity(address) == f'{web.base}/a.bw {len(CONTENT)} "one" None'
    assert remote_file(address).open().read(0, 5) == CONTENT[:5]
    assert len(served.asked) == 1
    assert all(one != other for one, other in pairwise([identity(address), str(address)]))
