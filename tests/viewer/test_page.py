"""The page as a person sees it: real server, real data, real browser, and the pixels that it drew."""

from __future__ import annotations

import base64
import math
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.viewer.conftest import Visit, visiting
from tests.viewer.pixels import count, decoded, panel_image
from tests.viewer.serving import BROKEN, SLOW, serving

OBSERVED_FILL = (209, 209, 209)
"""#4d4d4d at an opacity of 0.26 on white."""
METHYLATION = "cpg_methylation_imr90"
TIG3 = "lmnb1_lad_tig_3"
LIVER = "lmnb1_lad_liver"


def color_of(page: Page, slug: str) -> str:
    described = page.evaluate("fetch('/api/page').then((answer) => answer.json())")
    return str(next(panel["color"] for panel in described["panels"] if panel["uid"] == slug))


def search(page: Page, text: str) -> Locator:
    box = page.get_by_role("search").get_by_role("combobox")
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

    box = page.get_by_role("search").get_by_role("combobox")
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
    box = page.get_by_role("search").get_by_role("combobox")
    expect(box).to_be_focused()
    page.keyboard.type("+")
    expect(box).to_have_value("+")
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
    there = "chr20:44,400,001-46,800,000"
    expect(page.locator("#location b")).to_have_text(there)
    expect(page).to_have_url(re.compile(r"#chr20:44400001-46800000$"))
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


def test_searches_are_offered_again_when_the_box_is_empty(visit: Visit) -> None:
    page = visit.open()
    search(page, "chr20:45,100,000-45,900,000")
    expect(page.locator("#location")).to_contain_text("chr20:45,100,000-45,900,000")
    search(page, "JAG1")
    expect(page.locator("#location")).to_contain_text("chr20:10,6")
    page.reload()
    page.wait_for_selector("body[data-state=open]")
    box = page.get_by_role("search").get_by_role("combobox")
    box.focus()
    offered = page.get_by_role("listbox", name="Recent searches").get_by_role("option")
    expect(offered).to_have_text([re.compile("JAG1"), re.compile("chr20:45,100,000-45,900,000")])
    box.press("ArrowDown")
    box.press("ArrowDown")
    box.press("Enter")
    expect(page.locator("#location")).to_contain_text("chr20:45,100,000-45,900,000")


def test_home_shows_the_whole_genome_and_a_question_mark_the_keys(visit: Visit) -> None:
    page = visit.open("chr20:45,200,001-45,600,000")
    page.locator("#plot").focus()
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys and signs")
    expect(keys).to_contain_text("whole genome")
    page.keyboard.press("Home")
    expect(page.locator("#location")).to_contain_text("400 kb")
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    page.locator("#plot").focus()
    page.keyboard.press("Home")
    expect(page.locator("#location")).to_contain_text("chr20:1-chr22:51,304,566")
    page.go_back()
    expect(page.locator("#location")).to_contain_text("chr20:45,200,001-45,600,000")


def test_letters_can_be_kept_from_being_keys(visit: Visit) -> None:
    page = visit.open()
    page.keyboard.press("?")
    page.get_by_role("checkbox", name="Keys of one letter").check()
    page.keyboard.press("Escape")
    page.locator("#export").focus()
    page.keyboard.press("t")
    expect(page.locator("#tracks-drawer")).to_be_hidden()
    page.locator("#plot").focus()
    page.keyboard.press("t")
    expect(page.locator("#tracks-drawer")).to_be_visible()


def overview_image(page: Page) -> np.ndarray:
    return decoded(page.locator("#overview").screenshot())  # type: ignore[arg-type]


def test_the_chromosome_shows_folds_and_predictions_and_leads_there(visit: Visit) -> None:
    page = visit.open("chr20:45,200,001-45,600,000")
    slider = page.get_by_role("slider", name="Place on the chromosome")
    expect(slider).to_have_attribute("aria-valuetext", "chr20:45,200,001-45,600,000")
    # The model's split, of which chr20 is 63,025,520 bases long.
    image = overview_image(page)
    width = image.shape[1]
    folds = {5: (224, 185, 92), 12: (88, 168, 120), 22: (127, 168, 209), 57: (88, 168, 120), 62: (224, 185, 92)}
    for megabase, color in folds.items():
        assert np.abs(image[4, int(megabase / 63.02552 * width)].astype(int) - color).max() <= 3, megabase
    sequence = page.evaluate("fetch('/api/sequence').then((answer) => answer.json())")["known"]
    # Windows come all the time, and the picture follows: soon it shows what the server knows, and some of it.
    for _ in range(60):
        known = page.evaluate("fetch('/api/overview?chrom=chr20&head=bins').then((answer) => answer.json())")["known"]
        image = overview_image(page)
        places = [megabase * 1_000_000 + 500_000 for megabase in (*range(44), *range(47, 63))]  # the view lies between
        there = [all(any(start < at < end for start, end in spans) for spans in (sequence, known)) for at in places]
        columns = [image[15, int(at / 63_025_520 * width)].astype(int) for at in places]
        drawn = [bool(np.abs(column - (89, 99, 110)).max() <= 3) for column in columns]
        if drawn == there and sum(there) > 2:
            break
        page.wait_for_timeout(500)
    assert drawn == there
    assert sum(there) > 2

    box = slider.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 12 / 63.02552, box["y"] + 6)
    expect(page.locator("#location")).to_contain_text(re.compile(r"chr20:11,[789]\d\d,\d{3}-12,[123]\d\d,\d{3} 400 kb"))
    page.mouse.move(box["x"] + box["width"] * 12 / 63.02552, box["y"] + 6)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 20 / 63.02552, box["y"] + 6)
    page.mouse.move(box["x"] + box["width"] * 57 / 63.02552, box["y"] + 6)
    page.mouse.up()
    expect(page.locator("#location")).to_contain_text(re.compile(r"chr20:5[67],\d{3},\d{3}-57,\d{3},\d{3} 400 kb"))
    slider.focus()
    page.keyboard.press("Home")
    expect(page.locator("#location")).to_contain_text(re.compile(r"chr20:1-400,00\d"))
    page.keyboard.press("ArrowRight")
    expect(page.locator("#location")).to_contain_text(re.compile(r"chr20:630,25\d-1,030,25\d"))
    page.keyboard.press("End")
    expect(page.locator("#location")).to_contain_text("-63,025,520")
    page.locator("#chromosome").select_option("chr22")
    expect(page.locator("#location")).to_contain_text("chr22:1-51,304,566")


def decoded_tile(tile: dict[str, str]) -> np.ndarray:
    dtype = {"float16": np.float16, "float32": np.float32}[tile["dtype"]]
    return np.frombuffer(base64.b64decode(tile["dense"]), dtype).astype(np.float64)


def test_agreement_is_the_correlation_of_what_is_in_view(visit: Visit) -> None:
    page = visit.open("chr22:46,640,001-46,740,000")
    said = page.locator(f"[data-track={METHYLATION}] .agreement")
    expect(said).to_contain_text(re.compile(r"r 0\.\d\d \d+ bins of 128 bp"))
    expect(said).to_have_attribute("title", re.compile("^Pearson correlation of observed and predicted over"))
    expect(page.locator(f"[data-track={LIVER}] .agreement")).to_be_hidden()
    page.wait_for_timeout(500)
    # The same bins from the tile API, and their correlation in float64.
    described = page.evaluate("fetch('/api/page').then((answer) => answer.json())")
    panel = next(panel for panel in described["panels"] if panel["uid"] == METHYLATION)
    uids = [panel["observed"], panel["predicted"][0]["uid"]]
    offset = next(one["start"] for one in described["chromosomes"] if one["name"] == "chr22")
    start, end = offset + 46_640_000, offset + 46_740_000
    info = page.evaluate("d => fetch(`/api/v1/tileset_info/?d=${d}`).then((answer) => answer.json())", uids[1])[uids[1]]
    zoom, wide = info["max_zoom"], 1024 * 128
    tiles = range(start // wide, math.ceil(end / wide))
    ids = [f"{uid}.{zoom}.{tile}" for uid in uids for tile in tiles]
    address = "/api/v1/tiles/?" + "&".join(f"d={one}" for one in ids)
    answer = page.evaluate("address => fetch(address).then((answer) => answer.json())", address)
    first = tiles[0] * wide
    bins = slice((start - first) // 128, math.ceil((end - first) / 128))
    observed, predicted = (
        np.concatenate([decoded_tile(answer[f"{uid}.{zoom}.{tile}"]) for tile in tiles])[bins] for uid in uids
    )
    both = np.isfinite(observed) & np.isfinite(predicted)
    r = np.corrcoef(observed[both], predicted[both])[0, 1]
    words = re.search(r"r (0\.\d\d) (\d+) bins", str(said.text_content()))
    assert words is not None
    assert float(words[1]) == pytest.approx(r, abs=0.006)
    assert abs(int(words[2]) - both.sum()) <= 2


def test_agreement_in_training_data_warns(visit: Visit) -> None:
    page = visit.open("chr20:45,050,001-45,400,000")
    said = page.locator(f"[data-track={TIG3}] .agreement")
    expect(said).to_have_attribute("data-kind", "held-out")
    search(page, "chr20:43,950,000-44,900,000")
    expect(page.locator("#fold")).to_have_text("not held out: training data")
    visit.wait_drawn()
    expect(said).to_have_attribute("data-kind", "train")
    expect(said).to_contain_text("training data")
    expect(said).to_have_attribute("title", re.compile("how well the model fits"))
    search(page, "chr20:44,500,000-45,400,000")
    expect(said).to_contain_text("partly training")


def test_too_wide_a_view_offers_to_predict_it(browser: Browser, tmp_path: Path, results: Path) -> None:
    with (
        serving(tmp_path / "store", before=SLOW.format(seconds=0.7)) as server,
        visiting(browser, server.address) as visit,
    ):
        page = visit.open("chr22:46,400,001-48,800,000", drawn=False)
        expect(page.locator(f"[data-track={METHYLATION}]")).to_have_attribute("data-predicted", "too wide")
        press = page.get_by_role("button", name="Predict region")
        expect(press).to_be_visible()
        page.wait_for_timeout(500)
        page.screenshot(path=results / "too-wide.png")
        page.route("**/api/predict?*", lambda route: route.fulfill(json={"windows": 21, "unknown": 21, "seconds": 300}))
        press.click()
        question = page.get_by_role("dialog", name="Predict 2.40 Mb?")
        expect(question).to_contain_text("21 windows of chr22:46,400,001-48,800,000")
        expect(question).to_contain_text("about 5 min")
        question.get_by_role("button", name="Cancel").click()
        expect(question).to_be_hidden()
        assert page.evaluate("fetch('/api/jobs').then((answer) => answer.json())")["jobs"] == []
        page.route("**/api/predict?*", lambda route: route.fulfill(json={"windows": 21, "unknown": 21, "seconds": 20}))
        press.click()
        job = page.locator("#progress .job")
        expect(job).to_contain_text(re.compile(r"[1-9]\d* of \d+"))
        expect(job.get_by_role("progressbar")).to_be_visible()
        job.get_by_role("button", name="Cancel").click()
        expect(job).to_contain_text("cancelled")
        expect(page.locator(f"[data-track={METHYLATION}]")).to_have_attribute("data-predicted", "drawn")
        page.unroute("**/api/predict?*")


def test_the_status_line_says_what_is_at_work(browser: Browser, tmp_path: Path) -> None:
    with (
        serving(tmp_path / "store", before=SLOW.format(seconds=1)) as server,
        visiting(browser, server.address) as visit,
    ):
        page = visit.open("chr22:46,640,001-46,740,000", drawn=False)
        expect(page.locator("#progress")).to_contain_text("Computing chr22:")
        visit.wait_drawn()
        expect(page.locator("#progress")).to_have_text("Idle")
        expect(page.locator("#status")).to_contain_text("devicecpu")
        expect(page.locator("#status")).to_contain_text("precisionfp32")
        expect(page.locator("#speed")).to_have_text(re.compile(r"^[1-9][.\d]* s$"))


def test_windows_that_failed_are_told_and_tried_again(browser: Browser, tmp_path: Path) -> None:
    with (
        serving(tmp_path / "store", "--head", "bins", before=BROKEN.format(head="bins")) as server,
        visiting(browser, server.address) as visit,
    ):
        page = visit.open("chr22:46,640,001-46,740,000", drawn=False)
        failed = page.locator("#progress .failed")
        expect(failed).to_contain_text(re.compile(r"\d windows? failed: .*the weights are no numbers"))
        row = page.locator(f"[data-track={METHYLATION}]")
        expect(row).to_have_attribute("data-predicted", "failed")
        with page.expect_request("**/api/retry") as asked:
            row.get_by_role("button", name="Retry").click()
        assert asked.value.post_data_json["end"] - asked.value.post_data_json["start"] == pytest.approx(100_000, abs=2)
        expect(row).to_have_attribute("data-predicted", "failed")
        with page.expect_request("**/api/retry"):
            page.locator("#progress").get_by_role("button", name="Retry").click()


def test_a_server_that_stopped_is_told(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path / "store") as server, visiting(browser, server.address) as visit:
        page = visit.open("chr22:46,640,001-46,740,000")
        server.kill()
        expect(page.locator("#progress")).to_contain_text("The server does not answer")
        search(page, "JAG1")
        expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
        expect(page.locator(f"[data-track={METHYLATION}]")).to_have_attribute("data-predicted", "drawn")
        # That a server is gone is an error to Chromium.
        visit.faults[:] = [fault for fault in visit.faults if "ERR_" not in fault]
