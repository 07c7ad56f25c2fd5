"""What the hubs that a project names bring to its page, and files of other servers opened before anybody asks."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from typing import TYPE_CHECKING

from tracks.errors import TracksError
from tracks.remote.address import Address
from tracks.remote.allowance import no_longer_than
from tracks.remote.errors import RemoteError
from tracks.remote.hub import read_hub
from tracks.track import slug_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from server.tilesets import ObservedTileset
    from tracks.project import Project
    from tracks.remote.hub import HubTrack

_OPENERS = 8
_START_SECONDS = 2.0
"""Seconds that the start waits at most for files of other servers: the page is better off with their ranges."""

_LOG = logging.getLogger("server")


def hub_tracks(project_file: Path, project: Project, assembly: str, taken: Iterable[str]) -> Iterator[HubTrack]:
    """Yield the tracks of a project's hubs, under names whose slugs differ from each other's and from those taken.

    A hub on another server that cannot be read, or is not as it should be, is said and left out. Raises UsageError or
    TracksError for one of this machine.
    """
    slugs = set(taken)
    for at, entry in enumerate(project.hub):
        try:
            # However many texts it has, all of them together are one answer: the start waits for it.
            with no_longer_than(project.files.timeout):
                hub = read_hub(entry.source, entry.genome or assembly, project.permitted(entry), entry.tracks)
        except TracksError as error:
            if isinstance(entry.source, Address) or isinstance(error, RemoteError):
                _LOG.warning("the hub is left out until the next start: %s", error)
                continue
            raise type(error)(f"{project_file}, hub.{at}: {error}") from error
        if hub.left_out:
            _LOG.warning("%s", hub.left_out)
        for found in hub.tracks:
            name = _free(found.track.name, hub.label, slugs)
            slugs.add(slug_of(name))
            yield dataclasses.replace(found, track=dataclasses.replace(found.track, name=name))


def _free(name: str, label: str, slugs: set[str]) -> str:
    """Return a name that no other track has: with the hub's before it, and then a number behind it."""
    made, number = name, 1
    while slug_of(made) in slugs:
        made = f"{label}: {name}" + (f" ({number})" if number > 1 else "")
        number += 1
    return made


def open_beforehand(tilesets: Iterable[ObservedTileset]) -> None:
    """Open observed files in the background, a few at a time, and wait for a short while for that; those that cannot be
    opened are tried again by the tiles that need them."""
    waiting = list(tilesets)
    threads = [threading.Thread(target=_open_each, args=(waiting,), daemon=True) for _ in waiting[:_OPENERS]]
    for thread in threads:
        thread.start()
    until = time.monotonic() + _START_SECONDS
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0))


def _open_each(waiting: list[ObservedTileset]) -> None:
    while waiting:
        try:
            tileset = waiting.pop(0)
        except IndexError:
            return
        try:
            tileset.signal()
        except RemoteError:
            continue  # what reads it has said so already
        except TracksError as error:
            _LOG.warning("%s: %s", tileset.name, error)
