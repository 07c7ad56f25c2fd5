"""Streamed scores against scipy on the same values kept whole."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from model.report.accumulate import BinScores, TrackLevels, specific, tracks_first
from model.report.agreement import ALL, bins_agreement, windows_agreement
from model.report.levels import TOLERANCE, fit_levels
from model.sums import pearson_of, r2_of

TRACKS, WINDOWS, BINS = 3, 40, 56
BLOCK = np.arange(WINDOWS) // 4
SPLIT = 24
"""The windows before are of chrA, the others of chrB."""


@pytest.fixture(scope="module")
def values() -> tuple[np.ndarray, list[np.ndarray]]:
    """Observed and two predictions, ``[tracks, windows, bins]``: track 0 complete, track 1 with gaps in either side,
    track 2 is never predicted by the second."""
    rng = np.random.default_rng(1)
    observed = rng.gamma(1.0, size=(TRACKS, WINDOWS, BINS)).astype(np.float32)
    predicted = [(weight * observed + rng.normal(size=observed.shape)).astype(np.float32) for weight in (0.7, 0.2)]
    observed[1][rng.random((WINDOWS, BINS)) < 0.3] = np.nan
    predicted[0][1][rng.random((WINDOWS, BINS)) < 0.1] = np.nan
    predicted[1][2] = np.nan
    return observed, predicted


def levels_of(values: tuple[np.ndarray, list[np.ndarray]]) -> list[TrackLevels]:
    observed, predicted = values
    return [
        TrackLevels(
            fit_levels(observed[t].ravel()),
            tuple(fit_levels(one[t].ravel()) if np.isfinite(one[t]).any() else None for one in predicted),
        )
        for t in range(TRACKS)
    ]


def streamed(values: tuple[np.ndarray, list[np.ndarray]], edges: list[int], threads: int = 2) -> BinScores:
    observed, predicted = values
    scores = BinScores(levels_of(values), int(BLOCK.max()) + 1, threads, [True, False])
    for chrom, (first, last) in {"chrA": (0, SPLIT), "chrB": (SPLIT, WINDOWS)}.items():
        own = [first, *(edge for edge in edges if first < edge < last), last]
        for start, stop in itertools.pairwise(own):
            part = slice(start, stop)
            scores.add(observed[:, part], [one[:, part] for one in predicted], BLOCK[part])
        scores.finish(chrom)
    return scores


def known_of(values: tuple[np.ndarray, list[np.ndarray]], track: int) -> np.ndarray:
    observed, predicted = values
    members = [one for one in predicted if np.isfinite(one[track]).any()]
    return np.isfinite(observed[track]) & np.all([np.isfinite(one[track]) for one in members], axis=0)


@pytest.mark.parametrize("track", range(TRACKS))
@pytest.mark.parametrize("chrom", [ALL, "chrA", "chrB"])
def test_every_statistic_is_that_of_the_values(
    values: tuple[np.ndarray, list[np.ndarray]], track: int, chrom: str
) -> None:
    agreement = bins_agreement(streamed(values, [5, 17, 33]))
    inside = {ALL: slice(None), "chrA": slice(0, SPLIT), "chrB": slice(SPLIT, None)}[chrom]
    known = known_of(values, track)[inside]
    blocks = np.unique(BLOCK[inside])
    assert agreement.members[track].tolist() == [True, track != 2]
    assert agreement.observed[track] == np.isfinite(values[0][track]).sum()
    for member in np.flatnonzero(agreement.members[track]):
        y = values[0][track][inside][known].astype(float)
        x = values[1][member][track][inside][known].astype(float)
        sums = agreement.values[track, member, blocks].sum(axis=0)
        assert sums[0] == known.sum() > 500
        assert pearson_of(sums) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-6)
        assert r2_of(sums) == pytest.approx(1 - ((y - x) ** 2).sum() / ((y - y.mean()) ** 2).sum(), abs=1e-5)
        exact = stats.spearmanr(x, y).statistic
        assert agreement.spearman[chrom][track, member] == pytest.approx(exact, abs=TOLERANCE)
        ranks = agreement.ranks[track, member, blocks].sum(axis=0)
        assert pearson_of(ranks) == pytest.approx(exact, abs=0.02), "levels are ranks, for the draws"


@settings(max_examples=15)
@given(st.lists(st.integers(1, WINDOWS - 1), max_size=12, unique=True).map(sorted), st.sampled_from([1, 2, 5]))
def test_how_windows_are_cut_into_chunks_does_not_matter(edges: list[int], threads: int) -> None:
    rng = np.random.default_rng(3)
    observed = rng.normal(size=(TRACKS, WINDOWS, BINS)).astype(np.float32)
    values = observed, [observed + rng.normal(size=observed.shape).astype(np.float32), 2 * observed]
    values[1][0][1, 3:9] = np.nan
    one, other = streamed(values, []), streamed(values, edges, threads)
    assert np.array_equal(one.joint, other.joint)
    assert np.array_equal(one.pictures, other.pictures)
    assert np.array_equal(one.ranks, other.ranks), "sums of whole numbers are exact"
    assert np.array_equal(one.observed, other.observed)
    np.testing.assert_allclose(one.values, other.values, rtol=1e-9, atol=1e-9)
    for chrom in one.spearman:
        np.testing.assert_array_equal(one.spearman[chrom], other.spearman[chrom])


def test_pictures_count_every_fourth_scored_bin_of_what_is_pictured(
    values: tuple[np.ndarray, list[np.ndarray]],
) -> None:
    scores = streamed(values, [])
    assert not scores.pictures[:, 1].any()
    for track in range(TRACKS):
        known = known_of(values, track)[:, ::4]
        x, y = values[1][0][track][:, ::4][known], values[0][track][:, ::4][known]
        of, observed = scores.levels[track].predicted[0], scores.levels[track].observed
        assert of is not None
        clipped = np.clip(x, of.low, of.high), np.clip(y, observed.low, observed.high)
        expected, _, _ = np.histogram2d(*clipped, bins=64, range=((of.low, of.high), (observed.low, observed.high)))
        assert scores.pictures[track, 0].sum() == known.sum()
        moved = np.abs(scores.pictures[track, 0] - expected).sum() / known.sum()
        assert moved < 0.01, "but for values on an edge, as numpy counts them"


def test_specific_takes_away_the_mean_of_the_observed_members(values: tuple[np.ndarray, list[np.ndarray]]) -> None:
    observed, (predicted, _) = values
    left, (left_predicted, nothing) = specific(observed, [predicted, None], [(0, 1)])
    assert nothing is None
    assert left_predicted is not None
    assert np.isnan(left[2]).all(), "in no group"
    rng = np.random.default_rng(2)
    seen = 0
    for _ in range(300):
        w, b = int(rng.integers(WINDOWS)), int(rng.integers(BINS))
        if np.isnan(observed[1, w, b]):
            assert np.isnan(left[:, w, b]).all(), "one track alone has nothing to differ from"
        else:
            seen += 1
            assert left[0, w, b] == pytest.approx(observed[0, w, b] - observed[:2, w, b].mean(), abs=1e-5)
            expected = predicted[1, w, b] - predicted[:2, w, b].mean()
            assert left_predicted[1, w, b] == pytest.approx(expected, abs=1e-5, nan_ok=True)
    assert seen > 100


def test_tracks_first_is_contiguous() -> None:
    turned = tracks_first(np.arange(24).reshape(2, 3, 4))
    assert turned.flags.c_contiguous
    assert turned[1].tolist() == [[1, 5, 9], [13, 17, 21]]


def test_windows_have_exact_ranks_on_each_chromosome() -> None:
    rng = np.random.default_rng(4)
    n = 90
    observed = np.round(rng.normal(size=(n, 2)), 1).astype(np.float32)
    predicted = [
        observed + np.round(rng.normal(size=(n, 2)), 1).astype(np.float32),
        np.full((n, 2), np.nan, np.float32),
    ]
    predicted[1][:, 0] = 3.0
    observed[5, 0] = predicted[0][7, 0] = np.nan
    chrom, block = np.repeat([0, 1, 2], 30), np.arange(n) // 6
    agreement = windows_agreement(observed, predicted, chrom, block, ("chrA", "chrB", "chrC"))
    assert agreement.members.tolist() == [[True, True], [True, False]]
    for name, inside in ((ALL, chrom >= 0), ("chrB", chrom == 1), ("chrA", chrom == 0)):
        known = inside & np.isfinite(observed[:, 0]) & np.isfinite(predicted[0][:, 0])
        x, y = predicted[0][known, 0], observed[known, 0]
        assert agreement.spearman[name][0, 0] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-9)
        assert np.isnan(agreement.spearman[name][0, 1]), "a constant prediction"
        sums = agreement.values[0, 0, np.unique(block[inside])].sum(axis=0)
        assert sums[0] == known.sum()
        assert pearson_of(sums) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-6)
    assert agreement.observed.tolist() == [n - 1, n]
