"""Real chains and real data: hg18, hg19 and hg38, point by point with pyliftover."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pyliftover import LiftOver

from tests.tracks.liftover.made import fetched
from tracks.liftover.chains import read_chains
from tracks.liftover.files import lift_counts, lift_rows
from tracks.liftover.layouts import BED, counts_layout
from tracks.liftover.lift import Route, all_places, lift_points
from tracks.mini import sources
from tracks.mini.methylation import read_bsseq

RealChain = Callable[[str], Path]
REFERENCE = Path(__file__).parents[3].parent / "shared" / "reference"
CHROMS = [f"chr{name}" for name in (*range(1, 23), "X", "Y")]


@pytest.mark.parametrize("name", ["hg18ToHg19", "hg38ToHg19"])
def test_random_bases_lift_as_pyliftover_lifts_them(real_chain: RealChain, name: str) -> None:
    chains, theirs = read_chains(real_chain(name)), LiftOver(str(real_chain(name)))
    back = chains.inverted()
    route, names = Route.through([chains]), list(chains.target_sizes)
    rng = np.random.default_rng(3)
    for chrom, size in chains.source_sizes.items():
        positions = rng.integers(0, size, 1_000 if chrom in CHROMS else 50)
        found = lift_points(route, chrom, positions)
        for at, position in enumerate(positions.tolist()):
            places = theirs.convert_coordinate(chrom, position)
            assert found.hits[at] == len(places)
            if len(places) == 1:
                strand = "-" if found.reverse[at] else "+"
                assert (names[found.targets[at]], found.positions[at], strand) == places[0][:3]
        # The chains turned round hold, among the places of where a base went, the base.
        for target in np.unique(found.targets[found.targets >= 0]).tolist():
            here = np.flatnonzero(found.targets == target)
            returned = all_places(back, names[target], found.positions[here])
            home = np.array([*back.target_sizes])[returned.targets] == chrom
            home &= returned.positions == positions[here][returned.of]
            assert set(returned.of[home].tolist()) == set(range(len(here)))


def test_two_chains_in_a_row_agree_with_the_direct_one(real_chain: RealChain) -> None:
    """hg18 to hg19 to hg38 against hg18 to hg38: two ways that UCSC made apart from each other."""
    route = Route.through([read_chains(real_chain(name)) for name in ("hg18ToHg19", "hg19ToHg38")])
    direct = Route.through([read_chains(real_chain("hg18ToHg38"))])
    names, direct_names = (np.array([*way.target_sizes, ""]) for way in (route, direct))
    rng = np.random.default_rng(0)
    both = same = 0
    for chrom in CHROMS:
        positions = rng.integers(0, route.source_sizes[chrom], 20_000)
        two, one = lift_points(route, chrom, positions), lift_points(direct, chrom, positions)
        kept = (two.hits == 1) & (one.hits == 1)
        equal = (names[two.targets] == direct_names[one.targets]) & (two.positions == one.positions)
        both += int(kept.sum())
        same += int((kept & equal & (two.reverse == one.reverse)).sum())
    assert both > 0.89 * 20_000 * len(CHROMS)
    assert same / both > 0.999


def test_real_methylation_keeps_494724_of_494728_sites(real_chain: RealChain, tmp_path: Path) -> None:
    pytest.importorskip("rdata")
    sites = read_bsseq(fetched(sources.METHYLATION))
    table = np.stack([sites.positions, sites.methylated, sites.coverage], axis=1)
    source = tmp_path / "imr90.tsv.gz"
    with gzip.open(source, "wt", compresslevel=1) as file:
        file.writelines(f"chr22\t{position}\t{count}\t{total}\n" for position, count, total in table.tolist())
    path, lost = tmp_path / "lifted.tsv", tmp_path / "lost.bed"
    route = Route.through([read_chains(real_chain("hg18ToHg19"))])
    report = lift_counts(source, counts_layout(source, "chrom=1,start=2"), route, None, path, lost)
    assert (report.source, report.lifted, report.unmapped) == (494_728, 494_724, 4)
    assert len(lost.read_text().splitlines()) == 4
    found = np.loadtxt(path, np.int64, usecols=(1, 2, 3))
    theirs = LiftOver(str(real_chain("hg18ToHg19")))
    expected = {
        places[0][1]: (count, total)
        for position, count, total in table[::37].tolist()
        if len(places := theirs.convert_coordinate("chr22", position)) == 1
    }
    lifted = {position: (count, total) for position, count, total in found.tolist() if position in expected}
    assert lifted == expected
    assert (np.diff(found[:, 0]) > 0).all()


def test_real_lads_lift_base_by_base(real_chain: RealChain, tmp_path: Path) -> None:
    source = REFERENCE / "GSM5669232_Liver_LADs.sorted.bed.gz"
    if not source.is_file():
        pytest.skip(f"there is no {source}")
    chain = real_chain("hg38ToHg19")
    route = Route.through([read_chains(chain)])
    out, lost_file = tmp_path / "hg19.bed", tmp_path / "lost.bed"
    report = lift_rows(source, BED, route, None, out, lost_file)
    assert report.source == 2_298_500_000
    assert report.lifted + report.unmapped + report.colliding == report.source
    assert report.lifted / report.source > 0.979
    assert report.colliding / report.source < 0.002
    theirs = LiftOver(str(chain))
    pieces = _by_name(out)
    lost = _spans(lost_file)
    rng = np.random.default_rng(1)
    kept = 0
    with gzip.open(source, "rt") as lines:
        rows = [line.split("\t") for line in lines]
    for row in (rows[at] for at in rng.choice(len(rows), 400, replace=False)):
        for base in rng.integers(int(row[1]), int(row[2]), 5).tolist():
            places = theirs.convert_coordinate(row[0], base) or []
            gone = any(start <= base < end for start, end in lost.get(row[0], {}).get(base // 100_000, ()))
            held = [place for place in places if _holds(pieces.get(row[3], []), place[0], place[1])]
            assert gone == (not held)
            assert gone or (len(places) == 1 and len(held) == 1)
            kept += not gone
    assert kept > 1_800


def _by_name(path: Path) -> dict[str, list[tuple[str, int, int]]]:
    rows: dict[str, list[tuple[str, int, int]]] = {}
    for line in path.read_text().splitlines():
        chrom, start, end, name = line.split("\t")[:4]
        rows.setdefault(name, []).append((chrom, int(start), int(end)))
    return rows


def _spans(path: Path) -> dict[str, dict[int, list[tuple[int, int]]]]:
    """Spans of a BED file by chromosome and by each 100 kb that they touch."""
    spans: dict[str, dict[int, list[tuple[int, int]]]] = {}
    for line in path.read_text().splitlines():
        chrom, start, end = line.split("\t")[:3]
        for cell in range(int(start) // 100_000, int(end) // 100_000 + 1):
            spans.setdefault(chrom, {}).setdefault(cell, []).append((int(start), int(end)))
    return spans


def _holds(rows: list[tuple[str, int, int]], chrom: str, position: int) -> bool:
    return any(name == chrom and start <= position < end for name, start, end in rows)
