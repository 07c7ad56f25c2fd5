"""Whole files through chains: every base of the output is checked against pyliftover, one at a time."""

from __future__ import annotations

import gzip
import io
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyBigWig
import pytest
from click.testing import Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyliftover import LiftOver

from tests.tracks.liftover.made import SOURCE_SIZES, TARGET_SIZES, Chain, chain_lists, chain_text
from tracks.bigwig_writer import BigWigWriter
from tracks.errors import TracksError, UsageError
from tracks.liftover import piece_spool
from tracks.liftover.chains import read_chains
from tracks.liftover.files import lift_bigwig, lift_counts, lift_rows
from tracks.liftover.layouts import BED, BEDGRAPH, BEDMETHYL, bed_layout, counts_layout, guess_kind
from tracks.liftover.lift import Route

Cli = Callable[..., Result]

# 100 bases stay, 60 of them apart by 10 more; 100 are turned; 50 go to chrX twice; 50 collide there with chr2.
CHAINS = [
    Chain(90, "chr1", 0, "chr1", 0, False, ((40, 0, 10), (60, 0, 0))),
    Chain(80, "chr1", 100, "chr1", 250, True, ((100, 0, 0),)),
    Chain(70, "chr1", 250, "chrX", 0, False, ((50, 0, 0),)),
    Chain(60, "chr1", 250, "chrX", 100, False, ((50, 0, 0),)),
    Chain(50, "chr1", 300, "chrX", 200, False, ((50, 0, 0),)),
    Chain(40, "chr2", 0, "chrX", 220, False, ((50, 0, 0),)),
    Chain(30, "chr2", 60, "chrX", 150, False, ((20, 7, 0), (10, 0, 0))),
]


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    path = tmp_path / "a.chain"
    path.write_text(chain_text(CHAINS))
    return path


@pytest.fixture
def route(chain: Path) -> Route:
    return Route.through([read_chains(chain)])


def expected_bases(
    text: str, bases: dict[tuple[str, int], float]
) -> tuple[dict[tuple[str, int], float], dict[str, int]]:
    """Each target base that one source base alone lifts to, with its value, and how many source bases were lost."""
    lift = LiftOver(io.BytesIO(text.encode()))
    landed: dict[tuple[str, int], list[float]] = {}
    lost = {"unmapped": 0, "multi-mapped": 0, "collides": 0}
    for (chrom, base), value in bases.items():
        places = lift.convert_coordinate(chrom, base) or []
        if len(places) == 1:
            landed.setdefault((places[0][0], places[0][1]), []).append(value)
        else:
            lost["multi-mapped" if places else "unmapped"] += 1
    lost["collides"] = sum(len(values) for values in landed.values() if len(values) > 1)
    return {place: values[0] for place, values in landed.items() if len(values) == 1}, lost


def write_signal(path: Path, runs: dict[str, list[tuple[int, int, float]]]) -> Path:
    with BigWigWriter(path, SOURCE_SIZES, 64) as writer:
        for chrom, rows in runs.items():
            columns = np.array(rows, np.float64).reshape(-1, 3).T
            writer.add(chrom, columns[0].astype(int), columns[1].astype(int), columns[2].astype(np.float32))
    return path


def read_signal(path: Path) -> dict[tuple[str, int], float]:
    with pyBigWig.open(str(path)) as file:
        return {
            (chrom, base): value
            for chrom in file.chroms()
            for start, end, value in file.intervals(chrom) or ()
            for base in range(start, end)
        }


def read_bed_bases(path: Path) -> dict[str, int]:
    """Bases for each reason."""
    lost = {"unmapped": 0, "multi-mapped": 0, "collides": 0}
    for line in path.read_text().splitlines():
        _, start, end, reason = line.split("\t")
        lost[reason] += int(end) - int(start)
    return lost


signals = st.fixed_dictionaries(
    {
        chrom: st.lists(st.integers(0, size), unique=True, max_size=10).map(sorted)
        for chrom, size in SOURCE_SIZES.items()
    }
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chain_lists, signals)
def test_a_signal_is_lifted_base_by_base(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    made: list[Chain],
    edges: dict[str, list[int]],
) -> None:
    monkeypatch.setattr(piece_spool, "TILE", 64)
    folder = tmp_path_factory.mktemp("signal")
    runs = {
        chrom: [(start, end, float(number % 3)) for number, (start, end) in enumerate(itertools.pairwise(places))]
        for chrom, places in edges.items()
    }
    bases = {
        (chrom, base): value for chrom, rows in runs.items() for start, end, value in rows for base in range(start, end)
    }
    (folder / "a.chain").write_text(chain_text(made))
    if not bases:
        return
    signal = write_signal(folder / "in.bw", runs)
    expected, lost = expected_bases(chain_text(made), bases)
    route = Route.through([read_chains(folder / "a.chain")])
    where = (signal, route, None, folder / "out.bw", folder / "lost.bed")
    if not expected:
        with pytest.raises(TracksError, match=r"nothing of .* lifts"):
            lift_bigwig(*where)
        assert not (folder / "out.bw").exists()
        assert not (folder / "lost.bed").exists()
        return
    report = lift_bigwig(*where)
    assert read_signal(folder / "out.bw") == expected
    assert read_bed_bases(folder / "lost.bed") == lost
    assert report.source == len(bases)
    assert report.lifted == len(expected)
    assert (report.unmapped, report.multi_mapped, report.colliding) == tuple(lost.values())
    assert sorted(path.name for path in folder.iterdir()) == ["a.chain", "in.bw", "lost.bed", "out.bw"]
    # The same signal as text.
    text = "".join(f"{chrom}\t{start}\t{end}\t{value}\n" for chrom in runs for start, end, value in runs[chrom])
    (folder / "in.bedgraph").write_text(text)
    again = lift_rows(folder / "in.bedgraph", BEDGRAPH, route, None, folder / "out.bedgraph", folder / "lost2.bed")
    rows = [line.split("\t") for line in (folder / "out.bedgraph").read_text().splitlines()]
    spread = [(row[0], base, float(row[3])) for row in rows for base in range(int(row[1]), int(row[2]))]
    assert {(chrom, base): value for chrom, base, value in spread} == expected
    assert len(spread) == len(expected)
    assert rows == sorted(rows, key=lambda row: (row[0], int(row[1]), int(row[2])))
    assert (again.source, again.lifted, again.colliding) == (report.source, report.lifted, report.colliding)
    assert (again.moved, again.reversed, again.split) == (report.moved, report.reversed, report.split)
    assert read_bed_bases(folder / "lost2.bed") == lost


def test_a_bed_row_keeps_its_columns_on_every_piece(tmp_path: Path, route: Route) -> None:
    """Worked out by hand from the comment above the chains."""
    (tmp_path / "in.bed.gz").write_bytes(
        gzip.compress(
            b"browser position chr1\ntrack name=x\n"
            b"chr1\t30\t60\tsplit\t7\t-\t35\t50\t1,2,3\r\n"
            b"chr2\t65\t90\tjoined\t8\t+\t65\t65\t0\n"
            b"#in between\n"
            b"chr1\t110\t120\tturned\t9\t+\t112\t120\t0\n"
            b"chr1\t240\t310\tmasked\t1\t.\t240\t310\t0\n"
            b"chr3\t0\t10\tgone\t1\t.\t0\t10\t0\n"
        )
    )
    report = lift_rows(tmp_path / "in.bed.gz", BED, route, None, tmp_path / "out.bed.gz", tmp_path / "lost.bed")
    assert gzip.decompress((tmp_path / "out.bed.gz").read_bytes()).decode().splitlines() == [
        "browser position chr1",
        "track name=x",
        "chr1\t30\t40\tsplit\t7\t-\t35\t40\t1,2,3",
        "chr1\t50\t70\tsplit\t7\t-\t50\t60\t1,2,3",
        # 250 to 350 of the reverse strand is 150 to 250; 110 is 10 after its start, so 239 is its place.
        "chr1\t230\t240\tturned\t9\t-\t230\t238\t0",
        # 7 bases between the blocks are gone, and the rest touches.
        "chrX\t155\t173\tjoined\t8\t+\t155\t155\t0",
        "chrX\t200\t210\tmasked\t1\t.\t200\t210\t0",
    ]
    assert (tmp_path / "lost.bed").read_text().splitlines() == [
        "chr1\t240\t250\tunmapped",
        "chr1\t250\t300\tmulti-mapped",
        "chr2\t80\t87\tunmapped",
        "chr3\t0\t10\tunmapped",
    ]
    assert (report.source, report.lifted, report.unmapped, report.multi_mapped) == (145, 68, 27, 50)
    assert (report.split, report.moved, report.reversed) == (1, 28, 10)


def test_bases_of_two_rows_that_collide_are_masked_in_both(tmp_path: Path, route: Route) -> None:
    # chr1 320 to 350 and chr2 0 to 30 land on chrX 220 to 250. The first two rows overlap in the source: no collision.
    (tmp_path / "in.bed").write_text("chr1\t305\t330\ta\nchr1\t310\t350\tb\nchr2\t20\t50\tc\n")
    report = lift_rows(tmp_path / "in.bed", BED, route, None, tmp_path / "out.bed", tmp_path / "lost.bed")
    assert (tmp_path / "out.bed").read_text() == "chrX\t205\t230\ta\nchrX\t210\t240\tb\nchrX\t250\t270\tc\n"
    assert (tmp_path / "lost.bed").read_text() == "chr1\t340\t350\tcollides\nchr2\t20\t30\tcollides\n"
    assert report.colliding == 20


def test_parts_that_lie_near_are_joined_when_asked(tmp_path: Path, route: Route) -> None:
    (tmp_path / "in.bed").write_text("chr1\t30\t60\ta\n")
    for join, expected in ((9, "chr1\t30\t40\ta\nchr1\t50\t70\ta\n"), (10, "chr1\t30\t70\ta\n")):
        lift_rows(tmp_path / "in.bed", BED, route, None, tmp_path / "out.bed", join=join)
        assert (tmp_path / "out.bed").read_text() == expected


def test_rows_with_blocks_become_a_row_a_block(tmp_path: Path, route: Route) -> None:
    (tmp_path / "in.bed").write_text("chr1\t100\t150\tgene\t0\t+\t105\t145\t0\t2\t10,20,\t0,30,\n")
    lift_rows(tmp_path / "in.bed", BED, route, None, tmp_path / "out.bed")
    assert (tmp_path / "out.bed").read_text().splitlines() == [
        "chr1\t200\t220\tgene\t0\t-\t205\t220\t0\t1\t20\t0",
        "chr1\t240\t250\tgene\t0\t-\t240\t245\t0\t1\t10\t0",
    ]


def test_a_summit_goes_with_its_peak(tmp_path: Path, route: Route) -> None:
    path = tmp_path / "in.narrowPeak"
    rows = [(110, 120, 2), (30, 60, 15), (0, 20, -1)]
    path.write_text("".join(f"chr1\t{start}\t{end}\tp\t0\t.\t5.5\t3\t2\t{summit}\n" for start, end, summit in rows))
    lift_rows(path, bed_layout(path), route, None, tmp_path / "out.narrowPeak")
    found = [line.split("\t") for line in (tmp_path / "out.narrowPeak").read_text().splitlines()]
    assert [(row[1], row[2], row[9]) for row in found] == [
        ("0", "20", "-1"), ("30", "40", "-1"), ("50", "70", "5"), ("230", "240", "7"),
    ]  # fmt: skip
    assert {tuple(row[6:9]) for row in found} == {("5.5", "3", "2")}


def counts(tmp_path: Path, route: Route, name: str, text: str, columns: str | None = None, **more: str) -> list[str]:
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    lift_counts(path, counts_layout(path, columns), route, None, tmp_path / f"out.{name}", **more)  # type: ignore[arg-type]
    made = (tmp_path / f"out.{name}").read_bytes()
    return (gzip.decompress(made) if name.endswith(".gz") else made).decode().splitlines()


def test_counts_keep_their_other_columns(tmp_path: Path, route: Route) -> None:
    rows = "chr1\t{}\t{}\tm\t12\t{}\t{}\t{}\t255,0,0\t12\t41.67\t5\t7\t0\t0\t0\t0\t0\n"
    text = rows.format(110, 111, "+", 110, 111) + rows.format(111, 112, "-", 111, 112) + rows.format(5, 6, "+", 5, 6)
    found = counts(tmp_path, route, "a.bedmethyl.gz", text)
    # Base by base: 110 lies at 239 and 111 at 238, each on the other strand.
    assert found == [
        rows.format(5, 6, "+", 5, 6).strip(),
        rows.format(238, 239, "+", 238, 239).strip(),
        rows.format(239, 240, "-", 239, 240).strip(),
    ]
    assert counts(tmp_path, route, "a.cgmap", "chr1\tC\t111\tCG\tCG\t0.5\t2\t4\n") == [
        "chr1\tG\t240\tCG\tCG\t0.5\t2\t4"
    ]
    assert counts(tmp_path, route, "a.allc.tsv", "chr1\t111\t+\tCGA\t2\t4\t1\n") == ["chr1\t240\t-\tCGA\t2\t4\t1"]
    assert counts(tmp_path, route, "a.CpG_report.txt", "chr1\t111\t-\t2\t4\tCG\tCGA\n") == [
        "chr1\t240\t+\t2\t4\tCG\tCGA"
    ]


def test_cpgs_without_strand_go_to_the_c_of_the_forward_strand(tmp_path: Path, route: Route) -> None:
    # 110 and 111 (0-based) are a CpG; turned round they are 239 and 238, and its C is 238.
    assert counts(tmp_path, route, "a.cov", "chr1\t111\t111\t50\t2\t2\n") == ["chr1\t239\t239\t50\t2\t2"]
    table = "name\tposition\tm\nchr1\t110\t3\nchr1\t10\t4\n"
    assert counts(tmp_path, route, "a.tsv", table, "chrom=1,start=2") == [
        "name\tposition\tm", "chr1\t10\t4", "chr1\t238\t3",
    ]  # fmt: skip
    # Told otherwise, or with a CpG's both bases in the table, each stays with its base.
    assert counts(tmp_path, route, "a.tsv", table, "chrom=1,start=2", sites="base")[-1] == "chr1\t239\t3"
    both = counts(tmp_path, route, "a.cov", "chr1\t111\t111\t50\t2\t2\nchr1\t112\t112\t0\t0\t9\n")
    assert both == ["chr1\t239\t239\t0\t0\t9", "chr1\t240\t240\t50\t2\t2"]
    # A row of two bases is the CpG itself; 39 and 40 are apart in the target.
    two = counts(tmp_path, route, "a.tsv", "chr1\t110\t112\t3\nchr1\t39\t41\t1\n", "chrom=1,start=2,end=3")
    assert two == ["chr1\t238\t240\t3"]


def test_rows_of_one_base_with_several_codes_do_not_collide(tmp_path: Path, route: Route) -> None:
    text = "chr1\t320\t321\tm\t1\t+\nchr1\t320\t321\th\t1\t+\nchr2\t0\t1\tm\t1\t+\nchr2\t1\t2\tm\t1\t+\n"
    (tmp_path / "a.bedmethyl").write_text(text)
    report = lift_counts(tmp_path / "a.bedmethyl", BEDMETHYL, route, None, tmp_path / "b", tmp_path / "lost.bed")
    assert (tmp_path / "b").read_text() == "chrX\t221\t222\tm\t1\t+\n"
    assert (report.unit, report.source, report.lifted, report.colliding) == ("rows", 4, 1, 3)
    assert (tmp_path / "lost.bed").read_text().count("collides") == 3


def test_the_target_is_written_in_the_order_and_the_names_of_its_sizes(tmp_path: Path, route: Route) -> None:
    (tmp_path / "in.bed").write_text("1\t0\t10\n1\t300\t310\n2\t60\t70\n")
    said: list[str] = []
    lift_rows(tmp_path / "in.bed", BED, route, {"X": 350, "1": 500}, tmp_path / "out.bed", say=said.append)
    assert (tmp_path / "out.bed").read_text() == "X\t150\t160\nX\t200\t210\n1\t0\t10\n"
    assert any("in.bed: its chromosome 1 is taken for chr1" in line for line in said)
    report = lift_rows(tmp_path / "in.bed", BED, route, {"chr1": 500}, tmp_path / "out.bed", tmp_path / "lost.bed")
    assert (report.lifted, report.left_out) == (10, 20)
    assert (tmp_path / "lost.bed").read_text() == "1\t300\t310\tleft-out\n2\t60\t70\tleft-out\n"
    with pytest.raises(UsageError, match="another genome build: its chr1 has 500 bases, the genome's chr1 499"):
        lift_rows(tmp_path / "in.bed", BED, route, {"chr1": 499}, tmp_path / "out.bed")


def test_what_is_read_is_not_written(cli: Cli, tmp_path: Path, chain: Path) -> None:
    source = tmp_path / "a.bed"
    source.write_text("chr1\t0\t10\n")
    for words in (("-o", chain), ("-o", source), ("-o", tmp_path / "b.bed", "--unmapped", tmp_path / "x/../a.bed")):
        (tmp_path / "x").mkdir(exist_ok=True)
        result = cli("liftover", source, "--chain", chain, *words, "--overwrite")
        assert result.exit_code == 2
        assert "is read by this command; give what it writes another name" in result.output
    (tmp_path / "folder.bed").mkdir()
    result = cli("liftover", source, "--chain", chain, "-o", tmp_path / "folder.bed", "--overwrite")
    assert (result.exit_code, "is a folder; give the file another name" in result.output) == (2, True)


def test_a_bedmethyl_named_bed(cli: Cli, tmp_path: Path, chain: Path) -> None:
    """As modkit names it."""
    row = "chr1\t110\t111\tm\t5\t+\t110\t111\t255,0,0\t5\t20.00\t1\t4\t0\t0\t0\t0\t0\n"
    (tmp_path / "pileup.bed").write_text(row)
    words = ("liftover", tmp_path / "pileup.bed", "--chain", chain, "-o", tmp_path / "out.bed")
    refused = cli(*words)
    assert (refused.exit_code, "a bedMethyl is lifted with --format bedmethyl" in refused.output) == (2, True)
    assert cli(*words, "--format", "bedmethyl").exit_code == 0
    named = tmp_path / "pileup.bedmethyl"
    named.write_text(row)
    assert cli("liftover", named, "--chain", chain, "-o", tmp_path / "same.bedmethyl").exit_code == 0
    assert (tmp_path / "out.bed").read_text() == (tmp_path / "same.bedmethyl").read_text()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("four.bedmethyl", "chr1\t10\t11\tm\n", "line 1: a bedMethyl line has 6 columns here, found 4"),
        ("a.bed", "chr1\t0\n", "a.bed, line 1: a BED line has 3 columns here, found 2"),
        ("a.bed", "chr1\t0\t10\nchr1\t0\t10\tx\n", "line 2: a BED line has 3 columns here, found 4"),
        ("a.bed", "chr1\t0\t10\nchr1\tzero\t10\n", "line 2: column 2 must be a whole number, found 'zero'"),
        ("a.bed", "chr1\t1e1\t10\n", "line 1: column 2 must be a whole number, found '1e1'"),
        ("a.bed", "chr1\t10\t10\n", "line 1: a row of BED holds at least one base"),
        ("a.bed", "chr1\t-1\t10\n", "line 1: a row of BED holds at least one base, from 0 on"),
        ("a.bed", "chr1\t390\t401\n", "another genome build: it has a row at chr1:401, and chr1 of"),
        ("a.bed", "chr1\t390\t401\n", "has 400 bases"),
        ("a.bed", "chr9\t0\t1\n", "no chromosome of it is in the genome; it has chr9"),
        ("a.bed", "1\t0\t1\nchr1\t5\t6\n", "'1' and 'chr1' would both be the genome's chr1"),
        ("a.bed", "# nothing\n", "a.bed holds no rows"),
        ("a.bed", "chr1\t0\t9\tx\t0\t+\t0\t9\t0\t2\t3,\t0,\n", "line 1: columns 10 to 12 do not list blocks"),
        ("a.bed", "chr1\t0\t9\tx\t0\t+\t0\t9\t0\t1\t10,\t0,\n", "line 1: a block goes on past the end of its row"),
        ("a.bedgraph", "chr1\t0\t9\t1\nchr1\t8\t10\t1\n", "the row at chr1, 8 overlaps the one before it"),
        ("a.bedgraph", "chr1\t20\t29\t1\nchr1\t8\t10\t1\n", "not sorted; sort it with: sort -k1,1 -k2,2n"),
        ("a.cov", "chr1\t0\t0\t1\t1\t1\n", "line 1: a row of Bismark coverage holds a single base"),
        ("a.cov", "chr1\t5\t9\t1\t1\t1\n", "line 1: a row of Bismark coverage holds a single base"),
        ("a.txt", "chr1\t5\t9\n", "its name does not say what it is (known: .bw, "),
        ("a.bed", "chr3\t0\t5\nchr1\t240\t250\n", "nothing of"),
    ],
)
def test_bad_input_is_one_line(cli: Cli, tmp_path: Path, chain: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    out = tmp_path / f"out.{name}"
    result = cli("liftover", tmp_path / name, "--chain", chain, "-o", out, "--unmapped", tmp_path / "lost.bed")
    assert result.exit_code in (1, 2)
    errors = [line for line in result.stderr.splitlines() if "error: " in line]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in result.output
    assert {path.name for path in tmp_path.iterdir()} == {"a.chain", name}


def test_files_of_another_build_and_damaged_ones_are_refused(cli: Cli, tmp_path: Path, chain: Path) -> None:
    with BigWigWriter(tmp_path / "other.bw", {"chr1": 401}, 64) as writer:
        writer.add("chr1", np.array([0]), np.array([5]), np.array([1], np.float32))
    result = cli("liftover", tmp_path / "other.bw", "--chain", chain, "-o", tmp_path / "out.bw")
    assert result.exit_code == 2
    assert "its chr1 has 401 bases, the genome's chr1 400" in result.stderr
    (tmp_path / "cut.bed.gz").write_bytes(gzip.compress(b"chr1\t0\t10\n" * 999)[:-9])
    result = cli("liftover", tmp_path / "cut.bed.gz", "--chain", chain, "-o", tmp_path / "out.bed")
    assert result.exit_code == 1
    assert "cannot read" in result.stderr
    result = cli("liftover", tmp_path / "none.bed", "--chain", chain, "-o", tmp_path / "out.bed")
    assert (result.exit_code, "there is no file" in result.stderr) == (2, True)
    result = cli("liftover", tmp_path / "none.bw", "--chain", chain, "-o", tmp_path / "out.bw")
    assert (result.exit_code, "there is no bigWig file" in result.stderr) == (2, True)
    assert not list(tmp_path.glob("out*"))


def test_the_command_goes_through_chains_in_the_order_given(cli: Cli, tmp_path: Path, chain: Path) -> None:
    """There and back again: what is neither lost nor doubled comes back to its place."""
    (tmp_path / "in.bed").write_text("chr1\t0\t200\tx\t0\t+\n")
    for name, words in {
        "there_and_back": ("--chain", chain, "--inverted-chain", chain),
        "back_first": ("--inverted-chain", chain, "--chain", chain),
    }.items():
        result = cli("liftover", tmp_path / "in.bed", *words, "-o", tmp_path / f"{name}.bed", "--format", "bed")
        assert result.exit_code == 0, result.stderr
        assert f"wrote {tmp_path / name}.bed: " in result.stdout
    assert (tmp_path / "there_and_back.bed").read_text() == "chr1\t0\t200\tx\t0\t+\n"
    # The other way, the first 200 bases of the target: 40 to 50 and 110 to 150 lie in no block.
    assert (tmp_path / "back_first.bed").read_text() == "".join(
        f"chr1\t{start}\t{end}\tx\t0\t+\n" for start, end in ((0, 40), (50, 110), (150, 200))
    )
    result = cli("liftover", tmp_path / "in.bed", "--chain", chain, "-o", tmp_path / "back_first.bed")
    assert result.exit_code == 2
    assert "exists already" in result.stderr
    again = cli("liftover", tmp_path / "in.bed", "--chain", chain, "-o", tmp_path / "back_first.bed", "--overwrite")
    assert again.exit_code == 0
    assert "100 bases lifted to the other strand (50.000%)" in again.stderr
    assert "1 intervals split by the chains" in again.stderr


def test_options_that_do_not_go_together_are_refused(cli: Cli, tmp_path: Path, chain: Path) -> None:
    (tmp_path / "in.bed").write_text("chr1\t0\t10\n")
    for words, message in (
        (["--chain", chain, "--columns", "chrom=1,start=2", "--format", "bed"], "go with counts"),
        (["--chain", chain, "--sites", "cpg"], "go with counts"),
        (["--chain", chain, "--join", 5, "--format", "bedgraph"], "--join goes with BED"),
        (["--chain", chain, "--columns", "chrom=1,begin=2"], "'begin=2' is no chrom=, start=,"),
        (["--chain", chain, "--columns", "chrom=0,start=2"], "columns count from 1"),
        (["--chain", chain, "--format", "counts"], "does not say which columns it has"),
        ([], "needs a chain file"),
        (["--chain", chain, "--unmapped", tmp_path / "out.bed"], "cannot be both -o and --unmapped"),
    ):
        result = cli("liftover", tmp_path / "in.bed", *words, "-o", tmp_path / "out.bed")
        assert result.exit_code == 2
        assert message in result.stderr
        assert not (tmp_path / "out.bed").exists()


def test_kinds_by_name() -> None:
    names = (
        "a.bw",
        "A.BigWig",
        "a.bdg.gz",
        "a.bed",
        "a.narrowPeak.gz",
        "a.bedMethyl.gz",
        "a.bedmethyl.bed",
        "a.bismark.cov.gz",
    )
    kinds = [guess_kind(Path(name)) for name in names]
    assert kinds == ["bigwig", "bigwig", "bedgraph", "bed", "bed", "counts", "counts", "counts"]
    assert TARGET_SIZES["chrX"] == 350
