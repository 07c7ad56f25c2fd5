from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from model.context import WindowCounts, window_context
from model.export import has_sequence
from model.folder import Model, load_model
from model.heads import LinearConfig
from model.predict import Predictor, predict, predict_windows
from tests.model.conftest import PassCount
from tracks.errors import UsageError
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
    assert not has_sequence(predictor.genome, "chr1", 2)
    assert np.isnan(predictor.window("chr1", 2)).all()
    assert has_sequence(predictor.genome, "chr1", 3)


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


@settings(max_examples=15)
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

    def never(chrom: str, index: int, heads: object) -> np.ndarray:
        raise AssertionError(f"{chrom} window {index} was computed again")

    monkeypatch.setattr(predictor, "window", never)
    known = list(predict(predictor, [region], store))
    assert [piece.region for piece in known] == [piece.region for piece in computed]
    for one, other in zip(known, computed, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
    assert predictor.known_windows(store, "chr1", "bins").known().tolist() == [True] * 4 + [False] * 2


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


@pytest.fixture
def two(two_headed_folder: Path, fasta: Path) -> Predictor:
    return Predictor(load_model(two_headed_folder, ("bins", "window")), Genome(fasta), "cpu", 1)


def test_heads_share_what_each_of_them_computed(two: Predictor, two_headed_folder: Path, tmp_path: Path) -> None:
    """Whatever the combination: first one head, then both, then both in another order."""
    store = Store(tmp_path)
    alone = Predictor(load_model(two_headed_folder, ("bins",)), two.genome, "cpu", 1)
    passes = PassCount(alone)
    first = dict(predict_windows(alone, "chr20", range(3), store))
    assert passes.since() == 2  # window 2 has no sequence
    together = PassCount(two)
    asked: list[list[str]] = []
    compute = two.head_window
    two.head_window = lambda inputs, head: (asked.append([inputs.index, head]), compute(inputs, head))[1]  # type: ignore
    both = dict(predict_windows(two, "chr20", range(5), store))
    assert together.since() == 4
    assert asked == [*([index, "window"] for index in range(3)), [3, "bins"], [3, "window"], [4, "bins"], [4, "window"]]
    for index in range(3):
        np.testing.assert_array_equal(both[index][:, :2], first[index])
    asked.clear()
    other = Predictor(load_model(two_headed_folder, ("window", "bins")), two.genome, "cpu", 1)
    passes = PassCount(other)
    turned = dict(predict_windows(other, "chr20", range(5), store))
    assert passes.since() == 0
    for index in range(5):
        np.testing.assert_array_equal(turned[index], both[index][:, [2, 3, 0, 1]])
        np.testing.assert_array_equal(both[index], other.window("chr20", index)[:, [2, 3, 0, 1]])


def test_some_heads_of_a_model(two: Predictor, tmp_path: Path) -> None:
    whole = two.window("chr20", 1)
    np.testing.assert_array_equal(two.window("chr20", 1, ["window"]), whole[:, 2:])
    np.testing.assert_array_equal(two.window("chr20", 1, ["window", "bins"]), whole)
    store = Store(tmp_path)
    ((_, values),) = predict_windows(two, "chr20", [1], store, ["window"])
    np.testing.assert_array_equal(values, whole[:, 2:])
    assert not two.known_windows(store, "chr20", "bins").known().any()
    assert two.known_windows(store, "chr20", "window").known()[1]
    with pytest.raises(UsageError, match="model 'tiny' has no head 'wide' here; it has bins, window"):
        two.window("chr20", 1, ["wide"])


def test_inputs_are_computed_once_for_all_heads(two: Predictor) -> None:
    passes = PassCount(two)
    whole = two.window("chr20", 1)
    assert passes.since() == 1
    inputs = two.inputs("chr20", 1)
    assert passes.since() == 1
    parts = [two.head_window(inputs, head) for head in ("window", "bins", "window")]
    assert passes.since() == 0
    np.testing.assert_array_equal(np.concatenate([parts[1], parts[0]], axis=1), whole)
    np.testing.assert_array_equal(parts[0], parts[2])
    empty = two.inputs("chr20", 2)
    assert passes.since() == 0
    assert np.isnan(two.head_window(empty, "bins")).all()
    assert two.head_window(empty, "window").shape == (BINS, 2)


def test_slid_heads_share_their_passes(two_headed_folder: Path, fasta: Path) -> None:
    model = load_model(two_headed_folder, ("bins", "window"), WINDOW // 7)
    predictor = Predictor(model, Genome(fasta), "cpu", 1)
    predictor.window("chr20", 0)  # what is shared is compared with what is not, the first time
    passes = PassCount(predictor)
    predictor.window("chr20", 3)
    assert passes.since() == 7


def test_the_windows_of_a_head_are_opened_once(two: Predictor, tmp_path: Path) -> None:
    store = Store(tmp_path)
    windows = two.known_windows(store, "chr20", "bins")
    assert two.known_windows(Store(tmp_path), "chr20", "bins") is windows
    assert two.known_windows(store, "chr20", "window") is not windows
    assert two.known_windows(Store(tmp_path / "other"), "chr20", "bins") is not windows
    windows.write(0, two.window("chr20", 0, ["bins"]))
    about = zarr.open_array(windows.folder, mode="r").attrs
    names = [about[name] for name in ("model", "head", "genome", "chrom", "digest")]
    assert names == ["tiny", "bins", "small.fa", "chr20", two.model.head_digests["bins"]]
    assert [track["name"] for track in about["tracks"]] == [track.name for track in two.model.heads[0].tracks]
    assert two.genome.digest("chr20") == about["sequence"] == windows.folder.name


def test_float32_is_float32_on_a_gpu_too(model: Model, genome: Genome) -> None:
    torch.backends.cudnn.allow_tf32 = True
    Predictor(model, genome, "cpu")
    assert torch.backends.cudnn.allow_tf32 is False
    assert torch.backends.cuda.matmul.allow_tf32 is False


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_gpu_gives_the_numbers_of_a_cpu(model: Model, genome: Genome) -> None:
    here, there = (Predictor(model, genome, device).window("chr1", 1) for device in ("cpu", "cuda"))
    np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-5)
