"""The HiGlass plugin in pages that are not ours: ordinary HiGlass by script tags, of another origin than the server."""

from __future__ import annotations

import base64
import http.server
import json
import re
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from server.app import STATIC
from tests.conftest import cannot
from tests.viewer.conftest import PATIENCE
from tests.viewer.pixels import count, decoded
from tests.viewer.serving import Serving, serving

METHYLATION, TIG3, LIVER = "cpg_methylation_imr90", "lmnb1_lad_tig_3", "lmnb1_lad_liver"
ORANGE, BLUE = "#d95f02", "#1b6ca8"
OBSERVED_FILL = (209, 209, 209)
"""#4d4d4d at an opacity of 0.26 on white."""
COMPUTING, QUEUED, FAILED, EMPTY = "#fdf6e3", "#f3f6fa", "#fdecea", "#ececea"
CHR22 = 63_025_520
"""Where chr22 begins on the axis: hg19's chr20 is before it."""
HERE = (CHR22 + 46_640_000, CHR22 + 46_740_000)
HEIGHT = 100
WIDTH = 1000
ALL_DONE = "what.loaded && what.predicted && !Object.keys(what.reasons).some((why) => /queued|computing/.test(why))"
BORDER = 5
"""HiGlass leaves so many pixels around its tracks."""

expect.set_options(timeout=PATIENCE)


class Files(http.server.SimpleHTTPRequestHandler):
    """The plugin's folder, with HiGlass and what it needs in ``node_modules``, and the test's own page."""

    def translate_path(self, path: str) -> str:
        name = path.split("?")[0].lstrip("/")
        if name.startswith("node_modules/"):
            return str(Path(__file__).parents[2] / "viewer" / name)
        if name == "plain.html":
            return str(Path(__file__).with_name(name))
        # The example is handed out as text, and copied to where it works.
        return str(STATIC / "plugin" / ("example.html.txt" if name == "example.html" else name))

    def guess_type(self, path: Any) -> str:
        return super().guess_type(str(path).removesuffix(".txt"))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def origin() -> Iterator[str]:
    """The address of a web server that knows nothing of Tracks but the plugin's files."""
    if not (STATIC / "plugin" / "tracks-higlass.mjs").is_file():
        cannot("the plugin was not built (make setup)")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files) as files:
        threading.Thread(target=files.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{files.server_port}"
        files.shutdown()


@pytest.fixture(scope="session")
def server(origin: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server of Tracks that lets the pages of ``origin`` in."""
    with serving(tmp_path_factory.mktemp("store"), "--cors", origin) as running:
        yield running


def track(server: Serving, uid: str, slug: str = METHYLATION, /, **options: Any) -> dict[str, Any]:
    """A track of both signals; options that are names of signals change its data section (None: leave it out)."""
    color = ORANGE if slug == METHYLATION else BLUE
    uids = {"observed": f"observed-{slug}", "predicted": f"predicted-bins-{slug}"}
    uids |= {key: options.pop(key) for key in ("observed", "predicted", "lower", "upper") if key in options}
    data = {"type": "tracks-prediction", "server": f"{server.address}api/v1", **{k: v for k, v in uids.items() if v}}
    made = {"name": uid, "unit": "fraction", "color": color, "axis": False, **options}
    return {"uid": uid, "type": "horizontal-prediction", "height": HEIGHT, "data": data, "options": made}


@dataclass
class Plain:
    """A plain HiGlass page, and what it did that nobody sees."""

    page: Page
    server: Serving
    requests: list[str]
    faults: list[str]

    def start(self, *tracks: dict[str, Any], span: tuple[int, int] = HERE, **options: Any) -> Page:
        self.page.evaluate("([tracks, span, options]) => start(tracks, span, options)", [tracks, span, options])
        return self.page

    def seen(self, uid: str, holds: str = "what.loaded && what.predicted") -> dict[str, Any]:
        """Wait until what was seen of a track is so, and return it."""
        self.page.wait_for_function(f"uid => {{ const what = seen[uid]; return what && ({holds}); }}", arg=uid)
        found: dict[str, Any] = self.page.evaluate("uid => seen[uid]", uid)
        return found

    def image(self, row: int) -> np.ndarray:
        """The pixels of one track: they are all equally high."""
        self.page.wait_for_timeout(300)
        clip = {"x": BORDER, "y": BORDER + row * HEIGHT, "width": WIDTH - 2 * BORDER, "height": HEIGHT}
        return decoded(self.page.screenshot(clip=clip))  # type: ignore[arg-type]

    def tile_requests(self) -> list[str]:
        return [url for url in self.requests if "/tiles/?" in url]


@contextmanager
def opened(browser: Browser, origin: str, server: Serving, name: str = "plain.html") -> Iterator[Plain]:
    """Open a page of ``origin``. Afterwards: it asked nobody else, and nothing went wrong unseen."""
    context = browser.new_context(viewport={"width": WIDTH, "height": 700}, accept_downloads=True)
    context.set_default_timeout(PATIENCE)
    made = Plain(context.new_page(), server, [], [])
    context.on("request", lambda request: made.requests.append(request.url))
    made.page.on("pageerror", lambda error: made.faults.append(str(error)))
    made.page.on("console", lambda message: made.faults.append(message.text) if message.type == "error" else None)
    made.page.goto(f"{origin}/{name}")
    yield made
    made.page.unroute_all(behavior="wait")
    context.close()
    assert [url for url in made.requests if not url.startswith((origin, server.address, "data:", "blob:"))] == []
    assert made.faults == []


@pytest.fixture
def plain(browser: Browser, origin: str, server: Serving) -> Iterator[Plain]:
    with opened(browser, origin, server) as made:
        yield made


def change_tiles(page: Page, change: Callable[[str, dict[str, Any]], None]) -> None:
    """Have the server's tiles changed before they reach the page."""

    def answer(route: Route) -> None:
        response = route.fetch()
        tiles = json.loads(response.body())
        for tile_id, tile in tiles.items():
            change(tile_id, tile)
        route.fulfill(response=response, json=tiles)

    page.route("**/api/v1/tiles/**", answer)


def values_of(tile: dict[str, Any]) -> np.ndarray:
    """Decode a tile's values, float64."""
    kind = np.float16 if tile["dtype"] == "float16" else np.float32
    return np.frombuffer(base64.b64decode(tile["dense"]), kind).astype(np.float64)


def set_values(tile: dict[str, Any], values: np.ndarray) -> None:
    tile.update(dense=base64.b64encode(values.astype(np.float32).tobytes()).decode(), dtype="float32")


def get(server: Serving, path: str) -> Any:
    with urllib.request.urlopen(f"{server.address}{path}") as response:
        return json.loads(response.read())


@pytest.mark.parametrize("module", [False, True], ids=["script tag", "ES module"])
def test_a_plain_page_draws_observed_and_predicted(plain: Plain, module: bool) -> None:
    page = plain.start(track(plain.server, "both"), module=module)
    found = plain.seen("both")
    assert found["observed"]
    assert found["agreement"]["r"] > 0.5
    image = plain.image(0)
    assert count(image, OBSERVED_FILL, 2) > 5_000
    assert count(image, ORANGE, 24) > 500
    page.mouse.move(340, 50)
    page.mouse.move(345, 50)
    tip = page.locator(".track-mouseover-menu")
    expect(tip).to_contain_text(re.compile(r"chr22:46,67\d,\d{3}-46,67\d,\d{3} \(128 bp\)"))
    expect(tip).to_contain_text(re.compile(r"observed: 0\.\d{3} fraction"))
    expect(tip).to_contain_text(re.compile(r"predicted: 0\.\d{3} fraction"))
    expect(tip).to_contain_text(re.compile(r"difference: [+-]?0\.\d{3} fraction"))


def test_the_example_page_works(browser: Browser, origin: str, server: Serving, results: Path) -> None:
    with opened(browser, origin, server, f"example.html?server={server.address}api/v1") as shown:
        page = shown.page
        page.wait_for_function("window.viewer")
        page.wait_for_function(
            "performance.getEntriesByType('resource').some(({name}) => /tiles.*predicted/.test(name))"
        )
        deadline = 60
        while deadline := deadline - 1:
            image = decoded(page.screenshot(path=results / "plugin-example.png"))
            if count(image, ORANGE, 24) > 500 and count(image, BLUE, 24) > 200:
                break
            page.wait_for_timeout(500)
        assert deadline, "the example page draws no predictions"
        assert count(image, OBSERVED_FILL, 3) > 5_000
        shown.faults[:] = [fault for fault in shown.faults if "favicon" not in fault and "404" not in fault]


def test_agreement_is_what_numpy_says(plain: Plain) -> None:
    plain.start(track(plain.server, "both"))
    plain.seen("both", ALL_DONE)
    found = plain.seen("both")["agreement"]
    info = get(plain.server, f"api/v1/tileset_info/?d=observed-{METHYLATION}")[f"observed-{METHYLATION}"]
    bin_width = found["binWidth"]
    zoom = round(np.log2(info["max_width"] / 1024 / bin_width))
    width = 1024 * bin_width
    xs = range(int(HERE[0] // width), int(HERE[1] // width) + 1)
    signals = []
    for uid in (f"observed-{METHYLATION}", f"predicted-bins-{METHYLATION}"):
        ids = [f"{uid}.{zoom}.{x}" for x in xs]
        tiles = get(plain.server, f"api/v1/tiles/?{'&'.join(f'd={each}' for each in ids)}")
        signals.append(np.concatenate([values_of(tiles[each]) for each in ids]))
    middles = xs.start * width + (np.arange(len(signals[0])) + 0.5) * bin_width
    both = np.isfinite(signals).all(axis=0) & (middles >= HERE[0]) & (middles < HERE[1])
    assert found["bins"] == both.sum() > 500
    assert found["r"] == pytest.approx(np.corrcoef(signals[0][both], signals[1][both])[0, 1], abs=1e-9)


def put_bands(tile_id: str, tile: dict[str, Any]) -> None:
    """Blank parts of predicted tiles, each for another reason."""
    if not tile_id.startswith("predicted-"):
        return
    values = values_of(tile)
    spans = [[0, 500, "computing"], [500, 660, "queued"], [660, 800, "failed"], [800, 900, "no sequence"]]
    for first, end, _ in spans:
        values[first:end] = np.nan
    set_values(tile, values)
    tile.update(missing=spans, waiting=True, notices={"failed": "prediction failed: out of memory"})


def test_bands_say_in_words_why_there_is_no_prediction(plain: Plain) -> None:
    change_tiles(plain.page, put_bands)
    page = plain.start(
        track(plain.server, "both"), track(plain.server, "strips", mark="heatmap"), span=(HERE[0], HERE[0] + 262_144)
    )
    reasons = plain.seen("both", "Object.keys(what.reasons).length >= 4")["reasons"]
    assert set(reasons) >= {"computing", "queued", "failed", "no sequence"}
    for row in (0, 1):
        image = plain.image(row)
        for color in (COMPUTING, QUEUED, FAILED, EMPTY):
            assert count(image, color, 2) > 500, (row, color)
    texts = [element.text for element in ET.fromstring(svg_of(page)).iter() if element.tag.endswith("text")]
    said = " | ".join(str(text).strip() for text in texts)
    assert "computing" in said
    assert "prediction failed" in said


def put_slivers(tile_id: str, tile: dict[str, Any]) -> None:
    """A tile that is queued all over, but for slivers without sequence that leave no room for a word between them."""
    if not tile_id.startswith("predicted-"):
        return
    set_values(tile, np.full(1024, np.nan))
    tile.update(missing=[], waiting=True, notices={})
    for first in range(0, 1024, 16):
        tile["missing"] += [[first, first + 13, "queued"], [first + 13, first + 16, "no sequence"]]


def test_slivers_do_not_take_the_words_away(plain: Plain) -> None:
    change_tiles(plain.page, put_slivers)
    page = plain.start(track(plain.server, "both"), span=(HERE[0], HERE[0] + 131_072))
    reasons = plain.seen("both", "what.loaded && what.reasons.queued > 0.7")["reasons"]
    assert reasons["no sequence"] > 0.1
    assert count(plain.image(0), EMPTY, 2) > 500, "the slivers are not drawn"
    texts = [
        str(element.text).strip() for element in ET.fromstring(svg_of(page)).iter() if element.tag.endswith("text")
    ]
    assert texts.count("queued") == 1
    assert "no sequence" not in texts


def svg_of(page: Page) -> str:
    # The document type names an address, which nobody here should follow.
    return re.sub("<!DOCTYPE[^>]*>", "", str(page.evaluate("higlass.exportAsSvg()")))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_svg_is_what_the_screen_shows(plain: Plain, browser: Browser, results: Path, dark: bool) -> None:
    change_tiles(plain.page, put_bands)
    theme = "dark" if dark else "light"
    kinds: list[dict[str, Any]] = [
        {"axis": True},
        {"mark": "bar"},
        {"mark": "heatmap"},
        {"show": "difference", "log": True, "axis": True},
        {"lower": f"predicted-conv-{METHYLATION}", "upper": f"predicted-attention-{METHYLATION}"},
    ]
    tracks = [track(plain.server, f"track {row}", theme=theme, scale="fixed", valueScaleMin=0, valueScaleMax=1, **kind)
              for row, kind in enumerate(kinds)]  # fmt: skip
    page = plain.start(*tracks, span=(HERE[0], HERE[0] + 262_144), dark=dark)
    for row in range(len(kinds)):
        plain.seen(f"track {row}", "what.loaded")
    page.wait_for_timeout(800)
    size = {"x": 0, "y": 0, "width": WIDTH, "height": 2 * BORDER + HEIGHT * len(kinds)}
    screen = decoded(page.screenshot(clip=size, path=results / f"plugin-{theme}.png"))  # type: ignore[arg-type]
    other = browser.new_page(viewport={"width": WIDTH, "height": 700})
    color = "#15181c" if dark else "#ffffff"
    other.set_content(f"<body style='margin: 0; background: {color}'>{svg_of(page).partition('?>')[2]}</body>")
    written = decoded(other.screenshot(clip=size))  # type: ignore[arg-type]
    other.close()
    far = np.abs(screen.astype(int) - written).max(axis=2) > 60
    # Letters and slanted edges are smoothed a little differently.
    assert far.mean() < 0.02
    inked = np.abs(written.astype(int) - written[0, 0]).max(axis=2) > 60
    assert inked.mean() > 0.1, "the SVG shows nothing"


def test_a_slow_prediction_holds_nothing_up(plain: Plain) -> None:
    page = plain.page
    held: list[Route] = []
    page.route(re.compile(r"/tiles/\?d=predicted"), lambda route: held.append(route))
    plain.start(track(plain.server, "both"), track(plain.server, "other", TIG3))
    found = plain.seen("both", "what.observed")
    assert not found["predicted"]
    assert not found["loaded"]
    plain.seen("other", "what.observed")
    assert held
    image = plain.image(0)
    assert count(image, OBSERVED_FILL, 2) > 5_000
    assert count(image, ORANGE, 24) == 0
    for route in held:
        route.continue_()
    page.unroute(re.compile(r"/tiles/\?d=predicted"))
    plain.seen("both")
    assert count(plain.image(0), ORANGE, 24) > 500


def test_a_lone_tileset_is_drawn_by_any_track(plain: Plain) -> None:
    lone = {"type": "tracks-prediction", "server": f"{plain.server.address}api/v1"}
    lone["tilesetUid"] = f"predicted-bins-{METHYLATION}"
    ours = {**track(plain.server, "ours"), "data": lone}
    stock = {"uid": "stock", "type": "horizontal-line", "height": HEIGHT, "data": lone}
    plain.start(ours, {**stock, "options": {"lineStrokeColor": BLUE, "lineStrokeWidth": 2}})
    plain.seen("ours", ALL_DONE)
    assert count(plain.image(0), ORANGE, 24) > 500
    assert count(plain.image(1), BLUE, 24) > 500


def test_few_requests_bring_many_tracks(plain: Plain) -> None:
    slugs = [METHYLATION, TIG3, METHYLATION, TIG3, METHYLATION, TIG3]
    plain.start(*(track(plain.server, f"track {row}", slug) for row, slug in enumerate(slugs)))
    first = plain.tile_requests
    for row in range(len(slugs)):
        plain.seen(f"track {row}", "what.loaded")
    observed = [url for url in first() if "d=observed" in url]
    assert len(observed) <= 2, observed
    assert not any("d=observed" in url and "d=predicted" in url for url in first())


def test_what_fails_fails_alone(plain: Plain) -> None:
    def fail(tile_id: str, tile: dict[str, Any]) -> None:
        if tile_id.startswith((f"observed-{TIG3}", f"predicted-bins-{METHYLATION}")):
            tile.clear()
            tile["error"] = "the file is cut short"

    change_tiles(plain.page, fail)
    plain.start(track(plain.server, "lost prediction"), track(plain.server, "lost observed", TIG3))
    first = plain.seen("lost prediction", "what.loaded && what.observed")
    assert first["reasons"] == {"failed": pytest.approx(1, abs=0.01)}
    assert first["notices"]["failed"] == "the file is cut short"
    second = plain.seen("lost observed", "what.loaded && what.predicted")
    assert second["notices"]["observed"] == "the file is cut short"
    assert count(plain.image(0), OBSERVED_FILL, 40) > 1_000
    assert count(plain.image(1), BLUE, 24) > 200


def test_a_request_that_the_server_refuses_is_taken_apart(plain: Plain) -> None:
    page = plain.page
    refuse = [True]

    def answer(route: Route) -> None:
        if refuse and f"predicted-bins-{TIG3}" in route.request.url:
            route.fulfill(status=500, body="<h1>oh</h1>", headers={"Access-Control-Allow-Origin": "*"})
        else:
            route.continue_()

    page.route("**/api/v1/tiles/**", answer)
    plain.start(track(plain.server, "whole"), track(plain.server, "refused", TIG3))
    plain.seen("whole")
    found = plain.seen("refused", "what.loaded && what.observed")
    assert found["notices"]["failed"] == "the server answered 500"
    refuse.clear()
    plain.seen("refused")
    plain.faults[:] = [fault for fault in plain.faults if "500" not in fault]


def test_a_failed_prediction_is_tried_again_by_a_click(plain: Plain) -> None:
    page = plain.page
    change_tiles(page, put_bands)
    asked: list[Any] = []

    def retried(route: Route) -> None:
        if route.request.method == "POST":
            asked.append(route.request.post_data_json)
        route.fulfill(json={}, headers={"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "*"})

    page.route("**/api/retry", retried)
    plain.start(track(plain.server, "both"), span=(HERE[0], HERE[0] + 131_072))
    plain.seen("both", "what.reasons.failed > 0.05")
    image = plain.image(0)
    columns = np.flatnonzero((np.abs(image.astype(int) - bytes_of(FAILED)) <= 2).all(axis=2).any(axis=0))
    page.mouse.click(BORDER + int(columns[len(columns) // 2]), BORDER + 12)
    page.wait_for_timeout(500)
    assert len(asked) == 1
    assert asked[0]["start"] == pytest.approx(HERE[0], abs=2)


def on_white(color: str, opacity: float) -> tuple[int, int, int]:
    red, green, blue = np.rint(255 + (bytes_of(color) - 255) * opacity).astype(int).tolist()
    return red, green, blue


def bytes_of(color: str) -> np.ndarray:
    return np.frombuffer(bytes.fromhex(color[1:]), np.uint8).astype(int)


def test_a_difference_is_drawn_both_ways_from_zero(plain: Plain) -> None:
    plain.start(track(plain.server, "difference", show="difference", scale="auto"))
    low, high = plain.seen("difference")["range"]
    assert low == -high < 0
    image = plain.image(0)
    middle = HEIGHT // 2
    above, below = image[: middle - 3], image[middle + 3 :]
    orange, grey = (on_white(color, 0.62) for color in (ORANGE, "#4d4d4d"))
    assert count(above, orange, 6) > 20
    assert count(below, orange, 6) == 0
    assert count(below, grey, 6) > 100
    assert count(above, grey, 6) == 0


def negative(tile_id: str, tile: dict[str, Any]) -> None:
    """Make tiles signed: from -3 to 7 for predictions, half of that for what is observed."""
    values = np.linspace(-3, 7, 1024)
    set_values(tile, values if tile_id.startswith("predicted-") else values / 2)
    tile.update(missing=[], waiting=False)


def test_axes_follow_what_is_in_view_alone_or_together(plain: Plain) -> None:
    change_tiles(plain.page, lambda tile_id, tile: negative(tile_id, tile) if METHYLATION in tile_id else None)
    server = plain.server
    plain.start(
        track(server, "auto", TIG3, scale="auto"),
        track(server, "fixed", scale="fixed", valueScaleMin=-1, valueScaleMax=2),
        track(server, "one", scale="shared", scaleGroup="group"),
        track(server, "two", TIG3, scale="shared", scaleGroup="group"),
        track(server, "log", log=True),
        span=(HERE[0] // 131_072 * 131_072, HERE[0] // 131_072 * 131_072 + 131_072),
    )
    assert plain.seen("fixed")["range"] == [-1, 2]
    low, high = plain.seen("one")["range"]
    assert -4 <= low <= -2.9
    assert 6.9 <= high <= 8
    plain.page.wait_for_function("seen.two.range.join() === seen.one.range.join()")
    assert plain.seen("auto")["range"][0] == 0, "nothing is below zero there"
    assert plain.seen("auto")["range"][1] < 6
    ticks = {tick["value"]: tick["y"] for tick in plain.seen("log")["ticks"]}
    assert 0 in ticks
    assert ticks[0] < max(ticks.values()), "negative values lie below the zero line"
    assert ticks[1] - ticks[max(ticks)] < ticks[0] - ticks[1], "a logarithmic axis gives small values room"


def test_what_a_head_is_unsure_of_lies_behind_its_line(plain: Plain) -> None:
    heights = {"predicted-bins": 0.5, "predicted-conv": 0.2, "predicted-attention": 0.8}

    def level(tile_id: str, tile: dict[str, Any]) -> None:
        set_values(tile, np.full(1024, heights[tile_id.rpartition(f"-{METHYLATION}")[0]]))
        tile.update(missing=[], waiting=False)

    change_tiles(plain.page, level)
    unsure = {"lower": f"predicted-conv-{METHYLATION}", "upper": f"predicted-attention-{METHYLATION}", "observed": None}
    plain.start(track(plain.server, "unsure", scale="fixed", valueScaleMin=0, valueScaleMax=1, **unsure))
    plain.seen("unsure")
    image = plain.image(0)
    veiled = (np.abs(image.astype(int) - on_white(ORANGE, 0.2)) <= 3).all(axis=2).mean(axis=1) > 0.9
    rows = np.flatnonzero(veiled)
    # The axis is 82 pixels long, 9 from the edges: 0.8 lies at 25.4, 0.2 at 74.6, the line between them.
    assert rows.min() == pytest.approx(26, abs=1.5)
    assert rows.max() == pytest.approx(74, abs=1.5)
    assert count(image[48:53], ORANGE, 24) > 900
    plain.page.mouse.move(440, 50)
    plain.page.mouse.move(450, 50)
    expect(plain.page.locator(".track-mouseover-menu")).to_contain_text("between 0.200 and 0.800 fraction")


def test_strips_show_observed_above_predicted(plain: Plain) -> None:
    def halves(tile_id: str, tile: dict[str, Any]) -> None:
        set_values(tile, np.full(1024, 0.0 if tile_id.startswith("predicted-") else 0.65))
        tile.update(missing=[], waiting=False)

    change_tiles(plain.page, halves)
    plain.start(track(plain.server, "strips", mark="heatmap", scale="fixed", valueScaleMin=0, valueScaleMax=1))
    plain.seen("strips", "what.loaded && what.predicted && what.observed")
    image = plain.image(0)
    upper, lower = image[4:38], image[44:80]
    assert count(upper, ORANGE, 8) > 0.95 * upper.shape[0] * upper.shape[1]
    assert count(lower, ORANGE, 60) == 0
    assert count(lower, "#fdf5f0", 6) > 0.95 * lower.shape[0] * lower.shape[1]
    assert count(image[84:], ORANGE, 40) > 60, "the legend shows no colours"


def test_the_menu_saves_what_is_in_view(plain: Plain, tmp_path: Path) -> None:
    page = plain.start(track(plain.server, "both"))
    plain.seen("both", ALL_DONE)
    page.mouse.click(400, 50, button="right")
    menu = page.get_by_role("menu", name="both")
    expect(menu.get_by_role("menuitem").first).to_be_focused()
    with page.expect_download() as saving:
        menu.get_by_role("menuitem", name="Save predicted in view as bedGraph").click()
    expect(menu).to_have_count(0)
    saving.value.save_as(tmp_path / "saved.bedgraph")
    rows = [line.split() for line in (tmp_path / "saved.bedgraph").read_text().splitlines() if line.startswith("chr")]
    assert len(rows) > 500
    assert min(int(start) for _, start, _, _ in rows) >= 46_640_000 - 128
    assert max(int(end) for _, _, end, _ in rows) <= 46_740_000 + 128

    page.mouse.click(400, 50, button="right")
    page.keyboard.press("End")
    expect(menu.get_by_role("menuitem", name="Hide both")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_function("window.hidden === 'both'")
    page.mouse.click(400, 50, button="right")
    page.keyboard.press("Escape")
    expect(menu).to_have_count(0)


def test_the_menu_goes_when_the_window_is_left(plain: Plain) -> None:
    page = plain.start(track(plain.server, "both"))
    plain.seen("both")
    page.mouse.click(400, 50, button="right")
    menu = page.get_by_role("menu", name="both")
    expect(menu).to_be_visible()
    page.evaluate("window.dispatchEvent(new FocusEvent('blur'))")
    expect(menu).to_have_count(0, timeout=5_000)


def test_the_tip_has_the_colours_of_the_picture(plain: Plain) -> None:
    dark = "#101020"
    page = plain.start(track(plain.server, "both", theme="dark", color=dark, observedColor=dark), dark=True)
    plain.seen("both")
    page.mouse.move(340, 50)
    page.mouse.move(345, 50)
    tip = page.locator(".track-mouseover-menu")
    expect(tip).to_contain_text("predicted")
    fills = [key.get_attribute("fill") for key in tip.locator("rect").all()]
    assert len(fills) == 2
    for fill in fills:
        assert fill is not None
        assert min(bytes_of(fill)) > 100, f"{fill} is not seen on dark paper"


def test_a_request_that_was_given_up_leaves_nothing_behind(plain: Plain) -> None:
    held = re.compile(r"/tiles/\?d=observed")
    busy = {"status": 503, "json": {}, "headers": {"Access-Control-Allow-Origin": "*"}}
    page = plain.start(track(plain.server, "both"))
    plain.seen("both")
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(**busy)  # type: ignore[arg-type]

    page.route(held, refuse)
    away = HERE[0] + 1_000_000, HERE[1] + 1_000_000
    with page.expect_request(held):
        page.evaluate(f"higlass.zoomTo('view', {away[0]}, {away[1]})")
    page.evaluate(f"tracksHiglass.connect('{plain.server.address}api/v1').changed.tell([{{start: 0, end: Infinity}}])")
    page.evaluate(f"higlass.zoomTo('view', {HERE[0]}, {HERE[1]})")
    # Longer than the longest pause between two tries.
    page.wait_for_timeout(6_000)
    page.unroute(held)
    given_up = set(re.findall(r"d=(observed[^&]+)", "".join(asked)))
    before = len(plain.requests)
    page.evaluate(f"higlass.zoomTo('view', {away[0]}, {away[1]})")
    plain.seen("both", "what.loaded && what.observed")
    page.wait_for_timeout(3_000)
    again = re.findall(r"d=(observed[^&]+)", "".join(plain.requests[before:]))
    common = given_up & set(again)
    assert common
    assert [each for each in common if again.count(each) > 1] == []
    plain.faults[:] = [fault for fault in plain.faults if "503" not in fault]


def test_the_menu_opens_in_a_notebook_too(plain: Plain) -> None:
    page = plain.start(track(plain.server, "both"), shadow=True)
    plain.seen("both")
    page.mouse.click(400, 50, button="right")
    expect(page.get_by_role("menu", name="both")).to_be_visible()


def test_a_view_that_is_too_wide_is_predicted_once_it_is_not(browser: Browser, origin: str, tmp_path: Path) -> None:
    limits = "--cors", origin, "--max-view", "200kb"
    with serving(tmp_path / "store", *limits) as server, opened(browser, origin, server) as shown:
        page = shown.start(track(server, "both"), span=(HERE[0] - 100_000, HERE[0] + 120_000))
        found = shown.seen("both", "what.observed && what.reasons['too wide'] > 0")
        assert "zoom in below 0.2 Mb" in found["notices"]["too wide"]
        page.evaluate(f"higlass.zoomTo('view', {HERE[0] - 80_000}, {HERE[0] + 110_000})")
        shown.seen("both", f"!('too wide' in what.reasons) && {ALL_DONE}")


def test_the_server_hears_where_the_view_is(plain: Plain) -> None:
    page = plain.start(track(plain.server, "both"), span=(HERE[0] + 5_000, HERE[0] + 25_000))
    plain.seen("both", ALL_DONE)
    views = [re.search(r"view=(\d+)-(\d+)", url) for url in plain.tile_requests() if "predicted" in url]
    assert [int(view[1]) for view in views if view] == [pytest.approx(HERE[0] + 5_000, abs=200)] * len(views)

    def says(request: Request) -> bool:
        # By itself, or with tiles that are not whole yet and so are asked for again.
        start = json.loads(request.post_data or "{}").get("start", -1)
        asked = re.search(r"/tiles/.*view=(\d+)-", request.url)
        return bool(abs((int(asked[1]) if asked else start) - HERE[0] - 6_000) < 200)

    with page.expect_request(says) as told:
        page.evaluate(f"higlass.zoomTo('view', {HERE[0] + 6_000}, {HERE[0] + 26_000})")
    client = re.search(r"[?&]s=(\w+)", plain.tile_requests()[0])
    assert client is not None
    assert client[1] in told.value.url + str(told.value.post_data)


def test_where_higlass_has_a_menu_the_entries_are_in_it(plain: Plain) -> None:
    page = plain.start(track(plain.server, "both"), editable=True)
    plain.seen("both")
    page.mouse.click(400, 60, button="right")
    page.locator("[data-menu-type=ViewContextMenu]").get_by_text("both").first.hover()
    expect(page.get_by_text("Save observed in view as bigWig")).to_be_visible()
    expect(page.locator(".tracks-menu")).to_have_count(0)


@pytest.mark.parametrize("stream", [True, False], ids=["told", "asking again"])
def test_predictions_come_in_by_themselves(browser: Browser, origin: str, tmp_path: Path, stream: bool) -> None:
    with serving(tmp_path / "store", "--cors", origin) as server, opened(browser, origin, server) as shown:
        if not stream:
            anyone = {"Access-Control-Allow-Origin": "*"}
            shown.page.route("**/api/events*", lambda route: route.fulfill(status=503, json={}, headers=anyone))
        shown.start(track(server, "both"), span=(HERE[0], HERE[0] + 400_000))
        shown.seen("both", "what.observed")
        shown.seen("both", ALL_DONE)
        if not stream:
            shown.faults[:] = [fault for fault in shown.faults if "503" not in fault]


def test_a_server_that_comes_back_is_found(browser: Browser, origin: str, tmp_path: Path) -> None:
    with serving(tmp_path / "store", "--cors", origin) as server, opened(browser, origin, server) as shown:
        page = shown.start(track(server, "both"))
        shown.seen("both")
        page.evaluate(
            f"void tracksHiglass.connect('{server.address}api/v1').onGone((gone) => {{ window.gone = gone; }})"
        )
        server.kill()
        page.wait_for_function("window.gone === true")
        # What was drawn stays, and what is asked for in the meantime comes when the server does.
        page.evaluate(f"higlass.zoomTo('view', {HERE[0] + 1_000_000}, {HERE[1] + 1_000_000})")
        page.wait_for_timeout(1_000)
        with serving(tmp_path / "other", "--cors", origin, port=server.port):
            page.wait_for_function("window.gone === false")
            shown.seen("both", "what.loaded && what.observed && what.predicted")
            page.goto("about:blank")
        # Chromium logs every request that found no server.
        shown.faults[:] = [fault for fault in shown.faults if "net::ERR" not in fault]


def test_a_token_opens_the_server(browser: Browser, origin: str, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("a-token-that-nobody-can-guess-0123456789\n")
    with (
        serving(tmp_path / "store", "--cors", origin, "--host", "0.0.0.0", "--token-file", secret) as server,
        opened(browser, origin, server) as shown,
    ):
        server.address = f"http://127.0.0.1:{server.port}/"
        made = track(server, "both")
        made["data"]["authToken"] = secret.read_text().strip()
        shown.server = server
        shown.start(made)
        shown.seen("both")
        page = shown.page
        assert page.evaluate(f"tracksHiglass.connect('{server.address}api/v1').streaming")
        shown.requests[:] = [url for url in shown.requests if not url.startswith(server.address)]


def test_intervals_have_names(plain: Plain) -> None:
    data = {"type": "tracks-prediction", "server": f"{plain.server.address}api/v1", "tilesetUid": "bed-cpg_islands"}
    strip = {
        "uid": "strip",
        "type": "tracks-intervals",
        "height": HEIGHT,
        "data": data,
        "options": {"name": "CpG island"},
    }
    page = plain.start(strip)
    page.wait_for_function("performance.getEntriesByType('resource').some(({name}) => /tiles/.test(name))")
    page.wait_for_timeout(500)
    image = plain.image(0)
    columns = np.flatnonzero((np.abs(image.astype(int) - bytes_of("#2a7f62")) <= 40).all(axis=2).any(axis=0))
    assert len(columns) > 10
    x = BORDER + int(columns[len(columns) // 2])
    page.mouse.move(x - 3, 50)
    page.mouse.move(x, 50)
    expect(page.locator(".track-mouseover-menu")).to_contain_text(re.compile(r"CpG.*, [\d,]+ bp"))
