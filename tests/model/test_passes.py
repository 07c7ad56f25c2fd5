from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.engine.strip import TowerStrip
from model.folder import Model, load_model
from model.passes import Passes, Place, Reading
from model.predict import Predictor, predict_windows
from model.residuals import ResidualStore
from tests.conftest import CHROM_SIZES
from tests.model.conftest import PassCount
from tracks.errors import TracksError, UsageError
from tracks.genome import Genome
from tracks.grid import BINS, FLANK, INPUT, WINDOW, window_start
from tracks.method import REFERENCE, Ensemble, Method
from tracks.store import Store

COMPLEMENT = np.array([3, 2, 1, 0, 4], np.uint8)


def network_values(model: Model, codes: np.ndarray) -> np.ndarray:
    """What the plain network says of an input, as label of its tracks, float64 ``[896, tracks]``; context is left out,
    so only tracks without it are right."""
    with torch.inference_mode():
        embedding = model.network.trunk.double()(torch.from_numpy(codes.copy())[None])
        model.network.trunk.float()
        head = model.network.heads["bins"]
        raw = torch.nn.functional.conv1d(embedding, head.weight.double(), head.bias.double())
        values: np.ndarray = torch.sigmoid(raw)[0].numpy().T
        return values


def around(genome: Genome, chrom: str, start: int) -> np.ndarray:
    return genome.codes(chrom, start - FLANK, start - FLANK + INPUT)


@given(
    chrom=st.sampled_from(["chr1", "chr2"]),
    window=st.integers(-1, 6),
    offset=st.integers(0, BINS - 1),
    shift=st.integers(-64, 64),
)
def test_the_other_strand_is_the_reverse_complement(
    genome: Genome, chrom: str, window: int, offset: int, shift: int
) -> None:
    start = window * WINDOW + offset * 128
    reading = Reading(reverse=True, shift=shift)
    own = reading.start(genome, chrom, start)
    assert own % 128 == 0
    assert (own % WINDOW == 0) == (start % WINDOW == 0)
    found = reading.codes(genome, chrom, own, own + WINDOW)
    expected = COMPLEMENT[genome.codes(chrom, start + shift, start + shift + WINDOW)[::-1]]
    np.testing.assert_array_equal(found, expected)


def test_an_ensemble_is_the_mean_of_its_passes(model: Model, genome: Genome) -> None:
    method = Method(ensemble=Ensemble.parse("rc+shift3"))
    found = Predictor(model, genome, "cpu", method=method).window("chr1", 0)[:, 0]
    passes = []
    for shift in (-3, 0, 3):
        codes = around(genome, "chr1", shift)
        passes.append(network_values(model, codes)[:, 0])
        passes.append(network_values(model, COMPLEMENT[codes[::-1]])[::-1, 0])
    seen = np.isfinite(found)
    np.testing.assert_allclose(found[seen], np.mean(passes, axis=0)[seen], rtol=1e-5)
    assert np.abs(passes[0] - passes[1]).max() > 1e-3


def test_overlapping_windows_are_averaged_bin_by_bin(deep_model: Model, genome: Genome) -> None:
    overlapping = Predictor(deep_model, genome, "cpu", method=Method(ensemble=Ensemble(overlap=2)))
    # Window 1 begins before window 0, whose passes it shares, to see that order does not matter.
    found = {index: overlapping.window("chr1", index)[:, 0] for index in (1, 0)}
    half = BINS // 2
    for index in (0, 1):
        starts = [window_start(index) + step * WINDOW // 2 for step in (-1, 0, 1)]
        before, own, after = (network_values(deep_model, around(genome, "chr1", start))[:, 0] for start in starts)
        expected = np.concatenate([(own[:half] + before[half:]) / 2, (own[half:] + after[:half]) / 2])
        seen = np.isfinite(found[index])
        assert seen.sum() > 700
        np.testing.assert_allclose(found[index][seen], expected[seen], rtol=1e-5)
    again = Predictor(deep_model, genome, "cpu", method=Method(ensemble=Ensemble(overlap=2))).window("chr1", 0)[:, 0]
    np.testing.assert_array_equal(again, found[0])


def test_seamless_windows_see_no_end(deep_model: Model, genome: Genome) -> None:
    seamless = Predictor(deep_model, genome, "cpu", method=Method(edges="seamless"))
    found = np.concatenate([seamless.window("chr1", index)[:, 0] for index in (0, 1)])
    # One pass of the plain network over both windows and a flank that no padding crosses.
    flank = 64 * 128 + 3 * FLANK
    codes = genome.codes("chr1", -flank, 2 * WINDOW + flank)
    margin = flank // 128 - 64
    expected = network_values(deep_model, codes)[margin : margin + 2 * BINS, 0]
    seen = np.isfinite(found)
    np.testing.assert_allclose(found[seen], expected[seen], rtol=1e-5)
    reference = Predictor(deep_model, genome, "cpu").window("chr1", 0)[:, 0]
    assert np.nanmax(np.abs(found[:BINS] - reference)[-64:]) > 1e-4


def test_what_cannot_be_combined_is_said(two_headed_folder: Path, fasta: Path, tmp_path: Path) -> None:
    model, genome = load_model(two_headed_folder, ("bins", "window")), Genome(fasta)
    with pytest.raises(UsageError, match="head 'window' gives one value a window, which cannot overlap"):
        Predictor(model, genome, "cpu", method=Method(ensemble=Ensemble(overlap=2)))
    with pytest.raises(UsageError, match="residual streams are kept of single passes with window edges"):
        Predictor(model, genome, "cpu", method=Method(edges="seamless"), residuals=ResidualStore(tmp_path))


@pytest.mark.parametrize("method", [Method(edges="seamless"), Method(ensemble=Ensemble.parse("rc+shift2"))])
def test_window_heads_follow_the_method(two_headed_folder: Path, fasta: Path, method: Method) -> None:
    genome = Genome(fasta)
    reference = Predictor(load_model(two_headed_folder, ("window",)), genome, "cpu").window("chr20", 0)
    plain = Predictor(load_model(two_headed_folder, ("window",)), genome, "cpu", method=method)
    whole = plain.window("chr20", 0)
    # This trunk sees no end of a window but at its ends, which the head does not tell apart.
    assert np.abs(whole - reference).max() > 1e-6 or method.edges == "seamless"
    slid = Predictor(load_model(two_headed_folder, ("window",), WINDOW // 7), genome, "cpu", method=method)
    per_bin = BINS // 7
    np.testing.assert_allclose(slid.window("chr20", 0)[3 * per_bin], whole[3 * per_bin], rtol=1e-5)


def test_slid_seamless_windows_are_computed_once(two_headed_folder: Path, fasta: Path) -> None:
    model = load_model(two_headed_folder, ("window",), WINDOW // 7)
    predictor = Predictor(model, Genome(fasta), "cpu", method=Method(edges="seamless"))
    predictor.window("chr20", 0)
    unpadded = predictor.engine.residual_unpadded
    counted = []
    predictor.engine.residual_unpadded = lambda tower: counted.append(1) or unpadded(tower)  # type: ignore[func-returns-value,method-assign]
    predictor.window("chr20", 3)
    assert len(counted) == 3


def test_overlapping_windows_share_their_passes(model: Model, genome: Genome) -> None:
    ensemble = Ensemble.parse("rc+shift2+overlap4")
    predictor = Predictor(model, genome, "cpu", method=Method(ensemble=ensemble))
    predictor.window("chr1", 0)
    passes = PassCount(predictor)
    predictor.window("chr1", 1)
    assert passes.since() == 6 * 4


def test_each_method_has_its_own_windows(model: Model, genome: Genome, tmp_path: Path) -> None:
    store = Store(tmp_path)
    methods = (REFERENCE, Method(edges="seamless"), Method(ensemble=Ensemble(reverse_complement=True)))
    found = {}
    for method in methods:
        predictor = Predictor(model, genome, "cpu", method=method)
        ((_, found[method]),) = predict_windows(predictor, "chr1", [0], store)
        assert predictor.known_windows(store, "chr1", "bins").known().sum() == 1
    digest = model.head_digests["bins"][:32]
    assert {path.name for path in (tmp_path / digest).iterdir()} == {"fp32-single", "fp32-seamless-single", "fp32-rc"}
    assert not np.array_equal(found[methods[0]], found[methods[1]])


class Small:
    """A device on which more than so many windows do not fit."""

    def __init__(self, predictor: Predictor, fits: int) -> None:
        self.engine, self.fits, self.sizes = predictor.engine, fits, []

    def __getattr__(self, name: str) -> object:
        return getattr(self.engine, name)

    def stream(self, codes: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(codes))
        if len(codes) > self.fits:
            raise torch.OutOfMemoryError("there is no room")
        return self.engine.stream(codes)


def test_a_batch_is_halved_until_it_fits(model: Model, genome: Genome, caplog: pytest.LogCaptureFixture) -> None:
    predictor = Predictor(model, genome, "cpu")
    device = Small(predictor, fits=2)
    passes = Passes(device, genome, REFERENCE, batch=8)  # type: ignore[arg-type]
    places = [Place("chr1", window_start(index)) for index in range(5)]
    found = passes.alone(places)
    assert device.sizes == [8, 4, 2, 2, 2]
    assert passes.batch == 2
    assert [record.getMessage() for record in caplog.records] == [
        "cpu ran out of memory; going on with batches of 4",
        "cpu ran out of memory; going on with batches of 2",
    ]
    for place, embedding in zip(places, found, strict=True):
        torch.testing.assert_close(embedding, predictor.embedding("chr1", place.start - FLANK), rtol=1e-5, atol=1e-6)
    device.fits = 0
    with pytest.raises(TracksError, match="cpu has too little memory for one window; use --device cpu"):
        passes.alone(places[:1])


def test_another_head_is_read_from_kept_streams(two_headed_folder: Path, fasta: Path, tmp_path: Path) -> None:
    genome, residuals = Genome(fasta), ResidualStore(tmp_path)
    Predictor(load_model(two_headed_folder, ("bins",)), genome, "cpu", residuals=residuals).window("chr20", 1)
    reheaded = Predictor(load_model(two_headed_folder, ("window",)), genome, "cpu", residuals=residuals)
    reheaded.engine.tower = None  # type: ignore[method-assign,assignment]
    found = reheaded.window("chr20", 1)
    fresh = Predictor(load_model(two_headed_folder, ("window",)), genome, "cpu").window("chr20", 1)
    np.testing.assert_array_equal(found, fresh)
    with pytest.raises(TypeError):
        reheaded.window("chr20", 0)
    assert CHROM_SIZES["chr20"] > 2 * WINDOW


def test_shared_bins_are_compared_with_those_of_a_window_alone(
    deep_model: Model, genome: Genome, monkeypatch: pytest.MonkeyPatch
) -> None:
    seamless = Predictor(deep_model, genome, "cpu", method=Method(edges="seamless"))
    window = TowerStrip.window
    monkeypatch.setattr(TowerStrip, "window", lambda *place: window(*place) * 1.01)
    said = "shared tower bins differ from those of a window alone by .* on cpu with fp32; leave --edges, overlap"
    with pytest.raises(TracksError, match=said):
        seamless.window("chr1", 0)
