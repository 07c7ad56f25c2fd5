from __future__ import annotations

import copy
import time
from typing import Any, NoReturn

import numpy as np
import pytest
from flask.testing import FlaskClient

from server.app import BODIES, create_app
from server.higlass_api import TILES_A_REQUEST, listing
from server.predicted import Asker, PredictedTileset
from server.site import Site
from server.tilesets import ObservedTileset
from tests.server.web import read, values

OBSERVED = "observed-cpg_methylation_imr90"
PREDICTED = "predicted-bins-lmnb1_lad_liver"


def test_tiles_of_several_tilesets_come_in_one_answer(client: FlaskClient) -> None:
    ids = [f"{OBSERVED}.0.0", f"{PREDICTED}.1.0", "genes.0.0", "bed-cpg_islands.0.0"]
    response = client.get("/api/v1/tiles/?" + "&".join(f"d={tile_id}" for tile_id in ids) + "&s=abc")
    answers = read(response)
    assert response.status_code == 200
    assert set(answers) == set(ids)
    assert len(values(answers[ids[0]])) == 1024
    assert "missing" in answers[ids[1]]
    assert [entry["fields"][3] for entry in answers["genes.0.0"]] == ["ALPHA1", "ALPHA2", "BETA"]
    assert len(answers["bed-cpg_islands.0.0"]) == 2


def test_a_mode_belongs_to_its_id(client: FlaskClient) -> None:
    ids = [f"{OBSERVED}.0.0{mode}" for mode in (".min", "", ".max")]
    answers = read(client.get("/api/v1/tiles/", query_string=[("d", tile_id) for tile_id in ids]))
    low, mean, high = (values(answers[tile_id]) for tile_id in ids)
    there = np.isfinite(mean)
    assert there.any()
    assert (low[there] <= mean[there] + 1e-6).all()
    assert (mean[there] <= high[there] + 1e-6).all()
    assert (low[there] < high[there]).any()


@pytest.mark.parametrize(
    "bad",
    [
        "nobody.0.0",
        f"{OBSERVED}.99.0",
        f"{OBSERVED}.1.2",
        f"{OBSERVED}.0.0.median",
        f"{PREDICTED}.0.0.max",
        OBSERVED,
        "",
        "../../etc/passwd",
        "chromosomes.0.0",
        "x" * 3000,
    ],
)
def test_an_error_stays_inside_its_tile(client: FlaskClient, bad: str) -> None:
    response = client.get("/api/v1/tiles/", query_string=[("d", bad), ("d", f"{OBSERVED}.0.0")])
    answers = read(response)
    assert response.status_code == 200
    assert isinstance(answers[bad]["error"], str)
    assert len(answers[bad]["error"]) < 300
    assert "dense" in answers[f"{OBSERVED}.0.0"]


def test_a_tile_that_breaks_does_not_blank_the_others(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> NoReturn:
        raise RuntimeError("disk on fire")

    monkeypatch.setattr(ObservedTileset, "tile", broken)
    answers = read(client.get(f"/api/v1/tiles/?d={OBSERVED}.0.0&d={PREDICTED}.0.0"))
    assert "disk on fire" in answers[f"{OBSERVED}.0.0"]["error"]
    assert "dense" in answers[f"{PREDICTED}.0.0"]


def test_tiles_may_be_posted(client: FlaskClient) -> None:
    body = [{"tilesetUid": OBSERVED, "tileIds": ["0.0", "1.0"], "options": {}}]
    answers = read(client.post(f"/api/v1/tiles/?d={PREDICTED}.0.0", json=body))
    assert set(answers) == {f"{PREDICTED}.0.0", f"{OBSERVED}.0.0", f"{OBSERVED}.1.0"}
    assert all("dense" in answer for answer in answers.values())
    assert answers[f"{OBSERVED}.1.0"] == read(client.get(f"/api/v1/tiles/?d={OBSERVED}.1.0"))[f"{OBSERVED}.1.0"]


@pytest.mark.parametrize(
    "body", ["{", '{"a": 1}', "[1]", '[{"tilesetUid": "x"}]', '[{"tilesetUid": 1, "tileIds": [2]}]', "7", "[" * 50_000]
)
def test_an_unreadable_body_is_refused_in_words(client: FlaskClient, body: str) -> None:
    response = client.post("/api/v1/tiles/", data=body, content_type="application/json")
    assert response.status_code == 400
    assert "body" in read(response)["error"]


def test_requests_are_bounded(client: FlaskClient) -> None:
    ids = [f"{OBSERVED}.3.{position}" for position in range(6)]
    many = [*ids, *(f"x.0.{number}" for number in range(TILES_A_REQUEST)), f"{PREDICTED}.0.0"]
    answers = read(client.get("/api/v1/tiles/", query_string=[("d", tile_id) for tile_id in many]))
    assert all("dense" in answers[tile_id] for tile_id in ids)
    assert "too many" in answers[f"{PREDICTED}.0.0"]["error"]
    too_long = b"[" + b" " * BODIES["/api/v1/tiles"] + b"]"
    response = client.post("/api/v1/tiles/", data=too_long, content_type="application/json")
    assert response.status_code == 413
    assert "most" in read(response)["error"]


@pytest.mark.parametrize(
    ("query", "asker"),
    [
        ("s=one&view=1000-300000", Asker("one", (1000, 300_000))),
        ("s=one&view=-1000-9999999", Asker("one", (0, 720_050))),
        ("s=one", Asker("one", None)),
        ("s=a%20b&view=5", Asker("", None)),
        (f"s={'x' * 65}&view=5-5", Asker("", None)),
        ("view=9999999-99999999", Asker("", None)),
        ("s=one&view=9-" + "9" * 40, Asker("one", None)),
    ],
)
def test_predicted_tiles_know_who_asks(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, query: str, asker: Asker
) -> None:
    asked: list[Asker] = []
    answer = PredictedTileset.tiles_for

    def noted(self: PredictedTileset, tile_ids: list[str], asker: Asker) -> Any:
        asked.append(asker)
        return answer(self, tile_ids, asker)

    monkeypatch.setattr(PredictedTileset, "tiles_for", noted)
    answers = read(client.get(f"/api/v1/tiles/?d={PREDICTED}.2.0&d={OBSERVED}.2.0&{query}"))
    assert "dense" in answers[f"{PREDICTED}.2.0"]
    assert asked == [asker]


def test_a_tile_that_nobody_predicted_is_predicted(waiting_site: Site) -> None:
    client = create_app(waiting_site).test_client()
    waiting_site.predictions.start()
    address = f"/api/v1/tiles/?d={PREDICTED}.2.0&s=me&view=0-100000"
    end = time.monotonic() + 60
    while (tile := read(client.get(address))[f"{PREDICTED}.2.0"])["waiting"]:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert np.isfinite(values(tile)[: 100_000 // 256]).any()


def test_tileset_info_tells_each_tileset_and_names_strangers(client: FlaskClient, site: Site) -> None:
    answers = read(client.get(f"/api/v1/tileset_info/?d={OBSERVED}&d=nobody&s=x"))
    assert answers[OBSERVED]["max_pos"] == [site.axis.length]
    assert answers[OBSERVED]["chromsizes"] == [["chr20", 500_050], ["chr3", 200_000], ["chrN", 20_000]]
    assert set(answers[OBSERVED]["aggregation_modes"]) == {"mean", "min", "max"}
    assert "nobody" in answers["nobody"]["error"]
    many = [("d", f"t{number}") for number in range(500)]
    assert len(read(client.get("/api/v1/tileset_info/", query_string=many))) == TILES_A_REQUEST


def test_chromosome_sizes(client: FlaskClient) -> None:
    text = client.get("/api/v1/chrom-sizes/?id=chromosomes")
    assert text.mimetype == "text/plain"
    assert text.get_data(as_text=True) == "chr20\t500050\nchr3\t200000\nchrN\t20000\n"
    assert client.get("/api/v1/chrom-sizes").get_data() == text.get_data()
    assert read(client.get("/api/v1/chrom-sizes/?id=chromosomes&type=json"))["chr3"] == {"size": 200_000}
    assert read(client.get("/api/v1/chrom-sizes/?id=chromosomes&type=json&cum=1"))["chr3"] == {
        "size": 200_000,
        "offset": 500_050,
    }
    missed = client.get("/api/v1/chrom-sizes/?id=genes")
    assert missed.status_code == 404
    assert "genes" in read(missed)["error"]
    listed = read(client.get("/api/v1/available-chrom-sizes/"))
    assert (listed["count"], listed["results"][0]["uuid"]) == (1, "chromosomes")


def test_tilesets_are_listed(client: FlaskClient, site: Site) -> None:
    every = read(client.get("/api/v1/tilesets/"))
    assert [entry["uuid"] for entry in every["results"]] == list(site.tilesets)
    assert (every["count"], every["next"], every["previous"]) == (len(site.tilesets), None, None)
    assert {entry["coordSystem"] for entry in every["results"]} == {site.assembly}
    vectors = read(client.get("/api/v1/tilesets/?dt=vector&ac=LIVER"))
    assert [entry["uuid"] for entry in vectors["results"]] == [PREDICTED]
    both = read(client.get("/api/v1/tilesets/?dt=gene-annotations&dt=chromsizes"))
    assert {entry["datatype"] for entry in both["results"]} == {"gene-annotations", "chromsizes"}
    names = [entry["name"] for entry in read(client.get("/api/v1/tilesets/?o=name&r=1"))["results"]]
    assert names == sorted((tileset.name for tileset in site.tilesets.values()), reverse=True)
    assert read(client.get("/api/v1/tilesets/?t=cooler"))["count"] == 0


def test_the_list_is_paged(client: FlaskClient, site: Site) -> None:
    found, address, back = [], "/api/v1/tilesets/?limit=2&o=name", []
    while address:
        page = read(client.get(address))
        assert len(page["results"]) <= 2
        assert page["count"] == len(site.tilesets)
        found += [entry["uuid"] for entry in page["results"]]
        back.append(page["previous"])
        address = page["next"]
    assert sorted(found) == sorted(site.tilesets)
    assert back[0] is None
    first = read(client.get("/api/v1/tilesets/?limit=2&o=name"))["results"]
    assert read(client.get(back[1]))["results"] == first
    for odd in ("limit=0", "limit=-5&offset=-1", "limit=x&offset=y", "limit=99999999999", "offset=99999999999"):
        assert client.get(f"/api/v1/tilesets/?{odd}").status_code == 200
    assert read(client.get("/api/v1/tilesets/?limit=0"))["results"] == [listing(site.tilesets.values())["results"][0]]


def test_suggest(client: FlaskClient) -> None:
    assert read(client.get("/api/v1/suggest/?d=genes&ac=bet")) == [
        {"chr": "chr3", "txStart": 1000, "txEnd": 4000, "score": 0, "geneName": "BETA"}
    ]
    assert read(client.get("/api/v1/suggest/?d=genes&ac=")) == []
    assert client.get("/api/v1/suggest/?d=other&ac=a").status_code == 404


def test_view_configurations_are_kept(client: FlaskClient, site: Site) -> None:
    own = read(client.get("/api/v1/viewconfs/?d=default"))
    assert own == read(client.get("/api/page"))["viewconf"]
    changed = copy.deepcopy(own)
    changed["views"][0]["initialXDomain"] = [5, 50]
    answer = client.post("/api/v1/viewconfs/", json={"uid": "../x", "viewconf": changed, "higlassVersion": "2.3.5"})
    uid = read(answer)["uid"]
    assert answer.status_code == 200
    assert read(client.get(f"/api/v1/viewconfs/?d={uid}")) == changed
    assert (site.store.root / "viewconfs" / f"{uid}.json").is_file()
    assert read(client.post("/api/v1/viewconfs/", json={"viewconf": changed}))["uid"] == uid


@pytest.mark.parametrize("uid", ["", "0" * 32, "../../etc/passwd", "%00", "default.json"])
def test_a_view_configuration_that_is_not_kept(client: FlaskClient, uid: str) -> None:
    response = client.get("/api/v1/viewconfs/", query_string={"d": uid})
    assert response.status_code == 404
    assert "no view configuration" in read(response)["error"]


@pytest.mark.parametrize("body", [{}, {"viewconf": 1}, {"viewconf": {"views": {}}}, [], "text"])
def test_what_is_no_view_configuration_is_not_kept(client: FlaskClient, site: Site, body: object) -> None:
    before = list(site.store.root.glob("viewconfs/*"))
    response = client.post("/api/v1/viewconfs/", json=body)
    assert response.status_code == 400
    assert list(site.store.root.glob("viewconfs/*")) == before
    large = {"viewconf": {"views": ["x" * (1 << 20)]}}
    assert client.post("/api/v1/viewconfs/", json=large).status_code == 400
    assert client.post("/api/v1/viewconfs/", json={"viewconf": {"views": ["x" * (2 << 20)]}}).status_code == 413
