"""One piece of a label set: read from the files behind every track, aggregated, masked, made labels, and written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from tracks.binning import bin_sums
from tracks.composition import known_bases
from tracks.genome import Genome
from tracks.grid import BIN, BINS, FLANK, WINDOW
from tracks.labels.aggregate import window_values
from tracks.labels.arrays import (
    OBSERVED,
    PIECE_BINS,
    PIECE_ROWS,
    UNDEFINED,
    UNKNOWN,
    LabelPiece,
    grid_arrays,
    row_arrays,
)
from tracks.labels.lift import read_lift
from tracks.labels.signals import Signal, TrackInputs, bin_values, forget_files
from tracks.liftover.lift import all_places

if TYPE_CHECKING:
    from pathlib import Path

    from tracks.labels.recipe import ChainFile, MaskRecipe
    from tracks.windows import WindowRow


# Opened once in each process.
_grid_arrays, _row_arrays = lru_cache(maxsize=8)(grid_arrays), lru_cache(maxsize=4)(row_arrays)


def forget() -> None:
    """Drop what earlier work in this process opened: files and folders may have changed since."""
    forget_files()
    for cached in (_grid_arrays, _row_arrays, _genome, read_lift):
        cached.cache_clear()


@dataclass(frozen=True)
class Plan:
    """What every piece of work needs; small, for it goes to each with the work."""

    folder: Path
    genome: Path | None
    sizes: dict[str, int]
    mask: MaskRecipe
    masks: tuple[tuple[int, Signal], ...]
    inputs: tuple[TrackInputs, ...]
    least: float


@dataclass(frozen=True)
class Piece:
    """A piece of a chromosome's grid, or rows of given windows."""

    index: int
    chrom: str = ""
    rows: tuple[WindowRow, ...] = ()
    count: int = 0


def build_piece(plan: Plan, piece: Piece) -> None:
    """Build one piece; runs in a process of its own."""
    if piece.rows:
        _build_rows(plan, piece)
        return
    length, tracks = plan.sizes[piece.chrom], len(plan.inputs)
    values = np.empty((PIECE_BINS, tracks))
    valid = np.empty((PIECE_BINS, tracks))
    origin = piece.index * PIECE_BINS * BIN
    mask = _mask(plan, piece.chrom, origin, PIECE_BINS)
    for at, one in enumerate(plan.inputs):
        values[:, at], valid[:, at] = _masked(one, mask, *bin_values(one, piece.chrom, length, origin, PIECE_BINS))
    _grid_arrays(plan.folder, piece.chrom, length, tracks).write(piece.index, _packed(values, valid, mask))


def _build_rows(plan: Plan, piece: Piece) -> None:
    tracks = len(plan.inputs)
    values = np.full((PIECE_ROWS, BINS, tracks), np.nan)
    valid = np.zeros((PIECE_ROWS, BINS, tracks))
    mask = np.zeros((PIECE_ROWS, BINS), np.uint8)
    past_end = np.zeros((PIECE_ROWS, tracks), bool)
    for at, row in enumerate(piece.rows):
        length, origin = plan.sizes[row.chrom], row.start + FLANK
        mask[at] = _mask(plan, row.chrom, origin, BINS)
        for track, one in enumerate(plan.inputs):
            start, size = origin, length
            if one.recipe.lift_by == "window start":
                start = _elsewhere(one.recipe.lift, row)
                signal = next(iter(one.signals.values()))
                size = signal.length(row.chrom) if row.chrom in signal.places else 0
                past_end[at, track] = start >= 0 and start + WINDOW >= size
                if start < 0 or past_end[at, track]:
                    continue
            found = bin_values(one, row.chrom, size, start, BINS)
            values[at, :, track], valid[at, :, track] = _masked(one, mask[at], *found)
    whole, count = np.empty((PIECE_ROWS, 1, tracks)), np.empty((PIECE_ROWS, 1, tracks))
    for track, one in enumerate(plan.inputs):
        found = window_values(values[..., track], valid[..., track], one.recipe.aggregate, plan.least)
        whole[:, 0, track], count[:, 0, track] = found
        # The published sum of calls past the end of a chromosome is NaN, where all else that is missing is 0.
        if one.recipe.aggregate == "sum":
            whole[past_end[:, track], 0, track] = UNDEFINED
    nothing = np.zeros((PIECE_ROWS, 1), np.uint8)
    _row_arrays(plan.folder, piece.count, tracks, 1).write(piece.index, _packed(whole, count, nothing))
    _row_arrays(plan.folder, piece.count, tracks, BINS).write(piece.index, _packed(values, valid, mask))


def _elsewhere(lift: tuple[ChainFile, ...], row: WindowRow) -> int:
    """Where a window's first bin starts on the other genome, by its first base alone and the best of its places; -1
    where it has none (facts/cs282a.md 3.4)."""
    chrom, position = row.chrom, row.start + FLANK
    for chains in read_lift(lift).steps:
        found = all_places(chains, chrom, np.array([position], np.int64))
        if not len(found.positions):
            return -1
        chrom, position = list(chains.target_sizes)[found.targets[0]], int(found.positions[0])
    return position


@lru_cache(maxsize=2)
def _genome(path: Path) -> Genome:
    return Genome(path)


def _mask(plan: Plan, chrom: str, origin: int, bins: int) -> np.ndarray:
    """The mask's bits of bins from base ``origin`` on, uint8 ``[bins]``."""
    mask = np.zeros(bins, np.uint8)
    if plan.genome is not None and plan.mask.min_known_bases:
        codes = _genome(plan.genome).codes(chrom, origin, origin + bins * BIN)
        mask[known_bases(codes) < plan.mask.min_known_bases] |= UNKNOWN
    for bit, signal in plan.masks:
        covered = bin_sums(signal.runs(chrom, max(origin, 0), origin + bins * BIN), origin, bins).covered
        mask[covered >= plan.mask.overlap * BIN] |= bit
    return mask


def _masked(one: TrackInputs, mask: np.ndarray, values: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """NaN where a bin is masked, or too little is behind its value."""
    return np.where((mask == 0) & (valid >= one.recipe.min_valid), values, np.nan), valid


def _packed(values: np.ndarray, valid: np.ndarray, mask: np.ndarray) -> LabelPiece:
    """A piece as it is kept, the bins marked where some track has a value."""
    observed = np.where(np.isfinite(values).any(axis=-1), OBSERVED, 0).astype(np.uint8)
    with np.errstate(over="ignore"):
        return LabelPiece(values.astype(np.float32), valid.astype(np.float32), mask | observed)
