"""UCSC track hubs of others: their bigWig tracks of one genome, with names, colours and limits.

What a hub's text says is other people's: a file that it names is opened only where the project permits, what is wrong
with one track leaves that track out, and nothing of it is more than text, numbers and a file's place.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tracks.errors import TracksError, UsageError, first_few
from tracks.remote.stanzas import HubTexts
from tracks.track import Track, slug_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from tracks.remote.permitted import Permitted
    from tracks.remote.source import Source
    from tracks.remote.stanzas import Stanza

MOST_TRACKS = 100
"""Tracks of one hub that are shown at most."""

_INHERITED = ("type", "color", "viewLimits")
_PARENTS = ("compositeTrack", "container", "superTrack", "view")
_DEEPEST = 8
_LABEL, _WORDS = 80, 300
_DEFAULT_COLOR = "#47505b"
_ALIASES = {"grch37": "hg19", "grch38": "hg38", "hs1": "hs1", "t2t-chm13v2.0": "hs1"}


@dataclass(frozen=True)
class HubTrack:
    """A bigWig track of a hub: where its file is, and the ends of its axis where the hub names them."""

    track: Track
    source: Source
    limits: tuple[float, float] | None


@dataclass(frozen=True)
class Hub:
    """What is shown of a hub, and what is not, in a line (empty where all is)."""

    label: str
    tracks: tuple[HubTrack, ...]
    left_out: str


@dataclass(frozen=True)
class _Entry:
    """A track's stanza, and the text that it stands in."""

    settings: Stanza
    source: Source

    @property
    def name(self) -> str:
        return self.settings["track"]


def read_hub(source: Source, genome: str, permitted: Permitted, names: Sequence[str] = ()) -> Hub:
    """Read a hub (``hub.txt``, in one file or with ``genomesFile`` and ``trackDb``) and return its bigWig tracks of a
    genome: those of these names (a track's, its label's, or that of what it belongs to), or all.

    Raises UsageError when it lacks the genome or a name, has more than 100 tracks to show, or may not be read;
    TracksError (RemoteError) when it cannot be, or is no hub.
    """
    texts = HubTexts(permitted)
    label, entries = _entries(texts, source, genome)
    by_name: dict[str, _Entry] = {}
    for entry in entries:
        by_name.setdefault(entry.name, entry)
    parents = {_parent(entry.settings) for entry in by_name.values()}
    wanted = _wanted(source, by_name, names)
    tracks: list[HubTrack] = []
    left_out: list[str] = []
    for name, entry in by_name.items():
        if name not in wanted or name in parents or _is_parent(entry.settings):
            continue
        made = _track(entry, by_name, label, source, permitted)
        if isinstance(made, HubTrack):
            tracks.append(made)
        else:
            left_out.append(f"{name[:_LABEL]} ({made})")
    if len(tracks) > MOST_TRACKS:
        raise UsageError(
            f"{source} has {len(tracks):,} bigWig tracks of {genome}, and {MOST_TRACKS} are the most that are shown; "
            "name those to show: tracks = [...]"
        )
    words = f"{source}: left out {first_few(left_out, 6)}" if left_out else ""
    return Hub(label, tuple(tracks), words)


def _entries(texts: HubTexts, source: Source, genome: str) -> tuple[str, list[_Entry]]:
    """Return a hub's label, and its tracks' stanzas for a genome."""
    stanzas = texts.stanzas(source)
    if not stanzas or "hub" not in stanzas[0][0]:
        raise TracksError(f"{source} is no track hub: its first stanza should begin with hub")
    head = stanzas[0][0]
    label = head.get("shortLabel") or head["hub"]
    if head.get("useOneFile", "").lower() == "on":
        found = [stanza["genome"] for stanza, _ in stanzas if "genome" in stanza]
        _check_genome(source, genome, found)
        entries, here = [], False
        for stanza, where in stanzas:
            here = _same_genome(stanza["genome"], genome) if "genome" in stanza else here
            if here and stanza.get("track"):
                entries.append(_Entry(stanza, where))
        return label, entries
    if not head.get("genomesFile"):
        raise TracksError(f"{source} is no whole track hub: it has neither genomesFile nor useOneFile on")
    genomes = texts.permitted.source(head["genomesFile"], source)
    listed = [(stanza, where) for stanza, where in texts.stanzas(genomes) if "genome" in stanza]
    _check_genome(source, genome, [stanza["genome"] for stanza, _ in listed])
    entries = []
    for stanza, where in listed:
        if _same_genome(stanza["genome"], genome):
            for database in stanza.get("trackDb", "").split():
                found_here = texts.stanzas(texts.permitted.source(database, where))
                entries += [_Entry(other, place) for other, place in found_here if other.get("track")]
    return label, entries


def _check_genome(source: Source, genome: str, found: Sequence[str]) -> None:
    if not any(_same_genome(name, genome) for name in found):
        names = first_few([name[:_LABEL] for name in found]) or "none"
        raise UsageError(
            f"{source} has no tracks of {genome}; its genomes: {names}. Where one of them is this project's, "
            'name it: genome = "..." of the [[hub]]'
        )


def _same_genome(one: str, other: str) -> bool:
    names = [_ALIASES.get(name.lower(), name.lower()) for name in (one, other)]
    return names[0] == names[1]


def _parent(settings: Mapping[str, str]) -> str:
    """Return the name of what a track belongs to, empty where there is none."""
    named = settings.get("parent") or settings.get("subTrack") or settings.get("superTrack") or ""
    first = named.split()[0] if named.split() else ""
    return "" if "parent" not in settings and "subTrack" not in settings and first in ("on", "off") else first


def _is_parent(settings: Mapping[str, str]) -> bool:
    """Say whether a track is only there for others to belong to."""
    if "bigDataUrl" in settings:
        return False
    return any(settings.get(key, "").lower() not in ("", "off") for key in _PARENTS[:3]) or "view" in settings


def _ancestors(entry: _Entry, by_name: Mapping[str, _Entry]) -> list[_Entry]:
    """Return what a track belongs to, the nearest first."""
    found: list[_Entry] = []
    name = _parent(entry.settings)
    while name in by_name and len(found) < _DEEPEST and by_name[name] not in (entry, *found):
        found.append(by_name[name])
        name = _parent(by_name[name].settings)
    return found


def _wanted(source: Source, by_name: Mapping[str, _Entry], names: Sequence[str]) -> Collection[str]:
    """Return which tracks have one of these names, or belong to what has. Raises UsageError for one that none has."""
    if not names:
        return by_name
    called: dict[str, set[str]] = {}
    for name, entry in by_name.items():
        for other in (entry, *_ancestors(entry, by_name)):
            for key in (other.name, other.settings.get("shortLabel", "")):
                if slug_of(key):
                    called.setdefault(slug_of(key), set()).add(name)
    wanted: set[str] = set()
    for name in names:
        if slug_of(name) not in called:
            known = first_few([other[:_LABEL] for other in by_name], 8)
            raise UsageError(f"{source} has no track '{name}'; it has {known}")
        wanted |= called[slug_of(name)]
    return wanted


def _track(
    entry: _Entry, by_name: Mapping[str, _Entry], label: str, hub: Source, permitted: Permitted
) -> HubTrack | str:
    """Return a track, or why it is left out."""
    settings = dict(entry.settings)
    for other in _ancestors(entry, by_name):
        for key in _INHERITED:
            if key in other.settings:
                settings.setdefault(key, other.settings[key])
    kind = (settings.get("type", "").split() or ["of no type"])[0]
    if kind != "bigWig":
        return kind[:20]
    if not settings.get("bigDataUrl"):
        return "no bigDataUrl"
    name = (settings.get("shortLabel") or entry.name)[:_LABEL]
    if not slug_of(name):
        name = entry.name[:_LABEL]
    if not slug_of(name):
        return "its name has no letter or digit"
    try:
        source = permitted.source(settings["bigDataUrl"], entry.source)
    except UsageError as error:
        return str(error)[:_WORDS]
    track = Track(
        name=name,
        assay="track hub",
        biosample=label[:_LABEL],
        unit="as in its hub",
        color=_color(settings.get("color", "")),
        description=settings.get("longLabel", "")[:_WORDS],
        source=hub.name if isinstance(hub, Path) else str(hub),
    )
    return HubTrack(track, source, _limits(settings.get("viewLimits", "")))


def _color(text: str) -> str:
    """Return a colour written ``r,g,b`` or ``#rrggbb`` as the latter; grey where it is neither."""
    if re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        return text.lower()
    parts = [part.strip() for part in text.split(",")]
    if len(parts) == 3 and all(re.fullmatch(r"[0-9]{1,3}", part) and int(part) < 256 for part in parts):
        return "#" + "".join(f"{int(part):02x}" for part in parts)
    return _DEFAULT_COLOR


def _limits(text: str) -> tuple[float, float] | None:
    """Return ``low:high``; None where it is not that, or not in order."""
    try:
        low, high = (float(part) for part in text.split(":"))
    except ValueError:
        return None
    # What a float32 holds: axes are drawn from such numbers.
    return (low, high) if low < high and math.isfinite(low) and math.isfinite(high) and high - low < 1e38 else None
