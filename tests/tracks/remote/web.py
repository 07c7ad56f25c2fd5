"""A real HTTP server on this machine, with files that it gives well, badly, slowly or not at all."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tracks.remote.address import Address, Rules, parse_address, parse_prefix


class File:
    """A file of the server: its content and how it is answered for. ``ways`` are used up one for each question, and the
    last one stays."""

    def __init__(self, content: bytes, *ways: str, etag: str | None = '"one"') -> None:
        self.content, self.ways, self.etag = content, list(ways) or ["ranges"], etag
        self.seconds = 0.0
        self.asked: list[str] = []
        self.hosts: list[str] = []
        self.most_at_once = self.now = 0
        self.lock = threading.Lock()


class Web:
    """The server: ``files`` by path, ``base`` its address."""

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self.connections = 0
        self.free = threading.Event()
        web = self

        class Handler(_Handler):
            site = web

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def add(self, path: str, content: bytes, *ways: str, etag: str | None = '"one"') -> File:
        self.files[path] = File(content, *ways, etag=etag)
        return self.files[path]

    def rules(self, *prefixes: str, timeout: float = 5.0, max_bytes: int = 64 << 20) -> Rules:
        return Rules(tuple(parse_prefix(self.base + prefix) for prefix in prefixes or ("/",)), timeout, max_bytes)

    def address(self, path: str, *prefixes: str, timeout: float = 5.0, max_bytes: int = 64 << 20) -> Address:
        return self.rules(*prefixes, timeout=timeout, max_bytes=max_bytes).check(parse_address(self.base + path))

    def close(self) -> None:
        self.free.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that go away are what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Web

    def setup(self) -> None:
        super().setup()
        self.site.connections += 1

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        file = self.site.files.get(self.path.partition("?")[0])
        if file is None:
            self._send(404, b"nothing here")
            return
        with file.lock:
            way = file.ways.pop(0) if len(file.ways) > 1 else file.ways[0]
            file.asked.append(self.headers.get("Range", ""))
            file.hosts.append(self.headers.get("Host", ""))
            file.now += 1
            file.most_at_once = max(file.most_at_once, file.now)
        try:
            time.sleep(file.seconds)
            with suppress(BrokenPipeError, ConnectionResetError):
                self._answer(file, way)
        finally:
            with file.lock:
                file.now -= 1

    def _answer(self, file: File, way: str) -> None:
        size = len(file.content)
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        first, last = (int(found[1]), min(int(found[2]), size - 1)) if found else (0, size - 1)
        marks = {"ETag": file.etag} if file.etag else {}
        if way.startswith("redirect "):
            self._send(302, b"", {"Location": way.split(" ", 1)[1]})
        elif way.isdigit():
            self._send(int(way), b"no")
        elif way == "whole":
            self._send(200, file.content, marks)
        elif way == "whole, no length":
            self.close_connection = True
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(file.content)
        elif way == "hang":
            self.site.free.wait(30)
        elif way == "reset":
            self.close_connection = True
        elif way == "no http":
            self.wfile.write(b"\x00\x01\x02 what is this\r\n\r\n")
            self.close_connection = True
        elif first >= size:
            self._send(416, b"", {"Content-Range": f"bytes */{size}", **marks})
        else:
            self._part(file, way, first, last, marks)

    def _part(self, file: File, way: str, first: int, last: int, marks: dict[str, str]) -> None:
        size, data = len(file.content), file.content[first : last + 1]
        said = {"Content-Range": f"bytes {first}-{last}/{size}", **marks}
        if way == "elsewhere":
            said["Content-Range"] = f"bytes {first + 1}-{last + 1}/{size + 1}"
        elif way == "no range said":
            del said["Content-Range"]
        elif way == "compressed":
            said["Content-Encoding"] = "gzip"
        if way == "drip":
            self._head(206, len(data), said)
            for at in range(len(data)):
                self.wfile.write(data[at : at + 1])
                if self.site.free.wait(0.2):
                    return
        elif way == "drip of headers":
            self.wfile.write(b"HTTP/1.1 206 Partial Content\r\n")
            while not self.site.free.wait(0.2):
                self.wfile.write(b"X: y\r\n")
        elif way == "half":
            self._head(206, len(data), said)
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
        else:
            self._send(206, data, said)
            self.close_connection = way == "ranges, then closed"

    def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, len(data), headers or {})
        self.wfile.write(data)


@contextmanager
def serving() -> Iterator[Web]:
    web = Web()
    try:
        yield web
    finally:
        web.close()
