"""A hub that ``tracks hub`` wrote, behind an ordinary web server: read by the libraries and browsers that read hubs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bbi
import numpy as np
import pytest
from flask import Flask, Response, send_from_directory
from playwright.sync_api import Browser

from tests.browsers.conftest import PICTURES, pages, showing
from tests.conftest import run_command
from tests.server.listening import listening
from tracks.bigwig import Bins, write_bigwig
from tracks.genome import demo_project

LOCUS, START, END = "chr22:46,640,001-46,740,000", 46_640_000, 46_740_000
SIZES = {"chr20": 63_025_520, "chr22": 51_304_566}


@dataclass
class Host:
    """A web host with one folder, which answers ranges as nginx and Apache do."""

    folder: Path
    address: str


@pytest.fixture(scope="module")
def host(packages: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("www")
    app = Flask("host", static_folder=None)
    app.register_blueprint(pages())

    @app.get("/data/<path:name>")
    def file(name: str) -> Response:
        return send_from_directory(folder, name, conditional=True)

    with listening(app) as port:
        yield Host(folder, f"http://127.0.0.1:{port}")


@pytest.fixture(scope="module")
def hub(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hub of the embedded project and the predictions of one place."""
    out = tmp_path_factory.mktemp("out")
    made = run_command("predict", "--region", LOCUS, "--head", "bins", "-o", out / "predicted", store=out / "store")
    assert made.returncode == 0, made.stderr
    base = ("--base-url", f"{host.address}/data/hub", "--region", LOCUS)
    folder = host.folder / "hub"
    made = run_command("hub", "-o", folder, "--project", demo_project(), out / "predicted", *base, store=out / "store")
    assert made.returncode == 0, made.stderr
    return folder


def test_every_file_of_a_hub_is_read(host: Host, hub: Path, node: Callable[..., Any]) -> None:
    read = node("hub", f"{host.address}/data/hub/hub.txt")
    assert read["genome"]["genome"] == "hg19"
    named = {name: track["bigDataUrl"] for name, track in read["tracks"].items() if "bigDataUrl" in track}
    assert len(named) == 2 + 4 + 2 + 2  # observed, predicted, differences, intervals
    for name, url in named.items():
        assert (hub / url).is_file(), name
        if url.endswith(".bw"):
            header = node("bbi", f"{host.address}/data/hub/{url}")
            assert "chr22" in {chrom["name"] for chrom in header["chroms"]}
    difference = bbi.fetch(str(hub / named["cpg_methylation_imr90_difference"]), "chr22", START, END, missing=np.nan)
    observed, predicted = (
        bbi.fetch(str(hub / named[f"cpg_methylation_imr90_{kind}"]), "chr22", START, END, missing=np.nan)
        for kind in ("observed", "predicted")
    )
    both = np.isfinite(difference)
    assert both.sum() > 50_000
    np.testing.assert_allclose(difference[both], (predicted - observed)[both], atol=1e-6)


def features_equal(found: list[list[float]], path: Path) -> None:
    """See that what a browser drew is what UCSC's own library reads in a file."""
    expected = bbi.fetch(str(path), "chr22", START, END, missing=np.nan)
    values = np.full(END - START, np.nan)
    for first, last, value in found:
        values[max(int(first) - START, 0) : max(int(last) - START, 0)] = value
    np.testing.assert_array_equal(np.isnan(values), np.isnan(expected))
    np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_igv_opens_the_session_of_a_hub(host: Host, hub: Path, browser: Browser) -> None:
    session = json.loads((hub / "igv_session.json").read_text())
    for track in session["tracks"]:
        for part in (track, *track.get("tracks", ())):
            part.update({"windowFunction": "none"} if track["type"] != "annotation" else {})
    with showing(browser, f"{host.address}/igv.html", viewport={"width": 1200, "height": 700}) as shown:
        shown.page.evaluate("session => show(session)", session)
        shown.wait_idle()
        drawn = shown.page.evaluate("drawn()")
        shown.page.screenshot(path=PICTURES / "hub-igv.png")
    for kind in ("observed", "predicted"):
        [name] = [key for key in drawn if key.startswith(f"CpG methylation IMR90, {kind} (")]
        features_equal(drawn[name], hub / f"cpg_methylation_imr90_{kind}.bw")


def test_jbrowse_opens_the_configuration_of_a_hub(host: Host, hub: Path, browser: Browser) -> None:
    config = json.loads((hub / "jbrowse.json").read_text())
    shown_tracks = ["cpg_methylation_imr90", "cpg_methylation_imr90_difference"]
    with showing(browser, f"{host.address}/jbrowse.html", viewport={"width": 1200, "height": 700}) as shown:
        shown.page.evaluate(
            "([config, ids, place]) => show(config, ids, place)", [config, shown_tracks, LOCUS.replace(",", "")]
        )
        shown.wait_idle()
        drawn = shown.page.evaluate("drawn()")
        shown.page.screenshot(path=PICTURES / "hub-jbrowse.png")
    assert sum(len(features) > 100 for features in drawn.values()) >= 2, {key: len(drawn[key]) for key in drawn}


def test_eighteen_tracks_observed_and_predicted(host: Host, node: Callable[..., Any], tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    given = []
    for kind in ("observed", "predicted"):
        for number in range(18):
            path = tmp_path / kind / f"biosample_{number + 1}.bw"
            path.parent.mkdir(exist_ok=True)
            write_bigwig(path, SIZES, [Bins("chr22", 300_000, rng.random(2_000, np.float32))])
            given += [f"--{kind}", path]
    made = run_command("hub", "-o", host.folder / "large", "--genome", "hg19", *given, store=tmp_path / "store")
    assert made.returncode == 0, made.stderr
    tracks = node("hub", f"{host.address}/data/large/hub.txt")["tracks"]
    overlays = [name for name, track in tracks.items() if track.get("container") == "multiWig"]
    assert len(overlays) == 18
    for name in overlays:
        children = [other for other, track in tracks.items() if track.get("parent", "").split()[:1] == [name]]
        assert children == [f"{name}_observed", f"{name}_predicted"]
        assert all((host.folder / "large" / tracks[child]["bigDataUrl"]).is_file() for child in children)
        assert (host.folder / "large" / tracks[f"{name}_difference"]["bigDataUrl"]).is_file()
