from __future__ import annotations

import re
import tempfile
import threading
from pathlib import Path

import numpy as np
import pybigtools
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import server.export
from model.predict import Predictor
from server.app import create_app
from server.export import ExportStoppedError, export, exported_regions
from server.page_api import EXPORTS, SENDING
from server.site import Site
from tests.server.web import read
from tracks.bigwig import read_bins
from tracks.grid import BIN, BINS
from tracks.regions import Region

OBSERVED = "observed-cpg_methylation_imr90"
PREDICTED = "predicted-bins-cpg_methylation_imr90"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, which every test leaves empty."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def kept(response: TestResponse, folder: Path) -> Path:
    """Save an attachment as a browser does."""
    assert response.status_code == 200
    found = re.fullmatch(r'attachment; filename="([\w.-]+)"', response.headers["Content-Disposition"])
    assert found is not None
    path = folder / found[1]
    path.write_bytes(response.get_data())
    assert len(path.read_bytes()) == int(response.headers["Content-Length"])
    response.close()
    return path


def covered(path: Path) -> list[tuple[str, int, int, float]]:
    """Read a bigWig with another library than the one that wrote it."""
    with pybigtools.open(str(path)) as file:
        return [(chrom, *record) for chrom in file.chroms() for record in file.records(chrom)]


def by_bin(intervals: list[tuple[str, int, int, float]]) -> dict[tuple[str, int], np.float32]:
    found = {}
    for chrom, start, end, value in intervals:
        for at in range(start // BIN, -(-end // BIN)):
            assert (chrom, at) not in found
            found[chrom, at] = np.float32(value)
    return found


def test_what_is_in_view_is_what_the_model_says(
    client: FlaskClient, site: Site, tmp_path: Path, temporary: Path
) -> None:
    path = kept(client.get(f"/api/export?uid={PREDICTED}&start=100000&end=130000"), tmp_path)
    assert path.name == "cpg_methylation_imr90.predicted.chr20_100001_130000.bw"
    predictor = Predictor(site.model, site.genome, "cpu")
    expected = {}
    for index in (0, 1):
        for at, value in enumerate(predictor.window("chr20", index)[:, 0], index * BINS):
            if 100_000 // BIN <= at < -(-130_000 // BIN) and np.isfinite(value):
                expected["chr20", at] = value
    assert by_bin(covered(path)) == expected
    assert len(expected) == 235
    assert list(temporary.iterdir()) == []


def test_all_that_is_known_of_a_prediction(client: FlaskClient, site: Site, tmp_path: Path, temporary: Path) -> None:
    wig = kept(client.get(f"/api/export?uid={PREDICTED}"), tmp_path)
    text = kept(client.get(f"/api/export?uid={PREDICTED}&format=bedgraph"), tmp_path)
    assert (wig.name, text.name) == ("cpg_methylation_imr90.predicted.bw", "cpg_methylation_imr90.predicted.bedgraph")
    lines = [line.split("\t") for line in text.read_text().splitlines()]
    intervals = [(chrom, int(start), int(end), float(value)) for chrom, start, end, value in lines]
    found = by_bin(intervals)
    assert found == by_bin(covered(wig))
    predictor = Predictor(site.model, site.genome, "cpu")
    for chrom, windows in (("chr20", 5), ("chr3", 2), ("chrN", 1)):
        values = np.concatenate([predictor.window(chrom, index)[:, 0] for index in range(windows)])
        assert {at for of, at in found if of == chrom} == set(np.flatnonzero(np.isfinite(values)).tolist())
    assert max(end for chrom, _, end, _ in intervals if chrom == "chr20") == 500_050, "cut at the chromosome's end"
    assert list(temporary.iterdir()) == []


def test_a_span_over_a_border_has_both_sides(client: FlaskClient, tmp_path: Path) -> None:
    path = kept(client.get(f"/api/export?uid={PREDICTED}&start=499000&end=501000"), tmp_path)
    assert path.name == "cpg_methylation_imr90.predicted.chr20_499001_chr3_950.bw"
    spans = [(chrom, start, end) for chrom, start, end, _ in covered(path)]
    assert (spans[0][:2], spans[-1][0], spans[-1][2]) == (("chr20", 498_944), "chr3", 1024)


def test_what_was_observed(client: FlaskClient, site: Site, tmp_path: Path, observed: dict[str, np.ndarray]) -> None:
    part = kept(client.get(f"/api/export?uid={OBSERVED}&start=10000&end=490000"), tmp_path)
    assert part.name == "cpg_methylation_imr90.observed.chr20_10001_490000.bw"
    [original] = [panel.observed.path for panel in site.panels if panel.observed is not None]
    bins = range(10_000 // BIN, -(-490_000 // BIN))
    here = observed["chr20"][bins.start : bins.stop]
    np.testing.assert_array_equal(read_bins(part, Region("chr20", bins.start * BIN, bins.stop * BIN)), here)
    assert {chrom for chrom, *_ in covered(part)} == {"chr20"}
    whole = kept(client.get(f"/api/export?uid={OBSERVED}"), tmp_path)
    assert whole.name == "cpg_methylation_imr90.observed.bw"
    assert whole.read_bytes() == original.read_bytes()
    text = kept(client.get(f"/api/export?uid={OBSERVED}&format=bedgraph"), tmp_path)
    lines = [line.split("\t") for line in text.read_text().splitlines()]
    assert by_bin([(chrom, int(start), int(end), float(value)) for chrom, start, end, value in lines]) == {
        (chrom, at): value
        for chrom, values in observed.items()
        for at, value in enumerate(values.tolist())
        if np.isfinite(value)
    }


@pytest.mark.parametrize(
    ("query", "code", "said"),
    [
        ("uid=nobody", 404, "no observed or predicted tileset 'nobody'"),
        ("", 404, "tileset"),
        ("uid=genes", 404, "'genes'"),
        (f"uid={PREDICTED}&format=hdf5", 400, "bigwig, bedgraph"),
        (f"uid={PREDICTED}&start=7", 400, "0 <= start"),
        (f"uid={PREDICTED}&start=230000&end=340000", 404, "predict it first"),
        (f"uid={OBSERVED}&start=700050&end=710000", 404, "IMR90, observed: the file has no value there"),
    ],
)
def test_what_cannot_be_exported_is_said(
    client: FlaskClient, temporary: Path, query: str, code: int, said: str
) -> None:
    response = client.get(f"/api/export?{query}")
    assert response.status_code == code
    assert said in read(response)["error"]
    assert list(temporary.iterdir()) == []


def test_where_nothing_is_predicted_yet(waiting_site: Site, static: Path) -> None:
    client = create_app(waiting_site, static).test_client()
    for query in (f"uid={PREDICTED}", f"uid={PREDICTED}&format=bedgraph"):
        response = client.get(f"/api/export?{query}")
        assert response.status_code == 404
        assert "yet" in read(response)["error"]


def test_the_name_tells_the_head_where_there_are_several(
    project: Path, two_headed_folder: Path, tmp_path: Path, static: Path
) -> None:
    from tracks.store import Store

    site = Site(project, two_headed_folder, Store(tmp_path / "store"), device="cpu")
    tileset = site.tilesets["predicted-window-lmnb1_lad_liver"]
    assert isinstance(tileset, server.export.PredictedTileset)
    assert server.export.file_name(tileset, "bigwig", None) == "lmnb1_lad_liver.predicted-window.bw"


def test_an_export_stops_when_nobody_waits_for_it(site: Site, tmp_path: Path) -> None:
    tileset = site.tilesets[PREDICTED]
    assert isinstance(tileset, server.export.PredictedTileset)
    asked = []

    def stopped() -> bool:
        asked.append(True)
        return len(asked) > 2

    with pytest.raises(ExportStoppedError):
        export(tileset, "bigwig", exported_regions(site.axis, None), tmp_path / "out" / "x.bw", stopped)
    assert list((tmp_path / "out").iterdir()) == []


def test_so_many_are_made_at_once_and_no_more(
    client: FlaskClient, static: Path, monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    made, go = threading.Semaphore(0), threading.Event()
    bins = server.export.known_bins

    def slow(*args: object) -> object:
        made.release()
        assert go.wait(60)
        return bins(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(server.export, "known_bins", slow)
    address = f"/api/export?uid={PREDICTED}&start=0&end=1000"
    codes: list[int] = []
    app = client.application

    def ask() -> None:
        with app.test_client().get(address, buffered=True) as response:
            codes.append(response.status_code)

    threads = [threading.Thread(target=ask) for _ in range(EXPORTS)]
    for thread in threads:
        thread.start()
        assert made.acquire(timeout=60)
    refused = client.get(address)
    assert refused.status_code == 503
    assert "exports" in read(refused)["error"]
    assert int(refused.headers["Retry-After"]) > 0
    go.set()
    for thread in threads:
        thread.join(60)
    assert codes == [200] * EXPORTS
    assert client.get(address, buffered=True).status_code == 200
    assert list(temporary.iterdir()) == []


def test_without_room_for_temporary_files_it_says_so_and_goes_on_later(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    address = f"/api/export?uid={PREDICTED}&start=0&end=1000"
    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
        for _ in range(max(EXPORTS, SENDING) + 1):
            refused = client.get(address)
            assert refused.status_code == 500
            assert "an export needs room in the folder for temporary files: No such file" in read(refused)["error"]
    assert client.get(address, buffered=True).status_code == 200


def test_who_does_not_read_holds_few_threads(client: FlaskClient, temporary: Path) -> None:
    addresses = [f"/api/export?uid={OBSERVED}", f"/api/export?uid={PREDICTED}"]
    stalled = [client.get(addresses[at % 2]) for at in range(SENDING)]
    assert {response.status_code for response in stalled} == {200}
    for address in addresses:
        refused = client.get(address)
        assert refused.status_code == 503
        assert "exports are being sent" in read(refused)["error"]
        assert int(refused.headers["Retry-After"]) > 0
    assert client.get("/api/status").status_code == 200
    stalled[0].close()
    assert client.head(addresses[0], buffered=True).status_code == 200
    assert client.get(addresses[0], buffered=True).status_code == 200
    for response in stalled[1:]:
        response.close()
    again = [client.get(addresses[0]) for _ in range(SENDING)]
    assert {response.status_code for response in again} == {200}
    for response in again:
        response.close()
    assert list(temporary.iterdir()) == []
