"""Embeddings of windows in one file, for programs that read the published ``embeddings.h5``.

Nothing here needs such a file: an embedding is a 1x1 convolution of the residual stream, which has half its channels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import numpy as np
import torch

from model.predict_rows import check_windows, unfinished_rows
from tracks.errors import TracksError
from tracks.files import check_absent, written_beside
from tracks.grid import BINS
from tracks.hdf5_writer import Hdf5Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from model.predict import Predictor
    from tracks.windows import WindowRow

NAME = "embeddings.h5"


def embeddings_bytes(predictor: Predictor, windows: Sequence[WindowRow]) -> int:
    """Return the size of the file, in bytes: 2.75 MB a window for 1,536 channels."""
    return len(windows) * BINS * _filters(predictor) * 2


def write_embeddings(
    predictor: Predictor,
    windows: Sequence[WindowRow],
    out: Path,
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write ``OUT/embeddings.h5``: dataset ``embeddings``, float16 ``[windows, 896, channels]``, a chunk a row.

    The chunks are not compressed (gzip 9 saved the original 5 %), so that each has its place from the start, and a
    run that was stopped goes on after its last row. Returns the file. Raises UsageError for windows that leave the
    genome and for a file that is there, TracksError when it cannot be written.
    """
    check_windows(windows, predictor.genome.chrom_sizes)
    path = out / NAME
    check_absent(path, overwrite)
    unfinished = unfinished_rows(predictor, windows, out)
    beside, known = unfinished.with_suffix(f".{NAME}"), unfinished.with_suffix(".rows")
    try:
        if not (beside.exists() and known.exists()):
            _create(beside, len(windows), _filters(predictor), predictor.model.digest)
            known.write_bytes(bytes(len(windows)))
        done = bytearray(known.read_bytes())
        with Hdf5Writer(beside, "r+") as writer, known.open("r+b", buffering=0) as marks:
            for row, window in enumerate(windows):
                if not done[row]:
                    writer.file["embeddings"][row] = _embedding(predictor, window)
                    writer.file.flush()
                    writer.check()
                    marks.seek(row)
                    marks.write(b"\x01")
                progress(row + 1, len(windows))
        beside.replace(path)
        known.unlink()
    except OSError as error:
        raise TracksError(f"cannot write {path}: {error.strerror or error}; run again to go on") from error
    return path


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


@torch.inference_mode()
def _embedding(predictor: Predictor, window: WindowRow) -> np.ndarray:
    """The embedding of one window, float16 ``[896, channels]``. Raises TracksError where float16 cannot hold it."""
    codes = predictor.genome.codes(window.chrom, window.start, window.end)
    trunk = predictor.model.network.trunk
    embedding: np.ndarray = trunk(torch.from_numpy(codes)[None].to(predictor.device))[0].T.half().cpu().numpy()
    if not np.isfinite(embedding).all():
        raise TracksError(f"the embedding of {window.chrom}:{window.start + 1:,}-{window.end:,} leaves float16")
    return embedding
