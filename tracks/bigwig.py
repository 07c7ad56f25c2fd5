"""bigWig files of binned values: pybigtools writes them, pyBigWig reads exact intervals (facts/viewer.md T9, T10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pybigtools
import pyBigWig

from tracks.errors import TracksError
from tracks.files import written_beside
from tracks.grid import BIN
from tracks.regions import Region, check_chrom

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_READ_PIECE = 1 << 24


@dataclass(frozen=True)
class Bins:
    """Values float32 ``[bins]`` of consecutive 128-bp bins of a chromosome from bin ``first``; NaN is missing."""

    chrom: str
    first: int
    values: np.ndarray


def intervals(bins: Bins, chrom_length: int) -> Iterator[tuple[str, int, int, float]]:
    """Yield (chrom, start, end, value), 0-based, of the bins that have a value; equal neighbours are joined.

    The last bin of a chromosome is cut at its end. Raises ValueError for bins outside the chromosome.
    """
    values = bins.values
    if bins.first < 0 or (bins.first + len(values) - 1) * BIN >= chrom_length:
        raise ValueError(f"bins {bins.first} to {bins.first + len(values)} leave {bins.chrom} ({chrom_length} bases)")
    if not len(values):
        return
    same = (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
    run_starts = np.concatenate([[0], np.flatnonzero(~same) + 1])
    run_ends = np.append(run_starts[1:], len(values))
    kept = np.isfinite(values[run_starts])
    starts = ((bins.first + run_starts[kept]) * BIN).tolist()
    ends = np.minimum((bins.first + run_ends[kept]) * BIN, chrom_length).tolist()
    for start, end, value in zip(starts, ends, values[run_starts[kept]].tolist(), strict=True):
        yield bins.chrom, start, end, value


def write_bigwig(path: Path, chrom_sizes: Mapping[str, int], pieces: Iterable[Bins]) -> None:
    """Write binned values to one bigWig with zoom levels; NaN is left out. Existing files are replaced.

    Pieces come in the order of ``chrom_sizes`` and by start, without overlap; they are read once, as a stream.
    Raises TracksError when the file cannot be written; nothing is left under ``path`` then.
    """
    failure: list[BaseException] = []

    def values() -> Iterator[tuple[str, int, int, float]]:
        # pybigtools swallows an exception of its input and ends the file there, so it is carried around it.
        try:
            for piece in pieces:
                yield from intervals(piece, chrom_sizes[piece.chrom])
        except BaseException as error:  # KeyboardInterrupt too
            failure.append(error)

    with written_beside(path) as beside:
        try:
            pybigtools.open(str(beside), "w").write(dict(chrom_sizes), values())
        except Exception as error:
            raise TracksError(f"cannot write the bigWig {path}: {error}") from error
        if failure:
            raise failure[0]


def _open(path: Path) -> pyBigWig.bigWigFile:
    if not path.is_file():
        raise TracksError(f"there is no bigWig file {path}")
    try:
        handle = pyBigWig.open(str(path))
    except RuntimeError as error:
        raise TracksError(f"cannot read {path}: it is not a bigWig file") from error
    if not handle.isBigWig():
        raise TracksError(f"cannot read {path}: it is a bigBed file, not a bigWig")
    return handle


def read_chrom_sizes(path: Path) -> dict[str, int]:
    """Return the chromosome lengths that a bigWig file names. Raises TracksError when it cannot be read."""
    with _open(path) as handle:
        sizes: dict[str, int] = handle.chroms()
        return sizes


def read_bins(path: Path, region: Region) -> np.ndarray:
    """Return the mean of the covered bases of each 128-bp bin that touches a region, float32 ``[bins]``; NaN where
    no base is covered. Exact: made from the intervals, never from zoom levels.

    Raises TracksError when the file cannot be read or has no such chromosome.
    """
    with _open(path) as handle:
        check_chrom(region.chrom, handle.chroms(), str(path))
        length = handle.chroms(region.chrom)
        first, last = region.start // BIN, -(-region.end // BIN)
        step = _READ_PIECE // BIN
        pieces = []
        for start in range(first, last, step):
            edges = np.arange(start, min(start + step, last) + 1, dtype=np.int64) * BIN
            found = handle.intervals(region.chrom, int(edges[0]), int(min(edges[-1], length))) or ()
            pieces.append(_binned(np.array(found, np.float64).reshape(-1, 3), edges))
        return np.concatenate(pieces)


def _binned(spans: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Average intervals ``[n, 3]`` (start, end, value; sorted, disjoint) over the bins between ``edges``."""
    spans = spans[np.isfinite(spans[:, 2])]
    if not len(spans):
        return np.full(len(edges) - 1, np.nan, np.float32)
    starts, ends, values = spans.T
    if len(spans) == len(edges) - 1 and (starts == edges[:-1]).all() and (ends[:-1] == edges[1:-1]).all():
        exact: np.ndarray = values.astype(np.float32)
        return exact
    # The running integrals of value and of coverage are straight lines between interval ends, so they are
    # exact at the bin edges by interpolation.
    at = np.stack([starts, ends], axis=1).ravel()
    covered = np.repeat(np.cumsum(ends - starts), 2)
    covered[0::2] -= ends - starts
    area = np.repeat(np.cumsum((ends - starts) * values), 2)
    area[0::2] -= (ends - starts) * values
    bases = np.diff(np.interp(edges, at, covered))
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.diff(np.interp(edges, at, area)) / bases
    binned: np.ndarray = np.where(bases > 0.5, means, np.nan).astype(np.float32)
    return binned


@dataclass(frozen=True)
class BigWigSummary:
    """What a bigWig file is: chromosome lengths, bases covered, and the range and mean of its values."""

    chrom_sizes: dict[str, int]
    covered: int
    minimum: float
    maximum: float
    mean: float
    zoom_levels: tuple[int, ...]


def summarise_bigwig(path: Path) -> BigWigSummary:
    """Return what a bigWig file is. Raises TracksError when it cannot be read."""
    if not path.is_file():
        raise TracksError(f"there is no bigWig file {path}")
    try:
        reader = pybigtools.open(str(path))
        summary = reader.info()["summary"]
    except (pybigtools.BBIReadError, OSError, ValueError, RuntimeError) as error:
        raise TracksError(f"cannot read {path}: it is not a bigWig file ({error})") from error
    return BigWigSummary(
        chrom_sizes=dict(reader.chroms()),
        covered=int(summary["basesCovered"]),
        minimum=float(summary["min"]),
        maximum=float(summary["max"]),
        mean=float(summary["mean"]),
        zoom_levels=tuple(int(level) for level in reader.zooms()),
    )
