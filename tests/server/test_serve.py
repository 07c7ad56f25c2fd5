"""``tracks demo`` as a process: what it says, where it listens, how it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import Result

import server.serve
from server.serve import HOST, PORT, _listening
from tracks.errors import UsageError

COMMAND = """
import sys, pathlib
import server.serve, server.app
static = pathlib.Path(sys.argv.pop(1))
server.serve.STATIC = static
from tracks.cli import main
main()
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    static = tmp_path / "static"
    static.mkdir()
    (static / "index.html").write_text("<title>Tracks</title>")
    return static


@contextmanager
def demo(page: Path, *options: str | Path) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-c", COMMAND, str(page), "demo", "--no-browser", *map(str, options)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.skipif(os.name == "nt", reason="interrupts are sent otherwise there")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_one_address_answers_there_and_stops_when_told(
    page: Path, project: Path, model_folder: Path, tmp_path: Path, end: signal.Signals
) -> None:
    with demo(page, "--project", project, "--model", model_folder, "--store", tmp_path / "store") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        assert address is not None, line + (process.stderr.read() if process.stderr else "")
        with urllib.request.urlopen(f"{address[0]}api/progress", timeout=30) as answer:
            assert answer.status == 200
            assert "waitress" not in str(answer.headers)
        process.send_signal(end)
        rest, errors = process.communicate(timeout=60)
        assert process.returncode in (0, 130)
        assert "Traceback" not in errors
        assert rest == ""


def test_the_next_free_port_is_taken_unless_one_was_asked_for() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} cannot be used .*--port"):
            _listening(port)
    with _listening(None) as first, _listening(None) as second:
        ports = [listener.getsockname()[1] for listener in (first, second)]
        assert PORT <= ports[0] < ports[1]
        assert first.getsockname()[0] == "127.0.0.1"


def test_without_the_built_page_it_says_how_to_build_it(
    cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(server.serve, "STATIC", tmp_path)
    result = cli("demo", "--no-browser")
    assert result.exit_code == 2
    assert "make setup" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "."], "not a model folder"),
        (["--project", "nothing.toml"], "nothing.toml"),
        (["--port", "99999"], "--port"),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_2(
    cli: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    page: Path,
    project: Path,
    options: list[str],
    said: str,
) -> None:
    monkeypatch.setattr(server.serve, "STATIC", page)
    result = cli("demo", "--no-browser", "--project", project, *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_no_text_browser_is_started_where_there_is_no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not server.serve._has_browser()
    monkeypatch.setenv("DISPLAY", ":0")
    assert server.serve._has_browser()
