"""What the page asks for beside tiles: itself, places, the state of the predictions, jobs, and files to take away."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Response, jsonify, request, send_from_directory
from werkzeug.exceptions import BadRequest, NotFound, ServiceUnavailable

from server import export
from server.fields import json_object, needed_client_id, span
from server.predicted import PredictedTileset
from server.tilesets import ObservedTileset
from server.viewconf import page
from tracks.errors import TracksError, UsageError
from tracks.regions import check_chrom, parse_bed, parse_region

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flask import Flask

    from server.site import Site
    from server.stream import Streams
    from tracks.regions import Region

PAGES = frozenset({"/", "/jobs"})
"""The addresses that a person opens."""

BED_BYTES = 4_000_000
BED_LINES = 100_000
EXPORTS = 2
"""Files that may be made at once."""
SENDING = 8
"""Exports that may be under way at once until their last byte is read: each may hold a thread of the server."""

_NAME = 200
_CHUNK = 1 << 16


def add_page(app: Flask, site: Site, static: Path) -> None:
    """Add the page itself, its files, and what describes it."""

    @app.get("/")
    def index() -> Response:
        return _file(static, "index.html")

    @app.get("/jobs")
    def jobs_page() -> Response:
        return _file(static, "jobs.html")

    @app.get("/static/<path:name>")
    def static_file(name: str) -> Response:
        return _file(static, name)

    @app.get("/api/page")
    def describe() -> Response:
        return jsonify(page(site))

    @app.get("/api/locate")
    def locate() -> Any:
        text = request.args.get("q", "")[:_NAME]
        try:
            place = site.locate(text)
        except UsageError as error:
            return jsonify(error=str(error), suggestion=site.nearest(text)), 404
        start, end = site.axis.absolute(place.region)
        return jsonify(name=place.name, region=str(place.region), chrom=place.region.chrom, start=start, end=end)

    @app.get("/api/sequence")
    def sequence() -> Response:
        ready = site.sequence.ready.is_set()
        known = [site.axis.absolute(region) for region in site.sequence.regions()] if ready else []
        return jsonify(ready=ready, known=known)


def add_predictions(app: Flask, site: Site, streams: Streams) -> None:
    """Add what tells of the predictions, and what steers them."""
    predictions = site.predictions

    @app.get("/api/status")
    def status() -> Response:
        return jsonify(instance=streams.instance, **predictions.now().to_json())

    @app.get("/api/overview")
    def overview() -> Response:
        chrom, head = request.args.get("chrom", ""), request.args.get("head", predictions.heads[0])
        try:
            check_chrom(chrom, site.axis.chrom_sizes, "chrom")
            _checked_heads([head], predictions.heads)
        except UsageError as error:
            raise NotFound(str(error)) from error
        return jsonify(predictions.stored.overview(chrom, head))

    @app.get("/api/events")
    def events() -> Response:
        stream = streams.open(
            needed_client_id(request.args.get("s")),
            lambda: predictions.now().to_json(),
            request.headers.get("Last-Event-ID", ""),
            request.environ.get("waitress.client_disconnected", lambda: False),
        )
        if stream is None:
            raise ServiceUnavailable("too many pages are open to be told of every change; this one asks now and then")
        return Response(stream, mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})

    @app.post("/api/view")
    def view() -> Response:
        body = json_object(request.get_data())
        predictions.look(needed_client_id(body.get("client")), span(body.get("start"), body.get("end"), site.axis))
        return jsonify({})

    @app.post("/api/retry")
    def retry() -> Response:
        body = json_object(request.get_data() or b"{}")
        everywhere = "start" not in body and "end" not in body
        predictions.retry(None if everywhere else span(body.get("start"), body.get("end"), site.axis))
        return jsonify({})

    @app.get("/api/predict")
    def estimate() -> Response:
        where = span(request.args.get("start"), request.args.get("end"), site.axis)
        heads = _checked_heads(request.args.getlist("heads"), predictions.heads)
        return jsonify(dataclasses.asdict(predictions.estimate(where, heads)))

    @app.post("/api/predict")
    def predict() -> Any:
        body = json_object(request.get_data())
        heads, name = body.get("heads", []), body.get("name", "")
        if not isinstance(heads, list) or not isinstance(name, str):
            raise BadRequest("heads should be a list of heads' names, and name a text")
        job = site.jobs.submit(
            regions_of(body, site), _checked_heads(heads, predictions.heads), " ".join(name[:_NAME].split())
        )
        return jsonify(job=job.to_json()), 202

    @app.get("/api/jobs")
    def jobs() -> Response:
        return jsonify(jobs=[job.to_json() for job in site.jobs.all()])

    @app.get("/api/jobs/<job_id>")
    def job(job_id: str) -> Response:
        found = site.jobs.get(job_id)
        if found is None:
            raise NotFound(_no_job(job_id))
        return jsonify(job=found.to_json())

    @app.delete("/api/jobs/<job_id>")
    def cancel(job_id: str) -> Response:
        found = site.jobs.cancel(job_id)
        if found is None:
            raise NotFound(_no_job(job_id))
        return jsonify(job=found.to_json())


def add_export(app: Flask, site: Site, stopping: threading.Event) -> None:
    """Add the files to take away. They are made in a folder for temporary files, and gone once they are sent."""
    making, sending = threading.BoundedSemaphore(EXPORTS), threading.BoundedSemaphore(SENDING)

    @app.get("/api/export")
    def export_tileset() -> Response:
        uid = request.args.get("uid", "")
        tileset = site.tilesets.get(uid)
        if not isinstance(tileset, (PredictedTileset, ObservedTileset)):
            raise NotFound(f"no observed or predicted tileset '{uid[:_NAME]}'")
        form = export.check_form(request.args.get("format", "bigwig"))
        part = "start" in request.args or "end" in request.args
        where = span(request.args.get("start"), request.args.get("end"), site.axis) if part else None
        regions = export.exported_regions(site.axis, where)
        name = export.file_name(tileset, form, regions if part else None)
        gone = request.environ.get("waitress.client_disconnected", lambda: False)
        stopped: Callable[[], bool] = lambda: stopping.is_set() or gone()  # noqa: E731
        with contextlib.ExitStack() as held:
            held.enter_context(_one_of(sending, f"{SENDING} exports are being sent already; try again a little later"))
            if isinstance(tileset, ObservedTileset) and tileset.path is not None and form == "bigwig" and not part:
                path = tileset.path
            else:
                with _one_of(making, f"{EXPORTS} exports are being made already; try again when they are done"):
                    path = held.enter_context(_temporary_folder()) / name
                    try:
                        bins = export.export(tileset, form, regions, path, stopped)
                    except export.ExportStoppedError as error:
                        raise ServiceUnavailable("the export was stopped") from error
                if not bins:
                    raise NotFound(_nothing(tileset, part))
            response = _attachment(path, name)
            response.call_on_close(held.pop_all().close)
        return response


@contextlib.contextmanager
def _one_of(places: threading.BoundedSemaphore, words: str) -> Iterator[None]:
    """Hold one of some places. Raises ServiceUnavailable with these words when all are taken."""
    if not places.acquire(blocking=False):
        raise ServiceUnavailable(words)
    try:
        yield
    finally:
        places.release()


@contextlib.contextmanager
def _temporary_folder() -> Iterator[Path]:
    try:
        folder = Path(tempfile.mkdtemp(prefix="tracks-export-"))
    except OSError as error:
        raise TracksError(f"an export needs room in the folder for temporary files: {error.strerror}") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _nothing(tileset: PredictedTileset | ObservedTileset, part: bool) -> str:
    if isinstance(tileset, ObservedTileset):
        return f"{tileset.name}: the file has no value {'there' if part else 'in this genome'}"
    return f"nothing is known of {tileset.name} {'there' if part else 'yet'}; predict it first"


def regions_of(body: dict[str, Any], site: Site) -> list[Region]:
    """Return what a job is asked for: ``region`` as text, ``bed`` as text, or ``start`` and ``end`` on the axis.

    Raises UsageError or BadRequest that says what was wrong, in a BED text by line.
    """
    named = [key for key in ("region", "bed", "start") if key in body]
    if len(named) != 1:
        raise BadRequest('the body should name one of "region", "bed", or "start" with "end"')
    if named == ["start"]:
        return [piece.region for piece in site.axis.pieces(*span(body["start"], body.get("end"), site.axis))]
    text = body[named[0]]
    if not isinstance(text, str):
        raise BadRequest(f'"{named[0]}" should be a text')
    if named == ["region"]:
        return [parse_region(text[:_NAME], site.axis.chrom_sizes)]
    lines = text.splitlines()
    if len(text) > BED_BYTES or len(lines) > BED_LINES:
        raise BadRequest(
            f"this BED text has {len(lines):,} lines and {len(text):,} letters, and {BED_LINES:,} and {BED_BYTES:,} "
            "are the most here; tracks predict --bed takes any number"
        )
    return parse_bed(lines, "BED", site.axis.chrom_sizes)


def _checked_heads(names: Sequence[object], heads: Sequence[str]) -> Sequence[str]:
    """Return the heads that are named, or all. Raises UsageError for one that is not served."""
    strangers = [name for name in names if name not in heads]
    if strangers:
        raise UsageError(f"no head '{str(strangers[0])[:_NAME]}' is served here; there are {', '.join(heads)}")
    return [head for head in heads if head in names] or heads


def _no_job(job_id: str) -> str:
    return f"no job '{job_id[:_NAME]}'"


def _attachment(path: Path, name: str) -> Response:
    """Return a file to be kept under a name, read as it is sent."""
    try:
        size, file = path.stat().st_size, path.open("rb")
    except OSError as error:
        raise TracksError(f"cannot read {path}: {error.strerror}") from error

    def chunks() -> Iterator[bytes]:
        while piece := file.read(_CHUNK):
            yield piece

    response = Response(chunks(), mimetype="application/octet-stream")
    response.headers["Content-Length"] = str(size)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.call_on_close(file.close)
    return response


def _file(static: Path, name: str) -> Response:
    response = send_from_directory(static, name)
    response.headers["Cache-Control"] = "no-cache"
    return response
