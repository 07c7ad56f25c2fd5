"""Genome browsers and readers that we did not write, as their users have them: packages of npm and PyPI."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, send_from_directory
from playwright.sync_api import Browser, Page

import hatch_build
from tests.browsers.toy import SIZES, ToyServer
from tests.conftest import cannot
from tests.server.listening import listening
from tests.viewer.conftest import PATIENCE

HERE = Path(__file__).parent
PACKAGES = HERE / "node_modules"
PICTURES = HERE.parents[1] / "test-results"
_STEADY = 1.0
"""Seconds: JBrowse looks where its view is twice a second."""

SCRIPTS = {
    "igv.js": "igv/dist/igv.min.js",
    "jbrowse.js": "@jbrowse/react-linear-genome-view2/dist/react-linear-genome-view.umd.production.min.js",
}


@pytest.fixture(scope="session")
def packages() -> None:
    """What npm installed here."""
    if not (PACKAGES / ".installed").is_file():
        cannot("the other genome browsers are not installed (make test does it)")


@pytest.fixture(scope="session")
def node(packages: None) -> Callable[..., Any]:
    """Run ``read.mjs`` and return what it printed."""
    npm = hatch_build.find_npm()
    if npm is None:
        cannot("there is no recent Node.js")
    program = Path(npm).parent / "node"

    def read(*words: object) -> Any:
        done = subprocess.run(
            [program, "read.mjs", *map(str, words)], cwd=HERE, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return read


def pages() -> Blueprint:
    """The two pages with the browsers' scripts, and the lengths of hg38's chromosomes."""
    made = Blueprint("pages", __name__)

    @made.get("/<any('igv.html', 'jbrowse.html'):name>")
    def page(name: str) -> Response:
        return send_from_directory(HERE, name)

    @made.get("/<any('igv.js', 'jbrowse.js'):name>")
    def script(name: str) -> Response:
        return send_from_directory(PACKAGES, SCRIPTS[name])

    @made.get("/hg38.sizes")
    def sizes() -> Response:
        return Response("".join(f"{chrom}\t{length}\n" for chrom, length in SIZES.items()), mimetype="text/plain")

    return made


@pytest.fixture(scope="session")
def toy_server() -> Iterator[ToyServer]:
    """A server of the whole human genome's made-up predictions, and of the pages."""
    server = ToyServer()
    server.app.register_blueprint(pages())
    with listening(server.app) as port:
        server.address = f"http://127.0.0.1:{port}"
        yield server


@pytest.fixture
def toy(toy_server: ToyServer) -> ToyServer:
    """The same, of which nothing is computed yet."""
    toy_server.forget()
    return toy_server


@pytest.fixture(scope="session")
def page_host(packages: None) -> Iterator[str]:
    """The address of another site, whose pages are the two."""
    app = Flask("pages", static_folder=None)
    app.register_blueprint(pages())
    with listening(app) as port:
        yield f"http://127.0.0.1:{port}"


@dataclass
class Shown:
    """One of the two pages."""

    page: Page
    requests: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def wait_idle(self) -> None:
        """Wait until everything in view is drawn, and stays so for a moment in which a page may begin anew."""
        since = time.monotonic()
        until = since + PATIENCE / 1000
        while time.monotonic() - since < _STEADY:
            self.page.wait_for_timeout(50)
            assert self.faults == []
            if not self.page.evaluate("idle()"):
                since = time.monotonic()
                assert since < until, f"not drawn in {PATIENCE / 1000:.0f} s"

    def move(self, locus: str) -> None:
        """Show another place."""
        self.page.evaluate("locus => move(locus)", locus)
        self.wait_idle()


@contextmanager
def showing(browser: Browser, address: str, *others: str, **options: Any) -> Iterator[Shown]:
    """Open a page, which may ask its own server and ``others``. Afterwards: it asked nobody else, and nothing went
    wrong unseen."""
    context = browser.new_context(**{"viewport": {"width": 1300, "height": 420}, **options})
    context.set_default_timeout(PATIENCE)
    PICTURES.mkdir(exist_ok=True)
    shown = Shown(context.new_page())
    allowed = (*(one.rstrip("/") + "/" for one in (address.rpartition("/")[0], *others)), "data:", "blob:")
    context.route(lambda url: not url.startswith(allowed), lambda route: route.abort())
    context.on("request", lambda request: shown.requests.append(request.url))
    shown.page.on("pageerror", lambda error: shown.faults.append(str(error)))
    shown.page.on("console", lambda message: shown.faults.append(message.text) if message.type == "error" else None)
    shown.page.goto(address)
    yield shown
    context.close()
    assert [url for url in shown.requests if not url.startswith(allowed)] == []
    assert shown.faults == []
