"""The bigWig files behind a track, and what its bins' bases come to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tracks.bigwig_reader import BigWigReader
from tracks.binning import bin_maxima, bin_medians, bin_sums, multiplied, peak_scores
from tracks.chroms import match_chroms
from tracks.errors import UsageError
from tracks.grid import BIN
from tracks.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tracks.labels.recipe import TrackRecipe

_reader = lru_cache(maxsize=256)(BigWigReader)
"""One handle a file and process, since each piece of work reads all files."""


def forget_files() -> None:
    """Drop the handles of earlier work in this process: the files may have changed since."""
    _reader.cache_clear()


@dataclass(frozen=True)
class Signal:
    """A signal on a genome: for each chromosome that it has, the bigWig file and the name there."""

    places: dict[str, tuple[Path, str]]
    note: str = ""

    def runs(self, chrom: str, start: int, end: int) -> Iterator[Runs]:
        """Yield the runs that touch ``[start, end)``, cut to it; none where the chromosome is not there."""
        if chrom in self.places:
            path, name = self.places[chrom]
            yield from _reader(path).runs(name, start, end)

    def length(self, chrom: str) -> int:
        """Return the length that the file gives a chromosome."""
        path, name = self.places[chrom]
        return _reader(path).chrom_sizes[name]


def expanded(path: Path, chroms: Iterable[str]) -> dict[str, Path]:
    """Return the file of each chromosome: a path that holds ``{chrom}`` has one for each, any other is for all."""
    return {chrom: Path(str(path).replace("{chrom}", chrom)) for chrom in chroms}


def open_signal(path: Path, sizes: Mapping[str, int]) -> Signal:
    """Find a signal's chromosomes in its bigWig file, or in the file of each (``{chrom}`` in the name).

    Raises UsageError when names or lengths do not go with the genome's, and what opening a bigWig raises.
    """
    if "{chrom}" not in str(path):
        names = match_chroms(_reader(path).chrom_sizes, sizes, str(path))
        return Signal({ours: (path, theirs) for ours, theirs in names.of_genome.items()}, names.note)
    places, notes = {}, []
    for chrom, file in expanded(path, sizes).items():
        if file.exists():
            names = match_chroms(_reader(file).chrom_sizes, {chrom: sizes[chrom]}, str(file))
            places[chrom] = (file, names.of_genome[chrom])
            notes += [names.note] if names.note else []
    return Signal(places, notes[0] if notes else "")


def open_elsewhere(path: Path, sizes: Mapping[str, int]) -> Signal:
    """Find a signal that is on another genome, whose chromosomes are named alike: a file for each chromosome is taken
    by its name, and of that its first chromosome (as the published labels were made)."""
    if "{chrom}" not in str(path):
        return Signal({chrom: (path, chrom) for chrom in _reader(path).chrom_sizes if chrom in sizes})
    files = {chrom: file for chrom, file in expanded(path, sizes).items() if file.exists()}
    return Signal({chrom: (file, next(iter(_reader(file).chrom_sizes))) for chrom, file in files.items()})


@dataclass(frozen=True)
class TrackInputs:
    """One track to build: its recipe, the signals of its roles (modified and valid for counts), and the bases that
    its lift reached (None: all)."""

    recipe: TrackRecipe
    signals: dict[str, Signal]
    reach: Signal | None = None


def bin_values(inputs: TrackInputs, chrom: str, length: int, origin: int, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the aggregated value of bins from base ``origin`` on, in linear scale, and the valid count behind each
    (bases; calls for a fraction; coverage for a weighted mean): float64 ``[bins]``. A value without any is NaN.

    The bins may leave the chromosome, which has ``length`` bases, at both ends.
    """
    recipe, end = inputs.recipe, origin + bins * BIN

    def runs(role: str) -> Iterator[Runs]:
        found = inputs.signals[role].runs(chrom, max(origin, 0), end)
        if inputs.reach is None:
            return found
        # Where a base lands that the file leaves out, another one's value is no better known than if both had one.
        reach = inputs.reach.runs(chrom, max(origin, 0), end)
        return iter([multiplied(Runs.joined(list(found)), Runs.joined(list(reach)))])

    with np.errstate(divide="ignore", invalid="ignore"):
        if recipe.aggregate == "fraction":
            valid = bin_sums(runs("valid"), origin, bins).total
            return bin_sums(runs("modified"), origin, bins).total / valid, valid
        if recipe.aggregate == "weighted":
            signal, coverage = Runs.joined(list(runs("signal"))), Runs.joined(list(runs("coverage")))
            both = multiplied(Runs(signal.starts, signal.ends, np.ones_like(signal.values)), coverage)
            valid = bin_sums([both], origin, bins).total
            return bin_sums([multiplied(signal, coverage)], origin, bins).total / valid, valid
    pieces = list(runs("intervals" if recipe.aggregate == "covered" else "signal"))
    if recipe.stored == "log2":
        pieces = [Runs(piece.starts, piece.ends, np.exp2(piece.values)) for piece in pieces]
    return _of_bases(inputs, pieces, _reached(inputs, chrom, length, origin, bins), origin)


def _reached(inputs: TrackInputs, chrom: str, length: int, origin: int, bins: int) -> np.ndarray:
    """Count the bases of each bin that could have a value: those of the chromosome that the lift reached."""
    if inputs.reach is not None:
        return bin_sums(inputs.reach.runs(chrom, max(origin, 0), origin + bins * BIN), origin, bins).covered
    edges = np.clip(origin + BIN * np.arange(bins + 1), 0, length)
    return np.diff(edges)


def _of_bases(
    inputs: TrackInputs, pieces: list[Runs], reached: np.ndarray, origin: int
) -> tuple[np.ndarray, np.ndarray]:
    recipe, bins = inputs.recipe, len(reached)
    sums = bin_sums(pieces, origin, bins)
    total, valid = sums.total, sums.covered.astype(np.float64)
    filled = 0.0 if recipe.aggregate == "covered" else recipe.uncovered
    if filled is not None:
        filled = 2.0**filled if recipe.stored == "log2" else filled
        bare = np.maximum(reached - sums.covered, 0)
        total, valid = total + filled * bare, valid + bare
    if recipe.aggregate == "median":
        return bin_medians(pieces, origin, bins), valid
    if recipe.aggregate == "max":
        maxima = bin_maxima(pieces, origin, bins)
        return maxima if filled is None else np.where(bare > 0, np.fmax(maxima, filled), maxima), valid
    if recipe.aggregate == "sum":
        return np.where(valid > 0, total, np.nan), valid
    with np.errstate(divide="ignore", invalid="ignore"):
        means: np.ndarray = total / valid
    return peak_scores(means) if recipe.aggregate == "peak" else means, valid


def check_signals(inputs: TrackInputs, chroms: Iterable[str]) -> None:
    """Raise UsageError when a track's files have none of the chromosomes that are built."""
    for role, signal in inputs.signals.items():
        if not set(signal.places) & set(chroms):
            raise UsageError(f"track '{inputs.recipe.name}': its {role} has none of the chromosomes that are built")
