"""A hub as the text of its ``hub.txt``: one file, one genome (``useOneFile on``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracks.hub.names import long_label, one_line, rgb, short_label

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracks.hub.model import Hub, HubIntervals, HubTrack, Signal

Stanza = dict[str, str]
"""A setting a line, in order."""

_HEIGHT = "100:48:16"
_SHORT_KINDS = {"observed": "obs", "predicted": "pred", "difference": "diff"}


def hub_text(hub: Hub) -> str:
    """Return the text of ``hub.txt``; paragraphs are the hub, its genome, and its tracks, parents before children."""
    parts = [_hub(hub), {"genome": hub.genome}, *stanzas(hub)]
    return "\n\n".join("\n".join(f"{name} {value}" for name, value in part.items()) for part in parts) + "\n"


def stanzas(hub: Hub) -> Iterator[Stanza]:
    """Go through the stanzas of a hub's tracks."""
    for number, track in enumerate(hub.tracks, 1):
        yield from _track(track, number)
    for number, intervals in enumerate(hub.intervals, len(hub.tracks) + 1):
        yield _intervals(intervals, number)


def _hub(hub: Hub) -> Stanza:
    label = one_line(hub.label)
    page = {"descriptionUrl": hub.page} if hub.page else {}
    return {
        "hub": hub.name,
        "shortLabel": short_label(label),
        "longLabel": long_label(label),
        "useOneFile": "on",
        "email": hub.email,
        **page,
    }


def _track(track: HubTrack, number: int) -> Iterator[Stanza]:
    if track.overlay:
        yield {
            "track": track.name,
            "container": "multiWig",
            "type": _type(track.limits or (min(s.values[0] for s in track.signals), _most(track))),
            "shortLabel": short_label(track.track.name),
            "longLabel": long_label(f"{track.track.name}, {_kinds(track)} ({track.track.unit or 'no unit'})"),
            "aggregate": "transparentOverlay",
            "showSubtrackColorOnUi": "on",
            "visibility": "full",
            "priority": str(number),
            **_axis(track.limits),
            **_page(track.page),
        }
    for signal in track.signals:
        yield _signal(track, signal, track.name if track.overlay else None, f"{number}", track.limits)
    if track.difference is not None:
        yield _signal(track, track.difference, None, f"{number}.5", track.difference.limits)


def _signal(
    track: HubTrack, signal: Signal, parent: str | None, priority: str, limits: tuple[float, float] | None
) -> Stanza:
    stanza = {
        "track": signal.name,
        "type": _type(signal.values),
        "bigDataUrl": signal.url,
        "shortLabel": short_label(track.track.name, signal.head or _SHORT_KINDS[signal.kind]),
        "longLabel": long_label(signal.label),
        "color": rgb(signal.color),
        **({"altColor": rgb(signal.negative)} if signal.negative else {}),
    }
    if parent is not None:
        # The container draws its children, so their axis and place are its own.
        return {**stanza, "parent": parent if signal in track.first else f"{parent} off"}
    zero = {"yLineMark": "0", "yLineOnOff": "on"} if signal.kind == "difference" else {}
    return {**stanza, "visibility": "full", "priority": priority, **_axis(limits), **zero, **_page(track.page)}


def _kinds(track: HubTrack) -> str:
    return " and ".join(dict.fromkeys(signal.kind for signal in track.signals))


def _axis(limits: tuple[float, float] | None) -> Stanza:
    drawn = {"windowingFunction": "mean", "maxHeightPixels": _HEIGHT, "alwaysZero": "on"}
    if limits is None:
        return {"autoScale": "on", **drawn}
    return {"autoScale": "off", "viewLimits": f"{number_text(limits[0])}:{number_text(limits[1])}", **drawn}


def _intervals(intervals: HubIntervals, number: int) -> Stanza:
    return {
        "track": intervals.name,
        "type": f"bigBed {intervals.columns} .",
        "bigDataUrl": intervals.url,
        "shortLabel": short_label(intervals.label),
        "longLabel": long_label(intervals.label),
        "color": rgb(intervals.color),
        "visibility": "dense",
        "priority": str(number),
        **_page(intervals.page),
    }


def _page(page: str) -> Stanza:
    return {"html": page} if page else {}


def _type(values: tuple[float, float]) -> str:
    return f"bigWig {number_text(values[0])} {number_text(values[1])}"


def _most(track: HubTrack) -> float:
    return max(signal.values[1] for signal in track.signals)


def number_text(number: float) -> str:
    """Return a number as settings write it: no exponent where it can be left out, and no minus zero."""
    text = f"{number + 0.0:.6g}"
    return f"{number:.0f}" if "e+" in text and abs(number) < 1e15 else text
