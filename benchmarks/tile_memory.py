"""Memory of 10,000 random tiles, observed and predicted, in one process with its tile caches: it must stay flat.

    python benchmarks/tile_memory.py [--tiles 10000] [--bigwig FILE] [--project tracks/demo/tracks.toml --model FOLDER]

Observed tiles are of a bigWig of the size of hg38, in all three modes and over all zoom levels. With ``--model``, every
other tile is of a predicted track of the project, whose store is filled for the first windows of each chromosome. The
resident memory is printed after each tenth of the tiles; growth is from the second tenth to the last, because the first
decodes most of the zoom records that are kept. The exit status is 1 when it is more than 10 %.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from hg38_signal import CHROM_SIZES, write_signal

from server.axis import MODES, Axis
from server.site import Site
from server.tilesets import ObservedTileset
from tracks.memory import keep_freed_memory
from tracks.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server.tilesets import Tileset

_PARTS = 10
_MOST_GROWTH = 0.10
_FILLED = 40


def resident() -> float:
    """The process's memory in MiB (Linux)."""
    with Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


def opened(project: Path, model: Path, folder: Path) -> Site:
    """Open a project, with some windows of every chromosome in its store, whatever their values."""
    site = Site(project, model, Store(folder / "store"))
    rng = np.random.default_rng(1)
    for (chrom, _), head in itertools.product(site.axis.chrom_sizes.items(), site.model.heads):
        windows = site.predictor.known_windows(site.store, chrom, head.name)
        for index in range(min(_FILLED, len(windows.known()))):
            windows.write(index, rng.random((896, windows.tracks), np.float32))
    return site


def tiles(tilesets: list[Tileset], count: int) -> Iterator[tuple[Tileset, str]]:
    """Draw tiles of each tileset in turn, over all zoom levels."""
    rng = np.random.default_rng(0)
    for _, tileset in zip(range(count), itertools.cycle(tilesets), strict=False):
        axis = tileset.axis
        zoom = int(rng.integers(0, axis.max_zoom + 1))
        position = int(rng.integers(-(-axis.length // (axis.max_width >> zoom))))
        mode = f".{rng.choice(MODES)}" if isinstance(tileset, ObservedTileset) else ""
        yield tileset, f"{tileset.uid}.{zoom}.{position}{mode}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, default=10_000)
    parser.add_argument("--bigwig", type=Path, help="a file of benchmarks/hg38_signal.py that is there already")
    parser.add_argument("--project", type=Path, default=Path("tracks/demo/tracks.toml"))
    parser.add_argument("--model", type=Path, help="a model folder; none: observed tiles alone")
    options = parser.parse_args()
    keep_freed_memory()  # as the server does
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = options.bigwig or folder / "hg38.bw"
        if options.bigwig is None:
            write_signal(path)
        tilesets: list[Tileset] = [ObservedTileset("x", "x", Axis(CHROM_SIZES), "hg38", path)]
        if options.model is not None:
            site = opened(options.project, options.model, folder)
            tilesets.append(next(made for uid, made in site.tilesets.items() if uid.startswith("predicted-")))
        each = options.tiles // _PARTS
        drawn = tiles(tilesets, each * _PARTS)
        print(
            f"{each * _PARTS} random tiles of {' and '.join(tileset.uid for tileset in tilesets)}; MiB after each tenth"
        )
        sizes = []
        for _ in range(_PARTS):
            for tileset, tile_id in itertools.islice(drawn, each):
                [(_, answer)] = tileset.tiles([tile_id])
                if "error" in answer:
                    sys.exit(f"{tile_id}: {answer}")
            sizes.append(resident())
        print(" ".join(f"{size:.0f}" for size in sizes))
    growth = sizes[-1] / sizes[1] - 1
    print(f"grown by {100 * growth:.1f} %, at most {100 * _MOST_GROWTH:.0f} % is wanted")
    sys.exit(growth > _MOST_GROWTH)


if __name__ == "__main__":
    main()
