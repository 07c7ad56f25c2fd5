"""Embeddings of windows in one file, for programs that read the published ``embeddings.h5``.

Nothing here needs such a file: an embedding is a 1x1 convolution of the residual stream, which has half its channels.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

import h5py
import numpy as np

from model.predict_rows import check_windows, unfinished_rows
from tracks.errors import TracksError
from tracks.files import check_absent, written_beside
from tracks.grid import BINS
from tracks.hdf5_writer import Hdf5Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    import torch

    from model.predict import Predictor
    from tracks.windows import WindowRow

NAME = "embeddings.h5"


def embeddings_bytes(predictor: Predictor, windows: Sequence[WindowRow]) -> int:
    """Return the size of the file, in bytes: 2.75 MB a window for 1,536 channels."""
    return len(windows) * BINS * _filters(predictor) * 2


class EmbeddingRows:
    """``OUT/embeddings.h5`` while it is written: dataset ``embeddings``, float16 ``[windows, 896, channels]``, a row a
    chunk. For a ``with`` block, at whose end every row must be there; a run that was stopped goes on.

    The chunks are not compressed (gzip 9 saved the original 5 %), so that each has its place from the start. Raises
    UsageError for windows that leave the genome and for a file that is there, TracksError when it cannot be written.
    """

    def __init__(self, predictor: Predictor, windows: Sequence[WindowRow], out: Path, overwrite: bool = False) -> None:
        check_windows(windows, predictor.genome.chrom_sizes)
        self.path = out / NAME
        check_absent(self.path, overwrite)
        self._predictor, self._windows = predictor, windows
        unfinished = unfinished_rows(predictor, windows, out)
        self._beside, self._known = unfinished.with_suffix(f".{NAME}"), unfinished.with_suffix(".rows")

    def __enter__(self) -> Self:
        with self._one_line_errors():
            if not (self._beside.exists() and self._known.exists()):
                _create(self._beside, len(self._windows), _filters(self._predictor), self._predictor.model.digest)
                self._known.write_bytes(bytes(len(self._windows)))
            self._done = bytearray(self._known.read_bytes())
            self._writer = Hdf5Writer(self._beside, "r+")
            self._marks = self._known.open("r+b", buffering=0)
        return self

    def missing(self, row: int) -> bool:
        """Say whether a row is not yet there."""
        return not self._done[row]

    def write(self, row: int, embedding: torch.Tensor) -> None:
        """Keep a row: the embedding ``[1, channels, 896]`` of its window. Raises TracksError where float16 cannot hold
        it."""
        half = embedding[0].T.half().cpu().numpy()
        if not np.isfinite(half).all():
            window = self._windows[row]
            raise TracksError(f"the embedding of {window.chrom}:{window.start + 1:,}-{window.end:,} leaves float16")
        with self._one_line_errors():
            self._writer.file["embeddings"][row] = half
            self._writer.file.flush()
            self._writer.check()
            self._marks.seek(row)
            self._marks.write(b"\x01")
        self._done[row] = 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._one_line_errors():
            self._marks.close()
            self._writer.__exit__(kind, error, trace)
            if kind is None:
                self._beside.replace(self.path)
                self._known.unlink()

    @contextmanager
    def _one_line_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TracksError(f"cannot write {self.path}: {error.strerror or error}; run again to go on") from error


def write_embeddings(
    predictor: Predictor,
    windows: Sequence[WindowRow],
    out: Path,
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write the embeddings of windows, and nothing else, to ``OUT/embeddings.h5`` and return the file; errors as those
    of ``EmbeddingRows``."""
    with EmbeddingRows(predictor, windows, out, overwrite) as rows:
        for row, window in enumerate(windows):
            if rows.missing(row):
                rows.write(row, predictor.embedding(window.chrom, window.start))
            progress(row + 1, len(windows))
    return rows.path


def _filters(predictor: Predictor) -> int:
    return predictor.model.network.trunk.config.embedding_filters


def _create(path: Path, rows: int, filters: int, digest: str) -> None:
    """Make a file in which every row has its place, and nothing but rows will change."""
    with written_beside(path) as beside, Hdf5Writer(beside) as writer:
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_chunk((1, BINS, filters))
        layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        layout.set_obj_track_times(False)
        space = h5py.h5s.create_simple((rows, BINS, filters))
        h5py.h5d.create(writer.file.id, b"embeddings", h5py.h5t.IEEE_F16LE, space, layout)
        writer.file.attrs["model_digest"] = digest
