"""How each kind of a track's signals is named, labelled and coloured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracks.hub.model import Signal
from tracks.hub.names import predicted_color, track_name

if TYPE_CHECKING:
    from tracks.track import Track

MEASURED = "#808080"
RISEN, FALLEN = "#b2182b", "#2166ac"
"""Colours of a difference: more than was observed, and less."""

Ends = tuple[float, float]


def observed_signal(
    name: str, track: Track, url: str, limits: Ends | None, values: Ends, overlaid: bool = True
) -> Signal:
    """Return the observed signal of the track that is named ``name`` in its hub: in grey, as our page has it, where
    predictions are ``overlaid``."""
    label = f"{track.name}, observed{_unit(track)}"
    return Signal(f"{name}_observed", "observed", label, url, MEASURED if overlaid else track.color, limits, values)


def predicted_signal(
    name: str, track: Track, url: str, limits: Ends | None, values: Ends, head: str, number: int, jbrowse_url: str = ""
) -> Signal:
    """Return a predicted signal: the track's first, by its ``number`` 0, in the track's colour, further ones in other
    shades. ``head`` is named where several heads predict."""
    by = f" by {head}" if head else ""
    label = f"{track.name}, predicted{by}{_unit(track)}"
    color = predicted_color(track.color, number - 1) if number else track.color
    own = track_name(f"{name}_predicted_{head}" if head else f"{name}_predicted")
    return Signal(own, "predicted", label, url, color, limits, values, head=head, jbrowse_url=jbrowse_url)


def difference_signal(
    name: str, track: Track, url: str, limits: Ends | None, values: Ends, jbrowse_url: str = ""
) -> Signal:
    """Return the signal of what was predicted minus what was observed."""
    label = f"{track.name}, predicted minus observed"
    own = f"{name}_difference"
    return Signal(own, "difference", label, url, RISEN, limits, values, negative=FALLEN, jbrowse_url=jbrowse_url)


def _unit(track: Track) -> str:
    return f" ({track.unit})" if track.unit else ""
