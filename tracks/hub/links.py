"""Addresses and lines by which a browser opens a hub or its tracks."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from tracks.hub.names import long_label, rgb, short_label
from tracks.hub.stanzas import number_text

if TYPE_CHECKING:
    from tracks.hub.model import Hub, HubTrack, Signal
    from tracks.regions import Region

UCSC = "https://genome.ucsc.edu/cgi-bin/hgTracks"
IGV_WEB = "https://igv.org/app/"
IGV_DESKTOP = "http://localhost:60151/load"
JBROWSE_WEB = "https://jbrowse.org/code/jb2/latest/"


def locus(region: Region) -> str:
    """Return a region as browsers' addresses have it: ``chr20:1001-2000``, counted from 1 and without commas."""
    return f"{region.chrom}:{region.start + 1}-{region.end}"


def ucsc_link(hub: Hub, url: str) -> str:
    """Return the address that opens a hub in UCSC's browser; ``url`` is that of its hub.txt."""
    position = {"position": locus(hub.region)} if hub.region else {}
    return f"{UCSC}?{urlencode({'db': hub.genome, **position, 'hubUrl': url}, safe=':/', quote_via=quote)}"


def igv_desktop_link(hub: Hub, session: str) -> str:
    """Return the address by which a running IGV desktop loads a session file."""
    place = {"locus": locus(hub.region)} if hub.region else {}
    return f"{IGV_DESKTOP}?{urlencode({'file': session, 'genome': hub.genome, 'merge': 'false', **place})}"


def igv_web_link(session: str) -> str:
    """Return the address that opens a session file in the IGV web app."""
    return f"{IGV_WEB}?{urlencode({'sessionURL': session})}"


def jbrowse_web_link(hub: Hub, config: str) -> str:
    """Return the address that opens a configuration in the JBrowse 2 web app, with all its tracks."""
    place = {"loc": locus(hub.region)} if hub.region else {}
    names = ",".join([track.name for track in hub.tracks] + [part.name for part in hub.intervals])
    return f"{JBROWSE_WEB}?{urlencode({'config': config, 'assembly': hub.genome, **place, 'tracks': names})}"


def custom_tracks(hub: Hub) -> str:
    """Return lines to paste into UCSC's box of custom tracks, one a signal, with the addresses that they have; of
    several heads only the first one's."""
    lines = []
    for track in hub.tracks:
        shown = [*track.first, *([track.difference] if track.difference is not None else [])]
        lines += [_custom(track, signal) for signal in shown]
    for part in hub.intervals:
        lines.append(
            f'track type=bigBed name="{_quoted(short_label(part.label))}" description="{_quoted(part.label)}" '
            f"visibility=dense color={rgb(part.color)} bigDataUrl={part.url}"
        )
    return "".join(f"{line}\n" for line in lines)


def _custom(track: HubTrack, signal: Signal) -> str:
    limits = signal.limits if signal.kind == "difference" else track.limits
    ending = signal.head or {"observed": "obs", "predicted": "pred", "difference": "diff"}[signal.kind]
    axis = "autoScale=on"
    if limits is not None:
        axis = f"autoScale=off viewLimits={number_text(limits[0])}:{number_text(limits[1])}"
    negative = f" altColor={rgb(signal.negative)}" if signal.negative else ""
    return (
        f'track type=bigWig name="{_quoted(short_label(track.track.name, ending))}" '
        f'description="{_quoted(signal.label)}" visibility=full color={rgb(signal.color)}{negative} {axis} '
        f"alwaysZero=on maxHeightPixels=100:48:16 windowingFunction=mean bigDataUrl={signal.url}"
    )


def _quoted(text: str) -> str:
    return long_label(text).replace('"', "'")
