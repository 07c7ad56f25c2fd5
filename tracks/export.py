"""Tracks to files: one bigWig or bedGraph per track, or one HDF5 file or Zarr group with all of them.

Values are streamed: what is held in memory grows with neither a region's nor a chromosome's length.
"""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from tracks.array_export import write_hdf5, write_zarr
from tracks.bigwig import Bins, in_order, runs, write_bigwig
from tracks.errors import TracksError, UsageError
from tracks.files import check_folder, written_beside
from tracks.grid import BIN
from tracks.zarr_writer import folder_beside, remove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tracks.track import Track
    from tracks.trackdata import TrackData

Format = Literal["bigwig", "bedgraph", "hdf5", "zarr"]
"""How tracks are written."""

FORMATS: tuple[Format, ...] = get_args(Format)

HDF5_NAME, ZARR_NAME = "predictions.h5", "predictions.zarr"

_SUFFIXES = {"bigwig": ".bw", "bedgraph": ".bedgraph"}
_SHARED: Mapping[Format, str] = {"hdf5": HDF5_NAME, "zarr": ZARR_NAME}
"""The names of what holds all tracks in one."""


@dataclass(frozen=True)
class Written:
    """One track as it was written: its file, or None when it had no value at all; its bins, and those with a value."""

    track: Track
    path: Path | None
    bins: int
    valued: int


def output_path(out: Path, track: Track, form: Format) -> Path:
    """Return the file that a track is written to: ``out/<slug>.bw``, ``out/<slug>.bedgraph``, the one HDF5 file, or the
    folder of the one Zarr group."""
    return out / (_SHARED[form] if form in _SHARED else track.slug + _SUFFIXES[form])


def check_output(out: Path, tracks: Sequence[Track], form: Format, overwrite: bool = False) -> None:
    """See that tracks could be written, before anything is computed; nothing is made or changed.

    Raises UsageError when ``out`` is no folder, two tracks share a file name, or a file exists and ``overwrite``
    is off; TracksError when the folder cannot be written to.
    """
    slugs = [track.slug for track in tracks]
    twice = next((slug for slug in slugs if slugs.count(slug) > 1), None)
    if twice is not None and form not in _SHARED:
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
    if folders and not (form == "zarr" and _is_zarr(folders[0])):
        raise UsageError(f"cannot replace {folders[0]}: it is a folder{' without zarr.json' if form == 'zarr' else ''}")


def _is_zarr(folder: Path) -> bool:
    """Whether a folder is a Zarr group, or empty, so that replacing it loses nothing else."""
    return (folder / "zarr.json").is_file() or not any(folder.iterdir())


def check_array_names(chroms: Iterable[str], form: Format) -> None:
    """Raise UsageError for a chromosome whose name an array of HDF5 or Zarr cannot have: it would be a path."""
    if form not in _SHARED:
        return
    for chrom in chroms:
        if "/" in chrom or not chrom.strip(".") or (form == "zarr" and chrom.startswith("__")):
            name = "HDF5" if form == "hdf5" else "Zarr"
            raise UsageError(f"{name} cannot name a chromosome '{chrom}'; write bigWigs (--format bigwig)")


def remove_leftovers(out: Path, tracks: Sequence[Track], form: Format) -> None:
    """Remove what a killed run was writing of these files; only where nobody writes in the folder."""
    for path in {output_path(out, track, form) for track in tracks}:
        for left in out.glob(f".{path.stem}.*.partial{path.suffix}"):
            remove(left)


def written_bytes(written: Iterable[Written]) -> int:
    """Return the bytes of all that was written, of a Zarr group those of the files in it."""
    paths = {entry.path for entry in written if entry.path is not None}
    files = (file for path in paths for file in (path.rglob("*") if path.is_dir() else [path]))
    return sum(file.stat().st_size for file in files if file.is_file())


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
    without any value gets no file, and one left from an earlier run is removed (HDF5 and Zarr hold all tracks, unless
    none has a value). All files get their final names together, at the end, so an interrupted run leaves none.

    ``source`` says where the values are from (model, digests); HDF5 and Zarr keep it as attributes.
    Raises what ``check_output`` raises, and TracksError when a file cannot be written.
    """
    check_output(out, tracks, form, overwrite)
    try:
        with ExitStack() as finals:
            if form in _SHARED:
                path = output_path(out, tracks[0], form)
                beside = finals.enter_context((written_beside if form == "hdf5" else folder_beside)(path))
                write_all = write_hdf5 if form == "hdf5" else write_zarr
                counts = write_all(beside, pieces(), tracks, chrom_sizes, source or {})
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
