"""Moving about: how far hands and keys lead, and where the overview says that one is."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.viewer.conftest import Visit

WHOLE = "chr20:1-chr22:51,304,566"
METHYLATION = "cpg_methylation_imr90"


def wheel(page: Page, share: float, by: int, steps: int) -> None:
    """Turn the wheel over a place of the plot, ``share`` of its width from its left."""
    box = page.locator("#plot").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
    for _ in range(steps):
        page.mouse.wheel(0, by)


def width_in_view(page: Page) -> int:
    words = str(page.locator("#location b").text_content()).replace(",", "")
    match = re.fullmatch(r"chr\w+:(\d+)-(\d+)", words)
    assert match is not None, words
    return int(match[2]) - int(match[1]) + 1


def test_a_wheel_turned_out_ends_at_the_whole_genome(visit: Visit) -> None:
    page = visit.open("chr20:45,200,001-45,600,000")
    wheel(page, 0.3, 240, 120)
    expect(page.locator("#location b")).to_have_text(WHOLE)
    # Not only in words: the slider's window fills the genome, and half of what is drawn is half of it.
    page.wait_for_timeout(1_000)
    page.locator("#plot").focus()
    page.keyboard.press("+")
    expect(page.locator("#location")).to_contain_text("57.2 Mb")


def test_a_wheel_turned_in_ends_at_what_can_be_read(visit: Visit) -> None:
    page = visit.open("chr20:45,200,001-45,600,000")
    wheel(page, 0.5, -240, 120)
    page.wait_for_timeout(1_500)
    assert 500 <= width_in_view(page) <= 510


def test_a_view_that_is_dragged_off_the_genome_comes_back(visit: Visit) -> None:
    page = visit.open("chr20:100,001-500,000", drawn=False)
    box = page.locator("#plot").bounding_box()
    assert box is not None
    x, y = box["x"] + 100, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 800, y, steps=6)
    page.wait_for_timeout(600)
    # As long as it is held it stays under the hand.
    assert page.locator("#location b").text_content() != "chr20:1-400,000"
    page.mouse.up()
    expect(page.locator("#location b")).to_have_text("chr20:1-400,000")


def test_plus_never_zooms_out(visit: Visit) -> None:
    page = visit.open("chr20:45,200,001-45,200,100", drawn=False)
    expect(page.locator("#location b")).to_have_text("chr20:45,200,001-45,200,100")
    page.locator("#plot").focus()
    page.keyboard.press("+")
    page.wait_for_timeout(600)
    assert width_in_view(page) == 100
    page.keyboard.press("-")
    expect(page.locator("#location")).to_contain_text("200 bp")


def test_the_overview_of_a_view_that_crosses_chromosomes_is_the_genome(visit: Visit) -> None:
    page = visit.open("chr20:45,200,001-45,600,000")
    page.locator("#plot").focus()
    page.keyboard.press("Home")
    expect(page.locator("#location b")).to_have_text(WHOLE)
    expect(page.locator("#chromosome")).to_have_value("all")
    slider = page.get_by_role("slider", name="Place on the genome")
    expect(slider).to_have_attribute("aria-valuemax", str(63_025_520 + 51_304_566))
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)
    expect(page.locator("#location b")).to_have_text(WHOLE)
    page.locator("#chromosome").select_option("chr22")
    expect(page.get_by_role("slider", name="Place on the chromosome")).to_be_visible()
    page.locator("#chromosome").select_option("All")
    expect(page.locator("#location b")).to_have_text(WHOLE)


def test_keys_of_the_overview_are_one_step_of_the_history(visit: Visit) -> None:
    page = visit.open("chr20:45,200,001-45,600,000")
    page.get_by_role("slider").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#location b")).to_have_text(re.compile("^chr20:1,260,51"))
    page.get_by_role("button", name="Back", exact=True).click()
    expect(page.locator("#location b")).to_have_text("chr20:45,200,001-45,600,000")
    expect(page.get_by_role("button", name="Back", exact=True)).to_be_disabled()


@pytest.mark.parametrize(("key", "opened"), [("?", "#help-dialog"), ("t", "#tracks-drawer")])
def test_letters_work_while_the_overview_has_the_focus(visit: Visit, key: str, opened: str) -> None:
    page = visit.open()
    page.get_by_role("slider").focus()
    page.keyboard.press(key)
    expect(page.locator(opened)).to_be_visible()


def test_names_with_colons_are_read(visit: Visit) -> None:
    name = "HLA:A*01:1-2"

    def renamed(route: Route) -> None:
        answer = route.fetch()
        page = json.loads(answer.text().replace('"chr20"', json.dumps(name)))
        route.fulfill(response=answer, json=page)

    visit.page.route("**/api/page", renamed)
    page = visit.open(f"{name}:45200001-45600000", drawn=False)
    expect(page.locator("#location b")).to_have_text(f"{name}:45,200,001-45,600,000")
    expect(page.locator("#link-notice")).to_be_hidden()
