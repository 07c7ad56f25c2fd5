"""Addresses of files on the web, in one form, and which of them a project permits.

An address is taken apart once and written anew, and only what was written anew is asked for: what is compared with the
permitted prefixes is what a server sees.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from functools import cached_property
from urllib.parse import quote, unquote, unquote_to_bytes, urljoin

from tracks.errors import UsageError, first_few

TIMEOUT = 10.0
"""Seconds that an answer may take, by default."""
MAX_BYTES = 64 << 20
"""Bytes of one file that one answer may need, and that are kept, by default."""

_PORTS = {"http": 80, "https": 443}
_LONGEST = 4096
_ADDRESS = re.compile(r"(https?)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.IGNORECASE | re.ASCII)
_AUTHORITY = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NOT_WRITTEN = re.compile("[\x00-\x20\x7f-\xa0\\\\\ud800-\udfff]")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
# Quoted as it is: what may stand in a path, and escapes.
_SAFE = "!$&'()*+,;=:@%-._~"


@dataclass(frozen=True)
class Address:
    """An address as it is asked for: ``host`` in small letters, ``path`` without dot segments and with one way of
    escaping, ``query`` as given. As text it has no query, where secrets are.

    ``rules`` say which addresses its server may send us on to, and how much, for how long, is read from it.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str | None = None
    rules: Rules | None = None

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"

    def __repr__(self) -> str:
        return f"Address({self})"

    @property
    def authority(self) -> str:
        """The host, with the port where it is not the scheme's own."""
        return self.host if self.port == _PORTS[self.scheme] else f"{self.host}:{self.port}"

    @property
    def target(self) -> str:
        """Path and query, as a server is asked for them. Not for a person's eyes: queries hold secrets."""
        return self.path if self.query is None else f"{self.path}?{self.query}"

    @cached_property
    def segments(self) -> tuple[str, ...]:
        """The path between its slashes; the last one is empty where it ends in a slash."""
        return tuple(self.path.split("/")[1:])

    @property
    def name(self) -> str:
        """The last part of the path, as a file's name."""
        return unquote(self.segments[-1])

    def joined(self, reference: str) -> Address:
        """Return the address that a text means beside this one, under the same rules. Raises UsageError when it is
        none, or is not permitted."""
        _check_written(reference)
        try:
            text = urljoin(f"{self}" if self.query is None else f"{self}?{self.query}", reference)
        except ValueError as error:  # a host that is none, such as [
            raise UsageError(f"'{hidden(reference)}' has no host that can be asked") from error
        return rules_of(self).check(parse_address(text))


@dataclass(frozen=True)
class Rules:
    """Which addresses are opened: those below the ``prefixes``. One answer waits for ``timeout`` seconds and reads
    ``max_bytes`` of a file at most, and so many bytes of it are kept."""

    prefixes: tuple[Address, ...] = ()
    timeout: float = TIMEOUT
    max_bytes: int = MAX_BYTES

    def check(self, address: Address) -> Address:
        """Return an address under these rules. Raises UsageError when it is not below a prefix."""
        if not self.prefixes:
            raise UsageError(f"{address} is not opened: name what may be, as [files] urls = [...] of the project file")
        if not any(_covers(prefix, address) for prefix in self.prefixes):
            names = first_few([str(prefix) for prefix in self.prefixes])
            raise UsageError(f"{address} is not opened: it is not below what [files] urls permits ({names})")
        return replace(address, rules=self)


NOTHING = Rules()
"""Rules that permit no address."""


def rules_of(address: Address) -> Rules:
    """Return the rules of an address; of one that was never checked, those that permit nothing."""
    return address.rules or NOTHING


def looks_like_address(text: str) -> bool:
    """Say whether a text is meant as an address rather than a path."""
    return "://" in text or _SCHEME.match(text) is not None or text.startswith("//")


def parse_address(text: str) -> Address:
    """Return a text as an address. Raises UsageError that says what is wrong with it, without its query."""
    _check_written(text)
    shown = hidden(text)
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise UsageError(f"'{shown}' is no address: it should look like https://data.lab.example/bigwigs/a.bw")
    scheme, authority, path, query = found.groups()
    if "@" in authority:
        raise UsageError(f"'{shown}' holds a name or a password before its host; addresses with them are not opened")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise UsageError(f"'{shown}' has no host that can be asked: letters, digits, dots and hyphens, then :port")
    port = int(parts[2]) if parts[2] else _PORTS[scheme.lower()]
    if not 0 < port < 1 << 16:
        raise UsageError(f"'{shown}' has the port {port}; ports are 1 to 65535")
    segments = _normalised(path.split("/")[1:] or [""], shown)
    if query is not None:
        query = quote(query, safe=_SAFE + "/?[]")
    return Address(scheme.lower(), _host(parts[1], shown), port, "/" + "/".join(segments), query)


def parse_prefix(text: str) -> Address:
    """Return the beginning of addresses that are permitted. Raises UsageError when it is none."""
    prefix = parse_address(text)
    if prefix.query is not None:
        raise UsageError(f"'{prefix}' with a query begins no other address; leave out what follows the question mark")
    return prefix


def hidden(text: str) -> str:
    """Return what may be an address without its secrets, for a message: no query, nothing before an @."""
    return re.sub(r"//[^/?#]*@", "//...@", re.split(r"[?#]", text[:200], maxsplit=1)[0])


def _covers(prefix: Address, address: Address) -> bool:
    if (prefix.scheme, prefix.host, prefix.port) != (address.scheme, address.host, address.port):
        return False
    # A prefix that ends in a slash is a folder: what is in it, and not the folder itself.
    inside = prefix.segments[-1] == ""
    begins = prefix.segments[:-1] if inside else prefix.segments
    return address.segments[: len(begins)] == begins and len(address.segments) >= len(begins) + inside


def _check_written(text: str) -> None:
    # Libraries drop some of these, and servers take a backslash for a slash: what is compared would not be what is
    # asked for.
    if _NOT_WRITTEN.search(text):
        raise UsageError("an address has no spaces, control characters or backslashes; write a space as %20")
    if len(text) > _LONGEST:
        raise UsageError(f"an address of {len(text):,} letters is not opened; {_LONGEST:,} are the most")


def _host(text: str, shown: str) -> str:
    if not text.startswith("["):
        return text.lower()
    try:
        return f"[{ipaddress.IPv6Address(text[1:-1])}]"
    except ValueError as error:
        raise UsageError(f"'{shown}' has no host that can be asked: {text} is no IPv6 address") from error


def _normalised(segments: list[str], shown: str) -> list[str]:
    """Return the segments of a path in one way of writing, without dot segments."""
    made: list[str] = []
    for at, raw in enumerate(segments):
        last = at == len(segments) - 1
        plain = unquote_to_bytes(raw)
        if _BAD_ESCAPE.search(raw):
            raise UsageError(f"'{shown}' has a % that is no escape; write a percent sign as %25")
        if re.search(rb"[\x00-\x1f\x7f/\\]", plain) or _hides_a_step(plain):
            raise UsageError(f"'{shown}' hides a slash, a control character or a dot segment behind an escape")
        if plain in (b".", b".."):
            if plain == b"..":
                if not made:
                    raise UsageError(f"'{shown}' leads above the top of its server")
                made.pop()
            if last:
                made.append("")
            continue
        made.append(quote(_ESCAPE.sub(_plain_where_free, raw), safe=_SAFE))
    return made


def _hides_a_step(plain: bytes) -> bool:
    """Say whether some server would take a segment for a step: escaped twice, or with a parameter (``..;x``)."""
    if b";" in plain and plain.split(b";")[0] in (b".", b".."):
        return True
    again = unquote_to_bytes(plain)
    return again != plain and (again in (b".", b"..") or re.search(rb"[\x00-\x1f\x7f/\\]", again) is not None)


def _plain_where_free(escape: re.Match[str]) -> str:
    letter = chr(int(escape[1], 16))
    return letter if _UNRESERVED.fullmatch(letter) else escape[0].upper()
