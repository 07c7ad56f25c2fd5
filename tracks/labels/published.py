"""Labels of the published layout: HDF5, a row for each line of a BED file of windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracks.catalogue import published_tracks
from tracks.errors import UsageError
from tracks.grid import BINS
from tracks.window_files import DATASETS, WindowFile
from tracks.windows import read_windows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tracks.track import Track
    from tracks.windows import Scope


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
    one of labels that it built by the recipe fixed marks what it lacks; neither is masked. Raises UsageError when rows
    and windows differ in number, or when the file has other tracks and
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
        if not self.legacy and self._is_published(tracks, scope) and not self._file.marks_missing:
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
