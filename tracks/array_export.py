"""All tracks in one: an HDF5 file, or a Zarr group. Both hold the same arrays, one table and the same attributes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from tracks.errors import TracksError
from tracks.grid import BIN, BINS
from tracks.zarr_writer import ZarrWriter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import h5py

    from tracks.regions import Region
    from tracks.track import Track
    from tracks.trackdata import TrackData

_FORMAT_VERSION = 1
"""Of the layout that HDF5 and Zarr have in common."""


def write_hdf5(
    path: Path,
    pieces: Iterable[TrackData],
    tracks: Sequence[Track],
    chrom_sizes: Mapping[str, int],
    source: Mapping[str, str],
) -> list[tuple[int, int]]:
    """Write all tracks to one HDF5 file and return (bins, bins with a value) of each. NaN is kept: it is missing.

    ``values/<chromosome>`` is float32 ``[bins, tracks]``, the regions of that chromosome one after another, with the
    chromosome's ``length`` as attribute. ``regions`` is a table of ``chrom``, ``start``, ``end`` (0-based half-open)
    and ``row``, the first of the region's rows. Attributes of the file: ``format_version``, ``bin_size``, ``tracks``
    (JSON, one entry per column) and those of ``source``. Raises TracksError when the file cannot be written.
    """
    import h5py

    from tracks.hdf5_writer import Hdf5Writer

    try:
        with Hdf5Writer(path) as writer:
            file = writer.file
            about = _about(tracks, source)
            file.attrs.update({**about, "tracks": json.dumps(about["tracks"])})
            rows = _Rows(tracks)
            for piece in pieces:
                values = rows.values(piece)
                rows.add(piece.region, _append(file, piece.region, values, chrom_sizes))
            columns = [("chrom", h5py.string_dtype()), ("start", "i8"), ("end", "i8"), ("row", "i8")]
            file["regions"] = np.array(rows.regions, columns)
    except OSError as error:
        raise TracksError(f"cannot write {path}: {str(error).splitlines()[0]}") from error
    return rows.counts


def write_zarr(
    path: Path,
    pieces: Iterable[TrackData],
    tracks: Sequence[Track],
    chrom_sizes: Mapping[str, int],
    source: Mapping[str, str],
) -> list[tuple[int, int]]:
    """Write all tracks to one Zarr v3 group, a folder, and return (bins, bins with a value) of each.

    What is in it is what ``write_hdf5`` writes; ``regions`` is a group with an array for each column, and the attribute
    ``tracks`` is a list, not a text. Raises TracksError when it cannot be written.
    """
    rows = _Rows(tracks)
    try:
        writer = ZarrWriter(path, len(tracks), chrom_sizes, _about(tracks, source))
        for piece in pieces:
            values = rows.values(piece)
            rows.add(piece.region, writer.append(piece.region.chrom, values))
        writer.close(rows.regions)
    except OSError as error:
        raise TracksError(f"cannot write {path}: {error.strerror}") from error
    return rows.counts


def _about(tracks: Sequence[Track], source: Mapping[str, str]) -> dict[str, Any]:
    """What HDF5 files and Zarr groups say of themselves."""
    described = [{"slug": track.slug, **track.to_json()} for track in tracks]
    return {"format_version": _FORMAT_VERSION, "bin_size": BIN, "tracks": described, **source}


class _Rows:
    """Which regions lie in which rows of their chromosome's array, and how many of them have a value."""

    def __init__(self, tracks: Sequence[Track]) -> None:
        self._tracks = tracks
        self._count = np.zeros((len(tracks), 2), np.int64)
        self.regions: list[tuple[str, int, int, int]] = []

    @property
    def counts(self) -> list[tuple[int, int]]:
        """Bins, and bins with a value, of each track."""
        return [(bins, valued) for bins, valued in self._count.tolist()]

    def values(self, piece: TrackData) -> np.ndarray:
        """Return the wanted columns of a piece, float32 ``[bins, tracks]``, and count them."""
        values = np.stack([piece.column(track) for track in self._tracks], axis=1)
        self._count[:, 0] += len(values)
        self._count[:, 1] += np.isfinite(values).sum(axis=0)
        return values

    def add(self, region: Region, row: int) -> None:
        """Note where a piece lies; one that goes on where the last ended is of the same region."""
        last = self.regions[-1] if self.regions else None
        if last is not None and last[0] == region.chrom and last[2] == region.start:
            self.regions[-1] = (last[0], last[1], region.end, last[3])
        else:
            self.regions.append((region.chrom, region.start, region.end, row))


def _append(file: h5py.File, region: Region, values: np.ndarray, chrom_sizes: Mapping[str, int]) -> int:
    """Append a piece's rows to its chromosome's dataset; return the first of them."""
    name = f"values/{region.chrom}"
    if name not in file:
        shape = (0, values.shape[1])
        options = {"maxshape": (None, values.shape[1]), "chunks": (BINS, values.shape[1])}
        dataset = file.create_dataset(name, shape, np.float32, compression=4, shuffle=True, **options)
        dataset.attrs["length"] = chrom_sizes[region.chrom]
    dataset = file[name]
    row = len(dataset)
    dataset.resize(row + len(values), axis=0)
    dataset[row:] = values
    return row
