"""Agreement of predictions with the observed tracks: what rows and figures are made from, at either resolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

from model.sums import SUMS, pearson_of, window_sums

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from model.report.accumulate import BinScores

ALL = "all"
"""The name of all chromosomes together, in tables."""


@dataclass(frozen=True, eq=False)
class Agreement:
    """Sums per block, and Spearman's rho by chromosome (and ``"all"``), of each track and prediction.

    ``values``, ``ranks`` float64 ``[tracks, predictions, blocks, 6]``, values counted from ``centres`` ``[tracks]``;
    ``spearman`` float64 ``[tracks, predictions]`` each; ``members`` bool ``[tracks, predictions]``: which predictions
    there are; ``observed`` int64 ``[tracks]``: bins or windows that are observed, scored or not.
    """

    values: np.ndarray
    ranks: np.ndarray
    spearman: Mapping[str, np.ndarray]
    members: np.ndarray
    centres: np.ndarray
    observed: np.ndarray


def bins_agreement(scores: BinScores) -> Agreement:
    """Return what has streamed through bin scores."""
    spearman = {ALL: scores.spearman_of_all(), **scores.spearman}
    return Agreement(scores.values, scores.ranks, spearman, scores.members, scores.centres, scores.observed)


def windows_agreement(
    observed: np.ndarray, predicted: Sequence[np.ndarray], chrom: np.ndarray, block: np.ndarray, names: Sequence[str]
) -> Agreement:
    """Return the agreement window by window, with exact ranks: observed and each prediction float32
    ``[windows, tracks]`` (NaN: none), each window's chromosome (an index of ``names``) and block ``[windows]``.

    A window counts for a track when the observed and every prediction that has a value anywhere have one there.
    """
    tracks, blocks = observed.shape[1], int(block.max(initial=-1)) + 1
    members = np.array([np.isfinite(one).any(axis=0) for one in predicted], bool).reshape(-1, tracks).T
    values = np.zeros((tracks, len(predicted), blocks, SUMS))
    ranks = np.zeros_like(values)
    spearman = {name: np.full(members.shape, np.nan) for name in (ALL, *names)}
    centres = np.zeros(tracks)
    for track in range(tracks):
        known = np.isfinite(observed[:, track])
        own_members = [int(member) for member in np.flatnonzero(members[track])]
        for member in own_members:
            known &= np.isfinite(predicted[member][:, track])
        if not known.any():
            continue
        y, at = observed[known, track].astype(np.float64), block[known]
        centres[track] = y.mean()
        y_rank = _centred_ranks(y)
        for member in own_members:
            x = predicted[member][known, track].astype(np.float64)
            x_rank = _centred_ranks(x)
            np.add.at(values[track, member], at, _each(x - centres[track], y - centres[track]))
            np.add.at(ranks[track, member], at, _each(x_rank, y_rank))
            spearman[ALL][track, member] = pearson_of(_each(x_rank, y_rank).sum(axis=0))
            for index, name in enumerate(names):
                here = chrom[known] == index
                if here.any():
                    own = _each(_centred_ranks(x[here]), _centred_ranks(y[here]))
                    spearman[name][track, member] = pearson_of(own.sum(axis=0))
    return Agreement(values, ranks, spearman, members, centres, np.isfinite(observed).sum(axis=0))


def _each(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return window_sums(x[:, None], y[:, None])


def _centred_ranks(values: np.ndarray) -> np.ndarray:
    ranks: np.ndarray = rankdata(values) - (len(values) + 1) / 2
    return ranks
