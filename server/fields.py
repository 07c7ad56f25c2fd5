"""What clients send, read and bounded: spans of the axis, client ids, JSON bodies. Each refusal says what would be
right."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, NoReturn

from werkzeug.exceptions import BadRequest

if TYPE_CHECKING:
    from server.axis import Axis

_CLIENT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_VIEW = re.compile(r"(-?[0-9]{1,13})-(-?[0-9]{1,13})")


def client_id(text: object) -> str | None:
    """Return a client's id, or None when it is none: 1 to 64 letters, digits, ``-`` and ``_``."""
    return text if isinstance(text, str) and _CLIENT.fullmatch(text) else None


def needed_client_id(text: object) -> str:
    """Return a client's id. Raises BadRequest when it is none."""
    client = client_id(text)
    if client is None:
        raise BadRequest("a client names itself by 1 to 64 letters, digits, - and _")
    return client


def view_span(text: str, axis: Axis) -> tuple[int, int] | None:
    """Read ``start-end`` of a client's screen in bases of the axis; None when it is malformed or shows none of it."""
    match = _VIEW.fullmatch(text)
    return _inside(int(match[1]), int(match[2]), axis) if match else None


def span(start: object, end: object, axis: Axis) -> tuple[int, int]:
    """Return the part of the axis between two positions, numbers or their text.

    Raises BadRequest when they are no numbers, reversed, or outside the axis.
    """
    first, last = _number(start), _number(end)
    inside = _inside(math.floor(first), math.ceil(last), axis) if first is not None and last is not None else None
    if inside is None:
        raise BadRequest(f"start and end should be positions on the genome axis: 0 <= start < end <= {axis.length:,}")
    return inside


def json_object(data: bytes) -> dict[str, Any]:
    """Read a body that is one JSON object. Raises BadRequest when it is not."""
    body = json_value(data)
    if not isinstance(body, dict):
        raise BadRequest("the body should be one JSON object")
    return body


def json_value(data: bytes) -> Any:
    """Read a JSON body. Raises BadRequest when it is not JSON, or holds a number that is none or too large."""
    try:
        return json.loads(data, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from error


def _no_number(word: str) -> NoReturn:
    # Python reads and writes these words, and no browser does.
    raise ValueError(f"it holds {word[:32]}, which is no number there")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)


def _number(value: object) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value) if len(value) <= 32 else None
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:  # an integer larger than any float
        return None


def _inside(start: int, end: int, axis: Axis) -> tuple[int, int] | None:
    start, end = max(start, 0), min(end, axis.length)
    return (start, end) if start < end else None
