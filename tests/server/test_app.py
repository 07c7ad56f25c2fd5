from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from server.app import TILES_A_REQUEST, create_app
from server.site import Site
from server.tilesets import ObservedTileset

OBSERVED = "observed-cpg_methylation_imr90"
PREDICTED = "predicted-lmnb1_lad_liver"


@pytest.fixture
def client(site: Site, tmp_path: Path) -> FlaskClient:
    static = tmp_path / "static"
    static.mkdir()
    (static / "index.html").write_text("<title>Tracks</title>")
    (tmp_path / "secret.txt").write_text("secret")
    return create_app(site, static).test_client()


def read(response: TestResponse) -> Any:
    def refuse(word: str) -> NoReturn:
        raise AssertionError(f"{word} is not JSON, and a browser refuses the whole answer for it")

    return json.loads(response.get_data(), parse_constant=refuse)


def test_tiles_of_several_tilesets_come_in_one_answer(client: FlaskClient) -> None:
    ids = [f"{OBSERVED}.0.0", f"{PREDICTED}.1.0", "genes.0.0", "cpg-islands.0.0"]
    response = client.get("/api/v1/tiles/?" + "&".join(f"d={tile_id}" for tile_id in ids) + "&s=abc")
    answers = read(response)
    assert response.status_code == 200
    assert set(answers) == set(ids)
    assert answers[ids[0]]["dtype"] == "float32"
    assert "missing" in answers[ids[1]]
    assert [entry["fields"][3] for entry in answers["genes.0.0"]] == ["ALPHA1", "ALPHA2", "BETA"]
    assert len(answers["cpg-islands.0.0"]) == 2


@pytest.mark.parametrize(
    "bad",
    [
        "nobody.0.0",
        f"{OBSERVED}.99.0",
        f"{OBSERVED}.1.2",
        OBSERVED,
        "",
        "../../etc/passwd",
        f"{OBSERVED}.0.0.max",
        "chromosomes.0.0",
    ],
)
def test_an_error_stays_inside_its_tile(client: FlaskClient, bad: str) -> None:
    response = client.get("/api/v1/tiles/", query_string=[("d", bad), ("d", f"{OBSERVED}.0.0")])
    answers = read(response)
    assert response.status_code == 200
    assert isinstance(answers[bad]["error"], str)
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


@pytest.mark.parametrize("body", ["{", '{"a": 1}', "[1]", '[{"tilesetUid": "x"}]', "7"])
def test_an_unreadable_body_is_refused_in_words(client: FlaskClient, body: str) -> None:
    response = client.post("/api/v1/tiles/", data=body)
    assert response.status_code == 400
    assert "tileIds" in read(response)["error"]


def test_requests_are_bounded(client: FlaskClient) -> None:
    ids = [f"{OBSERVED}.3.{position}" for position in range(6)]
    many = [*ids, *(f"x.0.{number}" for number in range(TILES_A_REQUEST)), f"{PREDICTED}.0.0"]
    answers = read(client.get("/api/v1/tiles/", query_string=[("d", tile_id) for tile_id in many]))
    assert all("dense" in answers[tile_id] for tile_id in ids)
    assert "too many" in answers[f"{PREDICTED}.0.0"]["error"]
    assert client.post("/api/v1/tiles/", data=b"[" + b" " * 200_000).status_code == 413


def test_tileset_info_tells_each_tileset_and_names_strangers(client: FlaskClient, site: Site) -> None:
    answers = read(client.get(f"/api/v1/tileset_info/?d={OBSERVED}&d=nobody&s=x"))
    assert answers[OBSERVED]["max_pos"] == [site.axis.length]
    assert answers[OBSERVED]["chromsizes"] == [["chr20", 500_050], ["chr3", 200_000], ["chrN", 20_000]]
    assert "nobody" in answers["nobody"]["error"]


def test_chromosome_sizes(client: FlaskClient) -> None:
    text = client.get("/api/v1/chrom-sizes/?id=chromosomes")
    assert text.mimetype == "text/plain"
    assert text.get_data(as_text=True) == "chr20\t500050\nchr3\t200000\nchrN\t20000\n"
    assert read(client.get("/api/v1/chrom-sizes/?id=chromosomes&type=json&cum=1"))["chr3"] == {
        "size": 200_000,
        "offset": 500_050,
    }
    assert client.get("/api/v1/chrom-sizes/?id=genes").status_code == 404
    listed = read(client.get("/api/v1/available-chrom-sizes/"))
    assert (listed["count"], listed["results"][0]["uuid"]) == (1, "chromosomes")


def test_tilesets_are_listed(client: FlaskClient, site: Site) -> None:
    assert {entry["uuid"] for entry in read(client.get("/api/v1/tilesets/?limit=100"))["results"]} == set(site.tilesets)
    vectors = read(client.get("/api/v1/tilesets/?dt=vector&ac=LIVER"))
    assert [entry["uuid"] for entry in vectors["results"]] == [PREDICTED]


def test_suggest(client: FlaskClient) -> None:
    assert read(client.get("/api/v1/suggest/?d=genes&ac=bet")) == [
        {"chr": "chr3", "txStart": 1000, "txEnd": 4000, "score": 0, "geneName": "BETA"}
    ]
    assert client.get("/api/v1/suggest/?d=other&ac=a").status_code == 404


def test_locate(client: FlaskClient) -> None:
    found = read(client.get("/api/locate?q=chr3:1-1000"))
    assert (found["start"], found["end"], found["region"]) == (500_050, 501_050, "chr3:1-1,000")
    missed = client.get("/api/locate?q=BETTA")
    assert missed.status_code == 404
    assert read(missed)["suggestion"] == "BETA"
    assert "did you mean BETA?" in read(missed)["error"]


def test_progress_and_sequence(client: FlaskClient) -> None:
    now = read(client.get("/api/progress?since=0"))
    assert (now["state"], now["failed"]) == ("ready", 0)
    assert now["done"] == now["total"] > 0
    assert now["changed"] == [[0, 720_050]], "joined where they touch"
    assert read(client.get(f"/api/progress?since={now['revision']}"))["changed"] == []
    assert read(client.get("/api/progress?since=x"))["revision"] == now["revision"]
    sequence = read(client.get("/api/sequence"))
    assert sequence == {"ready": True, "known": [[0, 225_024], [354_944, 500_050], [500_050, 700_050]]}


def test_the_page_describes_itself(client: FlaskClient) -> None:
    page = read(client.get("/api/page"))
    assert [(panel["observed"], panel["predicted"]) for panel in page["panels"]] == [(True, True), (False, True)]
    assert page["loci"][0]["note"] == "Something changes here."
    assert [fold["fold"] for fold in page["folds"]] == ["train", "test"]
    assert page["viewconf"]["views"][0]["uid"] == page["view"]


@pytest.mark.parametrize(
    "address", ["/", "/api/page", "/api/v1/tiles/?d=x.0.0", "/api/nothing", "/static/none.js", "/api/locate?q=zz"]
)
def test_every_answer_carries_strict_headers(client: FlaskClient, address: str) -> None:
    headers = client.get(address, buffered=True).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "http" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_static_files_do_not_leave_their_folder(client: FlaskClient) -> None:
    assert client.get("/", buffered=True).get_data(as_text=True) == "<title>Tracks</title>"
    for address in ("/static/../secret.txt", "/static/%2e%2e/secret.txt", "/static//etc/passwd"):
        response = client.get(address, buffered=True)
        assert response.status_code in (404, 308)
        assert b"secret" not in response.get_data()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example"])
def test_another_name_for_this_machine_is_refused(client: FlaskClient, host: str) -> None:
    assert client.get("/api/page", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:9000", "[::1]:8765"])
def test_loopback_names_are_served(client: FlaskClient, host: str) -> None:
    assert client.get("/api/progress", headers={"Host": host}).status_code == 200


def test_a_failure_of_ours_is_json_without_a_traceback(
    client: FlaskClient, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: str) -> NoReturn:
        raise RuntimeError("a secret path")

    monkeypatch.setattr(site, "locate", broken)
    response = client.get("/api/locate?q=x")
    assert response.status_code == 500
    assert "secret" not in read(response)["error"]
