"""``tracks serve`` and ``tracks demo`` as processes: what they say, where they listen, how they end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import server.serve
from server.serve import HOST, PORT, _listening, _shown
from tracks.errors import UsageError

COMMAND = """
import sys, pathlib
import server.serve
server.serve.STATIC = pathlib.Path(sys.argv.pop(1))
from tracks.cli import main
main()
"""

SLOW = """
import time
from model.predict import Predictor
def slow(self, *_, **__):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        time.sleep(0.1)
Predictor.inputs = slow
"""
"""A model that takes a minute a window."""

not_windows = pytest.mark.skipif(os.name == "nt", reason="interrupts are sent otherwise there")


@contextmanager
def started(page: Path, *words: object, before: str = "", **environment: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", before + COMMAND, str(page), *map(str, words)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def link(process: subprocess.Popen[str]) -> str:
    """The address that a server prints, with the token if there is one."""
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.fullmatch(r"Tracks is at (http://\S+:\d+/\S*)  \(Ctrl-C stops it\)\n", line)
    assert found is not None, line + (process.stderr.read() if process.stderr else "")
    return found[1]


def get(url: str, **headers: str) -> Any:
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
        assert "waitress" not in str(answer.headers)
        return json.loads(answer.read())


@not_windows
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_serve_prints_one_address_answers_there_and_stops_when_told(
    static: Path, project: Path, model_folder: Path, tmp_path: Path, end: signal.Signals
) -> None:
    options = ("--no-browser", "--port", 0, "--device", "cpu", "--threads", 1, "--max-view", "500kb")
    options += ("--precision", "bf16", "--ensemble", "rc")
    with started(static, "serve", project, "--model", model_folder, "--store", tmp_path / "store", *options) as process:
        address = link(process)
        assert address.startswith("http://127.0.0.1:")
        assert get(f"{address}api/page")["limits"] == {"viewBases": 500_000}
        status = get(f"{address}api/status")
        assert (status["device"], status["precision"]) == ("cpu", "bf16, rc")
        process.send_signal(end)
        rest, errors = process.communicate(timeout=60)
        assert (process.returncode, rest, errors) == (0, "", "")


@not_windows
def test_it_stops_within_seconds_with_streams_open_and_a_window_being_computed(
    static: Path, project: Path, model_folder: Path, tmp_path: Path
) -> None:
    words = ("serve", project, "--model", model_folder, "--store", tmp_path / "store", "--port", 0, "--no-browser")
    with started(static, *words, before=SLOW) as process, ExitStack() as streams:
        address = link(process)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for number in range(5):
            stream = streams.enter_context(opener.open(f"{address}api/events?s=client-{number}", timeout=60))
            assert stream.readline() == b"retry: 2000\n"
        get(f"{address}api/v1/tiles/?d=predicted-bins-lmnb1_lad_liver.3.0&s=client-0&view=0-100000")
        until = time.monotonic() + 30
        while get(f"{address}api/status")["state"] != "computing":
            assert time.monotonic() < until
            time.sleep(0.05)
        told = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert time.monotonic() - told < 15
        assert (process.returncode, errors) == (0, "")


@not_windows
def test_it_stops_within_seconds_with_readers_of_virtual_files(
    static: Path, project: Path, model_folder: Path, tmp_path: Path
) -> None:
    words = ("serve", project, "--model", model_folder, "--store", tmp_path / "store", "--port", 0, "--no-browser")
    with started(static, *words, before=SLOW) as process, ExitStack() as readers:
        address = link(process)
        file = re.search(r"bigDataUrl http://[^/]+(/virtual/\S+)", get(f"{address}api/browsers")["hub"]["text"])
        assert file is not None
        # One that does not read what it asked for, and one that waits for a window.
        for asked in ("bytes=0-", "bytes=-400000"):
            reader = readers.enter_context(socket.socket())
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
            reader.connect(("127.0.0.1", int(address.rstrip("/").rpartition(":")[2])))
            reader.sendall(f"GET {file[1]} HTTP/1.1\r\nHost: 127.0.0.1\r\nRange: {asked}\r\n\r\n".encode())
        until = time.monotonic() + 30
        while get(f"{address}api/status")["state"] != "computing":
            assert time.monotonic() < until
            time.sleep(0.05)
        told = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert time.monotonic() - told < 4.9, "it waited for readers, which are given five seconds"
        assert (process.returncode, errors) == (0, "")


@not_windows
def test_a_second_interrupt_ends_it_at_once(static: Path, project: Path, model_folder: Path, tmp_path: Path) -> None:
    slow_end = "import server.predictions, time\nserver.predictions.Predictions.stop = lambda *_: time.sleep(60)\n"
    words = ("serve", project, "--model", model_folder, "--store", tmp_path / "store", "--port", 0, "--no-browser")
    with started(static, *words, before=slow_end) as process:
        link(process)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == -signal.SIGINT


@not_windows
def test_another_address_needs_the_token_of_the_link(
    static: Path, project: Path, model_folder: Path, tmp_path: Path
) -> None:
    words = ("serve", project, "--model", model_folder, "--store", tmp_path / "store", "--port", 0, "--no-browser")
    file = tmp_path / "token"
    tokens = []
    for _ in range(2):
        with started(static, *words, "--host", "0.0.0.0", "--token-file", file) as process:
            found = re.fullmatch(r"http://([^:]+):(\d+)/\?token=([\w-]{32})", link(process))
            assert found is not None
            assert found[1] != "0.0.0.0"
            tokens.append(found[3])
            address = f"http://127.0.0.1:{found[2]}/api/status"
            with pytest.raises(urllib.error.HTTPError, match="401"):
                get(address)
            assert get(address, Authorization=f"Bearer {tokens[-1]}")["state"]
    assert tokens[0] == tokens[1] == file.read_text().strip()
    assert file.stat().st_mode & 0o077 == 0


def test_the_environment_may_hold_the_token(static: Path, project: Path, model_folder: Path, tmp_path: Path) -> None:
    words = ("serve", project, "--model", model_folder, "--store", tmp_path / "store", "--port", 0, "--no-browser")
    with started(static, *words, TRACKS_TOKEN="x" * 20) as process:
        assert link(process).endswith(f"/?token={'x' * 20}")
    with started(static, *words, TRACKS_TOKEN="short") as process:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 2
        assert errors.startswith("tracks: error: the environment's TRACKS_TOKEN holds no token")
        assert errors.count("\n") == 1


def test_the_next_free_port_is_taken_unless_one_was_asked_for() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} cannot be used .*--port"):
            _listening(HOST, port)
    with _listening(HOST, None) as first, _listening(HOST, None) as second:
        ports = [listener.getsockname()[1] for listener in (first, second)]
        assert PORT <= ports[0] < ports[1]
        assert first.getsockname()[0] == "127.0.0.1"


def test_a_host_that_is_not_this_machine_is_said() -> None:
    for host, said in (("192.0.2.1", "not an address of this machine"), ("no.such.name.invalid", "no.such.name")):
        with pytest.raises(UsageError, match=said):
            _listening(host, 0)


def test_the_link_names_an_address_that_others_reach() -> None:
    assert _shown("tower", "10.0.0.5") == "tower"
    assert _shown("::1", "::1") == "[::1]"
    assert _shown("0.0.0.0", "0.0.0.0") not in ("0.0.0.0", "")


@pytest.mark.parametrize("command", ["demo", "serve"])
def test_without_the_built_page_it_says_how_to_build_it(
    cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, project: Path, command: str
) -> None:
    monkeypatch.setattr(server.serve, "STATIC", tmp_path)
    result = cli(command, "--no-browser", *([project] if command == "serve" else []))
    assert result.exit_code == 2
    assert "make setup" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "."], "not a model folder"),
        (["--head", "nothing"], "nothing"),
        (["--port", "99999"], "--port"),
        (["--host", "192.0.2.1"], "address of this machine"),
        (["--host", "0.0.0.0", "--public", "--token-file", "token"], "--public"),
        (["--cors", "lab.example"], "https://lab.example"),
        (["--cors", "*"], "--public"),
        (["--max-view", "2 parsecs"], "2Mb"),
        (["--max-view", "0"], "2Mb"),
        (["--device", "abacus"], "abacus"),
        (["--stride", "7"], "stride"),
        (["--stride", "0"], "stride"),
        (["--store", "tracks.toml/x"], "store"),
    ],
)
def test_a_wrong_option_is_one_line(
    cli: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    static: Path,
    project: Path,
    model_folder: Path,
    tmp_path: Path,
    options: list[str],
    said: str,
) -> None:
    monkeypatch.setattr(server.serve, "STATIC", static)
    monkeypatch.chdir(tmp_path)
    Path("tracks.toml").write_text("")
    result = cli("serve", project, "--no-browser", "--model", model_folder, *options)
    assert result.exit_code == (1 if "--store" in options else 2)
    assert said in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.output
    assert "Tracks is at" not in result.stdout


def test_the_demo_refuses_a_stride_of_nothing(
    cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, static: Path, model_folder: Path
) -> None:
    monkeypatch.setattr(server.serve, "STATIC", static)
    result = cli("demo", "--no-browser", "--model", model_folder, "--stride", "0")
    assert (result.exit_code, "stride" in result.stderr) == (2, True)


def test_without_a_project_it_names_the_demo(
    cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, static: Path
) -> None:
    monkeypatch.setattr(server.serve, "STATIC", static)
    monkeypatch.chdir(tmp_path)
    result = cli("serve", "--no-browser")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "tracks demo" in result.stderr
    missing = cli("serve", "nothing.toml")
    assert missing.exit_code == 2
    assert "nothing.toml" in missing.stderr


def test_the_demo_is_another_name_for_the_embedded_project(static: Path, model_folder: Path, tmp_path: Path) -> None:
    words = ("demo", "--no-browser", "--port", 0, "--model", model_folder, "--store", tmp_path / "store")
    with started(static, *words) as process:
        page = get(f"{link(process)}api/page")
        assert (page["assembly"], page["model"]["name"]) == ("hg19", "tiny")


def test_no_text_browser_is_started_where_there_is_no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not server.serve._has_browser()
    monkeypatch.setenv("DISPLAY", ":0")
    assert server.serve._has_browser()
