"""Which bytes a Range header asks for, against the sentences of RFC 9110, section 14."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.ranges import ByteRange, UnsatisfiableError, parse_range
from tracks.errors import UsageError

SIZES = st.integers(1, 1 << 40)


@given(SIZES, st.data())
def test_a_range_of_two_ends_is_cut_at_the_end_of_the_file(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, size - 1))
    last = data.draw(st.integers(first, 2 * size))
    assert parse_range(f"bytes={first}-{last}", size) == ByteRange(first, min(last + 1, size), False, True)


@given(SIZES, st.data())
def test_a_range_without_an_end_goes_to_the_end_of_the_file(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, size - 1))
    assert parse_range(f"bytes={first}-", size) == ByteRange(first, size, True, True)


@given(SIZES, st.integers(1, 1 << 41))
def test_a_suffix_is_the_last_bytes(size: int, count: int) -> None:
    assert parse_range(f"bytes=-{count}", size) == ByteRange(max(size - count, 0), size, False, True)


def test_an_end_may_be_any_number() -> None:
    """Some readers write the greatest of 64 bits where they know no end."""
    assert parse_range(f"bytes=3-{2**64 - 1}", 10) == ByteRange(3, 10, False, True)
    assert parse_range(f"bytes=-{2**64 - 1}", 10) == ByteRange(0, 10, False, True)
    with pytest.raises(UnsatisfiableError):
        parse_range(f"bytes={2**64 - 1}-", 10)


@pytest.mark.parametrize("header", [None, "lines=1-2"])
def test_no_range_of_bytes_asks_for_all(header: str | None) -> None:
    assert parse_range(header, 10) == ByteRange(0, 10, True, False)


@pytest.mark.parametrize(
    "header", ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=0-1,4-5", "bytes=999999999999999999-"]
)
def test_what_has_no_byte_or_several_ranges_is_not_satisfied(header: str) -> None:
    with pytest.raises(UnsatisfiableError):
        parse_range(header, 10)


@pytest.mark.parametrize(
    "header", ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-4", "bytes=1", "bytes=--1", "bytes=1-2-3", "5-9"]
)
def test_what_is_no_range_is_refused_in_words(header: str) -> None:
    with pytest.raises(UsageError, match="write it like bytes=0-1023"):
        parse_range(header, 10)


def test_spaces_and_capitals_do_not_matter() -> None:
    assert parse_range("Bytes = 2 - 3 ", 10) == ByteRange(2, 4, False, True)
