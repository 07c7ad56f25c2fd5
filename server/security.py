"""Who may ask: the names that this server answers to, a token, and the pages of which other origins.

A browser sends any page's requests to any server, so three things are checked. ``Host``, where only this machine may
ask: a page elsewhere may point a name of its own at it (DNS rebinding). ``Origin`` and ``Sec-Fetch-Site``: what another
site's page asks for is refused unless that site is listed. The token, where there is one: as a cookie of our own page,
or as ``Authorization: Bearer``. Pure functions; ``server.app`` applies them.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tracks.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from werkzeug.datastructures import Headers

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""The names under which a machine speaks to itself."""

FAILED = "the server failed at this; its terminal says why"
"""All that others than this machine are told of a failure, whose own words may name its files."""

ANY_ORIGIN = "*"

READING_POSTS = frozenset({"/api/v1/tiles"})
"""Routes that change nothing though they are posted to."""

HEADERS = {
    # PIXI reads textures from data and blob addresses that it makes itself.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""What every answer carries."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,200}")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|https?://\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")


@dataclass(frozen=True)
class Access:
    """Who may ask.

    ``hosts`` are the names that a request may have as its Host, None for any. ``public`` says that others than this
    machine's people may ask, without a token. ``origins`` are those of other sites whose pages may ask; ``"*"`` lets
    the pages of all sites read. ``cookie`` is the name under which our own page keeps the token.
    """

    hosts: frozenset[str] | None = LOOPBACK
    public: bool = False
    token: str | None = None
    origins: frozenset[str] = frozenset()
    cookie: str = "tracks"

    def is_us(self, host: str) -> bool:
        """Say whether a request with this Host (``name`` or ``name:port``) is meant for this server."""
        return self.hosts is None or _hostname(host) in self.hosts

    def tells_all(self, address: str | None) -> bool:
        """Say whether who asks from an IP address may read failures as they are, with this machine's folders in them.

        A proxy asks from this machine for others, so nobody may where others are let in at all.
        """
        if self.public or self.token is not None:
            return False
        try:
            return ipaddress.ip_address(address or "").is_loopback
        except ValueError:
            return False

    def lists(self, origin: str, method: str = "GET", path: str = "") -> bool:
        """Say whether a page of that origin may ask this; where all origins may, they may only read."""
        reads = method in ("GET", "HEAD") or path.rstrip("/") in READING_POSTS
        return origin in self.origins or (reads and ANY_ORIGIN in self.origins)

    def knows(self, token: str) -> bool:
        """Say whether this is the token, in a time that does not tell how much of it is right."""
        return self.token is not None and hmac.compare_digest(token.encode(errors="replace"), self.token.encode())

    def cors(self, origin: str) -> dict[str, str]:
        """Return the headers that let a browser hand an answer to a listed page; none for other pages.

        A browser sends our cookie only where the origin itself is listed.
        """
        if origin in self.origins:
            allowed = {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"}
        elif ANY_ORIGIN in self.origins:
            allowed = {"Access-Control-Allow-Origin": ANY_ORIGIN}
        else:
            return {}
        return {
            **allowed,
            "Access-Control-Expose-Headers": "Content-Disposition, Content-Range, Content-Length, ETag, Accept-Ranges",
            "Cross-Origin-Resource-Policy": "cross-origin",
        }

    def preflight(self, origin: str) -> dict[str, str]:
        """Return the headers that answer a browser's question before it sends a listed page's request."""
        return self.cors(origin) and {
            **self.cors(origin),
            "Access-Control-Allow-Methods": "GET, HEAD, POST, DELETE",
            "Access-Control-Allow-Headers": "content-type, authorization, range, if-range, if-none-match",
            "Access-Control-Allow-Private-Network": "true",
            "Access-Control-Max-Age": "600",
        }


def access_to(
    host: str,
    address: str,
    *,
    public: bool = False,
    token: str | None = None,
    origins: Sequence[str] = (),
    base_url: str | None = None,
) -> Access:
    """Return who may ask a server that listens at ``address``, an IP address, for which ``host`` was asked.

    Elsewhere than on the loopback address a token is needed, one is made where none is given, unless the server is
    ``public``. Since anybody may ask then, it answers to every name, such as that of a proxy. ``origins`` are those
    whose pages may ask, or ``"*"``. ``base_url`` is the address by which others come, where there is one. Raises
    UsageError where these do not go together.
    """
    if public and token is not None:
        raise UsageError("--public lets everyone in, so leave the token (--token-file, TRACKS_TOKEN) out, or --public")
    loopback = ipaddress.ip_address(address).is_loopback
    if not loopback and not public:
        token = token or new_token()
    listed = frozenset(map(check_origin, origins))
    if ANY_ORIGIN in listed and token is None and not public:
        raise UsageError(
            "--cors '*' would let every page that you visit read your tracks; name the origins, or add --public where "
            "anybody may read them"
        )
    # Whoever has the token, too, may come by any name, and the public by the one that is told.
    told = base_url is not None and _hostname(urlsplit(base_url).netloc) not in LOOPBACK
    if told and token is None and not public:
        raise UsageError(
            "--public-url lets others in, so add --public where anybody may read, or a token (--token-file)"
        )
    by_any_name = token is not None or not loopback or told
    return Access(None if by_any_name else LOOPBACK | {host.lower(), address}, public, token, listed)


def other_origin(headers: Headers, host: str) -> str | None:
    """Return the origin of another site's page that asks, ``"null"`` where the browser names none.

    None when our own page asks, a person, or a program that is no browser.
    """
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if site in ("same-origin", "none"):
        return None
    if origin is not None:
        # Without the scheme, which a proxy that speaks TLS for us changes.
        return None if origin.partition("://")[2].lower() == host.lower() else origin
    return None if site is None else "null"


def bearer(headers: Headers) -> str | None:
    """Return the token of an ``Authorization`` header, or None when there is none."""
    kind, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


def new_token() -> str:
    """Return a token that nobody guesses."""
    return secrets.token_urlsafe(24)


def check_token(token: str, where: str) -> str:
    """Return a token. Raises UsageError that names ``where`` it is from when it could be guessed or sent wrongly."""
    if _TOKEN.fullmatch(token) is None:
        raise UsageError(f"{where} holds no token: it needs 16 to 200 of the characters A-Z, a-z, 0-9, - and _")
    return token


def check_origin(text: str) -> str:
    """Return an origin as browsers write it, or ``"*"``. Raises UsageError when it is none."""
    origin = text.strip().lower()
    if origin != ANY_ORIGIN and _ORIGIN.fullmatch(origin) is None:
        raise UsageError(f"'{text}' is no origin: write scheme and host alone, such as https://lab.example")
    # A browser leaves the scheme's own port out.
    for default in ("http:80", "https:443"):
        scheme, port = default.split(":")
        if origin.startswith(f"{scheme}://"):
            origin = origin.removesuffix(f":{port}")
    return origin


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
