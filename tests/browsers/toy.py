"""The whole human genome with made-up predictions, behind the server's own code, and a log of what is computed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
from flask import Flask, request

from server.virtual import PredictedFile, assumed_totals
from server.virtual_http import add_virtual
from tracks.grid import BIN, BINS, bin_count, window_count
from tracks.virtual import Layout, lay_out

# The 25 chromosomes of hg38.
LENGTHS = (
    248956422, 242193529, 198295559, 190214555, 181538259, 170805979, 159345973, 145138636, 138394717, 133797422,
    135086622, 133275309, 114364328, 107043718, 101991189, 90338345, 83257441, 80373285, 58617616, 64444167, 46709983,
    50818468, 156040895, 57227415, 16569,
)  # fmt: skip
SIZES = dict(zip([f"chr{name}" for name in [*range(1, 23), "X", "Y", "M"]], LENGTHS, strict=True))

PATH = "/virtual/toy/toy.bw"
Window = tuple[str, int]


def toy_values(chrom: str, index: int) -> np.ndarray:
    """A window's values, float32 ``[896]`` from 0 to 1; the bins 100 to 149 of each third window are missing."""
    bins = np.arange(index * BINS, (index + 1) * BINS)
    values = (0.5 + 0.3 * np.sin(bins / 90) + 0.2 * np.sin(bins * 1.7 + len(chrom))).astype(np.float32)
    if index % 3 == 0:
        values[100:150] = np.nan
    return values


@dataclass
class ToyPredictions:
    """Predictions that are computed at once, and the windows that were, in order."""

    known: dict[Window, np.ndarray] = field(default_factory=dict)

    def compute(self, window: Window) -> None:
        if window not in self.known:
            self.known[window] = toy_values(*window)[:, None]

    def reading(self, head: str, gone: Callable[[], bool]) -> ToyReading:
        return ToyReading(self, gone)


@dataclass
class ToyReading:
    """As ``server.readers.Reading``."""

    predictions: ToyPredictions
    gone: Callable[[], bool]

    def known(self, window: Window) -> np.ndarray | None:
        return self.predictions.known.get(window)

    def expect(self, windows: Sequence[Window]) -> None:
        for window in windows:
            self.predictions.compute(window)

    def wait_for(self, window: Window) -> np.ndarray | None:
        if self.gone():
            return None
        self.predictions.compute(window)
        return self.known(window)

    def close(self) -> None:
        pass


class ToyFile(PredictedFile):
    """The genome's file. Its zoom levels say what is known, as those of a model do."""

    def __init__(self) -> None:
        self.log = ToyPredictions()
        site = SimpleNamespace(predictions=self.log, axis=SimpleNamespace(chrom_sizes=SIZES))
        super().__init__(site, "toy", 0, _layout, None)  # type: ignore[arg-type]

    def records(self, chrom: str, level: int, over: range) -> np.ndarray:
        return toy_records(chrom, level, over, list(self.log.known))


class ToyValues:
    """All values of some chromosomes, as ``Values`` has them."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self._windows = [(chrom, index) for chrom, length in sizes.items() for index in range(window_count(length))]

    def window(self, chrom: str, index: int) -> np.ndarray:
        return toy_values(chrom, index)

    def records(self, chrom: str, level: int, over: range) -> np.ndarray:
        return toy_records(chrom, level, over, self._windows)


def toy_records(chrom: str, level: int, over: range, known: Iterable[Window]) -> np.ndarray:
    """Zoom records, as ``Values`` has them, of the windows that are known."""
    bins = 8 * 4**level
    values = np.full((len(over) * bins,), np.nan, np.float32)
    first = over.start * bins
    for other, index in known:
        at = index * BINS - first
        if other == chrom and -BINS < at < len(values):
            window = toy_values(chrom, index)[: bin_count(SIZES[chrom]) - index * BINS]
            window = window[max(-at, 0) : len(values) - at]
            values[max(at, 0) : max(at, 0) + len(window)] = window
    values = values.reshape(len(over), bins).astype(np.float64)
    there = ~np.isnan(values)
    return np.stack(
        [
            there.sum(axis=1) * float(BIN),
            np.where(there, values, np.inf).min(axis=1),
            np.where(there, values, -np.inf).max(axis=1),
            np.where(there, values, 0).sum(axis=1) * BIN,
            np.where(there, values**2, 0).sum(axis=1) * BIN,
        ]
    )


@functools.cache
def _layout(slot: int) -> Layout:
    return lay_out(SIZES, assumed_totals(0, 1, sum(SIZES.values())), slot)


class ToyServer:
    """An application that serves one file of the whole genome, and what was asked of it."""

    def __init__(self) -> None:
        self.address = ""
        self.file = ToyFile()
        self.requests: list[str] = []
        self.app = Flask("toy", static_folder=None)
        add_virtual(self.app, self)

        @self.app.before_request
        def note() -> None:
            if request.path == PATH:
                self.requests.append(f"{request.method} {request.headers.get('Range', 'whole')}")

    def find(self, digest: str, name: str) -> ToyFile:
        return self.file

    def url(self, slot: int | None = None) -> str:
        return self.address + PATH + (f"?slot={slot}" if slot else "")

    @property
    def computed(self) -> list[Window]:
        return list(self.file.log.known)

    def forget(self) -> None:
        """Start anew: nothing is known, nothing was asked."""
        self.file.log.known.clear()
        self.requests.clear()


def expected(chrom: str, start: int, end: int) -> np.ndarray:
    """The value of each base of ``[start, end)``, float32 with NaN."""
    first, last = start // BIN, -(-end // BIN)
    windows = [toy_values(chrom, index) for index in range(first // BINS, -(-last // BINS))]
    bins = np.concatenate(windows)[first % BINS :][: last - first]
    return np.repeat(bins, BIN)[start - first * BIN :][: end - start]
