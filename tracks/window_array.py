"""Arrays on disk that are written window by window: one Zarr v3 chunk a window, known when its chunk is there."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from tracks.errors import TracksError
from tracks.files import written_beside

if TYPE_CHECKING:
    from zarr.abc.codec import BytesBytesCodec


MAKING = ".making-"
"""How the names of folders begin in which an array is made, which a killed process may leave."""


class WindowArray:
    """Windows of one shape, ``chunk``, stacked along its first axis; several processes may read and write at once.

    Nothing is made before ``open``, or the first ``read`` or ``write``. Raises TracksError then, naming ``what`` the
    folder is, when it cannot be made or holds an array of another shape.
    """

    def __init__(
        self,
        folder: Path,
        windows: int,
        chunk: tuple[int, ...],
        dtype: str,
        fill_value: float,
        codec: BytesBytesCodec,
        what: str,
    ) -> None:
        self.folder = folder
        self._windows, self._chunk_shape, self._dtype = windows, chunk, dtype
        self._fill_value, self._codec, self._what = fill_value, codec, what
        self._array: zarr.Array[Any] | None = None

    def open(self) -> zarr.Array[Any]:
        """Make the array, unless it is there, and return it."""
        if self._array is not None:
            return self._array
        shape = (self._windows * self._chunk_shape[0], *self._chunk_shape[1:])
        try:
            if not (self.folder / "zarr.json").exists():
                self._create(shape)
            # A window without any value is known too, so its chunk of fill values must be written.
            array = zarr.open_array(self.folder, mode="r+", zarr_format=3).with_config({"write_empty_chunks": True})
        except (OSError, ValueError, KeyError) as error:
            raise TracksError(f"cannot open {self._what} {self.folder}: {error}") from error
        if array.shape != shape:
            raise TracksError(f"{self._what} {self.folder} is of another shape, {array.shape}; remove that folder")
        self._array = array
        return array

    def _create(self, shape: tuple[int, ...]) -> None:
        # Made aside and renamed, so that two processes that start at once cannot see half an array's metadata.
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder.parent, prefix=MAKING) as aside:
            zarr.create_array(
                aside,
                shape=shape,
                chunks=self._chunk_shape,
                dtype=self._dtype,
                fill_value=self._fill_value,
                compressors=[self._codec],
                zarr_format=3,
                overwrite=True,
            )
            with written_beside(self.folder / "zarr.json") as beside:
                beside.write_bytes((Path(aside) / "zarr.json").read_bytes())

    def _chunk(self, window: str) -> Path:
        return self.folder.joinpath("c", window, *["0"] * (len(self._chunk_shape) - 1))

    def _place(self, index: int) -> slice:
        return slice(index * self._chunk_shape[0], (index + 1) * self._chunk_shape[0])

    def read(self, index: int) -> np.ndarray | None:
        """Return one window, of the shape of a chunk, or None when it was never written, or is damaged."""
        if not self._chunk(str(index)).exists():
            return None
        try:
            return np.asarray(self.open()[self._place(index)])
        except (RuntimeError, ValueError):  # a chunk that the disk lost
            return None

    def write(self, index: int, values: np.ndarray) -> None:
        """Keep one window, of the shape of a chunk. Zarr renames a finished chunk into place, so that a killed process
        or a full disk leaves no half one. Raises OSError when it cannot be written."""
        self.open()[self._place(index)] = values

    def known(self) -> np.ndarray:
        """Return which windows were written, bool ``[windows]``."""
        known = np.zeros(self._windows, bool)
        chunks = self.folder / "c"
        if chunks.is_dir():
            # What a killed process was writing lies there under another name.
            written = [entry.name for entry in chunks.iterdir() if entry.name.isdecimal()]
            known[[int(name) for name in written if self._chunk(name).exists()]] = True
        return known
