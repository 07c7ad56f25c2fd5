"""Observed tiles against what pyBigWig reads base by base, in float64, over the whole axis."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pybigtools
import pyBigWig
import pytest
from clodius.tiles.format import format_dense_tile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from server.axis import MODES, TILE_BINS, Axis, Mode, Tile
from server.axis_signal import EXACT_WIDTH, ZOOM_SHARE, AxisSignal
from server.tilesets import ObservedTileset, dense_tile
from tracks.bigwig import Bins, write_bigwig
from tracks.bigwig_writer import BASE_ZOOM, BigWigWriter
from tracks.errors import TracksError, UsageError
from tracks.grid import BIN, bin_count

FUNCTIONS: dict[Mode, Callable[..., np.ndarray]] = {"mean": np.mean, "min": np.min, "max": np.max}

# Odd lengths; chromosomes smaller than a bin, in a row; one that the file lacks, and two of other lengths in the file.
GENOME = {"chrA": 300_077, "c1": 50, "c2": 7, "c3": 1000, "chrB": 200_001, "lacking": 90_000, "short": 60_000,
          "long": 40_000, "chrC": 77}  # fmt: skip
IN_FILE = {"chrB": 200_001, "c1": 50, "c3": 1000, "chrA": 300_077, "short": 40_000, "long": 60_000, "c2": 7,
           "other": 99, "chrC": 77}  # fmt: skip


def write_runs(path: Path, seed: int = 0) -> None:
    """Runs of 1 to 400 bases with gaps, whose values have either sign and many sizes."""
    rng = np.random.default_rng(seed)
    with BigWigWriter(path, IN_FILE, BASE_ZOOM) as writer:
        for chrom, length in IN_FILE.items():
            edges = np.unique(np.append(rng.integers(0, length + 1, max(4, length // 60)), [0, length]))
            starts, ends = edges[:-1], edges[1:]
            kept = rng.random(len(starts)) < 0.7
            values = (rng.normal(0, 1, len(starts)) * 10.0 ** rng.integers(-4, 5, len(starts))).astype(np.float32)
            writer.add(chrom, starts[kept], ends[kept], values[kept])


def by_bases(path: Path, genome: dict[str, int]) -> np.ndarray:
    """The value of each base of the axis, float64, NaN where there is none."""
    parts = []
    with pyBigWig.open(str(path)) as file:
        for chrom, length in genome.items():
            values = np.full(length, np.nan)
            if chrom in file.chroms():
                found = file.values(chrom, 0, min(length, file.chroms(chrom)))
                values[: len(found)] = found
            parts.append(values)
    return np.concatenate(parts)


def expected(bases: np.ndarray, tile: Tile, mode: Mode) -> np.ndarray:
    padded = np.full(TILE_BINS * tile.bin_width, np.nan)
    inside = bases[tile.start : tile.end]
    padded[: len(inside)] = inside
    found = [FUNCTIONS[mode](bin_[np.isfinite(bin_)]) if np.isfinite(bin_).any() else np.nan
             for bin_ in padded.reshape(TILE_BINS, -1)]  # fmt: skip
    return np.array(found)


def tiles_of(axis: Axis, mode: Mode = "mean") -> Iterator[Tile]:
    for zoom in range(axis.max_zoom + 1):
        for position in range(-(-axis.length // (axis.max_width >> zoom))):
            yield axis.tile(f"x.{zoom}.{position}.{mode}")


@pytest.fixture(scope="module")
def runs_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("observed") / "runs.bw"
    write_runs(path)
    return path


@pytest.fixture(scope="module")
def tileset(runs_file: Path) -> ObservedTileset:
    return ObservedTileset("x", "a track", Axis(GENOME), "none", runs_file)


@pytest.mark.parametrize("mode", MODES)
def test_bins_are_those_of_the_files_bases_at_every_zoom(tileset: ObservedTileset, runs_file: Path, mode: Mode) -> None:
    bases = by_bases(runs_file, GENOME)
    assert np.isfinite(bases).sum() > 300_000
    crossed = 0
    for tile in tiles_of(tileset.axis, mode):
        assert tile.bin_width <= EXACT_WIDTH
        np.testing.assert_allclose(tileset.values(tile), expected(bases, tile, mode), rtol=2e-6)
        crossed += len(list(tileset.axis.pieces(tile.start, tile.end))) > 1
    assert crossed > tileset.axis.max_zoom, "no tile crossed a chromosome border"


def test_where_a_chromosome_is_lacking_or_shorter_in_the_file_nothing_is_covered(tileset: ObservedTileset) -> None:
    axis, zoom = tileset.axis, tileset.axis.max_zoom
    starts = axis.offsets
    for first, last in ((starts["lacking"], starts["short"]), (starts["short"] + 40_000, starts["long"])):
        values = np.concatenate([tileset.values(axis.tile(f"x.{zoom}.{at}")) for at in range(1 << zoom)])
        inside = values[-(-first // BIN) : last // BIN]
        assert len(inside) > 100
        assert np.isnan(inside).all()


@settings(max_examples=40)
@given(st.data(), st.lists(st.integers(1, 400), min_size=1, max_size=5), st.integers(0, 1 << 30))
def test_any_small_file_is_binned_as_its_bases_are(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, lengths: list[int], seed: int
) -> None:
    genome = {f"chr{at}": length for at, length in enumerate(lengths)}
    rng = np.random.default_rng(seed)
    path = tmp_path_factory.mktemp("any") / "any.bw"
    bases = rng.normal(0, 1, sum(lengths)).astype(np.float32)
    bases[rng.random(len(bases)) < 0.5] = np.nan
    bases[0] = 1
    axis = Axis(genome)
    with BigWigWriter(path, genome, BASE_ZOOM) as writer:
        for chrom, length in genome.items():
            at = np.flatnonzero(np.isfinite(bases[axis.offsets[chrom] :][:length]))
            writer.add(chrom, at, at + 1, bases[axis.offsets[chrom] + at])
    signal = AxisSignal(path, axis)
    start = data.draw(st.integers(0, len(bases)))
    width, count = data.draw(st.integers(1, 64)), data.draw(st.integers(1, 40))
    for mode in MODES:
        got = signal.bins(start, width, count, mode)
        for at in range(count):
            here = bases[start + at * width : start + (at + 1) * width].astype(np.float64)
            here = here[np.isfinite(here)]
            want = FUNCTIONS[mode](here) if len(here) else np.nan
            np.testing.assert_allclose(got[at], want, rtol=1e-6, atol=1e-7)


# Wide bins: 111 Mb, so bins of 131 kb and less. Runs of about 2 kb in [0, 1], gaps, and a block of fives.
WIDE = {"chrA": 61_000_007, "chrB": 50_000_011}


def wide_bins() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(8)
    found = {}
    for chrom, size in WIDE.items():
        bins = bin_count(size)
        values = np.repeat(rng.random(-(-bins // 16)), 16)[:bins].astype(np.float32)
        values[np.repeat(rng.random(-(-bins // 500)) < 0.1, 500)[:bins] | (rng.random(bins) < 0.05)] = np.nan
        found[chrom] = values
    found["chrB"][100_000:200_000] = 5
    return found


@pytest.fixture(scope="module")
def wide_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wide") / "wide.bw"
    write_bigwig(path, WIDE, [Bins(chrom, 0, values) for chrom, values in wide_bins().items()])
    return path


@pytest.fixture(scope="module")
def wide_bases() -> np.ndarray:
    return np.concatenate([np.repeat(values, BIN)[: WIDE[chrom]] for chrom, values in wide_bins().items()])


def spans_of(bases: np.ndarray, tile: Tile, beyond: int = 0) -> Iterator[np.ndarray]:
    """The values of each bin of a tile that lies on the axis, and of so many bases on both sides."""
    for start in range(tile.start, min(tile.end, len(bases)), tile.bin_width):
        here = bases[max(start - beyond, 0) : start + tile.bin_width + beyond]
        yield here[np.isfinite(here)]


def check_wide_means(got: np.ndarray, bases: np.ndarray, tile: Tile) -> None:
    """Wide bins share what crosses their edges out by length, so they are nearly right where they are covered."""
    bins = list(spans_of(bases, tile))
    want = np.array([here.mean(dtype=np.float64) if len(here) else np.nan for here in bins])
    got = got[: len(want)]
    if tile.bin_width <= EXACT_WIDTH:
        np.testing.assert_allclose(got, want, rtol=1e-6)
        return
    # What is not covered weighs nothing, and a bin of a gap's edge has little but what was shared out.
    weight = np.array([len(here) for here in bins]) / tile.bin_width
    empty = np.array([not len(near) for near in spans_of(bases, tile, tile.bin_width // ZOOM_SHARE)])
    assert np.isnan(got[empty]).all()
    assert np.isfinite(got[weight > 0.02]).all()

    def off(got: np.ndarray) -> np.ndarray:
        return (np.abs(got - want) * weight)[np.isfinite(got) & np.isfinite(want)]

    # At the edges of the block of fives, part of a record of values 4.5 apart is on the wrong side.
    assert off(got).max() < 4.5 / ZOOM_SHARE
    assert np.quantile(off(got), 0.99) < 0.04
    assert np.sqrt(np.mean(off(got) ** 2)) < 0.02
    assert all(np.median(off(got)) < np.median(off(np.roll(got, by))) / 4 for by in (-1, 1)), "a bin out of place"


def test_wide_means_are_nearly_right_and_in_place(wide_file: Path, wide_bases: np.ndarray) -> None:
    axis = Axis(WIDE)
    tileset = ObservedTileset("x", "x", axis, "none", wide_file)
    widths = set()
    for zoom in range(6):
        tile = axis.tile(f"x.{zoom}.0")
        widths.add(tile.bin_width)
        got = tileset.values(tile)
        check_wide_means(got, wide_bases, tile)
        assert np.isnan(got[-(-axis.length // tile.bin_width) :]).all()
    assert min(widths) == EXACT_WIDTH < max(widths)


@pytest.mark.parametrize(("mode", "sign"), [("min", -1), ("max", 1)])
def test_wide_extremes_hold_the_bins_own_and_nothing_further_than_a_record(
    wide_file: Path, wide_bases: np.ndarray, mode: Mode, sign: int
) -> None:
    axis = Axis(WIDE)
    signal = AxisSignal(wide_file, axis)
    for zoom in range(2):
        tile = axis.tile(f"x.{zoom}.0.{mode}")
        got = sign * signal.bins(tile.start, tile.bin_width, TILE_BINS, tile.mode)
        beyond = tile.bin_width // ZOOM_SHARE
        own, around = spans_of(sign * wide_bases, tile), spans_of(sign * wide_bases, tile, beyond)
        for value, here, near in zip(got, own, around, strict=False):
            if len(here):
                assert here.max() <= value <= near.max()


def test_levels_that_are_decoded_whole_are_the_same_as_those_in_parts(
    wide_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axis = Axis(WIDE)
    kept = AxisSignal(wide_file, axis)
    monkeypatch.setattr("server.axis_signal._WHOLE_RECORDS", 0)
    parts = AxisSignal(wide_file, axis)
    for mode in MODES:
        for zoom, position in ((0, 0), (1, 0), (1, 1), (2, 1)):
            tile = axis.tile(f"x.{zoom}.{position}.{mode}")
            place = tile.start, tile.bin_width, TILE_BINS, mode
            np.testing.assert_array_equal(kept.bins(*place), parts.bins(*place))


def test_a_tile_of_too_many_values_comes_from_zoom_records(
    wide_file: Path, wide_bases: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    axis = Axis(WIDE)
    tile = axis.tile("x.3.1")
    monkeypatch.setattr("server.axis_signal.EXACT_WIDTH", tile.bin_width)
    exact = AxisSignal(wide_file, axis).bins(tile.start, tile.bin_width, TILE_BINS)
    monkeypatch.setattr("server.axis_signal._MOST_BLOCKS", 10)
    got = AxisSignal(wide_file, axis).bins(tile.start, tile.bin_width, TILE_BINS)
    assert (got != exact).any()
    np.testing.assert_allclose(got, exact, atol=4.5 / 2 / ZOOM_SHARE)


def by_pybigwig(path: Path, nan: bool) -> None:
    """Zoom records of this program have sums of 0 at the end of each block (facts T9); it takes NaN as a value."""
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader(list(WIDE.items()))
        for chrom, values in wide_bins().items():
            at = np.arange(len(values)) if nan else np.flatnonzero(np.isfinite(values))
            ends = np.minimum((at + 1) * BIN, WIDE[chrom])
            file.addEntries([chrom] * len(at), (at * BIN).tolist(), ends.tolist(), values[at].astype(float).tolist())


@pytest.mark.parametrize("nan", [False, True])
def test_wrong_zoom_records_of_pybigwig_are_made_right(tmp_path: Path, wide_bases: np.ndarray, nan: bool) -> None:
    by_pybigwig(tmp_path / "wrong.bw", nan)
    axis = Axis(WIDE)
    signal = AxisSignal(tmp_path / "wrong.bw", axis)
    for zoom in range(3):
        tile = axis.tile(f"x.{zoom}.0")
        check_wide_means(signal.bins(tile.start, tile.bin_width, TILE_BINS), wide_bases, tile)


def test_files_of_pybigtools_are_read_at_every_width(tmp_path: Path) -> None:
    filled = {chrom: np.nan_to_num(values) for chrom, values in wide_bins().items()}  # see tracks.bigwig_writer
    pybigtools.open(str(tmp_path / "other.bw"), "w").write(
        WIDE,
        (
            (chrom, at * BIN, min((at + 1) * BIN, WIDE[chrom]), float(value))
            for chrom, values in filled.items()
            for at, value in enumerate(values)
        ),
    )
    axis = Axis(WIDE)
    signal = AxisSignal(tmp_path / "other.bw", axis)
    bases = np.concatenate([np.repeat(values, BIN)[: WIDE[chrom]] for chrom, values in filled.items()])
    for zoom in range(4):
        tile = axis.tile(f"x.{zoom}.0")
        check_wide_means(signal.bins(tile.start, tile.bin_width, TILE_BINS), bases, tile)


def test_threads_get_what_one_alone_gets(wide_file: Path) -> None:
    axis = Axis(WIDE)
    tiles = [axis.tile(f"x.{zoom}.0") for zoom in range(axis.max_zoom + 1)] * 3
    alone = ObservedTileset("x", "x", axis, "none", wide_file)
    shared = ObservedTileset("x", "x", axis, "none", wide_file)
    with ThreadPoolExecutor(8) as pool:
        for tile, got in zip(tiles, pool.map(shared.values, tiles), strict=True):
            np.testing.assert_array_equal(got, alone.values(tile))


def test_modes_are_asked_for_by_the_end_of_the_id(tileset: ObservedTileset, runs_file: Path) -> None:
    modes = tileset.info()["aggregation_modes"]
    assert modes == {name: {"name": name.capitalize(), "value": name} for name in MODES}
    bases = by_bases(runs_file, GENOME)
    ids = ["x.1.0", *(f"x.1.0.{mode}" for mode in modes)]
    answers = dict(tileset.tiles([*ids, *ids, "x.1.0.std"]))
    assert answers["x.1.0"] == answers["x.1.0.mean"]
    assert "mean, min, max" in answers["x.1.0.std"]["error"]
    for tile_id in ids:
        tile, answer = tileset.axis.tile(tile_id), answers[tile_id]
        got = np.frombuffer(base64.b64decode(answer["dense"]), answer["dtype"])
        assert answer["dtype"] == "float32", "there are gaps"
        np.testing.assert_allclose(got, expected(bases, tile, tile.mode), rtol=2e-6)


@given(arrays(np.float32, TILE_BINS, elements=st.floats(width=32), fill=st.floats(-1e5, 1e5, width=32)))
def test_a_tile_is_encoded_as_clodius_encodes_it(values: np.ndarray) -> None:
    with np.errstate(over="ignore"):
        assert dense_tile(values) == format_dense_tile(values)


def test_a_files_other_names_of_chromosomes_are_matched(tmp_path: Path) -> None:
    values = np.arange(1, 9, dtype=np.float32)
    write_bigwig(tmp_path / "ensembl.bw", {"20": 1000, "X": 500}, [Bins("20", 0, values)])
    tileset = ObservedTileset("x", "x", Axis({"chr1": 256, "chr20": 1000}), "none", tmp_path / "ensembl.bw")
    np.testing.assert_array_equal(tileset.values(tileset.axis.tile("x.0.0"))[:11], [np.nan, np.nan, *values, np.nan])


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [(None, UsageError, "there is no bigWig file"), (b"nothing", TracksError, "not a bigWig file")],
)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, content: bytes | None, error: type[TracksError], said: str
) -> None:
    path = tmp_path / "some.bw"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=said) as caught:
        ObservedTileset("x", "x", Axis({"chr1": 1000}), "none", path)
    assert str(path) in str(caught.value)


def test_a_file_of_another_genome_is_named(runs_file: Path) -> None:
    with pytest.raises(UsageError, match="no chromosome of it is in the genome"):
        ObservedTileset("x", "x", Axis({"scaffold_1": 1000}), "none", runs_file)


def test_a_damaged_block_spoils_the_tiles_that_need_it_alone(tmp_path: Path, wide_file: Path) -> None:
    axis = Axis(WIDE)
    content = bytearray(wide_file.read_bytes())
    data_at = int.from_bytes(content[16:24], "little")
    content[data_at + 12 : data_at + 60] = bytes(48)
    (tmp_path / "damaged.bw").write_bytes(content)
    tileset = ObservedTileset("x", "x", axis, "none", tmp_path / "damaged.bw")
    first, far = f"x.{axis.max_zoom}.0", f"x.{axis.max_zoom}.{1 << axis.max_zoom - 1}"
    answers = dict(tileset.tiles([first, far]))
    assert "damaged" in answers[first]["error"]
    assert "dense" in answers[far]


def test_kept_tiles_are_bounded_and_the_same(wide_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.tilesets._KEPT_BYTES", 20_000)
    axis = Axis(WIDE)
    tileset = ObservedTileset("x", "x", axis, "none", wide_file)
    made = []
    monkeypatch.setattr(tileset, "values", lambda tile: made.append(tile) or np.zeros(TILE_BINS, np.float32))
    first = [f"x.{axis.max_zoom}.{at}" for at in range(3)]
    for tile_id in [*first, *first, f"{first[0]}.max"]:
        tileset.tile(axis.tile(tile_id))
    assert len(made) == 4, "an id's mode is part of what is kept"
    for at in range(30):
        tileset.tile(axis.tile(f"x.{axis.max_zoom}.{at}"))
    tileset.tile(axis.tile(first[0]))
    assert len(made) == 4 + 27 + 1, "the one asked for longest ago is dropped"
