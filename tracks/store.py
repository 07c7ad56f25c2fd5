"""The prediction store: each predicted window is written once and read by everything (DESIGN.md, principle 2).

One Zarr v3 array per (model, precision, ensemble, chromosome sequence); one chunk per window; a window is known
when its chunk is there, and a known bin without a value is NaN.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import platformdirs
import zarr
from zarr.codecs import ZstdCodec

from tracks.errors import TracksError
from tracks.files import written_beside
from tracks.grid import BINS, window_count


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
        model_digest: str,
        sequence_digest: str,
        chrom_length: int,
        tracks: int,
        precision: str = "fp32",
        ensemble: str = "single",
    ) -> WindowStore:
        """Return the predicted windows of one chromosome, by its sequence's refget digest, under one model."""
        folder = self.root / model_digest[:32] / f"{precision}-{ensemble}" / sequence_digest
        return WindowStore(folder, window_count(chrom_length), tracks)


class WindowStore:
    """Predicted windows: a Zarr array float32 ``[windows * bins, tracks]``, one chunk a window.

    A window has 896 bins, or a single value where that is what is predicted.
    """

    def __init__(self, folder: Path, windows: int, tracks: int, bins: int = BINS) -> None:
        self.folder = folder
        self._windows, self._bins, self._tracks = windows, bins, tracks
        try:
            if not (folder / "zarr.json").exists():
                self._create()
            # A window without any value is known too, so its chunk of fill values must be written.
            array = zarr.open_array(folder, mode="r+", zarr_format=3)
            self._array = array.with_config({"write_empty_chunks": True})
        except (OSError, ValueError, KeyError) as error:
            raise TracksError(f"cannot open the prediction store {folder}: {error}") from error
        if self._array.shape != (windows * bins, tracks):
            raise TracksError(
                f"the prediction store {folder} is of another shape, {self._array.shape}; remove that folder"
            )

    def _create(self) -> None:
        # Made aside and renamed, so that two processes that start at once cannot see half an array's metadata.
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder.parent) as aside:
            zarr.create_array(
                aside,
                shape=(self._windows * self._bins, self._tracks),
                chunks=(self._bins, self._tracks),
                dtype="float32",
                fill_value=float("nan"),
                compressors=[ZstdCodec(level=1)],
                zarr_format=3,
                overwrite=True,
            )
            with written_beside(self.folder / "zarr.json") as beside:
                beside.write_bytes((Path(aside) / "zarr.json").read_bytes())

    def _chunk(self, index: int) -> Path:
        return self.folder / "c" / str(index) / "0"

    def read(self, index: int) -> np.ndarray | None:
        """Return one window, float32 ``[bins, tracks]``, or None when it was never predicted, or is damaged."""
        if not self._chunk(index).exists():
            return None
        try:
            return np.asarray(self._array[index * self._bins : (index + 1) * self._bins], np.float32)
        except (RuntimeError, ValueError):  # a chunk that the disk lost is predicted again
            return None

    def write(self, index: int, values: np.ndarray) -> None:
        """Keep one window, float32 ``[bins, tracks]``. Zarr renames a finished chunk into place, so that a killed
        process leaves no half one. Raises TracksError when it cannot be written."""
        try:
            self._array[index * self._bins : (index + 1) * self._bins] = values
        except OSError as error:
            raise TracksError(
                f"cannot write to the prediction store {self.folder}: {error.strerror}; "
                "the windows before are kept, so run again to go on"
            ) from error

    def known(self) -> np.ndarray:
        """Return which windows were predicted, bool ``[windows]``."""
        known = np.zeros(self._windows, bool)
        chunks = self.folder / "c"
        if chunks.is_dir():
            known[[int(entry.name) for entry in chunks.iterdir() if (entry / "0").exists()]] = True
        return known
