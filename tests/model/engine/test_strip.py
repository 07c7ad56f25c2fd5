from __future__ import annotations

import copy
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.engine.base import TrunkEngine
from model.engine.folded import fold
from model.engine.make import make_engine
from model.engine.strip import CHUNK, TowerStrip, tower_reach
from model.folder import Model
from model.trunk import Trunk, TrunkConfig
from tracks.genome import Genome
from tracks.grid import BIN, BINS, FLANK, INPUT, WINDOW
from tracks.method import PRECISIONS, Precision

CPU = torch.device("cpu")
_ERRORS = {"fp32": (5e-5, 5e-6), "winograd": (1e-4, 1e-5), "bf16": (1, 0.03), "int8": (3, 0.2)}
"""The largest and the mean error of each precision against float64, of the stream's standard deviation."""

# The start of a chromosome and before it; on the grid and off it; beside 150 kb of N; at the end and past it.
STARTS = (-3 * BIN, 0, 8 * BIN, WINDOW, WINDOW // 2, 180_096, 219_904, 4 * WINDOW, 5 * WINDOW + BIN)


@dataclass(frozen=True)
class Counting:
    """An engine that notes how many inputs of which length pass its tower."""

    precision: Precision
    engine: TrunkEngine
    lengths: list[int]

    def strip(self, genome: Genome, keep: int = 8) -> TowerStrip:
        return TowerStrip(self.engine, genome.codes, keep)


@pytest.fixture(scope="module", params=PRECISIONS)
def counting(request: pytest.FixtureRequest, deep_model: Model) -> Counting:
    engine = make_engine(deep_model.network.trunk, CPU, request.param)
    lengths: list[int] = []
    tower = engine.tower

    def counted(codes: torch.Tensor) -> torch.Tensor:
        lengths.extend([codes.shape[1]] * len(codes))
        return tower(codes)

    engine.tower = counted  # type: ignore[method-assign]
    return Counting(request.param, engine, lengths)


@pytest.fixture(scope="module")
def reference(deep_model: Model) -> Trunk:
    """The plain network in float64."""
    return copy.deepcopy(deep_model.network.trunk).double()


def scale(stream: torch.Tensor) -> float:
    return float(stream.double().std())


@pytest.mark.parametrize("start", STARTS)
def test_a_window_is_what_a_pass_of_its_own_gives(counting: Counting, genome: Genome, start: int) -> None:
    codes = genome.codes("chr1", start - FLANK, start - FLANK + INPUT)
    alone = counting.engine.stream(torch.from_numpy(codes)[None])
    shared = counting.strip(genome).window("chr1", start)
    assert shared.shape == alone.shape == (1, counting.engine.folded.width, 1, BINS)
    assert shared.dtype == counting.engine.dtype
    assert float((shared.double() - alone.double()).abs().max()) <= 1e-5 * float(alone.abs().max())
    assert scale(alone) > 0.1


def test_a_seamless_window_sees_what_a_longer_sequence_shows(
    counting: Counting, genome: Genome, reference: Trunk
) -> None:
    strip = counting.strip(genome)
    seamless = torch.cat([strip.seamless("chr1", index) for index in (0, 1)], dim=3).double()
    around = 400 * BIN
    codes = torch.from_numpy(genome.codes("chr1", -around, 2 * WINDOW + around))[None]
    with torch.inference_mode():
        cut = (around - FLANK) // BIN
        expected = reference.residual_stream(codes)[..., cut:-cut]
    error = (seamless - expected).abs() / scale(expected)
    largest, mean = _ERRORS[counting.precision]
    assert error.max() < largest
    assert error.mean() < mean


def test_zero_padding_shows_in_windows_and_only_near_their_ends(counting: Counting, genome: Genome) -> None:
    strip = counting.strip(genome)
    seamless = strip.seamless("chr1", 1).double()
    differs = (strip.window("chr1", WINDOW).double() - seamless).abs().amax(dim=(0, 1, 2)).numpy() > 1e-4 * scale(
        seamless
    )
    reach = 212 - 64
    assert not differs[reach:-reach].any()
    assert differs[: reach // 2].mean() > 0.3
    assert differs[-reach // 2 :].mean() > 0.3


def test_numbers_do_not_depend_on_what_was_asked_before(counting: Counting, genome: Genome) -> None:
    places = (0, 180_096, 57_344, WINDOW)
    strips = [counting.strip(genome, keep) for keep in (1, 16, 16)]
    found = [
        {start: strip.window("chr1", start) for start in order}
        for strip, order in zip(strips, (places, places, places[::-1]), strict=True)
    ]
    seamless = [[strip.seamless("chr1", index) for index in (1, 0)] for strip in strips]
    for other, streams in zip(found[1:], seamless[1:], strict=True):
        assert all(torch.equal(found[0][start], other[start]) for start in places)
        assert all(torch.equal(*pair) for pair in zip(seamless[0], streams, strict=True))


@pytest.mark.parametrize(
    "starts",
    [
        range(0, 4 * WINDOW, WINDOW),
        range(0, 4 * WINDOW, WINDOW // 2),
        range(0, 128 * BIN, 8 * BIN),
        range(3 * WINDOW, -1, -WINDOW),
    ],
)
def test_each_base_passes_the_tower_about_once(counting: Counting, genome: Genome, starts: range) -> None:
    strip = counting.strip(genome)
    counting.lengths.clear()
    for start in starts:
        strip.window("chr1", start)
    chunks = [length for length in counting.lengths if length > 6 * BIN]
    assert counting.lengths.count(6 * BIN) == 2 * len(starts) == len(counting.lengths) - len(chunks)
    span = max(starts) - min(starts) + INPUT
    assert set(chunks) == {(CHUNK + 6) * BIN}
    assert len(chunks) <= span // (CHUNK * BIN) + 2


def test_seamless_windows_in_order_need_two_chunks_each(counting: Counting, genome: Genome) -> None:
    strip = counting.strip(genome)
    strip.seamless("chr1", 0)
    counting.lengths.clear()
    for index in (1, 2, 3):
        strip.seamless("chr1", index)
    assert counting.lengths == [(CHUNK + 6) * BIN] * 6


def test_only_the_last_chunks_are_kept(counting: Counting, genome: Genome) -> None:
    strip = counting.strip(genome, keep=4)
    counts = []
    for chrom, start in (("chr1", 0), ("chr2", 0), ("chr1", 0), ("chr1", 0)):
        counting.lengths.clear()
        strip.window(chrom, start)
        counts.append(len(counting.lengths) - 2)
    # Of chr1's three, two went for chr2's; and each that comes again drives out the next.
    assert counts == [3, 3, 3, 0]


def test_a_start_between_bins_is_refused(counting: Counting, genome: Genome) -> None:
    with pytest.raises(ValueError, match="multiples of 128, not at 1000"):
        counting.strip(genome).window("chr1", 1_000)


def test_the_tower_of_basenji2_reaches_three_bins(deep_model: Model) -> None:
    assert tower_reach(fold(deep_model.network.trunk)) == 3
    assert TrunkConfig().receptive_field() == 2 * (259 + 212 * BIN) + BIN
    short = TrunkConfig(stem_filters=4, stem_kernel=3, tower_kernel=1, tower_filters=4, residual_blocks=1)
    assert tower_reach(fold(Trunk(short).eval())) == 1


class Ruler(TrunkEngine):
    """An engine whose tower bins say where they come from, and whether they were computed beside an end."""

    def __init__(self) -> None:
        layer = SimpleNamespace(reach=259, pool=BIN)
        super().__init__(SimpleNamespace(stem=layer, tower=(), reach=212), CPU, torch.float32)  # type: ignore[arg-type]

    def tower(self, codes: torch.Tensor) -> torch.Tensor:
        bins = codes.view(len(codes), -1, BIN)[..., 0].float()
        bins[:, :3] += 1_000
        bins[:, -3:] += 2_000
        return bins[:, None, None]

    def residual(self, tower: torch.Tensor) -> torch.Tensor:
        return tower

    def residual_unpadded(self, tower: torch.Tensor) -> torch.Tensor:
        return tower

    def embedding(self, stream: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


def bin_numbers(chrom: str, start: int, end: int) -> np.ndarray:
    """Base codes that say which bin they are of, up to 251."""
    return (np.arange(start, end) // BIN % 251).astype(np.uint8)


@given(st.lists(st.tuples(st.booleans(), st.integers(-5_000, 5_000)), min_size=1, max_size=6), st.integers(1, 9))
def test_every_bin_is_that_of_its_place(asked: list[tuple[bool, int]], keep: int) -> None:
    strip = TowerStrip(Ruler(), bin_numbers, keep)
    for seamless, place in asked:
        if seamless:
            first = place // 100 * BINS - 212
            expected = np.arange(first, first + BINS + 2 * 212) % 251.0
            found = strip.seamless("chr1", place // 100)
        else:
            expected = np.arange(place - 64, place + 960) % 251.0
            expected[:3] += 1_000
            expected[-3:] += 2_000
            found = strip.window("chr1", place * BIN)
        np.testing.assert_array_equal(found[0, 0, 0].numpy(), expected)
