"""Nobody is kept out: axe-core finds no serious fault in either theme, keys reach all, a tablet can be touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import cannot
from tests.viewer.conftest import Visit, visiting

AXE = Path(__file__).parents[2] / "viewer/node_modules/axe-core/axe.min.js"
TABLET = {"viewport": {"width": 820, "height": 1180}, "has_touch": True, "is_mobile": True}


def faults(page: Page) -> list[str]:
    """Return what axe-core finds that is serious or worse, with where it is."""
    if not AXE.is_file():
        cannot("axe-core is not installed (npm ci in viewer/)")
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    found: dict[str, Any] = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:160]}: {node['failureSummary'][:300]}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, address: str, scheme: str, results: Path) -> None:
    with visiting(browser, address, color_scheme=scheme, bypass_csp=True) as visit:
        page = visit.open("chr20:44,600,001-45,600,000")
        assert page.locator("html").get_attribute("data-theme") == scheme
        page.wait_for_timeout(500)
        page.screenshot(path=results / f"page-{scheme}.png")
        assert faults(page) == []
        page.get_by_role("button", name="Menu of LMNB1 LAD liver").click()
        assert faults(page) == []
        page.get_by_role("menuitem", name="Colour, height, axis…").click()
        page.wait_for_timeout(800)
        assert faults(page) == []
        page.screenshot(path=results / f"tracks-{scheme}.png")
        page.get_by_role("button", name="Bookmarks").click()
        page.get_by_role("button", name="Bookmark this view").click()
        assert faults(page) == []
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Keys and signs").click()
        assert faults(page) == []
        page.keyboard.press("Escape")
        page.get_by_role("search").get_by_role("combobox").fill("JAGG1")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_be_visible()
        assert faults(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_the_page_of_jobs(browser: Browser, address: str, scheme: str) -> None:
    with visiting(browser, address, color_scheme=scheme, bypass_csp=True) as visit:
        page = visit.page
        page.goto(f"{address}jobs")
        page.wait_for_selector("body[data-state=open]")
        page.locator("#what").fill("chr22:46,640,001-46,740,000")
        page.get_by_role("button", name="Predict", exact=True).click()
        expect(page.locator("#jobs > li .chip").first).to_have_text("done")
        assert faults(page) == []


def focused(page: Page) -> str:
    return str(page.evaluate("(one => String(one.id || one.className || one.tagName))(document.activeElement)"))


def test_the_tab_key_walks_all_controls_and_out_again(visit: Visit) -> None:
    page = visit.open()
    page.locator("body").press("Tab")
    reached = []
    for _ in range(60):
        reached.append(focused(page))
        page.keyboard.press("Tab")
        if focused(page) in ("BODY", reached[0]):
            break
    else:
        raise AssertionError(f"the focus never came out: {reached}")
    wanted = ["query", "left", "whole", "tracks", "places", "export", "open-in", "share", "theme"]
    wanted += ["help", "overview", "plot"]
    assert [one for one in reached if one in wanted] == wanted


def test_a_menu_is_walked_by_keys_and_gives_the_focus_back(visit: Visit) -> None:
    page = visit.open()
    opener = page.get_by_role("button", name="Export")
    opener.focus()
    before = page.locator("#location").text_content()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="SVG")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="PNG")).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(opener).to_be_focused()
    assert page.locator("#location").text_content() == before


def test_a_tablet_can_be_touched(browser: Browser, address: str, results: Path) -> None:
    with visiting(browser, address, **TABLET) as visit:
        page = visit.open("chr20:45,000,001-45,700,000")
        page.wait_for_timeout(500)
        page.screenshot(path=results / "tablet.png")
        assert page.evaluate("document.documentElement.scrollWidth") <= 820
        small = page.evaluate(
            """[...document.querySelectorAll('.toolbar button, .toolbar a, .where button, .strip select')]
            .filter((one) => one.offsetParent && (one.offsetWidth < 39 || one.offsetHeight < 39))
            .map((one) => `${one.id} ${one.textContent} ${one.offsetWidth}x${one.offsetHeight}`)"""
        )
        assert small == []
        page.get_by_role("button", name="Move right").tap()
        expect(page.locator("#location")).to_contain_text("chr20:45,175,001-45,875,000")
        page.get_by_role("button", name="Tracks", exact=True).tap()
        page.get_by_role("button", name="Close", exact=True).tap()
        expect(page.locator("#tracks-drawer")).to_be_hidden()
        # One finger drags the view.
        box = page.locator("#plot").bounding_box()
        assert box is not None
        x, y = box["x"] + 300, box["y"] + 300
        touch = page.context.new_cdp_session(page)
        touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        for step in range(1, 9):
            touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x - 15 * step, "y": y}]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        expect(page.locator("#location")).not_to_contain_text("chr20:45,175,001-45,875,000")
