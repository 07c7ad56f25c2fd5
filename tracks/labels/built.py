"""A label set that ``tracks labels build`` made, ``labels.zarr``: the grid of chromosomes, given windows, or both.

Training and evaluation read it by rows. These are the given windows; without them, where a split is there too, windows
on the grid, as of a project.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tracks.errors import TracksError, UsageError
from tracks.grid import BIN, BINS, FLANK, WINDOW, bin_count
from tracks.labels.aggregate import labels_of, value_range, window_values
from tracks.labels.arrays import (
    MASKED,
    OBSERVED,
    PIECE_BINS,
    PIECE_ROWS,
    LabelArrays,
    LabelPiece,
    grid_arrays,
    row_arrays,
)
from tracks.observed import LEAST_OBSERVED
from tracks.split import read_split
from tracks.track import Track
from tracks.windows import WindowRow, check_stride, read_windows, windows_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tracks.labels.recipe import Aggregation
    from tracks.windows import Scope

FORMAT = 1
TABLE = "labels.json"
"""The file of a label set that says what it holds."""
WINDOWS_FILE, SPLIT_FILE = "windows.bed", "split.bed"

_CALLS: tuple[Aggregation, ...] = ("fraction", "weighted")
"""Aggregations whose valid count is calls, by which a head's training trusts a label."""
_HELD = 32
"""Pieces that are kept in memory: one or two megabytes each, for eighteen tracks."""


@dataclass(frozen=True)
class BuiltTrack:
    """One track of a label set: with the transform of a bin's label, and of a window's; how bases became a value, in
    which scale its files hold it, what is written for a missing label (None: NaN), and the files that it was made
    of."""

    track: Track
    window_track: Track
    aggregation: Aggregation
    stored: Literal["linear", "log2"]
    missing: float | None
    sources: tuple[str, ...]

    @property
    def unit_range(self) -> tuple[float, float] | None:
        """Between which values the track can lie, None where nothing says."""
        return value_range(self.aggregation, self.track.unit)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> BuiltTrack:
        """Make the track again from the label set's table."""
        return cls(
            Track.from_json(fields["track"]),
            Track.from_json(fields["window_track"]),
            fields["aggregation"],
            fields["stored"],
            fields["missing"],
            tuple(fields["sources"]),
        )


@dataclass(frozen=True, eq=False)
class GridPiece:
    """Consecutive bins of a chromosome from bin ``first_bin`` on (-1: a given window off the grid): labels and valid
    counts float32 ``[bins, tracks]``, and which bins are masked for all tracks, bool ``[bins]``."""

    chrom: str
    first_bin: int
    labels: np.ndarray
    valid: np.ndarray
    masked: np.ndarray


class BuiltLabels:
    """A label set in a folder. Raises UsageError when there is none, or the stride is no whole bins; TracksError when
    it is damaged or of a later version of this program.

    Without given windows, windows of the split are rows as in ``ProjectLabels``: those of which at least
    ``min_observed`` of the bins have a label of some track.
    """

    scopes: tuple[Scope, ...] = ("bins", "window")

    def __init__(self, path: Path, stride: int = WINDOW // 2, min_observed: float = LEAST_OBSERVED) -> None:
        check_stride(stride)
        self.path, self._min_observed = path, min_observed
        table = _read_table(path)
        try:
            self.name: str = table["name"]
            self.digest: str = table["digest"]
            self.recipe: Literal["fixed", "legacy"] = table["recipe"]
            self.genome: str = table["genome"]
            self.chrom_sizes: dict[str, int] = table["chrom_sizes"]
            self.grid_chroms = tuple(table["grid_chroms"])
            self.notes = tuple(table["notes"])
            self.targets = tuple(BuiltTrack.from_json(fields) for fields in table["tracks"])
        except (KeyError, TypeError, ValueError, TracksError) as error:
            raise TracksError(f"{path} is damaged: its {TABLE} cannot be read ({error})") from error
        self.has_rows = (path / WINDOWS_FILE).exists()
        count = len(self.targets)
        self._grids = {chrom: grid_arrays(path, chrom, self.chrom_sizes[chrom], count) for chrom in self.grid_chroms}
        self._held: OrderedDict[tuple[str, int], LabelPiece] = OrderedDict()
        if self.has_rows:
            self.windows = read_windows(path / WINDOWS_FILE)
            self._rows = row_arrays(path, len(self.windows), count, BINS)
            self._whole = row_arrays(path, len(self.windows), count, 1)
        else:
            self.windows = tuple(self._grid_windows(stride))

    def _grid_windows(self, stride: int) -> Iterator[WindowRow]:
        split = self.path / SPLIT_FILE
        if not split.exists():
            return
        observed = {chrom: arrays.masks() & OBSERVED > 0 for chrom, arrays in self._grids.items()}
        for block in read_split(split):
            for window in windows_of(block, stride):
                first = (window.start + FLANK) // BIN
                if window.chrom in observed and (
                    observed[window.chrom][first : first + BINS].mean() >= self._min_observed
                ):
                    yield window

    def tracks(self, scope: Scope) -> tuple[Track, ...]:
        """Return the tracks, with the transforms of a scope."""
        return tuple(target.track if scope == "bins" else target.window_track for target in self.targets)

    def labels(self, rows: np.ndarray, scope: Scope) -> np.ndarray:
        """Return labels of some rows, float32 ``[n, 896 or 1, tracks]``, NaN where missing."""
        return self._labels(self._read(rows, scope)[0], scope)

    def coverage(self, rows: np.ndarray, scope: Scope) -> np.ndarray | None:
        """Return the calls behind each label of some rows, NaN for tracks whose valid count is bases; None where
        there is no other track."""
        calls = [target.aggregation in _CALLS for target in self.targets]
        if not any(calls):
            return None
        valid = self._read(rows, scope)[1]
        valid[..., ~np.array(calls)] = np.nan
        return valid

    def pieces(self) -> Iterator[GridPiece]:
        """Yield all bins in pieces: of the grid by chromosome, and without a grid those of the given windows."""
        for chrom in self.grid_chroms:
            bins = bin_count(self.chrom_sizes[chrom])
            for index in range(self._grids[chrom].pieces):
                here = slice(0, bins - index * PIECE_BINS)
                piece = self._grids[chrom].read(index)
                masked = piece.mask[here] & MASKED > 0
                labels = self._labels(piece.values[here], "bins")
                yield GridPiece(chrom, index * PIECE_BINS, labels, piece.valid[here], masked)
        if not self.grid_chroms:
            for row, window in enumerate(self.windows):
                piece, at = self._piece("windows", self._rows, row // PIECE_ROWS), row % PIECE_ROWS
                masked = piece.mask[at] & MASKED > 0
                yield GridPiece(window.chrom, -1, self._labels(piece.values[at], "bins"), piece.valid[at], masked)

    def _read(self, rows: np.ndarray, scope: Scope) -> tuple[np.ndarray, np.ndarray]:
        """Values and valid counts of rows."""
        if self.has_rows:
            name, arrays = ("windows", self._rows) if scope == "bins" else ("whole", self._whole)
            found = [(self._piece(name, arrays, row // PIECE_ROWS), row % PIECE_ROWS) for row in rows.tolist()]
            return _stacked([(piece.values[at], piece.valid[at]) for piece, at in found], scope, len(self.targets))
        bins = [self._window(self.windows[row]) for row in rows.tolist()]
        values, valid = _stacked(bins, "bins", len(self.targets))
        return (values, valid) if scope == "bins" else self._of_windows(values, valid)

    def _labels(self, values: np.ndarray, scope: Scope) -> np.ndarray:
        """Labels of values ``[..., tracks]``."""
        tracks = zip(self.targets, self.tracks(scope), strict=True)
        columns = [
            labels_of(values[..., at], track.transform, target.stored, target.missing)
            for at, (target, track) in enumerate(tracks)
        ]
        return np.stack(columns, axis=-1)

    def _window(self, window: WindowRow) -> tuple[np.ndarray, np.ndarray]:
        """Values and valid counts of a window on the grid, ``[896, tracks]``."""
        first = (window.start + FLANK) // BIN
        values, valid = [], []
        for index in range(first // PIECE_BINS, (first + BINS - 1) // PIECE_BINS + 1):
            piece = self._piece(window.chrom, self._grids[window.chrom], index)
            here = slice(max(first - index * PIECE_BINS, 0), first + BINS - index * PIECE_BINS)
            values.append(piece.values[here])
            valid.append(piece.valid[here])
        return np.concatenate(values), np.concatenate(valid)

    def _of_windows(self, values: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values and valid counts of whole windows, ``[n, 1, tracks]``, from those of their bins."""
        whole, count = np.empty((len(values), 1, len(self.targets)), np.float32), np.empty_like(valid[:, :1])
        for at, target in enumerate(self.targets):
            found = window_values(values[..., at], valid[..., at], target.aggregation, self._min_observed)
            whole[:, 0, at], count[:, 0, at] = found
        return whole, count

    def _piece(self, name: str, arrays: LabelArrays, index: int) -> LabelPiece:
        key = (name, index)
        if key not in self._held:
            self._held[key] = arrays.read(index)
            if len(self._held) > _HELD:
                self._held.popitem(last=False)
        self._held.move_to_end(key)
        return self._held[key]


def _stacked(parts: list[tuple[np.ndarray, np.ndarray]], scope: Scope, tracks: int) -> tuple[np.ndarray, np.ndarray]:
    shape = (0, BINS if scope == "bins" else 1, tracks)
    if not parts:
        return np.empty(shape, np.float32), np.empty(shape, np.float32)
    return np.stack([values for values, _ in parts]), np.stack([valid for _, valid in parts])


def _read_table(path: Path) -> dict[str, Any]:
    try:
        table = json.loads((path / TABLE).read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        unfinished = path.with_name(f"{path.name}.partial").exists()
        hint = "its build was not finished; run it again" if unfinished else "make one with: tracks labels build"
        raise UsageError(f"there is no label set {path}; {hint}") from error
    except (OSError, ValueError) as error:
        raise TracksError(f"cannot read the label set {path}: {error}") from error
    version = table.get("format_version") if isinstance(table, dict) else None
    if version != FORMAT:
        raise TracksError(f"{path} is of format version {version}, and this program reads version {FORMAT}")
    return dict(table)
