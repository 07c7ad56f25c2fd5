"""Regions to be predicted in the background, of any size: what ``POST /api/predict`` starts and the job page shows."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from tracks.errors import UsageError
from tracks.grid import windows_over
from tracks.regions import Region, merge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from server.axis import Axis
    from server.events import Events
    from server.wants import Window

UNFINISHED = 50
"""Jobs that may wait or run at once."""

_KEPT = 200


class JobState(StrEnum):
    """How far a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


_FINISHED = {JobState.DONE, JobState.CANCELLED, JobState.FAILED}


@dataclass
class Job:
    """Regions, disjoint and in the genome's order, to be predicted with some heads."""

    id: str
    name: str
    regions: tuple[Region, ...]
    heads: tuple[str, ...]
    span: tuple[int, int]
    windows: dict[str, np.ndarray]
    """By chromosome: the windows still to come, ascending."""
    total: int
    submitted: float = field(default_factory=time.time)
    state: JobState = JobState.QUEUED
    done: int = 0
    failed: int = 0
    message: str = ""
    seconds_left: float | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in _FINISHED

    def to_json(self) -> dict[str, Any]:
        """Return what a page shows of it."""
        return {
            "id": self.id,
            "name": self.name,
            "heads": list(self.heads),
            "state": self.state,
            "done": self.done,
            "total": self.total,
            "seconds_left": self.seconds_left,
            "message": self.message,
            "region": str(self.regions[0]),
            "regions": len(self.regions),
            "start": self.span[0],
            "end": self.span[1],
            "bases": sum(map(len, self.regions)),
            "submitted": self.submitted,
        }


class Jobs:
    """The jobs of a server, first come first served. Safe for many threads.

    ``known(chrom, head)`` says which windows need no more computing, bool ``[windows]``; ``wake`` is called when
    there is new work.
    """

    def __init__(
        self, axis: Axis, events: Events, known: Callable[[str, str], np.ndarray], wake: Callable[[], None]
    ) -> None:
        self._axis, self._events, self._known, self._wake = axis, events, known, wake
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.RLock()

    def submit(self, regions: Sequence[Region], heads: Sequence[str], name: str = "") -> Job:
        """Queue regions (0-based half-open; they may overlap) for some heads, and return the job.

        Windows that are known already count as done; the same regions and heads as those of an unfinished job are that
        job. Raises UsageError when there is nothing to do it for or too
        many jobs wait.
        """
        if not regions or not heads:
            raise UsageError("a job needs a region and a head")
        merged = tuple(merge(regions, self._axis.chrom_sizes))
        touched: dict[str, set[int]] = {}
        for region in merged:
            touched.setdefault(region.chrom, set()).update(windows_over(region))
        windows, total = {}, 0
        for chrom, indices in touched.items():
            asked = np.array(sorted(indices))
            known = np.logical_and.reduce([self._known(chrom, head)[asked] for head in heads])
            windows[chrom] = asked[~known]
            total += len(asked)
        left = sum(map(len, windows.values()))
        spans = [self._axis.absolute(region) for region in merged]
        span = min(start for start, _ in spans), max(end for _, end in spans)
        more = f" and {len(merged) - 1:,} more" if len(merged) > 1 else ""
        title = name.strip()[:100] or f"{merged[0]}{more}"
        job = Job(secrets.token_hex(6), title, merged, tuple(heads), span, windows, total, done=total - left)
        with self._lock:
            for other in self._unfinished():
                if (other.regions, other.heads) == (job.regions, job.heads):
                    return other
            if sum(not other.finished for other in self._jobs.values()) >= UNFINISHED:
                raise UsageError(
                    f"{UNFINISHED} jobs are waiting or running already; cancel one, or wait for one to end"
                )
            self._jobs[job.id] = job
            self._forget()
            if not left:
                job.state = JobState.DONE
            self._tell(job)
        self._wake()
        return job

    def all(self) -> list[Job]:
        """Return every job, the latest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def get(self, job_id: str) -> Job | None:
        """Return a job, or None when there is none of that id."""
        return self._jobs.get(job_id)

    def cancel(self, job_id: str) -> Job | None:
        """End a job after the window it is at; what it has computed stays. None when there is none of that id."""
        with self._lock:
            job = self._jobs.get(job_id)
            if job is not None and not job.finished:
                job.state, job.windows, job.seconds_left = JobState.CANCELLED, {}, None
                self._tell(job)
            return job

    def next(self) -> tuple[Window, set[str]] | None:
        """Return the next window of the first job that is not finished, and the heads that it needs."""
        with self._lock:
            for job in self._unfinished():
                for chrom, windows in job.windows.items():
                    if len(windows):
                        if job.state is JobState.QUEUED:
                            job.state = JobState.RUNNING
                            self._tell(job)
                        return (chrom, int(windows[0])), set(job.heads)
        return None

    def done(self, window: Window, failures: Mapping[str, str], seconds: float | None) -> None:
        """Note that a window was computed for some heads, why it failed for others, and the ``seconds`` of one."""
        chrom, index = window
        with self._lock:
            for job in list(self._unfinished()):
                waiting = job.windows.get(chrom)
                at = int(np.searchsorted(waiting, index)) if waiting is not None else 0
                if waiting is None or at == len(waiting) or waiting[at] != index:
                    continue
                failure = next((failures[head] for head in job.heads if head in failures), "")
                if not failure and not all(self._known(chrom, head)[index] for head in job.heads):
                    continue  # computed for another head, for somebody else
                job.windows[chrom] = np.delete(waiting, at)
                job.done, job.failed = job.done + (not failure), job.failed + bool(failure)
                left = sum(map(len, job.windows.values()))
                job.seconds_left = left * seconds if seconds is not None and left else None
                if failure:
                    job.message = f"{job.failed:,} of {job.total:,} windows failed: {failure}"
                if not left:
                    job.state = JobState.FAILED if job.failed else JobState.DONE
                self._tell(job)

    def pending(self) -> list[tuple[str, np.ndarray]]:
        """Return the windows that jobs still wait for, by job and chromosome."""
        with self._lock:
            return [(chrom, windows) for job in self._unfinished() for chrom, windows in job.windows.items()]

    def _unfinished(self) -> Iterator[Job]:
        return (job for job in self._jobs.values() if not job.finished)

    def _forget(self) -> None:
        for job_id in [job.id for job in self._jobs.values() if job.finished][: max(len(self._jobs) - _KEPT, 0)]:
            del self._jobs[job_id]

    def _tell(self, job: Job) -> None:
        self._events.publish("job", job.to_json())
