"""Which addresses are opened: by examples, and against Python's own reading of addresses by hypothesis."""

from __future__ import annotations

import dataclasses
import posixpath
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracks.errors import UsageError
from tracks.remote.address import Rules, hidden, looks_like_address, parse_address, parse_prefix

LAB = Rules((parse_prefix("https://data.lab.example/bigwigs/"),))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("https://data.lab.example/bigwigs/a.bw", "/bigwigs/a.bw"),
        ("HTTPS://Data.Lab.Example:443/bigwigs/a.bw", "/bigwigs/a.bw"),
        ("https://data.lab.example/bigwigs/x/../a.bw", "/bigwigs/a.bw"),
        ("https://data.lab.example/other/../bigwigs/./a.bw", "/bigwigs/a.bw"),
        ("https://data.lab.example/%62igwigs/a%2Ebw", "/bigwigs/a.bw"),
        ("https://data.lab.example/bigwigs/a b.bw".replace(" ", "%20"), "/bigwigs/a%20b.bw"),
        ("https://data.lab.example/bigwigs/méthyl.bw", "/bigwigs/m%C3%A9thyl.bw"),
        ("https://data.lab.example/bigwigs/100%25.bw", "/bigwigs/100%25.bw"),
        ("https://data.lab.example/bigwigs/a.bw#part", "/bigwigs/a.bw"),
        ("https://data.lab.example/bigwigs/", "/bigwigs/"),
        ("https://data.lab.example/bigwigs//a.bw", "/bigwigs//a.bw"),
        ("https://data.lab.example/bigwigs/a%2cb.bw", "/bigwigs/a%2Cb.bw"),
    ],
)
def test_what_lies_below_a_prefix_is_opened(text: str, path: str) -> None:
    found = LAB.check(parse_address(text))
    assert (found.scheme, found.host, found.port, found.path) == ("https", "data.lab.example", 443, path)
    assert found.rules == LAB


@pytest.mark.parametrize(
    "text",
    [
        "http://data.lab.example/bigwigs/a.bw",
        "https://data.lab.example:8443/bigwigs/a.bw",
        "https://data.lab.example.evil.example/bigwigs/a.bw",
        "https://evil.example/bigwigs/a.bw",
        "https://data.lab.example./bigwigs/a.bw",
        "https://data.lab.example/bigwigs-private/a.bw",
        "https://data.lab.example/bigwigs",
        "https://data.lab.example/Bigwigs/a.bw",
        "https://data.lab.example/bigwigs/../secret/a.bw",
        "https://data.lab.example/bigwigs/%2e%2e/secret/a.bw",
        "https://data.lab.example/bigwigs/x/%2E./../secret.bw",
        "https://data.lab.example/",
        "https://data.lab.example",
    ],
)
def test_what_does_not_is_refused(text: str) -> None:
    with pytest.raises(
        UsageError, match=r"is not below what \[files\] urls permits \(https://data.lab.example/bigwigs/\)"
    ):
        LAB.check(parse_address(text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("https://me:pass@data.lab.example/bigwigs/a.bw", "a name or a password"),
        ("https://data.lab.example@evil.example/bigwigs/a.bw", "a name or a password"),
        ("https://data.lab.example\\@evil.example/bigwigs/a.bw", "backslashes"),
        ("https://data.lab.example/bigwigs/..\\..\\secret", "backslashes"),
        ("https://data.lab.example/bigwigs/a\r\nHost: b", "control characters"),
        ("https://data.lab.example/big\twigs/a.bw", "control characters"),
        ("https://data.lab.example/bigwigs/..%2fsecret", "hides a slash"),
        ("https://data.lab.example/bigwigs/..%5Csecret", "hides a slash"),
        ("https://data.lab.example/bigwigs/%252e%252e/secret", "hides a slash"),
        ("https://data.lab.example/bigwigs/a%252fb", "hides a slash"),
        ("https://data.lab.example/bigwigs/..;/secret", "hides a slash"),
        ("https://data.lab.example/bigwigs/%2e%2e;x=1/secret", "hides a slash"),
        ("https://data.lab.example/bigwigs/a%00.bw", "hides a slash"),
        ("https://data.lab.example/bigwigs/a%zz.bw", "no escape"),
        ("https://data.lab.example/bigwigs/../../a.bw", "above the top"),
        ("https://data.lab.example:0/a", "ports are 1 to 65535"),
        ("https://data.lab.example:99999/a", "ports are 1 to 65535"),
        ("https://data.lab.example:8o/a", "no host"),
        ("https:///bigwigs/a.bw", "no host"),
        ("https://dätä.example/a", "no host"),
        ("https://[::1%25eth0]/a", "no host"),
        ("https://[:::]/a", "no IPv6 address"),
        ("http\u017f://data.lab.example/a.bw", "is no address"),
        ("ftp://data.lab.example/a.bw", "is no address"),
        ("file:///etc/passwd", "is no address"),
        ("//data.lab.example/a.bw", "is no address"),
        ("data.lab.example/a.bw", "is no address"),
        ("", "is no address"),
        ("https://data.lab.example/" + "a" * 5000, "4,096 are the most"),
    ],
)
def test_what_is_no_address_is_said(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        parse_address(text)
    assert "pass@" not in str(caught.value)
    assert str(caught.value).isprintable()


def test_queries_are_asked_for_and_never_told() -> None:
    address = LAB.check(parse_address("https://data.lab.example/bigwigs/a.bw?sig=s%2Fecret&x=[1]"))
    assert address.target == "/bigwigs/a.bw?sig=s%2Fecret&x=[1]"
    for text in (str(address), repr(address), f"{address}", hidden("https://u:p@h/a?sig=secret")):
        assert "secret" not in text
    assert hidden("https://u:p@h/a?sig=secret") == "https://...@h/a"
    with pytest.raises(UsageError, match="begins no other address") as caught:
        parse_prefix("https://data.lab.example/bigwigs/?sig=secret")
    assert "secret" not in str(caught.value)


def test_without_urls_nothing_is_opened() -> None:
    with pytest.raises(UsageError, match=r"name what may be, as \[files\] urls"):
        Rules().check(parse_address("https://data.lab.example/a.bw"))


def test_an_address_that_was_not_checked_leads_nowhere() -> None:
    with pytest.raises(UsageError, match="is not opened"):
        parse_address("https://data.lab.example/a/b.bw").joined("c.bw")


@pytest.mark.parametrize(
    ("reference", "path"),
    [
        ("b.bw", "/bigwigs/x/b.bw"),
        ("../b.bw?x=1", "/bigwigs/b.bw"),
        ("/bigwigs/c.bw", "/bigwigs/c.bw"),
        ("https://data.lab.example/bigwigs/d.bw", "/bigwigs/d.bw"),
        ("//data.lab.example/bigwigs/e.bw", "/bigwigs/e.bw"),
    ],
)
def test_what_an_address_leads_to_is_permitted_too(reference: str, path: str) -> None:
    hub = LAB.check(parse_address("https://data.lab.example/bigwigs/x/hub.txt?key=1"))
    assert hub.joined(reference).path == path


@pytest.mark.parametrize(
    "reference",
    ["/etc/passwd", "../../a.bw", "//evil.example/bigwigs/a.bw", "http://data.lab.example/bigwigs/a.bw",
     "https://evil.example/", "file:///etc/passwd", "\t//evil.example/bigwigs/a.bw", "%2e%2e/%2e%2e/a.bw",
     "\\\\evil.example\\bigwigs\\a.bw", "javascript:1", "ftp://data.lab.example/bigwigs/a.bw", "//[",
     "//\u2100/bigwigs/a.bw"],
)  # fmt: skip
def test_and_refused_where_it_is_not(reference: str) -> None:
    hub = LAB.check(parse_address("https://data.lab.example/bigwigs/x/hub.txt"))
    with pytest.raises(UsageError):
        hub.joined(reference)


_PARTS = st.sampled_from(
    ["bigwigs", "..", ".", "", "a.bw", "%2e%2e", "%2E", "b%20c", "%62igwigs", "..;", "%252e%252e", "secret", "bigwigs2",
     "%2f..", "bigwigs%2f", "é", ";x", "a;..", "...", ".%2e"]
)  # fmt: skip
_HOSTS = st.sampled_from(
    ["data.lab.example", "DATA.lab.example", "evil.example", "data.lab.example:443", "data.lab.example:80",
     "x@data.lab.example", "data.lab.example.", "data.lab.example@evil.example", "data.lab.example:443@evil.example"]
)  # fmt: skip


@settings(max_examples=1500)
@given(st.sampled_from(["https", "http", "HTTPS"]), _HOSTS, st.lists(_PARTS, max_size=7), st.booleans())
def test_what_is_permitted_lies_there_however_a_server_reads_it(
    scheme: str, host: str, parts: list[str], query: bool
) -> None:
    text = f"{scheme}://{host}/{'/'.join(parts)}" + ("?a=/../.." if query else "")
    try:
        address = LAB.check(parse_address(text))
    except UsageError:
        return
    asked = urlsplit(f"{address.scheme}://{address.authority}{address.target}")
    assert (asked.scheme, asked.hostname, asked.port or 443) == ("https", "data.lab.example", 443)
    assert (urlsplit(text).hostname, urlsplit(text).port or 443) == ("data.lab.example", 443), (
        "and it is what was written"
    )
    # Servers that take escapes away once, twice, or parameters too, and join slashes.
    for read in (asked.path, unquote(asked.path), unquote(unquote(asked.path))):
        plain = "/".join(part.split(";")[0] if part.split(";")[0] in (".", "..") else part for part in read.split("/"))
        assert (posixpath.normpath(plain) + "/").startswith("/bigwigs/"), (text, read)
        assert ".." not in plain.split("/")


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused_in_words(text: str) -> None:
    for given_text in (text, f"https://data.lab.example/{text}", f"https://{text}/"):
        try:
            address = parse_address(given_text)
        except UsageError as error:
            said = str(error)
        else:
            said = str(address)
            again = parse_address(f"{address.scheme}://{address.authority}{address.target}")
            assert again == address, "writing an address anew changes it once"
            assert address.target.isascii()
            assert not any(letter in address.target for letter in " \r\n\t\\#")
        assert "\n" not in said


@given(st.lists(st.text("abc.-_~é ", min_size=1, max_size=5).filter(lambda t: t not in (".", "..")), min_size=1))
def test_plain_names_come_back(names: list[str]) -> None:
    address = parse_address("https://data.lab.example/bigwigs/" + "/".join(quote(name) for name in names))
    assert [unquote(segment) for segment in address.segments[1:]] == names
    assert address.name == names[-1]
    assert LAB.check(address) == dataclasses.replace(address, rules=LAB)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("https://a/b", True), ("s3://a/b", True), ("file:/etc", True), ("//a/b", True), ("a.bw", False),
     ("x/y.bw", False), ("/abs/a.bw", False)],
)  # fmt: skip
def test_addresses_are_told_from_paths(text: str, is_one: bool) -> None:
    assert looks_like_address(text) is is_one
