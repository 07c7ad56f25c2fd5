"""Seams: how predictions jump where one window ends and the next begins, against how they change from bin to bin.

With ``window`` edges both bins at a border were computed beside zero padding, each from its own side. Without seams a
border is a place like any other: its jumps have the distribution of the differences inside windows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracks.bigwig_reader import BigWigReader
from tracks.errors import UsageError
from tracks.grid import BIN, BINS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tracks.runs import Runs

# Differences are counted by the first 16 bits after the sign of their float32: 8 of exponent, 8 of fraction.
_CELL_BITS = 15
_CELLS = 1 << (31 - _CELL_BITS)


@dataclass(frozen=True)
class Seams:
    """What one track does at window borders. Jumps are |differences| of neighbouring bins that both have a value, in
    the track's unit; NaN where there is none.

    ``borders`` of them were looked at; the ``largest`` jump there is at the start of bin ``place`` of ``chrom``.
    ``border_median`` is the median there; ``median`` and ``percentile99`` are of the differences inside windows,
    rounded down by at most 0.4 %.
    """

    borders: int
    largest: float
    chrom: str
    place: int
    border_median: float
    above: int
    """Borders whose jump is larger than ``percentile99``."""
    inside: int
    """Differences inside windows."""
    median: float
    percentile99: float

    @property
    def ratio(self) -> float:
        """The largest jump at a border, as a multiple of the median difference inside windows."""
        return self.largest / self.median if self.median else math.nan

    @property
    def typical_ratio(self) -> float:
        """The median jump at borders, as a multiple of that inside windows: about 1 without seams."""
        return self.border_median / self.median if self.median else math.nan

    @property
    def above_share(self) -> float:
        """The part of borders whose jump is above the 99th percentile inside windows: about 0.01 without seams."""
        return self.above / self.borders if self.borders else math.nan


class SeamCounter:
    """Jumps of some tracks, counted piece by piece in bounded memory: 0.5 MB a track, and the jumps at borders."""

    def __init__(self, tracks: int) -> None:
        self._counts = np.zeros((tracks, _CELLS), np.int64)
        self._jumps: list[np.ndarray] = []
        self._places: list[tuple[str, int]] = []
        self._last: tuple[str, int, np.ndarray] | None = None

    def add(self, values: np.ndarray, first_bin: int, chrom: str = "") -> None:
        """Count consecutive bins of a chromosome from ``first_bin`` on, float ``[bins, tracks]``; NaN is missing.

        A piece that begins where the last one ended continues it.
        """
        if not len(values):
            return
        joined = values.astype(np.float32, copy=False)
        if self._last is not None and self._last[:2] == (chrom, first_bin):
            joined, first_bin = np.concatenate([self._last[2], joined]), first_bin - 1
        self._last = chrom, first_bin + len(joined), joined[-1:].copy()
        jumps = np.abs(np.diff(joined, axis=0))
        at_border = slice((-first_bin - 1) % BINS, None, BINS)
        self._jumps.append(jumps[at_border].copy())
        self._places += [(chrom, first_bin + 1 + at) for at in range(len(jumps))[at_border]]
        inside = np.delete(jumps, at_border, axis=0)
        for counts, track in zip(self._counts, inside.T, strict=True):
            cells = np.ascontiguousarray(track[np.isfinite(track)]).view(np.uint32) >> _CELL_BITS
            counts += np.bincount(cells, minlength=_CELLS)

    def report(self) -> tuple[Seams, ...]:
        """Return what each track does, of all that was counted so far."""
        jumps = np.concatenate([np.empty((0, len(self._counts)), np.float32), *self._jumps])
        return tuple(self._seams(track, counts) for track, counts in zip(jumps.T, self._counts, strict=True))

    def _seams(self, jumps: np.ndarray, counts: np.ndarray) -> Seams:
        known = np.flatnonzero(np.isfinite(jumps))
        found = jumps[known]
        percentile99 = _quantile(counts, 0.99)
        largest = int(found.argmax()) if len(found) else -1
        chrom, place = self._places[known[largest]] if len(found) else ("", 0)
        return Seams(
            borders=len(found),
            largest=float(found[largest]) if len(found) else math.nan,
            chrom=chrom,
            place=place,
            border_median=float(np.median(found)) if len(found) else math.nan,
            above=int((found > percentile99).sum()),
            inside=int(counts.sum()),
            median=_quantile(counts, 0.5),
            percentile99=percentile99,
        )


def seam_report(values: np.ndarray, first_bin: int) -> tuple[Seams, ...]:
    """Return what each track does at the window borders of a piece of a chromosome, float ``[bins, tracks]`` from bin
    ``first_bin`` on; NaN is missing."""
    counter = SeamCounter(values.shape[1])
    counter.add(values, first_bin)
    return counter.report()


def bigwig_seams(path: Path, chroms: Sequence[str] = ()) -> Seams:
    """Return what a bigWig file that ``tracks predict`` wrote does at window borders, on some chromosomes (all).

    Raises UsageError when the file is not there, has no such chromosome or is not in 128-bp bins, TracksError when it
    cannot be read.
    """
    counter = SeamCounter(1)
    with BigWigReader(path) as reader:
        for chrom in chroms or reader.chrom_sizes:
            for runs in reader.runs(chrom):
                for first, values in _bins(runs, reader.chrom_sizes.get(chrom, 0), f"{chrom} of {path}"):
                    counter.add(values[:, None], first, chrom)
    (seams,) = counter.report()
    return seams


def _bins(runs: Runs, chrom_length: int, what: str) -> Iterator[tuple[int, np.ndarray]]:
    """Yield bins, float32, with the first one's number: one value for each bin of each run, pieces where gaps are."""
    whole = (runs.starts % BIN == 0) & ((runs.ends % BIN == 0) | (runs.ends == chrom_length))
    if not whole.all():
        at = int(runs.starts[(~whole).argmax()])
        raise UsageError(f"{what} is not in 128-bp bins (at base {at + 1:,}), as files of tracks predict are")
    firsts, lasts = runs.starts // BIN, -(-runs.ends // BIN)
    gaps = np.flatnonzero(firsts[1:] != lasts[:-1]) + 1
    for begin, end in zip([0, *gaps], [*gaps, len(firsts)], strict=True):
        yield int(firsts[begin]), np.repeat(runs.values[begin:end], lasts[begin:end] - firsts[begin:end])


def _quantile(counts: np.ndarray, part: float) -> float:
    """The quantile of what was counted: the lower edge of its cell."""
    total = int(counts.sum())
    if not total:
        return math.nan
    cell = int(np.searchsorted(np.cumsum(counts), max(math.ceil(part * total), 1)))
    return float(np.uint32(cell << _CELL_BITS).view(np.float32))
