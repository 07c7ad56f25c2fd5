"""The real server on the embedded data, and Debian's Chromium looking at it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from model.folder import demo_model_folder
from server.app import STATIC
from tests.conftest import cannot, command_line
from tests.viewer.serving import listening

PATIENCE = 120_000
"""Milliseconds: a busy machine draws late, and a page that never draws still fails."""

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[str]:
    """Where ``tracks demo`` serves the embedded data, with the shipped model or else a small random one."""
    if not (STATIC / "viewer.js").is_file():
        cannot("the page was not built (make setup)")
    model = demo_model_folder()
    if not (model / "model.json").is_file():
        model = request.getfixturevalue("model_folder")
    store = tmp_path_factory.mktemp("store")
    words = command_line("demo", "--no-browser", "--port", 0, "--model", model, "--store", store)
    with listening(words) as server:
        yield server.address


@dataclass
class Visit:
    """A page, and what it did that nobody sees."""

    page: Page
    address: str
    requests: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def open(self, place: str = "", drawn: bool = True) -> Page:
        """Open the page at a place (``chr20:1-1000``), and wait until the tracks say that they are drawn."""
        self.page.goto(f"{self.address}?renderer=canvas{place and '#'}{place}")
        self.page.wait_for_selector("body[data-state=open]")
        if drawn:
            self.wait_drawn()
        return self.page

    def wait_drawn(self) -> None:
        for panel in self.page.locator("[data-track]").all():
            slug = panel.get_attribute("data-track")
            self.page.wait_for_selector(f"[data-track={slug}][data-predicted=drawn]")


@contextmanager
def visiting(browser: Browser, address: str, **options: Any) -> Iterator[Visit]:
    """Open a fresh page. Afterwards: nothing it asked for was outside its server, and nothing went wrong unseen."""
    context = browser.new_context(**{"viewport": {"width": 1360, "height": 780}, **options})
    context.set_default_timeout(PATIENCE)
    made = Visit(context.new_page(), address)
    context.on("request", lambda request: made.requests.append(request.url))
    made.page.on("pageerror", lambda error: made.faults.append(str(error)))
    made.page.on("console", lambda message: made.faults.append(message.text) if message.type == "error" else None)
    yield made
    context.close()
    ours = (made.address, "data:", f"blob:{made.address}")
    assert made.requests
    assert [url for url in made.requests if not url.startswith(ours)] == []
    # That a search found nothing is an answer, which Chromium logs all the same.
    assert [fault for fault in made.faults if "404" not in fault] == []


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    """A fresh page of the embedded data."""
    with visiting(browser, address) as made:
        yield made


@pytest.fixture(scope="session")
def results() -> Path:
    folder = Path(__file__).parents[2] / "test-results"
    folder.mkdir(exist_ok=True)
    return folder
