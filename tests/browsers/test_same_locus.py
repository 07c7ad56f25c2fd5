"""One running server, and one place that nobody predicted before: in igv.js, in JBrowse 2 and on our own page.

The pictures go to test-results/, and those of the documents are made anew by

    make test ARGS=tests/browsers/test_same_locus.py PICTURES=docs/images
"""

from __future__ import annotations

import json
import os
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from tests.browsers.conftest import PICTURES, Shown, showing
from tests.conftest import run_command
from tests.viewer.conftest import visiting
from tests.viewer.serving import SLOW, Serving, serving
from tests.viewer.test_on_demand import tip_values, wait_predicted
from tracks.grid import BIN

START, END = 46_640_000, 46_740_000
LOCUS = "chr22:46,640,001-46,740,000"
"""CpG islands, in a block of chr22 that was held out from training."""
ELSEWHERE = "chr20:45,200,001-45,300,000"
METHYLATION, LIVER = "CpG methylation IMR90", "LMNB1 LAD liver"
SLUGS = {METHYLATION: "cpg_methylation_imr90", LIVER: "lmnb1_lad_liver"}
SHOWN = ["cpg_methylation_imr90", "cpg_methylation_imr90_difference", "lmnb1_lad_liver", "bed_cpg_islands"]
VIEWPORT = {"width": 1200, "height": 700}


@pytest.fixture(scope="module")
def cold(page_host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server that has predicted nothing yet, and lets pages of ``page_host`` read."""
    # A second a window, so that browsers have to wait.
    options = ("--head", "bins", "--cors", page_host)
    with serving(tmp_path_factory.mktemp("store"), *options, before=SLOW.format(seconds=1)) as server:
        yield server


@pytest.fixture(scope="module")
def predicted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What ``tracks predict`` says of the place, in a store of its own: the value of each base, by track."""
    out = tmp_path_factory.mktemp("out")
    done = run_command(
        "predict", "--region", LOCUS, "--head", "bins", "--format", "bedgraph", "-o", out, store=out / "store"
    )
    assert done.returncode == 0, done.stderr
    found = {}
    for name, slug in SLUGS.items():
        rows = [line.split("\t") for line in (out / f"{slug}.bedgraph").read_text().splitlines()]
        found[name] = values_of([[float(number) for number in row[1:]] for row in rows])
    return found


def ask(server: Serving, path: str) -> Any:
    with urllib.request.urlopen(server.address + path, timeout=60) as answer:
        return json.load(answer)


def values_of(features: list[list[float]]) -> np.ndarray:
    """Return the value of each base of the place from features: float32 with NaN where there is none."""
    values = np.full(END - START, np.nan, np.float32)
    for first, last, value in features:
        values[max(int(first) - START, 0) : max(int(last) - START, 0)] = value
    return values


def shares_with_values(values: np.ndarray) -> list[float]:
    """Return where in the view, in hundredths of its width, there are values all around."""
    places = range(1000, END - START - 1000, (END - START) // 100)
    return [at / (END - START) for at in places if np.isfinite(values[at - 500 : at + 500]).all()]


def check_drawn(shown: Shown, predicted: dict[str, np.ndarray]) -> None:
    """See that each base that a browser draws has the predicted value, to the last digit that a bedGraph has."""
    drawn = shown.page.evaluate("drawn()")
    for name, values in predicted.items():
        [own] = [key for key in drawn if re.match(f"{name},? predicted( \\(|$)", key)]
        found = values_of(drawn[own])
        assert (np.isnan(found) == np.isnan(values)).all(), own
        np.testing.assert_allclose(found, values, rtol=1e-5, err_msg=own)


def picture(page: Page, name: str) -> None:
    """Take a picture, and see that the track that is orange is in it."""
    folder = Path(os.environ.get("PICTURES") or PICTURES)
    path = folder / f"browsers-{name}.png"
    page.mouse.move(0, 0)
    page.screenshot(path=path)
    red, green, blue = np.moveaxis(np.asarray(Image.open(path).convert("RGB")).astype(int), 2, 0)
    assert ((red > green + 20) & (green > blue + 20)).sum() > 1000


def open_igv(shown: Shown, server: Serving, place: str, **options: str) -> None:
    """Open the session that the server makes, with more options for each track."""
    session = ask(server, f"api/browsers?region={place}")["igv"]["json"]
    with urllib.request.urlopen(session, timeout=60) as answer:
        made = json.load(answer)
    for track in made["tracks"]:
        for part in (track, *track.get("tracks", ())):
            part.update(options if track["type"] != "annotation" else {})
    shown.page.evaluate("session => show(session)", made)
    shown.wait_idle()


def open_jbrowse(shown: Shown, server: Serving, place: str, ids: list[str]) -> None:
    """Open the configuration that the server makes, with some of its tracks."""
    config = ask(server, "hub/jbrowse.json")
    shown.page.evaluate("([config, ids, place]) => show(config, ids, place)", [config, ids, place])
    shown.wait_idle()


def test_the_same_place_in_three_browsers(
    browser: Browser, cold: Serving, page_host: str, predicted: dict[str, np.ndarray]
) -> None:
    assert ask(cold, "api/status")["known"] == 0
    with showing(browser, f"{page_host}/igv.html", cold.address, viewport=VIEWPORT) as shown:
        open_igv(shown, cold, LOCUS)
        known = ask(cold, "api/status")["known"]
        assert 1 <= known <= 4
        picture(shown.page, "igv")
    with showing(browser, f"{page_host}/igv.html", cold.address) as shown:
        open_igv(shown, cold, LOCUS, windowFunction="none")  # by default it draws the mean of a pixel's bins
        check_drawn(shown, predicted)
    with showing(browser, f"{page_host}/jbrowse.html", cold.address, viewport=VIEWPORT) as shown:
        open_jbrowse(shown, cold, LOCUS, SHOWN)
        check_drawn(shown, predicted)
        picture(shown.page, "jbrowse")
    assert ask(cold, "api/status")["known"] <= max(known, 4)
    with visiting(browser, cold.address, viewport=VIEWPORT) as visit:
        page = visit.open(LOCUS.replace(",", ""), drawn=False)
        wait_predicted(page, "drawn")
        page.wait_for_timeout(500)
        picture(page, "page")
        for name, slug in SLUGS.items():
            for share in shares_with_values(predicted[name])[::10]:
                place, value = tip_values(page, slug, share)
                # The page has one axis for all chromosomes, on which a bin of chr22 lies across two of its own; and
                # three digits of a value that came as a half float.
                at = int(place) - 1 - START
                bins = predicted[name][[at - BIN, at, at + BIN]]
                assert bins.min() - 1e-3 <= value <= bins.max() + 1e-3, (slug, place)


def test_jbrowse_too_waits_for_what_is_computed(browser: Browser, cold: Serving, page_host: str) -> None:
    before = ask(cold, "api/status")["known"]
    with showing(browser, f"{page_host}/jbrowse.html", cold.address, viewport=VIEWPORT) as shown:
        open_jbrowse(shown, cold, ELSEWHERE, [SLUGS[LIVER]])
        assert 1 <= ask(cold, "api/status")["known"] - before <= 4
        [features] = shown.page.evaluate("drawn()").values()
        assert len(features) >= 782
