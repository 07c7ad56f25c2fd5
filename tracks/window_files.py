"""The published HDF5 files: one row a window, in the order of a BED file (facts/cs282a.md sections 2, 3.1 and 5.4).

``embeddings`` is float16 ``[N, 896, 1536]``; ``128bp_bins`` float32 ``[N, 896, tracks]`` and ``single_bin`` float32
``[N, 1, tracks]`` hold labels or predictions of labels.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from tracks.errors import TracksError, UsageError
from tracks.files import written_beside
from tracks.grid import BINS
from tracks.hdf5_writer import Hdf5Writer
from tracks.track import Track

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from tracks.windows import Scope

DATASETS: dict[Scope, str] = {"bins": "128bp_bins", "window": "single_bin"}
VALUES: dict[Scope, int] = {"bins": BINS, "window": 1}
"""Values of one track in one row."""


class WindowFile:
    """An HDF5 file with a row a window, opened for reading.

    Raises UsageError when there is no such file, or it has another number of rows than ``rows``; TracksError when it
    is damaged, or its datasets are not of the layout.
    """

    def __init__(self, path: Path, rows: int | None = None) -> None:
        if not path.is_file():
            raise UsageError(f"there is no HDF5 file {path}")
        self.path = path
        try:
            self._file = h5py.File(path, "r")
            self._names = tuple(str(name) for name in self._file)
            found = {name: self._checked(name) for name in (*DATASETS.values(), "embeddings") if name in self._names}
        except (OSError, RuntimeError, KeyError) as error:  # the last two where the tables of the file are damaged
            raise TracksError(f"cannot read {path}: it is no HDF5 file, or a truncated one ({error})") from error
        self.scopes: tuple[Scope, ...] = tuple(scope for scope, name in DATASETS.items() if name in found)
        if not found:
            names = ", ".join(self._names) or "nothing"
            raise TracksError(f"{path} holds {names}, and neither 128bp_bins, single_bin nor embeddings")
        if len(set(found.values())) > 1:
            raise TracksError(f"the datasets of {path} differ in their rows: {found}")
        self.rows = next(iter(found.values()))
        if rows is not None and self.rows != rows:
            raise UsageError(f"{path} has {self.rows:,} rows, and the BED file {rows:,} windows; each window is a row")

    def _checked(self, name: str) -> int:
        data = self._file[name]
        middle = 1 if name == "single_bin" else BINS
        if not isinstance(data, h5py.Dataset) or data.ndim != 3 or data.shape[1] != middle or data.dtype.kind != "f":
            found = f"{data.dtype} {data.shape}" if isinstance(data, h5py.Dataset) else "a group"
            raise TracksError(f"{name} of {self.path} should be floating point [windows, {middle}, n], found {found}")
        return int(data.shape[0])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def marks_missing(self) -> bool:
        """Whether NaN stands for what is missing: in predictions, and in labels built by the recipe ``fixed``."""
        return self.is_predicted or self._file.attrs.get("recipe") == "fixed"

    @property
    def is_predicted(self) -> bool:
        """Whether a model of this program made the file's rows, so that each stands for something."""
        return "model_digest" in self._file.attrs

    def track_count(self, scope: Scope) -> int:
        """Return how many tracks a scope has."""
        return int(self._dataset(DATASETS[scope]).shape[2])

    def tracks(self, scope: Scope) -> tuple[Track, ...] | None:
        """Return the tracks that the file itself describes (files of this program do), or None."""
        text = self._dataset(DATASETS[scope]).attrs.get("tracks")
        try:
            return None if text is None else tuple(Track.from_json(fields) for fields in json.loads(text))
        except (TypeError, ValueError, KeyError) as error:
            raise TracksError(f"{self.path} is damaged: its track table cannot be read ({error})") from error

    def read(self, rows: np.ndarray, scope: Scope) -> np.ndarray:
        """Return labels of some rows in their order, float32 ``[n, 896 or 1, tracks]``, as stored."""
        return self._rows(DATASETS[scope], rows, np.float32)

    def read_embeddings(self, rows: np.ndarray) -> np.ndarray:
        """Return embeddings of some rows in their order, float16 ``[n, 896, channels]``."""
        return self._rows("embeddings", rows, np.float16)

    def _rows(self, name: str, rows: np.ndarray, dtype: type[np.floating[Any]]) -> np.ndarray:
        data = self._dataset(name)
        out = np.empty((len(rows), *data.shape[1:]), dtype)
        try:
            if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
                data.read_direct(out, np.s_[int(rows[0]) : int(rows[0]) + len(rows)])
            else:  # a row is a chunk, so that one by one is the fastest way
                for place, row in enumerate(rows):
                    data.read_direct(out, np.s_[int(row)], np.s_[place])
        except (OSError, RuntimeError) as error:
            raise TracksError(f"cannot read {name} of {self.path}: the file is damaged ({error})") from error
        return out

    def _dataset(self, name: str) -> h5py.Dataset:
        if name not in self._names:
            raise UsageError(f"{self.path} has no dataset {name}; it holds {', '.join(self._names)}")
        return self._file[name]


def write_window_file(
    path: Path,
    rows: int,
    scope: Scope,
    tracks: Sequence[Track],
    labels: Iterable[np.ndarray],
    attributes: Mapping[str, str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write labels of one scope, float32 ``[896 or 1, tracks]`` for each row in turn, as ``write_window_scopes``
    does."""
    write_window_scopes(path, rows, {scope: tracks}, ({scope: values} for values in labels), attributes, progress)


def write_window_scopes(
    path: Path,
    rows: int,
    tracks: Mapping[Scope, Sequence[Track]],
    labels: Iterable[Mapping[Scope, np.ndarray]],
    attributes: Mapping[str, str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write labels of each row in turn, float32 ``[896 or 1, tracks]`` for each scope, as the published files have
    them: a chunk a row. The tracks and ``attributes`` are kept beside them.

    gzip level 1 behind a byte shuffle takes half the time of the original's level 9, and less space; every reader of
    HDF5 reads either. Raises TracksError when the file cannot be written; nothing is left under ``path`` then.
    """
    with written_beside(path) as beside, Hdf5Writer(beside) as writer:
        for scope, named in tracks.items():
            shape = (VALUES[scope], len(named))
            data = writer.file.create_dataset(
                DATASETS[scope],
                (rows, *shape),
                np.float32,
                chunks=(1, *shape),
                compression="gzip",
                compression_opts=1,
                shuffle=True,
            )
            data.attrs["tracks"] = json.dumps([dataclasses.asdict(track) for track in named])
            data.attrs["scale"] = "label; the transform of each track gives its value"
        writer.file.attrs.update(attributes)
        for row, values in enumerate(labels):
            for scope in tracks:
                writer.file[DATASETS[scope]][row] = values[scope]
            writer.check()
            progress(row + 1, rows)
