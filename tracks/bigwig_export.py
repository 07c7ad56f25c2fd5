"""bigWigs of whole chromosomes from the store, by several processes, while the last windows are being computed."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Self

from tracks.bigwig_columns import Job, Member, write_group
from tracks.errors import TracksError
from tracks.export import Written, check_output, output_path
from tracks.folder_lock import folder_lock
from tracks.grid import bin_count, window_count
from tracks.parallel import allow_open_files, interrupts_held, start_worker
from tracks.renaming import rename_together, unfinished_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from multiprocessing.connection import Connection
    from pathlib import Path
    from types import TracebackType
    from typing import Any

    from tracks.method import Method
    from tracks.track import Track

_LEFTOVERS = ".*.export-*.partial.bw"
_OPEN_TRACKS = 256
"""Tracks that one process writes at a time: each has two files open, and some 0.5 MB of memory for an hg38."""


@dataclass(frozen=True)
class ExportHead:
    """A head and what is written of it: the ``columns`` of its ``stored`` tracks in the store, and their ``tracks``."""

    digest: str
    stored: int
    columns: tuple[int, ...]
    tracks: tuple[Track, ...]


@dataclass(frozen=True)
class ExportChrom:
    """A whole chromosome to write: ``sequence`` is its refget digest, by which the store knows it."""

    name: str
    length: int
    sequence: str


@dataclass(frozen=True)
class BigWigExport:
    """What is written: tracks of some heads over whole chromosomes (in the order of ``chrom_sizes``, which all go
    into the files' headers), read from the store folder ``store``, to one bigWig a track in ``out``."""

    out: Path
    store: Path
    method: Method
    chrom_sizes: Mapping[str, int]
    chroms: tuple[ExportChrom, ...]
    heads: tuple[ExportHead, ...]
    overwrite: bool = False

    @property
    def tracks(self) -> tuple[Track, ...]:
        """All tracks, in the order of heads and columns."""
        return tuple(track for head in self.heads for track in head.tracks)

    @property
    def windows(self) -> int:
        """Windows of all chromosomes."""
        return total_windows(self.chroms)


def total_windows(chroms: Sequence[ExportChrom]) -> int:
    """Return the windows of all chromosomes of an export."""
    return sum(window_count(chrom.length) for chrom in chroms)


def check_export(export: BigWigExport) -> None:
    """See that an export could be written, before anything is computed; nothing is made or changed.

    Raises what ``tracks.export.check_output`` raises. Files that a killed run had given their names before it could
    name them all are its leftovers, and may be replaced.
    """
    check_output(export.out, export.tracks, "bigwig", overwrite=True)
    unfinished = unfinished_names(export.out)
    others = [track for track in export.tracks if output_path(export.out, track, "bigwig").name not in unfinished]
    check_output(export.out, others, "bigwig", export.overwrite)
    too_long = next((chrom for chrom, length in export.chrom_sizes.items() if length >= 1 << 32), None)
    if too_long is not None:
        raise TracksError(
            f"cannot write bigWigs to {export.out}: {too_long} is too long for the format (4,294,967,295 bases)"
        )


class BigWigExporter:
    """Writes an export in ``processes`` worker processes, which read the store themselves; a context manager.

    While it is open, this process holds ``folder_lock`` of the output folder (take no second one). ``advance`` as
    windows come into the store, and ``finish`` when all are there; leaving without ``finish`` leaves no file.
    ``locked`` is False where the file system of the folder knows no locks (see ``folder_lock``).
    Entering raises what ``check_export`` and ``folder_lock`` raise.
    """

    def __init__(self, export: BigWigExport, processes: int) -> None:
        self.export, self._processes = export, processes
        self.locked = False
        self._token = f"export-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._closing = ExitStack()
        self._workers: list[multiprocessing.process.BaseProcess] = []
        self._results: dict[Connection, list[tuple[int, int]] | None] = {}

    def __enter__(self) -> Self:
        export = self.export
        check_export(export)
        with ExitStack() as entered:
            self.locked = entered.enter_context(folder_lock(export.out, "an export of bigWigs"))
            entered.callback(self._remove_partials, f".*.{self._token}.partial.bw")
            check_export(export)  # somebody may have written them just before the lock was ours
            if self.locked:
                self._remove_partials(_LEFTOVERS)
            entered.callback(self._end_workers)
            try:
                self._start()
            except OSError as error:
                raise TracksError(f"cannot start processes that write bigWigs: {error.strerror}") from error
            self._closing = entered.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def advance(self, done: int) -> None:
        """Say that the first ``done`` windows, in the order of ``chroms``, are in the store now; workers write up to
        there. Raises TracksError when a worker has failed meanwhile."""
        self._shared[0] = done
        self._collect(0)

    def finish(self, progress: Callable[[int, int], None] = lambda done, total: None) -> tuple[Written, ...]:
        """Write the rest, all windows being in the store, and give all files their names; return one entry a track.

        A track without any value gets no file, and one left from an earlier run is removed; when no track has a
        value, nothing is changed. ``progress`` is told the bins of tracks that are done and in all. Raises TracksError
        when a worker fails, or a file cannot be written or named; predicted windows are kept then.
        """
        self.advance(self.export.windows)
        bins = sum(bin_count(chrom.length) for chrom in self.export.chroms)
        tracks = self.export.tracks
        while self._collect(0.2):
            progress(sum(self._shared[1:]), bins * len(tracks))
        self._end_workers()
        counts = [count for result in self._results.values() for count in result or ()]
        paths = [output_path(self.export.out, track, "bigwig") for track in tracks]
        valued = dict(counts)
        if any(valued.values()):
            job = self._job()
            files = {path.name: job.partial(path) if valued[at] else None for at, path in enumerate(paths)}
            try:
                check_export(self.export)  # whatever has come there meanwhile
                with interrupts_held():
                    rename_together(self.export.out, files)
            except TracksError as error:
                raise self._failed(str(error)) from error
            except OSError as error:
                raise self._failed(f"cannot write to {self.export.out}: {error.strerror}") from error
        progress(bins * len(tracks), bins * len(tracks))
        return tuple(
            Written(track, paths[at] if valued[at] else None, bins, valued[at]) for at, track in enumerate(tracks)
        )

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        groups = _groups(self.export, max(1, self._processes))
        count = min(max(1, self._processes), len(groups))
        self._shared = context.RawArray("q", 1 + count)
        for worker in range(count):
            ours, theirs = context.Pipe(duplex=False)
            arguments = (self._job(), groups[worker::count], self._shared, worker, theirs)
            process = context.Process(target=_work, args=arguments, daemon=True)
            with interrupts_held():
                process.start()
                self._workers.append(process)
            theirs.close()
            self._results[ours] = None

    def _job(self) -> Job:
        export = self.export
        return Job(export.out, self._token, export.store, export.method, dict(export.chrom_sizes), export.chroms)

    def _collect(self, timeout: float) -> bool:
        """Take results that have come; say whether there are more to come."""
        waiting = [connection for connection, result in self._results.items() if result is None]
        come = set(wait(waiting, timeout)) if waiting else set()
        for connection in waiting:
            if connection not in come:
                continue
            try:
                result = connection.recv()
            except (EOFError, OSError):
                result = "a process that wrote bigWigs was ended, perhaps for want of memory (use fewer --processes)"
            if isinstance(result, str):
                raise self._failed(result)
            self._results[connection] = result
        return any(result is None for result in self._results.values())

    def _end_workers(self) -> None:
        """End them; those that are done have nothing left to do."""
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.join()
        for connection in self._results:
            connection.close()

    def _remove_partials(self, pattern: str) -> None:
        for path in self.export.out.glob(pattern):
            path.unlink(missing_ok=True)

    def _failed(self, why: str) -> TracksError:
        return TracksError(
            f"{why}; predicted windows are kept in {self.export.store}, and the same command goes on from there"
        )


def _groups(export: BigWigExport, processes: int) -> list[tuple[Member, ...]]:
    """Share tracks out: groups of neighbours, as many for each process, and none too large."""
    members = [
        Member(at, head.digest, head.stored, column, output_path(export.out, track, "bigwig"))
        for at, (head, column, track) in enumerate(
            (head, column, track)
            for head in export.heads
            for column, track in zip(head.columns, head.tracks, strict=True)
        )
    ]
    count = processes * -(-len(members) // (processes * _OPEN_TRACKS))
    bounds = [len(members) * at // count for at in range(count + 1)]
    groups = [tuple(members[first:last]) for first, last in itertools.pairwise(bounds)]
    return [group for group in groups if group]


def _work(job: Job, groups: Sequence[tuple[Member, ...]], shared: Any, worker: int, results: Connection) -> None:
    """Be a worker: write groups one after the other, and send what was written, or what went wrong, at the end."""
    start_worker()
    allow_open_files(2 * _OPEN_TRACKS + 64)

    def told(bins: int) -> None:
        shared[1 + worker] += bins

    try:
        results.send([entry for group in groups for entry in write_group(job, group, lambda: int(shared[0]), told)])
    except TracksError as error:
        results.send(str(error))
    except Exception as error:  # what nobody thought of must be said too, and in one line
        results.send(f"bigWigs cannot be written: {type(error).__name__}: {error}")
