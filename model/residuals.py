"""Residual streams on disk: what other heads are read from without passing sequence through the trunk again.

The embedding is a 1x1 convolution of the stream and twice as wide, so the stream is what is kept: for Basenji2 2.75 MB
a window in float32, half of that in bfloat16.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tracks.errors import TracksError, UsageError
from tracks.grid import BINS, window_count
from tracks.method import PRECISIONS, Method
from tracks.window_array import CRC32C, WindowArray

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

_WORDS = {torch.float32: "float32", torch.bfloat16: "uint16"}
"""The array's number format for each of an engine's: NumPy has no bfloat16, so its 16 bits are kept as they are."""
_DIGEST_LETTERS = 32
_KEYS = tuple(Method(precision).key for precision in PRECISIONS)


class ResidualStore:
    """A folder of residual streams, which several processes may read and write at once: made when first written to.

    Of each precision, single passes with ``window`` edges only: a stream of a seamless window or of another strand is
    another stream, and an average of labels is none.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def windows(
        self,
        trunk_digest: str,
        sequence_digest: str,
        chrom_length: int,
        width: int,
        method_key: str,
        dtype: torch.dtype,
    ) -> WindowResiduals:
        """Return the streams of one chromosome, by its sequence's refget digest, under one trunk.

        ``width``: channels of the stream; ``dtype``: its number format, that of the engine. Raises UsageError for a
        method whose streams are not kept, TracksError when the folder holds something else.
        """
        if method_key not in _KEYS:
            raise UsageError(
                f"residual streams are kept of single passes with window edges ({', '.join(_KEYS)}), "
                f"not of '{method_key}'"
            )
        # Not the name of a head's folder in the prediction store, so that the two may share a folder.
        folder = self.root / f"trunk-{trunk_digest[:_DIGEST_LETTERS]}" / method_key / sequence_digest
        key = {"digest": trunk_digest, "sequence": sequence_digest, "length": chrom_length, "method": method_key}
        return WindowResiduals(folder, window_count(chrom_length), width, dtype, key)


class WindowResiduals:
    """Residual streams of a chromosome's grid windows, bit for bit: a Zarr array ``[windows * 896, channels]`` of
    float32, or of uint16 that are bfloat16, one chunk with a checksum a window. Safe for several threads."""

    def __init__(
        self, folder: Path, windows: int, width: int, dtype: torch.dtype, attributes: Mapping[str, Any]
    ) -> None:
        if dtype not in _WORDS:
            raise ValueError(f"residual streams are kept as {' or '.join(map(str, _WORDS))}, not as {dtype}")
        self.dtype, self.width = dtype, width
        named = {**attributes, "number_format": str(dtype).removeprefix("torch.")}
        what = "the store of residual streams"
        self._array = WindowArray(folder, windows, (BINS, width), _WORDS[dtype], 0, CRC32C, what, named)
        self._array.exists()

    @property
    def folder(self) -> Path:
        """Where they are kept."""
        return self._array.folder

    def read(self, index: int) -> torch.Tensor | None:
        """Return one window's stream ``[1, C, 1, 896]`` with channels last, on the CPU; None when it was never written
        or is damaged. Raises TracksError when it cannot be read."""
        words = self._array.read(index)
        if words is None:
            return None
        return torch.from_numpy(words).view(self.dtype).view(1, 1, BINS, self.width).permute(0, 3, 1, 2)

    def write(self, index: int, stream: torch.Tensor) -> None:
        """Keep one window's stream ``[1, C, 1, 896]``, of the store's number format, on any device.

        Raises TracksError when it cannot be written.
        """
        if stream.shape != (1, self.width, 1, BINS) or stream.dtype != self.dtype:
            wanted = f"{self.dtype} (1, {self.width}, 1, {BINS})"
            raise ValueError(f"streams of {self.folder} are {wanted}, not {stream.dtype} {tuple(stream.shape)}")
        rows = stream.cpu().permute(0, 2, 3, 1).reshape(BINS, self.width)
        words = rows.view(torch.uint16) if self.dtype == torch.bfloat16 else rows
        try:
            self._array.write(index, words.numpy())
        except OSError as error:
            raise TracksError(
                f"cannot write to the store of residual streams {self.folder}: {error.strerror}; "
                "give another folder (--residuals), or leave it out"
            ) from error

    def known(self) -> np.ndarray:
        """Return which windows are there now, whoever wrote them: bool ``[windows]``."""
        return self._array.known()
