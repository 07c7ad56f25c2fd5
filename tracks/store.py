"""The prediction store: each predicted window is written once and read by everything (DESIGN.md, principle 2).

One Zarr v3 array per (model, precision, ensemble, chromosome sequence); one chunk per window; a window is known
when its chunk is there, and a known bin without a value is NaN.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from zarr.codecs import ZstdCodec

from tracks.errors import TracksError
from tracks.grid import BINS, window_count
from tracks.window_array import WindowArray

if TYPE_CHECKING:
    import numpy as np


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


class WindowStore(WindowArray):
    """Predicted windows: a Zarr array float32 ``[windows * bins, tracks]``, one chunk a window.

    A window has 896 bins, or a single value where that is what is predicted. Raises TracksError when the folder cannot
    be made, or holds something else.
    """

    def __init__(self, folder: Path, windows: int, tracks: int, bins: int = BINS) -> None:
        codec = ZstdCodec(level=1)
        super().__init__(folder, windows, (bins, tracks), "float32", float("nan"), codec, "the prediction store")
        self.open()

    def write(self, index: int, values: np.ndarray) -> None:
        """Keep one window, float32 ``[bins, tracks]``. Raises TracksError when it cannot be written."""
        try:
            super().write(index, values)
        except OSError as error:
            raise TracksError(
                f"cannot write to the prediction store {self.folder}: {error.strerror}; "
                "the windows before are kept, so run again to go on"
            ) from error
