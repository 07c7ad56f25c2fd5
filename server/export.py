"""What is known of a track as a file to take away: bigWig or bedGraph, of a span or of all of it.

Exactly the whole 128-bp bins that touch the span are written, as ``tracks predict`` does, and only what is known
already: nothing is computed here, and a bin without a value is left out.
"""

from __future__ import annotations

import itertools
from contextlib import nullcontext
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from server.predicted import PredictedTileset
from tracks.bigwig import Bins, write_bigwig
from tracks.errors import UsageError
from tracks.export import write_bedgraph
from tracks.grid import BIN, BINS, bin_count, bins_over, windows_over
from tracks.regions import Region
from tracks.remote.allowance import long_answer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from server.axis import Axis
    from server.axis_signal import AxisSignal
    from server.tilesets import ObservedTileset

Form = Literal["bigwig", "bedgraph"]

FORMS: tuple[Form, ...] = get_args(Form)

_SUFFIXES = {"bigwig": "bw", "bedgraph": "bedgraph"}
_READ_BINS = 1 << 15


class ExportStoppedError(Exception):
    """Nobody waits for the file any longer."""


def export(
    tileset: PredictedTileset | ObservedTileset,
    form: Form,
    regions: Sequence[Region],
    path: Path,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Write what is known of a tileset in regions (in the axis' order, disjoint) and return the bins written.

    With none there is no file. ``stopped`` is asked again and again, and ends the work with ExportStoppedError.
    Raises TracksError when the file cannot be written, or what is observed not be read.
    """
    counted = 0

    def with_values() -> Iterator[Bins]:
        nonlocal counted
        for bins in known_bins(tileset, regions):
            if stopped():
                raise ExportStoppedError
            valued = int(np.isfinite(bins.values).sum())
            counted += valued
            if valued:
                yield bins

    pieces = with_values()
    with nullcontext() if isinstance(tileset, PredictedTileset) else long_answer_of(tileset.source):
        first = next(pieces, None)
        if first is not None:
            write = write_bigwig if form == "bigwig" else write_bedgraph
            write(path, tileset.axis.chrom_sizes, itertools.chain([first], pieces))
    return counted


def known_bins(tileset: PredictedTileset | ObservedTileset, regions: Sequence[Region]) -> Iterator[Bins]:
    """Yield what is known of a tileset in regions, in order, a piece at a time."""
    if isinstance(tileset, PredictedTileset):
        for region in regions:
            yield from _predicted(tileset, region)
        return
    # Opened once, so that all of it is of one version of the file.
    signal = tileset.opened_anew()
    for region in regions:
        yield from _observed(signal, region)


def _predicted(tileset: PredictedTileset, region: Region) -> Iterator[Bins]:
    store = tileset.predictions.stored.open(region.chrom, tileset.head)
    wanted = bins_over(region)
    stop = min(wanted.stop, bin_count(tileset.axis.chrom_sizes[region.chrom]))
    known = store.known()
    for index in windows_over(region):
        values = store.read(index) if known[index] else None
        if values is not None:
            first, last = max(wanted.start, index * BINS), min(stop, (index + 1) * BINS)
            yield Bins(region.chrom, first, values[first - index * BINS : last - index * BINS, tileset.column])


def _observed(signal: AxisSignal, region: Region) -> Iterator[Bins]:
    bins = bins_over(region)
    for first in range(bins.start, bins.stop, _READ_BINS):
        last = min(first + _READ_BINS, bins.stop)
        yield Bins(region.chrom, first, signal.region_bins(Region(region.chrom, first * BIN, last * BIN)))


def exported_regions(axis: Axis, span: tuple[int, int] | None) -> list[Region]:
    """Return the chromosome parts that a span of the axis covers, or all chromosomes."""
    return [piece.region for piece in axis.pieces(*(span or (0, axis.length)))]


def file_name(tileset: PredictedTileset | ObservedTileset, form: Form, regions: Sequence[Region] | None) -> str:
    """Return a name that says what is in the file, such as ``cpg_methylation_imr90.predicted.chr20_1001_2000.bw``.

    Positions are 1-based inclusive, as regions are written; None is for all that is known.
    """
    kind, _, what = tileset.uid.partition("-")
    if isinstance(tileset, PredictedTileset):
        what = what.removeprefix(f"{tileset.head}-")
        if len(tileset.predictions.heads) > 1:
            kind = f"{kind}-{tileset.head}"
    place = ""
    if regions is not None:
        first, last = regions[0], regions[-1]
        chrom = f"{last.chrom}_" if last.chrom != first.chrom else ""
        place = f".{first.chrom}_{first.start + 1}_{chrom}{last.end}"
    name = f"{what}.{kind}{place}.{_SUFFIXES[form]}"
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "_" for letter in name)


def check_form(text: str) -> Form:
    """Return a format by its name. Raises UsageError that names those there are."""
    for form in FORMS:
        if text == form:
            return form
    raise UsageError(f"'{text[:40]}' is no format of an export; choose one of {', '.join(FORMS)}")
