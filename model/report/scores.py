"""From sums per block to figures with 95 % intervals: each prediction, each chromosome, each paired difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model.metrics import Estimate, draw_weights, estimate
from model.report.agreement import ALL
from model.report.chunk import Named
from model.report.table import Row
from model.sums import constant_sums, drawn_sums, pearson_of, r2_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from model.report.agreement import Agreement

BLOCK = 1_000_000
"""Bases in one bootstrap block: LADs are domains of 0.5 to 2 Mb."""
DRAWS = 2_000
SEED = 1
METRICS = ("pearson", "spearman", "r2")


@dataclass(frozen=True)
class Where:
    """What rows of one agreement share. ``prefix`` goes before a metric's name; ``chroms`` holds each block's
    chromosome."""

    fold: str
    resolution: int
    tracks: tuple[str, ...]
    chroms: tuple[str, ...]
    prefix: str = ""


TRACK_MEAN = Named("track mean", "", "window", True)
"""Each track's mean over the training windows: what knowing nothing of the sequence gives."""


def rows_of(
    agreement: Agreement,
    named: Sequence[Named],
    where: Where,
    means: np.ndarray | None = None,
    each_chrom: bool = True,
) -> Iterator[Row]:
    """Yield the rows of an agreement: every metric of every track and prediction on all chromosomes (with paired
    differences of models to each other and to the baselines) and, with ``each_chrom``, on each apart.

    ``means`` float64 ``[tracks]`` adds the prediction of each track's mean. All of one place are drawn alike.
    """
    for chrom in (ALL, *dict.fromkeys(where.chroms)) if each_chrom else (ALL,):
        inside = np.array([chrom in (ALL, own) for own in where.chroms], bool)
        weights = draw_weights(int(inside.sum()), DRAWS, SEED)
        for track in range(len(where.tracks)):
            yield from _track_rows(agreement, named, where, means, chrom, inside, weights, track)


def _track_rows(
    agreement: Agreement,
    named: Sequence[Named],
    where: Where,
    means: np.ndarray | None,
    chrom: str,
    inside: np.ndarray,
    weights: np.ndarray,
    track: int,
) -> Iterator[Row]:
    members = [int(member) for member in np.flatnonzero(agreement.members[track])]
    if not members:
        return
    sums = agreement.values[track, :, inside].swapaxes(0, 1)
    n = int(sums[members[0], :, 0].sum())
    blocks = int((sums[members[0], :, 0] > 0).sum())
    if not n and chrom != ALL:
        return
    drawn = drawn_sums(sums, weights)
    ranks = pearson_of(drawn_sums(agreement.ranks[track, :, inside].swapaxes(0, 1), weights))
    # The ranks of a draw are levels, or those of all chromosomes: they tell how rho varies, not where it lies.
    rho = agreement.spearman[chrom][track]
    values = {
        "pearson": pearson_of(drawn),
        "spearman": ranks - ranks[:, :1] + rho[:, None],
        "r2": r2_of(drawn),
    }
    centre = agreement.centres[track]

    def row(one: Named, metric: str, found: Estimate, versus: str = "") -> Row:
        return Row(
            one.model,
            one.head,
            one.scope,
            where.tracks[track],
            where.fold,
            chrom,
            where.resolution,
            where.prefix + metric,
            versus,
            found.value,
            found.low,
            found.high,
            one.baseline,
            n,
            blocks,
            found.reason,
        )

    nothing = ""
    if not n:
        seen = agreement.observed[track]
        nothing = "observed nowhere where everything is predicted" if seen else "not observed in this fold"
    observed_constant = "the observed track is constant" if np.isnan(values["r2"][members[0], 0]) else ""
    for metric in METRICS:
        for member in members:
            constant = "" if metric == "r2" else "the prediction is constant"
            reason = nothing or observed_constant or constant
            yield row(named[member], metric, estimate(values[metric][member], blocks, reason))
            if chrom != ALL or named[member].baseline:
                continue
            for other in members:
                # Each pair of models once; every model to every baseline.
                if named[other].baseline or other > member:
                    difference = values[metric][member] - values[metric][other]
                    found = estimate(difference, blocks, reason or "not defined for one of the two")
                    yield row(named[member], metric, found, named[other].label)
        if means is not None and np.isfinite(means[track]):
            mean_sums = constant_sums(drawn[members[0]], means[track] - centre)
            found = estimate(r2_of(mean_sums), blocks, nothing or observed_constant)
            if metric != "r2":
                found = Estimate(None, reason=nothing or observed_constant or "the prediction is constant")
            yield row(TRACK_MEAN, metric, found)
            if metric != "r2" or chrom != ALL:
                continue
            for member in members:
                if not named[member].baseline:
                    difference = values["r2"][member] - r2_of(mean_sums)
                    yield row(
                        named[member], metric, estimate(difference, blocks, nothing or observed_constant), "track mean"
                    )
