"""The model of a hub, its text, and what links and other browsers make of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tracks.hub.made import COUNTS, TRACK, small_hub
from tests.tracks.hub.rules import check_hub, parsed
from tracks.errors import UsageError
from tracks.hub import hub_text
from tracks.hub.igv import session_json, session_xml
from tracks.hub.jbrowse import jbrowse_config
from tracks.hub.links import custom_tracks, igv_desktop_link, jbrowse_web_link, ucsc_link
from tracks.hub.looks import observed_signal
from tracks.hub.model import HubTrack, placed
from tracks.hub.stanzas import number_text
from tracks.track import Track


def test_the_text_of_a_hub() -> None:
    tracks = check_hub(hub_text(small_hub()))
    assert list(tracks) == [
        "cpg",
        "cpg_observed",
        "cpg_predicted_bins",
        "cpg_predicted_conv",
        "cpg_difference",
        "reads_predicted",
        "bed_islands",
    ]
    assert tracks["cpg"] == {
        "track": "cpg",
        "container": "multiWig",
        "type": "bigWig 0 1",
        "shortLabel": "CpG methyla IMR90",
        "longLabel": "CpG methylation IMR90, observed and predicted (methylated fraction)",
        "aggregate": "transparentOverlay",
        "showSubtrackColorOnUi": "on",
        "visibility": "full",
        "priority": "1",
        "autoScale": "off",
        "viewLimits": "0:1",
        "windowingFunction": "mean",
        "maxHeightPixels": "100:48:16",
        "alwaysZero": "on",
        "html": "cpg.html",
    }
    assert [tracks[name].get("parent") for name in tracks] == [None, "cpg", "cpg", "cpg off", *[None] * 3]
    assert tracks["cpg_observed"]["color"] == "128,128,128"
    assert tracks["cpg_predicted_bins"]["color"] == "217,95,2"
    assert len({stanza["color"] for stanza in tracks.values() if "color" in stanza}) == 6
    assert (tracks["cpg_difference"]["viewLimits"], tracks["cpg_difference"]["yLineMark"]) == ("-1:1", "0")
    assert (tracks["reads_predicted"]["autoScale"], tracks["reads_predicted"].get("viewLimits")) == ("on", None)
    assert tracks["reads_predicted"]["type"] == "bigWig 0 12345678"
    assert tracks["bed_islands"]["type"] == "bigBed 4 ."


_TEXTS = st.text(max_size=120)


@given(name=_TEXTS.map(lambda text: f"a{text}"), unit=_TEXTS, label=_TEXTS)
def test_no_text_breaks_a_hub(name: str, unit: str, label: str) -> None:
    track = replace(TRACK, name=name, unit=unit)
    hub = small_hub(track, f"x{label}")
    text = hub_text(hub)
    assert len(parsed(text)) == len(parsed(hub_text(small_hub()))) == 9
    assert len(ET.fromstring(session_xml(hub)).findall(".//Resource")) == 5
    assert len(json.loads(jbrowse_config(hub, "sizes"))["tracks"]) == 5
    assert len(custom_tracks(hub).splitlines()) == 5
    for line in custom_tracks(hub).splitlines():
        assert line.count('"') == 4


@pytest.mark.parametrize("limits", [(1.0, 0.0), (0.0, 0.0), (0.0, float("nan")), (float("-inf"), 1.0), (0.0, 1e31)])
def test_limits_out_of_range(limits: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="axis are"):
        observed_signal("x", TRACK, "o.bw", limits, (0.0, 1.0))


def test_what_cannot_be_a_hub() -> None:
    hub = small_hub()
    with pytest.raises(UsageError, match="would both be named 'cpg'"):
        replace(hub, tracks=(*hub.tracks, hub.tracks[0]))
    for wrong in ({"name": "two words"}, {"email": "nobody"}, {"label": " \n"}, {"genome": "hg38 x"}, {"genome": ""}):
        with pytest.raises(UsageError):
            replace(hub, **wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="has no signal to show"):
        HubTrack("x", TRACK, ())


def test_whole_addresses() -> None:
    hub = placed(small_hub(), "https://lab.example/hubs")
    urls = [signal.url for signal in hub.signals()]
    assert urls[:2] == ["https://lab.example/hubs/o.bw", "https://lab.example/hubs/p.bw"]
    assert hub.tracks[0].signals[1].jbrowse_url == "https://lab.example/hubs/p.bw?slot=131072"
    assert hub.tracks[0].signals[0].jbrowse_url == ""
    assert hub.tracks[0].page == "https://lab.example/hubs/cpg.html"
    assert placed(hub, "https://elsewhere.example") == hub


def test_links() -> None:
    hub = small_hub()
    assert ucsc_link(hub, "https://lab.example/hub.txt?token=a b&c") == (
        "https://genome.ucsc.edu/cgi-bin/hgTracks?db=hg38&position=chr20:1001-2000"
        "&hubUrl=https://lab.example/hub.txt%3Ftoken%3Da%20b%26c"
    )
    assert "locus=chr20%3A1001-2000" in igv_desktop_link(hub, "https://lab.example/s.xml")
    assert jbrowse_web_link(hub, "https://lab.example/c.json").endswith("&tracks=cpg%2Creads%2Cbed_islands")
    lines = custom_tracks(placed(hub, "https://lab.example")).splitlines()
    assert lines[0] == (
        'track type=bigWig name="CpG meth IMR9 obs" '
        'description="CpG methylation IMR90, observed (methylated fraction)" '
        "visibility=full color=128,128,128 autoScale=off viewLimits=0:1 alwaysZero=on maxHeightPixels=100:48:16 "
        "windowingFunction=mean bigDataUrl=https://lab.example/o.bw"
    )
    assert "altColor=33,102,172" in lines[2]
    assert "autoScale=on always" in lines[3]
    assert lines[4].startswith("track type=bigBed ")


def test_an_igv_session() -> None:
    session = ET.fromstring(session_xml(small_hub()))
    assert (session.get("genome"), session.get("locus")) == ("hg38", "chr20:1001-2000")
    merged, difference, reads, islands = session.findall("Panel/Track")
    assert (merged.get("clazz"), merged.get("name")) == ("org.broad.igv.track.MergedTracks", TRACK.name)
    resources = {found.get("path") for found in session.findall(".//Resource")}
    assert [track.get("id") for track in merged.findall("Track")] == ["o.bw", "p.bw"]
    assert resources == {"o.bw", "p.bw", "d.bw", "r.bw", "i.bb"}
    ends = [(found.get("minimum"), found.get("maximum")) for found in session.findall(".//DataRange")]
    assert ends == [("0", "1")] * 3 + [("-1", "1")]
    assert difference.get("altColor") == "33,102,172"
    assert (reads.get("autoScale"), reads.find("DataRange")) == ("true", None)
    assert islands.get("color") == "42,127,98"
    # An overlay with a windowFunction is one that IGV desktop cannot restore.
    assert merged.get("windowFunction") is None
    assert {track.get("windowFunction") for track in merged.findall("Track")} == {"mean"}


def test_an_igv_js_session() -> None:
    session = json.loads(session_json(small_hub(), "https://lab.example/chrom.sizes"))
    assert session["reference"]["format"] == "chromsizes"
    merged, difference, reads, islands = session["tracks"]
    assert (merged["type"], merged["min"], merged["max"], merged["autoscale"]) == ("merged", 0, 1, False)
    assert [signal["url"] for signal in merged["tracks"]] == ["o.bw", "p.bw"]
    assert (difference["min"], difference["color"]) == (-1, "rgb(178,24,43)")
    assert (reads["autoscale"], islands["format"]) == (True, "bigbed")


def test_a_jbrowse_configuration() -> None:
    config: dict[str, Any] = json.loads(jbrowse_config(small_hub(), "chrom.sizes"))
    overlay, other, difference, reads, islands = config["tracks"]
    assert [track["type"] for track in config["tracks"]] == [
        "MultiQuantitativeTrack",
        *["QuantitativeTrack"] * 3,
        "FeatureTrack",
    ]
    uris = [adapter["bigWigLocation"]["uri"] for adapter in overlay["adapter"]["subadapters"]]
    assert uris == ["o.bw", "p.bw?slot=131072"]
    assert (other["trackId"], other["adapter"]["bigWigLocation"]["uri"]) == ("cpg_predicted_conv", "q.bw")
    assert [adapter["source"] for adapter in overlay["adapter"]["subadapters"]] == [
        "observed",
        "predicted (bins)",
    ]
    assert (overlay["displays"][0]["minScore"], overlay["displays"][0]["maxScore"]) == (0, 1)
    assert difference["displays"][0]["renderers"]["XYPlotRenderer"]["negColor"] == "#2166ac"
    assert "minScore" not in reads["displays"][0]
    assert islands["adapter"]["bigBedLocation"]["uri"] == "i.bb"
    ids = [track["trackId"] for track in config["tracks"]]
    assert len(set(ids)) == 5
    assert {name for track in config["tracks"] for name in track["assemblyNames"]} == {config["assemblies"][0]["name"]}


def test_an_overlay_of_predictions_alone_names_no_observation() -> None:
    hub = small_hub()
    alone = replace(hub.tracks[0], signals=hub.tracks[0].signals[1:], difference=None)
    stanza = check_hub(hub_text(replace(hub, tracks=(alone,))))["cpg"]
    assert stanza["longLabel"] == "CpG methylation IMR90, predicted (methylated fraction)"


def test_an_overlay_of_unknown_range_scales_itself() -> None:
    hub = small_hub()
    signals = tuple(replace(signal, limits=None) for signal in hub.tracks[0].signals)
    stanza = check_hub(hub_text(replace(hub, tracks=(replace(hub.tracks[0], signals=signals),))))["cpg"]
    assert (stanza["autoScale"], stanza.get("viewLimits")) == ("on", None)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0, "0"), (-0.0, "0"), (1.0, "1"), (0.25, "0.25"), (12_345_678.0, "12345678"), (1e-7, "1e-07")],
)
def test_numbers(number: float, text: str) -> None:
    assert number_text(number) == text


def test_a_track_needs_no_description() -> None:
    bare = Track("x", "", "", "", "#1b6ca8")
    signal = observed_signal("x", bare, "o.bw", (0.0, 1.0), (0.0, 1.0))
    assert signal.label == "x, observed"
    assert COUNTS.unit == "reads"
