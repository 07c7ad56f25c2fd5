"""A command, or a program to compare it with, in a process of its own: seconds, CPU seconds and peak memory."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

TRACKS = """
def run(words):
    from tracks.cli import main
    try:
        main(words)
    except SystemExit as done:
        if done.code:
            raise
"""
"""The program of this project's commands."""

_MEASURE = """
import json, resource, sys, time
{}
started = time.perf_counter()
run(sys.argv[1:])
seconds, used = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
# Not ru_maxrss of this process, which begins with what the process that started it had.
with open("/proc/self/status") as status:
    own = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
workers = resource.getrusage(resource.RUSAGE_CHILDREN)
cpu = used.ru_utime + used.ru_stime + workers.ru_utime + workers.ru_stime
print(json.dumps([seconds, cpu, own, workers.ru_maxrss / 1024]))
"""


@dataclass(frozen=True)
class Run:
    """Wall-clock seconds from the first import on, CPU seconds, and the peak memory in MiB of the process and of the
    largest of its workers (Linux)."""

    seconds: float
    cpu: float
    own: float
    worker: float

    @property
    def megabytes(self) -> float:
        """The peak memory of the largest process."""
        return max(self.own, self.worker)


def run(*words: object, program: str = TRACKS) -> Run:
    """Run ``program``, Python that defines ``run(words)``, with these words. Ends the benchmark when it fails."""
    command = [sys.executable, "-c", _MEASURE.format(program), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return Run(*json.loads(done.stdout.splitlines()[-1]))
