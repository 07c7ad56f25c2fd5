"""The list of tracks: what is shown, in which order, and how; HiGlass draws what the list says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from playwright.sync_api import Locator, Page, expect

from tests.viewer.conftest import Visit
from tests.viewer.pixels import count, panel_image

METHYLATION = "cpg_methylation_imr90"
TIG3 = "lmnb1_lad_tig_3"
LIVER = "lmnb1_lad_liver"
LAD = "chr20:45,000,001-45,700,000"
ORANGE = "#d95f02"


def open_list(page: Page) -> Locator:
    page.get_by_role("button", name="Tracks", exact=True).click()
    drawer = page.get_by_role("complementary", name="Tracks")
    expect(drawer).to_be_visible()
    return drawer


def item(page: Page, slug: str) -> Locator:
    return page.locator(f"[data-item={slug}]")


def order(page: Page) -> list[str]:
    return [str(row.get_attribute("data-row")) for row in page.locator("#gutter [data-row]").all()]


def choose(page: Page, slug: str, group: str, entry: str) -> None:
    """Choose an entry in the menu of a row."""
    page.locator(f"[data-row={slug}] button.more").click()
    page.get_by_role("group", name=group, exact=True).get_by_text(entry, exact=True).click()


def test_rows_are_hidden_and_shown(visit: Visit) -> None:
    page = visit.open(LAD)
    everything = order(page)
    assert everything[0] == "genes"
    open_list(page)
    for uid in ("genes", TIG3):
        item(page, uid).get_by_role("button", name=re.compile("^Show ")).click()
    expect(page.locator(f"[data-row={TIG3}]")).to_have_count(0)
    assert order(page) == [uid for uid in everything if uid not in ("genes", TIG3)]
    # What comes after moved up, and is drawn where its name stands.
    page.wait_for_timeout(500)
    image = panel_image(page, METHYLATION)
    assert count(image, ORANGE, 24) > 300
    item(page, TIG3).get_by_role("button", name=re.compile("^Show ")).click()
    visit.wait_drawn()
    page.wait_for_timeout(500)
    assert count(panel_image(page, TIG3), "#1b6ca8", 24) > 300
    choose(page, METHYLATION, "CpG methylation IMR90", "Hide")
    expect(page.locator(f"[data-row={METHYLATION}]")).to_have_count(0)
    expect(item(page, METHYLATION)).to_have_class("off")
    page.get_by_role("button", name="Reset to defaults").click()
    assert order(page) == everything


def test_all_hidden_says_so(visit: Visit) -> None:
    page = visit.open(LAD)
    open_list(page)
    for uid in order(page):
        item(page, uid).get_by_role("button", name=re.compile("^Show ")).click()
    expect(page.locator("#empty")).to_be_visible()


def test_rows_are_moved_by_buttons_menu_and_hand(visit: Visit) -> None:
    page = visit.open(LAD)
    everything = order(page)
    open_list(page)
    up = item(page, LIVER).get_by_role("button", name="Move LMNB1 LAD liver up")
    up.click()
    expect(up).to_be_focused()
    page.keyboard.press("Enter")
    assert order(page) == [*everything[:-3], LIVER, *everything[-3:-1]]
    choose(page, LIVER, "LMNB1 LAD liver", "Move down")
    assert order(page) == [*everything[:-3], everything[-3], LIVER, everything[-2]]
    grip, target = item(page, LIVER).locator(".grip").bounding_box(), item(page, everything[0]).bounding_box()
    assert grip is not None
    assert target is not None
    page.mouse.move(grip["x"] + 5, grip["y"] + 10)
    page.mouse.down()
    page.mouse.move(grip["x"] + 5, target["y"] + 40, steps=4)
    page.mouse.move(grip["x"] + 5, target["y"] + 2, steps=4)
    page.mouse.up()
    assert order(page)[0] == LIVER
    page.wait_for_timeout(500)
    image = panel_image(page, LIVER)
    assert count(image, "#7b5ea7", 24) > 300, "the track is drawn where its name stands"


def test_forms_and_modes_draw_what_they_say(visit: Visit, results: Path) -> None:
    page = visit.open("chr22:46,640,001-46,740,000")
    page.wait_for_timeout(500)
    both = panel_image(page, METHYLATION)
    fill = (209, 209, 209)
    assert count(both, fill, 2) > 5_000
    choose(page, METHYLATION, "Show", "Predicted")
    expect(page.locator(f"[data-track={METHYLATION}] li")).to_have_text(["predicted"])
    page.wait_for_timeout(500)
    assert count(panel_image(page, METHYLATION), fill, 2) == 0
    assert count(panel_image(page, METHYLATION), ORANGE, 24) > 500
    choose(page, METHYLATION, "Show", "Observed")
    page.wait_for_timeout(500)
    assert count(panel_image(page, METHYLATION), ORANGE, 24) == 0
    assert count(panel_image(page, METHYLATION), fill, 2) > 5_000
    choose(page, METHYLATION, "Show", "Difference")
    expect(page.locator(f"[data-track={METHYLATION}] li")).to_contain_text(["predicted higher", "observed higher"])
    axis = page.locator(f"[data-track={METHYLATION}]").get_by_role("img")
    expect(axis).to_have_attribute("aria-label", "axis: methylated fraction, -1 to 1")
    page.wait_for_timeout(500)
    page.screenshot(path=results / "difference.png")
    choose(page, METHYLATION, "Show", "Observed and predicted")
    open_list(page).locator(".all").get_by_label("Draw as").select_option(label="Heatmap")
    page.wait_for_timeout(1_500)
    page.screenshot(path=results / "heatmap.png")
    filled = panel_image(page, METHYLATION)
    assert count(filled, (255, 255, 255), 2) < 0.5 * filled.shape[0] * filled.shape[1]


def test_scales_heights_and_colours(visit: Visit) -> None:
    page = visit.open(LAD)
    open_list(page)
    row = item(page, LIVER)
    row.get_by_role("button", name="LMNB1 LAD liver", exact=True).click()
    axis = page.locator(f"[data-track={LIVER}]").get_by_role("img")
    expect(axis).to_have_attribute("aria-label", "axis: covered fraction, 0 to 1")
    row.get_by_label("Y axis").select_option(label="From … to …")
    row.get_by_label("to", exact=True).fill("4")
    row.get_by_label("to", exact=True).press("Tab")
    expect(axis).to_have_attribute("aria-label", "axis: covered fraction, 0 to 4")
    row.get_by_label("from", exact=True).fill("9")
    row.get_by_label("from", exact=True).press("Tab")
    expect(axis).to_have_attribute("aria-label", "axis: covered fraction, 0 to 4")
    # A field says what is in use, not what was refused.
    expect(row.get_by_label("from", exact=True)).to_have_value("0")
    row.get_by_label("to", exact=True).fill("")
    row.get_by_label("to", exact=True).press("Tab")
    expect(row.get_by_label("to", exact=True)).to_have_value("4")
    row.get_by_label("Y axis").select_option(label="What is in view")
    expect(axis).not_to_have_attribute("aria-label", re.compile("0 to 4"))

    row.get_by_label("Height").fill("200")
    row.get_by_label("Height").press("Tab")
    box = page.locator(f"[data-track={LIVER}]").bounding_box()
    assert box is not None
    assert box["height"] == 200
    row.get_by_label("Colour").fill("#00aa00")
    page.wait_for_timeout(800)
    image = panel_image(page, LIVER)
    assert image.shape[0] == 200
    assert count(image, "#00aa00", 40) > 300
    # All share one range once they are told to: that of the unit.
    page.locator(".all").get_by_label("Y axis").select_option(label="Shared by unit")
    page.wait_for_timeout(800)
    words = [
        str(page.locator(f"[data-track={slug}]").get_by_role("img").get_attribute("aria-label"))
        for slug in (TIG3, "lmnb1_lad_cardiac_myocytes", LIVER)
    ]
    assert len(set(words)) == 1, words


def test_another_head_predicts(visit: Visit) -> None:
    page = visit.open(LAD)
    page.wait_for_timeout(500)
    before = panel_image(page, LIVER)
    other = panel_image(page, METHYLATION)
    open_list(page)
    page.get_by_role("button", name="Close", exact=True).click()
    row = item(page, LIVER)
    open_list(page)
    row.get_by_role("button", name="LMNB1 LAD liver", exact=True).click()
    heads = row.get_by_label("Head")
    expect(heads).to_have_value("bins")
    heads.select_option("attention")
    shown = page.locator(f"[data-track={LIVER}]")
    expect(shown.locator("li").first).to_contain_text("predicted only by attention")
    expect(shown).to_have_attribute("data-predicted", "drawn")
    page.get_by_role("button", name="Close", exact=True).click()
    page.wait_for_timeout(1_000)
    after = panel_image(page, LIVER)
    assert (np.abs(before.astype(int) - after).max(axis=2) > 24).sum() > 300, "another head draws another line"
    assert (np.abs(other.astype(int) - panel_image(page, METHYLATION)).max(axis=2) > 24).sum() < 50


WATCH = """(box) => new Promise((resolve) => {
  const plot = document.querySelector('#plot');
  const canvas = plot.querySelector('canvas');
  const scale = canvas.width / canvas.clientWidth;
  const copy = new OffscreenCanvas(Math.round(box.width * scale), Math.round(box.height * scale));
  const context = copy.getContext('2d', { willReadFrequently: true });
  const counts = [];
  const began = performance.now();
  const look = () => {
    context.clearRect(0, 0, copy.width, copy.height);
    context.drawImage(canvas, -box.x * scale, -box.y * scale);
    const { data } = context.getImageData(0, 0, copy.width, copy.height);
    let inked = 0;
    for (let at = 0; at < data.length; at += 4) if (Math.abs(data[at] - 0xd9) < 24 && data[at + 2] < 40) inked++;
    counts.push(inked);
    if (performance.now() - began < 1500) requestAnimationFrame(look);
    else resolve(counts);
  };
  document.querySelector('[data-item=lmnb1_lad_liver] button[aria-pressed]').click();
  requestAnimationFrame(look);
})"""


def test_a_track_that_stays_does_not_flicker(visit: Visit) -> None:
    """In no frame after another track is hidden is the orange line gone."""
    page = visit.open("chr22:46,640,001-46,740,000")
    open_list(page)
    page.wait_for_timeout(1_000)
    row, plot = page.locator(f"[data-track={METHYLATION}]").bounding_box(), page.locator("#plot").bounding_box()
    assert row is not None
    assert plot is not None
    box = {"x": 0, "y": row["y"] - plot["y"], "width": plot["width"], "height": row["height"]}
    counts = page.evaluate(WATCH, box)
    assert len(counts) > 5
    assert counts[-1] > 300
    assert min(counts) > 0.5 * counts[-1], counts


def test_the_menu_of_a_row_holds_what_a_right_click_offers(visit: Visit) -> None:
    page = visit.open("chr22:46,640,001-46,740,000")
    page.locator(f"[data-row={METHYLATION}] button.more").focus()
    page.keyboard.press("Enter")
    entries = [str(one).strip() for one in page.get_by_role("menu").locator(".label").all_text_contents()]
    page.keyboard.press("Escape")
    box = page.locator(f"[data-track={METHYLATION}]").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] + 300, box["y"] + 40, button="right")
    offered = page.locator(".tracks-menu button").all_text_contents()
    assert "Save observed in view as bigWig" in offered
    for entry in offered:
        assert entries.count(entry) == 1, (entry, entries)


def test_units_stay_clear_of_the_labels_of_the_axis(visit: Visit) -> None:
    page = visit.open(LAD)
    open_list(page)
    row = item(page, LIVER)
    row.get_by_role("button", name="LMNB1 LAD liver", exact=True).click()
    row.get_by_label("Y axis").select_option(label="From … to …")
    for field, value in (("to", "0.0002"), ("from", "0.0001")):
        row.get_by_label(field, exact=True).fill(value)
        row.get_by_label(field, exact=True).press("Tab")
    axis = page.locator(f"[data-track={LIVER}] svg.axis")
    expect(axis).to_have_attribute("aria-label", re.compile("0.0001 to 0.0002"))
    unit, labels = axis.locator("text.unit"), axis.locator("text:not(.unit)")
    expect(labels).not_to_have_count(0)
    right = page.evaluate("one => one.getBoundingClientRect().right", unit.element_handle())
    for label in labels.all():
        assert page.evaluate("one => one.getBoundingClientRect().left", label.element_handle()) >= right - 1
