"""The page as a person sees it: real server, real data, real browser, and the pixels that it drew."""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.viewer.conftest import PATIENCE, Visit

OBSERVED_FILL = (209, 209, 209)
"""#4d4d4d at an opacity of 0.26 on white."""
METHYLATION = "cpg_methylation_imr90"
TIG3 = "lmnb1_lad_tig_3"
LIVER = "lmnb1_lad_liver"

expect.set_options(timeout=PATIENCE)


def decoded(png: bytes) -> np.ndarray:
    """Decode an 8-bit PNG without interlace (what Chromium writes): uint8 [height, width, 3]."""
    at, data, header = 8, b"", b""
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        body = png[at + 8 : at + 8 + length]
        header, data = (body if kind == b"IHDR" else header), (data + body if kind == b"IDAT" else data)
        at += 12 + length
    width, height, depth, color, _, _, interlace = struct.unpack(">IIBBBBB", header)
    assert (depth, interlace) == (8, 0)
    channels = {2: 3, 6: 4}[color]
    lines = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + width * channels)
    image = np.zeros((height, width, channels), np.uint8)
    above = np.zeros((width, channels), np.uint8)
    for row, line in enumerate(lines):
        left = np.zeros(channels, np.uint8)
        filtered, kind = line[1:].reshape(width, channels), line[0]
        if kind == 0:
            image[row] = filtered
        elif kind == 1:
            image[row] = np.cumsum(filtered, axis=0, dtype=np.uint8)
        elif kind == 2:
            image[row] = filtered + above
        else:
            corner = np.zeros(channels, np.uint8)
            for x in range(width):
                up = above[x]
                if kind == 3:
                    guess = ((left.astype(int) + up) // 2).astype(np.uint8)
                else:
                    estimate = left.astype(int) + up - corner
                    far = np.abs(np.stack([estimate - left, estimate - up, estimate - corner]))
                    guess = np.choose(far.argmin(axis=0), [left, up, corner])
                left = filtered[x] + guess
                image[row, x], corner = left, up
        above = image[row]
    return image[:, :, :3]


def panel_image(page: Page, slug: str) -> np.ndarray:
    """Return the pixels of one track's panel, right of its legend."""
    row = page.locator(f"[data-track={slug}]").bounding_box()
    plot = page.locator("#plot").bounding_box()
    assert row is not None
    assert plot is not None
    clip = {"x": plot["x"], "y": row["y"], "width": plot["width"], "height": row["height"]}
    return decoded(page.screenshot(clip=clip))  # type: ignore[arg-type]


def count(image: np.ndarray, color: str | tuple[int, int, int], within: int) -> int:
    """Count pixels whose every channel is near a colour."""
    rgb = tuple(bytes.fromhex(color[1:])) if isinstance(color, str) else color
    return int((np.abs(image.astype(int) - rgb) <= within).all(axis=2).sum())


def color_of(page: Page, slug: str) -> str:
    described = page.evaluate("fetch('/api/page').then((answer) => answer.json())")
    return str(next(panel["color"] for panel in described["panels"] if panel["uid"] == slug))


def search(page: Page, text: str) -> Locator:
    box = page.get_by_role("combobox")
    box.fill(text)
    box.press("Enter")
    return box


def test_observed_and_predicted_are_drawn_on_one_axis(visit: Visit, results: Path) -> None:
    page = visit.open()
    expect(page.locator(f"[data-track={METHYLATION}][data-observed=drawn]")).to_be_visible()
    page.wait_for_timeout(500)
    page.screenshot(path=results / "page.png")
    both, alone = panel_image(page, METHYLATION), panel_image(page, LIVER)
    assert count(both, OBSERVED_FILL, 2) > 5_000
    assert count(both, "#4d4d4d", 24) > 200
    assert count(both, color_of(page, METHYLATION), 24) > 500
    assert count(alone, color_of(page, LIVER), 24) > 500
    assert count(alone, OBSERVED_FILL, 2) == 0, "nothing was observed for this track, and something is drawn"
    assert count(alone, color_of(page, METHYLATION), 24) == 0


def test_legends_say_which_is_which(visit: Visit) -> None:
    page = visit.open()
    both, alone = page.locator(f"[data-track={METHYLATION}]"), page.locator(f"[data-track={LIVER}]")
    assert both.locator("li").all_text_contents() == ["observed", "predicted"]
    assert alone.locator("li").all_text_contents() == ["predicted only", "observed data is not shipped"]
    for row, unit in ((both, "methylated fraction"), (alone, "covered fraction")):
        expect(row.get_by_role("img", name=f"axis: {unit}, 0 to 1")).to_be_visible()
    expect(page.locator("#fold")).to_have_text("held-out: test")


def test_a_region_a_chromosome_and_a_gene_are_found(visit: Visit) -> None:
    page = visit.open()
    place = page.locator("#location")
    search(page, "chr20:45,100,000-45,900,000")
    expect(place).to_contain_text("chr20:45,100,000-45,900,000 800 kb")
    expect(page.locator("#fold")).to_have_text("held-out: validation")
    visit.wait_drawn()
    image = panel_image(page, TIG3)
    assert count(image, OBSERVED_FILL, 2) > 1_000, "the domain at chr20:45.05-45.3 Mb"
    search(page, "chr20")
    expect(place).to_contain_text("chr20:1-63,025,520")

    box = page.get_by_role("combobox")
    box.fill("jag")
    first = page.get_by_role("option").first
    expect(first).to_contain_text("JAG1")
    box.press("ArrowDown")
    expect(first).to_have_attribute("aria-selected", "true")
    box.press("Enter")
    # JAG1 is chr20:10,618,332-10,654,608 (hg19); the view is twice as wide.
    expect(place).to_contain_text(re.compile(r"chr20:10,6\d\d,\d{3}-10,6\d\d,\d{3}"))
    expect(box).to_have_value("JAG1")
    expect(page.get_by_role("listbox")).to_be_hidden()


@pytest.mark.parametrize(
    ("wrong", "said", "suggestion"),
    [("JAGG1", "no gene or chromosome 'JAGG1'", "JAG1"), ("20:1-1000", "did you mean 'chr20'", "chr20:1-1000")],
)
def test_a_wrong_name_is_answered_beside_the_box(visit: Visit, wrong: str, said: str, suggestion: str) -> None:
    page = visit.open()
    before = page.locator("#location").text_content()
    box = search(page, wrong)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(said)
    expect(box).to_have_attribute("aria-invalid", "true")
    assert page.locator("#location").text_content() == before
    alert.get_by_role("button", name=f"Go to {suggestion}").click()
    expect(alert).to_be_hidden()
    expect(page.locator("#location")).not_to_contain_text(str(before))


def test_where_there_is_no_sequence_the_page_says_so(visit: Visit) -> None:
    page = visit.open("chr20:30,000,001-31,000,000", drawn=False)
    expect(page.locator("#notice")).to_contain_text("No sequence here")
    for slug in (METHYLATION, TIG3, LIVER):
        expect(page.locator(f"[data-track={slug}]")).to_have_attribute("data-predicted", "no sequence")
    expect(page.locator(f"[data-track={TIG3}] li").first).to_contain_text("no data here")
    page.wait_for_timeout(500)
    band = panel_image(page, LIVER)
    assert count(band, (236, 236, 234), 1) > 0.9 * band.shape[0] * band.shape[1]
    page.get_by_role("button", name="Go to the nearest sequence").click()
    expect(page.locator("#notice")).to_be_hidden()
    visit.wait_drawn()


def test_keys_move_and_zoom(visit: Visit) -> None:
    page = visit.open("chr20:45,200,001-45,600,000")
    place = page.locator("#location")
    page.locator("#plot").focus()
    page.keyboard.press("ArrowRight")
    expect(place).to_contain_text("chr20:45,300,001-45,700,000")
    page.keyboard.press("+")
    expect(place).to_contain_text("chr20:45,400,001-45,600,000 200 kb")
    page.keyboard.press("-")
    expect(place).to_contain_text("400 kb")
    page.keyboard.press("ArrowLeft")
    expect(place).to_contain_text("chr20:45,200,001-45,600,000")
    page.keyboard.press("/")
    expect(page.get_by_role("combobox")).to_be_focused()
    page.keyboard.type("+")
    expect(page.get_by_role("combobox")).to_have_value("+")
    expect(place).to_contain_text("chr20:45,200,001-45,600,000")


def test_keys_pressed_quickly_add_up(visit: Visit) -> None:
    page = visit.open("chr20:45,200,001-45,600,000")
    page.locator("#plot").focus()
    for key in ("ArrowRight", "ArrowRight", "+", "-", "ArrowLeft"):
        page.keyboard.press(key)
    expect(page.locator("#location")).to_contain_text("chr20:45,300,001-45,700,000")


def test_buttons_places_and_links(visit: Visit) -> None:
    page = visit.open()
    buttons = page.locator("#loci button")
    held_out = buttons.locator("small").all_text_contents()
    assert held_out
    assert all(words.startswith("held-out: ") for words in held_out)
    before = page.locator("#location").text_content()
    buttons.nth(1).click()
    expect(page.locator("#location")).not_to_contain_text(str(before))
    visit.wait_drawn()
    page.get_by_role("button", name="Zoom out").click()
    expect(page).to_have_url(re.compile(r"#chr20:\d+-\d+$"))
    page.wait_for_timeout(600)
    there = str(page.locator("#location b").text_content())
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    expect(page.locator("#location b")).to_have_text(there)


def test_the_mouse_reads_values_and_drags(visit: Visit) -> None:
    page = visit.open()
    box = page.locator("#plot").bounding_box()
    row = page.locator(f"[data-track={METHYLATION}]").bounding_box()
    assert box is not None
    assert row is not None
    x, y = box["x"] + 250, row["y"] + row["height"] / 2
    page.mouse.move(x - 5, y)
    page.mouse.move(x, y)
    tip = page.locator(".track-mouseover-menu")
    expect(tip).to_contain_text(
        re.compile(r"observed: (0\.\d{3} methylated fraction|1\.000 methylated fraction|no value)")
    )
    expect(tip).to_contain_text(re.compile(r"predicted: (0\.\d{3} methylated fraction|no value)"))
    before = str(page.locator("#location b").text_content())
    page.mouse.down()
    page.mouse.move(x + 200, y, steps=5)
    page.mouse.up()
    expect(page.locator("#location b")).not_to_have_text(before)


def still_computing(route: Route) -> None:
    """Answer predicted tiles as the server does before their windows are there."""
    response = route.fetch()
    tiles = json.loads(response.body())
    nothing = base64.b64encode(np.full(1024, np.nan, np.float32).tobytes()).decode()
    for tile_id, tile in tiles.items():
        if tile_id.startswith("predicted-"):
            tile.update(dense=nothing, dtype="float32", waiting=True, missing=[[0, 1024, "computing"]])
    route.fulfill(response=response, json=tiles)


def test_predictions_come_in_without_touching_what_is_drawn(visit: Visit) -> None:
    page = visit.page
    page.route("**/api/v1/tiles/**", still_computing)
    page.route(
        "**/api/progress*",
        lambda route: route.fulfill(
            json={
                "state": "computing",
                "revision": 1,
                "done": 11,
                "total": 180,
                "failed": 0,
                "message": "",
                "changed": [],
            }
        ),
    )
    visit.open(drawn=False)
    row = page.locator(f"[data-track={METHYLATION}]")
    expect(row).to_have_attribute("data-predicted", "computing")
    expect(row).to_have_attribute("data-observed", "drawn")
    expect(page.locator("#progress")).to_contain_text("computing 12 of 180 windows")
    page.wait_for_timeout(500)
    before = panel_image(page, METHYLATION)
    color = color_of(page, METHYLATION)
    assert count(before, (253, 246, 227), 3) > 1_000, "no band says that this is computing"
    assert count(before, color, 24) == 0
    page.unroute("**/api/v1/tiles/**")
    page.unroute("**/api/progress*")
    visit.wait_drawn()
    expect(page.locator("#progress")).to_contain_text(re.compile(r"all \d+ windows predicted"))
    page.wait_for_timeout(500)
    after = panel_image(page, METHYLATION)
    assert count(after, color, 24) > 500
    assert count(after, (253, 246, 227), 3) == 0
    # The observed outline is dark, so neither band nor line hides that it stayed where it was.
    dark = (np.abs(before.astype(int) - 77) < 12).all(axis=2)
    assert dark.sum() > 200
    assert (after.astype(int)[dark].max(axis=1) < 240).mean() > 0.99


def test_a_server_that_stopped_is_told(visit: Visit) -> None:
    visit.page.route("**/api/progress*", lambda route: route.abort())
    page = visit.open(drawn=False)
    expect(page.locator("#progress")).to_contain_text("the server has stopped")
    page.unroute("**/api/progress*")
    expect(page.locator("#progress")).not_to_contain_text("the server has stopped")
    visit.faults.clear()
