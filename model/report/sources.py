"""Where predictions come from: model folders, and HDF5 files of the published layout."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from model.folder import head_names, load_model
from model.predict import Predictor, predict_windows
from model.report.accumulate import tracks_first
from model.report.chunk import Named
from model.report.fold import SAMPLE
from tracks.catalogue import published_tracks
from tracks.errors import UsageError
from tracks.grid import FLANK, WINDOW
from tracks.labels import values
from tracks.regions import check_chrom
from tracks.track import values_of
from tracks.window_files import DATASETS, WindowFile
from tracks.windows import overlaps_with_training

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from model.folder import Model
    from model.report.chunk import Chunk
    from model.report.layout import Layout
    from tracks.genome import Genome
    from tracks.labels import LabelSet
    from tracks.store import Store
    from tracks.track import Track
    from tracks.windows import Scope, WindowRow


@dataclass(frozen=True, eq=False)
class Source:
    """Something that predicts tracks of its own: ``read`` gives values in their units, float32
    ``[n, 896 or 1, tracks]``, for the windows of a chunk."""

    named: Named
    tracks: tuple[Track, ...]
    read: Callable[[Chunk], np.ndarray]


class Matched:
    """A source as a prediction of given tracks, matched by name."""

    def __init__(self, source: Source, tracks: Sequence[Track]) -> None:
        self.named, self._source = source.named, source
        there = {track.slug: index for index, track in enumerate(source.tracks)}
        self._columns = [there.get(track.slug) for track in tracks]

    def predict(self, chunk: Chunk) -> np.ndarray:
        """Return values in track units, float32 ``[tracks, n, 896 or 1]``; NaN for a track that it has not."""
        found = self._source.read(chunk)
        if self._columns != list(range(found.shape[2])):
            taken = np.full((*found.shape[:2], len(self._columns)), np.nan, np.float32)
            for index, column in enumerate(self._columns):
                if column is not None:
                    taken[:, :, index] = found[:, :, column]
            found = taken
        return tracks_first(found)


def file_sources(path: Path, rows: int) -> list[Source]:
    """Open an HDF5 file of predicted labels, a row a window: one source for each dataset.

    Raises UsageError for another number of rows than ``rows``, and for tracks that are not known.
    """
    file = WindowFile(path, rows)
    if not file.scopes:
        raise UsageError(f"{path} holds embeddings, not predictions (128bp_bins or single_bin)")
    sources = []
    for scope in file.scopes:
        tracks = file.tracks(scope) or published_tracks(scope)
        if len(tracks) != file.track_count(scope):
            raise UsageError(
                f"{path} predicts {file.track_count(scope)} tracks and does not say which: the published files have "
                f"{len(tracks)}, and files of tracks predict --windows name theirs"
            )
        read = partial(_read_file, file, scope, tracks)
        # The two datasets of one file are told apart as two heads of a model are.
        head = DATASETS[scope] if len(file.scopes) > 1 else ""
        sources.append(Source(Named(path.stem, head, scope, False), tracks, read))
    return sources


def _read_file(file: WindowFile, scope: Scope, tracks: Sequence[Track], chunk: Chunk) -> np.ndarray:
    return values_of(file.read(chunk.rows, scope), tracks)


def label_source(labels: LabelSet, name: str) -> Source:
    """Take a label set for a prediction, as a baseline of that name: a replicate."""
    scope = labels.scopes[0]
    return Source(Named(name, "", scope, True), labels.tracks(scope), lambda chunk: values(labels, chunk.rows, scope))


_RECENT = 64
"""Windows that are kept for the next head of the same model."""


class ModelWindows:
    """The windows of a model folder's heads, each computed once for all heads.

    Windows on the grid go through the prediction store. The first ones asked for are kept in memory, because the
    sample that levels are learnt from comes again.
    """

    def __init__(self, model: Model, genome: Genome, device: str, store: Store | None) -> None:
        self.model = model
        self._predictor = Predictor(model, genome, device)
        self._store = store
        self._sample: dict[tuple[str, int], dict[str, np.ndarray]] = {}
        self._recent: OrderedDict[tuple[str, int], dict[str, np.ndarray]] = OrderedDict()

    def window(self, chrom: str, start: int) -> dict[str, np.ndarray]:
        """Return each head's values in track units for the input that starts at ``start``: float32
        ``[896 or 1, tracks]``."""
        key = (chrom, start)
        found = self._sample.get(key) or self._recent.get(key)
        if found is None:
            index, off_grid = divmod(start + FLANK, WINDOW)
            found = self._off_grid(chrom, start) if off_grid else self._on_grid(chrom, index)
            if len(self._sample) < SAMPLE:
                self._sample[key] = found
            else:
                self._recent[key] = found
                if len(self._recent) > _RECENT:
                    self._recent.popitem(last=False)
        return found

    def _on_grid(self, chrom: str, index: int) -> dict[str, np.ndarray]:
        ((_, values),) = predict_windows(self._predictor, chrom, [index], self._store)
        found, first = {}, 0
        for spec in self.model.heads:
            own = values[:, first : first + len(spec.tracks)]
            # A head of scope window repeats its value over the bins that have sequence.
            found[spec.name] = own if spec.scope == "bins" else _first_known(own)
            first += len(spec.tracks)
        return found

    def _off_grid(self, chrom: str, start: int) -> dict[str, np.ndarray]:
        labels = self._predictor.labels(chrom, start)
        return {spec.name: values_of(labels[spec.name], spec.tracks) for spec in self.model.heads}


def _first_known(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    first = known.argmax(axis=0)
    return np.take_along_axis(values, first[None], axis=0)


def model_sources(
    folder: Path, heads: Sequence[str], genome: Genome, device: str, store: Store | None
) -> tuple[Model, list[Source]]:
    """Open a model folder and its heads, those named or all of them: one source for each."""
    model = load_model(folder, heads or head_names(folder))
    windows = ModelWindows(model, genome, device, store)
    return model, [
        Source(Named(model.name, spec.name, spec.scope, False), spec.tracks, partial(_read_head, windows, spec.name))
        for spec in model.heads
    ]


def _read_head(windows: ModelWindows, head: str, chunk: Chunk) -> np.ndarray:
    return np.stack([windows.window(chunk.chrom, int(start))[head] for start in chunk.starts])


def check_held_out(model: Model, windows: Sequence[WindowRow], layout: Layout) -> None:
    """Raise UsageError when a model saw a window's sequence in training; nothing to check without a split."""
    for window, (start, end) in overlaps_with_training((windows[row] for row in layout.rows), model.split):
        raise UsageError(
            f"the {layout.fold} window {window.chrom}:{window.start + 1:,}-{window.end:,} is not held out: "
            f"model '{model.name}' was trained on {window.chrom}:{start + 1:,}-{end:,} "
            f"({model.folder / 'split.bed'}); evaluate it on windows of its own split, or name --fold train"
        )


def check_genome(genome: Genome, windows: Sequence[WindowRow], rows: np.ndarray) -> None:
    """Raise UsageError when windows leave the genome, which is then of another assembly."""
    for row in rows:
        window = windows[row]
        check_chrom(window.chrom, genome.chrom_sizes, f"window {row + 1} of the labels")
        length = genome.chrom_sizes[window.chrom]
        if window.bins_region.start >= length:
            raise UsageError(
                f"window {row + 1} of the labels, {window.chrom}:{window.start + 1:,}-{window.end:,}, lies outside "
                f"{genome.path}, whose {window.chrom} has {length:,} bases: the labels are of another genome"
            )
