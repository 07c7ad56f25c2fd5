"""The text of track hubs: stanzas of settings, with a limit on everything, because others wrote it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tracks.errors import TracksError, UsageError
from tracks.remote.allowance import answer_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracks.remote.permitted import Permitted
    from tracks.remote.source import Source

TEXT_BYTES = 1 << 20
"""Bytes that one text of a hub has at most."""
STANZAS = 10_000
"""Stanzas of a hub, at most."""
FILES = 20
"""Texts that a hub consists of at most, each of which may be included by another."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_LINE_END = re.compile("\r\n|\n|\r")

Stanza = dict[str, str]
"""Settings of a stanza by name, the one that it begins with first."""


class HubTexts:
    """The texts of one hub, each read within the limits of all of them."""

    def __init__(self, permitted: Permitted) -> None:
        self.permitted = permitted
        self._files = 0
        self._stanzas = 0

    def stanzas(self, source: Source) -> list[tuple[Stanza, Source]]:
        """Return the stanzas of a text and of those that it includes, each with the text that it stands in.

        Raises TracksError when a text cannot be read, or is no hub's, UsageError when one that it includes may not be.
        """
        return list(self._of(source, ()))

    def _of(self, source: Source, around: tuple[Source, ...]) -> Iterator[tuple[Stanza, Source]]:
        self._files += 1
        if self._files > FILES:
            raise TracksError(f"{source}: its hub has more than {FILES} files")
        if source in around:
            raise TracksError(f"{source} includes itself")
        stanza: Stanza = {}
        for line in _lines(read_text(source), source):
            words = line.split(None, 1)
            if stanza and (not words or words[0] == "include"):
                yield self._counted(stanza, source), source
                stanza = {}
            if not words or words[0].startswith("#"):
                continue
            if words[0] == "include":
                yield from self._of(self.permitted.source(" ".join(words[1:]).strip(), source), (*around, source))
                continue
            value = _CONTROL.sub(" ", words[1]).strip() if len(words) > 1 else ""
            stanza[_CONTROL.sub(" ", words[0])] = value
        if stanza:
            yield self._counted(stanza, source), source

    def _counted(self, stanza: Stanza, source: Source) -> Stanza:
        self._stanzas += 1
        if self._stanzas > STANZAS:
            raise TracksError(f"{source}: its hub has more than {STANZAS:,} stanzas")
        return stanza


def read_text(source: Source) -> bytes:
    """Return a text of at most 1 MiB. Raises UsageError when there is none, TracksError when it cannot be read."""
    if isinstance(source, Path):
        try:
            with source.open("rb") as file:
                content = file.read(TEXT_BYTES + 1)
        except FileNotFoundError as error:
            raise UsageError(f"there is no hub file {source}") from error
        except OSError as error:
            raise TracksError(f"cannot read {source}: {error.strerror}") from error
        size = len(content)
    else:
        from tracks.remote.file import remote_file

        with answer_of(source):
            opened = remote_file(source).open()
            size = opened.size
            content = opened.read(0, size) if size <= TEXT_BYTES else b""
    if size > TEXT_BYTES:
        raise TracksError(f"{source} is no hub's text: it has more than {TEXT_BYTES:,} bytes")
    return content


def _lines(content: bytes, source: Source) -> list[str]:
    """Return the lines of a text; one that ends in a backslash goes on in the next."""
    if b"\0" in content:
        raise TracksError(f"{source} is no hub's text: it has zero bytes")
    lines: list[str] = []
    parts: list[str] = []
    for line in _LINE_END.split(content.decode("utf-8-sig", "replace")):
        text = line.strip()
        going_on = text.endswith("\\") and (bool(parts) or not text.startswith("#"))
        parts.append(text[:-1].rstrip() if going_on else text)
        if not going_on:
            lines.append(" ".join(parts))
            parts = []
    return [*lines, " ".join(parts)]
