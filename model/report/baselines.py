"""Predictions that know no model: what base composition says, what the other biosamples say, and a replicate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model.baselines import Sample, features, fit_baselines
from model.context import chromosome_counts
from model.report.chunk import Named, groups_of
from tracks.grid import BIN, BINS, FLANK
from tracks.labels import values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from model.baselines import Baseline
    from model.report.chunk import Chunk
    from model.report.layout import Layout
    from tracks.genome import Genome
    from tracks.labels import LabelSet
    from tracks.track import Track
    from tracks.windows import Scope

FIT_WINDOWS = 1_000
"""Training windows, evenly spread, that composition is fitted on; a fifth of that many choose the ridge's penalty."""
_FIT_STEP = 8
"""Of these, every eighth bin: neighbours are alike."""

COMPOSITION = ("GC", "CpG density", "ridge")


class OthersMean:
    """The mean of what the other biosamples' tracks of the same assay and unit show at the same place: what sets a
    biosample apart is not in it."""

    def __init__(self, tracks: Sequence[Track], scope: Scope) -> None:
        self.named = Named("other biosamples", "", scope, True)
        self._groups = [list(group) for group in groups_of(tracks, np.ones(len(tracks), bool))]

    @property
    def any(self) -> bool:
        """Whether there is a track with others."""
        return bool(self._groups)

    def predict(self, chunk: Chunk) -> np.ndarray:
        """Return float32 ``[tracks, n, bins]``; NaN for a track without others."""
        observed = chunk.bins if chunk.bins is not None else chunk.window[:, :, None]
        means = np.full_like(observed, np.nan)
        for group in self._groups:
            own = observed[group]
            known = np.isfinite(own)
            if known.all():
                means[group] = (own.sum(axis=0) - own) / np.float32(len(group) - 1)
            else:
                filled = np.where(known, own, 0)
                count = known.sum(axis=0, dtype=np.float32) - known
                means[group] = (filled.sum(axis=0) - filled) / np.where(count > 0, count, np.nan)
        return means


class BinFeatures:
    """Composition of the bins of windows, at several widths (``model.baselines.features``). It holds one chromosome
    at a time; a bin off the grid has the composition of the grid bin that holds its middle."""

    def __init__(self, genome: Genome, report: Callable[[str], None] = lambda message: None) -> None:
        self._genome, self._report = genome, report
        self._chrom, self._features = "", np.empty((0, 0), np.float32)

    def of(self, chrom: str, starts: np.ndarray) -> np.ndarray:
        """Return float32 ``[n, 896, features]`` for windows whose inputs start at ``starts`` ``[n]``."""
        if chrom != self._chrom:
            self._report(f"reading the sequence of {chrom}")
            self._chrom, self._features = chrom, features(chromosome_counts(self._genome, chrom))
        first = (starts + FLANK + BIN // 2) // BIN
        place = np.clip(first[:, None] + np.arange(BINS), 0, len(self._features) - 1)
        return self._features[place]


class Composition:
    """One baseline of base composition, for each track fitted on training windows and scaled to the track's unit."""

    def __init__(
        self, name: str, baselines: Sequence[Baseline | None], scales: np.ndarray, bin_features: BinFeatures
    ) -> None:
        self.named = Named(name, "", "bins", True)
        self._baselines, self._scales, self._features = tuple(baselines), scales, bin_features

    @property
    def details(self) -> tuple[str, ...]:
        """How it was fitted, for each track; empty where it could not be."""
        return tuple(baseline.detail if baseline else "" for baseline in self._baselines)

    def predict(self, chunk: Chunk) -> np.ndarray:
        """Return float32 ``[tracks, n, 896]``; NaN for a track that training windows do not show."""
        found = self._features.of(chunk.chrom, chunk.starts)
        flat = found.reshape(-1, found.shape[2])
        predicted = np.full((len(self._baselines), len(chunk.rows), BINS), np.nan, np.float32)
        for track, baseline in enumerate(self._baselines):
            if baseline is not None:
                slope, offset = self._scales[track]
                predicted[track] = (offset + slope * baseline.predict(flat)).reshape(-1, BINS)
        return predicted


def fit_composition(
    labels: LabelSet,
    tracks: Sequence[Track],
    columns: Sequence[int],
    genome: Genome,
    train: Layout,
    valid: Layout,
    report: Callable[[str], None] = lambda message: None,
) -> tuple[Composition, ...]:
    """Fit GC, CpG density and ridge regression on a sample of a label set's training windows; ``columns`` are the
    tracks' places in it. Its valid windows choose the ridge's penalty."""
    shared = BinFeatures(genome, report)

    def gathered(layout: Layout, most: int) -> list[tuple[str, np.ndarray, np.ndarray]]:
        """Composition ``[n, features]`` and observed ``[n, tracks]`` of a sample of windows, by chromosome."""
        places = layout.sample(most) if len(layout.rows) else np.empty(0, np.int64)
        found = []
        for index, chrom in enumerate(layout.chroms):
            own = places[layout.chrom[places] == index]
            if len(own):
                x = shared.of(chrom, layout.starts[own])[:, ::_FIT_STEP]
                observed = values(labels, layout.rows[own], "bins")[:, ::_FIT_STEP][:, :, list(columns)]
                found.append((chrom, x.reshape(-1, x.shape[2]), observed.reshape(-1, len(columns))))
        return found

    fitting, choosing = gathered(train, FIT_WINDOWS), gathered(valid, FIT_WINDOWS // 5)
    fitted: list[dict[str, Baseline]] = []
    scales = np.ones((len(COMPOSITION), len(tracks), 2))
    for track in range(len(tracks)):
        x = np.concatenate([x for _, x, _ in fitting])
        y = np.concatenate([observed[:, track] for _, _, observed in fitting])
        kept = np.isfinite(y)
        if not kept.any() or np.ptp(y[kept]) == 0:
            fitted.append({})
            continue
        sample = Sample(x[kept], y[kept].astype(np.float64), np.ones(int(kept.sum())))
        others = []
        for _, own, observed in choosing:
            seen = np.isfinite(observed[:, track])
            if seen.any():
                others.append(Sample(own[seen], observed[seen, track].astype(np.float64), np.ones(int(seen.sum()))))
        by_name = {baseline.name: baseline for baseline in fit_baselines(sample, others)}
        fitted.append(by_name)
        for index, name in enumerate(COMPOSITION):
            scales[index, track] = _line(by_name[name].predict(sample.features), sample.observed)
    return tuple(
        Composition(name, [by_name.get(name) for by_name in fitted], scales[index], shared)
        for index, name in enumerate(COMPOSITION)
    )


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return slope and offset of the least-squares line."""
    spread = np.var(x)
    slope = float(np.mean((x - x.mean()) * (y - y.mean())) / spread) if spread > 0 else 0.0
    return slope, float(y.mean() - slope * x.mean())


def training_means(labels: LabelSet, scope: Scope, layout: Layout, columns: Sequence[int]) -> np.ndarray:
    """Return each track's mean over a sample of a layout's windows, float64 ``[tracks]``; NaN where never observed."""
    places = layout.sample(FIT_WINDOWS)
    total, count = np.zeros(len(columns)), np.zeros(len(columns))
    for start in range(0, len(places), 32):
        found = values(labels, layout.rows[places[start : start + 32]], scope)[:, :, list(columns)]
        known = np.isfinite(found)
        total += np.where(known, found, 0).sum(axis=(0, 1), dtype=np.float64)
        count += known.sum(axis=(0, 1))
    return total / np.where(count > 0, count, np.nan)
