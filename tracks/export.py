"""Tracks to files: one bigWig or bedGraph per track, or one HDF5 file with all of them.

Values are streamed: what is held in memory grows with neither a region's nor a chromosome's length.
"""

from __future__ import annotations

import itertools
import json
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from tracks.bigwig import Bins, in_order, runs, write_bigwig
from tracks.errors import TracksError, UsageError
from tracks.files import check_folder, written_beside
from tracks.grid import BIN, BINS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import h5py

    from tracks.regions import Region
    from tracks.track import Track
    from tracks.trackdata import TrackData

Format = Literal["bigwig", "bedgraph", "hdf5"]
"""How tracks are written."""

FORMATS: tuple[Format, ...] = get_args(Format)

HDF5_NAME = "predictions.h5"

_SUFFIXES = {"bigwig": ".bw", "bedgraph": ".bedgraph"}
_HDF5_FORMAT = 1


@dataclass(frozen=True)
class Written:
    """One track as it was written: its file, or None when it had no value at all; its bins, and those with a value."""

    track: Track
    path: Path | None
    bins: int
    valued: int


def output_path(out: Path, track: Track, form: Format) -> Path:
    """Return the file that a track is written to: ``out/<slug>.bw``, ``out/<slug>.bedgraph``, or the one HDF5 file."""
    return out / (HDF5_NAME if form == "hdf5" else track.slug + _SUFFIXES[form])


def check_output(out: Path, tracks: Sequence[Track], form: Format, overwrite: bool = False) -> None:
    """See that tracks could be written, before anything is computed; nothing is made or changed.

    Raises UsageError when ``out`` is no folder, two tracks share a file name, or a file exists and ``overwrite``
    is off; TracksError when the folder cannot be written to.
    """
    slugs = [track.slug for track in tracks]
    twice = next((slug for slug in slugs if slugs.count(slug) > 1), None)
    if twice is not None and form != "hdf5":
        raise UsageError(f"two tracks would both be written as '{twice}'; choose one of them with --track")
    try:
        check_folder(out, f"to {out}")
        paths = {output_path(out, track, form): None for track in tracks}
        found = [path for path in paths if path.exists()]
    except OSError as error:
        raise TracksError(f"cannot write to {out}: {error.strerror}") from error
    if found and not overwrite:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise UsageError(f"{found[0]}{more} exists already; choose another folder, or replace with --overwrite")
    folders = [path for path in found if path.is_dir()]
    if folders:
        raise UsageError(f"cannot replace {folders[0]}: it is a folder")


def check_hdf5_names(chroms: Iterable[str]) -> None:
    """Raise UsageError for a chromosome whose name HDF5 cannot have: it would be a path."""
    for chrom in chroms:
        if "/" in chrom or chrom in (".", ".."):
            raise UsageError(f"HDF5 cannot name a chromosome '{chrom}'; write bigWigs (--format bigwig)")


def remove_leftovers(out: Path, tracks: Sequence[Track], form: Format) -> None:
    """Remove what a killed run was writing of these files; only where nobody writes in the folder."""
    for path in {output_path(out, track, form) for track in tracks}:
        for left in out.glob(f".{path.stem}.*.partial{path.suffix}"):
            left.unlink(missing_ok=True)


def write_tracks(
    out: Path,
    pieces: Callable[[], Iterable[TrackData]],
    tracks: Sequence[Track],
    chrom_sizes: Mapping[str, int],
    form: Format = "bigwig",
    overwrite: bool = False,
    source: Mapping[str, str] | None = None,
) -> tuple[Written, ...]:
    """Write tracks to a folder and return what was written, one entry per track.

    ``pieces()`` gives TrackData that hold all of ``tracks`` (others are left out), sorted as ``chrom_sizes`` and
    by start, without overlap; it is called once per file, because each writer pulls its own stream. A track
    without any value gets no file, and one left from an earlier run is removed (HDF5: when no track has a value). All
    files get their final names together, at the end, so an interrupted run leaves none.

    ``source`` says where the values are from (model, digests); HDF5 keeps it as attributes.
    Raises what ``check_output`` raises, and TracksError when a file cannot be written.
    """
    check_output(out, tracks, form, overwrite)
    try:
        with ExitStack() as finals:
            if form == "hdf5":
                beside = finals.enter_context(written_beside(out / HDF5_NAME))
                counts = write_hdf5(beside, pieces(), tracks, chrom_sizes, source or {})
                path = output_path(out, tracks[0], form)
                written = tuple(Written(track, path, *count) for track, count in zip(tracks, counts, strict=True))
            else:
                written = tuple(_write_one(finals, out, pieces(), track, chrom_sizes, form) for track in tracks)
            if not any(entry.valued for entry in written):
                raise _NoValueError
    except _NoValueError:
        return tuple(replace(entry, path=None) for entry in written)
    for entry in written:
        if entry.path is None:
            output_path(out, entry.track, form).unlink(missing_ok=True)
    return written


class _NoValueError(Exception):
    """Leaves the files that are being written, so that none gets its final name."""


def _write_one(
    finals: ExitStack,
    out: Path,
    pieces: Iterable[TrackData],
    track: Track,
    chrom_sizes: Mapping[str, int],
    form: Format,
) -> Written:
    count = np.zeros(2, np.int64)
    bins = _columns(pieces, track, count)
    # A bigWig without a value is no bigWig that other programs open, so the file is begun at the first value.
    first = next((piece for piece in bins if np.isfinite(piece.values).any()), None)
    if first is None:
        return Written(track, None, int(count[0]), 0)
    path = output_path(out, track, form)
    beside = finals.enter_context(written_beside(path))
    write = write_bigwig if form == "bigwig" else write_bedgraph
    write(beside, chrom_sizes, itertools.chain([first], bins))
    return Written(track, path, *count.tolist())


def _columns(pieces: Iterable[TrackData], track: Track, count: np.ndarray) -> Iterator[Bins]:
    for piece in pieces:
        values = piece.column(track)
        count += len(values), np.isfinite(values).sum()
        yield Bins(piece.region.chrom, piece.region.start // BIN, values)


def write_bedgraph(path: Path, chrom_sizes: Mapping[str, int], pieces: Iterable[Bins]) -> None:
    """Write binned values as bedGraph: chromosome, start, end (0-based half-open), value; tab-separated, no header.

    NaN is left out, equal neighbours are joined, and a value has as many digits as give back its float32.
    Raises TracksError when the file cannot be written; nothing is left under ``path`` then.
    """
    with written_beside(path) as beside, beside.open("w") as file:
        for piece in in_order(pieces, chrom_sizes):
            for start, end, value in zip(*runs(piece, chrom_sizes[piece.chrom]), strict=True):
                file.write(f"{piece.chrom}\t{start}\t{end}\t{value!s}\n")


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

    count = np.zeros((len(tracks), 2), np.int64)
    try:
        with Hdf5Writer(path) as writer:
            file = writer.file
            file.attrs["format_version"] = _HDF5_FORMAT
            file.attrs["bin_size"] = BIN
            file.attrs["tracks"] = json.dumps([{"slug": track.slug, **track.to_json()} for track in tracks])
            file.attrs.update(source)
            regions: list[tuple[str, int, int, int]] = []
            for piece in pieces:
                values = np.stack([piece.column(track) for track in tracks], axis=1)
                count += np.stack([np.full(len(tracks), len(values)), np.isfinite(values).sum(axis=0)], axis=1)
                row = _append(file, piece.region, values, chrom_sizes)
                last = regions[-1] if regions else None
                if last is not None and last[0] == piece.region.chrom and last[2] == piece.region.start:
                    regions[-1] = (last[0], last[1], piece.region.end, last[3])
                else:
                    regions.append((piece.region.chrom, piece.region.start, piece.region.end, row))
            columns = [("chrom", h5py.string_dtype()), ("start", "i8"), ("end", "i8"), ("row", "i8")]
            file["regions"] = np.array(regions, columns)
    except OSError as error:
        raise TracksError(f"cannot write {path}: {str(error).splitlines()[0]}") from error
    return [(bins, valued) for bins, valued in count.tolist()]


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
