from __future__ import annotations

import pytest

from server.security import LOOPBACK, access_to, check_origin, check_token, new_token
from tracks.errors import UsageError

TOKEN = "a-token-that-nobody-guesses"


def test_the_loopback_address_needs_no_token() -> None:
    access = access_to("127.0.0.1", "127.0.0.1")
    assert access.token is None
    assert access.hosts == LOOPBACK
    assert not access.is_us("10.0.0.5")
    assert access_to("MyBox", "127.0.1.1").is_us("mybox:80")
    assert access_to("::1", "::1").is_us("[::1]:8765")


@pytest.mark.parametrize("address", ["10.0.0.5", "0.0.0.0", "::", "fe80::1"])
def test_every_other_address_has_a_token_unless_it_is_public(address: str) -> None:
    access, again = access_to("tower", address), access_to("tower", address)
    assert access.token is not None
    assert len(access.token) >= 32
    assert access.token != again.token
    assert access.is_us("whatever.example")
    public = access_to("tower", address, public=True)
    assert public.token is None
    assert all(public.is_us(host) for host in ("tower:1", "10.0.0.5", "localhost", "tracks.lab.example"))
    assert not access_to("localhost", "127.0.0.1", public=True).is_us("tracks.lab.example")


def test_failures_are_told_in_full_to_this_machine_alone() -> None:
    alone = access_to("localhost", "127.0.0.1")
    assert [alone.tells_all(asks) for asks in ("127.0.0.1", "::1", "10.0.0.9", "", None)] == [True, True, *[False] * 3]
    # A proxy on this machine asks for others.
    for open_to_others in (
        access_to("localhost", "127.0.0.1", public=True),
        access_to("localhost", "127.0.0.1", token=TOKEN),
        access_to("tower", "10.0.0.5", public=True),
        access_to("tower", "10.0.0.5"),
    ):
        assert not open_to_others.tells_all("127.0.0.1")


def test_a_token_that_is_given_holds_everywhere() -> None:
    for address in ("127.0.0.1", "10.0.0.5"):
        access = access_to("tower", address, token=TOKEN)
        assert access.knows(TOKEN)
        assert not access.knows(TOKEN[:-1])
        assert not access.knows("")
        assert not access.knows("\udc80é")
    assert not access_to("tower", "127.0.0.1").knows("")
    with pytest.raises(UsageError, match="--public"):
        access_to("tower", "10.0.0.5", token=TOKEN, public=True)


def test_all_origins_only_where_anybody_may_read_or_a_token_is_needed() -> None:
    with pytest.raises(UsageError, match="--public"):
        access_to("localhost", "127.0.0.1", origins=["*"])
    assert access_to("localhost", "127.0.0.1", origins=["*"], public=True).origins == {"*"}
    assert access_to("tower", "10.0.0.5", origins=["*"]).token
    assert access_to("localhost", "127.0.0.1", origins=["https://lab.example"]).lists("https://lab.example", "POST")


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://Lab.Example", "https://lab.example"),
        ("https://lab.example:443", "https://lab.example"),
        ("http://lab.example:80", "http://lab.example"),
        ("http://lab.example:443", "http://lab.example:443"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("*", "*"),
    ],
)
def test_origins_are_written_as_browsers_do(text: str, origin: str) -> None:
    assert check_origin(text) == origin


@pytest.mark.parametrize(
    "text", ["lab.example", "https://lab.example/", "https://a/b", "null", "", "https://*.x.org", "ftp://x"]
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="origin"):
        check_origin(text)


def test_tokens_that_could_be_guessed_or_sent_wrongly_are_refused() -> None:
    assert check_token(new_token(), "it")
    for text in ("", "short", "with a space in it all", "x" * 201, "semi;colon;semi;colon"):
        with pytest.raises(UsageError, match="my file holds no token"):
            check_token(text, "my file")


def test_an_address_for_others_needs_a_decision_who_may_come() -> None:
    with pytest.raises(UsageError, match="--public"):
        access_to("localhost", "127.0.0.1", base_url="https://tracks.lab.example")
    for access in (
        access_to("localhost", "127.0.0.1", base_url="https://tracks.lab.example", public=True),
        access_to("localhost", "127.0.0.1", base_url="https://tracks.lab.example", token=TOKEN),
    ):
        assert access.is_us("tracks.lab.example")
    assert not access_to("localhost", "127.0.0.1", base_url="http://127.0.0.1:9000").is_us("tracks.lab.example")
