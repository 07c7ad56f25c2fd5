"""A file on another server, read in ranges: blocks that were read are kept, and several threads may read at once."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import OrderedDict
from functools import cache
from typing import TYPE_CHECKING

from tracks.remote.address import rules_of
from tracks.remote.allowance import one_answer
from tracks.remote.blocks import BLOCK, RemoteBytes
from tracks.remote.call import Call, timed_out
from tracks.remote.connection import Part, fetch
from tracks.remote.errors import RemoteChangedError, RemoteError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracks.remote.address import Address
    from tracks.remote.allowance import Allowance
    from tracks.remote.connection import Version

PAUSE = 15.0
"""Seconds for which a file that could not be read is not asked for again: meanwhile its error is told at once."""

KEPT = 1 << 29
"""Bytes that are kept of all files together, each of which has its share: a hub may name a hundred."""

_AT_ONCE = 1 << 22
"""Bytes that one question asks for at most."""
_QUESTIONS = 6
"""Questions about one file that are open at the same time."""
_QUEUE = 8
"""Threads that wait for one file at the same time. A server has other work to do with its threads than to wait."""

_MARGIN = 0.1
"""Who waited for all but this share of the time-out has waited for all of it."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]+")

_LOG = logging.getLogger("tracks.remote")


class _Flight:
    """Consecutive blocks that are being fetched; whoever needs one of them waits for it."""

    def __init__(self, blocks: range, until: float) -> None:
        self.blocks, self.call = blocks, Call(until)
        self.done = threading.Event()
        self.data: dict[int, bytes] = {}
        self.error: RemoteError | None = None


class RemoteFile:
    """A file on another server. Its blocks are kept up to ``max_bytes`` of its rules, those read longest ago dropped
    first; a question to the server that fails in passing is asked once more.

    ``open()`` gives what reads it. Where reading fails, the file is not asked for again for ``PAUSE`` seconds.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._rules = rules_of(address)
        self._lock = threading.Lock()
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._flights: dict[int, _Flight] = {}
        self._version: Version | None = None
        self._sender = address
        self._questions = threading.BoundedSemaphore(_QUESTIONS)
        self._queue = threading.BoundedSemaphore(_QUEUE)
        self._failed: tuple[RemoteError, float] | None = None

    def open(self) -> RemoteBytes:
        """Return the file as it is now. Raises RemoteError when it cannot be read."""
        with one_answer(self._rules.timeout) as allowance:
            if self._version is None:
                self._need([0], allowance)
            assert self._version is not None
            return RemoteBytes(self, self._version)

    def blocks(self, wanted: Iterable[int], version: Version) -> dict[int, bytes]:
        """Return blocks of a version of the file, by number. Raises RemoteChangedError when it is another now, and
        RemoteError when it cannot be read, or not in time."""
        with one_answer(self._rules.timeout) as allowance:
            found = self._need(list(wanted), allowance)
        if self._version is not version:
            raise RemoteChangedError(self.address)
        return found

    def _need(self, wanted: list[int], allowance: Allowance) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        with self._lock:
            waited: dict[int, _Flight] = {}
            missing = []
            for block in wanted:
                if block in self._blocks:
                    self._blocks.move_to_end(block)
                    found[block] = self._blocks[block]
                elif block in self._flights:
                    waited[block] = self._flights[block]
                else:
                    missing.append(block)
            if missing:
                self._check_pause()
                allowance.take(self.address, len(missing) * BLOCK)
            for run in _runs(missing):
                flight = _Flight(run, time.monotonic() + self._rules.timeout)
                for block in run:
                    self._flights[block] = waited[block] = flight
                # Not the asking thread: it waits no longer than it may, whatever the look-up of a name takes.
                threading.Thread(target=self._fly, args=(flight,), name="remote", daemon=True).start()
        if waited:
            self._wait(list(dict.fromkeys(waited.values())), allowance)
        for block, flight in waited.items():
            if block in flight.data:
                found[block] = flight.data[block]
        return found

    def _check_pause(self) -> None:
        if self._failed is not None and time.monotonic() < self._failed[1]:
            raise self._failed[0].again()

    def _wait(self, flights: list[_Flight], allowance: Allowance) -> None:
        if not self._queue.acquire(timeout=min(1.0, max(allowance.until - time.monotonic(), 0))):
            raise RemoteError(self.address, f"its server is slow, and {_QUEUE} others wait for it already")
        try:
            for flight in flights:
                if not flight.done.wait(max(allowance.until - time.monotonic(), 0)):
                    if time.monotonic() >= flight.call.until - _MARGIN * self._rules.timeout:
                        self._give_up(flight)
                    raise timed_out(self.address)
                if flight.error is not None:
                    raise flight.error.again() from flight.error
        finally:
            self._queue.release()

    def _give_up(self, flight: _Flight) -> None:
        flight.call.end()
        self._forget(flight)
        self._fail(timed_out(self.address))

    def _forget(self, flight: _Flight) -> None:
        with self._lock:
            for block in flight.blocks:
                if self._flights.get(block) is flight:
                    del self._flights[block]

    def _fly(self, flight: _Flight) -> None:
        """Fetch blocks, and keep them; in a thread of its own."""
        # Who waits for it may be gone before, and a time-out of a socket is one for each byte.
        ending = threading.Timer(max(flight.call.until - time.monotonic(), 0), flight.call.end)
        ending.daemon = True
        ending.start()
        try:
            self._keep(flight, self._fetched(flight))
        except RemoteError as error:
            flight.error = error
            if not isinstance(error, RemoteChangedError):
                self._fail(error)
        except Exception as error:
            _LOG.exception("%s failed", self.address)
            flight.error = RemoteError(self.address, f"reading it failed ({type(error).__name__})")
        finally:
            ending.cancel()
            self._forget(flight)
            flight.done.set()

    def _fetched(self, flight: _Flight) -> Part:
        first, count = flight.blocks.start * BLOCK, len(flight.blocks) * BLOCK
        if not self._questions.acquire(timeout=max(flight.call.until - time.monotonic(), 0)):
            raise timed_out(self.address)
        try:
            sender = self._sender
            try:
                part = fetch(sender, first, count, flight.call)
            except RemoteError as error:
                # What it was sent on to may be an address that holds for a time only.
                if error.lasting and sender is self.address:
                    raise
                self._sender = self.address
                flight.call.left(self.address)
                part = fetch(self.address, first, count, flight.call)
            self._sender = part.sender
            return part
        finally:
            self._questions.release()

    def _keep(self, flight: _Flight, part: Part) -> None:
        at = part.first // BLOCK
        cut = {at + number: part.data[number * BLOCK : (number + 1) * BLOCK] for number in range(_count(part.data))}
        with self._lock:
            changed = self._version is not None and not self._version.same(part.version)
            if changed:
                self._blocks.clear()
            elif not part.data:
                raise RemoteError(self.address, "the file is empty, or its server says another size each time")
            if changed or self._version is None:
                self._version = part.version
            self._failed = None
            flight.data = cut
            for block, data in cut.items():
                self._blocks[block] = data
                self._blocks.move_to_end(block)
            share = KEPT // max(remote_file.cache_info().currsize, 1)
            while len(self._blocks) * BLOCK > max(min(self._rules.max_bytes, share), BLOCK):
                self._blocks.popitem(last=False)
        if changed:
            raise RemoteChangedError(self.address)

    def _fail(self, error: RemoteError) -> None:
        with self._lock:
            news = self._failed is None or self._failed[0].why != error.why
            # Without the history of this one, which holds on to what was being read.
            self._failed = error.again(), time.monotonic() + PAUSE
        if news:
            # Some of it is the server's own text.
            cause = f" ({_CONTROL.sub(' ', str(error.__cause__))[:300]})" if error.__cause__ is not None else ""
            _LOG.warning(
                "%s%s; it is tried again when somebody asks for it, but not within %g seconds", error, cause, PAUSE
            )


@cache
def remote_file(address: Address) -> RemoteFile:
    """Return the one ``RemoteFile`` of an address in this process, so that all who read it share what is kept."""
    return RemoteFile(address)


def _count(data: bytes) -> int:
    return -(-len(data) // BLOCK)


def _runs(blocks: list[int]) -> list[range]:
    """Return numbers as runs of consecutive ones, each of at most what one question asks for."""
    runs: list[range] = []
    for block in sorted(set(blocks)):
        last = runs[-1] if runs else range(0)
        if last and last.stop == block and len(last) * BLOCK < _AT_ONCE:
            runs[-1] = range(last.start, block + 1)
        else:
            runs.append(range(block, block + 1))
    return runs


def identity(address: Address) -> str:
    """Return what tells a file on another server from what it was or will be there: its address, its size and its
    server's marks. Raises RemoteError when it cannot be read."""
    version = remote_file(address).open().version
    return f"{address} {version.size} {version.etag} {version.modified}"
