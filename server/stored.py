"""What the store holds of a genome's predictions by each head, on the axis; it may be asked from any thread."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from server.byte_cache import ByteCache
from tracks.grid import WINDOW, windows_over
from tracks.regions import Region, join_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from model.predict import Predictor
    from server.axis import Axis
    from server.sequence import SequenceMap
    from server.wants import Span, Window
    from tracks.store import Store, WindowStore


_KEPT_BYTES = 64 << 20


class Stored:
    """The stored windows of every chromosome and head, opened one after another: ``open`` takes time, for a
    chromosome's digest its whole sequence is read."""

    def __init__(self, predictor: Predictor, store: Store, sequence: SequenceMap, axis: Axis) -> None:
        self._predictor, self._store, self._sequence, self._axis = predictor, store, sequence, axis
        self.heads = tuple(spec.name for spec in predictor.model.heads)
        self._opened: dict[tuple[str, str], WindowStore] = {}
        self._seen: dict[tuple[str, str], np.ndarray] = {}
        self._kept: ByteCache[np.ndarray] = ByteCache(_KEPT_BYTES, lambda values: values.nbytes)
        self._lock = threading.Lock()

    def open(self, chrom: str, head: str) -> WindowStore:
        """Return the stored windows of a chromosome and head."""
        if (chrom, head) not in self._opened:
            self._opened[chrom, head] = self._predictor.known_windows(self._store, chrom, head)
        return self._opened[chrom, head]

    def opened(self, chrom: str, head: str) -> WindowStore | None:
        """Return the stored windows of a chromosome and head where that takes no time, else None: nothing is known
        of them yet."""
        return self._opened.get((chrom, head))

    def known(self, chrom: str, head: str) -> np.ndarray:
        """Return which windows of a chromosome are known, or hold no sequence and so need no computing: bool
        ``[windows]``."""
        self.open(chrom, head)
        return self.needless(chrom, head)

    def needless(self, chrom: str, head: str, over: range | None = None) -> np.ndarray:
        """Return ``known`` of some windows, by default all, as far as it is known without waiting."""
        over = over if over is not None else windows_over(Region(chrom, 0, self._axis.chrom_sizes[chrom]))
        store = self.opened(chrom, head)
        needless = np.zeros(len(over), bool) if store is None else store.known()[over.start : over.stop]
        if self._sequence.ready.is_set():
            needless |= ~self._sequence.windows(chrom)[over.start : over.stop]
        return needless

    def count(self, head: str) -> tuple[int, int | None]:
        """Return how many windows with sequence are known by a head, and how many there are (None: not counted yet)."""
        ready, known, total = self._sequence.ready.is_set(), 0, 0
        for chrom in self._axis.chrom_sizes:
            with_sequence: Any = self._sequence.windows(chrom) if ready else True
            store = self.opened(chrom, head)
            known += int((store.known() & with_sequence).sum()) if store is not None else 0
            total += int(with_sequence.sum()) if ready else 0
        return known, total if ready else None

    def overview(self, chrom: str, head: str) -> dict[str, Any]:
        """Return where a chromosome is predicted: ``known`` spans of the axis, joined."""
        store = self.opened(chrom, head)
        indices: list[int] = np.flatnonzero(store.known()).tolist() if store is not None else []
        return {"chrom": chrom, "head": head, "known": join_spans(self.span((chrom, index)) for index in indices)}

    def news(self) -> list[tuple[Window, str]]:
        """Return the windows, and their heads, that other processes have left since it was asked last."""
        found: list[tuple[Window, str]] = []
        for (chrom, head), store in list(self._opened.items()):
            known = store.known()
            with self._lock:
                before = self._seen.get((chrom, head))
                self._seen[chrom, head] = known
            if before is not None:
                found += [((chrom, int(index)), head) for index in np.flatnonzero(known & ~before)]
        return found

    def read(self, window: Window, head: str) -> np.ndarray | None:
        """Return a window that is known, float32 ``[896, tracks]``, or None."""
        chrom, index = window
        store = self.open(chrom, head)
        values = store.read(index)
        # One whose summary a full disk left out is in no wide view, so it is not known, and writing it says why.
        return values if values is not None and store.known()[index] else None

    def kept(self, window: Window, head: str) -> np.ndarray | None:
        """Return a stored window as tiles read it, float32 ``[896, tracks]``, or None; the last ones stay in memory.

        Opening 37 files for one tile lets go of the interpreter's lock as often, and with eight clients each time waits
        to get it back: 95 % of tiles were there within 86 ms with these, and 190 ms without
        (benchmarks/server_load.py).
        """
        chrom, index = window
        store = self.opened(chrom, head)

        def read() -> np.ndarray:
            values = store.read(index) if store is not None else None
            if values is None:
                raise LookupError
            return values

        try:
            return self._kept.get((chrom, head, index), read)
        except LookupError:
            return None

    def write(self, window: Window, head: str, values: np.ndarray) -> None:
        """Keep a window, float32 ``[896, tracks]``, which is then no news. Raises TracksError."""
        chrom, index = window
        self.open(chrom, head).write(index, values)
        with self._lock:
            if (chrom, head) in self._seen:
                self._seen[chrom, head][index] = True

    def windows(self, span: Span) -> Iterator[tuple[str, range]]:
        """Yield the windows over a span of the axis, by chromosome."""
        for piece in self._axis.pieces(*span):
            yield piece.region.chrom, windows_over(piece.region)

    def region(self, window: Window) -> Region:
        """Return a window's region, cut at its chromosome's end."""
        chrom, index = window
        return Region(chrom, index * WINDOW, min((index + 1) * WINDOW, self._axis.chrom_sizes[chrom]))

    def span(self, window: Window) -> Span:
        """Return a window's span on the axis."""
        return self._axis.absolute(self.region(window))

    def spans(self, windows: Iterable[Window]) -> list[list[int]]:
        """Return the spans of windows on the axis, joined, JSON-ready."""
        return [list(span) for span in join_spans(self.span(window) for window in windows)]
