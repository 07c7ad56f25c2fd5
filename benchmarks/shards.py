"""What it costs to compute an export in shards, and what it gains.

    python benchmarks/shards.py [--windows 8] [--repeat 3]

Random weights of Basenji2's shape with 18 tracks, on windows of the embedded genome that have sequence; fp32, one
thread. Reported:

* CPU seconds of computing all windows at once, and in 2 shards one after the other, in one process that has started
  (interleaved, the best of the repeats), and their ratio; bar: at most 3 % more;
* the same with everything, as commands: start-up, reading the genome, the records; a start-up is spent for each shard,
  so its part is said for shards of an hour;
* that merged files are the unsharded ones, byte for byte;
* windows a second of 1 shard and of 2 at the same time, from the first window in the store to the last.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bars import Bar, show
from command import TRACKS, run

from model.export import GenomeExport
from model.folder import load_model, save_model
from model.heads import HeadSpec, LinearConfig
from model.network import Network
from model.predict import Predictor
from model.trunk import TrunkConfig
from tracks.genome import Genome, demo_genome
from tracks.grid import WINDOW
from tracks.shards import Shard
from tracks.store import Store
from tracks.track import Track

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIRST = 79
"""The first window of the embedded chr20 that has sequence, which 60 windows have."""


def write_genome(path: Path, windows: int) -> None:
    """Write so many windows of real sequence as a chromosome of its own."""
    codes = Genome(demo_genome()).codes("chr20", _FIRST * WINDOW, (_FIRST + windows) * WINDOW)
    path.write_text(">chr20_part\n" + "".join("ACGTN"[code] for code in codes) + "\n")


def write_model(folder: Path) -> None:
    """Write a model folder of random weights."""
    trunk = TrunkConfig()
    tracks = tuple(Track(f"Track {at}", "", "", "", "#1b6ca8") for at in range(18))
    heads = (HeadSpec("bins", tracks, ("identity",) * 18, LinearConfig()),)
    weights = Network(trunk, heads).state_dict()
    split = f"chr20_part\t0\t{WINDOW}\ttest\n"
    save_model(folder, name="random", trunk=trunk, heads=heads, weights=weights, split=split, training={})


def parts(of: int) -> Iterator[Shard | None]:
    """The shards of an export, or None for the whole of it."""
    yield from (None,) if of == 1 else (Shard(number, of) for number in range(1, of + 1))


def computing(predictor: Predictor, of: int) -> float:
    """CPU seconds of computing everything in so many shards, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        store, names, tracks = Store(Path(folder)), predictor.genome.chrom_sizes, predictor.model.tracks
        started = time.process_time()
        for shard in parts(of):
            GenomeExport(predictor, store, names, tracks, shard).compute()
        return time.process_time() - started


def words(place: Path, folder: Path, shard: Shard | None) -> list[str]:
    """The command of an export or a shard of it; genome and model are in ``place``."""
    common = ["predict", "--genome-wide", "--genome", str(place / "part.fa"), "--model", str(place / "model")]
    common += ["--device", "cpu", "--threads", "1"]
    common += ["--processes", "1", "--store", str(folder / "store"), "-o", str(folder / "out")]
    return common if shard is None else [*common, "--shard", str(shard)]


def concurrently(place: Path, of: int) -> float:
    """Windows a second of so many shards that run together, once each of them has computed its first."""
    with tempfile.TemporaryDirectory() as folder:
        program = f"import sys\n{TRACKS}\nrun(sys.argv[1:])"
        running = [
            subprocess.Popen(
                [sys.executable, "-c", program, *words(place, Path(folder), Shard(number, of))],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for number in range(1, of + 1)
        ]
        if any(process.wait() for process in running):
            raise SystemExit("a shard failed")
        written = sorted(path.stat().st_mtime for path in Path(folder).glob("store/*/*/*/c/*/0"))
        return (len(written) - of) / (written[-1] - written[of - 1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_genome(place / "part.fa", options.windows)
        write_model(place / "model")
        predictor = Predictor(load_model(place / "model"), Genome(place / "part.fa"), "cpu", 1)
        predictor.window("chr20_part", 0)
        pairs = [(computing(predictor, 1), computing(predictor, 2)) for _ in range(options.repeat)]
        whole, halves = (min(column) for column in zip(*pairs, strict=True))
        overhead = halves / whole - 1
        print(f"computing {options.windows} windows: {whole:.2f} CPU s at once, {halves:.2f} in 2 shards")
        print(f"overhead of 2 shards: {overhead:+.1%} (bar: at most +3 %)")

        at_once = run(*words(place, place / "one", None))
        sharded = [run(*words(place, place / "two", shard)) for shard in parts(2)]
        merge = run("merge", place / "two" / "out", "--processes", 1)
        extra = (sum(part.cpu for part in sharded) + merge.cpu - at_once.cpu) / 2
        print(f"as commands: {at_once.cpu:.1f} CPU s at once; in shards ", end="")
        print(f"{' + '.join(f'{part.cpu:.1f}' for part in sharded)}, and {merge.cpu:.1f} to merge: ", end="")
        print(f"{extra:+.1f} a shard, {extra / 3600:.2%} of a shard that takes an hour")
        shutil.rmtree(place / "two" / "out" / "shards")
        one, two = (
            {path.name: path.read_bytes() for path in (place / name / "out").iterdir()} for name in ("one", "two")
        )
        print(f"merged files are the unsharded ones, byte for byte: {'yes' if one == two else 'NO'}")

        # In turns, because the machine may have other work for a while.
        rounds = [(concurrently(place, 1), concurrently(place, 2)) for _ in range(2)]
        alone, both = (max(column) for column in zip(*rounds, strict=True))
        print(
            f"windows a second: {alone:.2f} of one shard, {both:.2f} of two at once ({both / alone:.2f} times as many)"
        )
        show(
            Bar("overhead of 2 shards", overhead, 0.03, at_least=False, form="{:.1%}"),
            Bar(
                "merged files that differ from the unsharded ones", float(one != two), 0, at_least=False, form="{:.0f}"
            ),
        )
        if one != two or overhead > 0.03:
            raise SystemExit("the bar is not met")


if __name__ == "__main__":
    main()
