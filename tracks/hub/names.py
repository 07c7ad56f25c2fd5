"""Names, labels, colours and addresses as browsers take them: made to fit, or refused in one line."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tracks.errors import UsageError
from tracks.track import slug_of

if TYPE_CHECKING:
    from collections.abc import Iterable

SHORT, LONG = 17, 76
"""Most letters of UCSC's labels; it shows no more of them (of a long one 80, or 76 in narrow windows)."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_NAME_LETTERS = 60
_TRACK_LETTERS = 45
"""Letters of a track's own name: its signals' have an ending more."""
_ENDINGS = ("observed", "predicted", "difference")
_FEWEST = 3
"""Letters that a word keeps when a label is shortened."""
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_WHITE = 0.55
_LUMINANCE = (0.2126, 0.7152, 0.0722)


def check_name(name: str, what: str) -> str:
    """Return the name of a hub or track. Raises UsageError for one that UCSC would refuse."""
    if _NAME.fullmatch(name) is None or len(name) > _NAME_LETTERS:
        near = track_name(name)
        raise UsageError(
            f"{what}: UCSC takes no name '{name}': it needs a letter first, then letters, digits and underscores, "
            f"{_NAME_LETTERS} at most, such as {near}"
        )
    return name


def track_name(text: str, letters: int = _NAME_LETTERS) -> str:
    """Return a name that UCSC takes, made from any text; the same text gives the same name."""
    slug = slug_of(text) or "track"
    slug = slug if slug[0].isalpha() else f"t_{slug}"
    if len(slug) <= letters:
        return slug
    # Cut names may be alike, so that a part of a digest keeps them apart.
    return f"{slug[: letters - 9]}_{hashlib.sha256(slug.encode()).hexdigest()[:8]}"


def unique(texts: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """Return a name for each track of a hub, made from its text: none is among those ``taken``, or another's, or that
    of another's signal (``<name>_observed`` and so on); to make it so it gets a number."""
    seen = set(taken)
    made = []
    for text in texts:
        name = own = track_name(text, _TRACK_LETTERS)
        number = 1
        while not seen.isdisjoint(_with_signals(own)):
            number += 1
            own = f"{name[: _TRACK_LETTERS - 1 - len(str(number))]}_{number}"
        seen.update(_with_signals(own))
        made.append(own)
    return made


def _with_signals(name: str) -> tuple[str, ...]:
    return (name, *(f"{name}_{ending}" for ending in _ENDINGS))


def one_line(text: str) -> str:
    """Return text as one line of a hub: no control characters, and no backslash at its end, which would join lines."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split()).rstrip("\\").rstrip()


def short_label(text: str, ending: str = "") -> str:
    """Return a text in 17 letters, its longest words shortened first; ``ending`` is kept whole after it."""
    words = one_line(text).split()
    room = SHORT - (len(ending) + 1 if ending else 0)
    while len(" ".join(words)) > room:
        longest = max(range(len(words)), key=lambda at: len(words[at]))
        if len(words[longest]) > _FEWEST:
            words[longest] = words[longest][:-1].rstrip("-_.,:;")
        elif len(words) > 1:
            words.pop()
        else:
            break
    return " ".join([*words, ending] if ending else words)[:SHORT]


def long_label(text: str) -> str:
    """Return a text in 76 letters; where it is longer, dots say that more follows."""
    line = one_line(text)
    return line if len(line) <= LONG else f"{line[: LONG - 4].rstrip()} ..."


def check_email(email: str) -> str:
    """Return an address for mail. Raises UsageError for what is none."""
    if _EMAIL.fullmatch(email) is None or len(email) > 254:
        raise UsageError(f"--email: '{one_line(email)}' is no e-mail address; write it like name@lab.example")
    return email


def check_base_url(url: str) -> str:
    """Return the address of a folder on the web, without a slash at its end. Raises UsageError for what is none."""
    try:
        parts = urlsplit(url)
        host = re.search(r"[a-z0-9]", parts.hostname or "")
        named = parts.scheme in ("http", "https") and host is not None and (parts.port or 1) > 0
    except ValueError:
        named = False
    if not named or not url.isascii() or re.search(r"[\s\"'<>\\]", url):
        raise UsageError(f"'{one_line(url)}' is no web address; write it like https://lab.example/hubs/mine")
    if parts.query or parts.fragment:
        raise UsageError(f"'{url}' has a ? or #, and the hub's files could not be added to it; name a folder alone")
    return url.rstrip("/")


def why_hidden(url: str) -> str | None:
    """Say in words why UCSC's servers cannot read an address, which their own machines do; None when they may."""
    host = (urlsplit(url).hostname or "").lower()
    try:
        seen = ipaddress.ip_address(host).is_global
    except ValueError:
        seen = "." in host and host.rsplit(".", 1)[1] not in ("local", "localhost", "internal", "lan", "home")
    if seen:
        return None
    return f"UCSC reads files from its own machines, and {host or 'this address'} is not to be seen from there"


def check_color(color: str, what: str) -> str:
    """Return a colour. Raises UsageError that names ``what`` has it when it is not like ``#1b6ca8``."""
    if _COLOR.fullmatch(color) is None:
        raise UsageError(f"{what}: the colour '{one_line(color)}' should look like #1b6ca8")
    return color


def rgb(color: str) -> str:
    """Return a colour as UCSC and IGV write it: ``27,108,168``."""
    return ",".join(str(part) for part in _parts(color))


def predicted_color(color: str, number: int = 0) -> str:
    """Return the shade of a track's ``number``-th further prediction beside its own ``color``: lighter, or of a light
    colour darker, each further one more so."""
    parts = _parts(color)
    light = sum(weight * part for weight, part in zip(_LUMINANCE, parts, strict=True)) > 150
    toward = 0 if light else 255
    share = 1 - (1 - _WHITE) * 0.75**number
    mixed = [round(part + (toward - part) * share) for part in parts]
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _parts(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
