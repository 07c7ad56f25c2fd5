"""Points and intervals through chains: equal to pyliftover, base by base."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyliftover import LiftOver

from tests.tracks.liftover.made import SOURCE_SIZES, TARGET_SIZES, Chain, chain_lists, chain_text
from tracks.errors import UsageError
from tracks.liftover.chains import Chains, read_chains
from tracks.liftover.lift import (
    MULTI_MAPPED,
    UNMAPPED,
    Pieces,
    Route,
    all_places,
    collisions,
    lift_intervals,
    lift_points,
    merged,
)
from tracks.liftover.segments import Segments

Place = tuple[str, int, bool]


def read(folder: pytest.TempPathFactory, made: list[Chain]) -> tuple[Chains, LiftOver]:
    path: Path = folder.mktemp("chain") / "made.chain"
    path.write_text(chain_text(made))
    return read_chains(path), LiftOver(io.BytesIO(path.read_bytes()))


def their_places(lift: LiftOver, chrom: str, position: int) -> list[Place]:
    return [(name, at, strand == "-") for name, at, strand, _ in lift.convert_coordinate(chrom, position) or []]


@given(chain_lists)
def test_every_place_of_every_base_is_that_of_pyliftover(
    tmp_path_factory: pytest.TempPathFactory, made: list[Chain]
) -> None:
    chains, theirs = read(tmp_path_factory, made)
    names = list(chains.target_sizes)
    for chrom, size in SOURCE_SIZES.items():
        positions = np.arange(size + 5)
        found = all_places(chains, chrom, positions)
        ours: dict[int, list[Place]] = {at: [] for at in positions.tolist()}
        columns = (found.of, found.targets, found.positions, found.reverse)
        for of, target, at, reverse in zip(*(column.tolist() for column in columns), strict=True):
            ours[of].append((names[target], at, reverse))
        one = lift_points(Route.through([chains]), chrom, positions)
        for at in positions.tolist():
            expected = their_places(theirs, chrom, at)
            assert sorted(ours[at]) == sorted(expected)
            assert one.hits[at] == len(expected)
            place = (names[one.targets[at]], int(one.positions[at]), bool(one.reverse[at]))
            if len(expected) == 1:
                assert place == expected[0]
            else:
                assert (one.targets[at], one.positions[at], one.reverse[at]) == (-1, -1, False)


@given(chain_lists, chain_lists)
def test_two_chains_in_a_row_are_pyliftover_twice(
    tmp_path_factory: pytest.TempPathFactory, first: list[Chain], second: list[Chain]
) -> None:
    there, lift_there = read(tmp_path_factory, first)
    # Back by other chains, from the target to the source: those of a second list, turned round.
    back = read(tmp_path_factory, second)[0].inverted()
    used = set(there.target_sizes) & set(back.source_sizes)
    if not used:
        with pytest.raises(UsageError, match="no chromosome of it is in the genome"):
            Route.through([there, back])
        return
    route = Route.through([there, back])
    names = list(back.target_sizes)
    for chrom, size in SOURCE_SIZES.items():
        found = lift_points(route, chrom, np.arange(size))
        for at in range(size):
            middle = their_places(lift_there, chrom, at)
            expected: list[Place] = []
            if len(middle) == 1:
                name, position, reverse = middle[0]
                step = all_places(back, name, np.array([position]))
                expected = [
                    (names[target], place, turned != reverse)
                    for target, place, turned in zip(
                        step.targets.tolist(), step.positions.tolist(), step.reverse.tolist(), strict=True
                    )
                ]
            if len(expected) == 1:
                assert (names[found.targets[at]], found.positions[at], found.reverse[at]) == expected[0]
            else:
                assert found.targets[at] == -1
                assert found.hits[at] == (len(middle) if len(middle) != 1 else len(expected))


spans = st.lists(st.tuples(st.integers(0, 350), st.integers(1, 120)), min_size=1, max_size=6)


@given(chain_lists, st.lists(chain_lists, max_size=1), spans)
def test_intervals_are_their_bases(
    tmp_path_factory: pytest.TempPathFactory,
    first: list[Chain],
    more: list[list[Chain]],
    given_spans: list[tuple[int, int]],
) -> None:
    steps = [read(tmp_path_factory, first)[0], *(read(tmp_path_factory, made)[0].inverted() for made in more)]
    try:
        route = Route.through(steps)
    except UsageError:
        return
    starts = np.array([start for start, _ in given_spans])
    ends = starts + [size for _, size in given_spans]
    for chrom in SOURCE_SIZES:
        pieces, lost = lift_intervals(route, chrom, starts, ends)
        bases: dict[tuple[int, int], tuple[int, int, bool] | int] = {}
        for at in range(len(pieces)):
            length = int(pieces.ends[at] - pieces.starts[at])
            assert length == pieces.source_ends[at] - pieces.source_starts[at] > 0
            for offset in range(length):
                place = pieces.ends[at] - 1 - offset if pieces.reverse[at] else pieces.starts[at] + offset
                key = (int(pieces.of[at]), int(pieces.source_starts[at]) + offset)
                assert key not in bases
                bases[key] = (int(pieces.targets[at]), int(place), bool(pieces.reverse[at]))
        for at in range(len(lost)):
            for base in range(lost.starts[at], lost.ends[at]):
                assert (int(lost.of[at]), base) not in bases
                bases[int(lost.of[at]), base] = int(lost.reasons[at])
        for number, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            points = lift_points(route, chrom, np.arange(start, end))
            for at, base in enumerate(range(start, end)):
                if points.hits[at] == 1:
                    expected = (int(points.targets[at]), int(points.positions[at]), bool(points.reverse[at]))
                    assert bases.pop((number, base)) == expected
                else:
                    assert bases.pop((number, base)) == (UNMAPPED if points.hits[at] == 0 else MULTI_MAPPED)
        assert not bases


@given(chain_lists, spans)
def test_merged_pieces_hold_the_same_bases_and_do_not_touch(
    tmp_path_factory: pytest.TempPathFactory, made: list[Chain], given_spans: list[tuple[int, int]]
) -> None:
    route = Route.through([read(tmp_path_factory, made)[0]])
    starts = np.array([start for start, _ in given_spans])
    pieces, _ = lift_intervals(route, "chr1", starts, starts + [size for _, size in given_spans])

    def bases(some: Pieces) -> Counter[tuple[int, int, bool, int]]:
        columns = (some.of, some.targets, some.reverse, some.starts, some.ends)
        return Counter(
            (of, target, reverse, base)
            for of, target, reverse, start, end in zip(*(column.tolist() for column in columns), strict=True)
            for base in range(start, end)
        )

    joined = merged(pieces)
    assert bases(joined) == bases(pieces)
    single = max(bases(joined).values(), default=1) == 1
    ends = {(*key[:3], end) for key, end in zip(_keys(joined), joined.ends.tolist(), strict=True)}
    touching = [key for key in _keys(joined) if key in ends]
    assert not (single and touching)


def _keys(pieces: Pieces) -> list[tuple[int, int, bool, int]]:
    columns = (pieces.of, pieces.targets, pieces.reverse, pieces.starts)
    return list(zip(*(column.tolist() for column in columns), strict=True))


placed = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 60), st.integers(1, 20), st.integers(0, 60), st.booleans()), max_size=8
)


@given(placed)
def test_collisions_are_bases_with_several_sources(rows: list[tuple[int, int, int, int, bool]]) -> None:
    sources, source_starts, sizes, starts, reverse = np.array(rows, np.int64).reshape(-1, 5).T
    numbers = np.arange(len(rows))
    pieces = Pieces(
        numbers, source_starts, source_starts + sizes, numbers * 0, starts, starts + sizes, reverse.astype(bool)
    )
    hit: dict[int, set[tuple[int, int, bool]]] = {}
    for source, source_start, size, start, turned in rows:
        for offset in range(size):
            base = start + (size - 1 - offset if turned else offset)
            hit.setdefault(base, set()).add((source, source_start + offset, turned))
    found_starts, found_ends = collisions(sources, pieces)
    found = [base for start, end in zip(found_starts, found_ends, strict=True) for base in range(start, end)]
    assert found == sorted(base for base, from_ in hit.items() if len(from_) > 1)
    assert (found_starts[1:] > found_ends[:-1]).all()


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=8), spans)
def test_segments_count_what_holds_each_base(rows: list[tuple[int, int]], asked: list[tuple[int, int]]) -> None:
    starts = np.array([start for start, _ in rows], np.int64)
    ends = starts + np.array([size for _, size in rows], np.int64)
    segments = Segments.of(starts, ends)
    positions = np.arange(500)
    holding = [np.flatnonzero((starts <= at) & (at < ends)).tolist() for at in positions]
    at = segments.at(positions)
    assert segments.depth[at].tolist() == [len(held) for held in holding]
    assert segments.which[at].tolist() == [held[0] if len(held) == 1 else -1 for held in holding]
    asked_starts = np.array([start for start, _ in asked])
    of, first, last, segment = segments.cut(asked_starts, asked_starts + [size for _, size in asked])
    bases = [(owner, base) for owner, a, b in zip(of, first, last, strict=True) for base in range(a, b)]
    assert bases == [(owner, base) for owner, (start, size) in enumerate(asked) for base in range(start, start + size)]
    assert (segments.at(first) == segment).all()
    assert (segments.at(last - 1) == segment).all()


def test_chains_that_do_not_follow_are_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    chain = Chain(1, "chr1", 0, "chr1", 0, False, ((10, 0, 0),))
    chains, _ = read(tmp_path_factory, [chain])
    with pytest.raises(UsageError, match=r"of another genome build: its chr1 has 500 bases, the genome's chr1 400"):
        Route.through([chains, chains])
    with pytest.raises(UsageError, match="needs a chain file"):
        Route.through([])
    assert TARGET_SIZES["chr1"] == 500
