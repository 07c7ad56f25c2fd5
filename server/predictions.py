"""Predictions made live: one thread, one model, the windows that somebody looks at first.

All values are in the store, where ``tracks predict`` finds them and leaves its own. Nothing waits for the predicting
thread: whoever asks gets what is known now, and why the rest is not.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import threading
import time
from collections import deque
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from server.jobs import Jobs
from server.progress import Estimate, Now, State, Status, Work
from server.readers import Readers, Reading
from server.stored import Stored
from server.wants import Wants
from tracks.errors import TracksError
from tracks.grid import BINS, WINDOW
from tracks.regions import Region

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from model.predict import Predictor
    from server.axis import Axis
    from server.events import Events
    from server.sequence import SequenceMap
    from server.wants import Span, Window
    from tracks.store import Store

MAX_VIEW = 2_000_000
"""The widest view, in bases, whose windows are predicted as one looks."""

_NEIGHBOURS = 4
_LOOK_AGAIN = 1.0
_TIMED_WINDOWS = 21
_SILENCE = 60.0
"""Seconds after which a client that neither asked nor moved is forgotten; a page asks again for what it waits for."""
_READER_LOOKS = 0.25
"""Seconds until a reader that waits looks whether what it waits for was computed elsewhere, or its own reader left."""
_SLOW = 1.0
"""Seconds a window from which on a page is told that a window has begun, beside that it has come."""


class Predictions:
    """A model's predictions of a genome, as far as they are known, and the thread that makes them.

    Next is always what somebody looks at (``Wants``) or reads of a virtual file (``Readers``), in turns; then jobs and
    whoever reads much of a file, in turns; then the neighbours of what is looked at, and with ``fill`` the rest of the
    genome. A window of several heads costs one pass of the trunk.
    """

    def __init__(
        self,
        predictor: Predictor,
        store: Store,
        sequence: SequenceMap,
        axis: Axis,
        events: Events,
        *,
        fill: bool = False,
        max_view: int = MAX_VIEW,
    ) -> None:
        self.predictor, self.store, self.sequence, self.axis = predictor, store, sequence, axis
        self.events, self.fill, self.max_view = events, fill, max_view
        self.stored = Stored(predictor, store, sequence, axis)
        self.heads = self.stored.heads
        self.jobs = Jobs(axis, events, self.stored.known, self._wake)
        self._wants, self._readers = Wants(self.stored.span), Readers(self.stored.span)
        self._turn = 0
        self._failed: dict[tuple[Window, str], str] = {}
        self._computing: Window | None = None
        self._rest: deque[Window] = deque()
        self._seconds: deque[float] = deque(maxlen=_TIMED_WINDOWS)
        self._trouble = ""
        self._change = threading.Condition(threading.RLock())
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True)
            for name, work in (("sequence", self._survey), ("predictions", self._predict), ("watch", self._watch))
        ]

    def start(self) -> None:
        """Start predicting in the background."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """End the background work after the window it is at."""
        self._stop.set()
        self._wake()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout)

    def wait(self, timeout: float) -> bool:
        """Wait until there is nothing left to do. False when that took longer than ``timeout`` seconds."""
        with self._change:
            return self._change.wait_for(lambda: self.sequence.ready.is_set() and self._next() is None, timeout)

    # What is known.

    def work(self) -> Work:
        """Return what is waited for, worked at and failed at this moment."""
        with self._change:
            queued: dict[str, list[int]] = {}
            for chrom, index in itertools.chain(self._wants.windows(), self._readers.windows()):
                queued.setdefault(chrom, []).append(index)
            for chrom, windows in self.jobs.pending():
                queued.setdefault(chrom, []).extend(windows.tolist())
            return Work({chrom: np.array(of) for chrom, of in queued.items()}, self._computing, dict(self._failed))

    def status(self, chrom: str, head: str, first: int, last: int, work: Work) -> np.ndarray:
        """Return the ``Status`` of a chromosome's windows ``[first, last)``: uint8."""
        found = np.zeros(last - first, np.uint8)
        if chrom in work.queued:
            queued = work.queued[chrom]
            found[queued[(queued >= first) & (queued < last)] - first] = Status.QUEUED
        if work.computing is not None and work.computing[0] == chrom and first <= work.computing[1] < last:
            found[work.computing[1] - first] = Status.COMPUTING
        for (of, index), failed_head in work.failed:
            if of == chrom and failed_head == head and first <= index < last:
                found[index - first] = Status.FAILED
        store = self.stored.opened(chrom, head)
        if store is not None:
            found[store.known()[first:last]] = Status.KNOWN
        return found

    def now(self) -> Now:
        """Return how the work stands."""
        with self._change:
            queued = len({*self._wants.windows(), *self._readers.windows()})
            jobs = sum(not job.finished for job in self.jobs.all())
            idle = State.FAILED if self._failed or self._trouble else State.IDLE
            state = State.COMPUTING if self._computing else idle
            computing = str(self.stored.region(self._computing)) if self._computing else None
            failed, message = len(self._failed), self._trouble
        known, total = self.stored.count(self.heads[0])
        return Now(
            state=state,
            queued=queued,
            computing=computing,
            failed=failed,
            known=known,
            total=total,
            filling=bool(self._rest),
            jobs=jobs,
            seconds_per_window=self.seconds_per_window(),
            device=str(self.predictor.device),
            precision=self.predictor.method.words,
            message=message,
        )

    def seconds_per_window(self) -> float | None:
        """Return the median time of the last windows computed, or None before the first."""
        return median(self._seconds) if self._seconds else None

    def estimate(self, span: Span, heads: Sequence[str]) -> Estimate:
        """Say what predicting a span of the axis would cost now; chromosomes not opened yet count as unknown."""
        windows = unknown = 0
        for chrom, over in self.stored.windows(span):
            windows += len(over)
            missing = np.zeros(len(over), bool)
            for head in heads:
                missing |= ~self.stored.needless(chrom, head, over)
            unknown += int(missing.sum())
        seconds = self.seconds_per_window()
        return Estimate(windows, unknown, unknown * seconds if seconds is not None else None)

    # What is asked for.

    def ask(self, client: str, span: Span, head: str, view: Span | None = None) -> None:
        """Ask for the unknown windows of a span of the axis, as a tile does. With the client's ``view`` only for what
        lies within half its width of it."""
        if view is not None:
            margin = (view[1] - view[0]) // 2
            span = max(span[0], view[0] - margin), min(span[1], view[1] + margin)
        with self._change:
            if view is not None:
                self._wants.look(client, view, time.monotonic())
            self._wants.ask(client, self._unknown(span, head), [head], time.monotonic())
            self._change.notify_all()

    def ask_anew(self, window: Window, head: str) -> None:
        """Ask for a window that counts as known and cannot be read."""
        with self._change:
            if (window, head) not in self._failed:
                self._wants.ask("", [window], [head], time.monotonic())
                self._change.notify_all()

    def look(self, client: str, view: Span) -> None:
        """Note where a client looks now: what it asked for far outside is dropped, what it sees is asked for."""
        with self._change:
            heads = self._wants.look(client, view, time.monotonic())
            if view[1] - view[0] <= self.max_view:
                for head in heads:
                    self._wants.ask(client, self._unknown(view, head), [head], time.monotonic())
            self._change.notify_all()

    def leave(self, client: str) -> None:
        """Drop what a client wanted."""
        with self._change:
            self._wants.leave(client)

    def reading(self, head: str, gone: Callable[[], bool]) -> Reading:
        """Return a way to read a head's windows, which are computed where they are unknown; to be closed. ``gone`` says
        whether nobody waits for them any longer, at any moment and from any thread."""
        with self._change:
            return Reading(self, head, self._readers.enter(gone), gone)

    def known_values(self, window: Window, head: str) -> np.ndarray | None:
        """Return a window that is known, float32 ``[896, tracks]``; NaN where it has no sequence; else None."""
        chrom, index = window
        tracks = self.stored.open(chrom, head).tracks
        values = self.stored.kept(window, head)
        if values is None and self.sequence.ready.is_set() and not self.sequence.windows(chrom)[index]:
            return np.full((BINS, tracks), np.nan, np.float32)
        return values

    def expect(self, reader: str, windows: Sequence[Window], head: str) -> None:
        """Have those of some windows computed, as a reader's next ones, that are unknown."""
        with self._change:
            self._readers.ask(reader, [window for window in windows if not self._has(window, head)], head)
            self._change.notify_all()

    def wait_for(self, reader: str, window: Window, head: str, gone: Callable[[], bool]) -> np.ndarray | None:
        """Wait for a window, float32 ``[896, tracks]``: None where ``gone`` says that nobody reads any longer.

        A window that failed before is tried again. Raises TracksError where it fails, or where predicting ends.
        """
        with self._change:
            self._mend([(window, head)])
        while True:
            values = self.known_values(window, head)
            if values is not None:
                return values
            with self._change:
                if (window, head) in self._failed:
                    raise TracksError(self._failed[window, head])
                if self._stop.is_set():
                    raise TracksError("the server stops")
                if gone():
                    self._readers.leave(reader)
                    return None
                self._readers.ask(reader, [window], head)
                self._change.notify_all()
                self._change.wait(_READER_LOOKS)

    def finished(self, reader: str) -> None:
        """Forget a reader and what it waits for."""
        with self._change:
            self._readers.leave(reader)

    def _has(self, window: Window, head: str) -> bool:
        chrom, index = window
        return bool(self.stored.needless(chrom, head, range(index, index + 1))[0])

    def retry(self, span: Span | None = None) -> None:
        """Forget failures in a span of the axis, or everywhere, so that whoever looks there asks again."""
        with self._change:
            failed = [
                (window, head)
                for window, head in self._failed
                if span is None or (self.stored.span(window)[0] < span[1] and self.stored.span(window)[1] > span[0])
            ]
            for key in failed:
                del self._failed[key]
            if not self._failed:
                self._trouble = ""
        if failed:
            self._publish_changed(window for window, _ in failed)
        self._tell()

    def _unknown(self, span: Span, head: str) -> list[Window]:
        found = []
        for chrom, over in self.stored.windows(span):
            needless = self.stored.needless(chrom, head, over)
            found += [
                (chrom, index)
                for index, skip in zip(over, needless, strict=True)
                if not skip and ((chrom, index), head) not in self._failed
            ]
        return found

    # The background.

    def _wake(self) -> None:
        with self._change:
            self._change.notify_all()

    def _survey(self) -> None:
        """Open every chromosome's store, and count where the genome has sequence."""
        try:
            for chrom, length in self.axis.chrom_sizes.items():
                for head in self.heads:
                    if self._stop.is_set():
                        return
                    self.stored.open(chrom, head)
                # What was opened shows what was known before.
                if any(self.stored.open(chrom, head).known().any() for head in self.heads):
                    self.events.publish("changed", {"spans": [list(self.axis.absolute(Region(chrom, 0, length)))]})
            self.sequence.count(self._stop)
        except Exception as error:  # a damaged FASTA or store must be told, not end a thread in silence
            self._report(str(error), str(error))
            return
        if not self.sequence.ready.is_set():
            return
        with self._change:
            if self.fill:
                self._rest.extend(
                    (chrom, int(index))
                    for chrom in self.axis.chrom_sizes
                    for index in np.flatnonzero(self.sequence.windows(chrom))
                )
            self._change.notify_all()
        # What was queued may have no sequence, so everything is worth another look.
        self.events.publish("changed", {"spans": [[0, self.axis.length]]})
        self._tell()

    def _goes_on(self, work: Callable[[], None]) -> None:
        """Do a round of background work; what goes wrong (a store that cannot be read) is told, and tried again."""
        try:
            work()
        except Exception as error:
            self._report(f"the predictions stand still: {error}", str(error))
            self._stop.wait(_LOOK_AGAIN)

    def _predict(self) -> None:
        while not self._stop.is_set():
            self._goes_on(self._predict_next)

    def _predict_next(self) -> None:
        try:
            with self._change:
                self._change.wait_for(lambda: self._stop.is_set() or self._next() is not None, _LOOK_AGAIN)
                self._readers.leave_gone()
                task = None if self._stop.is_set() else self._next()
                self._computing = task[0] if task is not None else None
            if task is None:
                return
            self._tell()
            if (self.seconds_per_window() or _SLOW) >= _SLOW:
                self._publish_changed([task[0]])  # from queued to computing, which one has time to see
            self._compute(*task)
        finally:
            with self._change:
                self._computing = None
                self._change.notify_all()
        with self._change:
            idle = self._next() is None
        if idle:
            self._tell()

    def _next(self) -> tuple[Window, set[str]] | None:
        soon = [self._wants.next, self._readers.next_soon]
        later = [self.jobs.next, self._readers.next_later]
        first = self._turn % 2
        for ask in (soon[first], soon[1 - first], later[first], later[1 - first], self._neighbour, self._filler):
            task = ask()
            if task is not None:
                return task
        return None

    def _neighbour(self) -> tuple[Window, set[str]] | None:
        """Return an unknown window beside what somebody looks at, nearest first."""
        for view, heads in self._wants.views():
            if view[1] - view[0] > self.max_view:
                continue
            margin = min(view[1] - view[0], _NEIGHBOURS * WINDOW)
            around = (view[0] - margin, view[1] + margin)
            middle = (view[0] + view[1]) / 2
            near = {window: head for head in heads for window in self._unknown(around, head)}
            if near:
                window = min(near, key=lambda found: abs(sum(self.stored.span(found)) / 2 - middle))
                return window, heads
        return None

    def _filler(self) -> tuple[Window, set[str]] | None:
        """Return the next window that nobody asked for."""
        head = self.heads[0]
        while self._rest:
            chrom, index = self._rest[0]
            needless = self.stored.needless(chrom, head, range(index, index + 1))[0]
            if not needless and (self._rest[0], head) not in self._failed:
                return self._rest[0], {head}
            self._rest.popleft()
        return None

    def _compute(self, window: Window, heads: Iterable[str]) -> None:
        failures: dict[str, str] = {}
        try:
            # Another process may have computed it meanwhile.
            missing = [head for head in sorted(heads) if self.stored.read(window, head) is None]
            started = time.monotonic()
            inputs = self.predictor.inputs(*window, missing) if missing else None
            for head in missing:
                self._compute_head(window, head, inputs, failures)
            if missing and not failures:
                self._seconds.append(time.monotonic() - started)
        except Exception as error:  # one window's failure is shown for that window, and the others go on
            failures = dict.fromkeys(heads, _in_words(error))
        with self._change:
            for head in heads:
                if head in failures:
                    self._failed[window, head] = failures[head]
                self._wants.done(window, head)
                self._readers.done(window, head)
            self._mend([(window, head) for head in heads if head not in failures])
            self._turn += 1
        if failures:
            why = next(iter(failures.values()))
            self._report(f"cannot predict {self.stored.region(window)}: {why}", why)
        self.jobs.done(window, failures, self.seconds_per_window())
        self._publish_changed([window])

    def _compute_head(self, window: Window, head: str, inputs: Any, failures: dict[str, str]) -> None:
        try:
            self.stored.write(window, head, self.predictor.head_window(inputs, head))
        except Exception as error:  # one head's failure is its own
            failures[head] = _in_words(error)

    def _watch(self) -> None:
        """Tell what other processes leave in the store, and forget clients of which nothing is heard."""
        while not self._stop.wait(_LOOK_AGAIN):
            self._goes_on(self._look_around)

    def _look_around(self) -> None:
        with self._change:
            self._wants.forget(time.monotonic() - _SILENCE)
        new = self.stored.news()
        if new:
            with self._change:
                for window, head in new:
                    self._wants.done(window, head)
                    self._readers.done(window, head)
                self._mend(new)
            self._publish_changed(window for window, _ in new)
            self._tell()

    def _mend(self, known: Iterable[tuple[Window, str]]) -> None:
        """Forget the failures of what is known by now, or tried again."""
        for key in known:
            if self._failed.pop(key, None) is not None and not self._failed:
                self._trouble = ""

    def _publish_changed(self, windows: Iterable[Window]) -> None:
        self.events.publish("changed", {"spans": self.stored.spans(windows)})

    def _tell(self) -> None:
        # A store that cannot be read is told by whoever needs it.
        with contextlib.suppress(OSError, TracksError):
            self.events.publish("status", self.now().to_json())

    def _report(self, message: str, why: str) -> None:
        with self._change:
            told = self._trouble.endswith(why)
            self._trouble = message
        # A full disk fails every window alike; once is enough on the terminal.
        if not told:
            print(f"tracks: warning: {message}", file=sys.stderr, flush=True)
        self._tell()


def _in_words(error: Exception) -> str:
    return str(error) or type(error).__name__
