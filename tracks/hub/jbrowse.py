"""A JBrowse 2 configuration of a hub: its genome and its tracks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tracks.hub.names import one_line

if TYPE_CHECKING:
    from tracks.hub.model import Hub, HubIntervals, HubTrack, Signal

_HEIGHT = 100


def jbrowse_config(hub: Hub, sizes_url: str) -> str:
    """Return the configuration as JSON. The assembly are the chromosomes' lengths at ``sizes_url``, so that nothing
    from elsewhere is needed; its tracks can be copied into a configuration that has the same assembly with sequence.
    """
    config = {
        "assemblies": [
            {
                "name": hub.genome,
                "sequence": {
                    "type": "ReferenceSequenceTrack",
                    "trackId": f"{hub.genome}_chromosomes",
                    "adapter": {"type": "ChromSizesAdapter", "chromSizesLocation": _at(sizes_url)},
                },
            }
        ],
        "tracks": jbrowse_tracks(hub),
        "defaultSession": {"name": one_line(hub.label)},
    }
    return json.dumps(config, indent=1) + "\n"


def jbrowse_tracks(hub: Hub) -> list[dict[str, Any]]:
    """Return the configurations of a hub's tracks: observed and predicted on one axis, other heads by themselves."""
    made = []
    for track in hub.tracks:
        several = len(track.first) > 1
        made.append(_overlay(hub, track) if several else _single(hub, track, track.first[0], track.name))
        made += [_single(hub, track, signal, signal.name) for signal in track.others]
        if track.difference is not None:
            made.append(_single(hub, track, track.difference, track.difference.name))
    return made + [_intervals(hub, part) for part in hub.intervals]


def _overlay(hub: Hub, track: HubTrack) -> dict[str, Any]:
    display = {
        "type": "MultiLinearWiggleDisplay",
        "displayId": f"{track.name}_display",
        "defaultRendering": "multiline",
        "height": _HEIGHT,
        **_axis(track.limits),
    }
    subadapters = [
        {
            "type": "BigWigAdapter",
            "source": signal.kind if not signal.head else f"{signal.kind} ({signal.head})",
            "color": signal.color,
            "bigWigLocation": _at(signal.jbrowse_url or signal.url),
        }
        for signal in track.first
    ]
    adapter = {"type": "MultiWiggleAdapter", "subadapters": subadapters}
    return _track(hub, track.name, track.track.name, "MultiQuantitativeTrack", adapter, display, _about(track))


def _single(hub: Hub, track: HubTrack, signal: Signal, name: str) -> dict[str, Any]:
    colors: dict[str, Any] = {"color": signal.color}
    if signal.negative:
        colors = {"posColor": signal.color, "negColor": signal.negative, "bicolorPivot": "numeric"}
    display = {
        "type": "LinearWiggleDisplay",
        "displayId": f"{name}_display",
        "defaultRendering": "xyplot",
        "height": _HEIGHT,
        "renderers": {"XYPlotRenderer": {"type": "XYPlotRenderer", **colors}},
        **_axis(track.limits if signal.kind != "difference" else signal.limits),
    }
    adapter = {"type": "BigWigAdapter", "bigWigLocation": _at(signal.jbrowse_url or signal.url)}
    return _track(hub, name, signal.label, "QuantitativeTrack", adapter, display, _about(track))


def _intervals(hub: Hub, part: HubIntervals) -> dict[str, Any]:
    # Without a display of its own: the one that colours features has another name in each version of JBrowse 2.
    adapter = {"type": "BigBedAdapter", "bigBedLocation": _at(part.url)}
    return _track(hub, part.name, part.label, "FeatureTrack", adapter, None, {})


def _track(
    hub: Hub,
    name: str,
    label: str,
    kind: str,
    adapter: dict[str, Any],
    display: dict[str, Any] | None,
    about: dict[str, str],
) -> dict[str, Any]:
    return {
        "type": kind,
        "trackId": name,
        "name": one_line(label),
        "assemblyNames": [hub.genome],
        "category": [one_line(hub.label)],
        **({"metadata": about} if about else {}),
        "adapter": adapter,
        **({"displays": [display]} if display else {}),
    }


def _about(track: HubTrack) -> dict[str, str]:
    own = track.track
    facts = {"assay": own.assay, "biosample": own.biosample, "unit": own.unit, "source": own.source}
    return {name: one_line(text) for name, text in facts.items() if text}


def _axis(limits: tuple[float, float] | None) -> dict[str, Any]:
    return {} if limits is None else {"minScore": limits[0], "maxScore": limits[1]}


def _at(url: str) -> dict[str, str]:
    return {"uri": url, "locationType": "UriLocation"}
