"""The correlation pooled over tracks, for comparison with papers that print it: never without the mean-predictor's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

from model.metrics import draw_weights, estimate
from model.report.agreement import ALL
from model.report.scores import DRAWS, SEED, TRACK_MEAN
from model.report.table import POOLED, Row
from model.sums import pearson_of, window_sums
from tracks.grid import WINDOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from model.report.fold import FoldScores


def pooled_rows(scores: FoldScores, means: np.ndarray) -> Iterator[Row]:
    """Yield Pearson and Spearman of all tracks' window values thrown together, on the scale of the labels, of each
    model and of the prediction that is each track's training mean ``[tracks]``.

    Tracks differ more from each other than places do, so that the mean-predictor alone scores high: what a model
    adds is the difference (facts/models.md section 0, item 4). Only windows with a value in every track count.
    """
    models = [index for index, one in enumerate(scores.named) if not one.baseline]
    for index in models:
        own = [t for t in range(len(scores.tracks)) if np.isfinite(scores.windows_predicted[index][t]).any()]
        own = [t for t in own if np.isfinite(scores.windows_observed[t]).any() and np.isfinite(means[t])]
        if len(own) < 2:
            continue
        observed, predicted = scores.windows_observed[own], scores.windows_predicted[index][own]
        known = (np.isfinite(observed) & np.isfinite(predicted)).all(axis=0)
        if not known.any():
            continue
        block = scores.layout.block[known]
        mean = np.repeat(means[own, None], known.sum(), axis=1)

        def labels(values: np.ndarray, own: list[int] = own) -> np.ndarray:
            transforms = [scores.tracks[t].transform for t in own]
            return np.stack([one.forward(v.astype(np.float64)) for one, v in zip(transforms, values, strict=True)])

        y = labels(observed[:, known])
        blocks, place = np.unique(block, return_inverse=True)
        weights = draw_weights(len(blocks), DRAWS, SEED)
        where = f"{POOLED} ({len(own)})"
        for named, values in ((scores.named[index], predicted[:, known]), (TRACK_MEAN, mean)):
            x = labels(values)
            for metric, of in (("pearson", lambda v: v - v.mean()), ("spearman", _ranks)):
                each = window_sums(of(x).T, of(y).T)
                sums = np.zeros((len(blocks), each.shape[1]))
                np.add.at(sums, place, each)
                found = estimate(pearson_of(weights @ sums), len(blocks), "one side is constant")
                yield Row(
                    named.model, named.head, named.scope, where, scores.layout.fold, ALL, WINDOW,
                    f"pooled {metric}", "", found.value, found.low, found.high, named.baseline, int(x.size),
                    len(blocks), found.reason,
                )  # fmt: skip


def _ranks(values: np.ndarray) -> np.ndarray:
    ranks: np.ndarray = rankdata(values).reshape(values.shape) - (values.size + 1) / 2
    return ranks
