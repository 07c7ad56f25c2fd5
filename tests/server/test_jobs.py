from __future__ import annotations

import numpy as np
import pytest

from server.axis import Axis
from server.events import Events
from server.jobs import UNFINISHED, Jobs, JobState
from server.wants import Window
from tracks.errors import UsageError
from tracks.grid import WINDOW, window_count
from tracks.regions import Region

SIZES = {"chr2": 10 * WINDOW, "chr1": 5 * WINDOW - 7}


class Bench:
    """Jobs on a small axis, and what is known there."""

    def __init__(self) -> None:
        self.known = {(chrom, head): np.zeros(window_count(n), bool) for chrom, n in SIZES.items() for head in "ab"}
        self.events, self.woken = Events(), 0
        self.jobs = Jobs(Axis(SIZES), self.events, lambda chrom, head: self.known[chrom, head], self.wake)

    def wake(self) -> None:
        self.woken += 1

    def serve(self, failure: str = "") -> Window | None:
        task = self.jobs.next()
        if task is None:
            return None
        window, heads = task
        for head in heads:
            self.known[window[0], head][window[1]] = not failure
        self.jobs.done(window, dict.fromkeys(heads, failure) if failure else {}, 2.0)
        return window


def test_a_job_runs_through_its_windows_in_the_genomes_order() -> None:
    bench = Bench()
    bench.known["chr2", "a"][3] = True
    job = bench.jobs.submit(
        [Region("chr1", 0, 10), Region("chr2", 2 * WINDOW + 5, 4 * WINDOW + 1), Region("chr2", 2 * WINDOW, 3 * WINDOW)],
        ["a"],
    )
    assert bench.woken == 1
    assert (job.state, job.done, job.total) == (JobState.QUEUED, 1, 4)
    assert job.to_json()["region"] == f"chr2:{2 * WINDOW + 1:,}-{4 * WINDOW + 1:,}"
    assert job.span == (2 * WINDOW, 10 * WINDOW + 10)
    assert bench.serve() == ("chr2", 2)
    assert (job.state, job.done, job.seconds_left) == (JobState.RUNNING, 2, 4.0)
    assert [bench.serve(), bench.serve(), bench.serve()] == [("chr2", 4), ("chr1", 0), None]
    assert (job.state, job.done, job.seconds_left) == (JobState.DONE, 4, None)
    kinds = [event.data["state"] for event in bench.events.after(0, 0)[1]]
    assert kinds[0] == "queued"
    assert kinds[-1] == "done"


def test_what_is_known_already_is_done_at_once() -> None:
    bench = Bench()
    bench.known["chr1", "a"][:] = bench.known["chr1", "b"][:] = True
    assert bench.jobs.submit([Region("chr1", 0, 10)], ["a", "b"]).state is JobState.DONE
    assert bench.serve() is None


def test_jobs_come_one_after_another_and_share_windows() -> None:
    bench = Bench()
    first = bench.jobs.submit([Region("chr1", 0, 2 * WINDOW)], ["a"], "mine")
    second = bench.jobs.submit([Region("chr1", WINDOW, 3 * WINDOW)], ["a"])
    assert [bench.serve() for _ in range(4)] == [("chr1", 0), ("chr1", 1), ("chr1", 2), None]
    assert (first.state, second.state) == (JobState.DONE, JobState.DONE)
    assert [job.name for job in bench.jobs.all()] == [f"chr1:{WINDOW + 1:,}-{3 * WINDOW:,}", "mine"]


def test_a_window_of_another_head_is_not_enough() -> None:
    bench = Bench()
    job = bench.jobs.submit([Region("chr1", 0, 10)], ["a", "b"])
    bench.known["chr1", "a"][0] = True
    bench.jobs.done(("chr1", 0), {}, 1.0)
    assert (job.done, job.finished) == (0, False)
    bench.known["chr1", "b"][0] = True
    bench.jobs.done(("chr1", 0), {}, 1.0)
    assert job.state is JobState.DONE


def test_a_cancelled_job_keeps_what_it_has_and_goes_no_further() -> None:
    bench = Bench()
    job = bench.jobs.submit([Region("chr2", 0, SIZES["chr2"])], ["a"])
    bench.serve()
    assert bench.jobs.cancel(job.id) is job
    assert (job.state, job.done, bench.serve()) == (JobState.CANCELLED, 1, None)
    assert bench.jobs.cancel("nothing") is None
    assert bench.jobs.get(job.id) is job


def test_failed_windows_are_counted_and_named() -> None:
    bench = Bench()
    job = bench.jobs.submit([Region("chr1", 0, 2 * WINDOW)], ["a"])
    bench.serve("out of memory")
    bench.serve()
    assert (job.state, job.done, job.failed) == (JobState.FAILED, 1, 1)
    assert job.message == "1 of 2 windows failed: out of memory"


def test_a_head_that_a_job_did_not_ask_for_may_fail() -> None:
    bench = Bench()
    job = bench.jobs.submit([Region("chr1", 0, 10)], ["a"])
    bench.known["chr1", "a"][0] = True
    bench.jobs.done(("chr1", 0), {"b": "broken"}, 1.0)
    assert (job.state, job.failed, job.message) == (JobState.DONE, 0, "")


def test_too_many_jobs_and_empty_ones_are_refused() -> None:
    bench = Bench()
    with pytest.raises(UsageError, match="needs a region"):
        bench.jobs.submit([], ["a"])
    for end in range(1, UNFINISHED + 1):
        bench.jobs.submit([Region("chr1", 0, end)], ["a"])
    with pytest.raises(UsageError, match="50 jobs"):
        bench.jobs.submit([Region("chr1", 0, 1000)], ["a"])


def test_the_same_job_again_is_the_one_that_runs() -> None:
    bench = Bench()
    first = bench.jobs.submit([Region("chr1", 0, 10)], ["a"])
    assert bench.jobs.submit([Region("chr1", 0, 5), Region("chr1", 5, 10)], ["a"]) is first
    assert bench.jobs.submit([Region("chr1", 0, 10)], ["a", "b"]) is not first
    bench.jobs.cancel(first.id)
    assert bench.jobs.submit([Region("chr1", 0, 10)], ["a"]) is not first


def test_old_finished_jobs_are_forgotten() -> None:
    bench = Bench()
    bench.known["chr1", "a"][:] = True
    for _ in range(300):
        bench.jobs.submit([Region("chr1", 0, 10)], ["a"])
    assert len(bench.jobs.all()) == 200
