"""A track: one signal, with the unit, colour and label transform that belong to it (DESIGN.md, principle 4)."""

from __future__ import annotations

import dataclasses
import difflib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tracks.errors import TracksError, UsageError, first_few
from tracks.transform import Affine, Transform, transform_from_json

if TYPE_CHECKING:
    from collections.abc import Sequence

OBSERVED_COLOR = "#4d4d4d"
"""Of what was observed, in the page and in figures; a track's own colour is that of its predictions."""


@dataclass(frozen=True)
class Track:
    """One signal. ``context`` says that its predictions also see the megabase composition around a bin."""

    name: str
    assay: str
    biosample: str
    unit: str
    color: str
    description: str = ""
    source: str = ""
    context: bool = False
    transform: Transform = field(default_factory=Affine)
    accession: str = ""
    """Where the measurement is deposited, such as GSM5669183."""

    def __post_init__(self) -> None:
        if not self.slug:
            raise TracksError(f"a track's name needs a letter or a digit, found '{self.name}'")
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", self.color):
            raise TracksError(f"track '{self.name}': the colour '{self.color}' should look like #1b6ca8")

    @property
    def slug(self) -> str:
        """The name as files and addresses write it: ``CpG methylation IMR90`` is ``cpg_methylation_imr90``."""
        return slug_of(self.name)

    @property
    def is_fraction(self) -> bool:
        """Whether its values lie between 0 and 1, by its unit."""
        return "fraction" in self.unit

    def to_json(self) -> dict[str, Any]:
        """Return the track as JSON-ready values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Track:
        """Make the track again from ``to_json``."""
        return cls(**{**fields, "transform": transform_from_json(fields["transform"])})


def values_of(labels: np.ndarray, tracks: Sequence[Track]) -> np.ndarray:
    """Turn labels ``[..., tracks]`` into values in each track's unit, float32 of the same shape."""
    values = [track.transform.inverse(labels[..., at]) for at, track in enumerate(tracks)]
    return np.stack(values, axis=-1).astype(np.float32)


def slug_of(name: str) -> str:
    """Return a name as files and addresses write it: small letters and digits, joined by underscores."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def select_tracks(tracks: Sequence[Track], names: Sequence[str]) -> tuple[Track, ...]:
    """Return the tracks of those names (or slugs; upper and lower case alike), each once, in the order of ``tracks``.

    Raises UsageError that suggests the nearest name when there is no such track.
    """
    by_slug = {track.slug: track for track in tracks}
    wanted = set()
    for name in names:
        slug = slug_of(name)
        if slug not in by_slug:
            near = difflib.get_close_matches(slug, by_slug, n=1, cutoff=0.4)
            hint = f"did you mean '{by_slug[near[0]].name}'?" if near else ""
            known = first_few([f"'{track.name}'" for track in tracks], 8)
            raise UsageError(f"there is no track '{name}'; {hint or f'there are {known}'}")
        wanted.add(slug)
    return tuple(track for track in tracks if track.slug in wanted)
