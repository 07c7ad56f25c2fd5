"""bigWig files, written and read, against pyBigWig, pybigtools and pybbi: time as ratios in one run.

    python benchmarks/bigwig_files.py [--chroms 6] [--regions 300]

One file holds a value for most 128-bp bins of the first chromosomes of hg38, with gaps (``hg38_signal.py``). The values
are made before the clock starts. Written by

* ``tracks.bigwig.write_bigwig``, with exact zoom records;
* pyBigWig, ``addEntries`` of arrays; its zoom records are of single values where a bin holds several;
* pybigtools, which takes its values one by one.

Read, each the mean of 128-bp bins, and compared with one another before anything is reported:

* the whole of the longest chromosome: ``BigWigReader`` and ``bin_sums``; pyBigWig's ``values`` in pieces of a megabase
  and NumPy's mean; pybbi's ``fetch`` with a number of bins in the same pieces;
* windows of 114,688 bp at random places, one after the other, the file open throughout where the library can.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import bbi
import numpy as np
import pybigtools
import pyBigWig
from bars import Bar, show
from hg38_signal import CHROM_SIZES, pieces

from tracks.bigwig import Bins, runs, write_bigwig
from tracks.bigwig_reader import BigWigReader
from tracks.binning import bin_sums
from tracks.grid import BIN, BINS, WINDOW, bin_count
from tracks.markdown import table_lines
from tracks.memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PIECE = 1 << 20


def write_pybigwig(path: Path, sizes: dict[str, int], made: list[Bins]) -> None:
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader(list(sizes.items()), maxZooms=10)
        for piece in made:
            starts, ends, values = runs(piece, sizes[piece.chrom])
            file.addEntries([piece.chrom] * len(starts), starts, ends=ends, values=values.astype(np.float64))


def write_pybigtools(path: Path, sizes: dict[str, int], made: list[Bins]) -> None:
    def rows() -> Iterator[tuple[str, int, int, float]]:
        for piece in made:
            for row in zip(*(column.tolist() for column in runs(piece, sizes[piece.chrom])), strict=True):
                yield piece.chrom, *row

    pybigtools.open(str(path), "w").write(sizes, rows())


def means(values: np.ndarray) -> np.ndarray:
    """Mean of each bin of some bases' values."""
    padded = np.full(-(-len(values) // BIN) * BIN, np.nan, np.float32)
    padded[: len(values)] = values
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of bins without a value
        return np.nanmean(padded.reshape(-1, BIN), axis=1)


def whole(path: Path, chrom: str, length: int) -> dict[str, Callable[[], np.ndarray]]:
    """How each reads the bins of a whole chromosome."""
    spans = [(start, min(start + _PIECE, length)) for start in range(0, length, _PIECE)]

    def ours() -> np.ndarray:
        with BigWigReader(path) as reader:
            return bin_sums(reader.runs(chrom), 0, bin_count(length)).mean

    def by_pybigwig() -> np.ndarray:
        with pyBigWig.open(str(path)) as file:
            return np.concatenate([means(file.values(chrom, *span, numpy=True)) for span in spans])

    def by_pybbi() -> np.ndarray:
        with bbi.open(str(path)) as file:
            return np.concatenate([means(file.fetch(chrom, *span, missing=np.nan)) for span in spans])

    return {"tracks": ours, "pyBigWig": by_pybigwig, "pybbi": by_pybbi}


def regions(path: Path, chrom: str, starts: list[int]) -> dict[str, Callable[[], np.ndarray]]:
    """How each reads the bins of windows."""

    def ours() -> np.ndarray:
        with BigWigReader(path) as reader:
            found = [bin_sums(reader.runs(chrom, at, at + WINDOW), at, BINS).mean for at in starts]
        return np.concatenate(found)

    def by_pybigwig() -> np.ndarray:
        with pyBigWig.open(str(path)) as file:
            return np.concatenate([means(file.values(chrom, at, at + WINDOW, numpy=True)) for at in starts])

    def by_pybbi() -> np.ndarray:
        with bbi.open(str(path)) as file:
            return np.concatenate([means(file.fetch(chrom, at, at + WINDOW, missing=np.nan)) for at in starts])

    return {"tracks": ours, "pyBigWig": by_pybigwig, "pybbi": by_pybbi}


def seconds_of(work: dict[str, Callable[[], object]], rounds: int) -> tuple[dict[str, float], dict[str, object]]:
    """The fewest seconds of each in some rounds, one after the other, and what each returned."""
    best, made = dict.fromkeys(work, np.inf), {}
    for _ in range(rounds):
        for name, one in work.items():
            started = time.perf_counter()
            made[name] = one()
            best[name] = min(best[name], time.perf_counter() - started)
    return best, made


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chroms", type=int, default=6)
    parser.add_argument("--regions", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    keep_freed_memory()
    sizes = dict(list(CHROM_SIZES.items())[: options.chroms])
    made = list(pieces(chroms=sizes))
    count = sum(int(np.isfinite(piece.values).sum()) for piece in made)
    chrom = max(sizes, key=sizes.__getitem__)
    rng = np.random.default_rng(0)
    starts = (rng.integers(0, sizes[chrom] // WINDOW, options.regions) * WINDOW).tolist()
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{name}.bw" for name in ("tracks", "pyBigWig", "pybigtools")}
        written, _ = seconds_of(
            {
                "tracks": lambda: write_bigwig(paths["tracks"], sizes, made),
                "pyBigWig": lambda: write_pybigwig(paths["pyBigWig"], sizes, made),
                "pybigtools": lambda: write_pybigtools(paths["pybigtools"], sizes, made),
            },
            1,
        )
        kilobytes = {name: path.stat().st_size / 1e3 for name, path in paths.items()}
        for path in paths.values():
            with pyBigWig.open(str(path)) as file:
                np.testing.assert_array_equal(
                    file.values(chrom, 0, _PIECE, numpy=True), _expected(made, sizes[chrom], chrom)[:_PIECE]
                )
        read, found = seconds_of(whole(paths["tracks"], chrom, sizes[chrom]), options.rounds)
        windows, others = seconds_of(regions(paths["tracks"], chrom, starts), options.rounds)
    for results in (found, others):
        for name in ("pyBigWig", "pybbi"):
            np.testing.assert_allclose(results[name], results["tracks"], rtol=1e-5)
    print(f"{count / 1e6:.1f} million values of {options.chroms} chromosomes.\n")
    print("\n".join(table_lines(["writing", "seconds", "10^6 values/s", "times pyBigWig", "MB"], [
        [name, f"{took:.2f}", f"{count / took / 1e6:.2f}", f"{written['pyBigWig'] / took:.2f}",
         f"{kilobytes[name] / 1e3:.1f}"]
        for name, took in written.items()
    ])))  # fmt: skip
    print()
    bins = bin_count(sizes[chrom])
    print("\n".join(table_lines(["reading bins of 128 bp", f"{chrom}, s", "10^6 bins/s", "times pyBigWig",
                                 "a window, ms", "times pyBigWig"], [
        [name, f"{took:.2f}", f"{bins / took / 1e6:.2f}", f"{read['pyBigWig'] / took:.2f}",
         f"{1e3 * windows[name] / len(starts):.2f}", f"{windows['pyBigWig'] / windows[name]:.2f}"]
        for name, took in read.items()
    ])))  # fmt: skip
    show(
        Bar("writing, times as fast as pyBigWig", written["pyBigWig"] / written["tracks"], 1),
        Bar("reading a chromosome, times as fast as pyBigWig", read["pyBigWig"] / read["tracks"], 1),
        Bar("reading windows, times as fast as pyBigWig", windows["pyBigWig"] / windows["tracks"], 1),
    )


def _expected(made: list[Bins], length: int, chrom: str) -> np.ndarray:
    """The values of a chromosome's first bases."""
    values = np.repeat(np.concatenate([piece.values for piece in made if piece.chrom == chrom][:1]), BIN)
    return values[:length]


if __name__ == "__main__":
    main()
