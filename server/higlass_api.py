"""HiGlass' tile API, as HiGlass 2.3 speaks it (facts/viewer.md 1.1). What is wrong with one tile stays inside it."""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import Response, jsonify, request
from werkzeug.exceptions import BadRequest, NotFound

from server.axis import tileset_uid
from server.fields import client_id, json_object, json_value, view_span
from server.predicted import Asker, PredictedTileset
from server.security import FAILED
from server.tilesets import ObservedTileset, fetch_together
from server.viewconf import SERVER, view_config
from tracks.errors import TracksError, UsageError
from tracks.remote.allowance import no_longer_than
from tracks.remote.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from flask import Flask
    from werkzeug.datastructures import MultiDict

    from server.site import Site
    from server.tilesets import TileData, Tileset
    from server.viewconfs import ViewConfs

TILES_A_REQUEST = 100
"""HiGlass asks for at most 15 tiles at once."""

LISTED = 1000
"""Tilesets on one page of the list."""

_TEXT = 100
"""Letters of a search that are looked at."""

_LOG = logging.getLogger("server")


def add_tile_api(app: Flask, site: Site, viewconfs: ViewConfs, in_full: Callable[[], bool]) -> None:
    """Add the routes below ``/api/v1`` to an application; ``in_full`` says whether who asks may read failures as they
    are, with the files that they name."""

    def answers(ids: Iterable[str]) -> Response:
        # However many of its tiles need another server, one request waits for one time-out.
        with no_longer_than(site.project.files.timeout):
            return jsonify(tiles(site, ids, _asker(site), in_full()))

    @app.get(f"{SERVER}/tileset_info/", strict_slashes=False)
    def tileset_info() -> Response:
        uids = request.args.getlist("d")[:TILES_A_REQUEST]
        return jsonify(
            {uid: site.tilesets[uid].info() if uid in site.tilesets else {"error": unknown(uid)} for uid in uids}
        )

    @app.get(f"{SERVER}/tiles/", strict_slashes=False)
    def get_tiles() -> Response:
        return answers(request.args.getlist("d"))

    @app.post(f"{SERVER}/tiles/", strict_slashes=False)
    def post_tiles() -> Response:
        # The address holds all ids, and the body those of tracks with options (none here use them): answer both.
        return answers([*request.args.getlist("d"), *posted_ids(json_value(request.get_data() or b"[]"))])

    @app.get(f"{SERVER}/chrom-sizes/", strict_slashes=False)
    def chrom_sizes() -> Response:
        _check_uid(request.args.get("id"), site.chrom_sizes)
        sizes, offsets = site.axis.chrom_sizes, site.axis.offsets
        if request.args.get("type") != "json":
            return Response("".join(f"{chrom}\t{size}\n" for chrom, size in sizes.items()), mimetype="text/plain")
        more = {chrom: {"offset": offsets[chrom]} for chrom in sizes} if request.args.get("cum") else {}
        return jsonify({chrom: {"size": size, **more.get(chrom, {})} for chrom, size in sizes.items()})

    @app.get(f"{SERVER}/available-chrom-sizes/", strict_slashes=False)
    def available_chrom_sizes() -> Response:
        return jsonify(listing(site.tilesets.values(), ["chromsizes"]))

    @app.get(f"{SERVER}/tilesets/", strict_slashes=False)
    def tilesets() -> Response:
        asked = request.args
        found = listing(
            site.tilesets.values(),
            asked.getlist("dt"),
            asked.getlist("t"),
            asked.get("ac", "")[:_TEXT],
            asked.get("o", ""),
            "r" in asked,
        )
        return jsonify(paged(found, request.path, asked))

    @app.get(f"{SERVER}/suggest/", strict_slashes=False)
    def suggest() -> Response:
        _check_uid(request.args.get("d"), site.genes)
        genes = site.genes.suggest(request.args.get("ac", "")[:_TEXT])
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

    @app.get(f"{SERVER}/viewconfs/", strict_slashes=False)
    def load_viewconf() -> Response:
        uid = request.args.get("d", "")
        viewconf = view_config(site) if uid == "default" else viewconfs.load(uid)
        if viewconf is None:
            raise NotFound(f"no view configuration '{uid[:_TEXT]}' is kept here")
        return jsonify(viewconf)

    @app.post(f"{SERVER}/viewconfs/", strict_slashes=False)
    def save_viewconf() -> Response:
        viewconf = json_object(request.get_data()).get("viewconf")
        if not isinstance(viewconf, dict) or not isinstance(viewconf.get("views"), list):
            raise BadRequest('the body should be {"viewconf": {"views": [...], ...}}')
        return jsonify(uid=viewconfs.save(viewconf))


def tiles(site: Site, tile_ids: Iterable[str], asker: Asker, in_full: bool) -> dict[str, TileData]:
    """Answer tile ids, each for itself, because one that fails must not blank the others (facts T6)."""
    answers: dict[str, TileData] = {}
    asked = dict.fromkeys(tile_ids)
    found = [(site.tilesets.get(tileset_uid(tile_id)), tile_id) for tile_id in itertools.islice(asked, TILES_A_REQUEST)]
    fetch_together([(one, tile_id) for one, tile_id in found if isinstance(one, ObservedTileset) and one.path is None])
    for number, tile_id in enumerate(asked):
        tileset = site.tilesets.get(tileset_uid(tile_id))
        if number >= TILES_A_REQUEST:
            answers[tile_id] = {"error": f"too many tiles in one request: at most {TILES_A_REQUEST}"}
        elif tileset is None:
            answers[tile_id] = {"error": unknown(tileset_uid(tile_id))}
        else:
            try:
                answers[tile_id] = _tile(tileset, tile_id, asker)
            except UsageError as error:
                answers[tile_id] = {"error": str(error)}
            except RemoteError as error:
                # The file itself has said so in the terminal, once.
                answers[tile_id] = {"error": str(error) if in_full else error.public}
            except Exception as error:
                unforeseen = None if isinstance(error, TracksError) else error
                _LOG.error("the tile %r failed: %s", tile_id[:_TEXT], error, exc_info=unforeseen)
                answers[tile_id] = {"error": f"this tile failed: {error}" if in_full else FAILED}
    return answers


def _tile(tileset: Tileset, tile_id: str, asker: Asker) -> TileData:
    if not isinstance(tileset, PredictedTileset):
        return tileset.tile(tileset.axis.tile(tile_id))
    [(_, answer)] = tileset.tiles_for([tile_id], asker)
    return answer


def posted_ids(body: object) -> list[str]:
    """Return the tile ids of a POST body, ``[{"tilesetUid", "tileIds"}]``. Raises BadRequest when it is another."""
    right = BadRequest('the body should be JSON: [{"tilesetUid": uid, "tileIds": ["zoom.position"]}]')
    try:
        ids = [(part["tilesetUid"], tile_id) for part in body for tile_id in part["tileIds"]]  # type: ignore[attr-defined]
    except (TypeError, KeyError) as error:
        raise right from error
    if not all(isinstance(word, str) for pair in ids for word in pair):
        raise right
    return [f"{uid}.{tile_id}" for uid, tile_id in ids]


def listing(
    tilesets: Iterable[Tileset],
    datatypes: Sequence[str] = (),
    filetypes: Sequence[str] = (),
    text: str = "",
    order: str = "",
    reverse: bool = False,
) -> dict[str, Any]:
    """Return the tilesets of some types (of any, with none named) whose name holds a text, as HiGlass lists them.

    ``order`` names a field to sort by; any other keeps the site's own order.
    """
    found = [
        {
            "uuid": tileset.uid,
            "name": tileset.name,
            "datatype": tileset.datatype,
            "filetype": tileset.datatype,
            "coordSystem": tileset.coordinates,
        }
        for tileset in tilesets
    ]
    found = [
        entry
        for entry in found
        if (not datatypes or entry["datatype"] in datatypes)
        and (not filetypes or entry["filetype"] in filetypes)
        and text.lower() in entry["name"].lower()
    ]
    found.sort(key=lambda entry: entry.get(order, ""))
    if reverse:
        found.reverse()
    return {"count": len(found), "next": None, "previous": None, "results": found}


def paged(found: dict[str, Any], path: str, asked: MultiDict[str, str]) -> dict[str, Any]:
    """Return one page of a listing, from ``offset`` on and ``limit`` long, and where the pages beside it are."""
    limit = min(max(asked.get("limit", LISTED, type=int), 1), LISTED)
    offset = min(max(asked.get("offset", 0, type=int), 0), found["count"])
    others = [(key, value) for key, value in asked.items(multi=True) if key not in ("limit", "offset")]

    def address(start: int) -> str:
        return f"{path}?{urlencode([*others, ('limit', limit), ('offset', start)])}"

    return {
        "count": found["count"],
        "next": address(offset + limit) if offset + limit < found["count"] else None,
        "previous": address(max(offset - limit, 0)) if offset else None,
        "results": found["results"][offset : offset + limit],
    }


def unknown(uid: str) -> str:
    """Say that there is no tileset of that uid."""
    return f"no tileset '{uid[:_TEXT]}'"


def _check_uid(uid: str | None, tileset: Tileset) -> None:
    if uid not in (None, tileset.uid):
        raise NotFound(unknown(str(uid)))


def _asker(site: Site) -> Asker:
    """Return who asks for tiles; whatever of it is not right is as if it were not said."""
    return Asker(client_id(request.args.get("s")) or "", view_span(request.args.get("view", ""), site.axis))
