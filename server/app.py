"""The HTTP face: HiGlass' tile API (facts/viewer.md 1.1), the page, and the few answers the page needs beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import Flask, Response, jsonify, request, send_from_directory
from werkzeug.exceptions import HTTPException

from server.axis import tileset_uid
from server.viewconf import OBSERVED_COLOR, SERVER, VIEW, view_config
from tracks.errors import UsageError
from tracks.regions import join_spans

if TYPE_CHECKING:
    from collections.abc import Iterable

    from server.site import Panel, Site
    from server.tilesets import TileData
    from tracks.regions import Region

STATIC = Path(__file__).parent / "static"
"""The built page (viewer/), which is not in version control."""

TILES_A_REQUEST = 100
"""HiGlass asks for at most 15 tiles at once."""

_BODY_BYTES = 1 << 17
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_HEADERS = {
    # PIXI reads textures from data and blob addresses that it makes itself.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def create_app(site: Site, static: Path = STATIC) -> Flask:
    """Make the Flask application of one site. Nothing that a client sends names a file: tilesets go by uid."""
    app = Flask("server", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = _BODY_BYTES
    app.url_map.strict_slashes = False
    _add_guards(app)
    _add_tile_api(app, site)
    _add_page(app, site, static)
    return app


def _add_guards(app: Flask) -> None:
    @app.before_request
    def only_loopback() -> Any:
        # A page elsewhere may point its own name at 127.0.0.1 (DNS rebinding); its Host gives it away.
        if urlsplit(f"//{request.host}").hostname not in _LOOPBACK:
            return jsonify(error="this server answers on the loopback address only"), 403
        return None

    @app.after_request
    def strict(response: Response) -> Response:
        response.headers.update(_HEADERS)
        if request.path.startswith("/api/"):
            response.headers["Cache-Control"] = "no-store"
        return response

    @app.errorhandler(Exception)
    def as_json(error: Exception) -> Any:
        if isinstance(error, HTTPException):
            return jsonify(error=error.description), error.code
        app.logger.error("%s %s failed", request.method, request.path, exc_info=error)
        return jsonify(error="the server failed at this; its terminal says why"), 500


def _add_tile_api(app: Flask, site: Site) -> None:
    @app.get(f"{SERVER}/tileset_info/")
    def tileset_info() -> Response:
        uids = request.args.getlist("d")[:TILES_A_REQUEST]
        return jsonify(
            {uid: site.tilesets[uid].info() if uid in site.tilesets else {"error": _unknown(uid)} for uid in uids}
        )

    @app.get(f"{SERVER}/tiles/")
    def tiles() -> Response:
        return jsonify(_tiles(site, request.args.getlist("d")))

    @app.post(f"{SERVER}/tiles/")
    def posted_tiles() -> Response:
        # The address holds all ids, and the body those of tracks with options (none here use them): answer both.
        return jsonify(_tiles(site, [*request.args.getlist("d"), *_body_ids()]))

    @app.get(f"{SERVER}/chrom-sizes/")
    def chrom_sizes() -> Any:
        uid = request.args.get("id", site.chrom_sizes.uid)
        if uid != site.chrom_sizes.uid:
            return jsonify(error=_unknown(uid)), 404
        sizes = site.axis.chrom_sizes
        if request.args.get("type") == "json":
            offsets = {"offset": site.axis.offsets} if request.args.get("cum") else {}
            return jsonify(
                {
                    chrom: {"size": size, **{key: of[chrom] for key, of in offsets.items()}}
                    for chrom, size in sizes.items()
                }
            )
        return Response("".join(f"{chrom}\t{size}\n" for chrom, size in sizes.items()), mimetype="text/plain")

    @app.get(f"{SERVER}/available-chrom-sizes/")
    def available_chrom_sizes() -> Response:
        return jsonify(_listing(site, "chromsizes", ""))

    @app.get(f"{SERVER}/tilesets/")
    def tilesets() -> Response:
        return jsonify(_listing(site, request.args.get("dt"), request.args.get("ac", "")))

    @app.get(f"{SERVER}/suggest/")
    def suggest() -> Any:
        if request.args.get("d", site.genes.uid) != site.genes.uid:
            return jsonify(error=_unknown(request.args["d"])), 404
        genes = site.genes.suggest(request.args.get("ac", "")[:100])
        return jsonify(
            [
                {
                    "chr": gene.region.chrom,
                    "txStart": gene.region.start,
                    "txEnd": gene.region.end,
                    "score": 0,
                    "geneName": gene.name,
                }
                for gene in genes
            ]
        )


def _add_page(app: Flask, site: Site, static: Path) -> None:
    @app.get("/")
    def index() -> Response:
        return _file(static, "index.html")

    @app.get("/static/<path:name>")
    def static_file(name: str) -> Response:
        return _file(static, name)

    @app.get("/api/page")
    def page() -> Response:
        return jsonify(_page(site))

    @app.get("/api/locate")
    def locate() -> Any:
        text = request.args.get("q", "")[:200]
        try:
            place = site.locate(text)
        except UsageError as error:
            return jsonify(error=str(error), suggestion=site.nearest(text)), 404
        return jsonify(name=place.name, **_region(site, place.region))

    @app.get("/api/progress")
    def progress() -> Response:
        since = request.args.get("since", 0, type=int)
        now = site.predictions.progress(since)
        return jsonify(
            state=now.state,
            revision=now.revision,
            done=now.done,
            total=now.total,
            failed=now.failed,
            message=now.message,
            changed=join_spans(site.axis.absolute(region) for region in now.changed),
        )

    @app.get("/api/sequence")
    def sequence() -> Response:
        ready = site.sequence.ready.is_set()
        known = [site.axis.absolute(region) for region in site.sequence.regions()] if ready else []
        return jsonify(ready=ready, known=known)


def _file(static: Path, name: str) -> Response:
    response = send_from_directory(static, name)
    response.headers["Cache-Control"] = "no-cache"
    return response


def _unknown(uid: str) -> str:
    return f"no tileset '{uid[:100]}'"


def _body_ids() -> list[str]:
    """Return the tile ids of a POST body, ``[{"tilesetUid", "tileIds"}]``."""
    try:
        parts = json.loads(request.get_data() or b"[]")
        return [f"{part['tilesetUid']}.{tile_id}" for part in parts for tile_id in part["tileIds"]]
    except (ValueError, TypeError, KeyError) as error:
        raise UnreadableBody from error


class UnreadableBody(HTTPException):
    """A POST body that is not what HiGlass sends."""

    code = 400
    description = 'the body should be JSON: [{"tilesetUid": uid, "tileIds": ["zoom.position"]}]'


def _tiles(site: Site, tile_ids: Iterable[str]) -> dict[str, TileData]:
    """Answer tile ids, each for itself: whatever is wrong with one stays inside it (facts T6)."""
    answers: dict[str, TileData] = {}
    for number, tile_id in enumerate(dict.fromkeys(tile_ids)):
        tileset = site.tilesets.get(tileset_uid(tile_id))
        if number >= TILES_A_REQUEST:
            answers[tile_id] = {"error": f"too many tiles in one request: at most {TILES_A_REQUEST}"}
        elif tileset is None:
            answers[tile_id] = {"error": _unknown(tileset_uid(tile_id))}
        else:
            try:
                [(_, answers[tile_id])] = tileset.tiles([tile_id])
            except Exception as error:  # a tile that fails must not blank the others
                answers[tile_id] = {"error": f"this tile failed: {error}"}
    return answers


def _listing(site: Site, datatype: str | None, text: str) -> dict[str, Any]:
    found = [
        {
            "uuid": tileset.uid,
            "name": tileset.name,
            "datatype": tileset.datatype,
            "filetype": tileset.datatype,
            "coordSystem": tileset.coordinates,
        }
        for tileset in site.tilesets.values()
        if datatype in (None, tileset.datatype) and text.lower() in tileset.name.lower()
    ]
    return {"count": len(found), "next": None, "previous": None, "results": found}


def _region(site: Site, region: Region) -> dict[str, Any]:
    start, end = site.axis.absolute(region)
    return {"region": str(region), "chrom": region.chrom, "start": start, "end": end}


def _page(site: Site) -> dict[str, Any]:
    return {
        "name": site.project.name,
        "assembly": site.assembly,
        "model": site.model.name,
        "view": VIEW,
        "viewconf": view_config(site),
        "genes": site.genes.uid,
        "observedColor": OBSERVED_COLOR,
        "chromosomes": [
            {"name": chrom, "start": site.axis.offsets[chrom], "length": length}
            for chrom, length in site.axis.chrom_sizes.items()
        ],
        "loci": [{"name": locus.name, "note": locus.note, **_region(site, locus.region)} for locus in site.loci],
        "folds": [{"fold": block.fold, **_region(site, block.region)} for block in site.blocks],
        "panels": [_described(panel) for panel in site.panels],
    }


def _described(panel: Panel) -> dict[str, Any]:
    track = panel.track
    return {
        "uid": track.slug,
        "name": track.name,
        "assay": track.assay,
        "biosample": track.biosample,
        "unit": track.unit,
        "color": track.color,
        "description": track.description,
        "scale": panel.scale,
        "observed": panel.observed is not None,
        "predicted": panel.predicted is not None,
    }
