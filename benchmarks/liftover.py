"""Rate of ``lift_points`` over that of pyliftover on the same points, in one process.

    python benchmarks/liftover.py hg38ToHg19.over.chain.gz [--points 1000000]

The points are random bases of the chain's source chromosomes, so that each chromosome has its share; ours are lifted
in that random order, and once more sorted, as files have them. Every point must come out equal.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
from pyliftover import LiftOver

from tracks.liftover.chains import read_chains
from tracks.liftover.lift import Points, Route, lift_points

_REPEAT = 5


def lifted(route: Route, points: dict[str, np.ndarray]) -> tuple[float, dict[str, Points]]:
    """Return the best seconds of several runs, and what came out."""
    best = np.inf
    for _ in range(_REPEAT):
        started = time.perf_counter()
        found = {chrom: lift_points(route, chrom, positions) for chrom, positions in points.items()}
        best = min(best, time.perf_counter() - started)
    return best, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chain", type=Path)
    parser.add_argument("--points", type=int, default=1_000_000)
    given = parser.parse_args()

    started = time.perf_counter()
    theirs = LiftOver(str(given.chain))
    their_reading = time.perf_counter() - started
    started = time.perf_counter()
    route = Route.through([read_chains(given.chain)])
    for blocks in route.steps[0].blocks.values():
        blocks.segments.at(np.empty(0, np.int64))  # made on first use, and part of reading in pyliftover
    reading = time.perf_counter() - started

    sizes = {chrom: size for chrom, size in route.source_sizes.items() if "_" not in chrom}
    total = sum(sizes.values())
    rng = np.random.default_rng(4)
    points = {chrom: rng.integers(0, size, round(given.points * size / total)) for chrom, size in sizes.items()}
    count = sum(map(len, points.values()))

    started = time.perf_counter()
    expected = {
        chrom: [theirs.convert_coordinate(chrom, position) for position in positions.tolist()]
        for chrom, positions in points.items()
    }
    their_seconds = time.perf_counter() - started
    seconds, found = lifted(route, points)
    in_order, _ = lifted(route, {chrom: np.sort(positions) for chrom, positions in points.items()})

    names = np.array([*route.target_sizes, ""])
    for chrom, places in expected.items():
        ours = found[chrom]
        assert ours.hits.tolist() == [len(place or ()) for place in places], chrom
        one = [(name, at, strand == "-") for place in places if len(place or ()) == 1 for name, at, strand, _ in place]
        kept = ours.hits == 1
        columns = (names[ours.targets], ours.positions, ours.reverse)
        assert one == list(zip(*(column[kept].tolist() for column in columns), strict=True)), chrom

    print(f"{count:,} points, every one equal to pyliftover's")
    print(f"reading the chain file: {reading:.2f} s, pyliftover {their_reading:.2f} s")
    print(f"pyliftover: {their_seconds:.2f} s, {count / their_seconds:,.0f} points a second")
    for name, taken in (("in random order", seconds), ("sorted", in_order)):
        print(f"lift_points, {name}: {taken:.4f} s, {count / taken:,.0f} a second, {their_seconds / taken:.0f} x")
    print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
