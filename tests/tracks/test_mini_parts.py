"""The parts of the data preparation on small inputs: alignment, liftover, repair, binning."""

from __future__ import annotations

import gzip
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.errors import TracksError
from tracks.genome import Genome
from tracks.liftover.chains import read_chains
from tracks.liftover.lift import Route
from tracks.mini import labels, liftover, methylation, sequence
from tracks.mini.methylation import Sites

MAF = """##maf version=1
a
s Hsap.22 5 6 + 30 ACgt--NA
s Ptro.22 0 6 + 90 ACGTTTNA

a
s Hsap.22 20 3 + 30 TTT
"""


def test_alignment_rows_are_bases_at_their_positions() -> None:
    rows = list(sequence.alignment_rows(MAF.splitlines(), "Hsap.22", 30))
    assert [(start, bases.tobytes()) for start, bases in rows] == [(5, b"ACGTNA"), (20, b"TTT")]


def test_an_alignment_row_of_another_length_is_refused() -> None:
    with pytest.raises(TracksError, match=r"line 7: Hsap\.22 has 3 bases and says 4"):
        list(sequence.alignment_rows(MAF.replace("20 3", "20 4").splitlines(), "Hsap.22", 30))
    with pytest.raises(TracksError, match=r"line 3: Hsap\.22 has length 30, and should have 31"):
        list(sequence.alignment_rows(MAF.splitlines(), "Hsap.22", 31))
    with pytest.raises(TracksError, match=r"line 7: a row has 7 fields, found 6"):
        list(sequence.alignment_rows(MAF.replace("20 3 +", "20 +").splitlines(), "Hsap.22", 30))


def test_an_alignment_row_on_the_reverse_strand_is_turned_round() -> None:
    text = "s Hsap.22 2 5 - 30 AAC-Gn"
    ((start, bases),) = sequence.alignment_rows([text], "Hsap.22", 30)
    # On the reverse strand 2 is counted from the end: the row covers [23, 28).
    assert (start, bases.tobytes()) == (23, b"NCGTT")


def test_sources_of_sequence_fill_each_other_and_must_agree() -> None:
    whole = sequence.letters(b"NNACNN").copy()
    sequence.fill(whole, 1, sequence.letters(b"GANT"))
    assert whole.tobytes() == b"NGACTN"
    with pytest.raises(TracksError, match="disagree at base 3"):
        sequence.fill(whole, 2, sequence.letters(b"C"))
    assert sequence.masked(whole, [(1, 3)]).tobytes() == b"NGANNN"


def test_a_written_fasta_is_read_back(tmp_path: Path) -> None:
    text = b"ACGTN" * 61 + b"AC"
    sequence.write_fasta(tmp_path / "x.fa.gz", {"chrA": sequence.letters(text), "chrB": sequence.letters(b"acgx")})
    genome = Genome(tmp_path / "x.fa.gz")
    assert genome.chrom_sizes == {"chrA": 307, "chrB": 4}
    assert "".join("ACGTN"[code] for code in genome.codes("chrA", 0, 307)) == text.decode()
    assert genome.codes("chrB", 0, 4).tolist() == [0, 1, 2, 4]
    assert {path.name for path in tmp_path.iterdir()} == {"x.fa.gz", "x.fa.gz.fai", "x.fa.gz.gzi"}


intervals = st.lists(st.tuples(st.integers(0, 990), st.integers(1, 400)), max_size=8)


@given(intervals)
def test_covered_fraction_equals_marking_bases(spans: list[tuple[int, int]]) -> None:
    length = 1_000
    rows = np.array([(start, start + size) for start, size in spans], np.int64).reshape(-1, 2)
    marked = np.zeros(length, bool)
    for start, end in rows:
        marked[start:end] = True
    expected = [marked[start : start + 128].mean() for start in range(0, length, 128)]
    np.testing.assert_allclose(labels.covered_fraction(rows, length), expected, rtol=1e-6)


@pytest.fixture
def chain(tmp_path: Path) -> Route:
    """10,000 bases stay, 10,000 move by 5,000 onto the other strand, the rest has no place."""
    path = tmp_path / "test.chain.gz"
    path.write_bytes(
        gzip.compress(
            b"chain 1000 chr1 40000 + 0 10000 chr1 50000 + 0 10000 1\n10000\n\n"
            b"chain 900 chr1 40000 + 10000 20000 chr1 50000 - 25000 35000 2\n10000\n\n"
        )
    )
    return Route.through([read_chains(path)])


def test_pieces_follow_the_chain_and_its_strand(chain: Route) -> None:
    pieces = liftover.lifted_pieces(chain, "chr1", 40_000)
    assert pieces[:, 0].tolist() == list(range(0, 20_000, 1_000))
    np.testing.assert_array_equal(pieces[:10, 1], np.arange(0, 10_000, 1_000))
    # On the reverse strand 10,000 is the last base of what lies at 15,000 to 25,000.
    np.testing.assert_array_equal(pieces[10:, 2], np.arange(25_000, 15_000, -1_000))
    assert (pieces[:, 2] - pieces[:, 1] == 1_000).all()


def test_lifted_domains_are_masked_where_nothing_lifts(chain: Route) -> None:
    pieces = liftover.lifted_pieces(chain, "chr1", 40_000)
    fraction = liftover.lifted_fraction(np.array([[2_000, 4_000], [12_000, 14_000]]), pieces, 50_000)
    bases = np.full(50_048, np.nan)
    bases[:10_000] = bases[15_000:25_000] = 0
    bases[2_000:4_000] = 1
    bases[21_000:23_000] = 1  # 12,000 to 14,000 read from the other end
    split = bases.reshape(-1, 128)
    reached = np.isfinite(split).sum(axis=1) >= 64
    np.testing.assert_array_equal(np.isfinite(fraction), reached)
    np.testing.assert_allclose(fraction[reached], np.nanmean(split[reached], axis=1), rtol=1e-6)


def test_repair_restores_the_cpgs_that_the_data_omits() -> None:
    codes = np.full(20_000, 0, np.uint8)
    for position in (100, 200, 5_100, 5_101 + 5_000, 19_000):
        codes[position : position + 2] = (1, 2)
    sites = Sites(np.array([100, 300, 5_100]), np.array([3, 9, 4]), np.array([4, 9, 8]))
    found = methylation.repaired(sites, codes)
    # 300 is no CG; 200 lies near 100; 10,101 lies 5,001 from 5,100, and 19,000 further.
    assert found.positions.tolist() == [100, 5_100, 200]
    assert found.methylated.tolist() == [3, 4, 0]
    assert found.coverage.tolist() == [4, 8, 20]


def test_sites_off_every_cg_are_a_wrong_build() -> None:
    with pytest.raises(TracksError, match="the build or the positions are wrong"):
        methylation.repaired(Sites(*(np.array([5]),) * 3), np.zeros(100, np.uint8))


def test_methylated_fraction_is_weighted_by_coverage() -> None:
    sites = Sites(np.array([0, 127, 128, 300]), np.array([1, 3, 0, 0]), np.array([10, 10, 5, 0]))
    fraction = methylation.methylated_fraction(sites, 400)
    np.testing.assert_array_equal(fraction, np.array([0.2, 0, np.nan, np.nan], np.float32))


def test_lifted_sites_keep_their_counts(chain: Route) -> None:
    found = methylation.lifted(Sites(np.array([50, 15_000, 30_000]), np.arange(3), np.arange(3)), chain, "chr1")
    # The chain turns 15,000 round to 19,999, which is the G of the CpG there. 30,000 has no place.
    assert found.positions.tolist() == [50, 19_998]
    assert found.methylated.tolist() == [0, 1]


@given(intervals, st.integers(1, 1_500))
def test_covered_bases_of_short_chromosomes(spans: list[tuple[int, int]], length: int) -> None:
    rows = np.array([(start, start + size) for start, size in spans], np.int64).reshape(-1, 2)
    marked = np.zeros(-(-length // 128) * 128, bool)
    for start, end in rows:
        marked[start : min(end, length)] = True
    marked[length:] = False
    assert labels.covered_bases(rows, length).tolist() == marked.reshape(-1, 128).sum(axis=1).tolist()


@given(intervals)
def test_merged_intervals_are_disjoint_and_hold_the_same_bases(spans: list[tuple[int, int]]) -> None:
    rows = np.array([(start, start + size) for start, size in spans], np.int64).reshape(-1, 2)
    bases = {base for start, end in rows.tolist() for base in range(start, end)}
    merged = labels.merged(rows).tolist()
    assert [base for start, end in merged for base in range(start, end)] == sorted(bases)
    assert all(first[1] < second[0] for first, second in pairwise(merged))
    places = np.arange(-1, 1_400)
    assert set(places[labels.inside(places, rows)].tolist()) == bases


sites = st.lists(st.tuples(st.integers(0, 999), st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=30)


@given(sites)
def test_methylated_fraction_equals_a_plain_loop(rows: list[tuple[int, int, int]]) -> None:
    expected = []
    for first in range(0, 1_000, 128):
        here = [(min(m, c), c) for position, m, c in rows if first <= position < first + 128]
        coverage = float(sum(c for _, c in here))
        expected.append(sum(m for m, _ in here) / coverage if coverage else np.nan)
    position, methylated, coverage_of = np.array(rows).T
    found = methylation.methylated_fraction(Sites(position, np.minimum(methylated, coverage_of), coverage_of), 1_000)
    np.testing.assert_array_equal(found, np.array(expected).astype(np.float32))


@given(st.sets(st.integers(0, 40), min_size=1), st.sets(st.integers(0, 40)), st.integers(0, 3_000))
def test_repair_equals_a_plain_loop(measured: set[int], absent: set[int], spacing: int) -> None:
    step = spacing + 2
    codes = np.zeros(step * 42, np.uint8)
    for site in measured | absent:
        codes[site * step : site * step + 2] = (1, 2)
    positions = np.array(sorted(measured)) * step
    found = methylation.repaired(Sites(positions, positions * 0 + 3, positions * 0 + 4), codes)
    added = [
        site * step
        for site in sorted(absent - measured)
        if min(abs(site - other) for other in measured) * step <= methylation.REPAIR_REACH
    ]
    assert found.positions.tolist() == [*positions.tolist(), *added]
    assert found.methylated.tolist() == [3] * len(measured) + [0] * len(added)


def test_a_damaged_interval_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.bed.gz"
    path.write_bytes(gzip.compress(b"chr1\t1\tlots\n"))
    with pytest.raises(TracksError, match=r"cannot read the intervals of chr1 in .*x\.bed\.gz"):
        labels.read_intervals(path, "chr1")
    path.write_bytes(b"not gzip")
    with pytest.raises(TracksError, match="cannot read the intervals"):
        labels.read_intervals(path, "chr1")


def test_a_file_that_is_no_bsseq_object_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.rda"
    path.write_bytes(b"not R")
    with pytest.raises(TracksError, match=r"x\.rda is not bsseq's BS\.chr22"):
        methylation.read_bsseq(path)


# R's own ASCII serialisation (R Internals, 1.8): one number or text a line, attributes as a tagged pair list.


def _r_text(text: str) -> list[str]:
    return [str(9 | 64 << 12), str(len(text)), text]


def _r_pairs(pairs: dict[str, list[str]]) -> list[str]:
    lines = []
    for tag, value in pairs.items():
        lines += [str(2 | 1 << 10), "1", *_r_text(tag), *value]
    return [*lines, "254"]


def _r_object(slots: dict[str, list[str]]) -> list[str]:
    return [str(25 | 1 << 8 | 1 << 9), *_r_pairs(slots)]


def _r_integers(numbers: list[int]) -> list[str]:
    return ["13", str(len(numbers)), *map(str, numbers)]


def _write_bsseq(path: Path, starts: list[int], methylated: list[int], coverage: list[int]) -> Path:
    names = ["16", "2", *_r_text("M"), *_r_text("Cov")]
    assays = [str(19 | 1 << 9), "2", *_r_integers(methylated), *_r_integers(coverage), *_r_pairs({"names": names})]
    experiment = _r_object(
        {
            "rowRanges": _r_object({"ranges": _r_object({"start": _r_integers(starts)})}),
            "assays": _r_object({"data": _r_object({"listData": assays})}),
        }
    )
    lines = ["RDA2", "A", "2", "197888", "131840", *_r_pairs({"BS.chr22": experiment})]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_replicates_of_a_bsseq_object_are_added_up(tmp_path: Path) -> None:
    # R keeps a matrix by column: first every site of replicate 1, then those of replicate 2.
    path = _write_bsseq(tmp_path / "x.rda", [14_430_632, 14_430_677], [17, 4, 1, 0], [18, 11, 2, 9])
    found = methylation.read_bsseq(path)
    assert found.positions.tolist() == [14_430_632, 14_430_677]
    assert found.methylated.tolist() == [18, 4]
    assert found.coverage.tolist() == [20, 20]


def test_a_bsseq_object_with_impossible_counts_is_refused(tmp_path: Path) -> None:
    path = _write_bsseq(tmp_path / "x.rda", [5], [3, 3], [4, 1])
    with pytest.raises(TracksError, match="more methylated reads than reads"):
        methylation.read_bsseq(path)
