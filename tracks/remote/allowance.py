"""What one answer may take of files on other servers: until when, and how many bytes of each.

Reading a tile asks for several parts of a file, one after the other. Each of them ends in time, and all of them
together would not, so whoever answers says where an answer begins (``one_answer``), and what is read inside shares what
is left.
"""

from __future__ import annotations

import math
import threading
import time
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING

from tracks.remote.address import Address, rules_of
from tracks.remote.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracks.remote.source import Source


class Allowance:
    """What is left for one answer; several threads may take from it."""

    def __init__(self, until: float) -> None:
        self.until = until
        self._lock = threading.Lock()
        self._taken: dict[Address, int] = {}

    def part(self, until: float) -> Allowance:
        """Return an allowance that takes from this one's bytes, and ends at a time, or with this one."""
        made = Allowance(min(until, self.until))
        made._lock, made._taken = self._lock, self._taken
        return made

    def take(self, address: Address, count: int) -> None:
        """Note that so many bytes of a file are to be fetched. Raises RemoteError when that is more than may be."""
        most = rules_of(address).max_bytes
        with self._lock:
            taken = self._taken.get(address, 0) + count
            if taken > most:
                raise RemoteError(
                    address,
                    f"what was asked needs {taken:,} bytes of it or more, and {most:,} are the most for one answer "
                    "(max_bytes of [files] in the project file)",
                )
            self._taken[address] = taken


_NOW: ContextVar[Allowance | None] = ContextVar("allowance", default=None)
_UNTIL: ContextVar[float] = ContextVar("until", default=math.inf)


@contextmanager
def no_longer_than(seconds: float) -> Iterator[None]:
    """Let all answers inside end in so many seconds."""
    token = _UNTIL.set(min(_UNTIL.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _UNTIL.reset(token)


@contextmanager
def one_answer(seconds: float) -> Iterator[Allowance]:
    """Let all that is read of remote files inside be one answer, and end in so many seconds; or be a part of the answer
    around it, and end with that at the latest."""
    outer = _NOW.get()
    until = min(time.monotonic() + seconds, _UNTIL.get())
    made = Allowance(until) if outer is None else outer.part(until)
    token = _NOW.set(made)
    try:
        yield made
    finally:
        _NOW.reset(token)


def answer_of(source: Source) -> AbstractContextManager[object]:
    """Let what is read of a file inside be one answer, for as long as its rules say; of a file of this machine, all may
    be read."""
    return one_answer(rules_of(source).timeout) if isinstance(source, Address) else nullcontext()


def long_answer_of(source: Source) -> AbstractContextManager[object]:
    """Let what is read of a file inside be one answer that takes its time, each part of it in the time that its rules
    say."""
    return one_answer(math.inf) if isinstance(source, Address) else nullcontext()
