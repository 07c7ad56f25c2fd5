"""Which bytes of a file a request asks for (RFC 9110, section 14), one range at a time."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tracks.errors import UsageError

_RANGE = re.compile(r"(\d{0,40})[ \t]*-[ \t]*(\d{0,40})")


@dataclass(frozen=True)
class ByteRange:
    """Bytes ``[first, last)`` of a file. ``to_the_end``: the request names no end, and its reader may need few of them.
    ``part``: it asks for a range at all."""

    first: int
    last: int
    to_the_end: bool
    part: bool


class UnsatisfiableError(Exception):
    """A range that begins after the last byte, or one of several."""


def parse_range(header: str | None, size: int) -> ByteRange:
    """Return the bytes of a file of ``size`` bytes that a ``Range`` header asks for; all without one.

    What ends after the file ends with it. A unit other than bytes is no range, as the standard has it. Raises
    UnsatisfiableError, and UsageError for what is no range of bytes.
    """
    unit, equals, ranges = (header or "").partition("=")
    if header is None or (equals and unit.strip().lower() != "bytes"):
        return ByteRange(0, size, True, False)
    if "," in ranges:
        raise UnsatisfiableError("one range at a time, please: this file is computed as it is read")
    found = _RANGE.fullmatch(ranges.strip())
    if not equals or found is None or not (found[1] or found[2]):
        raise UsageError(f"'{header[:80]}' is no range of bytes; write it like bytes=0-1023")
    if not found[1]:
        first = max(size - int(found[2]), 0)
        if first == size:
            raise UnsatisfiableError("the last 0 bytes are none")
        return ByteRange(first, size, False, True)
    first = int(found[1])
    if found[2] and int(found[2]) < first:
        raise UsageError(f"'{header[:80]}' ends before it begins; write it like bytes=0-1023")
    if first >= size:
        raise UnsatisfiableError(f"the file has {size} bytes; none is at {first}")
    return ByteRange(first, min(int(found[2]) + 1, size) if found[2] else size, not found[2], True)
