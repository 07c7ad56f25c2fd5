"""What a hub folder is to hold, and what was written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tracks.hub.assemblies import Assembly
    from tracks.hub.made_by import ModelFacts
    from tracks.hub.model import Hub
    from tracks.hub.sources import Source
    from tracks.regions import Region


@dataclass(frozen=True)
class BedFile:
    """Intervals to show: what they are called, their BED file and colour."""

    label: str
    path: Path
    color: str


@dataclass(frozen=True)
class HubOrder:
    """What a hub is to hold. ``more`` makes further files in a folder that it is given, and says what they are.

    ``base_url`` is the address that the folder will have on the web, empty where nobody knows. ``link`` gives files a
    second name instead of copying them, ``skip_unknown`` leaves chromosomes out that the assembly lacks.
    """

    name: str
    label: str
    email: str
    assembly: Assembly
    sources: tuple[Source, ...]
    beds: tuple[BedFile, ...] = ()
    model: ModelFacts | None = None
    region: Region | None = None
    base_url: str = ""
    link: bool = False
    skip_unknown: bool = False
    overwrite: bool = False
    more: Callable[[Path], Sequence[Source]] | None = None


@dataclass(frozen=True)
class WrittenHub:
    """A hub that was written: itself with addresses relative to its folder, its files by name, their bytes, and notes
    for who asked for it."""

    hub: Hub
    files: tuple[str, ...]
    size: int
    notes: tuple[str, ...]
