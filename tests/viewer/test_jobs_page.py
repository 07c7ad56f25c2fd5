"""The page of jobs: what is submitted there is predicted in the background, and can be followed and taken away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.viewer.conftest import visiting
from tests.viewer.serving import SLOW, Serving, serving

REGION = "chr22:46,640,001-47,240,000"


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Serving]:
    """A server that has predicted nothing yet, and takes some time over each window."""
    with serving(tmp_path / "store", before=SLOW.format(seconds=0.5)) as server:
        yield server


def open_jobs(page: Page, address: str) -> None:
    page.goto(f"{address}jobs")
    page.wait_for_selector("body[data-state=open]")


def test_a_region_is_predicted_followed_and_downloaded(
    browser: Browser, slow: Serving, tmp_path: Path, results: Path
) -> None:
    with visiting(browser, slow.address) as visit:
        page = visit.page
        open_jobs(page, slow.address)
        expect(page.locator("#none")).to_be_visible()
        what = page.get_by_label("A region or gene, or lines of BED")
        what.fill(REGION)
        expect(page.locator("#estimate")).to_contain_text(re.compile(rf"{REGION}: \d windows to predict"))
        page.get_by_label("Name").fill("GTSE1 and beyond")
        page.get_by_role("button", name="Predict", exact=True).click()
        job = page.locator("#jobs > li")
        expect(job).to_contain_text("GTSE1 and beyond")
        expect(job).to_contain_text("600 kb · head bins")
        expect(what).to_have_value("")
        expect(job.locator(".chip")).to_have_text("running")
        expect(job).to_contain_text(re.compile(r"[1-9] of \d windows, about \d+ s left"))
        page.screenshot(path=results / "jobs.png")
        expect(job.locator(".chip")).to_have_text("done")
        expect(job.get_by_role("button", name="Cancel GTSE1 and beyond")).to_be_hidden()

        job.get_by_role("button", name="Download GTSE1 and beyond").click()
        entry = page.get_by_role("group", name="CpG methylation IMR90").get_by_role("menuitem", name="bedGraph")
        with page.expect_download() as started:
            entry.click()
        file = tmp_path / "values.bedgraph"
        started.value.save_as(file)
        rows = [line.split("\t") for line in file.read_text().splitlines() if line.startswith("chr")]
        assert {row[0] for row in rows} == {"chr22"}
        assert 46_640_000 - 128 <= int(rows[0][1]) < 46_660_000
        assert 47_220_000 < int(rows[-1][2]) <= 47_240_000 + 128

        job.get_by_role("link", name="Go there: GTSE1 and beyond").click()
        page.wait_for_selector("body[data-state=open]")
        expect(page.locator("#location")).to_contain_text(REGION)
        visit.wait_drawn()


def test_bed_is_predicted_and_a_job_is_cancelled(browser: Browser, slow: Serving, tmp_path: Path) -> None:
    with visiting(browser, slow.address) as visit, visiting(browser, slow.address) as watcher:
        page, other = visit.page, watcher.page
        open_jobs(page, slow.address)
        open_jobs(other, slow.address)
        bed = tmp_path / "places.bed"
        bed.write_text("chr22\t46640000\t48000000\tone\nchr20\t45000000\t46000000\ttwo\n")
        page.locator("#file").set_input_files(bed)
        expect(page.locator("#estimate")).to_have_text("2 regions of BED")
        expect(page.locator("#held")).to_contain_text("places.bed, 2 regions")
        page.get_by_role("button", name="Predict", exact=True).click()
        for one in (page, other):
            job = one.locator("#jobs > li")
            expect(job).to_contain_text("places.bed")
            expect(job).to_contain_text("and 1 other")
        expect(other.locator("#jobs > li")).to_contain_text(re.compile(r"[1-9]\d* of \d+ windows"))
        other.get_by_role("button", name="Cancel places.bed").click()
        for one in (page, other):
            expect(one.locator("#jobs > li .chip")).to_have_text("cancelled")
        page.reload()
        expect(page.locator("#jobs > li .chip")).to_have_text("cancelled")


def test_what_is_wrong_is_said_beside_the_form(browser: Browser, slow: Serving) -> None:
    with visiting(browser, slow.address) as visit:
        page = visit.page
        open_jobs(page, slow.address)
        predict = page.get_by_role("button", name="Predict", exact=True)
        fault = page.get_by_role("alert")
        predict.click()
        expect(fault).to_contain_text("Type a region")
        what = page.get_by_label("A region or gene, or lines of BED")
        what.fill("JAGG1")
        predict.click()
        expect(fault).to_contain_text("no gene or chromosome 'JAGG1'")
        fault.get_by_role("button", name="Take JAG1").click()
        expect(what).to_have_value("JAG1")
        what.fill("chr20\t5\t2\nchr20\t1\t2\n")
        predict.click()
        expect(fault).to_contain_text("line 1")
        expect(page.locator("#jobs > li")).to_have_count(0)
        # That a request was refused is an error to Chromium.
        visit.faults[:] = [text for text in visit.faults if "400" not in text]


def test_jobs_of_a_server_that_stopped_are_told_as_lost(browser: Browser, tmp_path: Path) -> None:
    with visiting(browser, "") as visit:
        page = visit.page
        with serving(tmp_path / "store", before=SLOW.format(seconds=1)) as server:
            visit.address = server.address
            browsing = page.context.new_page()
            browsing.goto(f"{server.address}?renderer=canvas#chr22:46,400,001-48,800,000")
            browsing.wait_for_selector("body[data-state=open]")
            offer = browsing.locator("#predict")
            expect(offer).to_contain_text("Predict region")
            browsing.route(
                "**/api/predict?*", lambda route: route.fulfill(json={"windows": 21, "unknown": 21, "seconds": 20})
            )
            offer.click()
            # It is not offered again while a job is at work on it.
            expect(offer).to_have_text("Predicting…")
            expect(offer).to_be_disabled()
            browsing.unroute("**/api/predict?*")
            expect(browsing.locator("#progress .job")).to_contain_text(re.compile(r"\d+ of \d+"))
            open_jobs(page, server.address)
            job = page.locator("#jobs > li")
            expect(job.locator(".chip")).to_have_text("running")
            server.kill()
        with serving(tmp_path / "store", port=server.port):
            expect(job.locator(".chip")).to_have_text("failed")
            expect(job).to_contain_text("lost when the server stopped")
            expect(job.get_by_role("button", name="Cancel")).to_be_hidden()
            browsing.bring_to_front()
            expect(browsing.locator("#progress .job")).to_have_count(0)
            expect(offer).not_to_have_text("Predicting…")
            page.context.close()
        visit.faults[:] = [fault for fault in visit.faults if "ERR_" not in fault]
