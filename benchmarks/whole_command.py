"""``tracks predict --chrom`` as users run it, at the full shape of Basenji2: time and memory against length.

    python benchmarks/whole_command.py [--windows 2 9 35] [--threads 2]

A model folder of random weights with a linear probe of 18 tracks, and a genome of random bases with a chromosome of
each length, are made first. Each run is a new process with an empty store, which also writes its bigWigs. Reported is
the most memory that it used, and added to it the most that the processes which it started used together (Linux). The
shortest run is mostly start-up; what a window costs is what more windows cost more. Other precisions run over the
middle length.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bars import Bar, show

from model.bench_tasks import PROBE_TRACKS, random_trunk
from model.compute import physical_cores
from model.folder import save_head, save_trunk
from model.heads import HeadSpec, build_head
from tracks.grid import WINDOW
from tracks.markdown import table_lines
from tracks.method import PRECISIONS
from tracks.track import Track

_COMMAND = "from tracks.cli import main; main()"
_EVERY = 0.1
_MOST_GIGABYTES = 1.2
_MOST_GROWTH = 1.05
_COLORS = ("#1b6ca8", "#d95f02")


@dataclass(frozen=True)
class Run:
    """Seconds of a whole process, and its peak memory with that of the processes that it started, in GB (10^9)."""

    seconds: float
    gigabytes: float


def own_peak(pid: int) -> int:
    """The most memory of a process so far, in bytes."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):  # it has just ended
        return 0


def of_started(pid: int) -> int:
    """The memory of all processes that one has started, in bytes; a page that several share counts once."""
    total = 0
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        for child in {int(child) for thread in threads for child in (thread / "children").read_text().split()}:
            lines = Path(f"/proc/{child}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
            total += of_started(child)
    except (OSError, ProcessLookupError):  # one has just ended
        pass
    return total


def measured(words: list[object]) -> Run | str:
    """Run a command of this project in a process of its own; return what it said last when it failed."""
    own, others, started = 0, 0, time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen([sys.executable, "-c", _COMMAND, *map(str, words)], stdout=said, stderr=said)
        while process.poll() is None:
            own, others = max(own, own_peak(process.pid)), max(others, of_started(process.pid))
            time.sleep(_EVERY)
        seconds = time.perf_counter() - started
        if process.returncode:
            said.seek(0)
            return said.read().strip().splitlines()[-1]
    return Run(seconds, (own + others) / 1e9)


def write_model(folder: Path) -> None:
    """Write random weights of the shape of Basenji2, with a linear probe of 18 tracks."""
    trunk = random_trunk()
    save_trunk(folder, name="random", config=trunk.config, weights=trunk.state_dict(), source={})
    tracks = tuple(
        Track(f"track {at}", "random", "none", "a.u.", _COLORS[at % len(_COLORS)]) for at in range(PROBE_TRACKS)
    )
    spec = HeadSpec("probe", tracks, ("softplus",) * len(tracks))
    head = build_head(spec, trunk.config.embedding_filters)
    head.bias.data.fill_(3.0)  # values of a size, whose differences between precisions are small parts of it
    save_head(folder, spec, head.state_dict())


def write_genome(path: Path, windows: list[int]) -> None:
    """Write a chromosome of random bases for each number of windows."""
    rng = np.random.default_rng(3)
    with path.open("wb") as file:
        for count in windows:
            bases = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, count * WINDOW)]
            file.write(b">chr%d\n%s\n" % (count, bases.tobytes()))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, nargs="+", default=[2, 9, 35], help="length of each chromosome")
    parser.add_argument("--threads", type=int, default=physical_cores())
    options = parser.parse_args()
    windows = sorted(set(options.windows))
    if len(windows) < 2:
        parser.error("two lengths are needed to tell what more windows cost")
    runs: dict[tuple[str, int], Run] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder / "model")
        write_genome(folder / "genome.fa", windows)
        cases = [("fp32", count) for count in windows]
        cases += [(precision, windows[len(windows) // 2]) for precision in PRECISIONS if precision != "fp32"]
        for precision, count in cases:
            place = folder / f"{precision}-{count}"
            words = ["predict", "--chrom", f"chr{count}", "--genome", folder / "genome.fa", "--model", folder / "model"]
            words += ["-o", place / "out", "--store", place / "store", "--threads", options.threads]
            run = measured([*words, "--precision", precision, "--device", "cpu"])
            if isinstance(run, Run):
                runs[precision, count] = run
            elif precision == "fp32":
                sys.exit(run)
            else:
                print(f"{precision} is not measured: {run}\n")
    first = runs["fp32", windows[0]]
    rows = []
    for (precision, count), run in runs.items():
        megabases = count * WINDOW / 1e6
        each = (
            (run.seconds - first.seconds) / (count - windows[0]) if precision == "fp32" and run is not first else None
        )
        rows.append(
            [
                f"{precision}, {megabases:.2f} Mb",
                str(count),
                f"{run.seconds:.1f}",
                f"{run.seconds / megabases:.1f}",
                f"{each * 1e6 / WINDOW:.1f}" if each else "-",
                f"{run.gigabytes:.2f} GB",
            ]
        )
    header = ["precision and length", "windows", "seconds", "s a Mb", "without start-up", "most memory"]
    print("\n".join(table_lines(header, rows)))
    longest = runs["fp32", windows[-1]]
    middle = runs["fp32", windows[-2]]
    show(
        Bar("most memory of any fp32 run, GB", max(runs["fp32", n].gigabytes for n in windows), _MOST_GIGABYTES, False),
        Bar(
            f"memory of {windows[-1]} windows over that of {windows[-2]}",
            longest.gigabytes / middle.gigabytes,
            _MOST_GROWTH,
            at_least=False,
        ),
    )


if __name__ == "__main__":
    main()
