"""Work in several processes, its results in order; and what a process may use of the machine."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import threading
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, TypeVar

from tracks.errors import TracksError
from tracks.memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_LOOK_AHEAD = 2
"""Items a process that are begun or done and not yet taken, so that memory does not grow with the work."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def map_in_order(function: Callable[[_Item], _Result], items: Sequence[_Item], processes: int) -> Iterator[_Result]:
    """Yield ``function`` of each item, in order, worked out in so many processes (1: in this one).

    ``function``, items and results must pickle: a function of a module, or a ``functools.partial`` of one. Raises the
    TracksError that a worker raised, or one that says that a worker was killed.
    """
    if processes == 1 or len(items) <= 1:
        yield from map(function, items)
        return
    # spawn: a fork of a process with threads (the progress bar has one) can stop for good.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(processes, len(items)), context, initializer=start_worker)
    waiting: deque[Future[_Result]] = deque()
    try:
        for item in items:
            with interrupts_held():  # a worker may begin with this
                waiting.append(pool.submit(function, item))
            if len(waiting) >= _LOOK_AHEAD * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise TracksError(
            "a worker process ended before its work was done, perhaps for want of memory; use fewer --processes"
        ) from error
    except BaseException:
        # Workers do not hear Ctrl-C, and nobody waits for what they have begun. (There is no public way before 3.14.)
        for worker in list((pool._processes or {}).values()):
            worker.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Let Ctrl-C wait. Processes that are started meanwhile inherit that, until they have learnt to ignore it."""
    # It is started with the first process otherwise, and would let Ctrl-C through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def usable_cpus() -> int:
    """Return how many CPUs this process may use; a job of a cluster may use fewer than the machine has."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def start_worker() -> None:
    """Set a worker up: Ctrl-C is for the parent, which ends its workers; when the parent is killed, they end too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def allow_open_files(count: int) -> None:
    """See that this process may have so many files open, as far as the system lets it; some allow 256 unless asked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = count if hard == resource.RLIM_INFINITY else min(hard, count)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
