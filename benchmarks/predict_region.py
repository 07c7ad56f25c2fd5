"""Whole-process time and peak memory of ``tracks predict`` on the embedded genome, as ratios.

    python benchmarks/predict_region.py [--threads 2] [--repeat 3]

Each run is a process of its own with an empty store, so that nothing is known before. Reported:

* seconds for 1 Mb, and what is left of them after start-up (a run of one bin is the start-up);
* CPU time (which a busy machine changes least) and peak memory of 4 Mb, and of 1 Mb in 100 regions, over those of
  1 Mb: time should grow as the windows do, and
  memory not at all;
* the same for a second run, that finds every window in the store.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from command import Run, run

START = 10_000_000


def predict(arguments: list[str], store: Path, threads: int) -> Run:
    """Run ``tracks predict`` in its own process."""
    with tempfile.TemporaryDirectory() as out:
        words = ("predict", *arguments, "-o", out, "--store", store, "--threads", threads, "--device", "cpu")
        return run(*words)


def measure(arguments: list[str], threads: int, repeat: int) -> tuple[Run, Run]:
    """Return the median run with an empty store, and with a full one."""
    fresh, known = [], []
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as store:
            fresh.append(predict(arguments, Path(store), threads))
            known.append(predict(arguments, Path(store), threads))
    return median(fresh), median(known)


def median(runs: list[Run]) -> Run:
    """Return the median times with the highest peak memory."""
    return Run(
        statistics.median(one.seconds for one in runs),
        statistics.median(one.cpu for one in runs),
        max(one.own for one in runs),
        max(one.worker for one in runs),
    )


def region(start: int, bases: int) -> str:
    """Return a region of chr20, samtools-style."""
    return f"chr20:{start + 1}-{start + bases}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()

    with tempfile.NamedTemporaryFile("w", suffix=".bed") as bed:
        for at in range(100):
            bed.write(f"chr20\t{START + at * 10_000}\t{START + at * 10_000 + 1_000}\n")
        bed.flush()
        cases = {
            "one bin": ["--region", region(START, 100)],
            "1 Mb": ["--region", region(START, 1_000_000)],
            "4 Mb": ["--region", region(START, 4_000_000)],
            "100 x 1 kb": ["--bed", bed.name],
        }
        found = {name: measure(arguments, options.threads, options.repeat) for name, arguments in cases.items()}
    base, _ = found["1 Mb"]
    start, _ = found["one bin"]
    print(f"{'':12} {'seconds':>8} {'CPU s':>7} {'x 1 Mb':>7} {'MiB':>6} {'x 1 Mb':>7}   {'again, s':>8} {'CPU s':>7}")
    for name, (fresh, known) in found.items():
        print(
            f"{name:12} {fresh.seconds:8.2f} {fresh.cpu:7.2f} {fresh.cpu / base.cpu:7.2f} {fresh.megabytes:6.0f} "
            f"{fresh.megabytes / base.megabytes:7.2f}   {known.seconds:8.2f} {known.cpu:7.2f}"
        )
    print(f"1 Mb after start-up: {base.seconds - start.seconds:.2f} s, CPU {base.cpu - start.cpu:.2f} s")


if __name__ == "__main__":
    main()
