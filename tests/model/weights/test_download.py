"""Downloads from a real server on the loopback address."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import Result

from model.folder import load_trunk
from model.weights.download import PUBLISHED, Published, download
from tracks.errors import TracksError, UsageError


@pytest.fixture(scope="module")
def data(golden: dict[str, Path]) -> bytes:
    return golden["keras2_model.h5"].read_bytes()


@pytest.fixture
def published(data: bytes) -> Published:
    """The golden file as if it were the published one."""
    return replace(PUBLISHED["basenji2"], size=len(data), sha256=hashlib.sha256(data).hexdigest())


@pytest.fixture(scope="module")
def server(data: bytes) -> Iterator[str]:
    """A server with the right file, another one, a longer one, one that it cuts half-way, and a redirect."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/moved.h5":
                self.send_response(302)
                self.send_header("Location", "/right.h5")
                self.end_headers()
                return
            if self.path not in ("/right.h5", "/other.h5", "/cut.h5", "/long.h5"):
                self.send_error(404)
                return
            content = {"/other.h5": data[:-1] + b"?", "/long.h5": data * 9}.get(self.path, data)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # who asked may have gone
                self.wfile.write(content[: len(content) // 2] if self.path == "/cut.h5" else content)

        def log_message(self, *args: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()
    thread.join()


def test_what_is_published() -> None:
    """Facts of cs282a.md section 1.6, by hand."""
    known = PUBLISHED["basenji2"]
    assert known.url == "https://storage.googleapis.com/basenji_barnyard2/model_human.h5"
    assert known.sha256 == "3f74da002918d3e695bbf9e6f8a685e860196679372ba0964bd1faa26a82eed1"
    assert known.size == 120_813_856
    assert 30_123_584 * 4 < known.size < 30_123_584 * 4 * 1.01  # its weights, and little else


@pytest.mark.parametrize("name", ["right.h5", "moved.h5"])
def test_the_right_file(name: str, server: str, published: Published, data: bytes, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = download(published, tmp_path / "new", url=f"{server}/{name}", progress=lambda *done: seen.append(done))
    assert path == tmp_path / "new" / "model_human.h5"
    assert path.read_bytes() == data
    assert list(path.parent.iterdir()) == [path]
    assert seen[-1] == (len(data), len(data))


def test_a_file_that_is_there_is_not_fetched_again(
    server: str, published: Published, data: bytes, tmp_path: Path
) -> None:
    (tmp_path / "model_human.h5").write_bytes(data)
    assert download(published, tmp_path, url=f"{server}/absent").read_bytes() == data


def test_a_wrong_file_that_is_there_is_fetched_anew(
    server: str, published: Published, data: bytes, tmp_path: Path
) -> None:
    (tmp_path / "model_human.h5").write_bytes(data[:100])
    assert download(published, tmp_path, url=f"{server}/right.h5").read_bytes() == data


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("other.h5", "is not model_human.h5 as published: its SHA-256 is not"),
        ("long.h5", "is not model_human.h5 as published: its SHA-256 is not"),
        ("absent.h5", "the server says 404 Not Found"),
        ("cut.h5", "the connection was cut"),
    ],
)
def test_what_goes_wrong_leaves_nothing(
    name: str, says: str, server: str, published: Published, tmp_path: Path
) -> None:
    with pytest.raises(TracksError, match=says) as caught:
        download(published, tmp_path / "new", url=f"{server}/{name}")
    assert f"{server}/{name}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "new").glob("*"))


def test_no_server(published: Published, tmp_path: Path) -> None:
    with pytest.raises(TracksError, match=r"cannot fetch http://127\.0\.0\.1:9/model_human\.h5: no connection"):
        download(published, tmp_path, url="http://127.0.0.1:9/model_human.h5")
    with pytest.raises(UsageError, match="by http or https; found the address file:///etc/passwd"):
        download(published, tmp_path, url="file:///etc/passwd")


def test_the_command_fetches_and_imports(
    server: str, published: Published, cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(PUBLISHED, "basenji2", published)
    words = ("weights", "download", "basenji2", "--url", f"{server}/right.h5", "--cache", tmp_path / "cache")
    done = cli(*words, "-o", tmp_path / "model", "--gelu", "sigmoid")
    assert done.exit_code == 0, done.output
    assert "imported a trunk (GELU sigmoid, embedding of 7 channels) and the head 'targets' of 5 tracks" in done.output
    loaded = load_trunk(tmp_path / "model")
    assert loaded.source["sha256"] == published.sha256
    assert loaded.config.gelu == "sigmoid"


def test_the_command_refuses_another_file(server: str, cli: Callable[..., Result], tmp_path: Path) -> None:
    words = ("weights", "download", "basenji2", "--url", f"{server}/right.h5", "--cache", tmp_path / "cache")
    done = cli(*words, "-o", tmp_path / "model")
    assert done.exit_code == 1
    assert f"what {server}/right.h5 gave is not model_human.h5 as published" in done.stderr
    assert "nothing was kept" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list((tmp_path / "cache").glob("*"))
    assert not (tmp_path / "model").exists()
    needless = cli(*words, "--gelu", "erf")
    assert needless.exit_code == 2
    assert "name a model folder with -o" in needless.stderr
