"""Label sets: what was measured in each of a list of windows, for training heads and for evaluation.

A label set is read by rows, so that memory is bounded by the batch. Labels are what heads are trained on (a 0 to 500
scale in the published files); the transform of each track gives the value in the track's unit.
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tracks.bigwig import read_chrom_sizes
from tracks.catalogue import published_tracks
from tracks.composition import known_bases_in_pieces
from tracks.errors import UsageError, first_few
from tracks.genome import Genome
from tracks.grid import BIN, BINS, FLANK, INPUT, WINDOW, input_span
from tracks.observed import LEAST_OBSERVED, mean_of_known, read_observed
from tracks.project import Project, load_project
from tracks.regions import check_chrom
from tracks.split import read_split
from tracks.track import values_of
from tracks.window_files import DATASETS, WindowFile
from tracks.windows import WindowRow, read_windows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tracks.project import TrackEntry
    from tracks.split import Block, Fold
    from tracks.track import Track
    from tracks.windows import Scope

_SHIFT = BIN // 2
"""Training shifts a window by up to this many bases, and must not leave its block."""


class LabelSet(Protocol):
    """Labels of windows by row. ``labels`` gives float32 ``[n, 896, tracks]`` (scope bins) or ``[n, 1, tracks]``
    (scope window), NaN where missing; ``coverage`` the calls behind each, same shape, or None where unknown."""

    name: str
    windows: tuple[WindowRow, ...]
    scopes: tuple[Scope, ...]

    def tracks(self, scope: Scope) -> tuple[Track, ...]:
        """Return the tracks in the order of the columns, with the transforms of this scope."""

    def labels(self, rows: np.ndarray, scope: Scope) -> np.ndarray:
        """Return the labels of some rows."""

    def coverage(self, rows: np.ndarray, scope: Scope) -> np.ndarray | None:
        """Return the calls behind each label of some rows, NaN for tracks whose calls are not known."""


def values(label_set: LabelSet, rows: np.ndarray, scope: Scope) -> np.ndarray:
    """Return the labels of some rows in track units, float32 ``[n, 896 or 1, tracks]``."""
    return values_of(label_set.labels(rows, scope), label_set.tracks(scope))


def rows_of(label_set: LabelSet, fold: Fold) -> np.ndarray:
    """Return the rows of a fold, int64, in order."""
    return np.array([row for row, window in enumerate(label_set.windows) if window.fold == fold], np.int64)


class H5Labels:
    """Labels of the published layout: an HDF5 file, and the BED file whose lines are its rows.

    The 18 published tracks mark nothing as missing; what can be told apart is masked here, unless ``legacy``:

    * an LMNB1 ChIP bin of exactly 128 (a window of exactly 128) had no signal: NaN became 0, and 2 ** 0 is 1. Bins
      with signal on some of their bases cannot be told apart;
    * a window whose six DiMeLo columns are 0 throughout (or NaN, as calls past the end of CHM13 are) was not lifted,
      left its end, or holds no read. Elsewhere 0 calls are a count, and stay;
    * a CpG methylated fraction without CpG calls is 0 of 0. Adenine calls were not kept, so that an mA fraction of
      0 is taken for missing where its cell line has no CpG call either: no read, most likely.

    (facts/cs282a.md section 3.4; section 6, items 4 and 5.) A file of predictions of this program lacks nothing, and
    is never masked. Raises UsageError when rows and windows differ in number, or when the file has other tracks and
    does not describe them.
    """

    def __init__(self, path: Path, windows: Path, tracks: Sequence[Track] | None = None, legacy: bool = False) -> None:
        self.name = path.name
        self.windows = read_windows(windows)
        self.legacy = legacy
        self._file = WindowFile(path, len(self.windows))
        self.scopes = self._file.scopes
        if not self.scopes:
            raise UsageError(f"{path} holds embeddings, not labels (128bp_bins or single_bin)")
        self._tracks = {scope: self._named(scope, tracks) for scope in self.scopes}

    def _named(self, scope: Scope, given: Sequence[Track] | None) -> tuple[Track, ...]:
        count = self._file.track_count(scope)
        tracks = tuple(given or self._file.tracks(scope) or published_tracks(scope))
        if len(tracks) != count:
            raise UsageError(
                f"{self._file.path} has {count} tracks, not the {len(tracks)} that are known here; write a JSON list "
                f"of its tracks (name, assay, biosample, unit, color, transform) to the attribute 'tracks' of its "
                f"dataset {DATASETS[scope]}"
            )
        return tracks

    def tracks(self, scope: Scope) -> tuple[Track, ...]:
        """Return the tracks in the order of the columns."""
        if scope not in self._tracks:
            raise UsageError(f"{self._file.path} has no labels of scope {scope}; it has {', '.join(self.scopes)}")
        return self._tracks[scope]

    def labels(self, rows: np.ndarray, scope: Scope) -> np.ndarray:
        """Return labels, float32 ``[n, 896 or 1, tracks]``; as stored when legacy, else NaN where missing."""
        tracks = self.tracks(scope)
        labels = self._file.read(rows, scope)
        if not self.legacy and self._is_published(tracks, scope):
            labels[published_missing(labels)] = np.nan
        return labels

    def _is_published(self, tracks: tuple[Track, ...], scope: Scope) -> bool:
        return not self._file.is_predicted and tracks == published_tracks(scope)

    def coverage(self, rows: np.ndarray, scope: Scope) -> np.ndarray | None:
        """Return CpG calls behind the CpG fractions, per bin or in the whole window; NaN for the other tracks. None
        when these are not the published labels."""
        tracks = self.tracks(scope)
        if not self._is_published(tracks, scope):
            return None
        labels = self._file.read(rows, scope)
        coverage = np.full_like(labels, np.nan)
        for fraction, calls in _CALLS_OF.items():
            in_mean_bin = tracks[calls].transform.inverse(np.nan_to_num(labels[..., calls]))
            coverage[..., fraction] = in_mean_bin * (1 if scope == "bins" else BINS)
        return coverage


_LMNB1_CHIP = slice(0, 12)
_DIMELO = slice(12, 18)
_CALLS_OF = {14: 15, 16: 17}
"""Column of each CpG fraction, and of its number of calls."""
_CALLS_BESIDE = {12: 15, 13: 17}
"""Column of each mA fraction, and of the CpG calls of the same cell line."""
_NO_SIGNAL = 128.0


def published_missing(labels: np.ndarray) -> np.ndarray:
    """Return where labels of the 18 published tracks, ``[n, 896 or 1, 18]`` of whole windows, stand for nothing
    measured; bool of the same shape (see H5Labels)."""
    missing: np.ndarray = np.isnan(labels)
    missing[..., _LMNB1_CHIP] |= labels[..., _LMNB1_CHIP] == _NO_SIGNAL
    nothing = ~(labels > 0)
    missing[..., _DIMELO] |= nothing[..., _DIMELO].all(axis=(1, 2), keepdims=True)
    for fraction, calls in _CALLS_OF.items():
        missing[..., fraction] |= nothing[..., calls]
    for fraction, calls in _CALLS_BESIDE.items():
        missing[..., fraction] |= nothing[..., calls] & nothing[..., fraction]
    return missing


class ProjectLabels:
    """Labels of a project's bigWigs: training windows every ``stride`` bases inside train blocks, valid and test
    windows on the grid inside the scored part of their blocks.

    A window's label is the mean over its observed bins where at least ``min_observed`` of them are; windows in which
    that holds for no target are left out. Binned tracks lie in a temporary file, mapped into memory. Raises
    UsageError when the project has no split, or a bigWig is of another genome.
    """

    scopes: tuple[Scope, ...] = ("bins", "window")

    def __init__(
        self,
        project: Project,
        stride: int = WINDOW // 2,
        min_observed: float = LEAST_OBSERVED,
        report: Callable[[str], None] = lambda message: None,
    ) -> None:
        if project.split is None:
            raise UsageError(f"project '{project.name}' names no split, which says what trains, tunes and tests")
        if stride < BIN or stride % BIN:
            raise UsageError(f"training windows start on a bin: a stride of {stride} is no multiple of {BIN}")
        self.name = project.name
        self.min_observed = min_observed
        self.entries = project.targets()
        self.genome_path = project.genome
        self._columns: dict[str, np.ndarray] = {}
        self._calls: dict[str, np.ndarray] = {}
        blocks = read_split(project.split)
        chroms = tuple(dict.fromkeys(block.region.chrom for block in blocks))
        with Genome(project.genome) as genome:
            for block in blocks:
                _check_block(block, genome.chrom_sizes, project)
            for entry in self.entries:
                _check_observed(entry, chroms)
            for chrom in chroms:
                report(f"reading observed tracks of {chrom}")
                self._read(genome, chrom)
        windows = [window for block in blocks for window in _windows_in(block, stride)]
        self.windows = tuple(window for window in windows if self._is_observed(window))
        if not self.windows:
            raise UsageError(f"project '{project.name}' observes no window of its split")

    def _read(self, genome: Genome, chrom: str) -> None:
        length = genome.chrom_sizes[chrom]
        known = np.concatenate(list(known_bases_in_pieces(genome, chrom)))
        observed = self._mapped(len(known))
        for at, entry in enumerate(self.entries):
            observed[:, at] = entry.track.transform.forward(read_observed(entry.observed, chrom, length, known))
        self._columns[chrom] = observed
        if any(entry.coverage for entry in self.entries):
            calls = self._mapped(len(known))
            for at, entry in enumerate(self.entries):
                covered = read_observed(entry.coverage, chrom, length, known)
                calls[:, at] = covered if entry.coverage is None else np.nan_to_num(covered)
            self._calls[chrom] = calls

    def _mapped(self, bins: int) -> np.ndarray:
        # The file has no name any more, so it is gone with the last use of its memory.
        with tempfile.TemporaryFile(prefix="tracks-labels-") as file:
            return np.memmap(file, np.float32, "w+", shape=(bins, len(self.entries)))

    def _is_observed(self, window: WindowRow) -> bool:
        observed = np.isfinite(self._bins(self._columns, window)).mean(axis=0)
        return bool((observed >= self.min_observed).any())

    def _bins(self, columns: dict[str, np.ndarray], window: WindowRow) -> np.ndarray:
        first = (window.start + FLANK) // BIN
        return columns[window.chrom][first : first + BINS]

    def _rows(self, columns: dict[str, np.ndarray], rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), BINS, len(self.entries)), np.float32)
        for place, row in enumerate(rows):
            out[place] = self._bins(columns, self.windows[row])
        return out

    def tracks(self, scope: Scope) -> tuple[Track, ...]:
        """Return the project's target tracks."""
        return tuple(entry.track for entry in self.entries)

    def labels(self, rows: np.ndarray, scope: Scope) -> np.ndarray:
        """Return labels, float32 ``[n, 896 or 1, tracks]``, NaN where missing."""
        bins = self._rows(self._columns, rows)
        if scope == "bins":
            return bins
        return mean_of_known(bins, np.isfinite(bins), 1, self.min_observed)[:, None].astype(np.float32)

    def coverage(self, rows: np.ndarray, scope: Scope) -> np.ndarray | None:
        """Return the calls behind each label, per bin or in the whole window; None without a coverage track."""
        if not self._calls:
            return None
        bins = self._rows(self._calls, rows)
        return bins if scope == "bins" else bins.sum(axis=1, keepdims=True)


def _check_block(block: Block, chrom_sizes: Mapping[str, int], project: Project) -> None:
    check_chrom(block.region.chrom, chrom_sizes, str(project.genome))
    length = chrom_sizes[block.region.chrom]
    if block.region.end > length:
        raise UsageError(
            f"{project.split} is of another genome: its block {block.region} reaches past the end of "
            f"{block.region.chrom}, which has {length:,} bases"
        )


def _check_observed(entry: TrackEntry, chroms: Sequence[str]) -> None:
    if entry.observed is None:
        return
    named = list(read_chrom_sizes(entry.observed))
    if not set(named) & set(chroms):
        raise UsageError(
            f"{entry.observed} is of another genome, or names its chromosomes otherwise: it has {first_few(named)}, "
            f"and the split {first_few(chroms)}"
        )


def _windows_in(block: Block, stride: int) -> list[WindowRow]:
    region = block.region
    if block.fold == "train":
        first = -(-(region.start + _SHIFT) // BIN) * BIN
        starts = range(first, region.end - INPUT - _SHIFT + 1, stride)
        return [WindowRow(region.chrom, start, "train") for start in starts]
    scored = block.scored()
    if scored is None:
        return []
    indices = range(-(-scored.start // WINDOW), scored.end // WINDOW)
    return [WindowRow(region.chrom, input_span(index)[0], block.fold) for index in indices]


def open_labels(
    path: Path,
    windows: Path | None = None,
    legacy: bool = False,
    stride: int = WINDOW // 2,
    report: Callable[[str], None] = lambda message: None,
) -> LabelSet:
    """Open a label set by its file: a project (``.toml``), or HDF5 of the published layout with its BED file.

    Raises UsageError when it is neither, or the BED file is missing or not wanted.
    """
    if path.suffix == ".toml":
        if windows is not None:
            raise UsageError("a project has windows of its own: leave --windows out, or give HDF5 labels")
        return ProjectLabels(load_project(path), stride, report=report)
    if path.suffix not in (".h5", ".hdf5"):
        raise UsageError(f"labels are a project (tracks.toml) or an HDF5 file (.h5), and {path} is neither")
    if windows is None:
        raise UsageError(
            f"{path} has a row for each window: name the BED file of the windows (--windows sequences.bed)"
        )
    return H5Labels(path, windows, legacy=legacy)
