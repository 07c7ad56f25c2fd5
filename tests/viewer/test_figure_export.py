"""Themes, and the figure as a file: what is saved is what is seen."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.viewer.conftest import Visit, visiting
from tests.viewer.pixels import count, decoded, panel_image

METHYLATION = "cpg_methylation_imr90"
PLACE = "chr22:46,640,001-46,740,000"
SVG = "{http://www.w3.org/2000/svg}"


def choose_theme(page: Page, name: str) -> None:
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("menuitemradio", name=name).click()


def test_the_theme_follows_the_system_until_one_is_chosen(visit: Visit) -> None:
    page = visit.open(PLACE)
    html = page.locator("html")
    expect(html).to_have_attribute("data-theme", "light")
    page.wait_for_timeout(500)
    light = panel_image(page, METHYLATION)
    page.emulate_media(color_scheme="dark")
    expect(html).to_have_attribute("data-theme", "dark")
    page.wait_for_timeout(800)
    dark = panel_image(page, METHYLATION)
    assert count(light, (255, 255, 255), 3) > 3_000
    assert count(dark, (255, 255, 255), 3) == 0
    assert count(dark, (21, 24, 28), 3) > 3_000
    assert "s=" not in page.url
    choose_theme(page, "Light")
    expect(html).to_have_attribute("data-theme", "light")
    page.reload()
    page.wait_for_selector("body[data-state=open]")
    expect(html).to_have_attribute("data-theme", "light")
    page.emulate_media(color_scheme="light")
    choose_theme(page, "As the system")
    page.emulate_media(color_scheme="dark")
    expect(html).to_have_attribute("data-theme", "dark")


def save_figure(page: Page, kind: str, into: Path) -> bytes:
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as started:
        page.get_by_role("menuitem", name=kind).click()
    assert started.value.suggested_filename == f"tracks-chr22-46640001-46740000.{kind.lower()}"
    file = into / started.value.suggested_filename
    started.value.save_as(file)
    return file.read_bytes()


def test_the_svg_opens_and_shows_what_the_page_shows(visit: Visit, browser: Browser, tmp_path: Path) -> None:
    page = visit.open(PLACE)
    page.wait_for_timeout(500)
    text = save_figure(page, "SVG", tmp_path)
    root = ET.fromstring(text)
    assert root.tag == f"{SVG}svg"
    words = " ".join(element.text or "" for element in root.iter(f"{SVG}text"))
    for expected in ("chr22:46,640,001-46,740,000", "CpG methylation IMR90", "observed", "predicted", "GTSE1", "Genes"):
        assert expected in words, expected
    box = page.locator(f"[data-track={METHYLATION}]").bounding_box()
    plot, gutter = page.locator("#plot").bounding_box(), page.locator("#gutter").bounding_box()
    assert box is not None
    assert plot is not None
    assert gutter is not None
    on_page = panel_image(page, METHYLATION)
    # Another browser page draws the file by itself.
    context = browser.new_context(viewport={"width": 1400, "height": 800})
    alone = context.new_page()
    alone.goto((tmp_path / "tracks-chr22-46640001-46740000.svg").as_uri())
    clip = {"x": gutter["width"], "y": box["y"] - gutter["y"] + 30, "width": plot["width"], "height": box["height"]}
    in_file = decoded(alone.screenshot(clip=clip))  # type: ignore[arg-type]
    context.close()
    for color, within in (("#d95f02", 40), ((209, 209, 209), 3), ("#4d4d4d", 30)):
        drawn, saved = count(on_page, color, within), count(in_file, color, within)
        assert 0.6 * drawn < saved < 1.5 * drawn, (color, drawn, saved)


def test_the_png_is_twice_as_sharp(visit: Visit, tmp_path: Path) -> None:
    page = visit.open(PLACE)
    page.wait_for_timeout(500)
    png = save_figure(page, "PNG", tmp_path)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, _ = struct.unpack(">II", png[16:24])
    assert width == 2 * round(page.evaluate("document.querySelector('#browser').clientWidth"))
    assert count(decoded(png), "#d95f02", 40) > 1_000


def test_a_dark_figure_is_saved_dark(browser: Browser, address: str, tmp_path: Path) -> None:
    with visiting(browser, address, color_scheme="dark") as visit:
        page = visit.open(PLACE)
        page.wait_for_timeout(500)
        image = decoded(save_figure(page, "PNG", tmp_path))
        assert count(image, (21, 24, 28), 3) > 0.3 * image.shape[0] * image.shape[1]
        assert count(image, (255, 255, 255), 3) < 0.01 * image.shape[0] * image.shape[1]


def test_values_are_downloaded_from_the_menu(visit: Visit, tmp_path: Path) -> None:
    page = visit.open(PLACE)
    page.get_by_role("button", name="Export").click()
    group = page.get_by_role("group", name="CpG methylation IMR90")
    with page.expect_download() as started:
        group.get_by_role("menuitem", name="Predicted in view bedGraph").click()
    file = tmp_path / "values.bedgraph"
    started.value.save_as(file)
    rows = [line.split("\t") for line in file.read_text().splitlines() if line.startswith("chr")]
    assert len(rows) > 300
    assert all(row[0] == "chr22" and 46_640_000 - 128 <= int(row[1]) < 46_740_000 for row in rows)
    assert all(0 <= float(row[3]) <= 1 for row in rows)
