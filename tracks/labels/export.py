"""A built label set to files that others read: HDF5 of the published layout, or bigWigs and a project of them."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tracks.bigwig import Bins, runs
from tracks.bigwig_writer import BigWigWriter
from tracks.chroms import match_chroms
from tracks.errors import UsageError
from tracks.export import Written, check_output, output_path
from tracks.files import check_absent, write_text, written_beside
from tracks.genome_sizes import is_table, read_sizes
from tracks.grid import bin_count
from tracks.labels.built import SPLIT_FILE
from tracks.track import Track, values_of
from tracks.transform import Affine
from tracks.window_files import write_window_scopes
from tracks.windows import windows_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tracks.labels.built import BuiltLabels, BuiltTrack
    from tracks.windows import Scope

_ROWS = 16
"""Rows that are read at once."""
_OPEN = 32
"""bigWigs that are written at once: each has eleven open files."""
_CALLS = ("fraction", "weighted")
PROJECT = "tracks.toml"


def windows_path(out: Path) -> Path:
    """Return the BED file beside an HDF5 file of labels that says which windows its rows are."""
    return out.with_name(f"{out.stem}.windows.bed")


def export_hdf5(
    labels: BuiltLabels,
    out: Path,
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write the labels of a label set's windows as the published data set has them (facts/cs282a.md 3.1), and the
    windows to a BED file beside, which is returned. Missing labels are NaN.

    Raises UsageError when the label set has no windows, or a file exists and ``overwrite`` is off; TracksError when a
    file cannot be written.
    """
    bed = windows_path(out)
    for path in (out, bed):
        check_absent(path, overwrite)
    if not labels.windows:
        raise UsageError(
            f"{labels.path} has no windows to write a row for: name windows, or a split, in the recipe that it is of"
        )
    write_window_scopes(
        out,
        len(labels.windows),
        {scope: labels.tracks(scope) for scope in labels.scopes},
        _rows(labels),
        {"label_set": labels.name, "recipe": labels.recipe, "genome": labels.genome},
        progress,
    )
    write_text(bed, windows_text(labels.windows))
    return bed


def _rows(labels: BuiltLabels) -> Iterator[dict[Scope, np.ndarray]]:
    rows = np.arange(len(labels.windows))
    for first in range(0, len(rows), _ROWS):
        some = rows[first : first + _ROWS]
        found = {scope: labels.labels(some, scope) for scope in labels.scopes}
        for at in range(len(some)):
            yield {scope: values[at] for scope, values in found.items()}


def export_bigwigs(
    labels: BuiltLabels,
    out: Path,
    genome: Path | None = None,
    valid: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Written, ...]:
    """Write each track of a label set to a bigWig in the folder ``out``, in the track's unit, and, where the FASTA of
    the genome is named, a project of them (``tracks.toml``); return what was written, one entry per track.

    ``valid`` writes to a bigWig of its own also what is behind each label: calls of fractions, bases otherwise. A
    track without any label gets no file, and no place in the project. Raises UsageError when the label set has no
    grid or a file exists and ``overwrite`` is off; TracksError when a file cannot be written.
    """
    if not labels.grid_chroms:
        raise UsageError(
            f"{labels.path} holds given windows alone, which overlap and lie off the grid: build it with grid = true"
        )
    tracks = labels.tracks("bins")
    behind = tuple(_valid_track(target) for target in labels.targets) if valid else ()
    check_output(out, [*tracks, *behind], "bigwig", overwrite)
    if genome is not None:
        if is_table(genome):
            raise UsageError(f"a project needs the FASTA of its genome, and {genome} is a table of lengths")
        match_chroms(read_sizes(genome), labels.chrom_sizes, str(genome))
        check_absent(out / PROJECT, overwrite)
    columns = [*tracks, *behind]
    counts = np.zeros((len(columns), 2), np.int64)
    bins = sum(bin_count(labels.chrom_sizes[chrom]) for chrom in labels.grid_chroms)
    passes = -(-len(columns) // _OPEN)
    with ExitStack() as finals:
        for number in range(passes):
            group = range(number * _OPEN, min((number + 1) * _OPEN, len(columns)))
            for done in _write_group(finals, labels, out, columns, group, counts):
                progress(number * bins + done, passes * bins)
    written = tuple(
        Written(track, output_path(out, track, "bigwig") if valued else None, bins, valued)
        for track, (bins, valued) in zip(columns, counts.tolist(), strict=True)
    )
    for entry in written:
        if entry.path is None:
            output_path(out, entry.track, "bigwig").unlink(missing_ok=True)
    if genome is not None:
        split = labels.path / SPLIT_FILE
        if split.exists():
            write_text(out / SPLIT_FILE, split.read_text())
        write_text(out / PROJECT, _project(labels, genome, written, SPLIT_FILE if split.exists() else ""))
    return written


def _valid_track(target: BuiltTrack) -> Track:
    unit = "calls" if target.aggregation in _CALLS else "bases"
    return replace(
        target.track,
        name=f"{target.track.name} valid",
        unit=unit,
        description=f"{unit.capitalize()} behind each label of {target.track.name}",
        transform=Affine(),
    )


def _write_group(
    finals: ExitStack, labels: BuiltLabels, out: Path, columns: Sequence[Track], group: range, counts: np.ndarray
) -> Iterator[int]:
    """Write some of the tracks in one pass, counting their bins and labels, and yield the bins that are done; the files
    get their names when ``finals`` ends."""
    # The grid may have its chromosomes in another order than the genome.
    sizes = {chrom: labels.chrom_sizes[chrom] for chrom in (*labels.grid_chroms, *labels.chrom_sizes)}
    tracks = labels.tracks("bins")
    done = 0
    with ExitStack() as closing:
        writers: dict[int, BigWigWriter] = {}
        for piece in labels.pieces():
            values = np.concatenate([values_of(piece.labels, tracks), piece.valid], axis=1)
            for at in group:
                bins = Bins(piece.chrom, piece.first_bin, values[:, at])
                counts[at] += len(bins.values), np.isfinite(bins.values).sum()
                found = runs(bins, sizes[piece.chrom])
                if not len(found[0]):
                    continue
                # A bigWig without a value is no bigWig that other programs open, so it is begun at the first value.
                if at not in writers:
                    beside = finals.enter_context(written_beside(output_path(out, columns[at], "bigwig")))
                    writers[at] = closing.enter_context(BigWigWriter(beside, sizes))
                writers[at].add(piece.chrom, *found)
            done += len(piece.labels)
            yield done


def _project(labels: BuiltLabels, genome: Path, written: Sequence[Written], split: str) -> str:
    entries = [f"name = {_text(labels.name)}\ngenome = {_text(str(genome.absolute()))}\n"]
    if split:
        entries[0] += f"split = {_text(split)}\n"
    behind: Sequence[Written | None] = written[len(labels.targets) :] or [None] * len(labels.targets)
    for target, entry, calls in zip(labels.targets, written, behind, strict=False):
        if entry.path is None:
            continue
        track = target.track
        fields = {name: getattr(track, name) for name in ("name", "assay", "biosample", "unit", "color")}
        fields |= {name: getattr(track, name) for name in ("description", "source") if getattr(track, name)}
        fields["observed"] = entry.path.name
        if calls is not None and calls.path is not None and target.aggregation in _CALLS:
            fields["coverage"] = calls.path.name
        lines = [f"{name} = {_text(value)}\n" for name, value in fields.items()]
        if track.context:
            lines.append("context = true\n")
        if isinstance(track.transform, Affine) and track.transform != Affine():
            lines.append(f"scale = {track.transform.scale!r}\noffset = {track.transform.offset!r}\n")
        entries.append("".join(["[[track]]\n", *lines]))
    return "\n".join(entries)


def _text(value: str) -> str:
    # JSON's strings are TOML's basic strings, but for one control character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
