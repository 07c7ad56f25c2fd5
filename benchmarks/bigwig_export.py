"""bigWigs of 18 tracks from a full store: values a second, beside other writers, and every file read by others.

    python benchmarks/bigwig_export.py [--bases 310000000] [--processes 2] [--tracks 18] [--keep FOLDER]

The store is filled with smooth values that compress as predictions do (float32, by a sixth). All
tracks are then exported by ``tracks.bigwig_export`` (twice; the faster counts), which includes starting processes,
zoom levels, indexes and putting files on the disk (fsync). In turns with it, one track is written by each of: this
project's writer in one process, pyBigWig (``addEntries`` of NumPy arrays, fixed step) and pybigtools. CPU seconds
are those of the process and its children: on a machine that others use, they say more than the clock.
Afterwards pybbi reads every value of every file, pyBigWig and pybigtools each read spans of it, and zoom records are
compared with sums over the values. ``--bases 3088000000`` is a whole hg38 (24.1 million bins).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import bbi
import numpy as np
import pybigtools
import pyBigWig
from bars import Bar, show

from tracks.bigwig import Bins, write_bigwig
from tracks.bigwig_export import BigWigExport, BigWigExporter, ExportChrom, ExportHead
from tracks.export import output_path
from tracks.grid import BIN, BINS, bin_count, window_count
from tracks.memory import keep_freed_memory
from tracks.method import REFERENCE
from tracks.store import Store
from tracks.track import Track

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CHROMS = 8
_BAR = 8e6
"""Values a second that an export by two processes is to write."""


def window(at: int, tracks: int) -> np.ndarray:
    """Values of one window, float32 ``[896, tracks]``: levels between 0 and 1 that drift, with a little noise."""
    rng = np.random.default_rng(at)
    steps = rng.normal(0, 0.08, (BINS, tracks)).cumsum(axis=0)
    values = 1 / (1 + np.exp(-rng.normal(0, 1, tracks) - steps))
    return values.astype(np.float32)


def values_of(chrom: int, index: int, tracks: int, length: int) -> np.ndarray:
    """Values of a window of a chromosome. A tenth of the windows have none, as windows without sequence."""
    at = chrom * 7 + index * 13
    values = np.full((BINS, tracks), np.nan, np.float32) if at % 10 == 0 else window(at % 509, tracks)
    values[bin_count(length) - index * BINS :] = np.nan
    return values


def fill(export: BigWigExport, tracks: int) -> None:
    store = Store(export.store)
    (head,) = export.heads
    for number, chrom in enumerate(export.chroms):
        windows = store.windows(head.digest, chrom.sequence, chrom.length, tracks, export.method)
        for index in range(window_count(chrom.length)):
            windows.write(index, values_of(number, index, tracks, chrom.length))


def cpu_seconds() -> float:
    return sum(os.times()[:4])


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of CPU, that a piece of work takes."""
    started, cpu = time.perf_counter(), cpu_seconds()
    work()
    return time.perf_counter() - started, cpu_seconds() - cpu


def run_export(export: BigWigExport, processes: int) -> None:
    with BigWigExporter(export, processes) as exporter:
        exporter.finish()


def column(export: BigWigExport, tracks: int, at: int) -> Iterator[tuple[ExportChrom, int, np.ndarray]]:
    for number, chrom in enumerate(export.chroms):
        for index in range(window_count(chrom.length)):
            values = values_of(number, index, tracks, chrom.length)[:, at]
            yield chrom, index * BINS, values[: bin_count(chrom.length) - index * BINS]


def by_pybigwig(path: Path, export: BigWigExport, pieces: list[Bins]) -> None:
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader(list(export.chrom_sizes.items()))
        for piece in pieces:
            valued = piece.values[np.isfinite(piece.values)]
            if len(valued):
                file.addEntries(piece.chrom, piece.first * BIN, values=valued, span=BIN, step=BIN)


def by_pybigtools(path: Path, export: BigWigExport, pieces: list[Bins]) -> None:
    rows = (
        (piece.chrom, (piece.first + at) * BIN, min((piece.first + at + 1) * BIN, export.chrom_sizes[piece.chrom]), v)
        for piece in pieces
        for at, v in enumerate(piece.values.tolist())
        if v == v
    )
    pybigtools.open(str(path), "w").write(dict(export.chrom_sizes), rows)


def check(export: BigWigExport, tracks: int) -> int:
    """Compare every file with the values that were stored; return how many values were compared."""
    compared = 0
    for at, track in enumerate(export.tracks):
        path = str(output_path(export.out, track, "bigwig"))
        expected: dict[str, np.ndarray] = {}
        for chrom, _, values in column(export, tracks, at):
            expected[chrom.name] = np.append(expected.get(chrom.name, values[:0]), values)
        reader = pybigtools.open(path)
        with pyBigWig.open(path) as handle:
            for chrom in export.chroms:
                values = expected[chrom.name]
                whole = chrom.length // BIN
                found = bbi.fetch(path, chrom.name, 0, whole * BIN, bins=whole, missing=np.nan)
                np.testing.assert_allclose(found, values[:whole], rtol=1e-6)
                last = bbi.fetch(path, chrom.name, chrom.length - 1, chrom.length, missing=np.nan)
                np.testing.assert_array_equal(last, values[-1:])
                compared += whole
                first = whole // 2
                span = chrom.name, first * BIN, min(first + 3_000, whole) * BIN
                bases = np.repeat(values[first : first + 3_000], BIN)[: span[2] - span[1]]
                np.testing.assert_array_equal(handle.values(*span, numpy=True), bases)
                np.testing.assert_array_equal(reader.values(*span, fillna=None).astype(np.float32), bases)
                check_zooms(reader, chrom, values)
    return compared


def check_zooms(reader: pybigtools.BBIReader, chrom: ExportChrom, values: np.ndarray) -> None:
    """Each zoom level holds every valued base once, and its records sum to the values."""
    bases = np.minimum((np.arange(len(values)) + 1) * BIN, chrom.length) - np.arange(len(values)) * BIN
    valued = np.isfinite(values)
    total = float((values[valued].astype(np.float64) * bases[valued]).sum())
    for level in reader.zooms()[1:]:
        records = [record for _, _, record in reader.zoom_records(level, chrom.name)]
        assert sum(record["bases_covered"] for record in records) == bases[valued].sum()
        np.testing.assert_allclose(sum(record["sum"] for record in records), total, rtol=1e-6)
        assert max(record["max_val"] for record in records) == values[valued].max()
        assert min(record["min_val"] for record in records) == values[valued].min()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bases", type=int, default=310_000_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--tracks", type=int, default=18)
    parser.add_argument("--keep", type=Path, help="a folder to work in, whose store is used again if it is there")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    keep_freed_memory()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="bigwig_export-"))
    lengths = [int(options.bases / _CHROMS * (1.5 - at / _CHROMS)) + 50 for at in range(_CHROMS)]
    chroms = tuple(ExportChrom(f"chr{at + 1}", length, f"sequence-{at}") for at, length in enumerate(lengths))
    sizes = {chrom.name: chrom.length for chrom in chroms}
    named = tuple(Track(f"track {at}", "", "", "", "#123456") for at in range(options.tracks))
    head = ExportHead("b" * 40, options.tracks, tuple(range(options.tracks)), named)
    export = BigWigExport(folder / "out", folder / "store", REFERENCE, sizes, chroms, (head,), overwrite=True)
    try:
        if not export.store.exists():
            fill(export, options.tracks)
        bins = sum(bin_count(length) for length in lengths)
        pieces = [Bins(chrom.name, first, values) for chrom, first, values in column(export, options.tracks, 0)]
        works: dict[str, tuple[int, Callable[[], object]]] = {
            "export": (options.tracks, lambda: run_export(export, options.processes)),
            "one process, one track": (1, lambda: write_bigwig(folder / "own.bw", sizes, pieces)),
            "pyBigWig, one track": (1, lambda: by_pybigwig(folder / "pybigwig.bw", export, pieces)),
            "pybigtools, one track": (1, lambda: by_pybigtools(folder / "pybigtools.bw", export, pieces)),
        }
        best: dict[str, tuple[float, float]] = {}
        for _ in range(2):
            for name, (_, work) in works.items():
                wall, cpu = timed(work)
                known = best.get(name, (wall, cpu))
                best[name] = min(known[0], wall), min(known[1], cpu)
        compared = check(export, options.tracks)
        written = sum(output_path(export.out, track, "bigwig").stat().st_size for track in named)
        files = {name: folder / f"{name}.bw" for name in ("own", "pybigwig", "pybigtools")}
        result = {
            "bins": bins,
            "tracks": options.tracks,
            "processes": options.processes,
            "values_per_second": {name: bins * works[name][0] / best[name][0] for name in works},
            "values_per_cpu_second": {name: bins * works[name][0] / best[name][1] for name in works},
            "bytes_per_value": {
                "export": written / bins / options.tracks,
                **{name: path.stat().st_size / bins for name, path in files.items()},
            },
            "values_compared": compared,
            "bar": _BAR,
        }
    finally:
        if options.keep is None:
            shutil.rmtree(folder)
    if options.json:
        print(json.dumps(result))
        return
    print(f"{bins:,} bins of {options.tracks} tracks, {options.processes} processes (bar: {_BAR / 1e6:.0f} M values/s)")
    for name in works:
        by_clock, by_cpu = result["values_per_second"][name], result["values_per_cpu_second"][name]
        print(f"  {name:24s} {by_clock / 1e6:6.2f} M values/s   {by_cpu / 1e6:6.2f} M values per CPU second")
    for name, size in result["bytes_per_value"].items():
        print(f"  {name:24s} {size:6.2f} bytes a bin")
    print(f"  every file read by pybbi ({compared:,} values), pyBigWig and pybigtools; zoom records agree")
    show(Bar("values written a second, 10^6", result["values_per_second"]["export"] / 1e6, _BAR / 1e6))


if __name__ == "__main__":
    main()
