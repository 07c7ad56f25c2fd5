"""bigWig files of binned values. ``tracks.bigwig_writer`` writes them, pyBigWig reads their intervals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pybigtools
import pyBigWig

from tracks.bigwig_format import MAGIC
from tracks.bigwig_reader import BigWigReader
from tracks.bigwig_writer import BigWigWriter
from tracks.binning import bin_sums
from tracks.errors import TracksError, UsageError
from tracks.files import written_beside
from tracks.grid import BIN
from tracks.regions import Region, check_chrom
from tracks.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tracks.remote.address import Address
    from tracks.remote.source import Source

_READ_PIECE = 1 << 20

# The first four bytes, in either byte order (Kent et al. 2010, supplement).
_KINDS = {MAGIC: "bigWig", 0x8789F2EB: "bigBed"}


@dataclass(frozen=True)
class Bins:
    """Values float32 ``[bins]`` of consecutive 128-bp bins of a chromosome from bin ``first``; NaN is missing."""

    chrom: str
    first: int
    values: np.ndarray


def runs(bins: Bins, chrom_length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return starts and ends (int64 bases, 0-based half-open) and values (float32) of the bins that have a value;
    equal neighbours are joined.

    The last bin of a chromosome is cut at its end. Raises ValueError for bins outside the chromosome.
    """
    values = bins.values
    if bins.first < 0 or (bins.first + len(values) - 1) * BIN >= chrom_length:
        raise ValueError(f"bins {bins.first} to {bins.first + len(values)} leave {bins.chrom} ({chrom_length} bases)")
    changes = np.ones(len(values) + 1, bool)
    changes[1:-1] = values[1:] != values[:-1]  # NaN is no neighbour of anything, and is dropped below
    edges = np.flatnonzero(changes)
    starts, ends = edges[:-1], edges[1:]
    kept = np.isfinite(values[starts])
    starts, ends = starts[kept], ends[kept]
    return (bins.first + starts) * BIN, np.minimum((bins.first + ends) * BIN, chrom_length), values[starts]


def in_order(pieces: Iterable[Bins], chrom_sizes: Mapping[str, int]) -> Iterator[Bins]:
    """Pass pieces on. Raises ValueError where they leave the order of ``chrom_sizes`` and starts, or overlap."""
    ranks = {chrom: rank for rank, chrom in enumerate(chrom_sizes)}
    last = (-1, 0)
    for piece in pieces:
        here = (ranks[piece.chrom], piece.first)
        if here < last:
            raise ValueError(f"bins of {piece.chrom} from {piece.first} on come out of order, or twice")
        yield piece
        last = (here[0], piece.first + len(piece.values))


def write_bigwig(path: Path, chrom_sizes: Mapping[str, int], pieces: Iterable[Bins]) -> None:
    """Write binned values to one bigWig with zoom levels; NaN is left out. Existing files are replaced.

    Pieces come in the order of ``chrom_sizes`` and by start, without overlap; they are read once, as a stream.
    The file names every chromosome of ``chrom_sizes``. Raises ValueError when pieces do not come so, and TracksError
    when the file cannot be written or there is no value to write; nothing is left under ``path`` then.
    """
    too_long = next((chrom for chrom, length in chrom_sizes.items() if length >= 1 << 32), None)
    if too_long is not None:
        raise TracksError(
            f"cannot write the bigWig {path}: {too_long} is too long for the format (4,294,967,295 bases)"
        )
    with written_beside(path) as beside, BigWigWriter(beside, chrom_sizes) as writer:
        for piece in in_order(pieces, chrom_sizes):
            writer.add(piece.chrom, *runs(piece, chrom_sizes[piece.chrom]))
        if not writer.bases:
            raise TracksError(f"cannot write the bigWig {path}: there is no value to write")


def _checked(path: Path) -> pybigtools.BBIReader:
    """Open a bigWig with pybigtools, which refuses damaged headers that make pyBigWig end the process."""
    # The first bytes are read before the libraries see the file, because these take a bigBed and print errors.
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except FileNotFoundError as error:
        raise UsageError(f"there is no bigWig file {path}") from error
    except OSError as error:
        raise TracksError(f"cannot read {path}: {error.strerror}") from error
    kinds = {_KINDS.get(int.from_bytes(head, "little")), _KINDS.get(int.from_bytes(head, "big"))}
    if "bigBed" in kinds:
        raise TracksError(f"cannot read {path}: it is a bigBed file, not a bigWig")
    if "bigWig" not in kinds:
        raise TracksError(f"cannot read {path}: it is not a bigWig file")
    try:
        return pybigtools.open(str(path))
    except (pybigtools.BBIReadError, OSError, ValueError, RuntimeError) as error:
        raise TracksError(f"cannot read {path}: it is a damaged bigWig file ({error})") from error


def _remote(address: Address) -> pybigtools.BBIReader:
    """Open a bigWig on another server with pybigtools."""
    from tracks.remote.blocks import RemoteStream
    from tracks.remote.file import remote_file

    # What is no bigWig, or damaged, is told from one by this reader, whose words are those of a tile's error too.
    BigWigReader(address).close()
    stream = RemoteStream(remote_file(address).open())
    try:
        return pybigtools.open(stream)
    except (pybigtools.BBIReadError, OSError, ValueError, RuntimeError) as error:
        if stream.failure is not None:
            raise stream.failure.again() from error
        raise TracksError(f"cannot read {address}: it is a damaged bigWig file") from error


def _open(path: Path) -> pyBigWig.bigWigFile:
    _checked(path).close()
    try:
        return pyBigWig.open(str(path))
    except RuntimeError as error:
        raise TracksError(f"cannot read {path}: it is a damaged bigWig file") from error


def read_chrom_sizes(path: Source) -> dict[str, int]:
    """Return the chromosome lengths that a bigWig file names. Raises TracksError when it cannot be read."""
    if not isinstance(path, Path):
        return BigWigReader(path).chrom_sizes
    with _open(path) as handle:
        sizes: dict[str, int] = handle.chroms()
        return sizes


def read_bins(path: Source, region: Region) -> np.ndarray:
    """Return the mean of the covered bases of each 128-bp bin that touches a region, float32 ``[bins]``; NaN where
    no base is covered or the chromosome has ended. Exact: made from the intervals, never from zoom levels.

    Raises TracksError when the file cannot be read or has no such chromosome.
    """
    if not isinstance(path, Path):
        return _remote_bins(BigWigReader(path), region)
    with _open(path) as handle:
        check_chrom(region.chrom, handle.chroms(), str(path))
        length = handle.chroms(region.chrom)
        first, last = region.start // BIN, -(-region.end // BIN)
        step = _READ_PIECE // BIN
        pieces = []
        for start in range(first, last, step):
            end = min(start + step, last)
            found = _intervals(handle, path, region.chrom, start * BIN, min(end * BIN, length))
            spans = np.array(found, np.float64).reshape(-1, 3)
            runs = Runs.of(*spans[np.isfinite(spans[:, 2])].T)
            pieces.append(bin_sums([runs], start * BIN, end - start).mean.astype(np.float32))
        return np.concatenate(pieces)


def _remote_bins(reader: BigWigReader, region: Region) -> np.ndarray:
    # pyBigWig's wheels read paths alone.
    check_chrom(region.chrom, reader.chrom_sizes, str(reader.path))
    first, last = region.start // BIN, -(-region.end // BIN)
    step = _READ_PIECE // BIN
    pieces = []
    for start in range(first, last, step):
        end = min(start + step, last)
        found = list(reader.runs(region.chrom, start * BIN, end * BIN))
        pieces.append(bin_sums(found, start * BIN, end - start).mean.astype(np.float32))
    return np.concatenate(pieces)


def _intervals(
    handle: pyBigWig.bigWigFile, path: Path, chrom: str, start: int, end: int
) -> Sequence[tuple[int, int, float]]:
    if start >= end:
        return ()
    try:
        return handle.intervals(chrom, start, end) or ()
    except RuntimeError as error:
        raise TracksError(f"cannot read {chrom}:{start + 1:,}-{end:,} from {path}: the file is damaged") from error


@dataclass(frozen=True)
class BigWigSummary:
    """What a bigWig file is: chromosome lengths, bases covered, the range and mean of its values, and the bases
    that one record of each zoom level spans."""

    chrom_sizes: dict[str, int]
    covered: int
    minimum: float
    maximum: float
    mean: float
    zoom_levels: tuple[int, ...]


def summarise_bigwig(path: Source) -> BigWigSummary:
    """Return what a bigWig file is. Raises TracksError when it cannot be read."""
    reader = _checked(path) if isinstance(path, Path) else _remote(path)
    try:
        summary = reader.info()["summary"]
    except (pybigtools.BBIReadError, OSError, ValueError, RuntimeError) as error:
        raise TracksError(f"cannot read {path}: it is a damaged bigWig file ({error})") from error
    return BigWigSummary(
        chrom_sizes=dict(reader.chroms()),
        covered=int(summary["basesCovered"]),
        minimum=float(summary["min"]),
        maximum=float(summary["max"]),
        mean=float(summary["mean"]),
        zoom_levels=tuple(int(level) for level in reader.zooms()),
    )
