"""bigWigs of what a store knows of some heads: whole chromosomes or a few windows, in one pass over the store."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np

from tracks.bigwig import Bins, runs
from tracks.bigwig_writer import BigWigWriter
from tracks.errors import TracksError
from tracks.grid import BINS, bin_count

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tracks.bigwig_export import ExportChrom, ExportHead
    from tracks.method import Method
    from tracks.store import Store, WindowStore


def known_windows(store: Store, head: ExportHead, chroms: Sequence[ExportChrom], method: Method) -> int:
    """Count the windows of a head that a store knows."""
    return sum(len(indices) for _, _, indices in _known(store, head, chroms, method))


def _known(
    store: Store, head: ExportHead, chroms: Sequence[ExportChrom], method: Method
) -> list[tuple[ExportChrom, WindowStore, list[int]]]:
    found = []
    for chrom in chroms:
        windows = store.windows(head.digest, chrom.sequence, chrom.length, head.stored, method)
        found.append((chrom, windows, np.flatnonzero(windows.known()).tolist()))
    return found


def write_known(
    folder: Path,
    store: Store,
    head: ExportHead,
    chroms: Sequence[ExportChrom],
    chrom_sizes: Mapping[str, int],
    method: Method,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Path]:
    """Write the known windows of a head's tracks as ``folder/<slug>.bw``; return the files by slug.

    A track without any value gets no file. ``progress`` is told windows, done and in all.
    Raises TracksError when a file cannot be written.
    """
    found = _known(store, head, chroms, method)
    total, done = sum(len(indices) for _, _, indices in found), 0
    paths = {track.slug: folder / f"{track.slug}.bw" for track in head.tracks}
    written: dict[str, Path] = {}
    try:
        with ExitStack() as closing:
            writers: dict[str, BigWigWriter] = {}
            for chrom, windows, indices in found:
                for index in indices:
                    values = windows.read(index)
                    bins = min(BINS, bin_count(chrom.length) - index * BINS)
                    for column, track in zip(head.columns, head.tracks, strict=True):
                        own = None if values is None else np.ascontiguousarray(values[:bins, column])
                        if own is None or not np.isfinite(own).any():
                            continue
                        if track.slug not in writers:
                            writers[track.slug] = BigWigWriter(paths[track.slug], chrom_sizes)
                            closing.callback(writers[track.slug].abandon)
                        spans = runs(Bins(chrom.name, index * BINS, own), chrom.length)
                        writers[track.slug].add(chrom.name, *spans)
                    done += 1
                    progress(done, total)
            for slug, writer in writers.items():
                writer.close()
                written[slug] = paths[slug]
    except OSError as error:
        raise TracksError(f"cannot write to {folder}: {error.strerror}") from error
    return written
