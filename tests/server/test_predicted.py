"""Predicted tiles against a float64 computation from the stored values, at every zoom, on small and huge axes."""

from __future__ import annotations

import base64
from types import SimpleNamespace

import numpy as np
import pytest

from server.axis import TILE_BINS, Axis
from server.events import Events
from server.predicted import Asker, PredictedTileset, in_words
from server.predictions import Predictions
from server.sequence import SequenceMap
from server.site import Site
from tracks.grid import BIN, BINS, WINDOW, bin_count, window_count
from tracks.store import Store


def decoded(tile: object) -> np.ndarray:
    assert isinstance(tile, dict)
    return np.frombuffer(base64.b64decode(tile["dense"]), tile["dtype"]).astype(np.float64)


def reasons_of(tile: object) -> np.ndarray:
    assert isinstance(tile, dict)
    found = np.full(TILE_BINS, "", object)
    for first, end, reason in tile["missing"]:
        found[first:end] = reason
    return found


def tileset_of(site: Site, panel: int, head: int = 0) -> PredictedTileset:
    return site.panels[panel].predicted[head].tileset


def mean_by_bins(values: np.ndarray, sizes: dict[str, int], start: int, width: int) -> np.ndarray:
    """The means over base pairs of a tile's bins, straight from all 128-bp values of the axis: float64."""
    edges, flat, at = [], [], 0
    for chrom, size in sizes.items():
        count = bin_count(size)
        edges.append(at + np.minimum(np.arange(count) * BIN, size))
        flat.append(values[chrom][:count])
        at += size
    firsts = np.concatenate(edges)
    lasts = np.append(firsts[1:], at)
    levels = np.concatenate(flat).astype(np.float64)
    there = np.isfinite(levels)
    means = np.full(TILE_BINS, np.nan)
    for index in range(TILE_BINS):
        low, high = start + index * width, start + (index + 1) * width
        a, b = np.searchsorted(lasts, low, "right"), np.searchsorted(firsts, high, "left")
        bases = np.clip(np.minimum(lasts[a:b], high) - np.maximum(firsts[a:b], low), 0, None) * there[a:b]
        if bases.sum() > 0.5:
            means[index] = (np.where(there[a:b], levels[a:b], 0) * bases).sum() / bases.sum()
    return means


def test_every_tile_is_the_mean_of_the_stored_values(site: Site) -> None:
    sizes = site.genome.chrom_sizes
    for panel in site.panels:
        tileset = panel.predicted[0].tileset
        values = {}
        for chrom, length in sizes.items():
            store = site.predictions.stored.open(chrom, tileset.head)
            parts = [store.read(index) for index in range(window_count(length))]
            blank = np.full((BINS, 2), np.nan)
            values[chrom] = np.concatenate([blank if part is None else part for part in parts])[:, tileset.column]
        for zoom in range(site.axis.max_zoom + 1):
            for position in range(-(-site.axis.length // (site.axis.max_width >> zoom))):
                tile = site.axis.tile(f"{tileset.uid}.{zoom}.{position}")
                answer = tileset.tile(tile)
                expected = mean_by_bins(values, sizes, tile.start, tile.bin_width)
                np.testing.assert_allclose(decoded(answer), expected, rtol=2e-3, atol=1e-6)
                assert answer["waiting"] is False  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def huge(tmp_path_factory: pytest.TempPathFactory) -> tuple[PredictedTileset, dict[str, np.ndarray]]:
    """Three chromosomes of 160 Mb in all, of which windows here and there are known; no genome file and no model."""
    sizes = {"chr1": 90_000_123, "chr2": 10_000, "chr3": 69_999_999}
    rng = np.random.default_rng(9)
    store = Store(tmp_path_factory.mktemp("huge"))
    values = {}
    for chrom, length in sizes.items():
        windows = store.windows("0" * 64, f"SQ.{chrom}", length, 2)
        values[chrom] = np.full(window_count(length) * BINS, np.nan, np.float32)
        for index in np.flatnonzero(rng.random(window_count(length)) < 0.3):
            window = rng.normal(index % 7, 1, (BINS, 2)).astype(np.float32)
            window[rng.random(BINS) < 0.1] = np.nan
            window[max(bin_count(length) - index * BINS, 0) :] = np.nan
            windows.write(int(index), window)
            values[chrom][index * BINS : (index + 1) * BINS] = window[:, 1]
    genome = SimpleNamespace(chrom_sizes=sizes)
    predictor = SimpleNamespace(
        genome=genome,
        device="cpu",
        model=SimpleNamespace(heads=[SimpleNamespace(name="bins")]),
        known_windows=lambda store, chrom, head: store.windows("0" * 64, f"SQ.{chrom}", sizes[chrom], 2),
    )
    axis = Axis(sizes)
    predictions = Predictions(predictor, store, SequenceMap(genome), axis, Events())  # type: ignore[arg-type]
    for chrom in sizes:
        predictions.stored.open(chrom, "bins")
    return PredictedTileset("predicted-bins-x", "x", axis, "none", predictions, "bins", 1), values


@pytest.mark.parametrize("bin_width", [2_048, 4_096, 8_192, 65_536, 131_072, 262_144])
def test_wide_tiles_come_from_summaries_and_lie_where_they_should(
    huge: tuple[PredictedTileset, dict[str, np.ndarray]], bin_width: int
) -> None:
    tileset, values = huge
    axis = tileset.axis
    zoom = axis.max_zoom - (bin_width // BIN).bit_length() + 1
    for position in {0, (1 << zoom) // 2, axis.length // (axis.max_width >> zoom)}:
        tile = axis.tile(f"{tileset.uid}.{zoom}.{position}")
        assert tile.bin_width == bin_width
        got = decoded(tileset.tile(tile))
        expected = mean_by_bins(values, axis.chrom_sizes, tile.start, tile.bin_width)
        # Only a part of a window that a bin's edge cuts is shared out by length: at most two eighths of a bin, of
        # values that differ by a few units.
        both = np.isfinite(got) & np.isfinite(expected)
        assert both.sum() >= min(np.isfinite(expected).sum(), np.isfinite(got).sum()) - 4 * len(axis.chrom_sizes)
        if bin_width < 4_096:
            np.testing.assert_allclose(got, expected, rtol=2e-3, atol=2e-3)
        elif both.any():
            assert np.abs(got - expected)[both].mean() < 0.05
            assert np.abs(got - expected)[both].max() < 1.5


def test_a_wide_view_says_so_and_asks_for_nothing(waiting_site: Site) -> None:
    waiting_site.predictions.max_view = 100_000
    tileset = tileset_of(waiting_site, 0)
    tile_id = f"{tileset.uid}.{waiting_site.axis.max_zoom}.0"
    [(_, answer)] = tileset.tiles_for([tile_id], Asker("a", (0, 200_000)))
    assert set(reasons_of(answer)) == {"too wide"}
    assert answer["notices"] == {"too wide": "zoom in below 0.1 Mb to predict, or press Predict region"}  # type: ignore[call-overload]
    assert waiting_site.predictions.now().queued == 0
    [(_, answer)] = tileset.tiles_for([tile_id], Asker("a", (0, 50_000)))
    # What lies further than half a view away is asked for when somebody looks there.
    first = WINDOW // BIN
    assert set(reasons_of(answer)[:first]) == {"queued"}
    assert set(reasons_of(answer)[first:]) == {"not in view"}
    assert waiting_site.predictions.now().queued == 1, "only what lies near the view is asked for"


def test_every_bin_without_a_value_says_why(site: Site) -> None:
    zoom = site.axis.max_zoom
    gap = 2 * BINS * BIN + 1000  # window 2 of chr20 is N
    position, bin_in_tile = divmod(gap // BIN, TILE_BINS)
    for panel in (0, 1):
        tileset = tileset_of(site, panel)
        answer = tileset.tile(site.axis.tile(f"{tileset.uid}.{zoom}.{position}"))
        reasons = reasons_of(answer)
        assert reasons[bin_in_tile] == "no sequence"
        inside = site.axis.length // BIN - position * TILE_BINS
        np.testing.assert_array_equal(np.isnan(decoded(answer))[:inside], reasons[:inside] != "")


def test_a_bin_with_sequence_and_no_value_has_too_little_around(waiting_site: Site) -> None:
    predictions, tileset = waiting_site.predictions, tileset_of(waiting_site, 1)
    predictions.fill = True
    predictions.stored.open("chr20", "bins").write(0, np.full((BINS, 2), np.nan, np.float32))
    predictions.start()
    assert predictions.wait(60)
    reasons = reasons_of(tileset.tile(waiting_site.axis.tile(f"{tileset.uid}.{waiting_site.axis.max_zoom}.0")))
    assert set(reasons[:BINS]) == {"too little sequence"}
    assert set(reasons[BINS:]) == {""}


def test_before_the_sequence_is_counted_a_tile_without_values_is_not_the_last_word(waiting_site: Site) -> None:
    predictions, tileset = waiting_site.predictions, tileset_of(waiting_site, 0)
    predictions.stored.open("chr20", "bins").write(2, np.full((BINS, 2), np.nan, np.float32))
    tile = waiting_site.axis.tile(f"{tileset.uid}.{waiting_site.axis.max_zoom}.2")
    within = slice(0, (3 * WINDOW - tile.start) // BIN)
    early = tileset.tile(tile)
    assert isinstance(early, dict)
    assert set(reasons_of(early)[within]) == {"too little sequence"}
    assert early["waiting"] is True
    predictions.sequence.count()
    late = tileset.tile(tile)
    assert set(reasons_of(late)[within]) == {"no sequence"}


def test_past_the_end_of_the_axis_there_is_neither_value_nor_reason(site: Site) -> None:
    tileset = tileset_of(site, 0)
    tile = site.axis.tile(f"{tileset.uid}.0.0")
    answer = tileset.tile(tile)
    past = -(-site.axis.length // tile.bin_width)
    assert past < TILE_BINS
    assert np.isnan(decoded(answer)[past:]).all()
    assert (reasons_of(answer)[past:] == "").all()


def test_other_modes_are_refused_in_their_own_tile(site: Site) -> None:
    tileset = tileset_of(site, 0)
    [(_, answer)] = tileset.tiles_for([f"{tileset.uid}.0.0.max"], Asker())
    assert answer == {"error": "a predicted track has means, no max"}


def test_a_window_that_the_disk_lost_is_computed_again(waiting_site: Site) -> None:
    predictions, tileset = waiting_site.predictions, tileset_of(waiting_site, 0)
    store = predictions.stored.open("chr20", "bins")
    first = predictions.predictor.window("chr20", 0)
    store.write(0, first)
    [chunk] = [path for path in (store.folder / "c" / "0").rglob("*") if path.is_file()]
    chunk.write_bytes(b"lost")
    tile = waiting_site.axis.tile(f"{tileset.uid}.{waiting_site.axis.max_zoom}.0")
    assert reasons_of(tileset.tile(tile))[10] == "queued"
    predictions.start()
    assert predictions.wait(60)
    np.testing.assert_allclose(decoded(tileset.tile(tile))[:BINS], first[:, 0], rtol=2e-3)


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (40.4, "40 s"), (200, "3 min"), (9_000, "2.5 h")])
def test_times_are_said_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_windows_lie_where_the_grid_says(site: Site) -> None:
    # A tile at the start of the second chromosome, whose windows are counted from its own start.
    tileset = tileset_of(site, 0)
    offset = site.axis.offsets["chr3"]
    tile = site.axis.tile(f"{tileset.uid}.{site.axis.max_zoom}.{(offset + WINDOW // 2) // (TILE_BINS * BIN)}")
    at = (offset + WINDOW // 2 - tile.start) // BIN
    window = site.predictions.stored.open("chr3", "bins").read(0)
    assert window is not None
    near = window[WINDOW // 2 // BIN - 1 : WINDOW // 2 // BIN + 2, 0]
    assert near.min() - 1e-3 <= decoded(tileset.tile(tile))[at] <= near.max() + 1e-3
