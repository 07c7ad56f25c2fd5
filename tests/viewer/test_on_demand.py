"""Prediction as one pans: a real server, the shipped model, and places where nobody predicted before."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import run_command
from tests.viewer.conftest import visiting
from tests.viewer.pixels import count, panel_image
from tests.viewer.serving import BROKEN, SLOW, Serving, serving

METHYLATION, TIG3, LIVER = "cpg_methylation_imr90", "lmnb1_lad_tig_3", "lmnb1_lad_liver"
SLUGS = (METHYLATION, TIG3, "lmnb1_lad_cardiac_myocytes", LIVER)
COLD = "chr22:46640001-46740000"
ELSEWHERE = "chr20:45200001-45300000"


def predicted(page: Page, slug: str) -> str | None:
    return page.locator(f"[data-track={slug}]").get_attribute("data-predicted")


def wait_predicted(page: Page, state: str, slugs: tuple[str, ...] = SLUGS) -> None:
    for slug in slugs:
        expect(page.locator(f"[data-track={slug}]")).to_have_attribute("data-predicted", state)


@pytest.fixture
def cold(tmp_path: Path) -> Iterator[Serving]:
    """A server that has predicted nothing yet."""
    with serving(tmp_path / "store") as server:
        yield server


def go(page: Page, place: str) -> None:
    """Move the view as the address bar does."""
    page.evaluate("place => { location.hash = place }", place)


def tip_values(page: Page, slug: str, share: float) -> tuple[str, float]:
    """Point at a place of a track, ``share`` of the view's width from its left, and read the tooltip: the position it
    names, and the predicted value."""
    row, plot = page.locator(f"[data-track={slug}]").bounding_box(), page.locator("#plot").bounding_box()
    assert row is not None
    assert plot is not None
    x, y = plot["x"] + share * plot["width"], row["y"] + row["height"] / 2
    page.mouse.move(x - 9, y)
    page.mouse.move(x, y)
    tip = page.locator(".track-mouseover-menu")
    expect(tip).to_contain_text("predicted")
    text = str(tip.inner_text())
    place = re.search(r"chr\w+:([\d,]+)", text)
    value = re.search(r"predicted\D*?([-\d.]+)", text)
    assert place is not None, text
    assert value is not None, text
    return place[1].replace(",", ""), float(value[1])


def test_a_place_nobody_predicted_fills_in_while_one_looks(
    browser: Browser, cold: Serving, tmp_path: Path, results: Path
) -> None:
    with visiting(browser, cold.address) as visit:
        page = visit.open(COLD, drawn=False)
        wait_predicted(page, "drawn")
        go(page, ELSEWHERE)
        expect(page.locator("#location")).to_contain_text("chr20:45,200,001-45,300,000")
        expect(page.locator(f"[data-track={TIG3}]")).to_have_attribute("data-observed", "drawn")
        wait_predicted(page, "drawn")
        page.screenshot(path=results / "predicted-as-you-pan.png")
        out = tmp_path / "out"
        done = run_command(
            "predict", "--region", "chr20:45,200,001-45,300,000", "--format", "bedgraph", "-o", out,
            "--store", tmp_path / "another",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        for slug in (METHYLATION, LIVER):
            rows = [line.split("\t") for line in (out / f"{slug}.bedgraph").read_text().splitlines()]
            starts, ends = np.array([row[1] for row in rows], int), np.array([row[2] for row in rows], int)
            values = np.array([row[3] for row in rows], float)
            for share in (0.13, 0.37, 0.52, 0.71, 0.9):
                place, value = tip_values(page, slug, share)
                at = int(place) - 1
                here = values[(starts <= at) & (ends > at)]
                # Three digits of a value that came as a half float; chr20 comes first, so its tiles hold its own bins.
                assert value == pytest.approx(here[0], abs=1e-3), (slug, place)


def test_a_slow_model_holds_up_nothing_else(browser: Browser, tmp_path: Path, results: Path) -> None:
    with (
        serving(tmp_path / "store", before=SLOW.format(seconds=3)) as server,
        visiting(browser, server.address) as visit,
    ):
        page = visit.open(ELSEWHERE, drawn=False)
        wait_predicted(page, "drawn")
        begun = time.monotonic()
        go(page, COLD)
        expect(page.locator("#location")).to_contain_text("chr22:46,640,001-46,740,000")
        row = page.locator(f"[data-track={METHYLATION}]")
        expect(row).to_have_attribute("data-observed", "drawn")
        took = time.monotonic() - begun
        expect(row).to_have_attribute("data-predicted", re.compile("computing|queued"))
        page.wait_for_timeout(300)
        image = panel_image(page, METHYLATION)
        page.screenshot(path=results / "computing.png")
        assert count(image, "#4d4d4d", 24) > 200, "the observed track is not there"
        assert predicted(page, METHYLATION) in ("computing", "queued")
        wait_predicted(page, "drawn")
        assert time.monotonic() - begun > 3
        assert took < 1, f"the observed track took {took:.1f} s"


def test_a_server_that_was_killed_and_started_again_goes_on(browser: Browser, tmp_path: Path) -> None:
    store = tmp_path / "store"
    with visiting(browser, "") as visit:
        with serving(store, before=SLOW.format(seconds=2)) as server:
            visit.address = server.address
            page = visit.open(COLD, drawn=False)
            expect(page.locator(f"[data-track={METHYLATION}]")).to_have_attribute(
                "data-predicted", re.compile("computing|queued")
            )
            server.kill()
            expect(page.locator("body")).to_have_class(re.compile("gone"))
        with serving(store, port=server.port):
            wait_predicted(page, "drawn")
            expect(page.locator("body")).not_to_have_class(re.compile("gone"))
            page.goto("about:blank")
        # That a server is gone is an error to Chromium.
        visit.faults[:] = [fault for fault in visit.faults if "ERR_" not in fault]


def test_an_error_of_one_head_shows_in_its_tracks_only(browser: Browser, tmp_path: Path, results: Path) -> None:
    with (
        serving(tmp_path / "store", "--head", "bins", before=BROKEN.format(head="bins")) as server,
        visiting(browser, server.address) as visit,
    ):
        page = visit.open(COLD, drawn=False)
        wait_predicted(page, "failed")
        row = page.locator(f"[data-track={METHYLATION}]")
        expect(row).to_have_attribute("data-observed", "drawn")
        expect(row.locator("em[title*='the weights are no numbers']")).to_have_text("failed")
        expect(row.get_by_role("button", name="Retry")).to_be_visible()
        page.wait_for_timeout(300)
        page.screenshot(path=results / "failed.png")
        assert count(panel_image(page, METHYLATION), "#4d4d4d", 24) > 200


def test_what_tracks_predict_computes_appears_on_an_open_page(browser: Browser, tmp_path: Path) -> None:
    with (
        serving(tmp_path / "store", before=SLOW.format(seconds=60)) as server,
        visiting(browser, server.address) as visit,
    ):
        page = visit.open(COLD, drawn=False)
        expect(page.locator(f"[data-track={METHYLATION}]")).to_have_attribute(
            "data-predicted", re.compile("computing|queued")
        )
        done = run_command("predict", "--region", COLD, "-o", tmp_path / "out", "--store", tmp_path / "store")
        assert done.returncode == 0, done.stderr
        wait_predicted(page, "drawn")


def test_a_wide_view_offers_to_predict_it(browser: Browser, cold: Serving, results: Path) -> None:
    with visiting(browser, cold.address) as visit:
        page = visit.open("chr20:9000001-16000000", drawn=False)
        wait_predicted(page, "too wide")
        expect(page.locator(f"[data-track={TIG3}]")).to_have_attribute("data-observed", "drawn")
        page.wait_for_timeout(300)
        page.screenshot(path=results / "too-wide.png")
        assert visit.page.evaluate("fetch('/api/status').then(answer => answer.json())")["queued"] == 0
