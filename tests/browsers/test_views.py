"""igv.js and JBrowse 2 in Chromium: what their views have computed of a whole genome's predictions, and draw."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from tests.browsers.conftest import PICTURES, Shown, showing
from tests.browsers.toy import SIZES, ToyServer, expected
from tests.viewer.pixels import count
from tracks.virtual import JBROWSE_SLOT

COLOR = "#d95f02"
START, END = 100_000_000, 100_100_000
VIEW = "chr1:100,000,001-100,100,000"
WHOLE = f"chr1:1-{SIZES['chr1']:,}"
MEGABASE = "chr1:100,000,001-101,000,000"


def igv_session(toy: ToyServer, locus: str, **options: Any) -> dict[str, Any]:
    reference = {"id": "hg38", "name": "hg38", "fastaURL": f"{toy.address}/hg38.sizes", "format": "chromsizes"}
    look = {"type": "wig", "format": "bigwig", "name": "toy", "color": COLOR, "height": 100, "min": 0, "max": 1}
    return {"reference": reference, "locus": locus, "tracks": [{**look, "url": toy.url(), **options}]}


def jbrowse_config(toy: ToyServer) -> dict[str, Any]:
    sizes = {"type": "ChromSizesAdapter", "chromSizesLocation": {"uri": f"{toy.address}/hg38.sizes"}}
    renderers = {"XYPlotRenderer": {"type": "XYPlotRenderer", "color": COLOR}}
    display = {"type": "LinearWiggleDisplay", "displayId": "toy_display", "height": 100, "renderers": renderers}
    track = {
        "type": "QuantitativeTrack",
        "trackId": "toy",
        "name": "toy",
        "assemblyNames": ["hg38"],
        "adapter": {"type": "BigWigAdapter", "bigWigLocation": {"uri": toy.url(JBROWSE_SLOT)}},
        "displays": [{**display, "minScore": 0, "maxScore": 1}],
    }
    sequence = {"type": "ReferenceSequenceTrack", "trackId": "hg38_chromosomes", "adapter": sizes}
    return {"assemblies": [{"name": "hg38", "sequence": sequence}], "tracks": [track]}


def values_of(features: list[list[float]]) -> np.ndarray:
    """Return the value of each base of the view from features: float32 with NaN where there is none."""
    values = np.full(END - START, np.nan, np.float32)
    for first, last, value in features:
        values[max(int(first) - START, 0) : max(int(last) - START, 0)] = value
    return values


def orange(shown: Shown, name: str) -> int:
    """Take the picture, and return how much of it is of the track's colour."""
    path = PICTURES / f"{name}.png"
    shown.page.screenshot(path=path)
    return count(np.asarray(Image.open(path).convert("RGB")), COLOR, 24)


def open_igv(shown: Shown, toy: ToyServer, locus: str, **options: Any) -> None:
    shown.page.evaluate("session => show(session)", igv_session(toy, locus, **options))
    shown.wait_idle()


def open_jbrowse(shown: Shown, toy: ToyServer, locus: str) -> None:
    shown.page.evaluate("([config, locus]) => show(config, ['toy'], locus)", [jbrowse_config(toy), locus])
    shown.wait_idle()


@pytest.fixture(params=["igv", "jbrowse"])
def name(request: pytest.FixtureRequest, packages: None) -> str:
    return str(request.param)


OPEN = {"igv": open_igv, "jbrowse": open_jbrowse}


def test_opening_a_file_at_a_chromosome_computes_nothing(browser: Browser, toy: ToyServer, name: str) -> None:
    with showing(browser, f"{toy.address}/{name}.html") as shown:
        OPEN[name](shown, toy, WHOLE)
        assert toy.requests
        assert toy.computed == []
        assert orange(shown, f"{name}-nothing-known") == 0


def test_a_view_of_100_kb_computes_what_it_shows(browser: Browser, toy: ToyServer, name: str) -> None:
    with showing(browser, f"{toy.address}/{name}.html") as shown:
        OPEN[name](shown, toy, VIEW)
        assert {("chr1", 871), ("chr1", 872)} <= set(toy.computed)
        assert len(toy.computed) <= 4, toy.requests
        assert orange(shown, f"{name}-100-kb") > 10_000
        before = len(toy.computed)
        # To the whole chromosome: what is known shows in it.
        shown.move(WHOLE)
        assert len(toy.computed) == before
        assert orange(shown, f"{name}-chromosome") > 20


def test_a_view_of_a_megabase_computes_a_few(browser: Browser, toy: ToyServer, name: str) -> None:
    with showing(browser, f"{toy.address}/{name}.html") as shown:
        OPEN[name](shown, toy, MEGABASE)
        # JBrowse shows zoom levels already; igv.js reads three times what it shows.
        assert len(toy.computed) <= {"igv": 28, "jbrowse": 0}[name], toy.requests


def test_each_value_drawn_is_the_one_predicted(browser: Browser, toy: ToyServer, name: str) -> None:
    with showing(browser, f"{toy.address}/{name}.html") as shown:
        if name == "igv":
            open_igv(shown, toy, VIEW, windowFunction="none")  # by default it draws the mean of a pixel's bins
        else:
            open_jbrowse(shown, toy, VIEW)
        features = shown.page.evaluate("drawn()")["toy"]
    np.testing.assert_array_equal(values_of(features), expected("chr1", START, END))
