from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyBigWig
import pysam
import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import run_command
from tests.tracks.bam.bams import SIZES, Read, random_reads, write_bam
from tracks.bam import coverage as module
from tracks.bam.alignments import ReadFilter
from tracks.bam.coverage import Counting, Library, bin_means, coverage, depth, log2_ratio, running_mean
from tracks.errors import TracksError, UsageError

Values = dict[str, np.ndarray]

EVERYTHING = ReadFilter(0, duplicates=True, secondary=True, supplementary=True, qc_fail=True)


@pytest.fixture(scope="module")
def bam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bam(tmp_path_factory.mktemp("bam") / "reads.bam", random_reads(1, 3000))


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bam(tmp_path_factory.mktemp("bam") / "control.bam", random_reads(2, 1200))


def values_of(path: Path) -> Values:
    """What another reader finds in a bigWig: float64 by base, NaN where nothing is."""
    with pyBigWig.open(str(path)) as file:
        assert file.chroms() == SIZES
        return {
            chrom: np.array(file.values(chrom, 0, length, numpy=True), np.float64) for chrom, length in SIZES.items()
        }


def samtools_depth(path: Path, *options: str) -> Values:
    """What ``samtools depth`` counts, of two mates that overlap both."""
    rows = [line.split("\t") for line in str(pysam.depth("-aa", *options, str(path))).splitlines()]
    return {chrom: np.array([int(row[2]) for row in rows if row[0] == chrom], np.float64) for chrom in SIZES}


def assert_equal(found: Values, expected: Values) -> None:
    for chrom in SIZES:
        np.testing.assert_array_equal(found[chrom], expected[chrom], chrom)


def assert_close(found: Values, expected: Values) -> None:
    for chrom in SIZES:
        np.testing.assert_allclose(found[chrom], expected[chrom], rtol=2e-6, atol=2e-6, err_msg=chrom)


def each(function: object, *files: Values) -> Values:
    return {chrom: function(*(file[chrom] for file in files)) for chrom in SIZES}  # type: ignore[operator]


def plain_bins(values: np.ndarray, size: int) -> np.ndarray:
    """The mean of each bin that has any value, at each of its bases."""
    means = values.copy()
    for start in range(0, len(values), size):
        inside = values[start : start + size]
        means[start : start + size] = np.nan if np.isnan(inside).all() else np.nanmean(inside)
    return means


@pytest.mark.parametrize(
    ("keep", "options"),
    [
        # samtools depth leaves out what is unmapped, secondary, failed or a duplicate; -g and -G add to that.
        (ReadFilter(), ["-G", "0x800"]),
        (ReadFilter(25), ["-G", "0x800", "-Q", "25"]),
        (ReadFilter(strand="+"), ["-G", "0x810"]),
        (ReadFilter(supplementary=True), []),
        (ReadFilter(duplicates=True, supplementary=True), ["-g", "0x400"]),
        (EVERYTHING, ["-g", "0x700"]),
    ],
)
def test_counts_are_those_of_samtools_depth_at_every_base(
    tmp_path: Path, bam: Path, keep: ReadFilter, options: list[str]
) -> None:
    expected = samtools_depth(bam, *options)
    coverage(bam, tmp_path / "out.bw", Counting(keep))
    assert_equal(values_of(tmp_path / "out.bw"), expected)
    assert sum(column.sum() for column in expected.values()) > 50_000


def test_both_strands_make_the_whole(tmp_path: Path, bam: Path) -> None:
    parts = []
    for strand in ("+", "-"):
        coverage(bam, tmp_path / f"{strand}.bw", Counting(ReadFilter(strand=strand)))  # type: ignore[arg-type]
        parts.append(values_of(tmp_path / f"{strand}.bw"))
    coverage(bam, tmp_path / "both.bw", Counting())
    assert_equal(values_of(tmp_path / "both.bw"), each(np.add, *parts))


@pytest.mark.skipif(shutil.which("bedtools") is None, reason="bedtools is not installed")
def test_counts_are_those_of_bedtools(tmp_path: Path, bam: Path) -> None:
    kept = tmp_path / "kept.bam"
    pysam.view("-b", "-q", "10", "-F", "0xF04", "-o", str(kept), str(bam), catch_stdout=False)
    shown = subprocess.run(
        ["bedtools", "genomecov", "-bga", "-split", "-ibam", str(kept)], capture_output=True, text=True, check=True
    )
    expected = {chrom: np.zeros(length) for chrom, length in SIZES.items()}
    for chrom, start, end, value in map(str.split, shown.stdout.splitlines()):
        expected[chrom][int(start) : int(end)] = float(value)
    coverage(bam, tmp_path / "out.bw", Counting(ReadFilter(10)))
    assert_equal(values_of(tmp_path / "out.bw"), expected)


def test_extended_reads_and_fragments_are_what_a_plain_loop_finds(tmp_path: Path, bam: Path) -> None:
    expected = {chrom: np.zeros(length) for chrom, length in SIZES.items()}
    with pysam.AlignmentFile(str(bam)) as file:
        for read in file:
            if read.is_secondary or read.is_supplementary or read.is_qcfail or read.is_duplicate:
                continue
            column = expected[str(read.reference_name)]
            if read.is_proper_pair:
                if not read.is_reverse and read.is_read1:
                    column[read.reference_start : read.reference_start + read.template_length] += 1
                elif read.is_read1:
                    assert read.reference_end is not None
                    column[read.reference_end + read.template_length : read.reference_end] += 1
            elif "N" in str(read.cigarstring):
                for start, end in read.get_blocks():
                    column[start:end] += 1
            else:
                assert read.reference_end is not None
                if read.is_reverse:
                    column[max(0, read.reference_end - 180) : read.reference_end] += 1
                else:
                    column[read.reference_start : read.reference_start + 180] += 1
    coverage(bam, tmp_path / "out.bw", Counting(extend=180, fragments=True))
    assert_equal(values_of(tmp_path / "out.bw"), expected)


def test_a_fragment_over_a_whole_tile_is_counted_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = [Read("chr1", 1000, "50M", 99, mate=2450, length=1500), Read("chr1", 2450, "50M", 147, 60, 1000, -1500)]
    reads += [Read("chr1", 30_000, "50M", 99, mate=33_950, length=4000)]
    monkeypatch.setattr(module, "_TILE", 500)
    coverage(write_bam(tmp_path / "pair.bam", reads), tmp_path / "out.bw", Counting(fragments=True))
    column = values_of(tmp_path / "out.bw")["chr1"]
    covered = np.zeros(SIZES["chr1"])
    covered[1000:2500] = 1
    # A pair too far apart is two reads, of which this file holds one.
    covered[30_000:30_050] = 1
    np.testing.assert_array_equal(column, covered)


@pytest.mark.parametrize(
    "counting",
    [
        Counting(),
        Counting(ReadFilter(20), extend=300, fragments=True),
        Counting(smooth=501, bin=128),
        Counting(extend=200, smooth=100, bin=7),
    ],
)
def test_values_do_not_depend_on_tiles_or_processes(
    tmp_path: Path, bam: Path, control: Path, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    black = tmp_path / "black.bed"
    black.write_text("chr1\t990\t1010\nchr1\t5000\t9000\n")
    for scale, other in (("cpm", None), (1.0, control)):
        made = []
        for name, tile, processes in (("whole", 1 << 20, 1), ("tiles", 1000, 1), ("processes", 1 << 14, 2)):
            monkeypatch.setattr(module, "_TILE", tile)
            out = tmp_path / f"{name}.bw"
            written = coverage(
                bam, out, counting, scale=scale, control=other, blacklist=black, processes=processes, overwrite=True
            )  # type: ignore[arg-type]
            made.append((values_of(out), written))
        for values, written in made[1:]:
            assert_equal(values, made[0][0])
            assert written == made[0][1]


def test_a_region_has_the_values_of_the_whole_in_whole_bins(tmp_path: Path, bam: Path, control: Path) -> None:
    counting = Counting(extend=200, smooth=51, bin=100)
    coverage(bam, tmp_path / "whole.bw", counting, control=control)
    coverage(bam, tmp_path / "part.bw", counting, control=control, regions=["chr1:2,050-3,001", "chr3"])
    whole, part = values_of(tmp_path / "whole.bw"), values_of(tmp_path / "part.bw")
    inside = slice(2000, 3100)
    np.testing.assert_array_equal(part["chr1"][inside], whole["chr1"][inside])
    np.testing.assert_array_equal(part["chr3"], whole["chr3"])
    part["chr1"][inside] = np.nan
    assert np.isnan(part["chr1"]).all()
    assert np.isnan(part["chr2"]).all()


def test_smoothed_bins_outside_a_blacklist_follow_from_the_depth(tmp_path: Path, bam: Path) -> None:
    black = tmp_path / "black.bed"
    black.write_text("track name=black\nchr1\t0\t300\nchr1\t10000\t12000\tpile\nchr1\t11000\t12555\nchrUn\t1\t2\n")
    expected = samtools_depth(bam, "-G", "0x800")
    blacked = np.zeros(SIZES["chr1"], bool)
    blacked[:300] = blacked[10_000:12_555] = True

    def smooth(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
        box = np.ones(101)
        mean = np.convolve(values * valid, box, "same") / np.maximum(np.convolve(valid, box, "same"), 1e-9)
        return np.where(valid, mean, np.nan)

    coverage(bam, tmp_path / "out.bw", Counting(smooth=101, bin=128), blacklist=black)
    found = values_of(tmp_path / "out.bw")
    valid = {chrom: np.ones(length) for chrom, length in SIZES.items()} | {"chr1": (~blacked).astype(float)}
    assert_close(found, {c: plain_bins(smooth(expected[c], valid[c]), 128) for c in SIZES})
    assert np.isnan(found["chr1"][:256]).all()
    assert not np.isnan(found["chr1"][256:384]).any()


def test_cpm_is_a_million_over_the_reads_that_count(tmp_path: Path, bam: Path) -> None:
    count = int(str(pysam.view("-c", "-q", "10", "-F", "0xF04", str(bam))))
    written = coverage(bam, tmp_path / "out.bw", Counting(ReadFilter(10)), scale="cpm")
    expected = samtools_depth(bam, "-G", "0x800", "-Q", "10")
    bases = int(sum(column.sum() for column in expected.values()))
    assert written.library == Library(count, bases)
    assert_close(values_of(tmp_path / "out.bw"), each(lambda column: column * (1e6 / count), expected))


def test_cpm_leaves_out_reads_that_start_in_the_blacklist(tmp_path: Path) -> None:
    reads = [Read("chr1", start, "50M") for start in (100, 199, 200, 299, 300, 900)]
    black = tmp_path / "black.bed"
    black.write_text("chr1\t200\t300\n")
    written = coverage(
        write_bam(tmp_path / "six.bam", reads), tmp_path / "out.bw", Counting(), scale="cpm", blacklist=black
    )
    assert written.library == Library(4, 200)
    assert values_of(tmp_path / "out.bw")["chr1"][120] == 250_000


def test_a_library_covers_what_lies_on_the_chromosome(tmp_path: Path) -> None:
    reads = write_bam(tmp_path / "ends.bam", [Read("chr3", 0, "50M", 16), Read("chr3", 3950, "50M")])
    written = coverage(reads, tmp_path / "out.bw", Counting(extend=200), scale="cpm")
    assert written.library == Library(2, 100)


def test_a_log2_ratio_is_of_libraries_of_one_size(tmp_path: Path, bam: Path, control: Path) -> None:
    written = coverage(bam, tmp_path / "out.bw", Counting(bin=64), control=control, pseudocount=0.5)
    signal, background = samtools_depth(bam, "-G", "0x800"), samtools_depth(control, "-G", "0x800")
    reads, others = (int(str(pysam.view("-c", "-F", "0xF04", str(path)))) for path in (bam, control))
    assert written.library is not None
    assert written.control is not None
    assert (written.library.reads, written.control.reads) == (reads, others)
    bases = sum(column.sum() for column in (*signal.values(), *background.values()))
    width = bases / (reads + others)
    added = 0.5 * width / (64 + width - 1)
    assert others < reads

    def ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
        over, under = plain_bins(over, 64) * others / reads, plain_bins(under, 64)
        return np.where((over == 0) & (under == 0), np.nan, np.log2((over + added) / (under + added)))

    expected = each(ratio, signal, background)
    found = values_of(tmp_path / "out.bw")
    assert_close(found, expected)
    # The other way round the sign alone changes, whichever library is the smaller.
    coverage(control, tmp_path / "turned.bw", Counting(bin=64), control=bam, pseudocount=0.5)
    assert_close(values_of(tmp_path / "turned.bw"), each(np.negative, found))


def test_a_pseudocount_is_what_one_read_adds_to_a_bin_on_average(tmp_path: Path) -> None:
    # Reads of 50 bases start at every base: the mean depth of a bin is 50, of as many reads as overlap it, 149.
    reads = [Read("chr1", start, "50M") for start in range(10_000)]
    job = module._Job(None, None, Counting(bin=100), (1.0, 1.0), 149.0, {})  # type: ignore[arg-type]
    library = Library(len(reads), 50 * len(reads))
    assert module._as_ratio(job, library, library).pseudocount == pytest.approx(50)


def test_zero_is_measured_and_missing_is_not(tmp_path: Path) -> None:
    one = write_bam(tmp_path / "one.bam", [Read("chr1", 100, "50M"), Read("chr1", 400, "50M")])
    two = write_bam(tmp_path / "two.bam", [Read("chr1", 100, "50M"), Read("chr1", 700, "50M")])
    coverage(one, tmp_path / "count.bw", Counting())
    counts = values_of(tmp_path / "count.bw")
    assert counts["chr1"].sum() == 100
    assert not any(np.isnan(column).any() for column in counts.values())
    coverage(one, tmp_path / "ratio.bw", Counting(), control=two)
    ratio = values_of(tmp_path / "ratio.bw")["chr1"]
    np.testing.assert_array_equal(
        np.flatnonzero(np.isfinite(ratio)), [*range(100, 150), *range(400, 450), *range(700, 750)]
    )
    assert set(ratio[np.isfinite(ratio)]) == {0.0, 1.0, -1.0}


def test_chromosomes_are_named_and_ordered_as_in_the_genome(tmp_path: Path) -> None:
    reads = write_bam(tmp_path / "plain.bam", [Read("2", 5, "50M"), Read("1", 7, "50M")], {"2": 500, "1": 900, "X": 9})
    written = coverage(reads, tmp_path / "out.bw", Counting(), genome_sizes={"chr1": 900, "chr2": 500, "chr3": 70})
    with pyBigWig.open(str(tmp_path / "out.bw")) as file:
        assert file.chroms() == {"chr1": 900, "chr2": 500, "chr3": 70}
        assert file.values("chr1", 6, 8) == [0, 1]
        assert np.isnan(file.values("chr3", 0, 70)).all()
    assert written.bases == 1400
    assert any("1 is taken for" in note or "2 is taken for" in note for note in written.notes)


def test_a_control_of_another_build_or_with_fewer_chromosomes(tmp_path: Path, bam: Path) -> None:
    reads = [Read("chr1", 5, "50M")]
    other = write_bam(tmp_path / "other.bam", reads, {"chr1": 60_001})
    with pytest.raises(UsageError, match=r"its chr1 has 60,001 bases, the genome's chr1 60,000"):
        coverage(bam, tmp_path / "out.bw", Counting(), control=other)
    fewer = write_bam(tmp_path / "fewer.bam", reads, {"chr1": 60_000})
    written = coverage(bam, tmp_path / "out.bw", Counting(bin=100), control=fewer)
    assert np.isnan(values_of(tmp_path / "out.bw")["chr2"]).all()
    assert any("lacks 2 chromosomes" in note for note in written.notes)


def test_a_cram_counts_as_its_bam_does(tmp_path: Path, bam: Path) -> None:
    cram = write_bam(tmp_path / "reads.cram", random_reads(1, 3000))
    counting = Counting(ReadFilter(5), extend=200, fragments=True)
    for path, name in ((bam, "bam"), (cram, "cram")):
        coverage(path, tmp_path / f"{name}.bw", counting)
    assert_equal(values_of(tmp_path / "cram.bw"), values_of(tmp_path / "bam.bw"))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"control": "missing.bam"}, UsageError, "there is no BAM or CRAM file"),
        ({"blacklist": "missing.bed"}, UsageError, "there is no file"),
        ({"blacklist": "long.bed"}, UsageError, "is of another genome build: it reaches 70,000 on chr1"),
        ({"control": "reads.bam", "scale": "cpm"}, UsageError, "leave the scale out"),
        ({"regions": ["chr7"]}, UsageError, "no chromosome 'chr7'"),
        ({"counting": Counting(ReadFilter(61))}, TracksError, r"no read of .*reads\.bam counts"),
        ({"counting": Counting(ReadFilter(61)), "scale": "cpm"}, TracksError, r"no read of .*reads\.bam counts"),
        ({"counting": Counting(fragments=True)}, UsageError, "no proper pair among its first reads"),
        ({"blacklist": "all.bed"}, TracksError, "no base has a value"),
        ({"genome_sizes": {"chr1": 5}}, UsageError, "is of another genome build"),
    ],
)
def test_what_cannot_be_is_refused_and_no_file_stays(
    tmp_path: Path, change: dict[str, object], error: type[TracksError], words: str
) -> None:
    write_bam(tmp_path / "reads.bam", [read for read in random_reads(3, 100) if read.mate is None])
    (tmp_path / "long.bed").write_text("chr1\t10\t70000\n")
    (tmp_path / "all.bed").write_text("".join(f"{chrom}\t0\t{length}\n" for chrom, length in SIZES.items()))
    before = set(tmp_path.iterdir())
    asked = {
        name: tmp_path / str(value) if name in ("control", "blacklist") else value for name, value in change.items()
    }
    with pytest.raises(error, match=words) as raised:
        coverage(tmp_path / "reads.bam", tmp_path / "out.bw", **({"counting": Counting()} | asked))  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)
    assert set(tmp_path.iterdir()) == before


@given(
    st.lists(st.tuples(st.integers(-20, 60), st.integers(1, 40)), max_size=30), st.integers(0, 30), st.integers(1, 30)
)
def test_depth_is_a_plain_count(spans: list[tuple[int, int]], start: int, length: int) -> None:
    found = depth([[(first, first + size)] for first, size in spans], start, start + length)
    expected = [sum(first <= at < first + size for first, size in spans) for at in range(start, start + length)]
    assert found.tolist() == expected


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), min_size=1, max_size=40), st.integers(1, 60))
def test_means_are_plain_means_of_what_is_valid(rows: list[tuple[int, bool]], size: int) -> None:
    values, valid = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])

    def mean(first: int, last: int) -> float:
        inside = values[max(first, 0) : last][valid[max(first, 0) : last]]
        return float(inside.mean()) if len(inside) else np.nan

    around = [mean(at - size // 2, at - size // 2 + size) for at in range(len(rows))]
    np.testing.assert_allclose(running_mean(values, valid, size), around, rtol=1e-12)
    np.testing.assert_allclose(
        bin_means(values, valid, size), [mean(at, at + size) for at in range(0, len(rows), size)], rtol=1e-12
    )


@given(st.floats(0, 1e4), st.floats(0, 1e4), st.floats(1e-3, 10))
def test_a_ratio_changes_sign_with_its_sides(signal: float, control: float, pseudocount: float) -> None:
    one, other = (
        log2_ratio(np.array([a]), np.array([b]), pseudocount)[0] for a, b in ((signal, control), (control, signal))
    )
    if signal == control == 0:
        assert np.isnan(one)
    else:
        assert one == pytest.approx(-other, abs=1e-9)
        assert (one > 0) == (signal + pseudocount > control + pseudocount)


def test_the_command_says_what_it_counted_and_keeps_what_is_there(tmp_path: Path, bam: Path, control: Path) -> None:
    out = tmp_path / "out.bw"
    made = run_command("coverage", bam, "--control", control, "-o", out, "--min-mapq", 10, "--processes", 2)
    assert made.returncode == 0, made.stderr
    assert f"wrote {out}: " in made.stdout
    count = int(str(pysam.view("-c", "-q", "10", "-F", "0xF04", str(bam))))
    assert f"tracks: {bam}: {count:,} reads count, of 50 bases on average" in made.stderr
    with pyBigWig.open(str(out)) as file:
        start, end, _ = file.intervals("chr1")[0]
        assert start % 128 == 0
        assert end % 128 == 0
    again = run_command("coverage", bam, "-o", out)
    assert again.returncode == 2
    assert "exists already" in again.stderr
    coverage(bam, tmp_path / "same.bw", Counting())
    plain = run_command("coverage", bam, "-o", out, "--overwrite", "--scale", "none")
    assert plain.returncode == 0, plain.stderr
    assert_equal(values_of(out), values_of(tmp_path / "same.bw"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--scale", "rpkm"], "--scale rpkm: it is none, cpm or a factor above 0"),
        (["--scale", "-1"], "it is none, cpm or a factor above 0"),
        (["--scale", "inf"], "it is none, cpm or a factor above 0"),
        (["--extend", "0"], "--extend 0: it is auto or a number of bases"),
        (["--extend", "long"], "--extend long: it is auto or a number of bases"),
        (["--genome", "nowhere.sizes"], "there is no file of chromosome lengths"),
    ],
)
def test_a_wrong_option_is_one_line(tmp_path: Path, bam: Path, options: list[str], words: str) -> None:
    refused = run_command("coverage", bam, "-o", tmp_path / "out.bw", *options)
    assert refused.returncode == 2
    assert words in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_help_shows_examples() -> None:
    shown = run_command("coverage", "--help")
    assert "tracks coverage chip.bam -o chip.bw" in shown.stdout


def test_what_is_read_is_not_written(cli: Callable[..., Result], tmp_path: Path) -> None:
    bam = write_bam(tmp_path / "reads.bam", random_reads(1, 50))
    before = bam.read_bytes()
    result = cli("coverage", bam, "-o", tmp_path / "." / "reads.bam", "--overwrite")
    assert (result.exit_code, "is read by this command" in result.output) == (2, True)
    assert bam.read_bytes() == before
