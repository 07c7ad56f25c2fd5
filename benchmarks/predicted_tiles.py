"""Predicted tiles from a store of the size of hg38, 30 % of its windows known: time a tile at every zoom.

    python benchmarks/predicted_tiles.py [--tiles 1000] [--share 0.3] [--store FOLDER]

The store holds four tracks of random values in windows drawn at random, some bins without a value. Tiles are drawn at
random at each zoom and made one after the other in one process, from the id to the encoded answer, which includes what
is missing and why; positions hardly repeat, so what is read is not in the server's own memory. The last column is what
summaries save: reading every known window under the tile, over the tile. Before that, a process's first tile of the
whole genome, which opens the 24 chromosomes. The bar is a median of 5 ms at every zoom; the CPU time beside it tells
what other work on the machine adds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
from bars import Bar, show
from hg38_signal import CHROM_SIZES

from server.axis import TILE_BINS, Axis
from server.byte_cache import ByteCache
from server.events import Events
from server.predicted import PredictedTileset
from server.predictions import Predictions
from server.sequence import SequenceMap
from tracks.grid import BINS, bin_count, window_count, windows_over
from tracks.markdown import table_lines
from tracks.memory import keep_freed_memory
from tracks.parallel import map_in_order
from tracks.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.axis import Tile
    from tracks.store import WindowStore

TRACKS = 4
BAR = 5.0


def stored(root: Path, chrom: str) -> WindowStore:
    """The windows of one chromosome."""
    return Store(root).windows("0" * 64, f"SQ.{chrom}", CHROM_SIZES[chrom], TRACKS)


def fill(work: tuple[Path, str, float]) -> int:
    """Write random windows of one chromosome; return how many."""
    root, chrom, share = work
    rng = np.random.default_rng(list(CHROM_SIZES).index(chrom))
    windows, length = stored(root, chrom), CHROM_SIZES[chrom]
    chosen = np.flatnonzero(rng.random(window_count(length)) < share)
    for index in chosen.tolist():
        values = rng.random((BINS, TRACKS), np.float32)
        values[rng.random(BINS) < 0.05] = np.nan
        values[max(bin_count(length) - index * BINS, 0) :] = np.nan
        windows.write(index, values)
    return len(chosen)


class _Genome:
    """A genome of A alone."""

    chrom_sizes = CHROM_SIZES

    def codes(self, chrom: str, start: int, end: int) -> np.ndarray:
        """Base codes, N outside the chromosome."""
        codes = np.zeros(end - start, np.uint8)
        codes[max(CHROM_SIZES[chrom] - start, 0) :] = 4
        return codes


def tileset_over(root: Path, sequence: SequenceMap) -> PredictedTileset:
    """A predicted track over the store, as the server makes it, without a model."""
    predictor = SimpleNamespace(
        genome=sequence.genome,
        device="cpu",
        model=SimpleNamespace(heads=[SimpleNamespace(name="bins")]),
        known_windows=lambda store, chrom, head: stored(root, chrom),
    )
    axis = Axis(CHROM_SIZES)
    predictions = Predictions(predictor, Store(root), sequence, axis, Events())
    for chrom in CHROM_SIZES:
        predictions.stored.open(chrom, "bins")
    # Windows stay in memory for a while; here each is read from the disk.
    predictions.stored._kept = ByteCache(0, lambda values: values.nbytes)
    return PredictedTileset("x", "x", axis, "hg38", predictions, "bins", 1)


def timed(make: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds that one call takes: by the clock, and of this process's CPU."""
    started, cpu = time.perf_counter(), time.process_time()
    make()
    return 1e3 * (time.perf_counter() - started), 1e3 * (time.process_time() - cpu)


def read_all(tileset: PredictedTileset, tile: Tile) -> None:
    """Read every known window under a tile."""
    for piece in tileset.axis.pieces(tile.start, tile.end):
        windows = tileset.predictions.stored.open(piece.region.chrom, "bins")
        known = windows.known()
        for index in windows_over(piece.region):
            if known[index]:
                windows.read(index)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, default=1000, help="in all, over all zooms")
    parser.add_argument("--share", type=float, default=0.3, help="of windows that are known")
    parser.add_argument("--store", type=Path, help="folder to keep the store in, for another run")
    options = parser.parse_args()
    keep_freed_memory()  # as the server does
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        root = options.store or Path(folder)
        if not any(root.glob("0*")):
            started = time.perf_counter()
            written = sum(map_in_order(fill, [(root, chrom, options.share) for chrom in CHROM_SIZES], 2))
            print(f"wrote {written:,} windows in {time.perf_counter() - started:.1f} s")
        sequence = SequenceMap(_Genome())
        sequence.count()
        first, _ = timed(lambda: (made := tileset_over(root, sequence)).tile(made.axis.tile("x.0.0")))
        tileset = tileset_over(root, sequence)
        axis = tileset.axis
        print(f"opening all and the first tile of the whole genome: {first:.1f} ms\n")
        header = ["bases a bin", "p50, ms", "p95, ms", "CPU p50, ms", "windows one by one, over the tile"]
        rows, slowest = [], 0.0
        for zoom in range(axis.max_zoom + 1):
            count = -(-axis.length // (axis.max_width >> zoom))
            places = rng.integers(count, size=options.tiles // (axis.max_zoom + 1) + 1).tolist()
            times = [timed(lambda name=f"x.{zoom}.{place}": tileset.tile(axis.tile(name))) for place in places]
            reading, _ = timed(lambda name=f"x.{zoom}.{places[0]}": read_all(tileset, axis.tile(name)))
            (half, cpu), (most, _) = np.percentile(times, [50, 95], axis=0)
            slowest = max(slowest, half)
            width = f"{(axis.max_width >> zoom) // TILE_BINS:,}"
            rows.append([width, f"{half:.2f}", f"{most:.2f}", f"{cpu:.2f}", f"{reading / half:.1f}"])
    print("\n".join(table_lines(header, rows)))
    show(Bar("predicted tiles, the slowest zoom's median, ms", slowest, BAR, at_least=False))


if __name__ == "__main__":
    main()
