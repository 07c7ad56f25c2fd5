"""One fold of a label set, scored as its windows stream by. Nothing here reads a file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model.report.accumulate import BinScores, TrackLevels, specific
from model.report.agreement import Agreement, bins_agreement, windows_agreement
from model.report.chunk import groups_of, window_means
from model.report.lads import LadScores
from model.report.levels import Levels, fit_levels
from model.report.profiles import Profile, ProfilePainter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from model.report.chunk import Chunk, Named
    from model.report.lads import Domains
    from model.report.layout import Layout
    from tracks.track import Track

SAMPLE = 256
"""Windows, evenly spread over a fold, from which levels are learnt before the rest streams by."""
_SAMPLE_STEP = 4
"""Of these, every fourth bin."""


@dataclass(frozen=True, eq=False)
class Sample:
    """What the windows of a sample hold: observed float32 ``[tracks, values]`` and each prediction's likewise, the
    same after taking away the mean of a group, and the groups (indices of tracks).

    For a label set without bins, and for predictions of one value a window, the values are those of windows.
    """

    observed: np.ndarray
    predicted: tuple[np.ndarray, ...]
    specific_observed: np.ndarray
    specific_predicted: tuple[np.ndarray | None, ...]
    groups: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class FoldScores:
    """Everything that rows and figures of one fold are made from.

    ``bins`` and ``specific_bins`` are None without a label or a prediction per bin; ``bin_named`` names their
    predictions, ``named`` those of windows. ``windows_observed`` float32 ``[tracks, windows]``, ``windows_predicted``
    ``[predictions, tracks, windows]``.
    """

    layout: Layout
    tracks: tuple[Track, ...]
    named: tuple[Named, ...]
    bin_named: tuple[Named, ...]
    bins: Agreement | None
    bin_scores: BinScores | None
    specific_bins: Agreement | None
    windows: Agreement
    specific_windows: Agreement
    windows_observed: np.ndarray
    windows_predicted: np.ndarray
    lads: tuple[tuple[int, tuple[int, ...], LadScores], ...]
    profiles: tuple[Profile, ...]
    groups: tuple[tuple[int, ...], ...]


def take_sample(
    tracks: Sequence[Track],
    named: Sequence[Named],
    chunks: Sequence[Chunk],
    predicted: Sequence[Sequence[np.ndarray]],
) -> Sample:
    """Gather the sample from its chunks and the predictions of each."""
    by_bins = bool(chunks) and chunks[0].bins is not None

    def thinned(values: np.ndarray) -> np.ndarray:
        return values[:, :, ::_SAMPLE_STEP].reshape(len(values), -1)

    observed = np.concatenate(
        [thinned(chunk.bins if chunk.bins is not None else chunk.window[:, :, None]) for chunk in chunks], axis=1
    )
    others = tuple(
        np.concatenate([thinned(values[index]) for values in predicted], axis=1) for index in range(len(named))
    )
    everywhere = np.ones(len(tracks), bool)
    for one, values in zip(named, others, strict=True):
        if not one.baseline:
            everywhere &= np.isfinite(values).any(axis=1)
    groups = groups_of(tracks, everywhere & np.isfinite(observed).any(axis=1))
    of_bins = [values if by_bins and one.scope == "bins" else None for one, values in zip(named, others, strict=True)]
    left, left_predicted = specific(observed, of_bins, groups)
    return Sample(observed, others, left, tuple(left_predicted), groups)


class FoldScorer:
    """Takes in the windows of a layout in its order, and holds sums, window values and the profile being painted."""

    def __init__(
        self,
        layout: Layout,
        tracks: Sequence[Track],
        named: Sequence[Named],
        sample: Sample,
        lads: Sequence[tuple[int, Domains]] = (),
        lengths: Mapping[str, int] | None = None,
        threads: int = 2,
    ) -> None:
        self._layout, self._tracks, self._named, self._sample = layout, tuple(tracks), tuple(named), sample
        self._lengths = lengths or {}
        blocks = len(layout.block_chroms)
        self._of_bins = [index for index, one in enumerate(named) if one.scope == "bins"]
        observed = [fit_levels(values) for values in sample.observed]
        predicted = [[_levels(values) for values in one] for one in sample.predicted]
        left = [_levels(values) for values in sample.specific_observed]
        self._bins = BinScores(
            [
                TrackLevels(observed[t], tuple(predicted[index][t] for index in self._of_bins))
                for t in range(len(tracks))
            ],
            blocks,
            threads,
            [not named[index].baseline for index in self._of_bins],
        )
        left_predicted = [
            [None if one is None or left[t] is None else _levels(one[t]) for t in range(len(tracks))]
            for one in sample.specific_predicted
        ]
        self._specific = BinScores(
            [
                TrackLevels(left[t] or observed[t], tuple(left_predicted[index][t] for index in self._of_bins))
                for t in range(len(tracks))
            ],
            blocks,
            threads,
        )
        self._lads = []
        for track, domains in lads:
            scored = tuple(
                index for index, one in enumerate(named) if not one.baseline and predicted[index][track] is not None
            )
            levels = [observed[track], *(level for index in scored if (level := predicted[index][track]) is not None)]
            self._lads.append((track, scored, LadScores(domains, levels, blocks)))
        shape = (len(tracks), len(layout.rows))
        self._windows_observed = np.full(shape, np.nan, np.float32)
        self._windows_predicted = np.full((len(named), *shape), np.nan, np.float32)
        self._models = [index for index, one in enumerate(named) if not one.baseline]
        self._profiles: list[Profile] = []
        self._painter: ProfilePainter | None = None
        self._by_bins = False
        self._done = 0
        self._beside = ThreadPoolExecutor(1)

    def add(self, chunk: Chunk, predicted: Sequence[np.ndarray]) -> None:
        """Take in the next windows, and each prediction of them (``Prediction.predict``)."""
        place = slice(self._done, self._done + len(chunk.rows))
        block = self._layout.block[place]
        starts_chrom = place.start == 0 or self._layout.chrom[place.start] != self._layout.chrom[place.start - 1]
        if starts_chrom:
            self._finish_chrom()
            length = self._lengths.get(chunk.chrom, 0) or int(self._layout.starts.max() + 131_072)
            self._painter = ProfilePainter(chunk.chrom, length, len(self._tracks), 1 + len(self._models))
        # Beside the bins, for it is a fourth of the work and would leave the other cores idle.
        beside = self._beside.submit(self._add_beside, chunk, predicted, place, block)
        if chunk.bins is not None:
            self._by_bins = True
            of_bins = [predicted[index] for index in self._of_bins]
            self._bins.add(chunk.bins, of_bins, block)
            if self._sample.groups:
                left, left_predicted = specific(chunk.bins, of_bins, self._sample.groups)
                self._specific.add(left, left_predicted, block)
        beside.result()
        self._done = place.stop

    def _add_beside(self, chunk: Chunk, predicted: Sequence[np.ndarray], place: slice, block: np.ndarray) -> None:
        """Take in what is not scored bin by bin: values of windows, LADs and the profile."""
        self._windows_observed[:, place] = chunk.window
        for index, values in enumerate(predicted):
            if values.shape[2] == 1:
                self._windows_predicted[index, :, place] = values[:, :, 0]
            else:
                known = None if chunk.bins is None else np.isfinite(chunk.bins)
                self._windows_predicted[index, :, place] = window_means(values, self._tracks, known)
        observed = chunk.bins if chunk.bins is not None else chunk.window[:, :, None]
        for track, scored, scores in self._lads:
            scores.add(
                chunk.chrom, chunk.starts, [observed[track], *(predicted[index][track] for index in scored)], block
            )
        assert self._painter is not None
        self._painter.add(chunk.starts, [observed, *(predicted[index] for index in self._models)])

    def _finish_chrom(self) -> None:
        if self._painter is not None:
            profile = self._painter.profile()
            self._profiles.append(profile)
            self._bins.finish(profile.chrom)
            self._specific.finish(profile.chrom)
            self._painter = None

    def result(self) -> FoldScores:
        """Return the scores of the whole fold. Raises ValueError when windows are yet to come."""
        if self._done != len(self._layout.rows):
            raise ValueError(f"{self._done} of {len(self._layout.rows)} windows have been scored")
        self._finish_chrom()
        layout, groups = self._layout, self._sample.groups
        left, left_predicted = specific(self._windows_observed, list(self._windows_predicted), groups)

        def of_windows(observed: np.ndarray, predicted: Sequence[np.ndarray]) -> Agreement:
            flipped = [one.T for one in predicted]
            return windows_agreement(observed.T, flipped, layout.chrom, layout.block, layout.chroms)

        return FoldScores(
            layout,
            self._tracks,
            self._named,
            tuple(self._named[index] for index in self._of_bins),
            bins_agreement(self._bins) if self._by_bins and self._of_bins else None,
            self._bins if self._by_bins and self._of_bins else None,
            bins_agreement(self._specific) if self._by_bins and self._of_bins else None,
            of_windows(self._windows_observed, list(self._windows_predicted)),
            of_windows(left, [one for one in left_predicted if one is not None]),
            self._windows_observed,
            self._windows_predicted,
            tuple(self._lads),
            tuple(self._profiles),
            groups,
        )


def _levels(values: np.ndarray) -> Levels | None:
    return fit_levels(values) if np.isfinite(values).any() else None
