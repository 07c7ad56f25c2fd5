from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.errors import TracksError, UsageError
from tracks.regions import Region, merge, parse_region, read_bed

SIZES = {"chr20": 63_025_520, "chr2": 1_000, "X": 500, "HLA:01": 300}


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("chr20:1,001-2,000", Region("chr20", 1_000, 2_000)),
        ("chr20:1001-2000", Region("chr20", 1_000, 2_000)),
        ("  chr20:7-7 ", Region("chr20", 6, 7)),
        ("chr20", Region("chr20", 0, 63_025_520)),
        ("chr20:63,025,520", Region("chr20", 63_025_519, 63_025_520)),
        ("chr2:901", Region("chr2", 900, 1_000)),
        ("chr2:901-", Region("chr2", 900, 1_000)),
        ("HLA:01", Region("HLA:01", 0, 300)),
        ("HLA:01:5-6", Region("HLA:01", 4, 6)),
    ],
)
def test_samtools_style_is_read(text: str, region: Region) -> None:
    assert parse_region(text, SIZES) == region


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("20:1-100", "did you mean 'chr20'"),
        ("20", "did you mean 'chr20'"),
        ("CHR20", "did you mean 'chr20'"),
        ("chrX:5-6", "did you mean 'X'"),
        ("chr200", "did you mean 'chr20'"),
        ("scaffold", "it has chr20, chr2, X, HLA:01"),
        ("", "names no chromosome"),
        (":1-5", "names no chromosome"),
        ("chr20:", "'' is not a span; write it like chr20:10,000,000-10,400,000"),
        ("chr20:a-b", "'a-b' is not a span"),
        ("chr20:1-2-3", "is not a span"),
        ("chr20:-5", "is not a span"),
        ("chr20:,-,", "is not a span"),
        ("chr20:1.5-2", "is not a span"),
        ("chr20:1-" + "9" * 5_000, "is not a span"),
        ("chr20:0-5", "positions are counted from 1"),
        ("chr20:10-5", "is reversed"),
        ("chr20:1-63,025,521", "reaches past the end of chr20, which has 63,025,520 bases"),
        ("chr2:1001", "reaches past the end of chr2"),
    ],
)
def test_a_wrong_region_says_what_is_wrong(text: str, fault: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_region(text, SIZES)
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(alphabet=st.sampled_from("chr20X:-,1 9\n²٣"), max_size=14) | st.text())
def test_any_text_is_a_region_of_the_genome_or_one_line(text: str) -> None:
    fault = None
    try:
        region = parse_region(text, SIZES)
    except UsageError as error:
        fault = str(error)
    if fault is None:
        assert 0 <= region.start < region.end <= SIZES[region.chrom]
    else:
        assert len(fault.splitlines()) == 1


@given(st.data())
def test_what_is_written_is_read_again(data: st.DataObject) -> None:
    chrom = data.draw(st.sampled_from(sorted(SIZES)))
    start = data.draw(st.integers(0, SIZES[chrom] - 1))
    region = Region(chrom, start, data.draw(st.integers(start + 1, SIZES[chrom])))
    assert parse_region(str(region), SIZES) == region
    assert parse_region(str(region).replace(",", ""), SIZES) == region


@pytest.mark.parametrize(("start", "end"), [(5, 5), (6, 5), (-1, 5)])
def test_an_empty_or_reversed_region_cannot_be_made(start: int, end: int) -> None:
    with pytest.raises(UsageError, match="empty or reversed"):
        Region("chr2", start, end)


_SPANS = st.tuples(st.sampled_from(["b", "a"]), st.integers(0, 60), st.integers(1, 20))


@given(st.lists(_SPANS, max_size=12))
def test_merging_keeps_every_base_once(spans: list[tuple[str, int, int]]) -> None:
    regions = [Region(chrom, start, start + length) for chrom, start, length in spans]
    merged = merge(regions, {"b": 80, "a": 80})
    bases = [(region.chrom, at) for region in merged for at in range(region.start, region.end)]
    assert len(bases) == len(set(bases))
    assert set(bases) == {(region.chrom, at) for region in regions for at in range(region.start, region.end)}
    assert [region.chrom for region in merged] == sorted((r.chrom for r in merged), reverse=True)
    for one, other in itertools.pairwise(merged):
        assert one.chrom != other.chrom or one.end < other.start


BED = "# made by hand\nbrowser position chr20\ntrack name=x\n\nchr20\t10\t20\tname\t0\t+\r\nchr2 0 1000\n"


@pytest.mark.parametrize("name", ["a.bed", "a.bed.gz"])
def test_bed_is_read_in_file_order(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(BED.encode()) if name.endswith("gz") else BED.encode())
    assert read_bed(path, SIZES) == [Region("chr20", 10, 20), Region("chr2", 0, 1_000)]


def test_a_chromosome_may_be_named_like_a_bed_word(tmp_path: Path) -> None:
    (tmp_path / "a.bed").write_text("track7\t0\t5\n")
    assert read_bed(tmp_path / "a.bed", {"track7": 9}) == [Region("track7", 0, 5)]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("chr20\t5", "needs three columns"),
        ("20\t5\t6", "did you mean 'chr20'"),
        ("chr20\tfive\t6", "whole numbers, found 'five' and '6'"),
        ("chr20\t-5\t6", "whole numbers"),
        ("chr20\t5\t" + "9" * 5_000, "whole numbers"),
        ("chr20\t6\t6", "empty or reversed"),
        ("chr20\t7\t6", "empty or reversed"),
        ("chr2\t0\t1001", "1,001 is past the end of chr2, which has 1,000 bases"),
    ],
)
def test_a_wrong_bed_line_is_named(tmp_path: Path, line: str, fault: str) -> None:
    path = tmp_path / "a.bed"
    path.write_text(f"chr20\t1\t2\n{line}\n")
    with pytest.raises(UsageError) as caught:
        read_bed(path, SIZES)
    assert f"{path}, line 2: " in str(caught.value)
    assert fault in str(caught.value)


def test_a_bed_file_without_regions(tmp_path: Path) -> None:
    (tmp_path / "a.bed").write_text("# nothing\n")
    with pytest.raises(UsageError, match="holds no regions"):
        read_bed(tmp_path / "a.bed", SIZES)


def test_a_bed_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no BED file"):
        read_bed(tmp_path / "a.bed", SIZES)


@pytest.mark.parametrize("content", [gzip.compress(BED.encode() * 9)[:-20], b"\x1f\x8b\x08\x00" + b"x" * 40, b"text"])
def test_a_broken_gzip_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.bed.gz").write_bytes(content)
    with pytest.raises(TracksError, match="cannot read the BED file"):
        read_bed(tmp_path / "a.bed.gz", SIZES)


def test_a_bed_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.bed").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(TracksError, match="cannot read the BED file"):
        read_bed(tmp_path / "a.bed", SIZES)
