"""The server as a process: it checks, listens, says where, and stops within seconds when it is told to.

One process and one model. Each stream of events holds a thread for as long as a page is open, and each answer of a
virtual file for as long as it is read, so there are more threads than both together.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import ipaddress
import logging
import os
import signal
import socket
import sys
import threading
import webbrowser
from typing import TYPE_CHECKING, Any

import torch
import waitress.server

from model.folder import demo_model_folder
from server.app import BODIES, STATIC, create_app
from server.channel import channel_class
from server.predicted import PredictedTileset
from server.predictions import MAX_VIEW
from server.security import access_to
from server.site import Site
from server.stream import STREAMS
from server.virtual_http import READERS
from tracks.errors import TracksError, UsageError
from tracks.genome import demo_project
from tracks.grid import WINDOW
from tracks.method import REFERENCE, Method
from tracks.parallel import allow_open_files
from tracks.project import load_project
from tracks.store import Store, default_store_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

HOST = "127.0.0.1"
PORT = 8765
THREADS = STREAMS + READERS + 16

_PORTS_TRIED = 100
_STOP_SECONDS = 3.0
_OPEN_FILES = 8192
_NOWHERE = "192.0.2.1"


def serve(
    project: Path,
    *,
    model: Path | None = None,
    heads: Sequence[str] = (),
    stride: int = WINDOW,
    store: Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    method: Method = REFERENCE,
    host: str = HOST,
    port: int | None = None,
    public: bool = False,
    token: str | None = None,
    origins: Sequence[str] = (),
    base_url: str | None = None,
    max_view: int = MAX_VIEW,
    fill: bool = False,
    browser: bool = True,
) -> None:
    """Serve the page of a project until SIGINT or SIGTERM; a second one ends the process at once.

    Predictions are computed in the background: of views up to ``max_view`` bases as one looks, and with ``fill`` of the
    whole genome in idle time. ``model`` is by default the one that the project names, else the shipped one. By default
    it leaves one CPU to the requests: with all of them, both it and they take longer while somebody looks
    (benchmarks/server_load.py). Who may ask is said by ``host``, ``public``, ``token``, ``origins`` and ``base_url`` as
    ``security.access_to`` has it.

    A window that is being computed is waited for a few seconds and then left to its thread, so a process that ends next
    should do so by ``os._exit``: at Python's own end libraries abort whose threads still work. Nothing unfinished has
    its final name. Raises UsageError when an option cannot be used or the page was not built, TracksError when a file
    cannot be used.
    """
    if not (STATIC / "index.html").is_file():
        raise UsageError("the page was not built: run `make setup` (it needs Node.js), then try again")
    load_project(project)
    if model is not None and not (model / "model.json").is_file():
        raise UsageError(f"{model} is not a model folder: it has no model.json")
    # The store keeps a few files of each chromosome and head open.
    allow_open_files(_OPEN_FILES)
    stopping = threading.Event()
    with _listening(host, port) as listener, _told_to_stop(stopping):
        address, number = listener.getsockname()[:2]
        access = access_to(host, address, public=public, token=token, origins=origins, base_url=base_url)
        # Cookies are shared by all ports of a machine, and two servers on it have two tokens.
        access = dataclasses.replace(access, cookie=f"tracks-{number}")
        site = Site(
            project,
            model,
            Store(store or default_store_folder()),
            heads,
            stride,
            device=device,
            threads=threads or max(torch.get_num_threads() - 1, 1),
            method=method,
            fill=fill,
            max_view=max_view,
        )
        # A few requests that wait for a thread are no news for a terminal.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        server = waitress.server.create_server(
            create_app(site, STATIC, access, stopping, base_url),
            sockets=[listener],
            threads=THREADS,
            ident=None,
            connection_limit=1000,
            max_request_header_size=1 << 16,
            max_request_body_size=2 * max(BODIES.values()),
            # With this a stream and an export learn that nobody listens any longer.
            channel_request_lookahead=1,
            asyncore_use_poll=os.name != "nt",
        )
        server.channel_class = channel_class(stopping)
        link = f"http://{_shown(host, address)}:{number}/" + (f"?token={access.token}" if access.token else "")
        try:
            with contextlib.suppress(KeyboardInterrupt):
                site.predictions.start()
                threading.Thread(target=_warm_up, args=(site,), name="warm-up", daemon=True).start()
                sys.stdout.write(f"Tracks is at {link}  (Ctrl-C stops it)\n")
                sys.stdout.flush()
                if browser and _has_browser():
                    threading.Thread(target=_open_browser, args=(link,), daemon=True).start()
                server.run()
        finally:
            stopping.set()
            server.close()
            site.predictions.stop(_STOP_SECONDS)


def demo(
    *,
    model: Path | None = None,
    heads: Sequence[str] = (),
    stride: int = WINDOW,
    store: Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    port: int | None = None,
    browser: bool = True,
) -> None:
    """Serve the data that ship with the package, to this machine alone; the small genome is predicted in idle time.

    Ends and raises as ``serve`` does.
    """
    serve(
        demo_project(),
        model=model or demo_model_folder(),
        heads=heads,
        stride=stride,
        store=store,
        device=device,
        threads=threads,
        port=port,
        fill=True,
        browser=browser,
    )


@contextlib.contextmanager
def _told_to_stop(stopping: threading.Event) -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into KeyboardInterrupt, and let the second end the process."""
    kinds = (signal.SIGINT, signal.SIGTERM)

    def interrupt(*_: Any) -> None:
        for kind in kinds:
            signal.signal(kind, signal.SIG_DFL)
        stopping.set()
        raise KeyboardInterrupt

    before = {kind: signal.signal(kind, interrupt) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _listening(host: str, port: int | None) -> socket.socket:
    """Bind the port of a host, or, when none is asked for, the first free one from 8765."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise UsageError(f"cannot listen on '{host}' ({error.strerror}); give an address of this machine") from error
    for candidate in [port] if port is not None else range(PORT, PORT + _PORTS_TRIED):
        listener = socket.socket(family, kind)
        if os.name != "nt":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address[0], candidate, *address[2:]))
            listener.listen()
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRNOTAVAIL:
                raise UsageError(f"cannot listen on '{host}': it is not an address of this machine") from error
            if port is not None:
                raise UsageError(
                    f"port {port} cannot be used ({error.strerror}); give another one with --port"
                ) from error
        else:
            return listener
    raise TracksError(f"no free port from {PORT} to {PORT + _PORTS_TRIED - 1}; give one with --port")


def _shown(host: str, address: str) -> str:
    """Return the host of the link: where all addresses are listened to, the one that other machines reach."""
    found = ipaddress.ip_address(address)
    if found.is_unspecified:
        # No packet is sent for this: it only asks which way one would go.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
            probe.connect((_NOWHERE, 9))
            return str(probe.getsockname()[0])
        return socket.gethostname()
    return f"[{address}]" if found.version == 6 else host


def _warm_up(site: Site) -> None:
    """Make a tile of whatever is not predicted, so that the first page does not wait for libraries and files."""
    for tileset in site.tilesets.values():
        if not isinstance(tileset, PredictedTileset):
            tileset.tiles([f"{tileset.uid}.0.0"])


def _has_browser() -> bool:
    # Without a screen Python would start a text browser in this very terminal.
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open_browser(address: str) -> None:
    with contextlib.suppress(webbrowser.Error, OSError):  # the address is on the terminal anyway
        webbrowser.open(address)
