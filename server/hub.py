"""A site's tracks for other browsers, live: the hub, IGV sessions, a JBrowse configuration, and observed files."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

from flask import Response, jsonify, request, send_file
from werkzeug.exceptions import NotFound

from server.live_hub import LiveHub
from server.ranges import UnsatisfiableError, parse_range
from server.security import Access
from tracks.errors import UsageError
from tracks.hub.files import CUSTOM, HUB_TXT, IGV_JSON, IGV_XML, JBROWSE, SIZES
from tracks.hub.igv import session_json, session_xml
from tracks.hub.jbrowse import jbrowse_config
from tracks.hub.links import custom_tracks
from tracks.hub.stanzas import hub_text

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask

    from server.live_hub import Virtual
    from server.site import Site
    from tracks.hub.model import Hub

_CACHED = {"Cache-Control": "no-cache"}
"""What is here is cheap to make, and names addresses that change with the model."""


def add_hub(
    app: Flask, site: Site, virtual: Virtual, base_url: str | None = None, access: Access | None = None
) -> None:
    """Add ``/hub/...``, ``/files/<slug>.bw`` and ``/api/browsers`` to an application.

    ``base_url`` is the server's address as others reach it; without it that by which it was asked. The token of
    ``access`` is written into every address, since the programs that read these keep no cookie. A session or a
    configuration that is asked for with ``?download=1`` is one to save, under a name of the project's own.
    """
    live = LiveHub(site, virtual, access or Access())

    def base() -> str:
        return (base_url or request.host_url).rstrip("/")

    def hub() -> Hub:
        return live.hub(base(), request.args.get("region"))

    def text(made: str, kind: str = "text/plain") -> Response:
        return Response(made, mimetype=kind, headers=_CACHED)

    def saved(made: str, kind: str) -> Response:
        response = text(made, kind)
        if request.args.get("download"):
            name = live.file_name(request.path.rpartition("/")[2])
            response.headers.set("Content-Disposition", "attachment", filename=name)
        return response

    @app.get(f"/hub/{HUB_TXT}")
    def hub_txt() -> Response:
        return text(hub_text(hub()))

    @app.get(f"/hub/{IGV_XML}")
    def igv_xml() -> Response:
        return saved(session_xml(hub()), "application/xml")

    @app.get(f"/hub/{IGV_JSON}")
    def igv_json() -> Response:
        return saved(session_json(hub(), live.address(base(), f"/hub/{SIZES}")), "application/json")

    @app.get(f"/hub/{JBROWSE}")
    def jbrowse() -> Response:
        return saved(jbrowse_config(hub(), live.address(base(), f"/hub/{SIZES}")), "application/json")

    @app.get(f"/hub/{CUSTOM}")
    def custom() -> Response:
        return text(custom_tracks(hub()))

    @app.get(f"/hub/{SIZES}")
    def sizes() -> Response:
        return text("".join(f"{chrom}\t{length}\n" for chrom, length in site.genome.chrom_sizes.items()))

    @app.get("/hub/<name>.html")
    def page(name: str) -> Response:
        return text(live.page(hub(), name), "text/html")

    @app.get("/hub/<name>.bb")
    def bigbed(name: str) -> Response:
        data = live.bigbed(name)
        tag = hashlib.sha256(data).hexdigest()[:32]
        return _by_ranges(io.BytesIO(data), len(data), tag)

    @app.get("/files/<slug>.bw")
    def observed(slug: str) -> Response:
        path = live.observed_file(slug)
        try:
            return _by_ranges(path, path.stat().st_size, True)
        except FileNotFoundError as error:
            raise NotFound(f"the observed file of '{slug[:80]}' is no longer there") from error

    @app.get("/api/browsers")
    def browsers() -> Response:
        return jsonify(live.browsers(hub(), base(), request.args.get("region")))


def _by_ranges(source: Path | io.BytesIO, size: int, etag: str | bool) -> Response:
    """Answer with a file, or the range of it that is asked for."""
    # Looked at first: where send_file refuses a range it leaves the file open, and it refuses the last bytes of a file
    # that has fewer than are asked for.
    try:
        asked = parse_range(request.headers.get("Range"), size)
    except (UnsatisfiableError, UsageError):
        headers = {"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"}
        words = f"ask for one range of these {size} bytes, such as bytes=0-1023\n"
        return Response(words, 416, headers, mimetype="text/plain")
    request.environ.pop("HTTP_RANGE", None)
    if asked.part:
        request.environ["HTTP_RANGE"] = f"bytes={asked.first}-{asked.last - 1}"
    response = send_file(source, "application/octet-stream", conditional=True, etag=etag, max_age=0)
    response.headers["Accept-Ranges"] = "bytes"
    return response
