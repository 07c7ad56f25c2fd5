"""``tracks demo``: the page in the browser, served from this machine to this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import webbrowser
from typing import TYPE_CHECKING, Any

import waitress.server

from model.folder import demo_model_folder
from server.app import STATIC, create_app
from server.site import Site
from tracks.errors import TracksError, UsageError
from tracks.genome import demo_genome
from tracks.grid import WINDOW
from tracks.store import Store, default_store_folder

if TYPE_CHECKING:
    from pathlib import Path

HOST = "127.0.0.1"
PORT = 8765

_PORTS_TRIED = 100
_THREADS = 8


def demo(
    project: Path | None = None,
    *,
    model: Path | None = None,
    head: str | None = None,
    stride: int = WINDOW,
    store: Path | None = None,
    port: int | None = None,
    browser: bool = True,
) -> None:
    """Serve the page of a project until it is interrupted: one process, one model, on the loopback address.

    Without arguments it shows the data and the model that ship with the package, on port 8765 or the next free one.
    Predictions are computed in the background from the moment that the address is printed. Raises UsageError when
    ``port`` is taken or the page was not built, TracksError when a file cannot be used.
    """
    if not (STATIC / "index.html").is_file():
        raise UsageError("the page was not built: run `make setup` (it needs Node.js), then try again")
    with _listening(port) as listener:
        predictions = Store(store or default_store_folder())
        site = Site(project or demo_project(), model or demo_model_folder(), predictions, head, stride)
        server = waitress.server.create_server(
            create_app(site), sockets=[listener], threads=_THREADS, ident=None, max_request_header_size=1 << 16
        )
        address = f"http://{HOST}:{listener.getsockname()[1]}/"
        site.predictions.start()
        # A terminated server ends as an interrupted one does: after the window it is at.
        signal.signal(signal.SIGTERM, _interrupt)
        sys.stdout.write(f"Tracks is at {address}  (Ctrl-C stops it)\n")
        sys.stdout.flush()
        if browser and _has_browser():
            threading.Thread(target=_open_browser, args=(address,), daemon=True).start()
        try:
            server.run()
        finally:
            server.close()
            site.predictions.stop()


def demo_project() -> Path:
    """Return the project file of the data that ships with the package."""
    return demo_genome().with_name("tracks.toml")


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _listening(port: int | None) -> socket.socket:
    """Bind the port, or, when none is asked for, the first free one from 8765."""
    for candidate in [port] if port is not None else range(PORT, PORT + _PORTS_TRIED):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if os.name != "nt":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, candidate))
            listener.listen()
        except OSError as error:
            listener.close()
            if port is not None:
                raise UsageError(
                    f"port {port} cannot be used ({error.strerror}); give another one with --port"
                ) from error
        else:
            return listener
    raise TracksError(f"no free port from {PORT} to {PORT + _PORTS_TRIED - 1}; give one with --port")


def _has_browser() -> bool:
    # Without a screen Python would start a text browser in this very terminal.
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open_browser(address: str) -> None:
    with contextlib.suppress(webbrowser.Error, OSError):  # the address is on the terminal anyway
        webbrowser.open(address)
