"""Tiles against values taken base by base from the bigWig (pyBigWig) and from the model, across chromosome borders."""

from __future__ import annotations

import base64
from pathlib import Path

import higlass
import numpy as np
import pyBigWig
import pytest

from model.predict import Predictor
from server.axis import TILE_BINS, Axis
from server.site import Site
from server.tilesets import ObservedTileset
from tracks.bigwig import Bins, write_bigwig
from tracks.errors import TracksError
from tracks.grid import BIN, BINS, bin_count, window_count
from tracks.regions import Region


def decoded(tile: dict[str, object]) -> np.ndarray:
    assert tile["dtype"] in ("float16", "float32")
    values = np.frombuffer(base64.b64decode(str(tile["dense"])), str(tile["dtype"])).astype(np.float32)
    assert len(values) == TILE_BINS
    return values


def all_tiles(axis: Axis, uid: str) -> list[str]:
    ids = []
    for zoom in range(axis.max_zoom + 1):
        used = -(-axis.length // (axis.max_width >> zoom))
        ids += [f"{uid}.{zoom}.{position}" for position in range(used)]
    return ids


def mean_by_bases(bases: np.ndarray, start: int, width: int) -> np.ndarray:
    """Average the values of single bases, float64, over the bins of a tile; NaN where there are none."""
    padded = np.full(TILE_BINS * width, np.nan)
    inside = bases[start : start + TILE_BINS * width]
    padded[: len(inside)] = inside
    table = padded.reshape(TILE_BINS, width)
    count = np.isfinite(table).sum(axis=1)
    return np.where(count, np.nansum(table, axis=1) / np.maximum(count, 1), np.nan)


@pytest.fixture(scope="module")
def observed_bases(site: Site) -> np.ndarray:
    tileset = site.panels[0].observed
    assert tileset is not None
    with pyBigWig.open(str(tileset.path)) as file:
        chroms = file.chroms()
        return np.concatenate(
            [
                np.array(file.values(chrom, 0, length)) if chrom in chroms else np.full(length, np.nan)
                for chrom, length in site.axis.chrom_sizes.items()
            ]
        )


@pytest.fixture(scope="module")
def predicted_bases(site: Site) -> np.ndarray:
    """Every track base by base along the axis, [tracks, bases], straight from the model."""
    predictor = Predictor(site.model, site.genome)
    chroms = []
    for chrom, length in site.axis.chrom_sizes.items():
        windows = np.concatenate([predictor.window(chrom, index) for index in range(window_count(length))])
        chroms.append(np.repeat(windows, BIN, axis=0)[:length])
    return np.concatenate(chroms).T.astype(np.float64)


def test_observed_tiles_are_the_means_of_their_bases_at_every_zoom(site: Site, observed_bases: np.ndarray) -> None:
    tileset = site.panels[0].observed
    assert tileset is not None
    crossed = 0
    for tile_id in all_tiles(site.axis, tileset.uid):
        tile = site.axis.tile(tile_id)
        expected = mean_by_bases(observed_bases, tile.start, tile.bin_width)
        np.testing.assert_allclose(tileset.values(tile), expected, rtol=1e-6, atol=1e-7)
        crossed += len(list(site.axis.pieces(tile.start, tile.end))) > 1
    assert crossed > site.axis.max_zoom, "no tile crossed a chromosome border"


def test_an_encoded_tile_holds_the_same_values(site: Site, observed_bases: np.ndarray) -> None:
    tileset = site.panels[0].observed
    assert tileset is not None
    [(tile_id, answer)] = tileset.tiles([f"{tileset.uid}.1.0"])
    assert isinstance(answer, dict)
    tile = site.axis.tile(tile_id)
    expected = mean_by_bases(observed_bases, tile.start, tile.bin_width)
    np.testing.assert_allclose(decoded(answer), expected, rtol=1e-3)
    if np.isnan(expected).any():
        assert answer["dtype"] == "float32"


def test_wide_bins_from_zoom_records_stay_in_place_and_close(tmp_path: Path) -> None:
    sizes = {"chrA": 61_000_007, "chrB": 50_000_011}
    rng = np.random.default_rng(8)
    signal = {
        chrom: np.repeat(rng.random(-(-bin_count(size) // 16)), 16)[: bin_count(size)].astype(np.float32)
        for chrom, size in sizes.items()
    }
    for values in signal.values():
        values[rng.random(len(values)) < 0.2] = np.nan
    signal["chrB"][100_000:200_000] = 5
    write_bigwig(tmp_path / "wide.bw", sizes, [Bins(chrom, 0, values) for chrom, values in signal.items()])
    axis = Axis(sizes)
    tileset = ObservedTileset("wide", "wide", axis, "none", tmp_path / "wide.bw")
    bases = np.concatenate([np.repeat(signal[chrom], BIN)[:size] for chrom, size in sizes.items()])
    block = [axis.absolute(Region("chrB", at * BIN, at * BIN + 1))[0] for at in (100_000, 200_000)]
    for zoom in range(3):
        tile = axis.tile(f"wide.{zoom}.0")
        got, edges = tileset.values(tile), tile.start + np.arange(TILE_BINS + 1) * tile.bin_width
        used = np.flatnonzero(edges[:-1] < axis.length)
        assert np.isnan(got[len(used) :]).all()
        border = [index for index in used if any(edges[index] <= at < edges[index + 1] for at in block)]
        for index in np.setdiff1d(rng.choice(used, 150, replace=False), border):
            mean = np.nanmean(bases[edges[index] : edges[index + 1]], dtype=np.float64)
            # Two records, each at most an eighth of a bin, straddle the bin's edges: of values between 0 and 1 that
            # moves a mean by far less than this, while a bin out of place would miss the block of fives.
            assert got[index] == pytest.approx(mean, abs=0.06)


def test_predicted_tiles_are_the_means_of_the_models_values(site: Site, predicted_bases: np.ndarray) -> None:
    for panel in site.panels:
        tileset = panel.predicted
        assert tileset is not None
        for tile_id in all_tiles(site.axis, tileset.uid):
            tile = site.axis.tile(tile_id)
            answer = tileset.tile(tile)
            assert isinstance(answer, dict)
            expected = mean_by_bases(predicted_bases[tileset.track_index], tile.start, tile.bin_width)
            np.testing.assert_allclose(decoded(answer), expected, rtol=2e-3, atol=1e-6)
            assert answer["waiting"] is False


def reasons_of(answer: object) -> np.ndarray:
    assert isinstance(answer, dict)
    found = np.full(TILE_BINS, "", object)
    for first, end, reason in answer["missing"]:
        found[first:end] = reason
    return found


def test_every_bin_without_a_value_says_why(site: Site) -> None:
    local, context = site.panels[0].predicted, site.panels[1].predicted
    assert local is not None
    assert context is not None
    zoom = site.axis.max_zoom
    gap = 2 * BINS * BIN + 1000  # window 2 of chr20 is N
    position, bin_in_tile = divmod(gap // BIN, TILE_BINS)
    for tileset in (local, context):
        answer = tileset.tile(site.axis.tile(f"{tileset.uid}.{zoom}.{position}"))
        reasons = reasons_of(answer)
        assert isinstance(answer, dict)
        assert reasons[bin_in_tile] == "no sequence"
        inside = site.axis.length // BIN - position * TILE_BINS
        np.testing.assert_array_equal(np.isnan(decoded(answer))[:inside], reasons[:inside] != "")


def test_a_predicted_bin_with_sequence_and_no_value_lacks_sequence_around(waiting_site: Site) -> None:
    predictions, tileset = waiting_site.predictions, waiting_site.panels[1].predicted
    assert tileset is not None
    stored = predictions.predictor.known_windows(predictions.store, "chr20")
    stored.write(0, np.full((BINS, 2), np.nan, np.float32))
    predictions.start()
    assert predictions.wait(60)
    reasons = reasons_of(tileset.tile(waiting_site.axis.tile(f"{tileset.uid}.{waiting_site.axis.max_zoom}.0")))
    assert set(reasons[:BINS]) == {"too little sequence around"}
    assert set(reasons[BINS:]) == {""}


def test_past_the_end_of_the_axis_there_is_neither_value_nor_reason(site: Site) -> None:
    tileset = site.panels[0].predicted
    assert tileset is not None
    tile = site.axis.tile(f"{tileset.uid}.0.0")
    answer = tileset.tile(tile)
    past = -(-site.axis.length // tile.bin_width)
    assert past < TILE_BINS
    assert isinstance(answer, dict)
    assert np.isnan(decoded(answer)[past:]).all()
    assert (reasons_of(answer)[past:] == "").all()


def test_before_anything_is_predicted_tiles_say_computing(waiting_site: Site) -> None:
    tileset = waiting_site.panels[0].predicted
    assert tileset is not None
    answer = tileset.tile(waiting_site.axis.tile(f"{tileset.uid}.0.0"))
    assert isinstance(answer, dict)
    assert np.isnan(decoded(answer)).all()
    assert set(reasons_of(answer)) == {"computing", ""}
    assert answer["waiting"] is True


def test_a_bad_id_spoils_its_own_tile_alone(site: Site) -> None:
    tileset = site.panels[0].observed
    assert tileset is not None
    answers = dict(tileset.tiles([f"{tileset.uid}.0.0", f"{tileset.uid}.77.0"]))
    assert "dense" in answers[f"{tileset.uid}.0.0"]
    assert "error" in answers[f"{tileset.uid}.77.0"]


def test_a_tileset_makes_a_notebook_track(site: Site) -> None:
    for tileset in site.tilesets.values():
        assert isinstance(tileset, higlass.Tileset)
        assert tileset.info()["max_pos"] == [site.axis.length]
    track = site.panels[0].predicted.track("horizontal-bar")  # type: ignore[union-attr]
    assert track.server == "jupyter"
    assert track.tilesetUid


def test_a_file_that_is_no_bigwig_is_named(tmp_path: Path) -> None:
    path = tmp_path / "not.bw"
    path.write_text("nothing")
    with pytest.raises(TracksError, match=r"not\.bw"):
        ObservedTileset("x", "x", Axis({"chr1": 1000}), "none", path)
