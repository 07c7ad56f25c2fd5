"""Tracks that were published with weights: name, assay, unit, accession, and how a label is made of a value."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from tracks.track import Track, transform_from_json

if TYPE_CHECKING:
    from tracks.windows import Scope


@cache
def published_tracks(scope: Scope) -> tuple[Track, ...]:
    """Return the 18 LMNB1 and CpG tracks of the published heads, in the order of their columns, with the label
    transform of a bin (the linear probe) or of a window (the other three heads). facts/cs282a.md sections 3.2 and 3.3.
    """
    described = tomllib.loads(files(__name__).joinpath("cs282a.toml").read_text())["track"]
    return tuple(
        Track(
            **{key: value for key, value in fields.items() if key not in ("bins", "window")},
            transform=transform_from_json(fields[scope]),
        )
        for fields in described
    )
