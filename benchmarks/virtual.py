"""Virtual bigWigs: what the layout of hg38 takes, and how fast their bytes are made, from a store and into a file.

    python benchmarks/virtual.py [--rounds 5] [--requests 300] [--share 0.5]

The layouts are of the 24 chromosomes, and of them with 431 scaffolds, as hg38 has. Held is what is allocated when a
layout is there, and what a further track over the same genome adds. Then a store of random values for a share of the
windows of chr20 and chr21, and of hg38's layout: ranges of a window each, at random; of a page of 8 KiB of each zoom
level; and both chromosomes written by ``materialize``. The difference from a measured track is that of values in
memory; coarse records of it are first made, then read again. Bars: a layout in 0.1 s, and 5 MB held.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from bars import Bar, show
from hg38_signal import CHROM_SIZES

from tracks.grid import BINS, bin_count, window_count
from tracks.markdown import table_lines
from tracks.memory import keep_freed_memory
from tracks.store import Store
from tracks.virtual import (
    JBROWSE_SLOT,
    SLOT,
    TIGHT,
    DifferenceSummaries,
    StoredValues,
    Totals,
    VirtualBigWig,
    lay_out,
    materialize,
    stored_totals,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracks.store import WindowStore

TRACKS, COLUMN = 4, 2
STORED = ("chr20", "chr21")
_NOTHING = Totals(0, 0.0, 0.0, 0.0, 0.0)
_PAGE = 8192


def with_scaffolds() -> dict[str, int]:
    """Return 455 names and lengths: hg38's chromosomes and scaffolds of made-up lengths."""
    rng = np.random.default_rng(0)
    return {**CHROM_SIZES, **{f"chrUn_KI27{at:04}v1": int(rng.integers(970, 200_000)) for at in range(431)}}


def fewest_seconds(work: Callable[[], object], rounds: int) -> float:
    """The fewest seconds that a piece of work took."""
    took = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return min(took)


def layouts(rounds: int) -> tuple[float, float]:
    """Print what layouts take; return the most seconds and megabytes."""
    rows, seconds, held = [], [], []
    for name, sizes in (("24 chromosomes", CHROM_SIZES), ("455 names", with_scaffolds())):
        for slot in (TIGHT, SLOT, JBROWSE_SLOT):
            seconds.append(fewest_seconds(lambda sizes=sizes, slot=slot: lay_out(sizes, _NOTHING, slot), rounds))
            tracemalloc.start()
            layout = lay_out(sizes, _NOTHING, slot)
            held.append(tracemalloc.get_traced_memory()[0] / 1e6)
            virtual = [VirtualBigWig(layout.with_totals(_NOTHING), StoredValues(sizes, {}, 0)) for _ in range(100)]
            more = (tracemalloc.get_traced_memory()[0] / 1e6 - held[-1]) / len(virtual) * 1e3
            tracemalloc.stop()
            rows.append([name, f"{slot:,}", f"{1e3 * seconds[-1]:.1f}", f"{held[-1]:.2f}", f"{more:.1f}",
                         f"{layout.size / 1e6:,.0f}"])  # fmt: skip
    print("\n".join(table_lines(["layout", "slot", "ms", "MB held", "kB a further track", "MB of file"], rows)))
    return max(seconds), max(held)


def fill(root: Path, share: float) -> dict[str, WindowStore]:
    """Make a store of random windows."""
    rng = np.random.default_rng(1)
    stores = {}
    for chrom in STORED:
        length = CHROM_SIZES[chrom]
        stores[chrom] = Store(root).windows("0" * 64, f"SQ.{chrom}", length, TRACKS)
        for index in np.flatnonzero(rng.random(window_count(length)) < share).tolist():
            values = rng.random((BINS, TRACKS), np.float32)
            values[rng.random(BINS) < 0.05] = np.nan
            values[max(bin_count(length) - index * BINS, 0) :] = np.nan
            stores[chrom].write(index, values)
    return stores


def differences(stores: dict[str, WindowStore], values: StoredValues) -> DifferenceSummaries:
    """Return the difference from a measured track of random values."""
    observed = np.random.default_rng(2).random(BINS, np.float32)
    return DifferenceSummaries(
        {chrom: CHROM_SIZES[chrom] for chrom in STORED},
        values.window,
        lambda chrom: stores[chrom].known(),
        lambda chrom, index: observed,
    )


def rates(folder: Path, requests: int, share: float) -> None:
    """Print how long ranges take, and a whole file."""
    stores = fill(folder / "store", share)
    values = StoredValues(CHROM_SIZES, stores, COLUMN)
    layout = lay_out(CHROM_SIZES, stored_totals(values, CHROM_SIZES))
    virtual = VirtualBigWig(layout, values)
    rng = np.random.default_rng(3)
    of = np.isin(np.array(layout.chroms)[layout.blocks["chrom"]], STORED)
    rows = []
    for level in (-1, *range(9)):
        blocks = np.flatnonzero((layout.levels == level) & of)
        drawn = rng.choice(blocks, requests)
        started = time.perf_counter()
        count = sum(len(virtual.read(start, _PAGE)) for start in layout.starts[drawn].tolist())
        took = time.perf_counter() - started
        what = "a window" if level < 0 else f"records of {1024 * 4**level:,} bp"
        rows.append([what, f"{1e3 * took / requests:.2f}", f"{count / took / 1e6:,.0f}"])
    print("\n" + "\n".join(table_lines(["range of 8 KiB from a store", "ms", "MB/s"], rows)))
    both = {chrom: CHROM_SIZES[chrom] for chrom in STORED}
    rows = []
    for slot in (TIGHT, SLOT, JBROWSE_SLOT):
        layout = lay_out(both, stored_totals(values, both), slot)
        path = folder / f"{slot}.bw"
        took = fewest_seconds(lambda layout=layout, path=path: materialize(path, layout, values), 1)
        windows = sum(map(window_count, both.values()))
        on_disk = path.stat().st_blocks * 512
        rows.append([f"slot {slot:,}", f"{took:.2f}", f"{1e3 * took / windows:.2f}", f"{layout.size / 1e6:,.1f}",
                     f"{on_disk / 1e6:,.1f}"])  # fmt: skip
    header = [f"materialize, {' and '.join(STORED)}", "s", "ms a window", "MB", "MB on disk"]
    print("\n" + "\n".join(table_lines(header, rows)))
    difference = differences(stores, values)
    first, again = (fewest_seconds(lambda: stored_totals(difference, both), 1) for _ in range(2))
    known = sum(int(store.known().sum()) for store in stores.values())
    print(
        f"\nCoarse records of a difference: {1e3 * first:.0f} ms for {known:,} known windows the first time "
        f"({1e3 * first / known:.2f} ms each), then {1e3 * again:.1f} ms."
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--share", type=float, default=0.5, help="of the windows, in the store")
    options = parser.parse_args()
    keep_freed_memory()
    seconds, megabytes = layouts(options.rounds)
    with tempfile.TemporaryDirectory() as folder:
        rates(Path(folder), options.requests, options.share)
    show(
        Bar("layout of hg38, s", seconds, 0.1, at_least=False, form="{:.3f}"),
        Bar("layout of hg38, MB held", megabytes, 5, at_least=False),
    )


if __name__ == "__main__":
    main()
