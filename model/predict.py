"""Prediction: windows of the grid, computed one way only, whoever asks (DESIGN.md, principle 1)."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING

import numpy as np
import torch

from model.compute import keep_freed_memory, pick_device
from model.context import WindowCounts, window_context
from tracks.composition import MIN_KNOWN_BASES
from tracks.errors import TracksError
from tracks.grid import BIN, BINS, bins_over, input_span, window_count, windows_over
from tracks.regions import Region, merge
from tracks.trackdata import TrackData

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from model.folder import Model
    from tracks.genome import Genome
    from tracks.store import Store, WindowStore


class Predictor:
    """A model on a device with a genome. Not safe for several threads at once: give each its own.

    Windows are computed one at a time, because the same window in another batch may round otherwise.
    """

    def __init__(self, model: Model, genome: Genome, device: str = "auto", threads: int | None = None) -> None:
        keep_freed_memory()
        if threads is not None:
            torch.set_num_threads(threads)
        self.model, self.genome = model, genome
        self.device = pick_device(device)
        self._network = model.network.to(self.device)
        self._counts = WindowCounts(genome)
        self._context_tracks = np.array([track.context for track in model.tracks])

    def has_sequence(self, chrom: str, index: int) -> bool:
        """Say whether any bin of a window has enough known bases to be predicted."""
        return bool((self._counts.window(chrom, index)[:, 0] >= MIN_KNOWN_BASES).any())

    @torch.inference_mode()
    def window(self, chrom: str, index: int) -> np.ndarray:
        """Predict one grid window: float32 ``[896, tracks]`` in track units.

        NaN where a bin has fewer than 64 known bases or lies past the chromosome's end, and, for tracks with
        context, where too little of the sequence around the bin is known.
        """
        tracks = self.model.tracks
        unknown = self._counts.window(chrom, index)[:, 0] < MIN_KNOWN_BASES
        if unknown.all():
            return np.full((BINS, len(tracks)), np.nan, np.float32)
        config = self.model.network.config.context
        features, around = window_context(self._counts, chrom, index, config)
        codes = torch.from_numpy(self.genome.codes(chrom, *input_span(index)))[None].to(self.device)
        logits = self._network(codes, torch.from_numpy(features.T.copy())[None].to(self.device))
        labels = torch.sigmoid(logits)[0].T.cpu().numpy()
        values = np.stack([track.transform.inverse(labels[:, i]) for i, track in enumerate(tracks)], axis=1)
        if not np.isfinite(values).all():
            raise TracksError(f"model {self.model.folder} gave values that are no numbers on {chrom}, window {index}")
        values[unknown] = np.nan
        values[np.ix_(around < config.min_known, self._context_tracks)] = np.nan
        return values.astype(np.float32)

    def known_windows(self, store: Store, chrom: str) -> WindowStore:
        """Return the store's windows of a chromosome under this model."""
        length = self.genome.chrom_sizes[chrom]
        return store.windows(self.model.digest, self.genome.digest(chrom), length, len(self.model.tracks))


def predict_windows(
    predictor: Predictor, chrom: str, indices: Iterable[int], store: Store | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (index, values float32 ``[896, tracks]``) of grid windows: from the store where known, else computed
    and, with a store, written to it. Raises IndexError for a window outside the chromosome."""
    windows = predictor.known_windows(store, chrom) if store is not None else None
    count = window_count(predictor.genome.chrom_sizes[chrom])
    for index in indices:
        if not 0 <= index < count:
            raise IndexError(f"{chrom} has windows 0 to {count - 1}, not {index}")
        values = windows.read(index) if windows is not None else None
        if values is None:
            values = predictor.window(chrom, index)
            if windows is not None:
                windows.write(index, values)
        yield index, values


def predict(
    predictor: Predictor,
    regions: Sequence[Region],
    store: Store | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[TrackData]:
    """Predict regions, and yield one TrackData for each window piece, in the genome's order.

    Regions are joined where they touch and widened to whole bins; a bin that two of them share comes once.
    ``progress`` is told the windows done and in all.
    """
    sizes = predictor.genome.chrom_sizes
    whole_bins = [
        Region(region.chrom, bins_over(region).start * BIN, min(bins_over(region).stop * BIN, sizes[region.chrom]))
        for region in regions
    ]
    spans = {
        chrom: [(index, region) for region in regions for index in windows_over(region)]
        for chrom, regions in groupby(merge(whole_bins, sizes), key=attrgetter("chrom"))
    }
    # Small regions share windows, so each window is asked for once and cut as often as needed.
    shared = {chrom: dict.fromkeys(index for index, _ in pairs) for chrom, pairs in spans.items()}
    done, total = 0, sum(map(len, shared.values()))
    progress(done, total)
    for chrom, pairs in spans.items():
        windows = predict_windows(predictor, chrom, shared[chrom], store)
        for (index, values), (_, cuts) in zip(windows, groupby(pairs, key=itemgetter(0)), strict=True):
            for _, region in cuts:
                bins = bins_over(region)
                first, last = max(bins.start, index * BINS), min(bins.stop, (index + 1) * BINS)
                piece = Region(chrom, first * BIN, min(last * BIN, region.end))
                yield TrackData(values[first - index * BINS : last - index * BINS], piece, predictor.model.tracks)
            done += 1
            progress(done, total)
