"""Links restore all that is shown, whatever people do to them; history and bookmarks lead back to places."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.viewer.conftest import Visit, visiting
from tests.viewer.pixels import panel_image
from tests.viewer.test_tracks_list import LAD, LIVER, METHYLATION, TIG3, choose, item, open_list, order


def packed(settings: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(settings).encode()).decode().rstrip("=")


def test_a_link_restores_everything(visit: Visit, browser: Browser) -> None:
    page = visit.open(LAD)
    choose(page, METHYLATION, "Show", "Difference")
    choose(page, TIG3, "Draw as", "Bars")
    open_list(page)
    item(page, "genes").get_by_role("button", name=re.compile("^Show ")).click()
    item(page, LIVER).get_by_role("button", name="Move LMNB1 LAD liver up").click()
    row = item(page, LIVER)
    row.get_by_role("button", name="LMNB1 LAD liver", exact=True).click()
    row.get_by_label("Height").fill("140")
    row.get_by_label("Height").press("Tab")
    row.get_by_label("Colour").fill("#008844")
    row.get_by_label("Y axis").select_option(label="From … to …")
    row.get_by_label("to", exact=True).fill("2")
    row.get_by_label("to", exact=True).press("Tab")
    row.get_by_label("Head").select_option("linear")
    page.get_by_role("button", name="Close", exact=True).click()
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("menuitemradio", name="Dark").click()
    visit.wait_drawn()
    page.wait_for_timeout(800)
    link, rows, where = page.url, order(page), page.locator("#location").text_content()
    images = {slug: panel_image(page, slug) for slug in (METHYLATION, TIG3, LIVER)}
    assert re.search(r"#chr20:\d+-\d+&s=[\w-]+$", link)

    with visiting(browser, visit.address) as another:
        page = another.page
        page.goto(link)
        page.wait_for_selector("body[data-state=open]")
        another.wait_drawn()
        page.wait_for_timeout(800)
        assert order(page) == rows
        assert page.locator("#location").text_content() == where
        assert page.locator("html").get_attribute("data-theme") == "dark"
        for slug, image in images.items():
            again = panel_image(page, slug)
            assert again.shape == image.shape
            assert (abs(again.astype(int) - image).max(axis=2) > 24).mean() < 0.002, slug
        assert page.url == link


@pytest.mark.parametrize(
    "link",
    [
        "chr20:45000001-45700000&s=%%%",
        "chr20:45000001-45700000&s=" + "A" * 30_000,
        "chr20:45000001-45700000&s=" + packed([1, 2]),
        "chr20:45000001-45700000&s=" + packed({"t": "pink", "o": [7, None, "nosuch"], "r": {"nosuch": {"mark": 3}}}),
        "chr20:45000001-45700000&s=" + base64.urlsafe_b64encode(b"\xff\xfe{").decode(),
        "%E0%A4%A&s=",
        "chr99:1-5",
        "chr20:9-5",
    ],
)
def test_a_link_that_is_garbage_opens_the_page(visit: Visit, link: str) -> None:
    page = visit.open(link, drawn=False)
    expect(page.locator("#link-notice")).to_contain_text("part of this link could not be read")
    expect(page.locator("[data-track]")).to_have_count(4)
    expected = "chr20:45,000,001-45,700,000" if link.startswith("chr20:450") else "chr22:46,640,001-46,740,000"
    expect(page.locator("#location")).to_contain_text(expected)


def test_wrong_values_in_a_link_leave_the_right_ones(visit: Visit) -> None:
    rows = {
        METHYLATION: {"height": 1e9, "color": "red", "mark": "pie", "show": "predicted", "head": "nosuch"},
        TIG3: {"hidden": True, "scale": "fixed", "low": 3, "high": 1},
    }
    page = visit.open("chr20:45000001-45700000&s=" + packed({"r": rows}), drawn=False)
    expect(page.locator(f"[data-row={TIG3}]")).to_have_count(0)
    expect(page.locator(f"[data-track={METHYLATION}] li")).to_have_text(["predicted"])
    box = page.locator(f"[data-track={METHYLATION}]").bounding_box()
    assert box is not None
    assert box["height"] == 400
    visit.wait_drawn()


def test_the_link_is_copied(visit: Visit) -> None:
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visit.open(LAD)
    choose(page, METHYLATION, "Show", "Difference")
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(visit.address)
    assert "#chr20:45000001-45700000&s=" in copied


def test_the_link_is_copied_where_the_page_is_not_secure(visit: Visit) -> None:
    """As on plain http from another machine, where the browser has no clipboard object."""
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.page.add_init_script("Object.defineProperty(Navigator.prototype, 'clipboard', { get: () => undefined })")
    page = visit.open(LAD)
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    box = page.get_by_role("search").get_by_role("combobox")
    box.focus()
    page.keyboard.press("Control+v")
    expect(box).to_have_value(re.compile(r"#chr20:45000001-45700000$"))
    page.evaluate("document.execCommand = () => false")
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Copy it from the address bar")).to_be_visible()


def test_a_plain_link_typed_into_an_open_page_says_all(visit: Visit) -> None:
    page = visit.open(LAD)
    place, back = page.locator("#location"), page.get_by_role("button", name="Back", exact=True)
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("menuitemradio", name="Dark").click()
    choose(page, METHYLATION, "Show", "Predicted")
    expect(page.locator(f"[data-track={METHYLATION}] li")).to_have_text(["predicted"])
    page.evaluate("location.hash = 'chr20:45000001-45100000'")
    expect(place).to_contain_text("chr20:45,000,001-45,100,000")
    expect(page.locator(f"[data-track={METHYLATION}] li")).to_contain_text(["observed", "predicted"])
    assert page.locator("html").get_attribute("data-theme") == "dark"
    expect(back).to_be_enabled()
    back.click()
    expect(place).to_contain_text(LAD)
    expect(back).to_be_disabled()
    expect(page.get_by_role("button", name="Forward", exact=True)).to_be_enabled()


def test_back_and_forward_lead_through_jumps(visit: Visit) -> None:
    page = visit.open(LAD)
    place, back = page.locator("#location"), page.get_by_role("button", name="Back", exact=True)
    forward = page.get_by_role("button", name="Forward", exact=True)
    expect(back).to_be_disabled()
    expect(forward).to_be_disabled()
    choose(page, METHYLATION, "Show", "Difference")
    page.locator("#plot").focus()
    page.keyboard.press("ArrowRight")
    expect(place).to_contain_text("chr20:45,175,001-45,875,000")
    page.locator("#loci button").first.click()
    expect(place).to_contain_text("chr22:46,640,001-46,740,000")
    choose(page, METHYLATION, "Show", "Predicted")
    back.click()
    expect(place).to_contain_text("chr20:45,175,001-45,875,000")
    expect(page.locator(f"[data-track={METHYLATION}] li")).to_have_text(["predicted"])
    expect(back).to_be_disabled()
    forward.click()
    expect(place).to_contain_text("chr22:46,640,001-46,740,000")
    page.go_back()
    expect(place).to_contain_text("chr20:45,175,001-45,875,000")
    # A person's own address says all.
    page.evaluate(
        "link => { location.hash = link }", "chr20:45000001-45100000&s=" + packed({"r": {TIG3: {"hidden": True}}})
    )
    expect(place).to_contain_text("chr20:45,000,001-45,100,000")
    expect(page.locator(f"[data-row={TIG3}]")).to_have_count(0)


def bookmarks(page: Page) -> list[str]:
    return page.locator("#places-panel .marks").first.locator("b").all_text_contents()


def test_bookmarks_are_kept_and_restore_what_was_set(visit: Visit, tmp_path: Path) -> None:
    page = visit.open(LAD)
    choose(page, METHYLATION, "Show", "Difference")
    page.get_by_role("button", name="Bookmarks").click()
    page.get_by_label("Name of a bookmark").fill("the domain")
    page.get_by_role("button", name="Bookmark this view").click()
    assert bookmarks(page) == ["the domain"]
    page.keyboard.press("Escape")
    choose(page, METHYLATION, "Show", "Observed")
    page.locator("#loci button").first.click()
    page.reload()
    page.wait_for_selector("body[data-state=open]")
    page.get_by_role("button", name="Bookmarks").click()
    page.get_by_role("button", name="the domain").first.click()
    expect(page.locator("#location")).to_contain_text(LAD)
    expect(page.locator(f"[data-track={METHYLATION}]")).to_have_attribute("data-show", "difference")

    page.get_by_role("button", name="Bookmarks").click()
    with page.expect_download() as started:
        page.get_by_role("button", name="Save as BED").click()
    bed = tmp_path / "bookmarks.bed"
    started.value.save_as(bed)
    assert bed.read_text() == "chr20\t45000000\t45700000\tthe domain\n"
    with page.expect_download() as started:
        page.get_by_role("button", name="Save as JSON").click()
    saved = tmp_path / "bookmarks.json"
    started.value.save_as(saved)
    assert json.loads(saved.read_text())["bookmarks"][0]["region"] == "chr20:45,000,001-45,700,000"

    page.get_by_role("button", name="Remove the domain").click()
    assert bookmarks(page) == []
    chooser = page.locator("#places-panel input[type=file]")
    more = tmp_path / "more.bed"
    more.write_text("# places\nchr20\t45000000\t45100000\tfirst\nchr22\t46000000\t46100000\n")
    chooser.set_input_files(more)
    expect(page.locator("#places-panel .marks").first.locator("b")).to_have_count(2)
    assert bookmarks(page) == ["first", "chr22:46000001-46100000"]
    chooser.set_input_files(saved)
    expect(page.locator("#places-panel .marks").first.locator("b")).to_have_count(3)
    wrong = tmp_path / "wrong.bed"
    wrong.write_text("chr20\t1\t2\nchr7\t5\t9\n")
    chooser.set_input_files(wrong)
    expect(page.get_by_role("alert")).to_contain_text("wrong.bed: line 2")
    assert len(bookmarks(page)) == 3


def add_bookmark(page: Page, name: str) -> None:
    page.get_by_role("button", name="Bookmarks").click()
    page.get_by_label("Name of a bookmark").fill(name)
    page.get_by_role("button", name="Bookmark this view").click()


def test_two_tabs_share_their_bookmarks(visit: Visit) -> None:
    page = visit.open(LAD)
    other = page.context.new_page()
    other.goto(page.url)
    other.wait_for_selector("body[data-state=open]")
    add_bookmark(other, "one")
    add_bookmark(page, "two")
    assert bookmarks(page) == ["one", "two"]
    expect(other.locator("#places-panel .marks").first.locator("b")).to_have_text(["one", "two"])
    other.get_by_role("button", name="Remove one").click()
    expect(page.locator("#places-panel .marks").first.locator("b")).to_have_text(["two"])


def test_more_bookmarks_than_are_kept_are_refused_in_words(visit: Visit, tmp_path: Path) -> None:
    page = visit.open(LAD, drawn=False)
    page.get_by_role("button", name="Bookmarks").click()
    many = tmp_path / "many.bed"
    many.write_text("".join(f"chr20\t{1000 * index}\t{1000 * index + 500}\n" for index in range(503)))
    page.locator("#places-panel input[type=file]").set_input_files(many)
    said = page.get_by_role("alert")
    expect(said).to_contain_text("many.bed: 3 of its 503 were left out")
    page.get_by_label("Name of a bookmark").fill("one more")
    page.get_by_role("button", name="Bookmark this view").click()
    expect(said).to_contain_text("There are 500 bookmarks")
    assert len(bookmarks(page)) == 500
