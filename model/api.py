"""What a notebook calls: ``tracks.predict``, ``tracks.observe`` and ``tracks.region_table``.

A model is loaded once a process, and again only when its files have changed. Calls from several threads take turns.
"""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tracks.errors import UsageError
from tracks.genome import Genome, demo_genome, demo_project
from tracks.grid import BIN, bins_over
from tracks.observed_signal import ObservedSignal
from tracks.project import load_project
from tracks.regions import NamedRegion, Region, check_chrom, parse_region, read_named_bed
from tracks.store import Store, default_store_folder
from tracks.track import select_tracks
from tracks.trackdata import TrackData

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pandas as pd

    from model.folder import Model
    from model.predict import Predictor
    from tracks.track import Track

_LOCK = threading.RLock()
_KEPT = 3
"""Models, and predictors, that stay loaded."""


def predict(
    region: str | Region,
    model: str | Path | Model | None = None,
    *,
    genome: str | Path | Genome | None = None,
    head: str | None = None,
    tracks: str | Sequence[str] | None = None,
    device: str = "auto",
    store: str | Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> TrackData:
    """Predict tracks of a region: float32 ``[bins, tracks]`` in each track's unit, of the whole 128-bp bins that touch
    it; NaN where there is no value. The same numbers as ``tracks predict`` writes.

    ``region`` is text such as ``chr20:10,000,001-10,400,000`` (1-based, both ends included) or a Region (0-based
    half-open). ``model`` is a model folder, one that is loaded, or None for the shipped one; ``genome`` a FASTA, by
    default the embedded one; ``head`` one of the model's heads, by default its first; ``tracks`` the names of some.
    Windows that were never predicted are, and kept in ``store``, by default the user's; ``progress`` is told those done
    and in all. Raises UsageError for what is not there, TracksError for what cannot be read or computed.
    """
    from model.predict import predict as predicted_pieces

    with _LOCK:
        predictor = _predictor(model, genome, head, device)
        sizes = predictor.genome.chrom_sizes
        wanted = _region(region, sizes)
        columns = _columns(predictor.model, head, tracks)
        pieces = list(predicted_pieces(predictor, [wanted], _store(store), progress))
    values = np.concatenate([piece.values[:, list(columns.values())] for piece in pieces])
    return TrackData(values, _whole_bins(wanted, sizes), tuple(columns), chrom_sizes=sizes)


def observe(
    region: str | Region,
    project: str | Path | None = None,
    *,
    genome: str | Path | Genome | None = None,
    tracks: str | Sequence[str] | None = None,
) -> TrackData:
    """Return the observed tracks of a region: float32 ``[bins, tracks]``, the mean of the covered bases of each whole
    128-bp bin that touches it; NaN where there is none.

    ``project`` is a tracks.toml, by default that of the embedded data, and ``genome`` takes the place of its genome.
    Tracks that have no bigWig are left out. Raises as ``predict``.
    """
    opened = load_project(Path(project) if project is not None else demo_project())
    sizes = _genome(genome or opened.genome).chrom_sizes
    wanted = _whole_bins(_region(region, sizes), sizes)
    files = {entry.track: entry.observed for entry in opened.targets() if entry.observed is not None}
    chosen = select_tracks(tuple(files), _names(tracks)) if tracks else tuple(files)
    if not chosen:
        raise UsageError(f"{project or 'the embedded project'} has no observed track")
    values = np.stack([ObservedSignal(files[track], sizes).bins(wanted) for track in chosen], axis=1)
    return TrackData(values, wanted, chosen, chrom_sizes=sizes)


def region_table(
    bed: str | Path | None = None,
    model: str | Path | Model | None = None,
    *,
    regions: str | Sequence[str | Region | NamedRegion] = (),
    project: str | Path | None = None,
    genome: str | Path | Genome | None = None,
    head: str | None = None,
    tracks: str | Sequence[str] | None = None,
    known_only: bool = False,
    device: str = "auto",
    store: str | Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> pd.DataFrame:
    """Return observed and predicted numbers of regions, a row for each region and track: what ``tracks table`` writes.

    Columns: ``tracks.table.COLUMNS``; ``start`` and ``end`` int64, 0-based half-open; means, maxima and coverages
    float32, NaN where there is none. ``bed`` is a BED file, ``regions`` are others, which come first. ``project``,
    by default that of the embedded data, names genome, model and bigWigs; with ``genome`` alone nothing is observed.
    With ``known_only`` nothing is computed: what the store lacks is missing. The other parameters, and what is raised,
    are those of ``predict``.
    """
    import pandas as pd

    from model.region_table import RegionTable
    from tracks.table import COLUMNS

    if bed is None and not regions:
        raise UsageError("there are no regions; give a BED file, or regions=['chr20:10,000,000-10,400,000']")
    observed = project is not None or genome is None
    opened = load_project(Path(project) if project is not None else demo_project()) if observed else None
    entries = opened.targets() if opened is not None else ()
    folder = model if model is not None or opened is None else opened.model
    with _LOCK:
        predictor = _predictor(folder, genome or (opened.genome if opened is not None else None), head, device)
        sizes = predictor.genome.chrom_sizes
        asked = [regions] if isinstance(regions, str) else regions
        given = [row if isinstance(row, NamedRegion) else NamedRegion(_region(row, sizes)) for row in asked]
        given += read_named_bed(Path(bed), sizes) if bed is not None else ()
        table = RegionTable(predictor, _store(store), entries, _names(tracks), known_only)
        table.compute((row.region for row in given), progress)
        parts = list(table.rows(given))
    return pd.concat([pd.DataFrame({name: part.column(name) for name in COLUMNS}) for part in parts], ignore_index=True)


@dataclass(frozen=True)
class _Files:
    """Files as they are now: a model folder's, or a FASTA with its index."""

    path: Path
    heads: tuple[str, ...]
    state: tuple[tuple[str, int, int], ...]


def _files(path: Path, found: Iterator[Path], heads: tuple[str, ...] = ()) -> _Files:
    stats = ((str(file), file.stat()) for file in sorted(found) if file.is_file())
    return _Files(path, heads, tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats))


@functools.lru_cache(_KEPT)
def _load_model(files: _Files) -> Model:
    from model.folder import load_model

    return load_model(files.path, files.heads)


@functools.lru_cache(_KEPT)
def _open_genome(files: _Files) -> Genome:
    return Genome(files.path)


@functools.lru_cache(_KEPT)
def _make_predictor(model: Model, genome: Genome, device: str) -> Predictor:
    from model.predict import Predictor

    return Predictor(model, genome, device)


def _predictor(
    model: str | Path | Model | None, genome: str | Path | Genome | None, head: str | None, device: str
) -> Predictor:
    if model is None:
        from model.folder import demo_model_folder

        model = demo_model_folder()
    if isinstance(model, str | Path):
        folder = Path(model).absolute()
        model = _load_model(_files(folder, folder.rglob("*"), (head,) if head is not None else ()))
    return _make_predictor(model, _genome(genome), device)


def _genome(genome: str | Path | Genome | None) -> Genome:
    if isinstance(genome, Genome):
        return genome
    path = Path(genome if genome is not None else demo_genome()).absolute()
    return _open_genome(_files(path, iter([path])))


def _store(store: str | Path | None) -> Store:
    return Store(Path(store) if store is not None else default_store_folder())


def _names(tracks: str | Sequence[str] | None) -> tuple[str, ...]:
    if tracks is None:
        return ()
    return (tracks,) if isinstance(tracks, str) else tuple(tracks)


def _region(region: str | Region, chrom_sizes: Mapping[str, int]) -> Region:
    if isinstance(region, str):
        return parse_region(region, chrom_sizes)
    if not isinstance(region, Region):
        raise UsageError(f"a region is text such as chr20:10,000,001-10,400,000, or a Region, and not {region!r}")
    check_chrom(region.chrom, chrom_sizes, f"region {region}")
    if region.end > chrom_sizes[region.chrom]:
        length = chrom_sizes[region.chrom]
        raise UsageError(f"region {region} reaches past the end of {region.chrom}, which has {length:,} bases")
    return region


def _whole_bins(region: Region, chrom_sizes: Mapping[str, int]) -> Region:
    bins = bins_over(region)
    return Region(region.chrom, bins.start * BIN, min(bins.stop * BIN, chrom_sizes[region.chrom]))


def _columns(model: Model, head: str | None, names: str | Sequence[str] | None) -> dict[Track, int]:
    """The columns of the tracks that are wanted, of one head of a model, or of all that it was loaded with."""
    own: dict[Track, int] = {}
    tracks = iter(enumerate(model.tracks))
    for spec in model.heads:
        columns = [next(tracks) for _ in spec.tracks]
        if head is None or spec.name == head:
            own |= {track: column for column, track in columns}
    if not own:
        raise UsageError(
            f"model '{model.name}' has no head '{head}' here; it has {', '.join(spec.name for spec in model.heads)}"
        )
    chosen = select_tracks(tuple(own), _names(names)) if names else tuple(own)
    return {track: own[track] for track in chosen}
