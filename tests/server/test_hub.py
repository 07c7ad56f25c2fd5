"""The live hub over HTTP: what browsers are told, and files by ranges."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pybigtools
import pyBigWig
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from server.hub import add_hub
from server.security import Access
from server.site import Site
from tests.server.web import read
from tests.tracks.hub.rules import check_hub, parsed
from tracks.errors import TracksError, UsageError
from tracks.track import Track
from tracks.virtual import SLOT

BASE = "https://tracks.lab.example"
DIGEST = "0123456789abcdef" * 2


class Shelf:
    """Virtual addresses as ``server.virtual`` has them."""

    def path(self, head: str, slug: str, slot: int = SLOT, difference: bool = False) -> str:
        assert head == "bins"
        kind = ".difference" if difference else ""
        return f"/virtual/{DIGEST}/{slug}{kind}.bw" + ("" if slot == SLOT else f"?slot={slot}")


class Client(FlaskClient):
    """Reads answers to their end, as servers do, so that files are closed."""

    def open(self, *args: Any, **options: Any) -> TestResponse:
        return super().open(*args, **{"buffered": True, **options})


Ask = Callable[..., FlaskClient]


@pytest.fixture
def ask(site: Site) -> Ask:
    """An application with the hub alone: ``ask(base, token, origins)``."""

    def made(base: str | None = BASE, token: str | None = None, *origins: str) -> FlaskClient:
        app = Flask("hub")
        add_hub(app, site, Shelf(), base, Access(token=token, origins=frozenset(origins)))
        app.test_client_class = Client
        return app.test_client()

    return made


def test_the_hub_is_one_that_checkers_take(ask: Ask) -> None:
    answer = ask().get("/hub/hub.txt")
    assert (answer.status_code, answer.mimetype, answer.headers["Cache-Control"]) == (200, "text/plain", "no-cache")
    tracks = check_hub(answer.text)
    overlay = tracks["cpg_methylation_imr90"]
    assert (overlay["container"], overlay["viewLimits"], overlay["autoScale"]) == ("multiWig", "0:1", "off")
    urls = {name: stanza.get("bigDataUrl") for name, stanza in tracks.items()}
    assert urls == {
        "cpg_methylation_imr90": None,
        "cpg_methylation_imr90_observed": f"{BASE}/files/cpg_methylation_imr90.bw",
        "cpg_methylation_imr90_predicted": f"{BASE}/virtual/{DIGEST}/cpg_methylation_imr90.bw",
        "cpg_methylation_imr90_difference": f"{BASE}/virtual/{DIGEST}/cpg_methylation_imr90.difference.bw",
        "lmnb1_lad_liver_predicted": f"{BASE}/virtual/{DIGEST}/lmnb1_lad_liver.bw",
        "bed_cpg_islands": f"{BASE}/hub/bed_cpg_islands.bb",
    }


def test_every_address_of_this_server_can_be_asked_for(ask: Ask) -> None:
    client = ask()
    for stanza in parsed(client.get("/hub/hub.txt").text):
        for setting in ("html", "bigDataUrl", "descriptionUrl"):
            url = stanza.get(setting, "")
            if url and "/virtual/" not in url:
                assert client.get(url.removeprefix(BASE)).status_code == 200, url


def test_a_token_is_in_every_address(ask: Ask) -> None:
    client = ask(token="secret-secret-secret")
    for path in (
        "/hub/hub.txt",
        "/hub/igv_session.xml",
        "/hub/igv_session.json",
        "/hub/jbrowse.json",
        "/hub/custom_tracks.txt",
    ):
        text = client.get(path).text
        assert text.count(BASE) == text.count("token=secret-secret-secret") > 0, path
    told = read(client.get("/api/browsers"))
    assert told["hub"]["url"] == f"{BASE}/hub/hub.txt?token=secret-secret-secret"
    config = read(client.get("/hub/jbrowse.json"))
    adapters = config["tracks"][0]["adapter"]["subadapters"]
    assert adapters[1]["bigWigLocation"]["uri"].endswith("_imr90.bw?slot=131072&token=secret-secret-secret")


def test_without_an_address_of_its_own_it_is_the_one_that_was_asked(ask: Ask) -> None:
    client = ask(None)
    text = client.get("/hub/hub.txt", base_url="http://127.0.0.1:8765").text
    assert "bigDataUrl http://127.0.0.1:8765/files/cpg_methylation_imr90.bw\n" in text
    told = read(client.get("/api/browsers", base_url="http://127.0.0.1:8765"))
    assert told["ucsc"]["url"] is None
    assert told["ucsc"]["why"] == "'small' is no assembly that UCSC has, as far as is known here"


def test_what_the_menu_is_told(ask: Ask, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    told = read(ask(BASE, None, "*").get("/api/browsers?region=chr20:1,001-2,000"))
    assert told.keys() == {"hub", "ucsc", "igv", "jbrowse", "custom_tracks"}
    assert told["hub"]["url"] == f"{BASE}/hub/hub.txt"
    session = f"{BASE}/hub/igv_session.xml?region=chr20%3A1%2C001-2%2C000"
    assert told["igv"]["session"] == session
    assert told["igv"]["desktop"].startswith("http://localhost:60151/load?file=https%3A%2F%2F")
    assert told["igv"]["desktop"].endswith("&locus=chr20%3A1001-2000")
    # IGV has no genome of the project's name; with hg38 it shows letters and genes.
    assert told["igv"]["web"].startswith("https://igv.org/app/?sessionURL=https%3A%2F%2F")
    assert "igv_session.json" in told["igv"]["web"]
    monkeypatch.setattr(site, "assembly", "hg38")
    assert "igv_session.xml" in read(ask(BASE, None, "*").get("/api/browsers"))["igv"]["web"]
    assert told["jbrowse"]["config"] == f"{BASE}/hub/jbrowse.json"
    assert "loc=chr20%3A1001-2000" in told["jbrowse"]["web"]
    assert told["custom_tracks"].count("track type=bigWig") == 4
    xml = ask().get(session.removeprefix(BASE)).text
    assert ET.fromstring(xml).get("locus") == "chr20:1001-2000"


def test_ucsc_opens_what_it_can_reach_and_has(ask: Ask, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "assembly", "hg38")
    told = read(ask().get("/api/browsers?region=chr20:1-1000"))
    # chrN of the small genome is none of hg38's.
    assert (told["ucsc"]["url"], told["ucsc"]["why"].split(";")[0]) == (None, "UCSC has no chromosome 'chrN' in hg38")
    monkeypatch.setattr(site.genome, "chrom_sizes", {"chr20": 500_050, "chr3": 200_000})
    told = read(ask().get("/api/browsers?region=chr20:1-1000"))
    assert told["ucsc"]["url"] == (
        f"https://genome.ucsc.edu/cgi-bin/hgTracks?db=hg38&position=chr20:1-1000&hubUrl={BASE}/hub/hub.txt"
    )
    assert told["ucsc"]["why"] == ""
    for hidden in ("http://127.0.0.1:8765", "http://10.1.2.3", "http://localhost", "http://[::1]:80", "http://lab"):
        why = read(ask(hidden).get("/api/browsers"))["ucsc"]["why"]
        assert "UCSC reads files from its own machines" in why
        assert "tracks serve --public-url https://..." in why
        assert "tracks hub -o" in why


def test_pages_of_other_sites_need_to_be_listed(ask: Ask) -> None:
    told = read(ask().get("/api/browsers"))
    for browser, origin in (("igv", "https://igv.org"), ("jbrowse", "https://jbrowse.org")):
        assert told[browser]["web"] is None
        assert told[browser]["why"] == (
            f"pages of {origin} may not read from this server; start it with --cors {origin}"
        )
    told = read(ask(BASE, None, "https://igv.org").get("/api/browsers"))
    assert (told["igv"]["web"][:16], told["igv"]["why"]) == ("https://igv.org/", "")
    assert told["jbrowse"]["web"] is None


def test_sessions_are_saved_from_the_server_itself_under_a_name(ask: Ask, site: Site) -> None:
    client = ask(token="secret-secret-secret")
    told = read(client.get("/api/browsers?region=chr20:1-1000"))
    igv, jbrowse = told["igv"]["file"], told["jbrowse"]["file"]
    assert igv == "/hub/igv_session.xml?region=chr20%3A1-1000&download=1"
    for path, ending in ((igv, "igv_session.xml"), (jbrowse, "jbrowse.json"), ("/hub/igv_session.json?download=1", "")):
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["Content-Disposition"].startswith("attachment; filename=small_")
        assert ending in answer.headers["Content-Disposition"]
        assert BASE in answer.text
        assert "Content-Disposition" not in client.get(path.replace("download=1", "")).headers


def test_the_observed_file_whole_and_by_ranges(ask: Ask, project: Path, tmp_path: Path) -> None:
    client, url = ask(), "/files/cpg_methylation_imr90.bw"
    data = (project.parent / "observed.bw").read_bytes()
    whole = client.get(url)
    assert (whole.status_code, whole.data, whole.headers["Accept-Ranges"]) == (200, data, "bytes")
    head = client.head(url)
    assert (head.status_code, head.data, head.headers["Content-Length"]) == (200, b"", str(len(data)))
    assert head.headers["ETag"] == whole.headers["ETag"]
    size = len(data)
    for asked, first, last in (
        ("bytes=0-63", 0, 64),
        (f"bytes={size - 10}-{size + 1000}", size - 10, size),
        ("bytes=-10", size - 10, size),
        (f"bytes=-{size + 5}", 0, size),
        ("bytes=100-", 100, size),
    ):
        part = client.get(url, headers={"Range": asked})
        assert part.data == data[first:last], asked
        assert part.status_code == 206
        assert part.headers["Content-Range"] == f"bytes {first}-{last - 1}/{size}"
        assert part.headers["Content-Length"] == str(last - first)


@pytest.mark.parametrize("asked", ["bytes={}-", "bytes=0-1,4-5", "bytes=9-3", "bytes=a-b", "bytes=", "bytes=-0"])
def test_a_range_that_is_none(ask: Ask, project: Path, asked: str) -> None:
    size = (project.parent / "observed.bw").stat().st_size
    answer = ask().get("/files/cpg_methylation_imr90.bw", headers={"Range": asked.format(size)})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{size}"
    assert len(answer.data) < 200


def test_a_file_that_did_not_change_is_not_sent_again(ask: Ask) -> None:
    client, url = ask(), "/files/cpg_methylation_imr90.bw"
    tag = client.get(url).headers["ETag"]
    assert client.get(url, headers={"If-None-Match": tag}).status_code == 304
    assert client.get(url, headers={"Range": "bytes=0-3", "If-Range": tag}).status_code == 206
    assert client.get(url, headers={"Range": "bytes=0-3", "If-Range": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/files/no.bw", "there is no observed file 'no'; there are cpg_methylation_imr90"),
        ("/files/lmnb1_lad_liver.bw", "there is no observed file"),
        ("/files/..%2Fsecret.bw", ""),
        ("/hub/no.bb", "there are no intervals 'no'; there are bed_cpg_islands"),
        ("/hub/no.html", "there is no description of 'no' here"),
    ],
)
def test_what_is_not_there(ask: Ask, path: str, words: str) -> None:
    answer = ask().get(path)
    assert answer.status_code == 404
    assert words in answer.text.replace("&#39;", "'")


def test_intervals_as_readers_find_them(ask: Ask, tmp_path: Path) -> None:
    answer = ask().get("/hub/bed_cpg_islands.bb")
    path = tmp_path / "islands.bb"
    path.write_bytes(answer.data)
    reader = pybigtools.open(str(path))
    assert reader.is_bigbed
    assert list(reader.records("chr20")) == [(9500, 11000)]
    assert list(reader.records("chr3")) == [(900, 1200)]
    part = ask().get("/hub/bed_cpg_islands.bb", headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.data) == (206, answer.data[4:8])


def test_a_page_says_who_made_it_and_escapes_what_it_says(ask: Ask, site: Site) -> None:
    page = ask().get("/hub/cpg_methylation_imr90.html").text
    for words in (
        "IMR90 lung fibroblast",
        "methylated fraction",
        "tiny",
        site.model.digest,
        "10.1371/journal.pcbi.1008050",
    ):
        assert words in page
    assert "<script" not in page


def test_chromosomes_for_jbrowse_and_igv(ask: Ask) -> None:
    assert ask().get("/hub/chrom.sizes").text == "chr20\t500050\nchr3\t200000\nchrN\t20000\n"
    config = json.loads(ask().get("/hub/jbrowse.json").text)
    location = config["assemblies"][0]["sequence"]["adapter"]["chromSizesLocation"]
    assert location["uri"] == f"{BASE}/hub/chrom.sizes"
    session = json.loads(ask().get("/hub/igv_session.json").text)
    assert session["reference"]["fastaURL"] == f"{BASE}/hub/chrom.sizes"


def test_an_observed_file_that_cannot_be_read_leaves_the_others_hub(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(path: Path) -> None:
        raise TracksError(f"cannot read {path}")

    monkeypatch.setattr(Track, "is_fraction", property(lambda self: False))  # whose axis is found in the file
    client = ask()
    with monkeypatch.context() as patched:
        patched.setattr("server.live_hub.summarise_bigwig", gone)
        tracks = check_hub(client.get("/hub/hub.txt").text)
        assert (len(tracks), tracks["cpg_methylation_imr90"]["autoScale"]) == (6, "on")
    # It is looked at again, in case it comes back.
    assert check_hub(client.get("/hub/hub.txt").text)["cpg_methylation_imr90"]["viewLimits"] == "0:1"


def test_a_bed_file_that_cannot_be_read_leaves_the_others_hub(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(path: Path) -> None:
        raise UsageError(f"there is no BED file {path}")

    client = ask()
    with monkeypatch.context() as patched:
        patched.setattr("server.live_hub.read_intervals", gone)
        assert "bed_cpg_islands" not in check_hub(client.get("/hub/hub.txt").text)
        assert client.get("/hub/bed_cpg_islands.bb").status_code == 404
    assert "bed_cpg_islands" in check_hub(client.get("/hub/hub.txt").text)


def test_the_observed_values_through_the_address(ask: Ask, observed: dict[str, np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "file.bw"
    path.write_bytes(ask().get("/files/cpg_methylation_imr90.bw").data)
    with pyBigWig.open(str(path)) as file:
        found = np.array(file.values("chr20", 0, 128 * 100))[::128]
    np.testing.assert_array_equal(found.astype(np.float32), observed["chr20"][:100])


def test_the_application_serves_all_that_its_hub_names(client: FlaskClient) -> None:
    text = client.get("/hub/hub.txt", base_url="http://127.0.0.1").text
    urls = [stanza["bigDataUrl"] for stanza in check_hub(text).values() if "bigDataUrl" in stanza]
    assert len(urls) == 5
    for url in urls:
        answer = client.head(url.removeprefix("http://127.0.0.1"), buffered=True)
        assert answer.status_code == 200, url
        assert int(answer.headers["Content-Length"]) > 500
    assert client.get("/api/browsers?region=chr99").status_code == 400
