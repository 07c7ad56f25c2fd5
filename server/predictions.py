"""Predictions made live: one thread, one model, the windows that a person looks at first.

The thread reads a window from the store or predicts and stores it (``model.predict.predict_windows``), then shows
it here. Nothing waits for it: whoever asks gets what is known now, and which bins are still to come.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

import numpy as np

from model.predict import predict_windows
from tracks.grid import BINS, WINDOW, windows_over
from tracks.regions import Region

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from model.predict import Predictor
    from server.sequence import SequenceMap
    from tracks.store import Store

Window = tuple[str, int]


class State(StrEnum):
    """What the background thread is at."""

    LOOKING = "looking"
    COMPUTING = "computing"
    READY = "ready"
    FAILED = "failed"


class Status(IntEnum):
    """What is known of a window."""

    UNASKED = 0
    COMING = 1
    KNOWN = 2
    FAILED = 3


@dataclass(frozen=True)
class Progress:
    """Windows done, in all and failed, and the regions that came since an earlier revision."""

    state: State
    revision: int
    done: int
    total: int
    failed: int
    message: str
    changed: tuple[Region, ...]


class Predictions:
    """A model's predictions of a genome, as far as they are known, and the thread that makes them.

    ``first`` is predicted before anything else; then, when the genome has no more windows with sequence than
    ``fill_limit``, all the others. In a larger genome only windows that somebody looks at are predicted.
    """

    fill_limit = 4096
    request_limit = 96

    def __init__(self, predictor: Predictor, store: Store, sequence: SequenceMap, first: Region) -> None:
        self.predictor, self.store, self.sequence = predictor, store, sequence
        self._known: OrderedDict[Window, np.ndarray] = OrderedDict()
        self._failed: set[Window] = set()
        self._wanted: OrderedDict[Window, None] = OrderedDict()
        self._at: Window = (first.chrom, 0)
        self._trouble = ""
        self._changed: list[Region] = []
        self._with_sequence: frozenset[Window] | None = None
        self._change = threading.Condition()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._count, name="sequence", daemon=True),
            threading.Thread(target=self._predict, name="predictions", daemon=True),
        ]
        self.request(first.chrom, windows_over(first))

    def start(self) -> None:
        """Start predicting in the background."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """End the background work after the window it is at."""
        self._stop.set()
        with self._change:
            self._change.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout)

    def wait(self, timeout: float) -> bool:
        """Wait until every window that is to come has come. False when that took longer than ``timeout`` seconds."""
        with self._change:
            return self._change.wait_for(lambda: self._with_sequence is not None and not self._wanted, timeout)

    def request(self, chrom: str, windows: Iterable[int]) -> None:
        """Ask for windows ahead of all others, in this order. Too many at once are not asked for: the view is so
        wide that its windows come in the genome's order, or not at all."""
        indices = list(windows)
        if len(indices) > self.request_limit:
            return
        with self._change:
            for window in [(chrom, index) for index in reversed(indices)]:
                if window not in self._known and window not in self._failed and self._may_hold_sequence(window):
                    self._wanted[window] = None
                    self._wanted.move_to_end(window, last=False)
            self._change.notify_all()

    def bins(self, chrom: str, first: int, last: int, track: int) -> tuple[np.ndarray, np.ndarray]:
        """Return what is known of a chromosome's bins ``[first, last)``: values float32 of one track, NaN where
        none, and the ``Status`` of each bin's window, uint8."""
        indices = range(first // BINS, -(-last // BINS))
        values = np.full(len(indices) * BINS, np.nan, np.float32)
        status = np.full(len(values), Status.UNASKED, np.uint8)
        with self._change:
            for place, index in enumerate(indices):
                here = slice(place * BINS, (place + 1) * BINS)
                known = self._known.get((chrom, index))
                if known is not None:
                    values[here], status[here] = known[:, track], Status.KNOWN
                elif (chrom, index) in self._failed:
                    status[here] = Status.FAILED
                elif self._with_sequence is None or (chrom, index) in self._wanted:
                    status[here] = Status.COMING
        inside = slice(first - indices.start * BINS, last - indices.start * BINS)
        return values[inside], status[inside]

    def _may_hold_sequence(self, window: Window) -> bool:
        return self._with_sequence is None or window in self._with_sequence

    def progress(self, since: int = 0) -> Progress:
        """Say how far the work is, and what has come since revision ``since``."""
        with self._change:
            if self._with_sequence is None and not self._wanted and not self._trouble:
                state = State.LOOKING
            elif self._wanted:
                state = State.COMPUTING
            else:
                state = State.FAILED if self._trouble else State.READY
            return Progress(
                state=state,
                revision=len(self._changed),
                done=len(self._known),
                total=len(self._known) + len(self._wanted) + len(self._failed),
                failed=len(self._failed),
                message=self._trouble,
                changed=tuple(self._changed[max(since, 0) :]),
            )

    def _region(self, window: Window) -> Region:
        chrom, index = window
        length = self.sequence.genome.chrom_sizes[chrom]
        return Region(chrom, index * WINDOW, min((index + 1) * WINDOW, length))

    def _count(self) -> None:
        try:
            self.sequence.count(self._stop)
        except Exception as error:  # a damaged FASTA must be told, not end a thread in silence
            self._tell(str(error))
            return
        if not self.sequence.ready.is_set():
            return
        genome = self.sequence.genome
        windows = [(chrom, index) for chrom in genome.chrom_sizes for index in self.sequence.windows(chrom)]
        with self._change:
            self._with_sequence = frozenset(windows)
            asked = [window for window in self._wanted if window in self._with_sequence]
            fill = windows if len(windows) <= self.fill_limit else []
            self._wanted = OrderedDict.fromkeys(
                window for window in [*asked, *fill] if window not in self._known and window not in self._failed
            )
            # What was shown as still to come may have no sequence, so everything is worth another look.
            self._changed += [Region(chrom, 0, length) for chrom, length in genome.chrom_sizes.items()]
            self._change.notify_all()

    def _predict(self) -> None:
        while not self._stop.is_set():
            with self._change:
                self._change.wait_for(lambda: self._wanted or self._stop.is_set())
                if self._stop.is_set():
                    return
                self._at = next(iter(self._wanted))
            chrom = self._at[0]
            try:
                for index, values in predict_windows(self.predictor, chrom, self._asked(chrom), self.store):
                    self._finish((chrom, index), values)
            except Exception as error:  # one window's failure is shown for that window, and the others go on
                self._tell(f"cannot predict {self._region(self._at)}: {error}", why=str(error))
                self._finish(self._at, None)

    def _asked(self, chrom: str) -> Iterator[int]:
        """Yield the windows that come next, as long as they are of one chromosome."""
        while not self._stop.is_set():
            with self._change:
                window = next(iter(self._wanted), None)
                if window is None or window[0] != chrom:
                    return
                self._at = window
            yield window[1]

    def _finish(self, window: Window, values: np.ndarray | None) -> None:
        with self._change:
            self._wanted.pop(window, None)
            if values is None:
                self._failed.add(window)
            else:
                self._known[window] = values
                if len(self._known) > self.fill_limit:
                    self._known.popitem(last=False)
            self._changed.append(self._region(window))
            self._change.notify_all()

    def _tell(self, message: str, why: str = "") -> None:
        with self._change:
            told = bool(why) and self._trouble.endswith(why)
            self._trouble = message
        # A full disk fails every window alike; once is enough on the terminal.
        if not told:
            print(f"tracks: warning: {message}", file=sys.stderr, flush=True)
