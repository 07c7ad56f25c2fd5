"""The virtual files of a site: what ``tracks predict`` says, computed once, as far as somebody reads."""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pybigtools
import pyBigWig
import pytest
from flask.testing import FlaskClient

from model.predict import predict
from server.app import create_app
from server.security import Access
from server.site import Site
from server.virtual import VirtualFiles, assumed_totals
from server.virtual_http import FOREVER
from tests.conftest import CHROM_SIZES
from tests.server.listening import listening
from tests.server.web import read
from tracks.errors import TracksError
from tracks.grid import BIN, bin_count
from tracks.regions import Region
from tracks.virtual import JBROWSE_SLOT
from tracks.virtual.overview import layout_digest, overview_path, write_overview
from tracks.virtual.stored_values import StoredValues

CPG, LAD = "cpg_methylation_imr90", "lmnb1_lad_liver"
TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture
def files(site: Site) -> VirtualFiles:
    return VirtualFiles(site)


@pytest.fixture
def client(site: Site, static: Path) -> FlaskClient:
    return create_app(site, static).test_client()


def predicted(site: Site, chrom: str, column: int = 0) -> np.ndarray:
    """What ``tracks predict`` says of a chromosome, float32 ``[bins]``."""
    region = Region(chrom, 0, CHROM_SIZES[chrom])
    return np.concatenate([data.values[:, column] for data in predict(site.predictor, [region], site.store)])


def by_bins(path: Path, chrom: str) -> np.ndarray:
    """A file's bins, by a reader that is not ours."""
    with pyBigWig.open(str(path)) as file:
        values = np.array(file.values(chrom, 0, CHROM_SIZES[chrom]), np.float32)
    return values[::BIN]


def test_a_file_holds_what_is_predicted(site: Site, files: VirtualFiles, client: FlaskClient, tmp_path: Path) -> None:
    for column, slug in enumerate((CPG, LAD)):
        path = tmp_path / f"{slug}.bw"
        path.write_bytes(client.get(files.path("bins", slug)).data)
        for chrom in CHROM_SIZES:
            np.testing.assert_array_equal(by_bins(path, chrom), predicted(site, chrom, column))


def test_the_difference_is_predicted_minus_observed(
    site: Site, files: VirtualFiles, client: FlaskClient, tmp_path: Path, observed: dict[str, np.ndarray]
) -> None:
    path = tmp_path / "difference.bw"
    path.write_bytes(client.get(files.path("bins", CPG, difference=True)).data)
    for chrom, values in observed.items():
        expected = predicted(site, chrom) - values[: bin_count(CHROM_SIZES[chrom])]
        np.testing.assert_allclose(by_bins(path, chrom), expected, rtol=1e-6)
    with pyBigWig.open(str(path)) as file:
        chrom, values = next(iter(observed.items()))
        difference = predicted(site, chrom) - values
        assert file.stats(chrom, 0, CHROM_SIZES[chrom], exact=False)[0] == pytest.approx(
            float(np.nanmean(difference[: CHROM_SIZES[chrom] // BIN])), rel=0.01
        )
    assert client.get(files.path("bins", LAD, difference=True)).status_code == 404


def test_an_address_of_nothing_says_which_files_there_are(files: VirtualFiles, client: FlaskClient) -> None:
    digest = files.path("bins", CPG).split("/")[2]
    for path in (f"/virtual/{'0' * 32}/{CPG}.bw", f"/virtual/{digest}/other.bw", f"/virtual/{digest}/x.difference.bw"):
        answer = client.get(path)
        assert answer.status_code == 404
        words = read(answer)["error"]
        assert f"/virtual/{digest}/ of model tiny, head bins: {CPG}, {LAD}" in words
    assert client.get(f"/virtual/{digest}/{CPG}.bw?slot=3").status_code == 400


def test_slots_have_addresses(files: VirtualFiles, client: FlaskClient) -> None:
    small, large = (client.head(files.path("bins", CPG, slot)).content_length for slot in (8192, JBROWSE_SLOT))
    assert 0 < small < large


_READ = """
import sys, numpy as np, pybigtools
file = pybigtools.open(sys.argv[1])
assert file.chroms("chr20") == 500_050
if len(sys.argv) > 2:
    np.save(sys.argv[2], file.values("chr20", 0, 100_000, fillna=None))
"""
"""In a process of its own: this reader holds the interpreter's lock while it waits for a server."""


def test_a_header_computes_nothing_and_a_view_its_windows(waiting_site: Site, static: Path, tmp_path: Path) -> None:
    waiting_site.predictions.start()
    address = VirtualFiles(waiting_site).path("bins", CPG)
    with listening(create_app(waiting_site, static)) as port:
        words = [sys.executable, "-c", _READ, f"http://127.0.0.1:{port}{address}"]
        subprocess.run(words, check=True, timeout=60)
        assert waiting_site.predictions.stored.count("bins")[0] == 0
        subprocess.run([*words, tmp_path / "values.npy"], check=True, timeout=60)
        assert waiting_site.predictions.stored.count("bins")[0] <= 2
    values = np.load(tmp_path / "values.npy")
    np.testing.assert_array_equal(values[::BIN], predicted(waiting_site, "chr20")[: -(-100_000 // BIN)])


def test_readers_of_one_window_wait_for_one_pass(
    waiting_site: Site, static: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[tuple[str, int]] = []
    inputs = waiting_site.predictor.inputs
    begun, go = threading.Event(), threading.Event()

    def counted(chrom: str, index: int, heads: object = None) -> object:
        computed.append((chrom, index))
        begun.set()
        go.wait(30)
        return inputs(chrom, index, heads)

    monkeypatch.setattr(waiting_site.predictor, "inputs", counted)
    waiting_site.predictions.start()
    files = VirtualFiles(waiting_site)
    track = files.find(*address(files.path("bins", CPG)))
    first = track.layout(8192).sections_at
    answers: list[bytes] = []
    with listening(create_app(waiting_site, static)) as port:

        def ask() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            headers = {"Range": f"bytes={first}-{first + 7191}"}
            connection.request("GET", files.path("bins", CPG), headers=headers)
            answers.append(connection.getresponse().read())
            connection.close()

        threads = [threading.Thread(target=ask) for _ in range(5)]
        for thread in threads:
            thread.start()
        assert begun.wait(30)
        time.sleep(0.3)
        go.set()
        for thread in threads:
            thread.join(60)
    assert computed == [("chr20", 0)]
    assert len(set(answers)) == 1
    assert len(answers) == 5


def test_a_window_that_failed_is_tried_again_by_who_reads_it_again(
    waiting_site: Site, static: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = waiting_site.predictor.head_window

    def broken(*args: object) -> np.ndarray:
        raise RuntimeError("out of order")

    monkeypatch.setattr(waiting_site.predictor, "head_window", broken)
    waiting_site.predictions.start()
    files = VirtualFiles(waiting_site)
    client = create_app(waiting_site, static).test_client()
    path = files.path("bins", CPG)
    first = files.find(*address(path)).layout(8192).sections_at
    asked = {"Range": f"bytes={first}-{first + 100}"}
    answer = client.get(path, headers=asked)
    assert answer.status_code == 503
    assert "out of order" not in answer.text
    assert "out of order" in capsys.readouterr().err
    assert answer.headers["Retry-After"]
    monkeypatch.setattr(waiting_site.predictor, "head_window", right)
    assert client.get(path, headers=asked).status_code == 206
    assert waiting_site.predictions.now().failed == 0


def test_an_observed_file_that_fails_is_told_on_the_terminal_once(
    site: Site, static: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = VirtualFiles(site)
    client = create_app(site, static).test_client()
    path = files.path("bins", CPG, difference=True)
    first = files.find(*address(path)).layout(8192).sections_at

    def broken(*_: object) -> np.ndarray:
        raise TracksError("cannot read /observed/file.bw")

    monkeypatch.setattr("server.tilesets.ObservedTileset.region_bins", broken)
    for _ in range(2):
        answer = client.get(path, headers={"Range": f"bytes={first}-{first + 100}"})
        assert (answer.status_code, "/observed" in answer.text) == (503, False)
    assert capsys.readouterr().err == "tracks: warning: cannot read /observed/file.bw\n"


def test_a_store_that_is_pruned_meanwhile_is_filled_again(waiting_site: Site, static: Path) -> None:
    from tracks.store_admin import holdings, prune

    waiting_site.predictions.start()
    files = VirtualFiles(waiting_site)
    client = create_app(waiting_site, static).test_client()
    path = files.path("bins", CPG)
    first = files.find(*address(path)).layout(8192).sections_at
    before = client.get(path, headers={"Range": f"bytes={first}-{first + 7191}"}).data
    prune(holdings(waiting_site.store.root))
    waiting_site.predictions.stored._kept = type(waiting_site.predictions.stored._kept)(1, lambda values: values.nbytes)
    assert client.get(path, headers={"Range": f"bytes={first}-{first + 7191}"}).data == before
    assert waiting_site.predictions.stored.count("bins")[0] == 1


@pytest.fixture
def overview(site: Site) -> Iterator[Path]:
    """The overview of one track of the site, kept."""
    sizes = site.axis.chrom_sizes
    layout = layout_digest(sizes, {chrom: site.genome.digest(chrom) for chrom in sizes})
    path = overview_path(site.store.root, site.model.head_digests["bins"], site.predictor.method, layout, CPG)
    stores = {chrom: site.predictions.stored.open(chrom, "bins") for chrom in sizes}
    write_overview(path, sizes, StoredValues(sizes, stores, 0))
    yield path
    path.unlink(missing_ok=True)


def test_with_an_overview_a_file_never_changes(site: Site, client: FlaskClient, overview: Path, tmp_path: Path) -> None:
    files = VirtualFiles(site)
    live = files._digest("bins", False)
    path = files.path("bins", CPG)
    assert live not in path
    assert live in files.path("bins", LAD), "it has no overview"
    answer = client.get(path)
    assert answer.headers["Cache-Control"] == FOREVER
    growing = client.get(f"/virtual/{live}/{CPG}.bw")
    assert growing.headers["Cache-Control"] == "no-store"
    kept = tmp_path / "kept.bw"
    kept.write_bytes(answer.data)
    values = np.concatenate([predicted(site, chrom) for chrom in CHROM_SIZES])
    summary = pybigtools.open(str(kept)).info()["summary"]
    assert summary["max"] == pytest.approx(np.nanmax(values))
    assert summary["basesCovered"] == pytest.approx(BIN * np.isfinite(values).sum(), abs=2 * BIN)
    # All is known, so what grows has come to the same but for the header's totals.
    differs = np.flatnonzero(np.frombuffer(answer.data, np.uint8) != np.frombuffer(growing.data, np.uint8))
    assert 0 < len(differs) <= 40
    assert differs.max() < 64 + 9 * 24 + 40


def test_an_overview_that_is_gone_is_no_file_any_more(site: Site, client: FlaskClient, overview: Path) -> None:
    path = VirtualFiles(site).path("bins", CPG)
    overview.unlink()
    assert client.get(path).status_code == 404


def test_the_address_may_hold_the_token(site: Site, static: Path, files: VirtualFiles) -> None:
    client = create_app(site, static, Access(token=TOKEN)).test_client()
    path = files.path("bins", CPG)
    assert client.head(path).status_code == 401
    assert client.head(f"{path}?token=wrong").status_code == 403
    assert client.head(f"{path}?token={TOKEN}").status_code == 200
    assert client.head(f"{path}?slot=131072&token={TOKEN}").status_code == 200
    assert client.get(f"/api/status?token={TOKEN}").status_code == 401, "elsewhere an address is no place for it"


def test_with_a_token_nobody_shares_what_is_kept(site: Site, static: Path, overview: Path) -> None:
    client = create_app(site, static, Access(token=TOKEN)).test_client()
    answer = client.get(f"{VirtualFiles(site).path('bins', CPG)}?token={TOKEN}", headers={"Range": "bytes=0-9"})
    assert answer.cache_control.private
    assert not answer.cache_control.public
    assert "immutable" in answer.headers["Cache-Control"]


def test_pages_of_other_origins_compute_nothing(site: Site, static: Path, files: VirtualFiles) -> None:
    client = create_app(site, static).test_client()
    for path in (files.path("bins", CPG), f"/files/{CPG}.bw"):
        answer = client.get(path, headers={"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403
        assert "--cors" in read(answer)["error"]
        with client.head(path) as own:
            assert own.vary


def test_pages_of_listed_origins_may_read_ranges(site: Site, static: Path, files: VirtualFiles) -> None:
    client = create_app(site, static, Access(origins=frozenset({"https://igv.example"}))).test_client()
    path = files.path("bins", CPG)
    asked = {"Origin": "https://igv.example", "Sec-Fetch-Site": "cross-site"}
    answer = client.get(path, headers={**asked, "Range": "bytes=0-9"})
    assert answer.headers["Access-Control-Allow-Origin"] == "https://igv.example"
    exposed = re.split(", *", answer.headers["Access-Control-Expose-Headers"])
    assert {"Content-Range", "Content-Length", "ETag", "Accept-Ranges"} <= set(exposed)
    preflight = client.options(path, headers={**asked, "Access-Control-Request-Headers": "range"})
    allowed = re.split(", *", preflight.headers["Access-Control-Allow-Headers"])
    assert {"range", "if-range", "if-none-match"} <= set(allowed)
    assert "HEAD" in preflight.headers["Access-Control-Allow-Methods"]


def test_the_header_says_an_even_spread() -> None:
    totals = assumed_totals(-1.0, 3.0, 100)
    even = np.linspace(-1, 3, 100_001)
    assert (totals.least, totals.most, totals.bases) == (-1.0, 3.0, 100)
    assert totals.sum / 100 == pytest.approx(even.mean())
    assert totals.squares / 100 == pytest.approx((even**2).mean(), rel=1e-4)


def address(path: str) -> tuple[str, str]:
    """The digest and the name in an address."""
    found = re.fullmatch(r"/virtual/([0-9a-f]{32})/(.+)\.bw", path)
    assert found is not None
    return found[1], found[2]
