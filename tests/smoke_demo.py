"""Start the demo as a user does, wait for the page, an observed and a predicted tile, and stop it with Ctrl-C.

    python tests/smoke_demo.py [OPTIONS OF tracks demo...]

The first thing that is wrong ends it with one line and exit code 1.
"""

from __future__ import annotations

import base64
import json
import math
import queue
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Any

START_SECONDS = 60.0
"""The bar is 10 s on two idle cores; a build machine may be busy, so this catches a demo that hangs."""

TILE_SECONDS = 240.0
STOP_SECONDS = 60.0

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def main(options: list[str]) -> None:
    """Run the whole scene; raises SystemExit with one line at the first thing that is wrong."""
    # A shell starts background jobs with Ctrl-C ignored, and the demo would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    tracks = Path(sys.executable).parent / "tracks"
    with tempfile.TemporaryDirectory() as store:
        started = time.monotonic()
        command = [str(tracks), "demo", "--no-browser", "--port", "0", "--store", store, *options]
        demo = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=sys.stderr, text=True)
        try:
            address = _address(demo)
            start_seconds = time.monotonic() - started
            panels = _check_page(address)
            predicted = _check_tiles(address, panels)
            tile_seconds = time.monotonic() - started
        except BaseException:
            demo.kill()
            demo.wait()
            raise
        demo.send_signal(signal.SIGINT)
        try:
            code = demo.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            demo.kill()
            demo.wait()
            raise SystemExit(f"smoke: error: Ctrl-C did not stop the demo in {STOP_SECONDS:.0f} s") from None
    if code not in (0, 130):
        raise SystemExit(f"smoke: error: the demo ended with exit code {code} at Ctrl-C, not 0 or 130")
    print(
        f"smoke: the demo answered after {start_seconds:.1f} s and had predicted the first view of "
        f"{predicted} tracks after {tile_seconds:.1f} s"
    )


def _address(demo: subprocess.Popen[str]) -> str:
    """Return the address that the demo prints."""
    lines: queue.Queue[str] = queue.Queue()
    assert demo.stdout is not None
    threading.Thread(target=_pump, args=(demo.stdout, lines), daemon=True).start()
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            line = lines.get(timeout=0.2)
        except queue.Empty:
            if demo.poll() is not None:
                raise SystemExit(
                    f"smoke: error: the demo ended before it served, with exit code {demo.returncode}"
                ) from None
            continue
        for word in line.split():
            if word.startswith("http://127.0.0.1:"):
                return word.rstrip("/")
    raise SystemExit(f"smoke: error: the demo printed no address in {START_SECONDS:.0f} s")


def _pump(stream: IO[str], lines: queue.Queue[str]) -> None:
    for line in stream:
        lines.put(line)


def _check_page(address: str) -> dict[str, Any]:
    """Check the page and its script; return what the page is told about the site."""
    page = _get(f"{address}/").decode()
    if "static/viewer.js" not in page or not _get(f"{address}/static/viewer.js"):
        raise SystemExit("smoke: error: the page does not load its script static/viewer.js")
    told: dict[str, Any] = json.loads(_get(f"{address}/api/page"))
    if not told["loci"] or not any(panel["observed"] and panel["predicted"] for panel in told["panels"]):
        raise SystemExit("smoke: error: the page has no locus, or no track that is both observed and predicted")
    return told


def _check_tiles(address: str, told: dict[str, Any]) -> int:
    """Check the finest tiles at the middle of the first locus; return how many tracks are predicted there.

    Not every track was observed there (methylation only on chr22), but one must be; every prediction is waited for.
    """
    locus = told["loci"][0]
    middle = (locus["start"] + locus["end"]) // 2
    observed = [_tile(address, panel["observed"], middle) for panel in told["panels"] if panel["observed"]]
    if not any(_has_fractions(tile) for tile in observed):
        raise SystemExit(f"smoke: error: no track is observed at the first locus, {locus['region']}")
    predicted = [made["uid"] for panel in told["panels"] for made in panel["predicted"]]
    end = time.monotonic() + TILE_SECONDS
    for uid in predicted:
        while (tile := _tile(address, uid, middle)).get("waiting"):
            if time.monotonic() > end:
                raise SystemExit(f"smoke: error: {uid} still waits for values after {TILE_SECONDS:.0f} s")
            time.sleep(0.2)
        if not _has_fractions(tile):
            why = tile.get("error") or tile.get("missing")
            raise SystemExit(f"smoke: error: {uid} has no fractions at the first locus, {locus['region']}: {why}")
    return len(predicted)


def _has_fractions(tile: dict[str, Any]) -> bool:
    values = [value for value in _values(tile) if math.isfinite(value)] if "dense" in tile else []
    return bool(values) and all(-0.01 <= value <= 1.01 for value in values)


def _tile(address: str, uid: str, position: int) -> dict[str, Any]:
    """Fetch the finest tile of a tileset at a position of the axis."""
    info = json.loads(_get(f"{address}/api/v1/tileset_info/?d={uid}"))[uid]
    width = info["max_width"] // 2 ** info["max_zoom"]
    tile_id = f"{uid}.{info['max_zoom']}.{position // width}"
    tile: dict[str, Any] = json.loads(_get(f"{address}/api/v1/tiles/?d={tile_id}"))[tile_id]
    return tile


def _values(tile: dict[str, Any]) -> tuple[float, ...]:
    dense = base64.b64decode(tile["dense"])
    letter, size = {"float16": ("e", 2), "float32": ("f", 4)}[tile["dtype"]]
    return struct.unpack(f"<{len(dense) // size}{letter}", dense)


def _get(url: str) -> bytes:
    try:
        with _DIRECT.open(url, timeout=60) as answer:
            return bytes(answer.read())
    except (urllib.error.URLError, OSError) as error:
        raise SystemExit(f"smoke: error: {url}: {error}") from None


if __name__ == "__main__":
    main(sys.argv[1:])
