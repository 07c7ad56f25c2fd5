"""Who may ask, what every answer carries, and how errors are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from server.app import create_app
from server.security import Access, access_to
from server.site import Site
from server.tilesets import ObservedTileset
from tests.server.web import read
from tracks.errors import TracksError

LAB = "https://lab.example"
TOKEN = "a-token-that-nobody-guesses"
TILE = "/api/v1/tiles/?d=genes.0.0"


def asks(site: Site, static: Path, access: Access) -> FlaskClient:
    return create_app(site, static, access).test_client()


@pytest.mark.parametrize(
    "address",
    ["/", "/jobs", "/api/page", "/api/v1/tiles/?d=x.0.0", "/api/nothing", "/static/none.js", "/api/locate?q=zz"],
)
def test_every_answer_carries_strict_headers(client: FlaskClient, address: str) -> None:
    headers = client.get(address, buffered=True).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "http" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    "address",
    ["/api/nothing", "/nothing", "/api//page", "/static/none.js", "/jobs/", "/api/v1", "/api/page/", "/api/v1/tiles/x"],
)
def test_what_is_not_there_is_said_as_json(client: FlaskClient, address: str) -> None:
    response = client.get(address)
    assert response.status_code == 404
    assert "nothing at" in read(response)["error"]


def test_a_wrong_method_names_the_right_ones(client: FlaskClient) -> None:
    response = client.delete("/api/page")
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]
    assert read(response)["error"]


def test_static_files_do_not_leave_their_folder(client: FlaskClient, static: Path) -> None:
    assert (static.parent / "secret.txt").is_file()
    for name in ("../secret.txt", "%2e%2e/secret.txt", "/etc/passwd", "..%2fsecret.txt"):
        response = client.get(f"/static/{name}", buffered=True)
        assert response.status_code == 404
        assert b"secret" not in response.get_data().replace(b"secret.txt", b"")


def test_a_failure_of_ours_is_json_without_a_traceback(
    client: FlaskClient, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: str) -> NoReturn:
        raise RuntimeError("a secret path")

    monkeypatch.setattr(site, "locate", broken)
    response = client.get("/api/locate?q=x")
    assert response.status_code == 500
    assert "secret" not in read(response)["error"]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "10.1.2.3", "", "[::1", "localhost."]
)
def test_another_name_for_this_machine_is_refused(client: FlaskClient, host: str) -> None:
    response = client.get("/api/page", headers={"Host": host})
    assert response.status_code == 403
    assert "name" in read(response)["error"]
    # Not even a browser's question is answered.
    assert client.options("/api/page", headers={"Host": host, "Origin": LAB}).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:9000", "[::1]:8765", "LOCALHOST"])
def test_loopback_names_are_served(client: FlaskClient, host: str) -> None:
    assert client.get("/api/status", headers={"Host": host}).status_code == 200


def test_where_anybody_may_ask_a_proxy_may_keep_its_name(site: Site, static: Path) -> None:
    client = asks(site, static, access_to("0.0.0.0", "0.0.0.0", public=True))
    at = {"Host": "tracks.lab.example"}
    assert client.get("/api/status", headers=at).status_code == 200
    own = {**at, "Origin": "https://tracks.lab.example"}
    body = {"client": "x", "start": 0, "end": 5}
    assert client.post("/api/view", json=body, headers=own).status_code == 200
    assert client.post("/api/view", json=body, headers={**at, "Origin": LAB}).status_code == 403


def test_others_are_not_told_of_our_folders(site: Site, static: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> NoReturn:
        raise TracksError("cannot read /mine/secret.bw")

    monkeypatch.setattr(site, "locate", broken)
    monkeypatch.setattr(ObservedTileset, "tile", broken)
    observed = "observed-cpg_methylation_imr90.0.0"

    def told(access: Access, address: str) -> tuple[str, str]:
        client = asks(site, static, access)
        options: dict[str, Any] = {
            "environ_base": {"REMOTE_ADDR": address},
            "headers": {"Authorization": f"Bearer {TOKEN}"},
        }
        locate = client.get("/api/locate?q=x", **options)
        tile = client.get(f"/api/v1/tiles/?d={observed}&d=genes.99.0", **options)
        assert (locate.status_code, tile.status_code) == (500, 200)
        assert "zoom" in read(tile)["genes.99.0"]["error"], "what was wrong with the request itself"
        return read(locate)["error"], read(tile)[observed]["error"]

    mine = told(Access(), "127.0.0.1")
    assert all("/mine/secret.bw" in words for words in mine)
    for access, address in (
        (Access(), "10.0.0.9"),
        (Access(None, token=TOKEN), "127.0.0.1"),
        (Access(public=True), "127.0.0.1"),
    ):
        assert set(told(access, address)) == {"the server failed at this; its terminal says why"}


@pytest.mark.parametrize("headers", [{"Origin": LAB}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
                                     {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://localhost:1"}])  # fmt: skip
def test_pages_of_other_sites_may_not_ask(client: FlaskClient, headers: dict[str, str]) -> None:
    for response in (
        client.get(TILE, headers=headers),
        client.get("/api/export?uid=observed-cpg_methylation_imr90", headers=headers),
        client.get("/api/events?s=x", headers=headers),
        client.post("/api/predict", json={"region": "chr3"}, headers=headers),
        client.delete("/api/jobs/x", headers=headers),
        client.post("/", json={}, headers=headers),
    ):
        assert response.status_code == 403
        assert "--cors" in read(response)["error"] if response.request.path != "/" else b"--cors" in response.get_data()
        assert "Access-Control-Allow-Origin" not in response.headers
    preflight = client.options(TILE, headers={"Access-Control-Request-Method": "GET", **headers})
    assert "Access-Control-Allow-Origin" not in preflight.headers
    # A link to the page is no request of another page.
    assert client.get("/", headers=headers, buffered=True).status_code == 200


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}, {"Origin": "https://localhost"},
                {"Sec-Fetch-Site": "none"}, {}]
)  # fmt: skip
def test_our_own_page_and_programs_may_ask(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.get(TILE, headers=headers).status_code == 200
    body = {"client": "x", "start": 0, "end": 5}
    assert client.post("/api/view", json=body, headers=headers).status_code == 200


def test_a_listed_origin_may_ask_everything(site: Site, static: Path) -> None:
    client = asks(site, static, Access(origins=frozenset({LAB})))
    headers = {"Origin": LAB, "Sec-Fetch-Site": "cross-site"}
    preflight = client.options(TILE, headers={**headers, "Access-Control-Request-Headers": "content-type"})
    assert preflight.status_code == 204
    allowed = preflight.headers["Access-Control-Allow-Headers"]
    assert {word.strip() for word in allowed.split(",")} >= {"content-type", "authorization"}
    assert {"GET", "POST", "DELETE"} <= set(preflight.headers["Access-Control-Allow-Methods"].split(", "))
    for response in (
        preflight,
        client.get(TILE, headers=headers),
        client.post("/api/v1/tiles/?d=genes.0.0", json=[], headers=headers),
        client.post("/api/view", json={"client": "x", "start": 0, "end": 5}, headers=headers),
        client.get("/static/index.html", headers=headers, buffered=True),
        client.get("/api/nothing", headers=headers),
    ):
        assert response.headers["Access-Control-Allow-Origin"] == LAB
        assert response.headers["Access-Control-Allow-Credentials"] == "true"
        assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert "Origin" in response.headers["Vary"]
    for other in ("https://lab.example.evil.example", "http://lab.example", "https://lab.example:8", "null"):
        assert client.get(TILE, headers={"Origin": other}).status_code == 403
    assert client.get(TILE).headers["Vary"] == "Origin"


def test_where_all_origins_may_read_none_may_change_anything(site: Site, static: Path) -> None:
    client = asks(site, static, Access(origins=frozenset({"*"})))
    headers = {"Origin": LAB, "Sec-Fetch-Site": "cross-site"}
    for response in (
        client.get(TILE, headers=headers),
        client.post("/api/v1/tiles/?d=genes.0.0", json=[], headers=headers),
        client.options(TILE, headers=headers),
    ):
        assert response.status_code in (200, 204)
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in response.headers
    for path in ("/api/predict", "/api/view", "/api/retry", "/api/v1/viewconfs/"):
        assert client.post(path, json={}, headers=headers).status_code == 403
    assert client.delete("/api/jobs/x", headers=headers).status_code == 403


def test_a_listed_origin_has_more_than_all_others(site: Site, static: Path) -> None:
    client = asks(site, static, Access(origins=frozenset({"*", LAB})))
    assert client.get(TILE, headers={"Origin": LAB}).headers["Access-Control-Allow-Origin"] == LAB
    assert client.get(TILE, headers={"Origin": "https://b.example"}).headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_what_a_form_can_send_is_refused(client: FlaskClient, kind: str) -> None:
    for path in ("/api/predict", "/api/view", "/api/v1/viewconfs/", "/api/v1/tiles/"):
        response = client.post(path, data="{}", content_type=kind)
        assert response.status_code == 415
        assert "application/json" in read(response)["error"]


def test_bodies_are_bounded(client: FlaskClient) -> None:
    for path, most in (("/api/view", 1 << 14), ("/api/retry", 1 << 14), ("/api/predict", 8_000_000)):
        response = client.post(path, data=b"[" * (most + 1), content_type="application/json")
        assert response.status_code == 413
        assert f"{most:,}" in read(response)["error"]


@pytest.mark.parametrize("number", ["1" + "0" * 400, "-1" + "0" * 400, "1e999", "NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_none_are_refused(client: FlaskClient, number: str) -> None:
    def post(path: str, body: str) -> TestResponse:
        return client.post(path, data=body.replace("NUMBER", number), content_type="application/json")

    for response in (
        post("/api/view", '{"client": "x", "start": 0, "end": NUMBER}'),
        post("/api/predict", '{"start": 0, "end": NUMBER}'),
        post("/api/retry", '{"start": NUMBER, "end": 5}'),
    ):
        assert response.status_code == 400
    saved = post("/api/v1/viewconfs/", '{"viewconf": {"views": [{"initialXDomain": [0, NUMBER]}]}}')
    if number.lstrip("-").isdecimal():  # it is JSON, if not a place
        assert saved.status_code == 200
        assert client.get(f"/api/v1/viewconfs/?d={read(saved)['uid']}").status_code == 200
    else:
        assert saved.status_code == 400
        assert number in read(saved)["error"]


def test_pages_of_other_sites_may_load_the_plugin(site: Site, static: Path) -> None:
    client = asks(site, static, Access(None, token=TOKEN))
    from_elsewhere = {"Sec-Fetch-Site": "cross-site", "Origin": "https://lab.example"}
    response = client.get("/static/plugin/plugin.js", headers=from_elsewhere, buffered=True)
    assert (response.status_code, response.get_data(as_text=True)) == (200, "// the plugin")
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    for path in ("/static/plugin/../index.html", "/static/plugin/%2e%2e/index.html", "/static/index.html"):
        assert client.get(path, headers=from_elsewhere, buffered=True).status_code in (401, 403, 404), path


def test_without_the_token_nothing_is_served(site: Site, static: Path) -> None:
    client = asks(site, static, Access(None, token=TOKEN))
    for path in ("/api/page", TILE, "/static/index.html", "/api/events?s=x", "/api/nothing", f"{TILE}&token={TOKEN}"):
        response = client.get(path)
        assert response.status_code == 401
        assert "link" in read(response)["error"]
        wrong = client.get(path, headers={"Authorization": "Bearer wrong"})
        assert wrong.status_code == 403
        assert "token" in read(wrong)["error"]
    assert client.post("/api/predict", json={"region": "chr3"}).status_code == 401
    for path, code in (("/", 401), ("/jobs", 401), ("/?token=wrong", 403), ("/?token=" + "é" * 9, 403)):
        response = client.get(path)
        assert response.status_code == code
        assert response.mimetype == "text/html"
        assert "link" in response.get_data(as_text=True)
        assert "Set-Cookie" not in response.headers
    client.set_cookie("tracks", "wrong")
    assert client.get(TILE).status_code == 403


def test_the_link_leaves_a_cookie_and_an_address_without_the_token(site: Site, static: Path) -> None:
    client = asks(site, static, Access(None, token=TOKEN, cookie="tracks-8765"))
    opened = client.get(f"/jobs?token={TOKEN}&renderer=canvas", headers={"Host": "tower:8765"})
    assert opened.status_code == 303
    assert opened.headers["Location"] == "/jobs?renderer=canvas"
    cookie = opened.headers["Set-Cookie"]
    assert cookie.startswith(f"tracks-8765={TOKEN};")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert client.get(f"/?token={TOKEN}").headers["Location"] == "/"
    # The client keeps cookies as a browser does.
    assert client.get("/", buffered=True).status_code == 200
    assert client.get("/static/index.html", buffered=True).status_code == 200
    assert client.get(TILE).status_code == 200


def test_a_program_and_a_listed_page_send_the_token_themselves(site: Site, static: Path) -> None:
    client = asks(site, static, Access(None, token=TOKEN, origins=frozenset({LAB})))
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert client.get(TILE, headers=bearer).status_code == 200
    assert client.get(TILE, headers={**bearer, "Origin": LAB}).headers["Access-Control-Allow-Origin"] == LAB
    # Without it, the page is told so rather than left with an error of the network.
    refused = client.get(TILE, headers={"Origin": LAB})
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == LAB
    assert client.options(TILE, headers={"Origin": LAB}).status_code == 204, "a browser asks without the token"
    # The cookie alone is not enough for another site.
    client.get(f"/?token={TOKEN}")
    assert client.get(TILE, headers={"Origin": "https://b.example"}).status_code == 403


def test_words_of_a_request_are_not_read_as_html(site: Site, static: Path) -> None:
    client = asks(site, static, Access(frozenset({"localhost"})))
    response = client.post("/", json={}, headers={"Origin": "<script>alert(1)</script>"})
    assert response.status_code == 403
    assert b"<script>" not in response.get_data()
