"""Text tables to bigWig: what is written, and which line is named where a table is wrong."""

from __future__ import annotations

import gzip
import itertools
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyBigWig
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tracks.tables.conftest import SIZES, Runs
from tracks.errors import TracksError, UsageError
from tracks.tables import TableFormat, counts_to_bigwigs, guess_format, intervals_to_bigwig, reader, signal_to_bigwig
from tracks.tables.row_spool import TILE

Write = Callable[[str, str], Path]
Read = Callable[[Path], Runs]

BEDGRAPH = "chr1\t10\t20\t1.5\nchr1\t20\t21\t-2\nchr2\t0\t4\t0\n"
BEDGRAPH_RUNS = {"chr1": [(10, 20, 1.5), (20, 21, -2.0)], "chr2": [(0, 4, 0.0)]}


def signal(path: Path, table: TableFormat | None = None) -> tuple[Path, tuple[str, ...]]:
    out = path.with_suffix(".bw")
    return out, signal_to_bigwig(path, table or guess_format(path), SIZES, out)


def counts(path: Path, table: TableFormat | None = None, code: str | None = None) -> tuple[Path, Path, tuple[str, ...]]:
    outs = path.with_suffix(".modified.bw"), path.with_suffix(".valid.bw")
    return *outs, counts_to_bigwigs(path, table or guess_format(path), SIZES, *outs, code)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.bedgraph", BEDGRAPH),
        ("a.bedGraph.gz", BEDGRAPH),
        ("a.bdg", BEDGRAPH.replace("\n", "\r\n")),
        ("a.bg", BEDGRAPH.replace("\t", " ")),
        ("a.bedgraph", BEDGRAPH.rstrip("\n")),
        ("a.bedgraph", "\ufeff" + BEDGRAPH),
        ("a.bedgraph", 'browser position chr1:1-9\ntrack type=bedGraph name="x y"\n#note\n\n' + BEDGRAPH + "\n   \n"),
        ("a.bedgraph", "chrom\tstart\tend\tscore\n" + BEDGRAPH),
        ("a.bedgraph", BEDGRAPH.replace("chr2", "track type=bedGraph\n# more\n\r\nchr2")),
        ("a.bedgraph", BEDGRAPH.replace("chr", "")),
        ("a.bedgraph", "chr1\t5\t6\t.\n" + BEDGRAPH.replace("\tchr2", "")),
    ],
)
def test_a_bedgraph_is_written_as_it_stands(name: str, text: str, write: Write, read: Read) -> None:
    out, notes = signal(write(name, text))
    assert read(out) == BEDGRAPH_RUNS
    if "\n1\t" in text:
        assert "its chromosome 2 is taken for chr2 (and 1 more)" in notes[0]
    if "\t.\n" in text:
        assert "1 rows without a value" in notes[0]


def test_chromosomes_that_the_genome_lacks_are_skipped_and_counted(write: Write, read: Read) -> None:
    text = "chrUn_1\t1\t2\t1\nchrUn_2\t1\t2\t1\nchrUn_2\t3\t4\t1\n" + BEDGRAPH
    out, notes = signal(write("a.bedgraph", text))
    assert read(out) == BEDGRAPH_RUNS
    assert notes == (
        f"{out.with_suffix('.bedgraph')}: 3 rows skipped, on 2 chromosomes that the genome lacks (chrUn_1, chrUn_2)",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr1\t10\t20\t1\nchr1\t5\t9\t1\n", "line 2: it starts at 5, before the row above (10)"),
        ("#x\nchr1\t10\t20\t1\n\nchr1\t15\t19\t1\n", "line 4: it starts at 15, inside the row above (to 20)"),
        ("chr1\t1\t2\t1\nchr2\t1\t2\t1\nchr1\t3\t4\t1\n", "line 3: its chromosome comes again"),
        ("chr1\t1\t2\t1\nchr1\t4999999\t5000001\t1\n", "line 2: its end 5,000,001 is past the end of chr1"),
        ("1\t1\t6000000\t1\n", "line 1: its end 6,000,000 is past the end of chr1"),
        ("chr1\t1\t2\t1\nchr1\t4\t4\t1\n", "line 2: its end is not behind its start"),
        ("chr1\t-1\t2\t1\n", "line 1: positions are counted from 0, found -1"),
        ("chr1\t1\t2\t1\nchr1\t3\t4\n", "line 2: it needs a number in column 4, and has fewer columns"),
        ("chr1\t1\t2\t1\nchr1\t3\n", "line 2: it needs at least 4 columns, found 2"),
        ("chr1\t1\t2\n", "line 1: its value should be in column 4, and there are 3 columns"),
        ("chr1\t1\t2\t1\nchr1\t1.5\t2\t1\n", "line 2: it needs a whole number (its position) in column 2, found '1.5'"),
        ("chr1\t1e2\t2e2\t1\nchr1\t1e3\t\t1\n", "line 2: it needs a whole number (its end) in column 3, found ''"),
        ("chr1\t1\t2\t1\n\nchr1\t3\t4\thigh\n", "line 3: it needs a number in column 4, found 'high'"),
        ("chr1\t1\t2\tinf\n", "line 1: its value is not finite"),
        ("chr1\t1\t2\t1e39\n", "line 1: its value is not finite"),
        ("chr1\t1\t2\t1\nchr1\t99999999999999999999\t4\t1\n", "line 2: it needs a whole number"),
        ("1\t1\t2\t1\nchr1\t3\t4\t1\n", "'1' and 'chr1' would both be"),
        ("I\t1\t2\t1\nII\t3\t4\t1\n", "no chromosome of it is in the genome; it has I, II"),
        ("chr1\t1\t2\tNA\n", "no row has a value"),
        ("# nothing\n", "holds no rows"),
        ("", "holds no rows"),
    ],
)  # fmt: skip
def test_a_wrong_bedgraph_is_refused_by_its_line(text: str, message: str, write: Write) -> None:
    path = write("a.bedgraph", text)
    with pytest.raises(TracksError) as error:
        signal(path)
    assert str(path) in str(error.value)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert list(path.parent.iterdir()) == [path]


def test_lines_are_counted_from_block_to_block(write: Write, read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_BLOCK", 64)
    lines = [f"chr1\t{at}\t{at + 3}\t{at % 7}" for at in range(0, 3_000, 5)]
    lines[100:100] = ["# a comment", "", "track name=x"]
    out, _ = signal(write("a.bedgraph", "\n".join(lines)))
    assert read(out)["chr1"] == [(at, at + 3, at % 7) for at in range(0, 3_000, 5)]
    lines[400] = "chr1\tx\t9\t1"
    with pytest.raises(UsageError, match="line 401: it needs a whole number"):
        signal(write("a.bedgraph", "\n".join(lines)))
    lines[400] = lines[399]
    with pytest.raises(UsageError, match=r"line 401: it starts at .* inside the row above"):
        signal(write("a.bedgraph", "\n".join(lines)))


def test_damaged_and_missing_files(write: Write, tmp_path: Path) -> None:
    whole = write("a.bedgraph.gz", "".join(f"chr1\t{at}\t{at + 1}\t{at % 9}\n" for at in range(50_000)))
    whole.write_bytes(whole.read_bytes()[:-2_000])
    with pytest.raises(TracksError, match=r"cannot read .*a\.bedgraph.gz"):
        signal(whole)
    with pytest.raises(UsageError, match="there is no file"):
        signal(tmp_path / "none.bedgraph")
    binary = tmp_path / "b.bedgraph"
    binary.write_bytes(np.random.default_rng(1).bytes(5_000))
    with pytest.raises(TracksError, match=r"b\.bedgraph"):
        signal(binary)
    assert not list(tmp_path.glob("*.bw"))


def test_a_signal_table_by_names_of_its_header(write: Write, read: Read) -> None:
    table = TableFormat(
        "table", {"chrom": "seqnames", "start": "from", "end": "to", "value": "score"}, zero_based=False
    )
    text = '"seqnames" "width" "score" "from" "to"\n"1" "chr1" 3 1.25 11 20\n"2" "chr1" 3 NA 31 40\n'
    out, notes = signal(write("granges.txt", text), table)
    assert read(out) == {"chr1": [(10, 20, 1.25)]}
    assert len(notes) == 1
    out, _ = signal(write("granges.csv", text.replace('"1" ', "").replace('"2" ', "").replace(" ", ",")), table)
    assert read(out) == {"chr1": [(10, 20, 1.25)]}
    with pytest.raises(UsageError, match=r"line 1: its header names no column 'score' .*it has seqnames, width, l"):
        signal(write("b.txt", text.replace("score", "level")), table)


def test_percentages_become_fractions(write: Write, read: Read) -> None:
    table = TableFormat("table", {"chrom": 1, "start": 2, "percent": 3})
    out, _ = signal(write("a.tsv", "#chrom\tpos\tpercent\nchr1\t5\t75\nchr1\t6\t0\n"), table)
    assert read(out) == {"chr1": [(5, 6, 0.75), (6, 7, 0.0)]}
    with pytest.raises(UsageError, match="line 2: a percent is from 0 to 100, found 101"):
        signal(write("a.tsv", "chr1\t5\t75\nchr1\t6\t101\n"), table)


def test_formats_by_name(tmp_path: Path) -> None:
    names = {
        "x.bedGraph": "bedgraph", "x.bed.gz": "bed", "x.bedmethyl.gz": "bedmethyl", "x.bedMethyl.bed": "bedmethyl",
        "x_bismark.cov.gz": "bismark", "x.CpG_report.txt.gz": "cytosine_report", "x.CGmap.gz": "cgmap",
        "allc_x.tsv.gz": "allc",
    }  # fmt: skip
    assert {name: guess_format(tmp_path / name).kind for name in names} == names
    with pytest.raises(UsageError, match=r"x\.txt: its name does not say .*\.bedgraph"):
        guess_format(tmp_path / "x.txt")
    with pytest.raises(UsageError, match="needs the columns chrom and start, and here is no 'start'"):
        TableFormat("table", {"chrom": 1})
    with pytest.raises(UsageError, match="columns are counted from 1"):
        TableFormat("table", {"chrom": 0, "start": 2})
    with pytest.raises(UsageError, match="name columns only with the format 'table'"):
        TableFormat("bed", {"chrom": 1, "start": 2})


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    spans=st.lists(
        st.tuples(
            st.sampled_from(["chr1", "chr2"]),
            st.one_of(st.integers(0, 60), st.integers(TILE - 30, TILE + 30)),
            st.integers(1, 50),
            st.sampled_from(["T1LAD1", "T2LAD20", "xT1LAD"]),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_intervals_are_their_union(spans: list[tuple[str, int, int, str]], write: Write, read: Read) -> None:
    path = write("a.bed", "".join(f"{chrom}\t{start}\t{start + size}\t{name}\n" for chrom, start, size, name in spans))
    for pattern in (None, "T[12]LAD"):
        covered: dict[str, set[int]] = {}
        for chrom, start, size, name in spans:
            if pattern is None or name[0] != "x":
                covered.setdefault(chrom, set()).update(range(start, start + size))
        if not covered:
            continue
        out = path.with_suffix(".bw")
        intervals_to_bigwig(path, guess_format(path), SIZES, out, pattern)
        found = read(out)
        assert {
            chrom: {base for start, end, _ in runs for base in range(start, end)} for chrom, runs in found.items()
        } == covered
        for runs in found.values():  # joined where they touch, tile borders included
            assert all(one[1] < other[0] for one, other in itertools.pairwise(runs))
            assert {value for _, _, value in runs} == {1.0}


@pytest.mark.skipif(shutil.which("bedtools") is None, reason="bedtools is not installed")
def test_intervals_are_what_bedtools_merges(tmp_path: Path, read: Read) -> None:
    rng = np.random.default_rng(3)
    starts = np.sort(rng.integers(0, 8_990_000, 5_000))
    path = tmp_path / "a.bed"
    path.write_text(
        "".join(
            f"chr2\t{start}\t{start + size}\n"
            for start, size in zip(starts, rng.integers(1, 4_000, 5_000), strict=True)
        )
    )
    merged = subprocess.run(["bedtools", "merge", "-i", path], capture_output=True, text=True, check=True).stdout
    intervals_to_bigwig(path, guess_format(path), SIZES, tmp_path / "a.bw")
    assert read(tmp_path / "a.bw")["chr2"] == [(int(a), int(b), 1.0) for _, a, b in map(str.split, merged.splitlines())]


LADS = Path(__file__).parents[4] / "shared/reference/GSM5669183_CardiacMyocytes_LADs.sorted.bed.gz"


@pytest.mark.skipif(not LADS.exists(), reason="the reference data are not here")
@pytest.mark.parametrize("name", ["T1LAD", "T[12]LAD", None])
def test_real_domains_chosen_by_name(name: str | None, tmp_path: Path) -> None:
    with gzip.open(LADS, "rt") as lines:
        rows = [line.split("\t")[:4] for line in lines]
    sizes: dict[str, int] = {}
    covered: set[tuple[str, int]] = set()  # the domains lie on a grid of 20 kb
    for chrom, start, end, label in rows:
        sizes[chrom] = max(sizes.get(chrom, 0), int(end))
        if name != "T1LAD" or label.startswith("T1LAD"):
            covered.update((chrom, tile) for tile in range(int(start), int(end), 20_000))
    intervals_to_bigwig(LADS, guess_format(LADS), sizes, tmp_path / "a.bw", name)
    found: set[tuple[str, int]] = set()
    with pyBigWig.open(str(tmp_path / "a.bw")) as handle:
        for chrom in sizes:
            for start, end, value in handle.intervals(chrom) or ():
                assert value == 1
                found.update((chrom, tile) for tile in range(start, end, 20_000))
        assert handle.header()["nBasesCovered"] == 20_000 * len(covered)
    assert found == covered


def test_an_interval_name_that_nothing_has(write: Write) -> None:
    path = write("a.bed", "chr1\t1\t2\tLAD\n")
    with pytest.raises(TracksError, match="no interval's name begins with 'T1LAD'; there are LAD"):
        intervals_to_bigwig(path, guess_format(path), SIZES, path.with_suffix(".bw"), "T1LAD")
    with pytest.raises(UsageError, match="is no regular expression"):
        intervals_to_bigwig(path, guess_format(path), SIZES, path.with_suffix(".bw"), "T1LAD(")
    path = write("b.bed", "chr1\t1\t2\n")
    with pytest.raises(UsageError, match="line 1: its name should be in column 4"):
        intervals_to_bigwig(path, guess_format(path), SIZES, path.with_suffix(".bw"), "T1LAD")


# One table of calls: (chromosome, 0-based position, strand, modified, valid). Position 7 is there twice.
CALLS = [
    ("chr1", 7, "+", 3, 4),
    ("chr1", 8, "-", 0, 5),
    ("chr2", 0, "+", 2, 2),
    ("chr1", 7, "+", 1, 2),
    ("chrM", 16_568, "-", 1, 9),
]
MODIFIED = {"chr2": [(0, 1, 2.0)], "chr1": [(7, 8, 4.0), (8, 9, 0.0)], "chrM": [(16_568, 16_569, 1.0)]}
VALID = {"chr2": [(0, 1, 2.0)], "chr1": [(7, 8, 6.0), (8, 9, 5.0)], "chrM": [(16_568, 16_569, 9.0)]}


def _bedmethyl(c: str, p: int, s: str, m: int, v: int, code: str = "m") -> str:
    fields = (c, p, p + 1, code, v, s, p, p + 1, "255,0,0", v, f"{100 * m / v:.2f}", m, v - m, 0, 0, 0, 0, 0)
    return "\t".join(map(str, fields))


_ROW = _bedmethyl("chr1", 5, "+", 4, 5)


WRITERS: dict[str, Callable[[str, int, str, int, int], str]] = {
    "a.bedmethyl": _bedmethyl,
    "spaces.bedmethyl": lambda c, p, s, m, v: " ".join(_bedmethyl(c, p, s, m, v).rsplit("\t", 9)),
    "motif.bedmethyl.gz": lambda c, p, s, m, v: _bedmethyl(c, p, s, m, v, "m,CG,0"),
    "encode.bedmethyl": lambda c, p, s, m, v: (
        f"{c}\t{p}\t{p + 1}\t.\t{v}\t{s}\t{p}\t{p + 1}\t0,0,0\t{v}\t{round(100 * m / v)}"
    ),
    "a.bismark.cov.gz": lambda c, p, s, m, v: f"{c}\t{p + 1}\t{p + 1}\t{100 * m / v}\t{m}\t{v - m}",
    "a.CpG_report.txt": lambda c, p, s, m, v: f"{c}\t{p + 1}\t{s}\t{m}\t{v - m}\tCG\tCGA",
    "a.CGmap.gz": lambda c, p, s, m, v: f"{c}\t{'CG'[s == '-']}\t{p + 1}\tCG\tCG\t{m / v:.2f}\t{m}\t{v}",
    "allc_a.tsv.gz": lambda c, p, s, m, v: f"{c}\t{p + 1}\t{s}\tCGN\t{m}\t{v}\t1",
}


@pytest.mark.parametrize("name", WRITERS)
def test_counts_of_every_format(name: str, write: Write, read: Read) -> None:
    path = write(name, "".join(WRITERS[name](*call) + "\n" for call in CALLS))
    modified, valid, notes = counts(path)
    assert (read(modified), read(valid), notes) == (MODIFIED, VALID, ())


def test_counts_of_a_table_of_any_columns(write: Write, read: Read) -> None:
    text = "pos,chr,M,U\n" + "".join(f"{p + 1},{c},{m},{v - m}\n" for c, p, _, m, v in CALLS)
    table = TableFormat("table", {"chrom": "chr", "start": "pos", "modified": "M", "unmodified": "U"}, zero_based=False)
    modified, valid, _ = counts(write("a.csv", text), table)
    assert (read(modified), read(valid)) == (MODIFIED, VALID)
    text = (
        "".join(f"{c}\t{p}\t{p + 2}\t{m / v:.4f}\t{v}\n" for c, p, _, m, v in CALLS if c != "chrM")
        + "chr1\t99\t101\tNA\t0\n"
    )
    table = TableFormat("table", {"chrom": 1, "start": 2, "end": 3, "fraction": 4, "valid": 5})
    modified, valid, _ = counts(write("a.tsv", text), table)
    assert read(modified) == {chrom: runs for chrom, runs in MODIFIED.items() if chrom != "chrM"}


def test_other_contexts_and_modifications_are_left_out(write: Write, read: Read) -> None:
    other = "chr1\t100\t+\tCHH\t1\t2\t1\n"
    path = write("allc_a.tsv", other + "".join(WRITERS["allc_a.tsv.gz"](*call) + "\n" for call in CALLS))
    modified, valid, notes = counts(path)
    assert (read(modified), read(valid)) == (MODIFIED, VALID)
    assert notes == (f"{path}: 1 rows skipped whose context is not CG",)
    rows = "".join(f"{_bedmethyl(*call)}\n{_bedmethyl(call[0], call[1], '+', 0, 3, 'h')}\n" for call in CALLS)
    path = write("a.bedmethyl", rows)
    modified, valid, _ = counts(path, code="m")
    assert (read(modified), read(valid)) == (MODIFIED, VALID)
    with pytest.raises(UsageError, match="has the modifications h, m; say which one is meant"):
        counts(path)
    with pytest.raises(UsageError, match="has no modification 'a'; it has h, m"):
        counts(path, code="a")


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("a.bedmethyl", _ROW.replace("80.00\t4", "80.00\t6"), "6 calls are modified, of 5 valid"),
        ("a.bedmethyl", _ROW.replace("80.00", "180"), "a percent is from 0 to 100, found 180"),
        ("a.cov", "chr1\t5\t5\t50\t-1\t1", "modified is a count of calls, found -1"),
        ("a.cov", "chr1\t0\t0\t50\t1\t1", "positions are counted from 1, found 0"),
        ("a.cov", "chr1\t5\t5\t50\t1.5\t1", "it needs a whole number of modified calls in column 5, found '1.5'"),
        ("a.cgmap", "chr1\tC\t5\tCG\tCG\t1.2\t1\t1", "a fraction is from 0 to 1, found 1.2"),
        ("a.cov", "chr1\t5000001\t5000001\t50\t1\t1", "past the end of chr1, which has 5,000,000 bases"),
        ("a.cov", "chr1\t5\t5\t50\t3000000000\t1", "no count of reads"),
    ],
)  # fmt: skip
def test_wrong_counts_are_refused_by_their_line(name: str, row: str, message: str, write: Write) -> None:
    good = {
        "a.bedmethyl": _bedmethyl(*CALLS[0]),
        "a.cov": "chr1\t1\t1\t100\t1\t0",
        "a.cgmap": WRITERS["a.CGmap.gz"](*CALLS[0]),
    }
    path = write(name, f"{good[name]}\n{row}\n")
    with pytest.raises(UsageError, match="line 2") as error:
        counts(path)
    assert message in str(error.value)
    assert list(path.parent.iterdir()) == [path]


def test_counts_in_any_order_are_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_BLOCK", 5_000)
    rng = np.random.default_rng(5)
    rows = [
        f"chr{rng.integers(1, 3)}\t{p}\t{p}\t0\t{rng.integers(0, 9)}\t{rng.integers(0, 9)}\n"
        for p in rng.integers(1, 5_000_000, 3_000)
    ]
    made = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "a.cov.gz"
        path.write_bytes(gzip.compress("".join(rows).encode()))
        made.append([out.read_bytes() for out in counts(path)[:2]])
        random.Random(1).shuffle(rows)
    assert made[0] == made[1]


def test_a_signal_is_no_counts_and_the_other_way(write: Write) -> None:
    path = write("a.bedgraph", BEDGRAPH)
    with pytest.raises(UsageError, match="bedgraph has no counts"):
        counts(path)
    with pytest.raises(UsageError, match="bed has no value"):
        signal(write("a.bed", "chr1\t1\t2\n"))
