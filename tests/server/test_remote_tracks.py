"""Observed files of other servers and tracks of hubs, from a project file to a tile, by a real server of files."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient

from server.app import create_app
from server.export import known_bins
from server.figure import observed as observed_values
from server.security import Access
from server.site import Site
from server.tilesets import ObservedTileset
from server.viewconf import page
from server.virtual import DifferenceFile, VirtualFiles, _Place
from tests.server.web import read, values
from tests.tracks.remote.web import Web, serving
from tracks.bigwig import Bins, read_bins, read_chrom_sizes, summarise_bigwig, write_bigwig
from tracks.bigwig_writer import BigWigWriter
from tracks.errors import UsageError
from tracks.grid import bin_count, window_count
from tracks.project import load_project
from tracks.regions import Region
from tracks.remote import file as remote
from tracks.remote.connection import fetch
from tracks.remote.errors import RemoteError
from tracks.store import Store
from tracks.virtual import Totals, lay_out

UID = "observed-cpg_methylation_imr90"
OTHER = """
[[track]]
name = "reads"
assay = "ChIP-seq"
biosample = "liver"
unit = "reads"
color = "#1b6ca8"
observed = "here.bw"
"""
HUB = """hub lab
shortLabel Our lab
longLabel Tracks of our lab
email a@lab.example
useOneFile on

genome small

track a
type bigWig
bigDataUrl a.bw
shortLabel CpG methylation IMR90
longLabel The same again
color 217,95,2
viewLimits -1:2

track b
type bigBed 3
bigDataUrl b.bb
shortLabel B

track c
type bigWig
bigDataUrl nowhere/c.bw
shortLabel C
"""


@pytest.fixture
def web(project: Path) -> Iterator[Web]:
    """A server of files with the project's observed bigWig."""
    with serving() as running:
        running.add("/lab/observed.bw", project.with_name("observed.bw").read_bytes())
        running.add("/lab/a.bw", project.with_name("observed.bw").read_bytes())
        yield running


Opened = Callable[..., Site]


@pytest.fixture
def opened(project: Path, model_folder: Path, tmp_path: Path, web: Web) -> Opened:
    """Opens the project with its observed file on the other server."""

    def open_site(
        observed: str = "/lab/observed.bw", more: str = "", timeout: float = 5, hub: str = "", head: str = ""
    ) -> Site:
        folder = tmp_path / "own"
        if not folder.exists():
            shutil.copytree(project.parent, folder)
            shutil.copy(folder / "observed.bw", folder / "here.bw")
        text = project.read_text().replace('"observed.bw"', f'"{web.base}{observed}"') + more + hub
        files = f'[files]\nurls = ["{web.base}/lab/"]\ntimeout = {timeout}\n{head}\n[[track]]'
        (folder / "tracks.toml").write_text(text.replace("[[track]]", files, 1))
        return Site(folder / "tracks.toml", model_folder, Store(tmp_path / "store"))

    return open_site


def asks(site: Site, static: Path, access: Access | None = None) -> FlaskClient:
    return create_app(site, static, access or Access()).test_client()


def tile_ids(site: Site, uid: str = UID) -> list[str]:
    return [f"{uid}.{zoom}.{at}" for zoom in range(site.axis.max_zoom + 1) for at in range(1 << zoom)][:40]


def test_a_remote_track_is_drawn_as_a_local_one(opened: Opened, site: Site, static: Path, web: Web) -> None:
    away = opened()
    ids = [*tile_ids(site), f"{UID}.1.0.max", f"{UID}.0.0.min"]
    query = "&".join(f"d={tile_id}" for tile_id in ids)
    here, there = (read(asks(one, static).get(f"/api/v1/tiles/?{query}")) for one in (site, away))
    assert here == there
    assert sum("dense" in tile for tile in there.values()) == len(ids)
    assert all(asked.startswith("bytes=") for asked in web.files["/lab/observed.bw"].asked)
    tileset = away.tilesets[UID]
    assert isinstance(tileset, ObservedTileset)
    assert (tileset.path, str(tileset.source)) == (None, f"{web.base}/lab/observed.bw")


def test_tiles_of_one_request_are_fetched_together(opened: Opened, static: Path, web: Web) -> None:
    names = [f"/lab/n{at}.bw" for at in range(6)]
    for name in names:
        web.add(name, web.files["/lab/a.bw"].content)
    more = "".join(
        OTHER.replace('"reads"', f'"reads {at}"', 1).replace("here.bw", web.base + name)
        for at, name in enumerate(names)
    )
    site = opened(more=more)
    for name in names:
        tileset = site.tilesets[f"observed-reads_{name[6]}"]
        remote.remote_file(tileset.source)._blocks.clear()  # type: ignore[attr-defined]
        web.files[name].seconds = 0.4
    started = time.monotonic()
    query = "&".join(f"d=observed-reads_{at}.0.0" for at in range(6))
    answer = read(asks(site, static).get(f"/api/v1/tiles/?{query}"))
    assert time.monotonic() - started < 1.5, "one after the other they take 2.4 seconds"
    assert all("dense" in tile for tile in answer.values())


def test_so_are_its_numbers_figures_and_exports(opened: Opened, site: Site, static: Path, tmp_path: Path) -> None:
    away = opened()
    source, path = away.tilesets[UID].source, site.tilesets[UID].path  # type: ignore[attr-defined]
    assert read_chrom_sizes(source) == read_chrom_sizes(path)
    assert summarise_bigwig(source) == summarise_bigwig(path)
    for region in (Region("chr20", 0, 500_050), Region("chr3", 1_000, 77_777)):
        np.testing.assert_array_equal(read_bins(source, region), read_bins(path, region))
        pair = [observed_values(one.panels[0], region) for one in (site, away)]
        np.testing.assert_array_equal(*pair)
    with pytest.raises(UsageError, match=r"observed\.bw: the genome has no chromosome"):
        read_bins(source, Region("chrZ", 0, 1000))
    for query in ("format=bigwig&start=1000&end=90000", "format=bedgraph&start=0&end=600000", "format=bigwig"):
        found = []
        for one in (site, away):
            answer = asks(one, static).get(f"/api/export?uid={UID}&{query}", buffered=True)
            assert answer.status_code == 200
            (tmp_path / "x.bw").write_bytes(answer.data)
            found.append(
                answer.data if "bedgraph" in query else read_bins(tmp_path / "x.bw", Region("chr20", 0, 90_000))
            )
        np.testing.assert_array_equal(*found)
    assert [len(piece.values) for piece in known_bins(away.tilesets[UID], [Region("chrN", 0, 5000)])]  # type: ignore[arg-type]


def test_a_scale_comes_from_the_file_on_the_other_server(opened: Opened, web: Web) -> None:
    more = OTHER.replace("here.bw", f"{web.base}/lab/a.bw")
    site = opened(more=more)
    [reads] = [panel for panel in site.panels if panel.track.name == "reads"]
    assert reads.observed is not None
    assert reads.observed.opened
    assert reads.scale[0] == 0
    assert 0.99 < reads.scale[1] <= 1.0


@pytest.mark.parametrize("way", ["404", "hang", "reset", "whole"])
def test_a_server_that_is_down_stops_neither_the_start_nor_the_others(
    opened: Opened, static: Path, web: Web, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr("tracks.remote.connection.SMALL", 1000)
    monkeypatch.setattr(remote, "PAUSE", 0.5)
    served = web.files["/lab/observed.bw"]
    served.ways = [way]
    site = opened("/lab/observed.bw?key=s3cret", OTHER, timeout=0.6)
    started = time.monotonic()
    answer = read(asks(site, static).get(f"/api/v1/tiles/?d={UID}.0.0&d={UID}.1.0&d={UID}.1.1&d=observed-reads.0.0"))
    assert time.monotonic() - started < 1.5, "one request waits for one time-out"
    assert "dense" in answer["observed-reads.0.0"]
    for tile_id in (f"{UID}.0.0", f"{UID}.1.0", f"{UID}.1.1"):
        assert f"cannot read {web.base}/lab/observed.bw: its server " in answer[tile_id]["error"]
        assert "s3cret" not in answer[tile_id]["error"]
    assert read(asks(site, static).get("/api/page"))["panels"][0]["scale"] == [0, 1]
    others = asks(site, static, Access(hosts=None, public=True))
    told = read(others.get(f"/api/v1/tiles/?d={UID}.0.0"))[f"{UID}.0.0"]["error"]
    assert told.startswith("this file is on another server, and cannot be read now: its server ")
    assert str(web.port) not in told
    web.free.set()
    served.ways = ["ranges"]
    time.sleep(0.6)
    assert "dense" in read(asks(site, static).get(f"/api/v1/tiles/?d={UID}.0.0"))[f"{UID}.0.0"], "it is tried again"


def test_a_file_that_changed_is_drawn_as_it_is_now(opened: Opened, web: Web, tmp_path: Path) -> None:
    site = opened()
    tileset = site.tilesets[UID]
    before = tileset.tile(site.axis.tile(f"{UID}.0.0"))
    values_now = [Bins("chr20", 0, np.full(bin_count(500_050), 0.5, np.float32))]
    write_bigwig(tmp_path / "new.bw", {"chr20": 500_050}, values_now)
    served = web.files["/lab/observed.bw"]
    served.content, served.etag = (tmp_path / "new.bw").read_bytes(), '"two"'
    assert tileset.tile(site.axis.tile(f"{UID}.0.0")) == before, "what is kept is drawn until its server is asked again"
    remote.remote_file(tileset.source)._blocks.clear()  # type: ignore[attr-defined]
    now = values(tileset.tile(site.axis.tile(f"{UID}.1.0")))  # type: ignore[arg-type]
    assert set(now[np.isfinite(now)].tolist()) == {0.5}
    assert tileset.tile(site.axis.tile(f"{UID}.0.0")) != before


@pytest.mark.parametrize("content", [b"nothing", b"", b"\x26\xfc\x8f\x88" + bytes(200)])
def test_what_is_no_bigwig_is_said_by_its_tiles(opened: Opened, static: Path, web: Web, content: bytes) -> None:
    web.files["/lab/observed.bw"].content = content
    error = read(asks(opened(), static).get(f"/api/v1/tiles/?d={UID}.0.0"))[f"{UID}.0.0"]["error"]
    assert "observed.bw" in error
    assert "bigWig" in error or "empty" in error


def test_a_damaged_remote_block_is_an_error_of_its_tiles(opened: Opened, static: Path, web: Web) -> None:
    content = bytearray(web.files["/lab/observed.bw"].content)
    data_at = int.from_bytes(content[16:24], "little")
    content[data_at + 12 : data_at + 60] = bytes(48)
    web.files["/lab/observed.bw"].content = bytes(content)
    site = opened()
    last = f"{UID}.{site.axis.max_zoom}.0"
    assert "damaged" in read(asks(site, static).get(f"/api/v1/tiles/?d={last}"))[last]["error"]


def hub_of(where: str) -> str:
    return f'\n[[hub]]\n{where}\ngenome = "small"\n'


def test_the_tracks_of_a_hub_are_panels(
    opened: Opened, static: Path, web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    web.add("/lab/hub.txt", HUB.encode())
    site = opened(hub=hub_of(f'url = "{web.base}/lab/hub.txt?key=s3cret"'))
    names = [panel.track.name for panel in site.panels]
    assert names == ["CpG methylation IMR90", "LMNB1 LAD liver", "Our lab: CpG methylation IMR90", "C"]
    panel = site.panels[2]
    assert (panel.scale, panel.track.color, panel.predicted) == ((-1, 2), "#d95f02", ())
    uid = "observed-our_lab_cpg_methylation_imr90"
    answer = read(asks(site, static).get(f"/api/v1/tiles/?d={uid}.0.0&d={UID}.0.0&d=observed-c.0.0"))
    assert answer[f"{uid}.0.0"] == answer[f"{UID}.0.0"]
    assert "answers 404" in answer["observed-c.0.0"]["error"]
    assert page(site)["panels"][2]["description"] == "The same again"
    assert "left out b (bigBed)" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_local_hub_has_its_folder(opened: Opened, project: Path, tmp_path: Path, static: Path) -> None:
    hub = tmp_path / "hub"
    hub.mkdir()
    shutil.copy(project.with_name("observed.bw"), hub / "a.bw")
    (hub / "hub.txt").write_text(HUB)
    site = opened(hub=hub_of(f'path = "{hub}/hub.txt"\ntracks = ["a"]'))
    assert [panel.track.name for panel in site.panels][2:] == ["Our lab: CpG methylation IMR90"]
    shutil.copy(hub / "a.bw", hub.parent / "outside.bw")
    (hub / "a.bw").unlink()
    (hub / "a.bw").symlink_to(hub.parent / "outside.bw")
    assert len(opened(hub=hub_of(f'path = "{hub}/hub.txt"\ntracks = ["a"]')).panels) == 2
    root = f'roots = ["{tmp_path}"]'
    assert len(opened(hub=hub_of(f'path = "{hub}/hub.txt"\ntracks = ["a"]'), head=root).panels) == 3
    (hub / "a.bw").unlink()
    (hub / "a.bw").write_bytes(b"nothing")
    site = opened(hub=hub_of(f'path = "{hub}/hub.txt"\ntracks = ["a"]'))
    uid = f"{site.tilesets['observed-our_lab_cpg_methylation_imr90'].uid}.0.0"
    assert "not a bigWig" in read(asks(site, static).get(f"/api/v1/tiles/?d={uid}"))[uid]["error"]
    for text, said in [
        ('path = "nowhere.txt"', "no hub file"),
        (f'path = "{hub}/hub.txt"\ntracks = ["z"]', "no track 'z'"),
    ]:
        with pytest.raises(UsageError, match=rf"tracks\.toml, hub\.0: .*{said}"):
            opened(hub=hub_of(text))


def test_a_hub_of_another_genome_is_told_from_the_projects(
    opened: Opened, tmp_path: Path, web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    web.add("/lab/hub.txt", HUB.replace("genome small", "genome hg38").encode())
    assert len(opened(hub=hub_of(f'url = "{web.base}/lab/hub.txt"')).panels) == 2
    assert "has no tracks of small; its genomes: hg38" in caplog.text
    web.files["/lab/hub.txt"].ways = ["404"]
    remote.remote_file.cache_clear()
    assert len(opened(hub=hub_of(f'url = "{web.base}/lab/hub.txt"')).panels) == 2
    assert "the hub is left out until the next start" in caplog.text


def test_a_file_of_another_genome_does_not_tell_where_it_lies(
    opened: Opened, static: Path, web: Web, tmp_path: Path
) -> None:
    write_bigwig(tmp_path / "other.bw", {"scaffold": 1000}, [Bins("scaffold", 0, np.ones(3, np.float32))])
    web.files["/lab/observed.bw"].content = (tmp_path / "other.bw").read_bytes()
    others = asks(opened(), static, Access(hosts=None, public=True))
    assert "observed.bw" not in read(others.get(f"/api/v1/tiles/?d={UID}.0.0"))[f"{UID}.0.0"]["error"]


def test_no_request_of_a_client_reaches_another_server(
    opened: Opened, static: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = opened()
    client = asks(site, static)
    asked: list[str] = []
    monkeypatch.setattr(remote, "fetch", lambda address, *_: asked.append(str(address)) or pytest.fail("asked"))
    address = f"{web.base}/lab/a.bw"
    body = {"fileurl": address, "filetype": "bigwig", "url": address, "hub": address, "region": address}
    rules = [rule for rule in client.application.url_map.iter_rules() if rule.endpoint != "static"]
    assert len(rules) > 20
    before = set(site.tilesets)
    for rule in rules:
        path = rule.rule
        for argument in rule.arguments:
            path = (
                path.replace(f"<{argument}>", "x")
                .replace(f"<path:{argument}>", address)
                .replace(f"<string:{argument}>", "x")
            )
        if "stream" in path or "events" in path:
            continue
        query = "&".join(
            f"{key}={address}" for key in ("d", "uid", "url", "id", "q", "ac", "fileurl", "region", "format")
        )
        for method in (rule.methods or set()) - {"OPTIONS"}:
            client.open(f"{path}?{query}", method=method, json=body if method in ("POST", "PUT") else None).close()
    assert client.post("/api/v1/register_url/", json=body).status_code in (404, 405)
    assert asked == []
    assert set(site.tilesets) == before


def test_training_reads_it_too(opened: Opened, project: Path, tmp_path: Path) -> None:
    from tracks.observed import read_observed

    opened()
    entry = load_project(tmp_path / "own" / "tracks.toml").track[0]
    known = np.full(bin_count(500_050), 128)
    here = read_observed(project.with_name("observed.bw"), "chr20", 500_050, known)
    np.testing.assert_array_equal(read_observed(entry.observed, "chr20", 500_050, known), here)
    assert entry.observed is not None
    assert entry.observed.name == "observed.bw"
    with pytest.raises(UsageError, match="of another genome"):
        read_observed(entry.observed, "chr20", 600_000, known)


def test_an_export_takes_no_more_than_may_be_fetched(opened: Opened, static: Path, web: Web, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    with BigWigWriter(tmp_path / "bases.bw", {"chr20": 500_050}) as writer:
        starts = np.arange(500_050)
        writer.add("chr20", starts, starts + 1, rng.random(len(starts)).astype(np.float32))
    web.files["/lab/observed.bw"].content = (tmp_path / "bases.bw").read_bytes()
    client = asks(opened(head="max_bytes = 1048576"), static)
    whole = client.get(f"/api/export?uid={UID}&format=bedgraph")
    assert whole.status_code >= 500
    assert "are the most for one answer" in read(whole)["error"]
    part = client.get(f"/api/export?uid={UID}&format=bedgraph&start=0&end=100000", buffered=True)
    assert part.status_code == 200


@pytest.mark.parametrize("way", ["503", "hang"])
def test_a_server_that_is_down_is_a_clean_error_of_exports_and_differences(
    opened: Opened, static: Path, web: Web, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    site = opened("/lab/observed.bw?key=s3cret", timeout=0.6)
    files = VirtualFiles(site)
    path = files.path("bins", UID.removeprefix("observed-"), difference=True)
    first = files.find(path.split("/")[2], path.split("/")[3].removesuffix(".bw")).layout(8192).sections_at
    asked: list[object] = []
    monkeypatch.setattr(site.predictions, "reading", lambda *_: Reading(asked))
    remote.remote_file(site.tilesets[UID].source)._blocks.clear()  # type: ignore[attr-defined]
    web.files["/lab/observed.bw"].ways = [way]
    others = asks(site, static, Access(hosts=None, public=True))
    started = time.monotonic()
    answer = others.get(f"/api/export?uid={UID}&format=bigwig")
    assert (answer.status_code, web.base in answer.text, "s3cret" in answer.text) == (502, False, False)
    assert read(answer)["error"].startswith("this file is on another server, and cannot be read now: its server ")
    there = others.get(path, headers={"Range": f"bytes={first}-{first + 100}"})
    assert (there.status_code, there.headers["Retry-After"]) == (503, "5")
    assert str(web.port) not in there.text
    assert time.monotonic() - started < 1.3
    assert asked == [], "no window is computed for it"


class Reading:
    """What a virtual file asks predictions for."""

    def __init__(self, asked: list[object]) -> None:
        self.asked = asked

    def known(self, window: object) -> None:
        self.asked.append(window)

    def expect(self, windows: object) -> None:
        """Windows that will be asked for."""

    def close(self) -> None:
        """Nobody asks any more."""


def test_all_windows_of_a_difference_share_one_time_out(opened: Opened, web: Web) -> None:
    site = opened(timeout=1.0)
    made = DifferenceFile(
        VirtualFiles(site)._predicted(_Place("bins", False), UID.removeprefix("observed-")),
        site.tilesets[UID],  # type: ignore[arg-type]
        lambda slot: lay_out(site.axis.chrom_sizes, Totals(0, 0.0, 0.0, 0.0, 0.0), slot),
    )
    made.summaries._known = lambda chrom: np.ones(window_count(500_050), bool)
    made.summaries._known_window = lambda chrom, index: np.zeros(896, np.float32)
    kept = remote.remote_file(site.tilesets[UID].source)  # type: ignore[attr-defined]

    def slow(address: object, first: int, count: int, call: object) -> object:
        time.sleep(0.4)
        kept._blocks.clear()
        return fetch(address, first, count, call)  # type: ignore[arg-type]

    kept._blocks.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remote, "fetch", slow)
        patch.setattr(remote.RemoteFile, "_keep", lambda self, flight, part: flight.data.update({0: part.data}))
        started = time.monotonic()
        with pytest.raises(RemoteError, match="did not answer within 1 seconds"):
            made.records("chr20", 3, range(8))
        assert time.monotonic() - started < 1.5
    assert made.records("chr20", 3, range(8))[0].sum() > 0, "and who asks again has it"


def test_names_without_chr_are_exported_and_subtracted_too(
    opened: Opened, site: Site, static: Path, web: Web, tmp_path: Path
) -> None:
    values = [Bins("20", 0, np.full(bin_count(500_050), 0.5, np.float32))]
    write_bigwig(tmp_path / "plain.bw", {"20": 500_050}, values)
    web.files["/lab/observed.bw"].content = (tmp_path / "plain.bw").read_bytes()
    away = opened()
    answer = asks(away, static).get(f"/api/export?uid={UID}&format=bigwig", buffered=True)
    (tmp_path / "x.bw").write_bytes(answer.data)
    assert (read_bins(tmp_path / "x.bw", Region("chr20", 0, 90_000)) == 0.5).all()
    files = VirtualFiles(away)
    path = files.path("bins", UID.removeprefix("observed-"), difference=True)
    found = files.find(path.split("/")[2], path.split("/")[3].removesuffix(".bw"))
    assert isinstance(found, DifferenceFile)
    assert (found.observed("chr20", 1) == 0.5).all()


def test_a_file_that_is_gone_does_not_tell_where_it_lay(opened: Opened, static: Path, tmp_path: Path) -> None:
    site = opened(more=OTHER)
    (tmp_path / "own" / "here.bw").unlink()
    others = asks(site, static, Access(hosts=None, public=True))
    answer = others.get("/api/export?uid=observed-reads&format=bedgraph")
    assert (answer.status_code, str(tmp_path) in answer.text) == (500, False)


@pytest.mark.parametrize("place", ["//[", "//\u2100/a.bw", "http://[", "https://data.lab.example\uff0f.b/"])
def test_no_place_that_a_hub_names_stops_the_start(
    opened: Opened, web: Web, caplog: pytest.LogCaptureFixture, tmp_path: Path, place: str
) -> None:
    text = HUB.replace("bigDataUrl nowhere/c.bw", f"bigDataUrl {place}")
    web.add("/lab/hub.txt", text.encode())
    assert len(opened(hub=hub_of(f'url = "{web.base}/lab/hub.txt"')).panels) == 3
    assert "left out b (bigBed), c (" in caplog.text
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "hub.txt").write_text(text)
    shutil.copy(tmp_path / "own" / "observed.bw", tmp_path / "hub" / "a.bw")
    assert len(opened(hub=hub_of(f'path = "{tmp_path}/hub/hub.txt"')).panels) == 3


def test_a_slow_hub_of_many_texts_holds_the_start_for_one_time_out(opened: Opened, web: Web) -> None:
    web.add("/lab/hub.txt", b"hub lab\nuseOneFile on\n\ngenome small\n\ninclude 0.txt\n")
    for at in range(15):
        web.add(f"/lab/{at}.txt", f"track a{at}\n\ninclude {at + 1}.txt\n".encode()).seconds = 0.5
    started = time.monotonic()
    assert len(opened(hub=hub_of(f'url = "{web.base}/lab/hub.txt"'), timeout=1.2).panels) == 2
    assert time.monotonic() - started < 4.5
