"""Sums of windows at three resolutions, so that a wide view of a chromosome reads a few numbers for each window.

Everything here is derived from the windows themselves, and made again where it is lost. Each summary is a Zarr v3 array
of one uncompressed chunk, written in place: every window has its own bytes, so processes need no locks.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import threading
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracks.window_array import array_metadata

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SUMMARY_PARTS = (112, 7, 1)
"""Parts that a window is summed in: of 1,024, 16,384 and 114,688 bases."""

MAKING = ".making-"
"""How the names of folders begin that are being made or removed, which a killed process may leave."""

_MAPPED_WINDOWS = 64
"""Files of fewer windows are read anew each time: a mapping holds a file open, and assemblies have thousands of small
contigs."""
_LOOK_AGAIN = 2.0
"""Seconds until the windows of a store that cannot be written to are listed again."""


@dataclass(frozen=True, eq=False)
class Summary:
    """What the bins of each part come to: their sum, how many have a value, the sum of their squares, and the least and
    the most of them. Float32 ``[..., parts, tracks]`` each, zero where nothing has a value. A store's, of all windows,
    are read only, and what other processes write may show up in them at any time."""

    sums: np.ndarray
    counts: np.ndarray
    squares: np.ndarray
    least: np.ndarray
    most: np.ndarray

    @property
    def columns(self) -> tuple[np.ndarray, ...]:
        """All of them, as the files have them."""
        return self.sums, self.counts, self.squares, self.least, self.most


_STATISTICS = len(dataclasses.fields(Summary))


def summarise(values: np.ndarray) -> dict[int, Summary]:
    """Return what one window's bins come to, float32 ``[896, tracks]`` with NaN, in each of ``SUMMARY_PARTS``:
    float32 ``[parts, tracks]``. Sums are added in float64."""
    there = ~np.isnan(values)
    exact = np.where(there, values, 0).astype(np.float64)
    added = np.stack([exact, there, exact * exact])
    least, most = np.where(there, values, np.inf), np.where(there, values, -np.inf)
    summaries = {}
    for parts in SUMMARY_PARTS:  # each from the finer one before
        added = added.reshape(3, parts, added.shape[1] // parts, -1).sum(axis=2)
        least = least.reshape(parts, least.shape[0] // parts, -1).min(axis=1)
        most = most.reshape(parts, most.shape[0] // parts, -1).max(axis=1)
        some = added[1] > 0
        with np.errstate(over="ignore"):  # squares of huge values
            columns = (*added, np.where(some, least, 0), np.where(some, most, 0))
            summaries[parts] = Summary(*(column.astype(np.float32) for column in columns))
    return summaries


@dataclass(frozen=True)
class _Layout:
    """The arrays of a summary folder: their names, file names, shapes and types."""

    windows: int
    tracks: int

    def shape(self, name: str) -> tuple[int, ...]:
        return (self.windows,) if name == "known" else (self.windows, _STATISTICS, int(name), self.tracks)

    def dtype(self, name: str) -> np.dtype:
        return np.dtype(np.uint8 if name == "known" else "<f4")

    def size(self, name: str) -> int:
        return int(np.prod(self.shape(name))) * self.dtype(name).itemsize


NAMES = (*map(str, SUMMARY_PARTS), "known")
"""The arrays of a summary folder. ``known`` is 1 where a window and its summaries are there."""


def summary_file(folder: Path, name: str) -> Path:
    """Return the file that holds one array of a summary folder."""
    return folder / name / ("0" if name == "known" else "0.0.0.0")


class SummaryFiles:
    """The arrays of a summary folder as they are on disk. Raises OSError when they are not there as they should be."""

    def __init__(self, folder: Path, windows: int, tracks: int) -> None:
        self.folder, self.layout = folder, _Layout(windows, tracks)
        for name in NAMES:
            found = summary_file(folder, name).stat()
            if found.st_size != self.layout.size(name):
                raise OSError(f"{summary_file(folder, name)} is damaged")
            if name == "known":
                self.identity = (found.st_dev, found.st_ino)
        self._mapped: dict[str, np.ndarray] = {}

    def array(self, name: str) -> np.ndarray:
        """Return one of ``NAMES``, read only: ``known`` uint8 ``[windows]``, others float32 ``[windows, 5, parts,
        tracks]``, as ``Summary`` has them."""
        shape, dtype = self.layout.shape(name), self.layout.dtype(name)
        if self.layout.windows < _MAPPED_WINDOWS:
            small = np.fromfile(summary_file(self.folder, name), dtype).reshape(shape)
            small.flags.writeable = False
            return small
        if name not in self._mapped:
            self._mapped[name] = np.asarray(np.memmap(summary_file(self.folder, name), dtype, "r", shape=shape))
        return self._mapped[name]

    def put(self, name: str, index: int, values: np.ndarray | int) -> None:
        """Write one window's place in one of ``NAMES``."""
        # Not through the mapping: on a full disk that would kill the process instead of raising.
        content = np.ascontiguousarray(values, self.layout.dtype(name)).tobytes()
        with summary_file(self.folder, name).open("r+b") as file:
            file.seek(index * len(content))
            file.write(content)


class _Memory:
    """The same arrays for a store that cannot be written to and has none."""

    def __init__(self, layout: _Layout) -> None:
        self.layout = layout
        self.arrays = {name: np.zeros(layout.shape(name), layout.dtype(name)) for name in NAMES}
        self.looked = -_LOOK_AGAIN

    def array(self, name: str) -> np.ndarray:
        view = self.arrays[name].view()
        view.flags.writeable = False
        return view

    def put(self, name: str, index: int, values: np.ndarray | int) -> None:
        self.arrays[name][index] = values


class WindowSummaries:
    """The summaries of one array of windows, in ``folder``; safe for many processes, and many threads.

    ``listed`` gives which windows there are, bool ``[windows]``, of which those it is given are trusted to be whole;
    ``read`` gives one window's values or None. With these, what is missing is made when it is first needed.
    """

    def __init__(
        self,
        folder: Path,
        windows: int,
        tracks: int,
        listed: Callable[[np.ndarray], np.ndarray],
        read: Callable[[int], np.ndarray | None],
    ) -> None:
        self.folder = folder
        self._layout = _Layout(windows, tracks)
        self._listed, self._read = listed, read
        self._flags = summary_file(folder, "known")
        self._chunks = folder.parent / "c"
        self._opening = threading.Lock()
        self._now: SummaryFiles | _Memory | None = None

    def known(self) -> np.ndarray:
        """Return which windows are there with their summaries, bool ``[windows]``, now."""
        known: np.ndarray = self._array("known") != 0
        return known

    def is_known(self, index: int) -> bool:
        """Say whether one window is."""
        return bool(self._array("known")[index])

    def summary(self, parts: int) -> Summary:
        """Return what all windows come to in ``parts``, one of ``SUMMARY_PARTS``."""
        return Summary(*self._array(str(parts)).swapaxes(0, 1))

    def _array(self, name: str) -> np.ndarray:
        for _ in range(2):  # once more where the files were removed just now
            now = self._current()
            if now is None:
                break
            with contextlib.suppress(FileNotFoundError):
                return now.array(name)
        nothing: np.ndarray = np.broadcast_to(np.zeros((), self._layout.dtype(name)), self._layout.shape(name))
        return nothing

    def write(self, index: int, values: np.ndarray) -> None:
        """Keep the summaries of a window whose values are on disk already. Raises OSError."""
        now = self._now
        if isinstance(now, _Memory):
            now.looked = -_LOOK_AGAIN  # it may be writable by now
        now = self._current()
        if now is not None:
            self._put(now, index, values)

    def forget(self, index: int) -> None:
        """Take a window out that is no longer there. Raises OSError."""
        now = self._current()
        if now is not None:
            self._forget(now, index)

    def _forget(self, now: SummaryFiles | _Memory, index: int) -> None:
        now.put("known", index, 0)
        for parts in SUMMARY_PARTS:
            now.put(str(parts), index, np.zeros(self._layout.shape(str(parts))[1:], np.float32))
        # Another process may have written it meanwhile, and its summaries are then the ones made zero.
        values = self._read(index)
        if values is not None:
            self._put(now, index, values)

    def _put(self, now: SummaryFiles | _Memory, index: int, values: np.ndarray) -> None:
        for parts, summary in summarise(values).items():
            now.put(str(parts), index, np.stack(summary.columns))
        now.put("known", index, 1)

    def _current(self) -> SummaryFiles | _Memory | None:
        """What there is now, which others may have made, removed or made anew; None where there are no windows."""
        now = self._now
        if self._is_current(now):
            return now
        with self._opening:
            if not self._is_current(self._now):
                self._now = self._open() if self._chunks.is_dir() else None
            return self._now

    def _is_current(self, now: SummaryFiles | _Memory | None) -> bool:
        if isinstance(now, SummaryFiles):
            try:
                found = self._flags.stat()
            except OSError:
                return False
            return now.identity == (found.st_dev, found.st_ino)
        return now is not None and time.monotonic() < now.looked + _LOOK_AGAIN

    def _open(self) -> SummaryFiles | _Memory:
        kept = self._now if isinstance(self._now, _Memory) else None
        try:
            try:
                files = SummaryFiles(self.folder, self._layout.windows, self._layout.tracks)
            except OSError:
                self._make()
                files = SummaryFiles(self.folder, self._layout.windows, self._layout.tracks)
            self._mend(files)
            return files
        except OSError:  # it may not be written to, or the disk is full: what is there can be looked at all the same
            memory = kept or _Memory(self._layout)
            self._mend(memory)
            memory.looked = time.monotonic()
            return memory

    def _mend(self, now: SummaryFiles | _Memory) -> None:
        """Summarise windows that a killed process, or an older version, left without; forget removed ones."""
        # The flags first: each was set after its window was there, so one without a window was removed since.
        flags = now.array("known") != 0
        there = self._listed(flags)
        for index in np.flatnonzero(flags & ~there).tolist():
            self._forget(now, index)
        for index in np.flatnonzero(there & ~flags).tolist():
            values = self._read(index)
            if values is not None:
                self._put(now, index, values)

    def _make(self) -> None:
        """Make empty summaries, whole or not at all; those of another process that was quicker are as good."""
        aside = self.folder.with_name(f"{MAKING}{uuid.uuid4().hex}")
        try:
            for name in NAMES:
                shape, dtype = self._layout.shape(name), self._layout.dtype(name)
                path = summary_file(aside, name)
                path.parent.mkdir(parents=True)
                metadata = array_metadata(shape, shape, dtype.name, 0, separator=".")
                (path.parent / "zarr.json").write_text(json.dumps(metadata, indent=1))
                with path.open("xb") as file:
                    file.truncate(self._layout.size(name))
            if self.folder.exists() and not self._whole():
                remove_folder(self.folder)
            try:
                aside.rename(self.folder)
            except OSError:
                if not self.folder.is_dir():
                    raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _whole(self) -> bool:
        try:
            SummaryFiles(self.folder, self._layout.windows, self._layout.tracks)
        except OSError:
            return False
        return True


def remove_folder(folder: Path) -> None:
    """Remove a folder that others may be using: it is gone at once, and nobody sees half of it. Raises OSError."""
    gone = folder.with_name(f"{MAKING}{uuid.uuid4().hex}")
    folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)
