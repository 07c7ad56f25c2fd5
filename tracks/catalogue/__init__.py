"""Tracks that were published with weights: name, assay, unit, accession, and how a label is made of a value."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from tracks.track import Track
from tracks.transform import transform_from_json

if TYPE_CHECKING:
    from tracks.windows import Scope


def label_recipe(name: str) -> str:
    """Return the text of a label recipe of the catalogue: ``cs282a``, the 18 published LMNB1 and CpG tracks."""
    return files(__name__).joinpath(f"labels.{name}.toml").read_text()


@cache
def published_tracks(scope: Scope) -> tuple[Track, ...]:
    """Return the 18 LMNB1 and CpG tracks of the published heads, in the order of their columns, with the label
    transform of a bin (the linear probe) or of a window (the other three heads). facts/cs282a.md sections 3.2 and 3.3.
    """
    described = tomllib.loads(label_recipe("cs282a"))["track"]
    form = {"bins": "transform", "window": "window_transform"}[scope]
    fields = ("name", "assay", "biosample", "unit", "color", "description", "source", "accession")
    return tuple(
        Track(
            **{field: entry[field] for field in fields if field in entry},
            transform=transform_from_json(entry.get(form, entry["transform"])),
        )
        for entry in described
    )
