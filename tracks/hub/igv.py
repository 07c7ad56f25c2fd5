"""IGV sessions of a hub: XML, which IGV desktop and the IGV web app read, and JSON for pages with igv.js.

A session opens all that it names, and so of several heads it names the first alone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from tracks.hub.links import locus
from tracks.hub.names import one_line, rgb
from tracks.hub.stanzas import number_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracks.hub.model import Hub, HubIntervals, HubTrack, Signal

_HEIGHT, _LOW_HEIGHT = 70, 25
_OPACITY = 0.7
_SIGNAL, _MERGED, _FEATURES = (
    f"org.broad.igv.track.{name}" for name in ("DataSourceTrack", "MergedTracks", "FeatureTrack")
)


def session_xml(hub: Hub) -> str:
    """Return the XML session: the tracks of a hub in its genome, by the id that IGV has for it."""
    session = ET.Element("Session", genome=hub.genome, version="8")
    if hub.region is not None:
        session.set("locus", locus(hub.region))
    resources = ET.SubElement(session, "Resources")
    for signal in _shown(hub):
        ET.SubElement(resources, "Resource", path=signal.url, type="bigwig", format="bigwig")
    for part in hub.intervals:
        ET.SubElement(resources, "Resource", path=part.url, type="bigbed", format="bigbed")
    panel = ET.SubElement(session, "Panel", name="DataPanel")
    for track in hub.tracks:
        _xml_track(panel, track)
    for part in hub.intervals:
        _described(panel, _FEATURES, part.url, part.label, part.color, "").set("height", str(_LOW_HEIGHT))
    ET.indent(session)
    head = '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n'
    return head + ET.tostring(session, encoding="unicode") + "\n"


def _shown(hub: Hub) -> Iterator[Signal]:
    for track in hub.tracks:
        yield from track.first
        if track.difference is not None:
            yield track.difference


def _xml_track(panel: ET.Element, track: HubTrack) -> None:
    within, limits = panel, track.limits
    if len(track.first) > 1:
        color = track.first[0].color
        within = _described(panel, _MERGED, track.name, track.track.name, color, "")
        _scaled(within, limits)
    for signal in track.first:
        _scaled(_signal(within, signal), limits)
    if track.difference is not None:
        _scaled(_signal(panel, track.difference), track.difference.limits)


def _signal(within: ET.Element, signal: Signal) -> ET.Element:
    element = _described(within, _SIGNAL, signal.url, signal.label, signal.color, signal.negative)
    # Not of an overlay: IGV desktop passes it on to the overlay's tracks, before it has any, and shows an error.
    element.set("windowFunction", "mean")
    return element


def _described(within: ET.Element, kind: str, place: str, label: str, color: str, negative: str) -> ET.Element:
    # igv.js makes a colour of altColor wherever there is a color, and "null" is none.
    colors = {"color": rgb(color), "altColor": rgb(negative or color)}
    names = {"clazz": kind, "id": place, "name": one_line(label), "visible": "true"}
    return ET.SubElement(within, "Track", {**names, **colors})


def _scaled(element: ET.Element, limits: tuple[float, float] | None) -> None:
    element.attrib.update(height=str(_HEIGHT), renderer="BAR_CHART")
    element.set("autoScale", "true" if limits is None else "false")
    if limits is not None:
        low, high = (number_text(end) for end in limits)
        ends = {"baseline": "0", "drawBaseline": "true", "flipAxis": "false", "minimum": low, "maximum": high}
        ET.SubElement(element, "DataRange", {**ends, "type": "LINEAR"})


def session_json(hub: Hub, sizes_url: str) -> str:
    """Return the JSON session for igv.js. Its reference are the chromosomes' lengths at ``sizes_url`` alone, so that it
    opens where no other server can be reached; it shows neither letters nor genes."""
    session: dict[str, Any] = {
        "reference": {"id": hub.genome, "name": hub.genome, "fastaURL": sizes_url, "format": "chromsizes"},
        **({"locus": locus(hub.region)} if hub.region else {}),
        "tracks": [config for track in hub.tracks for config in _json_tracks(track)]
        + [_json_intervals(part) for part in hub.intervals],
    }
    return json.dumps(session, indent=1) + "\n"


def _json_tracks(track: HubTrack) -> list[dict[str, Any]]:
    signals = [_json_signal(signal, track.limits) for signal in track.first]
    made = signals
    if len(signals) > 1:
        axis = _json_axis(track.limits)
        made = [
            {
                "type": "merged",
                "name": one_line(track.track.name),
                "height": _HEIGHT,
                "alpha": _OPACITY,
                **axis,
                "tracks": signals,
            }
        ]
    return made if track.difference is None else [*made, _json_signal(track.difference, track.difference.limits)]


def _json_signal(signal: Signal, limits: tuple[float, float] | None) -> dict[str, Any]:
    return {
        "type": "wig",
        "format": "bigwig",
        "name": one_line(signal.label),
        "url": signal.url,
        "color": f"rgb({rgb(signal.color)})",
        "altColor": f"rgb({rgb(signal.negative or signal.color)})",
        "height": _HEIGHT,
        **_json_axis(limits),
    }


def _json_axis(limits: tuple[float, float] | None) -> dict[str, Any]:
    return {"autoscale": True} if limits is None else {"autoscale": False, "min": limits[0], "max": limits[1]}


def _json_intervals(part: HubIntervals) -> dict[str, Any]:
    look = {"color": f"rgb({rgb(part.color)})", "height": _LOW_HEIGHT, "displayMode": "COLLAPSED"}
    return {"type": "annotation", "format": "bigbed", "name": one_line(part.label), "url": part.url, **look}
