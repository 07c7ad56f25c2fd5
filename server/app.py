"""The HTTP face of a site: HiGlass' tile API, the page and what it asks for, and who may ask (``server.security``)."""

from __future__ import annotations

import posixpath
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import Flask, Response, jsonify, redirect, request
from markupsafe import escape
from werkzeug.exceptions import (
    Forbidden,
    HTTPException,
    RequestEntityTooLarge,
    Unauthorized,
    UnsupportedMediaType,
)

from server.higlass_api import add_tile_api
from server.hub import add_hub
from server.page_api import BED_BYTES, PAGES, add_export, add_page, add_predictions
from server.security import FAILED, HEADERS, Access, bearer, other_origin
from server.stream import Streams
from server.viewconfs import LARGEST, ViewConfs
from server.virtual import VirtualFiles
from server.virtual_http import add_virtual
from tracks.errors import TracksError, UsageError
from tracks.remote.errors import RemoteError

if TYPE_CHECKING:
    from server.site import Site

STATIC = Path(__file__).parent / "static"
"""The built page (viewer/), which is not in version control."""

# A JSON text is longer than what it says: each tab and end of a line has two letters.
BODIES = {"/api/v1/tiles": 1 << 17, "/api/v1/viewconfs": LARGEST + (1 << 16), "/api/predict": 2 * BED_BYTES}
"""Bytes that a body may have, by route; elsewhere ``BODY``."""

BODY = 1 << 14

PLUGIN = "/static/plugin/"
"""The plugin, which HiGlass pages of other sites load: open to all, since it holds nothing of the project."""

TOOLS = ("/hub/", "/virtual/", "/files/")
"""Routes of files that other programs read, which keep no cookie: their addresses may hold the token."""

_WRITES = ("POST", "DELETE", "PUT", "PATCH")


def create_app(
    site: Site,
    static: Path = STATIC,
    access: Access | None = None,
    stopping: threading.Event | None = None,
    base_url: str | None = None,
) -> Flask:
    """Make the Flask application of one site. Nothing that a client sends names a file: tilesets go by uid.

    ``access`` says who may ask: by default this machine, under its own names. Setting ``stopping`` ends the streams of
    events and the exports that are being made. ``base_url`` is this server's address as other machines reach it.
    """
    app = Flask("server", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = max(BODIES.values())
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.merge_slashes = False
    stopping = stopping or threading.Event()
    access = access or Access()
    _add_guards(app, access)
    add_tile_api(app, site, ViewConfs(site.store.root / "viewconfs"), lambda: access.tells_all(request.remote_addr))
    add_page(app, site, static)
    add_predictions(app, site, Streams(site.events, site.predictions.leave, stopping))
    add_export(app, site, stopping)
    virtual = VirtualFiles(site)
    add_virtual(app, virtual)
    add_hub(app, site, virtual, base_url, access)
    return app


def _add_guards(app: Flask, access: Access) -> None:
    @app.before_request
    def admit() -> Any:
        if not access.is_us(request.host):
            raise Forbidden("this server does not answer to that name: open the address that it printed")
        origin = other_origin(request.headers, request.host)
        if request.method == "OPTIONS":
            # A browser asks so before the request itself, and without the token.
            return Response(status=204, headers=access.preflight(origin) if origin else {})
        if origin is not None and not _may_ask(access, origin):
            raise Forbidden(f"pages of {origin} may not ask this server; start it with --cors and that origin")
        answer = _check_token(access)
        if request.method in _WRITES:
            _check_body()
        return answer

    @app.after_request
    def strict(response: Response) -> Response:
        response.headers.update(HEADERS)
        if request.path.startswith("/api/"):
            response.headers["Cache-Control"] = "no-store"
        if _asks_plugin():
            response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
            response.headers["Access-Control-Allow-Origin"] = "*"
        origin = other_origin(request.headers, request.host)
        if origin is not None:
            response.headers.update(access.preflight(origin) if request.method == "OPTIONS" else access.cors(origin))
        if access.origins or request.path.startswith(TOOLS):
            response.headers.add("Vary", "Origin")
        if access.token is not None and response.cache_control.public:
            # Who shares a proxy does not share the token.
            response.cache_control.public, response.cache_control.private = False, True
        return response

    @app.errorhandler(Exception)
    def in_words(error: Exception) -> Any:
        code, words, headers = _told(error, access.tells_all(request.remote_addr))
        if code == 500:
            app.logger.error("%s %s failed", request.method, request.path, exc_info=error)
        if request.path in PAGES:
            return Response(f"<!doctype html><title>Tracks</title><p>{escape(words)}</p>", code, headers)
        return jsonify(error=words), code, headers


def _may_ask(access: Access, origin: str) -> bool:
    """Say whether another site's page may ask this. Any may link to ours, and show what lies open in ``static``; what
    is computed, or measured, is for listed ones, also where a page could not read the answer."""
    if access.lists(origin, request.method, request.path):
        return True
    return request.method in ("GET", "HEAD") and not request.path.startswith(("/api/", "/virtual/", "/files/"))


def _asks_plugin() -> bool:
    return posixpath.normpath(request.path).startswith(PLUGIN)


def _check_token(access: Access) -> Response | None:
    """See that a request has the token, where there is one; a page opened with ``?token=`` keeps it as a cookie."""
    if access.token is None or _asks_plugin():
        return None
    in_address = request.args.get("token") if request.path in PAGES or request.path.startswith(TOOLS) else None
    given = in_address or bearer(request.headers) or request.cookies.get(access.cookie)
    if given is None:
        raise Unauthorized("this server needs its token: open the link that it printed")
    if not access.knows(given):
        raise Forbidden("this is not this server's token: open the link that it printed last")
    if in_address is None or request.path not in PAGES:
        return None
    rest = urlencode([(key, value) for key, value in request.args.items(multi=True) if key != "token"])
    response = redirect(f"{request.path}{rest and '?'}{rest}", 303)
    # Not Strict, which a browser does not send on when the link was clicked on a page of another site. What changes
    # anything is refused by its origin.
    response.set_cookie(access.cookie, in_address, httponly=True, samesite="Lax", secure=request.is_secure)
    return response  # type: ignore[return-value]


def _check_body() -> None:
    path = request.path.rstrip("/")
    most = BODIES.get(path, BODY)
    if (request.content_length or 0) > most:
        raise RequestEntityTooLarge(f"the body has {request.content_length:,} bytes; {most:,} are the most here")
    # Another site's form can send any other type without asking first.
    if request.method != "DELETE" and request.mimetype != "application/json":
        raise UnsupportedMediaType("send JSON, with Content-Type: application/json")


def _told(error: Exception, in_full: bool) -> tuple[int, str, dict[str, str]]:
    """Return the status, the words and the headers that tell of an error, ``in_full`` with the files that it names."""
    if isinstance(error, HTTPException):
        code = error.code or 500
        headers = {"Retry-After": "5"} if code == 503 else {}
        if code == 405:
            headers["Allow"] = ", ".join(getattr(error, "valid_methods", None) or ())
        return code, _words(error), headers
    if isinstance(error, UsageError):
        return 400, str(error), {}
    if isinstance(error, RemoteError):
        return 502, str(error) if in_full else error.public, {}
    return 500, str(error) if in_full and isinstance(error, TracksError) else FAILED, {}


def _words(error: HTTPException) -> str:
    if error.code == 404 and error.description == type(error).description:
        return f"there is nothing at {request.path[:200]}"
    return error.description or error.name
