"""The prediction store: each predicted window is written once and read by everything (DESIGN.md, principle 2).

One Zarr v3 array per (head, method, chromosome sequence); one chunk per window; a window is known when
its chunk is there, and a known bin without a value is NaN. A head's digest names its numbers and those of its trunk,
so that any combination of heads shares what each of them computed. Beside the chunks lie summaries for wide views.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from tracks.errors import TracksError
from tracks.grid import BINS, window_count
from tracks.method import REFERENCE, Method
from tracks.window_array import ZSTD, WindowArray
from tracks.window_summary import Summary, WindowSummaries

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

KEY_LETTERS = 32
"""Letters of a head's digest in the name of its folder."""
SUMMARY = "summaries"


def default_store_folder() -> Path:
    """Return the user's own store: ``tracks/store`` in the cache folder, or the environment's ``TRACKS_STORE``."""
    return Path(os.environ.get("TRACKS_STORE") or Path(platformdirs.user_cache_dir("tracks")) / "store")


class Store:
    """A folder of predicted windows, which several processes may read and write at once.

    Raises TracksError when the folder cannot be made.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TracksError(
                f"cannot make the prediction store {root}: {error.strerror}; give another (--store)"
            ) from error

    def windows(
        self,
        head_digest: str,
        sequence_digest: str,
        chrom_length: int,
        tracks: int,
        method: Method = REFERENCE,
        about: Mapping[str, Any] | None = None,
    ) -> WindowStore:
        """Return the predicted windows of one chromosome, by its sequence's refget digest, under one head.

        ``about`` is kept beside them for whoever looks at the store: names of model, head, genome and chromosome.
        """
        folder = self.root / head_digest[:KEY_LETTERS] / method.key / sequence_digest
        key = {"digest": head_digest, "sequence": sequence_digest, "length": chrom_length}
        made_by = {"precision": method.precision, "edges": method.edges, "ensemble": method.ensemble.name}
        attributes = {**(about or {}), **key, **made_by}
        return WindowStore(folder, window_count(chrom_length), tracks, attributes)


class WindowStore(WindowArray):
    """Predicted windows of 896 bins: a Zarr array float32 ``[windows * 896, tracks]``, one chunk a window.

    Safe for several threads. Nothing is made on disk before the first ``write``, so a store that may only be looked at
    works too. Raises TracksError when the folder holds something else.
    """

    def __init__(self, folder: Path, windows: int, tracks: int, attributes: Mapping[str, Any] | None = None) -> None:
        chunk = (BINS, tracks)
        super().__init__(folder, windows, chunk, "float32", float("nan"), ZSTD, "the prediction store", attributes)
        self.tracks = tracks
        self.exists()
        self._summaries = WindowSummaries(folder / SUMMARY, windows, tracks, self._listed, super().read)

    def read(self, index: int) -> np.ndarray | None:
        """Return one window, float32 ``[896, tracks]``, or None when it was never written, or is damaged."""
        # Asked before the chunk is read, since a window that is being written gets its chunk first.
        known = self._summaries.is_known(index)
        values = super().read(index)
        if known != (values is not None):
            # A store that cannot be written to stays as it is.
            with contextlib.suppress(OSError):
                if values is None:
                    self._summaries.forget(index)
                else:
                    self._summaries.write(index, values)
        return values

    def write(self, index: int, values: np.ndarray) -> None:
        """Keep one window, float32 ``[896, tracks]``: first the window, then its summaries, then that it is known.

        Raises TracksError when it cannot be written.
        """
        for last in (False, False, False, True):
            try:
                super().write(index, values)
                self._summaries.write(index, values)
                if self.chunk_file(index).exists():
                    return
            except OSError as error:
                # Once more where the folder was removed meanwhile (tracks store prune), perhaps between the two.
                if last or not isinstance(error, FileNotFoundError | FileExistsError):
                    raise TracksError(
                        f"cannot write to the prediction store {self.folder}: {error.strerror}; "
                        "the windows before are kept, so run again to go on"
                    ) from error

    def mend(self, index: int) -> None:
        """Make one window's summaries again; remove a window that is damaged, or no window of this chromosome.

        Raises OSError.
        """
        values = super().read(index) if index < self.windows else None
        if values is not None:
            self._summaries.write(index, values)
            return
        with contextlib.suppress(FileNotFoundError):
            if index < self.windows:
                self._summaries.forget(index)
                self.chunk_file(index).unlink()
            else:
                shutil.rmtree(self.chunk_file(index).parent)

    def known(self) -> np.ndarray:
        """Return which windows are there now, whoever wrote them: bool ``[windows]``. Takes microseconds."""
        return self._summaries.known()

    def summary(self, parts: int) -> Summary:
        """Return what all windows come to in ``parts`` a window, one of ``SUMMARY_PARTS``: 112, 7 or 1.

        They are live: what is written later, by any process, shows up in them.
        """
        return self._summaries.summary(parts)
