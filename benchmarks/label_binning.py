"""Binning bigWigs to 128 bp: ``tracks labels build`` against pyBigWig, time as ratios in one run, and peak memory.

    python benchmarks/label_binning.py [--bases 100000000] [--files 18] [--processes 2]

Two thirds of the files hold a value every 25 bases, as read coverage does; the others one at about every 100th base, as
CpG methylation does. Compared are

* a whole ``tracks labels build``, a process of its own that checks the files, bins them, and writes the label set;
* ``pyBigWig.values`` in pieces of a megabase and NumPy's mean of each bin, file by file in one process (memory for a
  whole chromosome at once would make it slower);
* ``pyBigWig.stats(nBins, exact=True)`` on a sample of windows, multiplied up to the chromosome: all of it takes hours.

The three agree, which is checked before anything is reported.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pyBigWig
from bars import Bar, show
from command import run

from tracks.bigwig_writer import BigWigWriter
from tracks.grid import BIN, WINDOW
from tracks.labels import BuiltLabels
from tracks.markdown import table_lines

_STEP = 1 << 20
_SAMPLE = 12


def write_signal(path: Path, bases: int, dense: bool, seed: int) -> None:
    """Write one bigWig of a chromosome: a value every 25 bases, or single bases about 100 apart."""
    rng = np.random.default_rng(seed)
    with BigWigWriter(path, {"chr1": bases}) as writer:
        for start in range(0, bases, _STEP * 4):
            end = min(start + _STEP * 4, bases)
            starts = np.arange(-(-start // 25) * 25, end - 25, 25)
            ends = starts + 25
            if not dense:
                starts = np.unique(rng.integers(start, end, (end - start) // 100))
                ends = starts + 1
            values = rng.gamma(2, 1, len(starts)).astype(np.float32) if dense else rng.random(len(starts), np.float32)
            writer.add("chr1", starts, ends, values)


def by_values(path: Path, bases: int) -> np.ndarray:
    """Mean of the covered bases of every bin, with ``pyBigWig.values``."""
    means = []
    with pyBigWig.open(str(path)) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of bins without a value
        for start in range(0, bases, _STEP):
            values = file.values("chr1", start, min(start + _STEP, bases), numpy=True)
            padded = np.full(-(-len(values) // BIN) * BIN, np.nan, np.float32)
            padded[: len(values)] = values
            means.append(np.nanmean(padded.reshape(-1, BIN), axis=1, dtype=np.float64))
    return np.concatenate(means)


def by_stats(path: Path, starts: np.ndarray) -> np.ndarray:
    """The same in some windows, with ``pyBigWig.stats``."""
    with pyBigWig.open(str(path)) as file:
        found = [
            file.stats("chr1", start, start + WINDOW, nBins=WINDOW // BIN, exact=True) for start in starts.tolist()
        ]
    return np.array(found, float).ravel()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bases", type=int, default=100_000_000)
    parser.add_argument("--files", type=int, default=18)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = ['name = "benchmark"\ngenome = "chrom.sizes"\n']
        (folder / "chrom.sizes").write_text(f"chr1\t{options.bases}\n")
        paths = [folder / f"{at}.bw" for at in range(options.files)]
        for at, path in enumerate(paths):
            write_signal(path, options.bases, at % 3 < 2, at)
            recipe.append(
                f'[[track]]\nname = "track {at}"\nassay = "x"\nbiosample = "y"\nunit = "z"\ncolor = "#000000"\n'
                f'signal = "{path.name}"\n'
            )
        (folder / "labels.toml").write_text("\n".join(recipe))
        words = ("labels", "build", folder / "labels.toml", "-o", folder / "out.zarr", "--processes", options.processes)
        build = run(*words)
        started = time.perf_counter()
        means = [by_values(path, options.bases) for path in paths]
        values = time.perf_counter() - started
        windows = options.bases // WINDOW
        starts = np.random.default_rng(0).choice(windows, min(_SAMPLE, windows), replace=False) * WINDOW
        started = time.perf_counter()
        sampled = [by_stats(path, starts) for path in paths]
        stats = (time.perf_counter() - started) * windows / len(starts)
        labels = np.concatenate([piece.labels for piece in BuiltLabels(folder / "out.zarr").pieces()])
    for at in range(options.files):
        np.testing.assert_allclose(labels[:, at], means[at], rtol=1e-5)
        here = (starts[:, None] // BIN + np.arange(WINDOW // BIN)).ravel()
        np.testing.assert_allclose(labels[here, at], sampled[at], rtol=1e-5)
    print(
        f"{options.files} bigWigs of {options.bases / 1e6:g} Mb to bins of {BIN} bp; {options.processes} processes.\n"
    )
    rows = [
        ["tracks labels build", f"{build.seconds:.1f}", "1.0", f"{build.megabytes:.0f} MiB a process"],
        ["pyBigWig.values, NumPy", f"{values:.1f}", f"{values / build.seconds:.1f}", "-"],
        ["pyBigWig.stats, exact", f"{stats:.1f}", f"{stats / build.seconds:.1f}", "-"],
    ]
    print("\n".join(table_lines(["binning", "seconds", "times as long", "most memory"], rows)))
    show(Bar("labels, times as fast as pyBigWig.values", values / build.seconds, 1, form="{:.1f}"))


if __name__ == "__main__":
    main()
