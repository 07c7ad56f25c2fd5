"""Rows of scores against the same sums worked out directly."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from scipy import stats

from model.metrics import draw_weights
from model.report.agreement import ALL, windows_agreement
from model.report.chunk import Named
from model.report.scores import DRAWS, SEED, TRACK_MEAN, Where, rows_of
from model.report.table import Row, table_text

A, B = Named("a", "bins", "bins", False), Named("b", "", "window", False)
GC = Named("GC", "", "bins", True)
N = 120


@pytest.fixture(scope="module")
def values() -> tuple[np.ndarray, list[np.ndarray]]:
    """Three tracks: one like any, one observed constant, one never observed."""
    rng = np.random.default_rng(6)
    observed = rng.normal(size=(N, 3)).astype(np.float32)
    predicted = [w * observed + rng.normal(size=observed.shape).astype(np.float32) for w in (1.0, 0.6, 0.2)]
    observed[:, 1] = 0.25
    observed[:, 2] = np.nan
    return observed, predicted


@pytest.fixture(scope="module")
def rows(values: tuple[np.ndarray, list[np.ndarray]]) -> list[Row]:
    observed, predicted = values
    chrom, block = np.repeat([0, 1], N // 2), np.arange(N) // 10
    agreement = windows_agreement(observed, predicted, chrom, block, ("chrA", "chrB"))
    where = Where("test", 114_688, ("one", "flat", "none"), ("chrA",) * 6 + ("chrB",) * 6)
    return list(rows_of(agreement, [A, B, GC], where, means=np.array([0.3, 0.2, 0.1])))


def find(rows: list[Row], model: str, track: str, metric: str, chrom: str = ALL, versus: str = "") -> Row:
    key = (model, track, metric, chrom, versus)
    (found,) = (row for row in rows if (row.model, row.track, row.metric, row.chrom, row.versus) == key)
    return found


def test_values_intervals_and_paired_differences(rows: list[Row], values: tuple[np.ndarray, list[np.ndarray]]) -> None:
    """Bootstrap draws again, by repeating windows."""
    observed, predicted = values
    y, x = observed[:, 0].astype(float), [one[:, 0].astype(float) for one in predicted]
    weights = draw_weights(12, DRAWS, SEED)[1:].astype(int)

    def drawn(one: np.ndarray) -> np.ndarray:
        taken = [np.repeat(np.arange(N), np.repeat(row, 10)) for row in weights]
        return np.array([np.corrcoef(one[rows], y[rows])[0, 1] for rows in taken])

    draws = [drawn(one) for one in x]
    for one, values_of, own in zip((A, B, GC), x, draws, strict=True):
        row = find(rows, one.model, "one", "pearson")
        assert row.value == pytest.approx(stats.pearsonr(values_of, y).statistic, abs=6e-5)
        assert [row.low, row.high] == pytest.approx(np.percentile(own, [2.5, 97.5]), abs=1e-4)
        assert (row.n, row.blocks, row.head, row.scope, row.baseline) == (N, 12, one.head, one.scope, one.baseline)
        assert find(rows, one.model, "one", "spearman").value == pytest.approx(
            stats.spearmanr(values_of, y).statistic, abs=6e-5
        )
    for other, own in (("b", draws[1]), ("GC", draws[2])):
        row = find(rows, "a", "one", "pearson", versus=other)
        assert row.value == pytest.approx(
            np.corrcoef(x[0], y)[0, 1] - np.corrcoef(x[("b", "GC").index(other) + 1], y)[0, 1], abs=6e-5
        )
        assert [row.low, row.high] == pytest.approx(np.percentile(draws[0] - own, [2.5, 97.5]), abs=1e-4)
    assert not [row for row in rows if row.versus and row.model in ("GC", TRACK_MEAN.model)]
    assert not [row for row in rows if row.model == "b" and row.versus.startswith("a")], "each pair once"


def test_r2_and_the_mean_of_each_track(rows: list[Row], values: tuple[np.ndarray, list[np.ndarray]]) -> None:
    y, x = values[0][:, 0].astype(float), values[1][0][:, 0].astype(float)
    spread = ((y - y.mean()) ** 2).sum()
    assert find(rows, "a", "one", "r2").value == pytest.approx(1 - ((y - x) ** 2).sum() / spread, abs=6e-5)
    mean = find(rows, TRACK_MEAN.model, "one", "r2")
    assert mean.value == pytest.approx(1 - ((y - 0.3) ** 2).sum() / spread, abs=6e-5)
    assert mean.value < 0
    assert find(rows, "a", "one", "r2", versus="track mean").value == pytest.approx(
        find(rows, "a", "one", "r2").value - mean.value, abs=2e-4
    )
    undefined = find(rows, TRACK_MEAN.model, "one", "pearson")
    assert (undefined.value, undefined.reason) == (None, "the prediction is constant")


def test_each_chromosome_has_its_own_ranks(rows: list[Row], values: tuple[np.ndarray, list[np.ndarray]]) -> None:
    half = slice(N // 2, None)
    y, x = values[0][half, 0], values[1][0][half, 0]
    row = find(rows, "a", "one", "spearman", "chrB")
    assert row.value == pytest.approx(stats.spearmanr(x, y).statistic, abs=6e-5)
    assert row.low is not None
    assert row.high is not None
    assert row.low < row.value < row.high
    assert (row.n, row.blocks) == (N // 2, 6)


def test_what_is_undefined_says_why_and_is_never_zero(rows: list[Row]) -> None:
    for metric in ("pearson", "spearman", "r2"):
        flat, none = find(rows, "a", "flat", metric), find(rows, "a", "none", metric)
        assert (flat.value, flat.reason) == (None, "the observed track is constant")
        assert (none.value, none.n) == (None, 0)
        assert none.reason == "not observed in this fold"


def test_the_table_is_one_figure_a_row(rows: list[Row]) -> None:
    read = list(csv.DictReader(io.StringIO(table_text(rows)), delimiter="\t"))
    assert len(read) == len(rows)
    assert list(read[0]) == [
        "model", "head", "scope", "track", "fold", "chrom", "resolution", "metric", "versus", "value", "low", "high",
        "baseline", "n", "blocks", "reason",
    ]  # fmt: skip
    for text, row in zip(read, rows, strict=True):
        assert text["value"] == ("" if row.value is None else str(row.value))
        assert text["baseline"] == str(int(row.baseline))
    assert {row["value"] == "" for row in read} == {True, False}
    assert all(row["reason"] for row in read if row["value"] == "")
