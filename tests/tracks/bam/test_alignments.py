from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import numpy as np
import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import run_command
from tests.tracks.bam.bams import SIZES, Read, random_reads, write_bam
from tracks.bam.alignments import Alignments, ReadFilter, check_alignments, map_tiles, tiles
from tracks.errors import TracksError, UsageError
from tracks.parallel import map_in_order
from tracks.regions import Region


@pytest.fixture(scope="module")
def bam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bam(tmp_path_factory.mktemp("bam") / "reads.bam", random_reads(1, 500))


def names(file: Alignments, keep: ReadFilter, region: Region) -> list[str]:
    """Reads of a region that count and start in it."""
    with file.open() as handle:
        return [
            str(read.query_name)
            for read in file.reads(handle, region)
            if keep.keeps(read) and region.start <= read.reference_start < region.end
        ]


def width(region: Region) -> tuple[str, int]:
    return region.chrom, len(region)


@pytest.mark.parametrize("processes", [1, 2])
def test_small_tiles_go_to_a_worker_together(processes: int) -> None:
    sizes = {"chr1": 2_500, **{f"contig{at}": 90 + at for at in range(40)}, "chr2": 1_000}
    work = tiles(sizes, 1_000)
    assert list(map_tiles(width, work, processes)) == [(tile.chrom, len(tile)) for tile in work]
    assert list(map_tiles(width, [], processes)) == []


def fail(region: Region) -> None:
    raise TracksError(f"nothing is right at {region}")


def leave(region: Region) -> None:
    os._exit(9)


@pytest.mark.parametrize(
    ("keep", "options"),
    [
        (ReadFilter(), ["-F", str(0xF04)]),
        (ReadFilter(30, strand="+"), ["-q", "30", "-F", str(0xF14)]),
        (ReadFilter(strand="-"), ["-f", "16", "-F", str(0xF04)]),
        (ReadFilter(duplicates=True, qc_fail=True), ["-F", str(0x904)]),
        (ReadFilter(secondary=True, supplementary=True), ["-F", str(0x604)]),
    ],
)
def test_a_filter_keeps_what_samtools_view_keeps(bam: Path, keep: ReadFilter, options: list[str]) -> None:
    file = check_alignments(bam)
    kept = [name for chrom, length in SIZES.items() for name in names(file, keep, Region(chrom, 0, length))]
    shown = [line.split("\t")[0] for line in str(pysam.view(*options, str(bam))).splitlines()]
    assert kept == shown
    assert 0 < len(kept) < 1000


@pytest.mark.parametrize("processes", [1, 2])
def test_tiles_of_two_processes_give_every_read_once_and_in_order(bam: Path, processes: int) -> None:
    file = check_alignments(bam)
    one = [name for chrom, length in SIZES.items() for name in names(file, ReadFilter(), Region(chrom, 0, length))]
    found = map_in_order(partial(names, file, ReadFilter()), tiles(file.chrom_sizes, 3_333), processes)
    assert [name for part in found for name in part] == one


def test_the_error_of_a_worker_comes_out_as_it_was() -> None:
    with pytest.raises(TracksError, match="nothing is right at chr1:1-10"):
        list(map_in_order(fail, tiles({"chr1": 100}, 10), 2))


def test_a_worker_that_is_killed_is_one_line() -> None:
    with pytest.raises(TracksError, match="a worker process ended before its work was done"):
        list(map_in_order(leave, tiles({"chr1": 100}, 10), 2))


@given(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(1, 500), min_size=1),
    st.integers(1, 100),
    st.data(),
)
def test_tiles_cover_each_base_once(sizes: dict[str, int], size: int, data: st.DataObject) -> None:
    regions = None
    asked = {chrom: np.ones(length, int) for chrom, length in sizes.items()}
    if data.draw(st.booleans()):
        regions = []
        asked = {chrom: np.zeros(length, int) for chrom, length in sizes.items()}
        for chrom in data.draw(st.lists(st.sampled_from(list(sizes)), min_size=1)):
            start = data.draw(st.integers(0, sizes[chrom] - 1))
            regions.append(Region(chrom, start, data.draw(st.integers(start + 1, sizes[chrom]))))
            asked[chrom][start : regions[-1].end] = 1
    found = {chrom: np.zeros(length, int) for chrom, length in sizes.items()}
    made = tiles(sizes, size, regions)
    for tile in made:
        found[tile.chrom][tile.start : tile.end] += 1
        assert tile.start // size == (tile.end - 1) // size
    assert all((found[chrom] == asked[chrom]).all() for chrom in sizes)
    assert made == sorted(made, key=lambda tile: (list(sizes).index(tile.chrom), tile.start))


def test_an_index_is_made_beside_the_file_and_nothing_else(tmp_path: Path) -> None:
    path = write_bam(tmp_path / "reads.bam", random_reads(2, 50), index=False)
    file = check_alignments(path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["reads.bam", "reads.bam.bai", "reads.sam"]
    assert names(file, ReadFilter(), Region("chr1", 0, SIZES["chr1"]))


def test_a_chromosome_too_long_for_bai_gets_a_csi(tmp_path: Path) -> None:
    reads = [Read("chr1", 600_000_000, "50M")]
    file = check_alignments(write_bam(tmp_path / "long.bam", reads, {"chr1": 700_000_000}, index=False))
    assert (tmp_path / "long.bam.csi").exists()
    assert len(names(file, ReadFilter(), Region("chr1", 599_999_990, 600_000_010))) == 1


def test_a_cram_is_read_without_its_reference(tmp_path: Path, bam: Path) -> None:
    cram = write_bam(tmp_path / "reads.cram", random_reads(1, 500), index=False)
    file, region = check_alignments(cram), Region("chr1", 0, SIZES["chr1"])
    assert (tmp_path / "reads.cram.crai").exists()
    assert names(file, ReadFilter(), region) == names(check_alignments(bam), ReadFilter(), region)


def test_names_without_chr_are_matched_with_a_note(tmp_path: Path) -> None:
    plain = {chrom.removeprefix("chr"): length for chrom, length in SIZES.items()}
    path = write_bam(tmp_path / "plain.bam", [Read("2", 100, "50M")], plain)
    file = check_alignments(path, {"chr2": SIZES["chr2"], "chr9": 10})
    assert file.chrom_sizes == {"chr2": SIZES["chr2"]}
    assert len(names(file, ReadFilter(), Region("chr2", 0, 200))) == 1
    assert "its chromosome 2 is taken for chr2" in file.note
    assert "2 of its chromosomes are not in the genome and are left out (1, 3)" in file.note


def test_an_index_older_than_its_file_is_noted(tmp_path: Path) -> None:
    path = write_bam(tmp_path / "reads.bam", random_reads(3, 20))
    assert check_alignments(path).note == ""
    os.utime(f"{path}.bai", (1, 1))
    assert "older than its file" in check_alignments(path).note


def bad_file(kind: str, folder: Path) -> Path:
    path = folder / "bad.bam"
    if kind == "missing":
        return path
    if kind == "text":
        path.write_text("no reads here\n")
    elif kind == "sam":
        path.write_text("@HD\tVN:1.6\n")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "bgzip":
        with pysam.BGZFile(str(path), "w") as file:
            file.write(b">chr1\nACGT\n")
    elif kind == "cut":
        whole = write_bam(folder / "whole.bam", random_reads(4, 400)).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "by name":
        write_bam(path, random_reads(5, 20), order="queryname", index=False)
    elif kind == "disorder":
        write_bam(path, [Read("chr1", 500, "50M"), Read("chr1", 100, "50M")], order="unknown", index=False)
    elif kind == "unaligned":
        write_bam(path, [], {}, index=False)
    else:
        write_bam(path, random_reads(6, 20))
    return path


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("missing", UsageError, "there is no BAM or CRAM file"),
        ("text", UsageError, "is neither BAM nor CRAM"),
        ("empty", UsageError, "is neither BAM nor CRAM"),
        ("bgzip", UsageError, "is neither BAM nor CRAM"),
        ("sam", UsageError, "is SAM text"),
        ("cut", TracksError, "is cut short or damaged"),
        ("by name", UsageError, r"is not sorted by position \(its header says 'queryname'\); run: samtools sort"),
        ("disorder", UsageError, r"is not sorted by position \(its reads are out of order\); run: samtools sort"),
        ("unaligned", UsageError, "names no chromosome"),
        ("other build", UsageError, "its chr1 has 60,000 bases, the genome's chr1 60,001"),
    ],
)
def test_a_bad_file_is_refused_in_one_line_and_leaves_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str, error: type[TracksError], words: str
) -> None:
    path = bad_file(kind, tmp_path)
    capfd.readouterr()
    before = set(tmp_path.iterdir())
    with pytest.raises(error, match=words) as raised:
        check_alignments(path, {"chr1": 60_001} if kind == "other build" else None)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)
    assert set(tmp_path.iterdir()) == before
    assert capfd.readouterr().err == ""


def test_damage_in_the_middle_names_the_place(tmp_path: Path) -> None:
    path = write_bam(tmp_path / "reads.bam", random_reads(7, 4000))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    path.write_bytes(data)
    file = check_alignments(path)
    with pytest.raises(TracksError, match=r"cannot read .*reads\.bam at chr1:1-60,000: truncated file"):
        names(file, ReadFilter(), Region("chr1", 0, SIZES["chr1"]))


def test_a_folder_that_is_not_writable_says_who_should_index(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    path = write_bam(folder / "reads.bam", random_reads(8, 20), index=False)
    folder.chmod(0o555)
    try:
        result = run_command("coverage", path, "-o", tmp_path / "out.bw", bound=True)
    finally:
        folder.chmod(0o755)
    assert result.returncode == 1
    assert f"have its owner run: samtools index {path}" in result.stderr
