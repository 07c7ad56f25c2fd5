"""Hubs of others: what is taken of them, and that nothing in them opens what is not permitted."""

from __future__ import annotations

from pathlib import Path

import pytest
import trackhub
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tracks.remote.web import Web
from tracks.errors import TracksError, UsageError
from tracks.remote import stanzas
from tracks.remote.address import Address, Rules, parse_address
from tracks.remote.errors import RemoteError
from tracks.remote.hub import MOST_TRACKS, Hub, read_hub
from tracks.remote.permitted import Permitted

HUB = "hub lab\nshortLabel Our lab\nlongLabel Tracks of our lab\nemail a@lab.example\n"
ONE_FILE = f"{HUB}useOneFile on\n\ngenome hg38\n\n"
PLAIN = "track {0}\ntype bigWig 0 10\nbigDataUrl {0}.bw\nshortLabel The {0}\nlongLabel What {0} is\n\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "hub"
    made.mkdir()
    for name in ("a", "b", "c"):
        (made / f"{name}.bw").write_bytes(b"x")
    (tmp_path / "secret.bw").write_bytes(b"x")
    return made


def read(folder: Path, text: str, *names: str, genome: str = "hg38", permitted: Permitted | None = None) -> Hub:
    (folder / "hub.txt").write_text(text)
    return read_hub(folder / "hub.txt", genome, permitted or Permitted.below((folder,), Rules()), names)


def test_a_hub_in_one_file(folder: Path) -> None:
    more = "color 217,95,2\nviewLimits -1.5:2e1\n"
    hub = read(folder, ONE_FILE + PLAIN.format("a").rstrip() + f"\n{more}\n# a remark\n" + PLAIN.format("b"))
    first, second = hub.tracks
    assert (hub.label, hub.left_out) == ("Our lab", "")
    assert (first.track.name, first.track.description, first.track.color) == ("The a", "What a is", "#d95f02")
    assert (first.source, first.limits) == (folder / "a.bw", (-1.5, 20.0))
    assert (second.source, second.limits, second.track.color) == (folder / "b.bw", None, "#47505b")
    assert (second.track.biosample, second.track.source) == ("Our lab", "hub.txt")


def test_a_hub_in_three_files(folder: Path) -> None:
    (folder / "hg38").mkdir()
    (folder / "hg38" / "a.bw").write_bytes(b"x")
    (folder / "genomes.txt").write_text("genome hg19\ntrackDb nowhere.txt\n\ngenome hg38\ntrackDb hg38/trackDb.txt\n")
    (folder / "hg38" / "trackDb.txt").write_text("include more/more.txt\ninclude ../rest.txt\n\n" + PLAIN.format("a"))
    (folder / "hg38" / "more").mkdir()
    (folder / "hg38" / "more" / "more.txt").write_text(PLAIN.format("x").replace("x.bw", "../../b.bw"))
    (folder / "rest.txt").write_text(PLAIN.format("c"))
    hub = read(folder, HUB + "genomesFile genomes.txt\n")
    assert [found.source for found in hub.tracks] == [folder / "b.bw", folder / "c.bw", folder / "hg38" / "a.bw"]
    with pytest.raises(UsageError, match=r"no tracks of mm10; its genomes: hg19, hg38.*genome = "):
        read(folder, HUB + "genomesFile genomes.txt\n", genome="mm10")
    with pytest.raises(UsageError, match=r"no file 'nowhere\.txt'"):
        read(folder, HUB + "genomesFile genomes.txt\n", genome="GRCh37")


FAMILY = (
    ONE_FILE
    + """
track all
superTrack on show
color 1,2,3

track signal
compositeTrack on
parent all
type bigWig
viewLimits 0:5

track high
view high
parent signal on
color 10,20,30

track a
parent high on
bigDataUrl a.bw
shortLabel A

track both
container multiWig
type bigWig
color 9,9,9

track b
parent both
bigDataUrl b.bw
color 255,0,16
shortLabel B

track regions
parent all
type bigBed 9
bigDataUrl regions.bb

track calls
type vcfTabix
bigDataUrl calls.vcf.gz
"""
)


def test_settings_come_from_what_a_track_belongs_to(folder: Path) -> None:
    hub = read(folder, FAMILY)
    assert [(found.track.name, found.track.color, found.limits) for found in hub.tracks] == [
        ("A", "#0a141e", (0, 5)),
        ("B", "#ff0010", None),
    ]
    assert hub.left_out == f"{folder / 'hub.txt'}: left out regions (bigBed), calls (vcfTabix)"


def test_tracks_are_chosen_by_their_names_labels_and_families(folder: Path) -> None:
    for names, found in [(["a"], ["A"]), (["b", "signal"], ["A", "B"]), (["both"], ["B"]), (["all"], ["A"])]:
        hub = read(folder, FAMILY, *names)
        assert [track.track.name for track in hub.tracks] == found, names
    assert "vcfTabix" not in read(folder, FAMILY, "a").left_out, "what was not asked for is not missed"
    with pytest.raises(UsageError, match=r"no track 'z'; it has all, signal"):
        read(folder, FAMILY, "a", "z")


def test_parents_that_go_round_end(folder: Path) -> None:
    text = ONE_FILE + PLAIN.format("a").rstrip() + "\nparent b\n\n" + PLAIN.format("b").rstrip() + "\nparent a\n"
    assert read(folder, text).tracks == ()


@pytest.mark.parametrize(
    "setting",
    ["color red", "color 1,2,300", "color 1,2", "viewLimits 5:1", "viewLimits nan:3", "viewLimits 0:inf",
     "viewLimits 3", "viewLimits -1e300:1e300", "color"],
)  # fmt: skip
def test_settings_that_say_nothing_are_as_if_not_there(folder: Path, setting: str) -> None:
    [found] = read(folder, ONE_FILE + PLAIN.format("a").rstrip() + f"\n{setting}\n").tracks
    assert (found.track.color, found.limits) == ("#47505b", None)


@pytest.mark.parametrize(
    "place",
    ["../secret.bw", "/etc/passwd", "link.bw", "linked/secret.bw", "nowhere.bw", ".", "", "a.bw/../../secret.bw",
     "file:///etc/passwd", "file:/etc/passwd", "https://data.lab.example/a.bw", "//data.lab.example/a.bw",
     "ftp://data.lab.example/a.bw", "s3://bucket/a.bw", "~/a.bw", "$HOME/a.bw", "pipe", "x" * 5000, "a.bw\0",
     "\x1b[2J"],
)  # fmt: skip
def test_nothing_leads_outside(folder: Path, place: str) -> None:
    import os

    (folder / "link.bw").symlink_to(folder.parent / "secret.bw")
    (folder / "linked").symlink_to(folder.parent)
    os.mkfifo(folder / "pipe")
    text = ONE_FILE + PLAIN.format("b") + PLAIN.format("a").replace("a.bw", place)
    if "\0" in place:
        with pytest.raises(TracksError, match="zero bytes"):
            read(folder, text)
        return
    hub = read(folder, text)
    assert [found.track.name for found in hub.tracks] == ["The b"]
    assert hub.left_out.startswith(f"{folder / 'hub.txt'}: left out a (")
    assert hub.left_out.isprintable()
    assert len(hub.left_out) < 1200 + len(str(folder))


@pytest.mark.parametrize(
    "where",
    ["genomesFile ../genomes.txt\n", "genomesFile link.txt\n", "genomesFile /etc/passwd\n",
     "genomesFile https://data.lab.example/genomes.txt\n"],
)  # fmt: skip
def test_nor_does_any_text_of_a_hub(folder: Path, where: str) -> None:
    (folder.parent / "genomes.txt").write_text("genome hg38\ntrackDb trackDb.txt\n")
    (folder / "link.txt").symlink_to(folder.parent / "genomes.txt")
    with pytest.raises(UsageError, match="is not opened"):
        read(folder, HUB + where)
    with pytest.raises(UsageError, match="is not opened"):
        read(folder, ONE_FILE + where.replace("genomesFile", "include"))


def test_links_and_paths_into_a_root_are_followed(folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.bw").write_bytes(b"x")
    (folder / "link.bw").symlink_to(data / "a.bw")
    text = ONE_FILE + PLAIN.format("link") + PLAIN.format("x").replace("x.bw", str(data / "a.bw"))
    hub = read(folder, text, permitted=Permitted.below((folder, data), Rules()))
    assert [found.source for found in hub.tracks] == [data / "a.bw"] * 2


def test_without_folders_a_hub_names_no_path(folder: Path) -> None:
    hub = read(folder, ONE_FILE + PLAIN.format("a"), permitted=Permitted(None))
    assert hub.tracks == ()
    assert "no folder is named" in hub.left_out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no track hub"),
        ("track a\n", "is no track hub"),
        (HUB, "neither genomesFile nor useOneFile"),
        (ONE_FILE + "include hub.txt\n", "includes itself"),
        (ONE_FILE + "track " + "a" * (1 << 20), "more than 1,048,576 bytes"),
        (ONE_FILE + "track a\n\n" * 10_001, "more than 10,000 stanzas"),
        (ONE_FILE + "".join(f"include i{at}.txt\n" for at in range(21)), "more than 20 files"),
        (ONE_FILE + "".join(PLAIN.format("a").replace("track a", f"track t{at}") for at in range(MOST_TRACKS + 1)),
         "101 bigWig tracks of hg38, and 100 are the most"),
    ],
)  # fmt: skip
def test_what_is_no_hub_or_too_much_of_one(folder: Path, text: str, said: str) -> None:
    for at in range(21):
        (folder / f"i{at}.txt").write_text("")
    with pytest.raises(TracksError, match=said) as caught:
        read(folder, text)
    assert str(caught.value).isprintable()


def test_lines_that_go_on_are_one(folder: Path) -> None:
    text = ONE_FILE + "track a\ntype big\\\n  Wig\nlongLabel one \\\n   two\nbigDataUrl \\\n a.bw\nshortLabel\u202f\r\n"
    hub = read(folder, text.replace("big\\\n  Wig", "\\\n bigWig"))
    [found] = hub.tracks
    assert (found.source, found.track.description, found.track.name) == (folder / "a.bw", "one two", "a")


def test_a_text_of_many_short_lines_takes_no_time(folder: Path) -> None:
    assert read(folder, ONE_FILE + PLAIN.format("a") + "x\\\n" * 300_000).tracks


def test_a_hub_that_another_library_wrote(tmp_path: Path) -> None:
    hub, _, _, database = trackhub.default_hub("lab", genome="hg38", email="a@lab.example", short_label="Lab")
    composite = trackhub.CompositeTrack(name="meth", short_label="Methylation", tracktype="bigWig", color="1,2,3")
    overlay = trackhub.AggregateTrack(
        aggregate="transparentOverlay", name="both", short_label="Both", tracktype="bigWig", viewLimits="-2:2"
    )
    database.add_tracks([composite, overlay])
    (tmp_path / "signal.bw").write_bytes(b"x")
    for parent, name in ((composite, "gm"), (overlay, "seen"), (overlay, "made")):
        source = str(tmp_path / "signal.bw")
        add = parent.add_subtrack
        add(trackhub.Track(name=name, short_label=name.upper(), source=source, tracktype="bigWig"))
    staged = tmp_path / "staged"
    trackhub.upload.stage_hub(hub, staging=str(staged))
    permitted = Permitted.below((staged, tmp_path), Rules())
    found = read_hub(staged / "lab.hub.txt", "hg38", permitted).tracks
    assert {(one.track.name, one.track.color, one.limits, one.source) for one in found} == {
        ("GM", "#010203", None, tmp_path / "signal.bw"),
        ("SEEN", "#47505b", (-2.0, 2.0), tmp_path / "signal.bw"),
        ("MADE", "#47505b", (-2.0, 2.0), tmp_path / "signal.bw"),
    }
    assert read_hub(staged / "lab.hub.txt", "hg38", Permitted.below((staged,), Rules())).tracks == (), "links lead out"


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.sampled_from("abtrackinclude ./\\\n\r\t#:;,0\u2028%é"), max_size=200) | st.binary(max_size=200))
def test_any_text_is_a_hub_or_refused_in_words(folder: Path, text: str | bytes) -> None:
    content = text if isinstance(text, bytes) else text.encode()
    (folder / "hub.txt").write_bytes(ONE_FILE.encode() + content)
    try:
        hub = read_hub(folder / "hub.txt", "hg38", Permitted.below((folder,), Rules()))
    except TracksError as error:
        said = str(error)
    else:
        said = hub.left_out
        assert all(found.source.is_relative_to(folder) for found in hub.tracks)
    assert said.isprintable()


def on_web(web: Web, *names: str, prefixes: tuple[str, ...] = ("/lab/",), path: str = "/lab/hub.txt?key=s3cret") -> Hub:
    rules = web.rules(*prefixes)
    return read_hub(rules.check(parse_address(web.base + path)), "hg38", Permitted.below((), rules), names)


def test_a_hub_on_another_server(web: Web) -> None:
    text = ONE_FILE + "".join(
        PLAIN.format("t").replace("t.bw", place).replace("track t", f"track t{at}")
        for at, place in enumerate(["a.bw", "x/../b.bw", f"{web.base}/lab/c.bw", "/lab/d.bw?sig=s3cret",
                                    "/secret.bw", "../secret.bw", "https://data.lab.example/a.bw", "file:///etc"])
    )  # fmt: skip
    web.add("/lab/hub.txt", text.encode())
    hub = on_web(web)
    assert all(isinstance(found.source, Address) for found in hub.tracks)
    assert [str(found.source) for found in hub.tracks] == [f"{web.base}/lab/{name}.bw" for name in "abcd"]
    assert [name for name in ("t4", "t5", "t6", "t7") if f"{name} (" in hub.left_out] == ["t4", "t5", "t6", "t7"]
    assert "s3cret" not in hub.left_out
    assert "s3cret" not in hub.tracks[0].track.source
    assert on_web(web, "t1").tracks[0].source == hub.tracks[1].source


def test_a_hub_may_come_whole_and_in_three_files(web: Web) -> None:
    web.add("/lab/hub.txt", (HUB + "genomesFile genomes.txt\n").encode(), "whole")
    web.add("/lab/genomes.txt", b"genome hg38\ntrackDb hg38/db.txt\n", "whole, no length")
    web.add("/lab/hg38/db.txt", PLAIN.format("a").encode())
    assert [str(found.source) for found in on_web(web).tracks] == [f"{web.base}/lab/hg38/a.bw"]


@pytest.mark.parametrize(
    ("way", "said"), [("404", "answers 404"), ("redirect /other/hub.txt", "does not permit"), ("reset", "ended")]
)
def test_a_hub_that_does_not_come_is_said(web: Web, way: str, said: str) -> None:
    web.add("/lab/hub.txt", ONE_FILE.encode(), way)
    web.add("/other/hub.txt", ONE_FILE.encode())
    with pytest.raises(RemoteError, match=said) as caught:
        on_web(web)
    assert "s3cret" not in str(caught.value)


def test_a_large_text_is_not_read(web: Web) -> None:
    served = web.add("/lab/hub.txt", bytes(stanzas.TEXT_BYTES + 1))
    with pytest.raises(TracksError, match="more than 1,048,576 bytes"):
        on_web(web)
    assert len(served.asked) == 1
