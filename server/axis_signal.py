"""A bigWig file on the genome axis: its mean, least and greatest value in each of a tile's bins."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from server.binning import Steps, maxima, means, minima, sums
from server.byte_cache import ByteCache
from tracks.bigwig_reader import BigWigReader
from tracks.binning import bin_sums
from tracks.chroms import match_chroms
from tracks.grid import BIN, bins_over

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server.axis import Axis, Mode, Piece
    from tracks.regions import Region
    from tracks.remote.source import Source

EXACT_WIDTH = 1 << 12
"""Up to so many bases a bin, tiles come from the file's values."""

ZOOM_SHARE = 6
"""Wider bins come from zoom records of at most the bin over this."""

_MOST_BLOCKS = 512
"""Blocks of values that one tile reads at most, where there are zoom records instead: half a million values."""

_WHOLE_RECORDS = 1 << 18
"""Zoom levels of at most so many records are decoded as a whole, finer ones chromosome by chromosome."""

_KEPT_BYTES = 128 << 20
"""Decoded zoom records that are kept, of all files together."""


@dataclass(frozen=True, eq=False)
class _Records:
    """Zoom records on the axis, in order and disjoint; the last three are what ``Mode`` tells, float32."""

    starts: np.ndarray
    ends: np.ndarray
    bases: np.ndarray
    mean: np.ndarray
    min: np.ndarray
    max: np.ndarray

    def steps(self, start: int, end: int, mode: Mode) -> Steps:
        first, last = np.searchsorted(self.ends, start, "right"), np.searchsorted(self.starts, end, "left")
        values: np.ndarray = getattr(self, mode)
        return Steps(*(column[first:last] for column in (self.starts, self.ends, values, self.bases)))

    @property
    def nbytes(self) -> int:
        columns = (self.starts, self.ends, self.bases, self.mean, self.min, self.max)
        return sum(column.nbytes for column in columns) + 1024


_KEPT: ByteCache[_Records] = ByteCache(_KEPT_BYTES, lambda records: records.nbytes)


class AxisSignal:
    """A bigWig file whose chromosomes lie on a genome axis; several threads may use it at once.

    Bins of at most 4 kb are computed from the file's values in float64. Wider ones come from the coarsest zoom
    records that are at most a sixth of a bin: sums of records that cross a bin's edge are shared out by length, and
    their least and greatest values count on both sides. So what is uncertain is on which side of an edge a value lies
    that is within a sixth of a bin of it. A tile that would read more than 512 blocks of values, of a file of a value
    for every base, uses such records too. Records are decoded a chromosome at a time (10 ms for 250 Mb at 5 kb) or,
    where they are few, a whole level; 128 MB of them, of all files together, are kept for the tiles that come next.

    Records that cannot be right are computed again from the values: pyBigWig writes sums of 0 into the last record of
    each block (facts T9), and NaN where a value was NaN. A record of minimum or maximum other than 0 whose sum and sum
    of squares are both 0 is one of those.

    Values outside the genome's chromosome are left out, where the file's is longer; what the file lacks is not covered.

    Why not pybigtools: ``values(bins=...)`` gives means and no coverage, so a bin that crosses a chromosome's border
    cannot be joined; ``exact=True`` takes as long as reading the values (4 ms for a tile of 8-kb bins of 128-bp values)
    and the other way uses records of up to half a bin; records come as Python objects (26 ms for a tile of 131-kb bins,
    here 0.4 ms). ``benchmarks/observed_tiles.py`` compares with clodius.

    Raises UsageError when the file is not there or shares no chromosome with the axis, TracksError when it is damaged.
    """

    def __init__(self, path: Source, axis: Axis) -> None:
        self._axis = axis
        self._reader = BigWigReader(path)
        self._key = object()
        # Lengths may differ: a track that is drawn where it can be helps more than none.
        self._names = match_chroms(list(self._reader.chrom_sizes), axis.chrom_sizes, str(path)).of_genome
        # By the file's number of a chromosome; -1 for one that is not on the axis, and for all numbers past the last.
        numbers = max(self._reader.chrom_ids.values()) + 2
        self._offsets, self._ends, self._their_ends = (np.full(numbers, -1, np.int64) for _ in range(3))
        for ours, theirs in self._names.items():
            number = self._reader.chrom_ids[theirs]
            self._offsets[number] = offset = axis.offsets[ours]
            self._ends[number] = offset + axis.chrom_sizes[ours]
            self._their_ends[number] = offset + self._reader.chrom_sizes[theirs]

    def bins(self, start: int, width: int, count: int, mode: Mode = "mean") -> np.ndarray:
        """Return ``count`` bins of ``width`` bases from an absolute position on, float32; NaN where nothing is covered.

        Raises TracksError when the file is damaged.
        """
        end = start + width * count
        found = np.full(count, np.nan)
        total, covered = np.zeros(count), np.zeros(count)
        for signal in self._signals(start, end, width, mode):
            if not len(signal.starts):
                continue
            first = max(0, (int(signal.starts[0]) - start) // width)
            last = min(count, -(-(int(signal.ends[-1]) - start) // width))
            here, edges = slice(first, last), start + width * np.arange(first, last + 1)
            if mode == "mean":
                more, bases = sums(signal, edges)
                total[here] += more
                covered[here] += bases
            elif mode == "min":
                found[here] = np.fmin(found[here], minima(signal, edges))
            else:
                found[here] = np.fmax(found[here], maxima(signal, edges))
        return means(total, covered) if mode == "mean" else found.astype(np.float32)

    @property
    def extent(self) -> tuple[float, float] | None:
        """The least and the greatest value of the whole file, as it says itself; None where it does not."""
        return self._reader.extent

    def region_bins(self, region: Region) -> np.ndarray:
        """Return the mean of the covered bases of each 128-bp bin that touches a region of the genome, float32
        ``[bins]``; NaN where there is none. Never from zoom records: what is written to files.

        Raises TracksError when the file is damaged.
        """
        bins = bins_over(region)
        if region.chrom not in self._names:
            return np.full(len(bins), np.nan, np.float32)
        end = min(bins.stop * BIN, self._axis.chrom_sizes[region.chrom])
        signal = self._reader.runs(self._names[region.chrom], bins.start * BIN, end)
        means: np.ndarray = bin_sums(signal, bins.start * BIN, len(bins)).mean.astype(np.float32)
        return means

    def _signals(self, start: int, end: int, width: int, mode: Mode) -> Iterator[Steps]:
        """Yield a span of the axis in parts."""
        pieces = [piece for piece in self._axis.pieces(start, end) if piece.region.chrom in self._names]
        if not pieces:
            return
        fitting = [size for size in self._reader.zooms if ZOOM_SHARE * size <= width]
        if fitting and (width > EXACT_WIDTH or not self._few_blocks(pieces)):
            size = fitting[-1]
            whole = sum(length // size + 1 for length in self._reader.chrom_sizes.values()) <= _WHOLE_RECORDS
            for chrom in [None] if whole else [self._names[piece.region.chrom] for piece in pieces]:
                yield self._records(size, chrom).steps(start, end, mode)
            return
        for piece in pieces:
            region, by = piece.region, piece.start - piece.region.start
            for runs in self._reader.runs(self._names[region.chrom], region.start, region.end):
                yield Steps(runs.starts + by, runs.ends + by, runs.values, runs.ends - runs.starts)

    def _few_blocks(self, pieces: list[Piece]) -> bool:
        count = 0
        for piece in pieces:
            region = piece.region
            count += self._reader.block_count(self._names[region.chrom], region.start, region.end)
        return count <= _MOST_BLOCKS

    def _records(self, size: int, chrom: str | None) -> _Records:
        """The records of a zoom level, of one chromosome or of all."""
        key = self._key, size, chrom
        return _KEPT.get(key, lambda: self._placed(self._reader.zoom_records(size, chrom)))

    def _placed(self, rows: np.ndarray) -> _Records:
        """Put right what is wrong in records, and put them on the axis."""
        # Copies of rows are what takes long here, and mostly all are kept, in their order.
        kept = (rows["bases"] > 0) & (self._offsets.take(rows["chrom"], mode="clip") >= 0)
        rows = self._mended(rows if kept.all() else rows[kept])
        chroms = rows["chrom"]
        starts = self._offsets.take(chroms, mode="clip") + rows["start"]
        if (starts[1:] < starts[:-1]).any():
            order = np.argsort(starts, kind="stable")
            rows, chroms, starts = rows[order], chroms[order], starts[order]
        # A record may reach past what it covers, into the next one or past the end of the file's chromosome; one that
        # reaches past the end of the genome's is cut, with its bases.
        ends = np.minimum(starts + rows["end"] - rows["start"], self._their_ends.take(chroms, mode="clip"))
        ends[:-1] = np.minimum(ends[:-1], starts[1:])
        inside = np.minimum(ends, self._ends.take(chroms, mode="clip"))
        bases = rows["bases"].astype(np.float32)
        columns = [starts, inside, bases, rows["sum"] / bases, rows["least"], rows["most"]]
        there = inside > starts
        if not there.all() or (inside < ends).any():
            columns[2] = bases * ((inside - starts) / np.maximum(ends - starts, 1)).astype(np.float32)
            columns = [column[there] for column in columns]
        return _Records(*map(np.ascontiguousarray, columns))

    def _mended(self, rows: np.ndarray) -> np.ndarray:
        """Compute records that cannot be right again, from the file's values."""
        numbers = np.isfinite(rows["sum"]) & np.isfinite(rows["least"]) & np.isfinite(rows["most"])
        empty = (rows["sum"] == 0) & (rows["squares"] == 0) & ((rows["least"] != 0) | (rows["most"] != 0))
        wrong = np.flatnonzero(empty | ~numbers)
        if not len(wrong):
            return rows
        rows = rows.copy()
        names = {number: name for name, number in self._reader.chrom_ids.items()}
        apart = (np.diff(wrong) > 1) | (np.diff(rows["chrom"][wrong]) != 0)
        edges = [0, *(np.flatnonzero(apart) + 1).tolist(), len(wrong)]
        for first, last in itertools.pairwise(edges):
            group = rows[wrong[first:last]]
            places = np.maximum.accumulate(np.stack([group["start"], group["end"]], axis=1).ravel().astype(np.int64))
            total, covered = np.zeros(len(group)), np.zeros(len(group))
            least, most = np.full(len(group), np.nan), np.full(len(group), np.nan)
            for runs in self._reader.runs(names[int(group["chrom"][0])], int(places[0]), int(places[-1])):
                signal = Steps(runs.starts, runs.ends, runs.values, runs.ends - runs.starts)
                more, bases = sums(signal, places)
                total, covered = total + more[::2], covered + bases[::2]
                least = np.fmin(least, minima(signal, places)[::2])
                most = np.fmax(most, maxima(signal, places)[::2])
            for name, column in (("sum", total), ("bases", covered), ("least", least), ("most", most)):
                rows[name][wrong[first:last]] = column
        return rows[rows["bases"] > 0]
