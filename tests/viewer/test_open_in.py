"""The menu that opens the tracks in UCSC, IGV and JBrowse: what it offers, says when it cannot, and copies."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.viewer.conftest import Visit, visiting
from tests.viewer.test_accessibility import TABLET, faults

PLACE = "chr22:46,640,001-46,740,000"
HUB = "https://tracks.lab.example/hub/hub.txt"
LINES = "\n".join(
    f'track type=bigWig name="{name}" visibility=full bigDataUrl=https://tracks.lab.example/files/{name}.bw'
    for name in ("LMNB1", "CpG")
)
WHY = "UCSC reads the tracks from its own machines, which cannot reach 127.0.0.1; start with --public-url"


def answer(address: str, region: str, **changes: object) -> dict[str, Any]:
    """What a server that all can reach answers; its links lead to files of the server itself, which tests may open."""
    return {
        "hub": {"url": HUB},
        "ucsc": {"url": f"{address}static/viewer.css?position={region}", "why": ""},
        "igv": {
            "session": f"{HUB}?session.xml",
            "file": "/static/viewer.css?session.xml",
            "desktop": f"http://localhost:60151/load?file={HUB}&locus={region}",
            "web": "https://igv.org/app/?sessionURL=https://tracks.lab.example/hub/igv.xml",
            "why": "",
        },
        "jbrowse": {
            "config": f"{HUB}?config.json",
            "file": "/static/viewer.css?config.json",
            "web": f"https://jbrowse.org/code/jb2/latest/?config=https://tracks.lab.example/hub/jbrowse.json&loc={region}",
            "why": "",
        },
        "custom_tracks": LINES,
        **changes,
    }


def answering(visit: Visit, reply: Callable[[Route, str], None]) -> None:
    """Answer the menu's question instead of the server; ``reply`` is told the region that is asked for."""

    def handle(route: Route) -> None:
        reply(route, parse_qs(urlsplit(route.request.url).query)["region"][0])

    visit.page.route(re.compile(r"/api/browsers\b"), handle)


def answering_all(visit: Visit, **changes: object) -> None:
    answering(visit, lambda route, region: route.fulfill(json=answer(visit.address, region, **changes)))


def open_menu(page: Page) -> Locator:
    page.get_by_role("button", name="Open in", exact=True).click()
    return page.get_by_role("menu", name="Open in another genome browser")


def entry(page: Page, name: str) -> Locator:
    return page.get_by_role("menuitem", name=name)


def ready(page: Page) -> Locator:
    menu = open_menu(page)
    expect(entry(page, "IGV desktop")).to_be_visible()
    return menu


def test_the_menu_offers_every_browser_what_the_server_answers(visit: Visit) -> None:
    page = visit.open(PLACE)
    menu = ready(page)
    expect(menu.get_by_role("group")).to_have_count(3)
    expect(menu.get_by_role("group", name=f"In a new tab, at {PLACE}").get_by_role("menuitem")).to_have_count(4)
    link = entry(page, "IGV desktop")
    expect(link).to_have_attribute("href", re.compile(f"^{re.escape('http://localhost:60151/load?')}"))
    expect(link).to_have_attribute("target", "_blank")
    expect(link).to_have_attribute("rel", "noopener")
    address = unquote(link.get_attribute("href") or "").replace(",", "")
    assert re.search(r"chr22:46640001-46740000", address), address
    # This server listens on the loopback address, so UCSC's machines cannot read from it, and lets no other site's
    # pages read.
    for name, way in (
        ("UCSC Genome Browser", "--public-url"),
        ("IGV web", "--cors https://igv.org"),
        ("JBrowse web", "--cors https://jbrowse.org"),
    ):
        expect(entry(page, name)).to_have_attribute("aria-disabled", "true")
        expect(entry(page, name).locator(".reason")).to_contain_text(way)
    for name, ending in (("IGV session file", "_igv_session.xml"), ("JBrowse configuration", "_jbrowse.json")):
        address = entry(page, name).evaluate("one => one.href")
        assert address.startswith(visit.address)
        got = page.request.get(address)
        assert got.ok
        assert len(got.body()) > 100
        with page.expect_download() as started:
            entry(page, name).click()
        assert Path(started.value.path()).read_bytes() == got.body()
        assert started.value.suggested_filename.endswith(ending)
        ready(page)


def test_pages_of_other_sites_that_may_read_are_linked(visit: Visit) -> None:
    answering_all(visit)
    page = visit.open(PLACE)
    ready(page)
    for name, starts in (("IGV web", "https://igv.org/app/?sessionURL="), ("JBrowse web", "https://jbrowse.org/code/")):
        expect(entry(page, name)).to_have_attribute("href", re.compile(f"^{re.escape(starts)}"))
        expect(entry(page, name)).to_have_attribute("target", "_blank")
        expect(entry(page, name)).to_have_attribute("rel", "noopener")


def test_a_browser_opens_in_another_tab_that_knows_nothing_of_this_one(visit: Visit) -> None:
    answering_all(visit)
    page = visit.open(PLACE)
    ready(page)
    with page.expect_popup() as opened:
        entry(page, "UCSC Genome Browser").click()
    other = opened.value
    assert parse_qs(urlsplit(other.url).query) == {"position": [PLACE]}
    assert other.evaluate("window.opener") is None
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(page.get_by_role("button", name="Open in", exact=True)).to_be_focused()
    # The space bar too: whoever walks a menu by keys does not see which entries are links.
    ready(page)
    with page.expect_popup():
        page.keyboard.press("Space")


def test_each_opening_asks_for_the_view_as_it_is_then(visit: Visit) -> None:
    asked: list[str] = []

    def reply(route: Route, region: str) -> None:
        asked.append(region)
        route.fulfill(json=answer(visit.address, region))

    answering(visit, reply)
    page = visit.open(PLACE)
    ready(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Move right").click()
    expect(page.locator("#location")).to_contain_text("chr22:46,665,001-46,765,000")
    ready(page)
    page.keyboard.press("Escape")
    # Other browsers show one chromosome: of a view of several the one that has most of it.
    page.get_by_role("button", name="Whole genome").click()
    expect(page.locator("#location")).to_contain_text("chr22")
    menu = ready(page)
    longest = max(
        page.evaluate("fetch('/api/page').then((one) => one.json())")["chromosomes"], key=lambda c: c["length"]
    )
    whole = f"{longest['name']}:1-{longest['length']:,}"
    assert asked == [PLACE, "chr22:46,665,001-46,765,000", whole]
    expect(menu.get_by_role("group").first).to_have_attribute("aria-label", f"In a new tab, at {whole}")


def test_what_ucsc_cannot_reach_is_said_in_words(visit: Visit) -> None:
    answering_all(visit, ucsc={"url": None, "why": WHY})
    page = visit.open(PLACE)
    menu = ready(page)
    ucsc = entry(page, "UCSC Genome Browser")
    expect(ucsc).to_have_attribute("aria-disabled", "true")
    expect(ucsc.get_by_text(WHY)).to_be_visible()
    # The first that can be chosen has the focus; keys reach the other, so that its reason is heard.
    expect(entry(page, "IGV desktop")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(ucsc).to_be_focused()
    page.keyboard.press("Enter")
    expect(menu).to_be_visible()
    page.keyboard.press("End")
    expect(entry(page, "Copy custom-track lines")).to_be_focused()
    page.keyboard.press("Home")
    expect(ucsc).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(page.get_by_role("button", name="Open in", exact=True)).to_be_focused()


def test_a_server_that_does_not_answer_is_said_and_asked_again(visit: Visit) -> None:
    waiting: list[tuple[Route, str]] = []
    answering(visit, lambda route, region: waiting.append((route, region)))
    page = visit.open(PLACE)
    menu = open_menu(page)
    expect(entry(page, "Asking the server…")).to_be_focused()
    page.wait_for_timeout(100)
    waiting.pop()[0].abort()
    expect(menu.get_by_text("The server does not answer")).to_be_visible()
    expect(page.locator("#live")).to_contain_text("The server does not answer")
    expect(entry(page, "Try again")).to_be_focused()
    page.keyboard.press("Enter")
    expect(entry(page, "Asking the server…")).to_be_focused()
    page.wait_for_timeout(100)
    waiting.pop()[0].fulfill(status=404, json={"error": "there is nothing at /api/browsers"})
    expect(menu.get_by_text("there is nothing at /api/browsers")).to_be_visible()
    page.keyboard.press("Enter")
    page.wait_for_timeout(100)
    route, region = waiting.pop()
    route.fulfill(json=answer(visit.address, region))
    expect(entry(page, "UCSC Genome Browser")).to_be_focused()
    # An answer that comes after the menu was closed changes nothing.
    page.keyboard.press("Escape")
    open_menu(page)
    page.wait_for_timeout(100)
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    waiting.pop()[0].abort()
    page.wait_for_timeout(200)
    expect(page.locator("#live")).not_to_contain_text("does not answer")
    visit.faults[:] = [fault for fault in visit.faults if "ERR_" not in fault]


def test_the_hub_and_the_lines_are_copied(visit: Visit) -> None:
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    answering_all(visit)
    page = visit.open(PLACE)
    menu = ready(page)
    for name, text in (("Copy the hub's address", HUB), ("Copy custom-track lines", LINES)):
        entry(page, name).click()
        expect(entry(page, name).get_by_text("Copied", exact=True)).to_be_visible()
        expect(page.locator("#live")).to_have_text(f"{name}: Copied")
        expect(entry(page, name)).to_be_focused()
        assert page.evaluate("navigator.clipboard.readText()") == text
    # The words go again, and the menu is as it was.
    expect(menu.get_by_text("Copied", exact=True)).to_have_count(0)
    expect(menu).to_be_visible()


def test_copying_needs_no_secure_context(visit: Visit) -> None:
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.page.add_init_script(
        """window.real = navigator.clipboard;
        Object.defineProperty(Navigator.prototype, 'clipboard', { get: () => undefined })"""
    )
    answering_all(visit)
    page = visit.open(PLACE)
    ready(page)
    entry(page, "Copy custom-track lines").click()
    expect(page.get_by_text("Copied", exact=True)).to_be_visible()
    expect(entry(page, "Copy custom-track lines")).to_be_focused()
    assert page.evaluate("window.real.readText()") == LINES


def test_what_cannot_be_copied_stands_selected(visit: Visit) -> None:
    visit.page.add_init_script(
        """Object.defineProperty(Navigator.prototype, 'clipboard', { get: () => undefined });
        document.execCommand = () => false;"""
    )
    answering_all(visit)
    page = visit.open(PLACE)
    ready(page)
    entry(page, "Copy custom-track lines").click()
    dialog = page.get_by_role("dialog", name="Custom-track lines")
    field = dialog.get_by_role("textbox", name="Custom-track lines")
    expect(field).to_have_value(LINES)
    expect(field).to_be_focused()
    assert field.evaluate("one => one.value.slice(one.selectionStart, one.selectionEnd)") == LINES
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Open in", exact=True)).to_be_focused()


def test_addresses_that_hold_the_token_are_told_of(visit: Visit) -> None:
    answering_all(visit, hub={"url": f"{HUB}?token=0123456789abcdef"})
    page = visit.open(PLACE)
    menu = ready(page)
    expect(menu.get_by_role("group", name="Keep these to yourself")).to_contain_text("this server's token")


@pytest.mark.parametrize(
    ("hub", "warned"),
    [(HUB, False), ("http://lab.example:8989/hub/hub.txt", True), ("http://127.0.0.1:8989/hub/hub.txt", False)],
)
def test_pages_on_the_web_may_be_kept_from_a_plain_server(visit: Visit, hub: str, warned: bool) -> None:
    answering_all(visit, hub={"url": hub})
    page = visit.open(PLACE, drawn=False)
    menu = ready(page)
    expect(menu.get_by_text("which may not read from plain http")).to_have_count(2 if warned else 0)
    expect(entry(page, "IGV web")).to_contain_text("igv.org")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desk", "tablet"])
def test_the_open_menu_is_legible(browser: Browser, address: str, scheme: str, size: str, results: Path) -> None:
    options = TABLET if size == "tablet" else {}
    with visiting(browser, address, color_scheme=scheme, bypass_csp=True, **options) as visit:
        answering_all(visit, ucsc={"url": None, "why": WHY}, hub={"url": f"{HUB}?token=0123456789abcdef"})
        page = visit.open(PLACE)
        menu = ready(page)
        page.screenshot(path=results / f"open-in-{size}-{scheme}.png")
        assert faults(page) == []
        box, wide = menu.bounding_box(), page.evaluate("innerWidth")
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= wide
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        if size == "tablet":
            small = menu.get_by_role("menuitem").evaluate_all(
                "all => all.filter((one) => one.offsetHeight < 39).length"
            )
            assert small == 0
