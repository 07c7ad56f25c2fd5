"""Observed tiles of a bigWig of the size of hg38 against those of clodius: time a tile, as ratios in one run.

    python benchmarks/observed_tiles.py [--tiles 1600] [--bigwig FILE]

Tiles are drawn at random over all zoom levels; one after the other is made by both in turn, in one process, from the id
to the encoded answer, without this project's tile cache. A zoom level has the same bins in both. Clodius 0.20 opens the
file for each tile, and bins from zoom records of up to half a bin at every width; here the file stays open, bins of at
most 4 kb are exact, and decoded zoom records stay in memory (the first tile of each level or chromosome decodes them,
which is counted). A tile of each zoom is checked against values read by pyBigWig before anything is reported.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import clodius.tiles.bigwig as clodius
import numpy as np
import pyBigWig
from bars import Bar, show
from hg38_signal import CHROM_SIZES, write_signal

from server.axis import TILE_BINS, Axis
from server.tilesets import ObservedTileset, dense_tile
from tracks.markdown import table_lines
from tracks.memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable

_CHECKED_BINS = 5


def mean_of(path: Path, axis: Axis, start: int, end: int) -> float:
    """Mean of the covered bases of a span of the axis, float64, from pyBigWig's intervals."""
    total = covered = 0.0
    with pyBigWig.open(str(path)) as file:
        for piece in axis.pieces(start, end):
            region = piece.region
            for first, last, value in file.intervals(region.chrom, region.start, region.end) or ():
                bases = min(last, region.end) - max(first, region.start)
                total, covered = total + bases * value, covered + bases
    return total / covered if covered else np.nan


def check(tileset: ObservedTileset, rng: np.random.Generator) -> None:
    """Compare some bins of a tile of each zoom; wide ones may be off by what lies within a sixth of a bin."""
    axis = tileset.axis
    for zoom in range(axis.max_zoom + 1):
        tile = axis.tile(f"x.{zoom}.{int(rng.integers(-(-axis.length // (axis.max_width >> zoom))))}")
        values = tileset.values(tile)
        for at in rng.choice(TILE_BINS, _CHECKED_BINS, replace=False).tolist():
            start = tile.start + at * tile.bin_width
            expected = mean_of(tileset.path, axis, start, start + tile.bin_width)
            np.testing.assert_allclose(values[at], expected, rtol=1e-6 if tile.bin_width <= 1 << 12 else 0.05)


def timed(make: Callable[[], object]) -> float:
    """Milliseconds that one call takes."""
    started = time.perf_counter()
    make()
    return 1e3 * (time.perf_counter() - started)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, default=1600)
    parser.add_argument("--bigwig", type=Path, help="a file of benchmarks/hg38_signal.py that is there already")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # pandas', on every tile of clodius
    keep_freed_memory()  # as the server does
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = options.bigwig or Path(folder) / "hg38.bw"
        if options.bigwig is None:
            write_signal(path)
        axis = Axis(CHROM_SIZES)
        tileset = ObservedTileset("x", "x", axis, "hg38", path)
        check(ObservedTileset("x", "x", axis, "hg38", path), rng)
        sizes = [[chrom, size] for chrom, size in CHROM_SIZES.items()]
        times = []
        for zoom in rng.integers(0, axis.max_zoom + 1, options.tiles).tolist():
            tile_id = f"x.{zoom}.{int(rng.integers(-(-axis.length // (axis.max_width >> zoom))))}"
            ours = timed(lambda tile_id=tile_id: dense_tile(tileset.values(axis.tile(tile_id))))
            theirs = timed(lambda tile_id=tile_id: clodius.tiles(str(path), [tile_id], chromsizes=sizes))
            times.append((zoom, ours, theirs))
    zooms, ours_ms, theirs_ms = np.array(times).T
    print(f"{options.tiles} tiles of {path.name}, in ms.\n")
    header = ["bases a bin", "ours, p50", "p95", "clodius, p50", "p95", "times as fast"]
    rows, slowest = [], np.inf
    for zoom in [None, *range(axis.max_zoom + 1)]:
        here = zooms == zoom if zoom is not None else zooms >= 0
        name = f"{(axis.max_width >> zoom) // TILE_BINS:,}" if zoom is not None else "all"
        (own, own_late), (other, other_late) = (np.percentile(ms[here], [50, 95]) for ms in (ours_ms, theirs_ms))
        slowest = min(slowest, other / own)
        cells = (f"{ms:.2f}" for ms in (own, own_late, other, other_late))
        rows.append([name, *cells, f"{other / own:.1f}"])
    print("\n".join(table_lines(header, rows)))
    show(Bar("observed tiles, the slowest zoom, times as fast as clodius", slowest, 1, form="{:.1f}"))


if __name__ == "__main__":
    main()
