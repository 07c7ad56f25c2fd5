"""What a hub shows, as values: signals, tracks, intervals, and the hub that holds them. No file is read here."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal
from urllib.parse import urljoin

from tracks.errors import UsageError
from tracks.hub.names import check_color, check_email, check_name, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracks.regions import Region
    from tracks.track import Track

Kind = Literal["observed", "predicted", "difference"]

_LARGEST = 1e30


@dataclass(frozen=True)
class Signal:
    """One bigWig as browsers draw it. ``url`` may be relative to the hub's own address.

    ``limits`` are the ends of its axis, None where the browser is to find them; ``values`` the least and the greatest
    value of its data. ``head`` names the model's head where there are several. ``jbrowse_url`` is another address of
    the same values where JBrowse needs one.
    """

    name: str
    kind: Kind
    label: str
    url: str
    color: str
    limits: tuple[float, float] | None
    values: tuple[float, float]
    negative: str = ""
    """Colour of values below zero, where it is another one."""
    head: str = ""
    jbrowse_url: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, "a signal of the hub")
        check_color(self.color, self.label)
        if self.negative:
            check_color(self.negative, self.label)
        for ends, what in ((self.limits, "the limits of its axis"), (self.values, "the range of its values")):
            if ends is not None:
                _check_ends(ends, f"{self.label}: {what}")


@dataclass(frozen=True)
class HubTrack:
    """One track: its signals, drawn over each other, and their difference. ``page`` is the address of what is said
    about it."""

    name: str
    track: Track
    signals: tuple[Signal, ...]
    difference: Signal | None = None
    page: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, f"track '{self.track.name}'")
        if not self.signals:
            raise UsageError(f"track '{self.track.name}' has no signal to show")

    @property
    def overlay(self) -> bool:
        """Whether several signals share one axis."""
        return len(self.signals) > 1

    @property
    def first(self) -> tuple[Signal, ...]:
        """The signals that are drawn without being asked for: the observed one, and the first head's prediction."""
        predicted = [signal for signal in self.signals if signal.kind == "predicted"]
        return tuple(signal for signal in self.signals if signal not in predicted[1:])

    @property
    def others(self) -> tuple[Signal, ...]:
        """The other heads' predictions."""
        return tuple(signal for signal in self.signals if signal not in self.first)

    @property
    def limits(self) -> tuple[float, float] | None:
        """The ends of the axis that all signals share; None where one of them has none."""
        known = [signal.limits for signal in self.signals if signal.limits is not None]
        if len(known) < len(self.signals):
            return None
        return min(low for low, _ in known), max(high for _, high in known)

    def all_signals(self) -> Iterator[Signal]:
        """Go through its signals, the difference last."""
        yield from self.signals
        if self.difference is not None:
            yield self.difference


@dataclass(frozen=True)
class HubIntervals:
    """Intervals in a bigBed file, of ``columns`` BED columns. ``label`` is what a person reads."""

    name: str
    label: str
    url: str
    color: str
    columns: int = 3
    page: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, f"intervals '{self.label}'")
        check_color(self.color, self.label)


@dataclass(frozen=True)
class Hub:
    """A hub of one genome. Names of its tracks are unique; ``region`` is where a browser opens."""

    name: str
    label: str
    email: str
    genome: str
    tracks: tuple[HubTrack, ...]
    intervals: tuple[HubIntervals, ...] = ()
    region: Region | None = None
    page: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, "--name")
        check_email(self.email)
        if not one_line(self.label):
            raise UsageError("--label: a hub needs a label that can be read")
        if not self.genome or not self.genome.replace("_", "").replace(".", "").replace("-", "").isalnum():
            raise UsageError(f"--genome: '{self.genome}' is no name of an assembly, such as hg38")
        names = [name for track in self.tracks for name in _names(track)] + [part.name for part in self.intervals]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UsageError(f"two tracks of the hub would both be named '{twice}'")

    def signals(self) -> Iterator[Signal]:
        """Go through the signals of all tracks."""
        for track in self.tracks:
            yield from track.all_signals()


def placed(hub: Hub, base: str) -> Hub:
    """Return a hub whose addresses are whole, those that were relative being below the folder ``base``."""

    def whole(url: str) -> str:
        return urljoin(f"{base}/", url) if url else url

    def moved(signal: Signal) -> Signal:
        return replace(signal, url=whole(signal.url), jbrowse_url=whole(signal.jbrowse_url))

    tracks = tuple(
        replace(
            track,
            signals=tuple(moved(signal) for signal in track.signals),
            difference=moved(track.difference) if track.difference is not None else None,
            page=whole(track.page),
        )
        for track in hub.tracks
    )
    intervals = tuple(replace(part, url=whole(part.url), page=whole(part.page)) for part in hub.intervals)
    return replace(hub, tracks=tracks, intervals=intervals, page=whole(hub.page))


def _names(track: HubTrack) -> list[str]:
    own = [track.name] if track.overlay else []
    return own + [signal.name for signal in track.all_signals()]


def _check_ends(ends: tuple[float, float], what: str) -> None:
    low, high = ends
    axis = what.endswith("axis")
    if not (math.isfinite(low) and math.isfinite(high)) or low > high or (axis and max(-low, high) > _LARGEST):
        raise UsageError(f"{what} are {low:g} to {high:g}; they need two finite numbers, the lower one first")
    if low == high and axis:
        raise UsageError(f"{what} are both {low:g}; the upper one must be greater")
