"""How pages follow a server: two of a browser by streams of events, the others by asking, and none misses anything."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.viewer.serving import Serving, serving
from tests.viewer.test_plugin import HERE, Plain, opened, origin, track

__all__ = ["origin"]

SOON = 20_000
"""Milliseconds: much less than the silence after which a stuck stream is given up."""

KINDS = {
    "locks": "",
    "messages": "Object.defineProperty(Navigator.prototype, 'locks', {value: undefined});",
}
"""What to run first in a page for it to have the means of a secure address, or of another."""


@pytest.fixture(scope="module")
def server(origin: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("store"), "--cors", origin) as running:
        yield running


def connection(server: Serving) -> str:
    return f"tracksHiglass.connect('{server.address}api/v1')"


def start(page: Page, server: Serving) -> None:
    page.evaluate("([tracks, span]) => start(tracks, span)", [[track(server, "both")], HERE])


def wait_drawn(page: Page) -> None:
    page.wait_for_function("seen.both && seen.both.loaded && seen.both.predicted", timeout=SOON)


def streaming(pages: list[Page], server: Serving) -> list[Page]:
    return [page for page in pages if page.evaluate(f"{connection(server)}.streaming")]


def wait_streaming(pages: list[Page], server: Serving, wanted: int) -> list[Page]:
    found = []
    for _ in range(40):
        found = streaming(pages, server)
        if len(found) == wanted:
            break
        pages[0].wait_for_timeout(250)
    assert len(found) == wanted
    return found


@pytest.mark.parametrize("means", KINDS)
def test_seven_windows_hold_each_other_up_in_nothing(
    browser: Browser, origin: str, server: Serving, means: str
) -> None:
    with opened(browser, origin, server) as shown:
        context = shown.page.context
        context.add_init_script(KINDS[means])
        shown.page.reload()
        pages = [shown.page, *(context.new_page() for _ in range(6))]
        for page in pages:
            page.set_default_timeout(SOON)
            if page is not shown.page:
                page.goto(f"{origin}/plain.html")
            start(page, server)
            wait_drawn(page)
        first = wait_streaming(pages, server, 2)
        pages[0].evaluate(f"seen.both = undefined; higlass.zoomTo('view', {HERE[0] + 900_000}, {HERE[1] + 900_000})")
        wait_drawn(pages[0])
        # Whoever has a stream leaves it to another, which is told as before.
        left = [page for page in pages if page not in first]
        for page in first:
            page.close() if page is not shown.page else page.goto("about:blank")
        for page in wait_streaming(left, server, 2):
            assert page not in first


@pytest.mark.parametrize("means", KINDS)
def test_places_that_become_free_at_once_are_both_taken(
    browser: Browser, origin: str, server: Serving, means: str
) -> None:
    with opened(browser, origin, server) as shown:
        context = shown.page.context
        context.add_init_script(KINDS[means])
        shown.page.reload()
        pages = [shown.page, *(context.new_page() for _ in range(4))]
        for page in pages[1:]:
            page.goto(f"{origin}/plain.html")
        for page in pages:
            page.evaluate(f"void {connection(server)}")
        first = wait_streaming(pages, server, 2)
        left = [page for page in pages if page not in first]
        # One page tells both that nobody sees them, so that no time passes between.
        for page in first:
            page.evaluate(
                """new BroadcastChannel("test").onmessage = () => {
                    Object.defineProperty(document, "hidden", {value: true, configurable: true});
                    document.dispatchEvent(new Event("visibilitychange"));
                };"""
            )
        left[0].evaluate("void new BroadcastChannel('test').postMessage('hide')")
        started = time.monotonic()
        wait_streaming(left, server, 2)
        assert time.monotonic() - started < 5, "they waited until they would have asked again anyway"


def submit(server: Serving, start: int, end: int) -> dict[str, Any]:
    body = json.dumps({"region": f"chr22:{start}-{end}"}).encode()
    request = urllib.request.Request(
        f"{server.address}api/predict", body, {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request) as response:
        job: dict[str, Any] = json.loads(response.read())["job"]
    return job


# What ends a listener is a function, which Playwright would call at once were it the value of what is evaluated.
LISTEN = """
window.told = [];
window.lists = [];
window.hellos = [];
connection.onJob((job) => told.push(`${job.id} ${job.state}`));
connection.onJobs((jobs) => lists.push(jobs.map(({id, state}) => `${id} ${state}`)));
void connection.onHello((restarted) => hellos.push(restarted));
"""


def listen(shown: Plain) -> Page:
    shown.page.evaluate(f"{{ const connection = {connection(shown.server)}; {LISTEN} }}")
    return shown.page


def hide(page: Page, hidden: bool) -> None:
    """Have a page believe that nobody sees it, or that somebody does again: headless Chromium hides none."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_jobs_that_ended_while_nobody_looked_are_told(browser: Browser, origin: str, server: Serving) -> None:
    with opened(browser, origin, server) as shown:
        page = listen(shown)
        page.wait_for_function("lists.length > 0", timeout=SOON)
        hide(page, True)
        page.wait_for_function(f"!{connection(server)}.streaming", timeout=SOON)
        job = submit(server, 45_000_001, 45_010_000)
        wait_done(server, job["id"])
        assert page.evaluate("told") == []
        hide(page, False)
        page.wait_for_function("wanted => lists.at(-1).includes(wanted)", arg=f"{job['id']} done", timeout=SOON)


def wait_done(server: Serving, job_id: str) -> None:
    for _ in range(200):
        with urllib.request.urlopen(f"{server.address}api/jobs/{job_id}") as response:
            if json.loads(response.read())["job"]["state"] == "done":
                return
        time.sleep(0.1)
    raise AssertionError("the job does not end")


def test_a_page_without_a_stream_is_told_of_jobs_and_of_a_new_server(
    browser: Browser, origin: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(serving(tmp_path / "store", "--cors", origin))
        shown = stack.enter_context(opened(browser, origin, server))
        page = shown.page
        others = [page.context.new_page() for _ in range(2)]
        for other in others:
            other.goto(f"{origin}/plain.html")
            other.evaluate(f"void {connection(server)}")
            other.wait_for_function(f"{connection(server)}.streaming", timeout=SOON)
        listen(shown)
        page.evaluate(f"void {connection(server)}.onGone((gone) => {{ window.gone = gone; }})")
        page.evaluate(f"void {connection(server)}.onStatus((status) => {{ window.status_ = status; }})")
        page.wait_for_function("lists.length > 0 && window.status_?.device", timeout=SOON)
        job = submit(server, 45_000_001, 45_010_000)
        page.wait_for_function("wanted => lists.at(-1).includes(wanted)", arg=f"{job['id']} done", timeout=SOON)
        assert not page.evaluate(f"{connection(server)}.streaming")
        assert page.evaluate("hellos") == [False]
        server.kill()
        page.wait_for_function("window.gone === true", timeout=SOON)
        with serving(tmp_path / "other", "--cors", origin, port=server.port):
            page.wait_for_function("window.gone === false && hellos.at(-1) === true", timeout=SOON)
            # The new server knows of no job, and the page is told that.
            page.wait_for_function("lists.at(-1).length === 0", timeout=SOON)
            for other in [*others, page]:
                other.goto("about:blank")
        shown.faults[:] = [fault for fault in shown.faults if "net::ERR" not in fault]
