"""Prediction of windows named by a BED file, as the published project made its files: a row a window."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import nullcontext
from math import nan
from typing import TYPE_CHECKING

from tracks.errors import TracksError, UsageError
from tracks.files import check_absent
from tracks.window_array import ZSTD, WindowArray
from tracks.window_files import VALUES, write_window_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np

    from model.embedding_file import EmbeddingRows
    from model.predict import Predictor
    from tracks.windows import WindowRow


def windows_digest(windows: Sequence[WindowRow]) -> str:
    """Return a name for a list of windows: SHA-256 of their places, in order."""
    places = "\n".join(f"{window.chrom}\t{window.start}" for window in windows)
    return hashlib.sha256(places.encode()).hexdigest()


def check_windows(windows: Sequence[WindowRow], chrom_sizes: dict[str, int]) -> None:
    """See that every window lies on the genome. Raises UsageError that counts all problems, before any work."""
    absent = {window.chrom for window in windows} - set(chrom_sizes)
    beyond = [w for w in windows if w.chrom in chrom_sizes and (w.start < 0 or w.end > chrom_sizes[w.chrom])]
    problems = [f"the genome has no {', '.join(sorted(absent))}"] if absent else []
    if beyond:
        first = beyond[0]
        problems.append(
            f"{len(beyond):,} windows leave their chromosome, the first at "
            f"{first.chrom}:{first.start + 1:,}-{first.end:,} of {chrom_sizes[first.chrom]:,} bases"
        )
    if problems:
        raise UsageError(f"these windows are of another genome: {'; '.join(problems)}")


def row_files(predictor: Predictor, out: Path) -> dict[str, Path]:
    """Return the file of each head: ``OUT/<head>.h5``."""
    return {spec.name: out / f"{spec.name}.h5" for spec in predictor.model.heads}


def unfinished_rows(predictor: Predictor, windows: Sequence[WindowRow], out: Path) -> Path:
    """Return the folder in ``out`` that keeps what is done of a run: named by model, windows and their sequence."""
    sequence = " ".join(predictor.genome.digest(chrom) for chrom in sorted({window.chrom for window in windows}))
    key = hashlib.sha256(f"{predictor.model.digest} {windows_digest(windows)} {sequence}".encode()).hexdigest()
    return out / f".{key[:16]}.partial"


def predict_rows(
    predictor: Predictor,
    windows: Sequence[WindowRow],
    out: Path,
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
    embeddings: EmbeddingRows | None = None,
) -> dict[str, Path]:
    """Predict windows and write one HDF5 file a head, labels in the published layout; return the files.

    Rows that are done lie in a folder beside the files until all are, so that a run that was stopped goes on. The
    trunk is passed once a window for all heads, and for ``embeddings`` of the same windows, which are then written
    too. Nothing is masked and nothing cut, as in the published files: units and inverse are in the file's track table.
    Raises UsageError for windows that leave the genome and for files that are there already.
    """
    model = predictor.model
    check_windows(windows, predictor.genome.chrom_sizes)
    files = row_files(predictor, out)
    aside = unfinished_rows(predictor, windows, out)
    # Where the folder of rows is there, a run was stopped that may have written some of its files.
    for path in files.values():
        check_absent(path, overwrite or aside.exists())
    stores = {
        spec.name: WindowArray(
            aside / spec.name, len(windows), (VALUES[spec.scope], len(spec.tracks)), "float32", nan, ZSTD, "the rows"
        )
        for spec in model.heads
    }
    for rows in stores.values():
        rows.open()
    with embeddings or nullcontext():
        known = {name: store.known() for name, store in stores.items()}
        for row, window in enumerate(windows):
            unlabelled = not all(rows[row] for rows in known.values())
            unkept = embeddings is not None and embeddings.missing(row)
            if unlabelled or unkept:
                embedding = predictor.embedding(window.chrom, window.start)
                if unlabelled:
                    for name, labels in predictor.labels_of(window.chrom, window.start, embedding).items():
                        try:
                            stores[name].write(row, labels)
                        except OSError as error:
                            raise TracksError(
                                f"cannot write {aside}: {error.strerror}; the rows before are kept, "
                                "so run again to go on"
                            ) from error
                if embeddings is not None and unkept:
                    embeddings.write(row, embedding)
            progress(row + 1, len(windows))
        for spec in model.heads:
            attributes = {"model": model.name, "model_digest": model.digest, "head": spec.name}
            write_window_file(
                files[spec.name],
                len(windows),
                spec.scope,
                spec.tracks,
                (_row(predictor, stores[spec.name], spec.name, row, window) for row, window in enumerate(windows)),
                attributes,
            )
    # Half of it would look like a run to go on with.
    shutil.rmtree(aside.rename(aside.with_suffix(".done")))
    return files


def _row(predictor: Predictor, store: WindowArray, head: str, row: int, window: WindowRow) -> np.ndarray:
    labels = store.read(row)
    # A chunk that the disk lost is predicted again.
    return predictor.labels(window.chrom, window.start)[head] if labels is None else labels
