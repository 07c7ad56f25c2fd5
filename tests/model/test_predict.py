from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.context import WindowCounts, window_context
from model.folder import Model
from model.heads import LinearConfig
from model.predict import Predictor, predict, predict_windows
from tracks.genome import Genome
from tracks.grid import BIN, BINS, FLANK, INPUT, WINDOW
from tracks.regions import Region
from tracks.store import Store
from tracks.trackdata import TrackData


@pytest.fixture(scope="module")
def predictor(model: Model, genome: Genome) -> Predictor:
    return Predictor(model, genome, device="cpu", threads=1)


@pytest.fixture(scope="module")
def whole(predictor: Predictor) -> np.ndarray:
    pieces = predict(predictor, [Region("chr1", 0, predictor.genome.chrom_sizes["chr1"])])
    return np.concatenate([piece.values for piece in pieces])


def test_a_window_is_the_network_on_that_span(predictor: Predictor, model: Model, genome: Genome) -> None:
    index = 1
    span = genome.codes("chr1", index * WINDOW - FLANK, index * WINDOW - FLANK + INPUT)
    assert model.heads[0].context is not None
    features, _ = window_context(WindowCounts(genome), "chr1", index, model.heads[0].context)
    with torch.inference_mode():
        context = {"bins": torch.from_numpy(features.T.copy())[None]}
        logits = model.network(torch.from_numpy(span)[None], context)["bins"][0].numpy().T
    expected = 1 / (1 + np.exp(-logits.astype(np.float64)))
    found = predictor.window("chr1", index)
    seen = np.isfinite(found)
    assert seen.all(axis=1).sum() > 700
    np.testing.assert_allclose(found[seen], expected[seen], rtol=1e-6)


def test_missing_sequence_is_nan_and_nothing_else_is(predictor: Predictor, genome: Genome, whole: np.ndarray) -> None:
    length = genome.chrom_sizes["chr1"]
    codes = genome.codes("chr1", 0, -(-length // BIN) * BIN)
    known = (codes.reshape(-1, BIN) < 4).sum(axis=1)
    np.testing.assert_array_equal(np.isnan(whole[:, 0]), known < 64)
    assert whole.shape == (len(known), 2)


def test_a_window_of_n_has_no_value(predictor: Predictor) -> None:
    assert not predictor.has_sequence("chr1", 2)
    assert np.isnan(predictor.window("chr1", 2)).all()
    assert predictor.has_sequence("chr1", 3)


def test_a_context_track_is_missing_where_too_little_around_is_known(model: Model, genome: Genome) -> None:
    import dataclasses

    assert isinstance(model.heads[0].config, LinearConfig)
    assert model.heads[0].context is not None
    context = dataclasses.replace(model.heads[0].context, min_known=0.7)
    head = dataclasses.replace(model.heads[0], config=dataclasses.replace(model.heads[0].config, context=context))
    values = Predictor(dataclasses.replace(model, heads=(head,)), genome, device="cpu").window("chr1", 0)
    _, around = window_context(WindowCounts(genome), "chr1", 0, context)
    assert 0 < (around < 0.7).sum() < BINS
    np.testing.assert_array_equal(np.isnan(values[:, 1]), around < 0.7)
    assert np.isfinite(values[:, 0]).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 600_049), st.integers(1, 250_000))
def test_any_region_is_a_part_of_the_whole(predictor: Predictor, whole: np.ndarray, start: int, length: int) -> None:
    """Principle 1, bit for bit: a region's values are those of the whole chromosome at the same bins."""
    region = Region("chr1", start, min(start + length, 600_050))
    pieces = list(predict(predictor, [region]))
    values = np.concatenate([piece.values for piece in pieces])
    first = start // BIN
    np.testing.assert_array_equal(values, whole[first : first + len(values)])
    assert first + len(values) == -(-region.end // BIN)
    assert pieces[0].region.start == first * BIN
    assert pieces[-1].region.end == min(-(-region.end // BIN) * BIN, 600_050)


def test_overlapping_regions_come_once_and_in_order(predictor: Predictor) -> None:
    regions = [Region("chr2", 0, 500), Region("chr1", 5_000, 6_000), Region("chr1", 0, 5_050)]
    pieces = [piece.region for piece in predict(predictor, regions)]
    assert pieces == [Region("chr1", 0, 6_016), Region("chr2", 0, 512)]


def test_the_store_gives_what_was_computed(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    region = Region("chr1", 100_000, 400_000)
    computed = list(predict(predictor, [region], store))

    def never(chrom: str, index: int) -> np.ndarray:
        raise AssertionError(f"{chrom} window {index} was computed again")

    monkeypatch.setattr(predictor, "window", never)
    known = list(predict(predictor, [region], store))
    assert [piece.region for piece in known] == [piece.region for piece in computed]
    for one, other in zip(known, computed, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
    assert predictor.known_windows(store, "chr1").known().tolist() == [True] * 4 + [False] * 2


def test_a_window_outside_the_chromosome(predictor: Predictor) -> None:
    with pytest.raises(IndexError, match="chr2 has windows 0 to 0, not 1"):
        list(predict_windows(predictor, "chr2", [1]))


def test_progress_counts_windows(predictor: Predictor) -> None:
    told: list[tuple[int, int]] = []
    pieces: list[TrackData] = list(
        predict(predictor, [Region("chr1", 0, 300_000)], progress=lambda done, total: told.append((done, total)))
    )
    assert len(pieces) == 3
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
