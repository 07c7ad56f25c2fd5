"""Columns of the store as bigWigs: what one process of an export does (``tracks.bigwig_export``)."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from tracks.bigwig import Bins, runs
from tracks.bigwig_writer import BigWigWriter, cut
from tracks.errors import TracksError
from tracks.files import sync_file
from tracks.grid import BINS, WINDOW, bin_count, window_count
from tracks.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tracks.bigwig_export import ExportChrom
    from tracks.method import Method
    from tracks.store import WindowStore

_BATCH_VALUES = 1 << 22
"""Values that are read before they are written, all tracks together (16 MB)."""
_BATCH_WINDOWS = 64
_PAUSE = 0.02
"""Seconds until a process that waits for windows looks again."""


@dataclass(frozen=True)
class Job:
    """What is alike for all processes of an export."""

    out: Path
    token: str
    store: Path
    method: Method
    chrom_sizes: dict[str, int]
    chroms: tuple[ExportChrom, ...]

    def partial(self, path: Path) -> Path:
        """Return the name under which a file is written."""
        return path.with_name(f".{path.stem}.{self.token}.partial{path.suffix}")


@dataclass(frozen=True)
class Member:
    """One track: its number in the export, where it is in the store, and its file."""

    number: int
    digest: str
    stored: int
    column: int
    path: Path


def write_group(
    job: Job, group: Sequence[Member], ready: Callable[[], int], progress: Callable[[int], None]
) -> list[tuple[int, int]]:
    """Write some tracks, each under ``job.partial`` of its name, as their windows come: ``ready()`` says how many, in
    the order of the chromosomes, are in the store. Return each track's number and how many of its bins have a value.

    A file without a value is not made. What was written is on the disk itself. Raises TracksError when a window is
    missing or damaged, or a file cannot be written.
    """
    writers: dict[int, BigWigWriter] = {}
    valued = dict.fromkeys((member.number for member in group), 0)
    with ExitStack() as closing:
        for chrom, first, block in _blocks(job, group, ready):
            for member, values in zip(group, block, strict=True):
                count = int(np.isfinite(values).sum())
                if not count:
                    continue
                valued[member.number] += count
                with _explained(member):
                    if member.number not in writers:
                        writer = BigWigWriter(job.partial(member.path), job.chrom_sizes)
                        closing.callback(writer.abandon)
                        writers[member.number] = writer
                    writers[member.number].add(chrom.name, *_window_runs(Bins(chrom.name, first, values), chrom.length))
            progress(block.size)
        for member in group:
            if member.number in writers:
                with _explained(member):
                    writers.pop(member.number).close()
                    sync_file(job.partial(member.path))
    return list(valued.items())


def _window_runs(bins: Bins, chrom_length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Runs as they are when windows come one at a time: none goes on in the next window."""
    starts, ends, values = runs(bins, chrom_length)
    owner, starts, ends = cut(starts, ends, WINDOW)
    return starts, ends, values[owner]


def _blocks(
    job: Job, group: Sequence[Member], ready: Callable[[], int]
) -> Iterator[tuple[ExportChrom, int, np.ndarray]]:
    """Yield chromosome, first bin and values float32 ``[tracks, bins]`` of a group, as windows come."""
    heads: list[tuple[str, int, slice, np.ndarray]] = []
    for (digest, stored), members in groupby(group, attrgetter("digest", "stored")):
        wanted = [member.column for member in members]
        start = heads[-1][2].stop if heads else 0
        heads.append((digest, stored, slice(start, start + len(wanted)), np.array(wanted)))
    size = min(_BATCH_WINDOWS, max(1, _BATCH_VALUES // (BINS * len(group))))
    store, before = Store(job.store), 0
    for chrom in job.chroms:
        parts = [
            (store.windows(digest, chrom.sequence, chrom.length, stored, job.method), place, columns)
            for digest, stored, place, columns in heads
        ]
        count = window_count(chrom.length)
        for first in range(0, count, size):
            last = min(first + size, count)
            while ready() < before + last:
                time.sleep(_PAUSE)
            block = np.empty((len(group), (last - first) * BINS), np.float32)
            for index in range(first, last):
                for windows, place, columns in parts:
                    values = windows.read(index)
                    if values is None:
                        raise TracksError(_lost(job, chrom, windows, index))
                    block[place, (index - first) * BINS : (index - first + 1) * BINS] = values.T[columns]
            yield chrom, first * BINS, block[:, : bin_count(chrom.length) - first * BINS]
        before += count


def _lost(job: Job, chrom: ExportChrom, windows: WindowStore, index: int) -> str:
    """Say which window cannot be read, and how many more of its chromosome. To read them all makes the store forget
    those that are damaged, so that the next run computes all of them."""
    more = sum(windows.read(other) is None for other in np.flatnonzero(windows.known()).tolist())
    what = f"window {index} of {chrom.name} is" if not more else f"{more + 1:,} windows of {chrom.name} are"
    return f"{what} missing from the prediction store {job.store}, or damaged there"


@contextmanager
def _explained(member: Member) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TracksError(f"cannot write {member.path}: {error.strerror}") from error
