"""Tracks of Basenji2's dense head, from the table of its training targets (facts/cs282a.md section 1.7)."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from tracks.errors import TracksError, UsageError
from tracks.track import Track, slug_of
from tracks.transform import Affine

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_COLUMNS = ("identifier", "clip", "scale", "sum_stat", "description")
_ASSAYS = {
    "DNASE": ("DNase-seq", "#1b6ca8"),
    "ATAC": ("ATAC-seq", "#3690c0"),
    "CHIP": ("ChIP-seq", "#7570b3"),
    "CAGE": ("CAGE", "#d95f02"),
}
_OTHER_COLOR = "#666666"


def generic_tracks(count: int) -> tuple[Track, ...]:
    """Return tracks for a head that nothing says more of than how many outputs it has."""
    return tuple(Track(f"target {index}", "unknown", "unknown", "label", _OTHER_COLOR) for index in range(count))


def read_targets(path: Path, count: int) -> tuple[Track, ...]:
    """Read a Basenji targets table (tab-separated, with a header) into the tracks of a head of ``count`` outputs.

    The labels of a target are its coverage in 128 bp, summed or averaged (``sum_stat``), at most ``clip``, times
    ``scale``; so a track's transform is that scale. Raises UsageError that names the line for what is no such table,
    and for one of another length.
    """
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", strict=True))
    except OSError as error:
        raise UsageError(f"cannot read the targets {path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} is not a table of targets: expected tab-separated text ({error})") from error
    missing = [name for name in _COLUMNS if rows and name not in rows[0]]
    if not rows or missing:
        lacks = f"it has no column {missing[0]}" if missing else "it has no rows"
        raise UsageError(f"{path} is not a table of targets: {lacks}; expected the columns {', '.join(_COLUMNS)}")
    if len(rows) != count:
        raise UsageError(f"{path} has {len(rows):,} targets, and the head has {count:,}")
    tracks = tuple(_track(row, f"{path}, line {line}") for line, row in enumerate(rows, 2))
    seen: dict[str, int] = {}
    for line, track in enumerate(tracks, 2):
        if track.slug in seen:
            raise UsageError(f"{path}, line {line}: target '{track.name}' is on line {seen[track.slug]} already")
        seen[track.slug] = line
    return tracks


def _track(row: Mapping[str, str | None], where: str) -> Track:
    description, identifier = row["description"], row["identifier"]
    try:
        clip, scale = float(row["clip"] or ""), float(row["scale"] or "")
    except ValueError:
        raise UsageError(f"{where}: clip and scale should be numbers, found {row['clip']} and {row['scale']}") from None
    if not description or not identifier or not slug_of(identifier) or row["sum_stat"] not in ("sum", "mean"):
        raise UsageError(f"{where}: expected an identifier, a description, and sum or mean as sum_stat")
    kind, _, sample = description.partition(":")
    assay, color = _ASSAYS.get(kind, (kind, _OTHER_COLOR))
    target, colon, cells = sample.rpartition(":")
    try:
        return Track(
            # Many descriptions are those of several experiments; the identifier tells them apart.
            name=f"{description} ({identifier})",
            assay=f"{assay} of {target}" if colon and target else assay,
            biosample=cells or sample or "unknown",
            unit="summed coverage per 128 bp" if row["sum_stat"] == "sum" else "mean coverage",
            color=color,
            description=f"clipped at {clip:g} in training",
            source="Basenji2 targets (Kelley 2020)",
            accession=identifier,
            transform=Affine(scale),
        )
    except TracksError as error:
        raise UsageError(f"{where}: {error}") from None
