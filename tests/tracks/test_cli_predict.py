"""``tracks predict`` end to end, on a small genome and a small random model in a real model folder."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyBigWig
import pysam
import pytest
from click.testing import Result

from tests.conftest import CHROM_SIZES, command_line, run_command, write_fasta
from tracks.bigwig import read_bins
from tracks.grid import BIN, bin_count, window_count
from tracks.regions import Region, parse_region

Cli = Callable[..., Result]
SLUGS = ("cpg_methylation_imr90", "lmnb1_lad_liver")


@pytest.fixture(scope="module")
def given(fasta: Path, model_folder: Path) -> tuple[object, ...]:
    """The options that name the small genome and model."""
    return ("--genome", fasta, "--model", model_folder, "--device", "cpu", "--threads", 1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, given: tuple[object, ...], shared_store: Path) -> Path:
    """The whole genome, predicted by the command in its own process."""
    out = tmp_path_factory.mktemp("whole") / "out"
    run = run_command("predict", "--chrom", "chr3", "--chrom", "chr20", *given, "-o", out, store=shared_store)
    assert run.returncode == 0, run.stderr
    assert re.fullmatch(rf"wrote 2 files in {out}: 5,470 bins of 128 bp, in \d+\.\d s\n", run.stdout)
    return out


def one_line(result: Result | subprocess.CompletedProcess[str], code: int) -> str:
    """Check that a command failed with a code and one line, and return the line."""
    found = result.exit_code if isinstance(result, Result) else result.returncode
    assert found == code, result.stderr
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("tracks: error: ")
    return line


def test_the_whole_genome_is_what_the_model_gives(whole: Path, fasta: Path, model_folder: Path) -> None:
    from model.folder import load_model
    from model.predict import Predictor
    from tracks.genome import Genome

    predictor = Predictor(load_model(model_folder), Genome(fasta), "cpu")
    for chrom in ("chr20", "chr3"):
        windows = [predictor.window(chrom, index) for index in range(window_count(CHROM_SIZES[chrom]))]
        values = np.concatenate(windows)[: bin_count(CHROM_SIZES[chrom])]
        for at, slug in enumerate(SLUGS):
            found = read_bins(whole / f"{slug}.bw", Region(chrom, 0, CHROM_SIZES[chrom]))
            np.testing.assert_array_equal(found, values[:, at])
            assert 0.01 < np.isnan(values[:, at]).mean() < 0.9 or chrom == "chr3"
            assert np.nanmax(values[:, at]) - np.nanmin(values[:, at]) > 0.05


def test_names_bounds_and_zoom_levels(whole: Path) -> None:
    for slug in SLUGS:
        with pyBigWig.open(str(whole / f"{slug}.bw")) as handle:
            assert handle.chroms() == CHROM_SIZES
            # Near the chromosome's end, too little lies around for the track with context.
            assert (handle.intervals("chr20")[-1][1] == 500_050) == (slug == SLUGS[0])
            assert handle.intervals("chrN") is None
            assert handle.header()["nLevels"] >= 3


REGIONS = ["chr20:1-500", "chr20:100,001-120,000", "chr20:114,689-114,689", "chr20:340,000-500,050", "chr3:199,999"]


@pytest.mark.parametrize("text", REGIONS)
def test_any_part_is_the_whole_bit_for_bit(
    cli: Cli, whole: Path, given: tuple[object, ...], tmp_path: Path, text: str
) -> None:
    """Without what the store knows, and exactly the whole bins that touch the region."""
    result = cli("predict", "--region", text, *given, "-o", tmp_path, "--store", tmp_path / "store")
    assert result.exit_code == 0, result.stderr
    region = parse_region(text, CHROM_SIZES)
    for slug in SLUGS:
        path = tmp_path / f"{slug}.bw"
        expected = read_bins(whole / path.name, Region(region.chrom, 0, CHROM_SIZES[region.chrom]))
        expected[: region.start // BIN] = np.nan
        expected[-(-region.end // BIN) :] = np.nan
        if np.isnan(expected).all():
            assert not path.exists()
            continue
        found = read_bins(path, Region(region.chrom, 0, CHROM_SIZES[region.chrom]))
        np.testing.assert_array_equal(found, expected)


def test_several_sources_go_to_one_sorted_file(
    cli: Cli, whole: Path, given: tuple[object, ...], tmp_path: Path
) -> None:
    with gzip.open(tmp_path / "more.bed.gz", "wt") as bed:
        bed.write("chr3\t1000\t1001\nchr20\t400000\t400640\nchr20\t50\t300\n")
    result = cli(
        *("predict", "--region", "chr20:600-700", "--region", "chr3:900-1,024", "--bed", tmp_path / "more.bed.gz"),
        *(*given, "--format", "bedgraph", "--track", "CpG methylation IMR90", "-o", tmp_path / "out"),
    )
    assert result.exit_code == 0, result.stderr
    (path,) = (tmp_path / "out").iterdir()
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    bins = [("chr20", at) for at in (0, 1, 2, 4, 5, *range(3125, 3130))] + [("chr3", 7)]
    found = [(chrom, at) for chrom, start, end, _ in lines for at in range(int(start) // BIN, -(-int(end) // BIN))]
    assert found == bins
    for chrom, start, end, value in lines:
        assert (read_bins(whole / f"{SLUGS[0]}.bw", Region(chrom, int(start), int(end))) == np.float32(value)).all()
    assert re.search(rf"wrote {path}: 11 bins of 128 bp, in \S+ s\n$", result.stdout)


def test_hdf5_holds_all_tracks_and_names_the_model(
    cli: Cli, whole: Path, given: tuple[object, ...], model_folder: Path, tmp_path: Path
) -> None:
    result = cli("predict", "--region", "chr20:200,001-400,000", *given, "--format", "hdf5", "-o", tmp_path)
    assert result.exit_code == 0, result.stderr
    first, last = 200_000 // BIN, 400_000 // BIN
    with h5py.File(tmp_path / "predictions.h5") as file:
        for at, slug in enumerate(SLUGS):
            expected = read_bins(whole / f"{slug}.bw", Region("chr20", 0, 500_050))[first:last]
            np.testing.assert_array_equal(file["values/chr20"][:, at], expected)
            assert np.isnan(expected).any()
        assert [track["slug"] for track in json.loads(file.attrs["tracks"])] == list(SLUGS)
        from model.folder import load_model

        assert file.attrs["model_digest"] == load_model(model_folder).digest


def test_what_is_missing_is_said_in_the_last_lines(
    cli: Cli, whole: Path, given: tuple[object, ...], tmp_path: Path
) -> None:
    """The counts are those of the files."""
    result = cli("predict", "--chrom", "chr20", *given, "-o", tmp_path)
    assert result.exit_code == 0
    local, wide = (np.isnan(read_bins(whole / f"{slug}.bw", Region("chr20", 0, 500_050))) for slug in SLUGS)
    assert 0 < local.sum() < wide.sum()
    assert result.stderr.splitlines()[-3:-1] == [
        f"tracks: no value for {local.sum():,} of 3,907 bins: no sequence there",
        f"tracks: LMNB1 LAD liver: no value for {(wide & ~local).sum():,} other bins: "
        "too little sequence in the 0.2 Mb around",
    ]


def test_a_track_without_any_value_has_no_file_and_that_is_said(
    cli: Cli, whole: Path, given: tuple[object, ...], tmp_path: Path
) -> None:
    wide = np.isnan(read_bins(whole / f"{SLUGS[1]}.bw", Region("chr20", 0, 500_050)))
    local = np.isnan(read_bins(whole / f"{SLUGS[0]}.bw", Region("chr20", 0, 500_050)))
    at = int(np.flatnonzero(wide & ~local)[0]) * BIN
    result = cli("predict", "--region", f"chr20:{at + 1}-{at + BIN}", *given, "-o", tmp_path)
    assert result.exit_code == 0
    assert "tracks: warning: LMNB1 LAD liver has no value in these regions, so it has no file" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == [f"{SLUGS[0]}.bw"]
    assert result.stdout.startswith(f"wrote {tmp_path / SLUGS[0]}.bw: 1 bin of 128 bp, in ")


@pytest.mark.parametrize("form", ["bigwig", "bedgraph", "hdf5"])
def test_only_n_is_a_failure_that_writes_nothing(
    cli: Cli, given: tuple[object, ...], tmp_path: Path, form: str
) -> None:
    arguments = ("predict", "--region", "chr20:240,000-340,000", "--chrom", "chrN", "--format", form)
    result = cli(*arguments, *given, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines()[-2:] == [
        "tracks: no value for 940 of 940 bins: no sequence there",
        "tracks: error: no file was written: not one of 940 bins has a value",
    ]
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_case_and_compression_change_nothing(
    cli: Cli, whole: Path, sequences: dict[str, str], given: tuple[object, ...], tmp_path: Path
) -> None:
    """Upper case, IUPAC as N, other line lengths, bgzip: the same values, and the same place in the store."""
    plain = {name: re.sub("[^ACGT]", "N", sequence.upper()) for name, sequence in sequences.items()}
    write_fasta(tmp_path / "upper.fa", plain, width=61)
    pysam.tabix_compress(str(tmp_path / "upper.fa"), str(tmp_path / "upper.fa.gz"))
    arguments = ("predict", "--region", "chr20:1-120,000", *given[2:], "--genome", tmp_path / "upper.fa.gz")
    result = cli(*arguments, "-o", tmp_path / "out", "--store", tmp_path / "store")
    assert result.exit_code == 0, result.stderr
    for slug in SLUGS:
        expected = read_bins(whole / f"{slug}.bw", Region("chr20", 0, 120_000))
        np.testing.assert_array_equal(read_bins(tmp_path / "out" / f"{slug}.bw", Region("chr20", 0, 120_000)), expected)


# What is wrong with the request, the exit code, and what the line says.
WRONG: list[tuple[list[str], int, str]] = [
    ([], 2, "nothing to predict; give --region"),
    (["--region", "20:1-500"], 2, "the genome has no chromosome '20'; did you mean 'chr20'?"),
    (["--chrom", "20"], 2, "--chrom: the genome has no chromosome '20'; did you mean 'chr20'?"),
    (["--chrom", "chr20:1-500"], 2, "--chrom: the genome has no chromosome 'chr20:1-500'"),
    (["--region", "chr20:1-500,051"], 2, "reaches past the end of chr20, which has 500,050 bases"),
    (["--region", "chr20:500-400"], 2, "is reversed"),
    (["--region", ""], 2, "names no chromosome"),
    (["--region", "chr20:"], 2, "is not a span; write it like chr20:10,000,000-10,400,000"),
    (["--region", "chr20:a-b"], 2, "is not a span"),
    (["--region", "chr20:0-9"], 2, "positions are counted from 1"),
    (["--region", "chr3", "--bed", "{here}/no.bed"], 2, "there is no BED file {here}/no.bed"),
    (["--bed", "{here}/bad.bed"], 2, "{here}/bad.bed, line 2: start and end must be whole numbers, found '1' and 'x'"),
    (["--bed", "{here}/small.png"], 1, "cannot read the BED file {here}/small.png"),
    (["--chrom", "chr3", "--genome", "{here}/no.fa"], 2, "there is no FASTA file {here}/no.fa"),
    (["--chrom", "chr3", "--genome", "{here}"], 1, "cannot read the FASTA file {here}: Is a directory"),
    (["--chrom", "chr3", "--genome", "{here}/bad.bed"], 1, "{here}/bad.bed is not FASTA: it should start with '>'"),
    (["--chrom", "p", "--genome", "{here}/protein.fa"], 1, "{here}/protein.fa is not DNA: p, base 2 is 'F'"),
    (["--chrom", "a", "--genome", "{here}/plain.fa.gz"], 1, "is gzip, which cannot be read by position"),
    (["--chrom", "chr3", "--model", "{here}"], 2, "{here} is not a model folder"),
    (["--chrom", "chr3", "--model", "{here}/no"], 2, "{here}/no is not a model folder"),
    (["--chrom", "chr3", "--model", "{here}/newer"], 2, "{here}/newer has model format 99"),
    (["--chrom", "chr3", "--track", "LAD livver"], 2, "no track 'LAD livver'; did you mean 'LMNB1 LAD liver'?"),
    (["--chrom", "chr3", "--device", "quantum"], 2, "device 'quantum' is not available here"),
    (["--chrom", "chr3", "-o", "{here}/bad.bed"], 2, "cannot write to {here}/bad.bed: {here}/bad.bed is a file"),
    (["--chrom", "chr3", "-o", "{here}/bad.bed/out"], 2, "{here}/bad.bed is a file, not a folder"),
    (["--chrom", "chr3", "-o", "{here}/full"], 2, "{here}/full/lmnb1_lad_liver.bw exists already; choose another"),
    (["--chrom", "chr3", "--store", "{here}/bad.bed"], 1, "cannot make the prediction store {here}/bad.bed"),
]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Path:
    """A folder of wrong files."""
    folder = tmp_path_factory.mktemp("here")
    (folder / "bad.bed").write_text("chr20\t0\t5\nchr20\t1\tx\n")
    (folder / "small.png").write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe\x00")
    (folder / "protein.fa").write_text(">p\nMFPKLLE\n".replace("M", "A"))
    (folder / "plain.fa.gz").write_bytes(gzip.compress(b">a\nACGT\n"))
    shutil.copytree(model_folder, folder / "newer")
    description = json.loads((folder / "newer" / "model.json").read_text())
    (folder / "newer" / "model.json").write_text(json.dumps({**description, "format": 99}))
    (folder / "full").mkdir()
    (folder / "full" / "lmnb1_lad_liver.bw").write_text("older")
    return folder


@pytest.mark.parametrize(("wrong", "code", "words"), WRONG, ids=[f"{case[2][:40]}" for case in WRONG])
def test_a_wrong_request_is_one_line(
    cli: Cli, given: tuple[object, ...], here: Path, tmp_path: Path, wrong: list[str], code: int, words: str
) -> None:
    before = {path: path.stat().st_mtime_ns for path in here.rglob("*")}
    arguments = [text.replace("{here}", str(here)) for text in wrong]
    result = cli("predict", *given, "-o", tmp_path / "out", "--store", tmp_path / "store", *arguments)
    assert words.replace("{here}", str(here)) in one_line(result, code)
    # Nothing was computed, and nothing written but a FASTA index.
    assert not list(tmp_path.rglob("*.bw")) + list(tmp_path.rglob("c/*/0"))
    after = {path: path.stat().st_mtime_ns for path in here.rglob("*") if path.suffix != ".fai"}
    assert {path: at for path, at in after.items() if not path.is_dir()}.items() <= before.items()


def test_overwrite_replaces(cli: Cli, given: tuple[object, ...], tmp_path: Path) -> None:
    arguments = ("predict", "--region", "chr3:1-500", *given, "-o", tmp_path)
    assert cli(*arguments).exit_code == 0
    assert "exists already" in one_line(cli(*arguments), 2)
    (tmp_path / f"{SLUGS[0]}.bw").write_text("older")
    assert cli(*arguments, "--overwrite").exit_code == 0
    assert np.isfinite(read_bins(tmp_path / f"{SLUGS[0]}.bw", Region("chr3", 0, 512))).all()


def test_no_shipped_file_is_needed_to_fail_early() -> None:
    """The real command in its own process, as a person's first mistake would meet it."""
    assert "nothing to predict" in one_line(run_command("predict", "-o", "out"), 2)


def test_permissions_are_told_in_one_line(given: tuple[object, ...], fasta: Path, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    shutil.copy(fasta, tmp_path / "closed" / "no_index.fa")
    (tmp_path / "secret.fa").write_text(">chr3\nACGT\n")
    (tmp_path / "secret.fa").chmod(0)
    (tmp_path / "closed").chmod(0o555)
    try:
        for changed, words in (
            (("-o", tmp_path / "closed" / "out"), f"permission denied in {tmp_path / 'closed'}"),
            (("--genome", tmp_path / "closed" / "no_index.fa"), "has no index and its folder is not writable"),
            (("--genome", tmp_path / "secret.fa"), "secret.fa: Permission denied"),
        ):
            arguments = ("predict", "--chrom", "chr3", *given, "-o", tmp_path / "out", *changed)
            assert words in one_line(run_command(*arguments, store=tmp_path / "store", bound=True), 1)
    finally:
        (tmp_path / "closed").chmod(0o755)


# Slows the real command down, so that it is interrupted in the middle.
_SLOW_PREDICTION = """
import time
import model.predict
fast = model.predict.Predictor.inputs_of
model.predict.Predictor.inputs_of = lambda self, *places: (time.sleep(0.2), fast(self, *places))[1]
"""
_SLOW_WRITING = """
import time
import tracks.bigwig_writer
fast = tracks.bigwig_writer.BigWigWriter.add
tracks.bigwig_writer.BigWigWriter.add = lambda self, *rows: (time.sleep(0.5), fast(self, *rows))[1]
"""


def interrupted(arguments: tuple[object, ...], before: str, ready: Callable[[], bool]) -> tuple[int, str, str]:
    process = subprocess.Popen(
        command_line(*arguments, before=before), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 300
    while not ready() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=300)
    return process.returncode, stdout, stderr


def test_ctrl_c_while_predicting_and_going_on(cli: Cli, whole: Path, given: tuple[object, ...], tmp_path: Path) -> None:
    store, out = tmp_path / "store", tmp_path / "out"
    arguments = ("predict", "--chrom", "chr20", *given, "--store", store, "-o", out)
    assert interrupted(arguments, _SLOW_PREDICTION, lambda: any(store.rglob("c/*/0")))[:2] == (
        130,
        "",
    )
    assert list(out.iterdir()) == []
    result = cli(*arguments)
    assert result.exit_code == 0
    assert re.match(r"tracks: [1-4] of 5 windows were already known, ", result.stderr)
    for slug in SLUGS:
        expected = read_bins(whole / f"{slug}.bw", Region("chr20", 0, 500_050))
        np.testing.assert_array_equal(read_bins(out / f"{slug}.bw", Region("chr20", 0, 500_050)), expected)


def test_ctrl_c_while_writing(given: tuple[object, ...], shared_store: Path, whole: Path, tmp_path: Path) -> None:
    """In the second file: the first, which is whole, gets no final name either."""
    assert whole.exists()
    out = tmp_path / "out"
    arguments = ("predict", "--region", "chr20", *given, "--store", shared_store, "-o", out)
    code, stdout, stderr = interrupted(
        arguments, _SLOW_WRITING, lambda: any("lmnb1" in path.name for path in out.glob(".*.partial.*"))
    )
    assert (code, stdout) == (130, "")
    assert stderr.splitlines()[-1].startswith("tracks: interrupted; nothing unfinished has its final name; what was ")
    assert "Traceback" not in stderr
    assert list(out.iterdir()) == []


def test_heads_share_a_run_and_a_stride_slides_the_one_of_windows(
    cli: Cli, two_headed_folder: Path, fasta: Path, whole: Path, tmp_path: Path
) -> None:
    given = ("predict", "--chrom", "chr3", "--genome", fasta, "--model", two_headed_folder)
    assert cli(*given, "--head", "bins", "--head", "window", "-o", tmp_path / "both").exit_code == 0
    assert cli(*given, "--head", "window", "--stride", 16_384, "-o", tmp_path / "slid").exit_code == 0
    place = Region("chr3", 0, CHROM_SIZES["chr3"])
    bins = read_bins(tmp_path / "both" / f"{SLUGS[0]}_bins.bw", place)
    np.testing.assert_array_equal(bins, read_bins(whole / f"{SLUGS[0]}.bw", place))
    steps = read_bins(tmp_path / "both" / f"{SLUGS[0]}_window.bw", place)
    slid = read_bins(tmp_path / "slid" / f"{SLUGS[0]}.bw", place)
    assert len(np.unique(steps[:896])) == 1
    assert len(np.unique(slid[:896])) > 2
    assert slid[448] == steps[448]
    nothing = cli(*given, "--head", "window", "--stride", 0, "-o", tmp_path / "no")
    assert "a stride of 0 does not divide a window" in one_line(nothing, 2)
    refused = cli(*given, "--stride", 16_384, "-o", tmp_path / "no")
    assert "a stride slides heads that give one value a window" in one_line(refused, 2)
    assert "has no head 'loops'; it has bins, window" in one_line(cli(*given, "--head", "loops", "-o", tmp_path), 2)
