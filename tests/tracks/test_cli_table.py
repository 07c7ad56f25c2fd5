"""``tracks table`` end to end; and that every format, the table and Python give the same numbers."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyBigWig
import pytest
import zarr
from click.testing import Result

import tracks
from tests.conftest import CHROM_SIZES, bound_by_permissions, command_line, run_command
from tracks.bigwig import read_bins
from tracks.grid import BIN
from tracks.regions import Region
from tracks.table import COLUMNS, NUMBER_COLUMNS

Cli = Callable[..., Result]
NAMES = {"cpg_methylation_imr90": "CpG methylation IMR90", "lmnb1_lad_liver": "LMNB1 LAD liver"}

PROJECT = """
name = "small"
genome = "{fasta}"

[[track]]
name = "CpG methylation IMR90"
assay = "WGBS"
biosample = "IMR90"
unit = "methylated fraction"
color = "#d95f02"
observed = "observed.bw"

[[track]]
name = "Replication timing"
assay = "Repli-seq"
biosample = "IMR90"
unit = "score"
color = "#112233"
observed = "observed.bw"

[[track]]
name = "LMNB1 LAD liver"
assay = "ChIP-seq"
biosample = "liver"
unit = "covered fraction"
color = "#1b6ca8"
"""

BED = """chr3\t1000\t1001\tone base\t0\t+
chr20\t60\t300\talpha\t0\t-
chr20\t100000\t240000\tbeta
chr20\t230000\t240000\tno bases
chr20\t499990\t500050\tend
chrN\t0\t500
chr20\t60\t300\tagain\t0\t.
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, fasta: Path) -> Path:
    """A folder with a project, its bigWig of runs that lie off the bins, and a BED file."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "tracks.toml").write_text(PROJECT.format(fasta=fasta))
    (folder / "genes.bed").write_text(BED)
    rng = np.random.default_rng(8)
    with pyBigWig.open(str(folder / "observed.bw"), "w") as handle:
        handle.addHeader(list(CHROM_SIZES.items()))
        edges = np.unique(rng.integers(0, CHROM_SIZES["chr20"], 4_000))
        starts, ends = edges[:-1:2], edges[1::2]
        count = min(len(starts), len(ends))
        values = rng.random(count).round(4).tolist()
        handle.addEntries(["chr20"] * count, starts[:count].tolist(), ends=ends[:count].tolist(), values=values)
    return folder


@pytest.fixture(scope="module")
def given(place: Path, model_folder: Path) -> tuple[object, ...]:
    return ("--project", place / "tracks.toml", "--model", model_folder, "--device", "cpu", "--threads", 1)


def read(text: str) -> pd.DataFrame:
    table = pd.read_csv(io.StringIO(text), sep="\t", keep_default_na=False)
    for name in NUMBER_COLUMNS:
        table[name] = np.array([np.nan if value == "" else value for value in table[name]], np.float32)
    return table


def one_line(result: Result | subprocess.CompletedProcess[str], code: int = 2) -> str:
    found = result.exit_code if isinstance(result, Result) else result.returncode
    assert found == code, result.stderr
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("tracks: error: ")
    return line


def test_predicted_and_observed_numbers_are_those_of_other_ways_in(
    cli: Cli, place: Path, given: tuple[object, ...], fasta: Path, model_folder: Path, tmp_path: Path
) -> None:
    """In its own process and with an empty store, against the bigWigs of ``tracks predict`` and pyBigWig."""
    run = run_command("table", "--bed", place / "genes.bed", *given, store=tmp_path / "store")
    assert run.returncode == 0, run.stderr
    assert run.stderr == "tracks: no predicted value in 2 of 7 regions\n"
    table = read(run.stdout)
    assert list(table.columns) == list(COLUMNS)
    names = ["CpG methylation IMR90", "LMNB1 LAD liver", "Replication timing"]
    assert table["track"].tolist() == names * 7
    assert table["name"].tolist()[::3] == ["one base", "alpha", "beta", "no bases", "end", "", "again"]
    assert table["strand"].tolist()[::3] == ["+", "-", "", "", "", "", "."]
    options = ("--genome", fasta, "--model", model_folder, "--device", "cpu", "--threads", 1)
    done = cli("predict", "--chrom", "chr20", "--chrom", "chr3", *options, "-o", tmp_path / "whole")
    assert done.exit_code == 0, done.stderr
    with pyBigWig.open(str(place / "observed.bw")) as handle:
        for row in table.itertuples():
            span = row.end - row.start
            slug = next((slug for slug, name in NAMES.items() if name == row.track), None)
            if slug is None:
                assert np.isnan([row.predicted_mean, row.predicted_max, row.predicted_coverage]).all()
            elif row.chrom != "chrN":
                bases = np.repeat(
                    read_bins(tmp_path / "whole" / f"{slug}.bw", Region(row.chrom, row.start, row.end)), BIN
                )[row.start % BIN :][:span]
                known = bases[np.isfinite(bases)].astype(np.float64)
                assert row.predicted_coverage == np.float32(len(known) / span)
                if len(known):
                    assert row.predicted_max == known.max().astype(np.float32)
                    assert row.predicted_mean == pytest.approx(known.mean(), rel=1e-7)
                else:
                    assert np.isnan([row.predicted_mean, row.predicted_max]).all()
            if row.track == "LMNB1 LAD liver":
                assert np.isnan([row.observed_mean, row.observed_max, row.observed_coverage]).all()
                continue
            bases = np.array(handle.values(row.chrom, row.start, row.end))
            known = bases[np.isfinite(bases)]
            assert row.observed_coverage == np.float32(len(known) / span)
            if len(known):
                assert row.observed_max == np.float32(known.max())
                assert row.observed_mean == pytest.approx(known.mean(), rel=1e-7)
            else:
                assert np.isnan([row.observed_mean, row.observed_max]).all()


def test_files_hold_what_standard_output_gets(cli: Cli, place: Path, given: tuple[object, ...], tmp_path: Path) -> None:
    shown = cli("table", "--bed", place / "genes.bed", *given).stdout
    for name in ("a.tsv", "a.tsv.gz", "a.parquet"):
        done = cli("table", "--bed", place / "genes.bed", *given, "-o", tmp_path / "made" / name)
        assert done.exit_code == 0, done.stderr
        assert re.fullmatch(rf"wrote {tmp_path}/made/{name}: 21 rows \(7 regions, 3 tracks\), in \S+ s\n", done.stdout)
    assert (tmp_path / "made" / "a.tsv").read_text() == shown
    parquet = pd.read_parquet(tmp_path / "made" / "a.parquet")
    for name in COLUMNS:
        texts = name not in NUMBER_COLUMNS
        found = parquet[name].fillna("").tolist() if texts else parquet[name].to_numpy()
        np.testing.assert_array_equal(found, read(shown)[name].tolist() if texts else read(shown)[name].to_numpy())


def test_every_format_and_python_hold_identical_numbers(
    cli: Cli, place: Path, fasta: Path, model_folder: Path, shared_store: Path, tmp_path: Path
) -> None:
    bed = tmp_path / "a.bed"
    bed.write_text("chr20\t1000\t130000\nchr20\t300000\t500050\nchr3\t5\t6\n")
    options = ("--bed", bed, "--genome", fasta, "--model", model_folder, "--device", "cpu", "--threads", 1)
    for form in ("bigwig", "bedgraph", "hdf5", "zarr"):
        done = cli("predict", *options, "--format", form, "-o", tmp_path)
        assert done.exit_code == 0, done.stderr
    group = zarr.open_group(tmp_path / "predictions.zarr", mode="r")
    with h5py.File(tmp_path / "predictions.h5") as file:
        arrays = {chrom: values[:] for chrom, values in file["values"].items()}
        places = [(row["chrom"].decode(), row["start"], row["end"], row["row"]) for row in file["regions"]]
        assert group.attrs["model_digest"] == file.attrs["model_digest"]
    assert places == list(zip(*(group["regions"][name][:] for name in ("chrom", "start", "end", "row")), strict=True))
    columns = ["chrom", "start", "end", "value"]
    for at, (slug, name) in enumerate(NAMES.items()):
        lines = pd.read_csv(tmp_path / f"{slug}.bedgraph", sep="\t", names=columns, dtype={"value": np.float32})
        for chrom, start, end, row in places:
            expected = arrays[chrom][row : row + -(-(end - start) // BIN), at]
            assert group["values"][chrom][row : row + len(expected), at].tobytes() == expected.tobytes()
            np.testing.assert_array_equal(
                read_bins(tmp_path / f"{slug}.bw", Region(chrom, int(start), int(end))), expected
            )
            graph = np.full(len(expected), np.nan, np.float32)
            for line in lines[
                (lines["chrom"] == chrom) & (lines["start"] >= start) & (lines["end"] <= end)
            ].itertuples():
                graph[(line.start - start) // BIN : -(-(line.end - start) // BIN)] = line.value
            np.testing.assert_array_equal(graph, expected)
            where = {"genome": fasta, "device": "cpu", "store": shared_store}
            region = Region(chrom, int(start), int(end))
            data = tracks.predict(region, model_folder, tracks=name, **where)
            assert data.values.tobytes() == expected.tobytes()
            [numbers] = tracks.region_table(None, model_folder, regions=[region], tracks=name, **where).itertuples()
            assert numbers.predicted_max == np.nanmax(expected, initial=-np.inf) or np.isnan(expected).all()


def test_a_whole_chromosome_as_zarr(cli: Cli, fasta: Path, model_folder: Path, tmp_path: Path) -> None:
    options = ("--genome", fasta, "--model", model_folder, "--device", "cpu", "--threads", 1, "--chrom", "chr3")
    for form in ("hdf5", "zarr"):
        done = cli("predict", *options, "--format", form, "-o", tmp_path)
        assert done.exit_code == 0, done.stderr
    size = sum(path.stat().st_size for path in (tmp_path / "predictions.zarr").rglob("*") if path.is_file())
    assert f"tracks: {size / 1e3:.1f} kB in all" in done.stderr
    group = zarr.open_group(tmp_path / "predictions.zarr", mode="r")
    with h5py.File(tmp_path / "predictions.h5") as file:
        assert group["values"]["chr3"][:].tobytes() == file["values/chr3"][:].tobytes()


def test_only_what_is_known(cli: Cli, place: Path, given: tuple[object, ...], tmp_path: Path) -> None:
    """And what is asked for first is known afterwards."""
    words = ("table", *given, "--region", "chr20:1-200,000", "--store", tmp_path, "--track", "cpg_methylation_imr90")
    first = read(cli(*words, "--known-only").stdout)
    assert first["predicted_coverage"].tolist() == [0]
    assert first["observed_coverage"][0] > 0.3
    cli("table", *given, "--region", "chr20:1-100", "--store", tmp_path)
    half = read(cli(*words, "--known-only").stdout)
    assert half["predicted_coverage"].tolist() == [np.float32(114_688 / 200_000)]
    whole = read(cli(*words).stdout)
    assert whole["predicted_coverage"].tolist() == [1]
    assert cli(*words, "--known-only").stdout == cli(*words).stdout
    np.testing.assert_array_equal(whole["observed_mean"], half["observed_mean"])


def test_a_genome_alone_has_nothing_observed(cli: Cli, fasta: Path, model_folder: Path) -> None:
    done = cli("table", "--genome", fasta, "--model", model_folder, "--region", "chr3:1,000-2,000")
    assert done.exit_code == 0, done.stderr
    table = read(done.stdout)
    assert (table["start"].tolist(), table["end"].tolist()) == ([999] * 2, [2_000] * 2)
    assert table["observed_coverage"].isna().all()
    assert (table["predicted_coverage"] > 0).any()


def test_two_heads_are_measured_against_one_file(cli: Cli, place: Path, fasta: Path, two_headed_folder: Path) -> None:
    words = ("--project", place / "tracks.toml", "--model", two_headed_folder, "--head", "bins", "--head", "window")
    done = cli("table", *words, "--region", "chr20:1-9,000", "--track", "CpG methylation IMR90 (window)")
    table = read(done.stdout)
    assert table["track"].tolist() == ["CpG methylation IMR90 (window)"]
    assert table["observed_coverage"][0] > 0
    done = cli("table", *words, "--region", "chr20:1-9,000")
    table = read(done.stdout)
    assert len(table) == 5
    assert table["observed_mean"].nunique() == 1


def test_a_pipe_can_be_read(place: Path, given: tuple[object, ...], shared_store: Path) -> None:
    words = " ".join(map(str, given))
    script = (
        f'{sys.executable} -c "{command_line()[2]}" table --bed <(cat {place}/genes.bed) {words} --store {shared_store}'
    )
    run = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=300)
    assert run.returncode == 0, run.stderr
    assert len(run.stdout.splitlines()) == 22


def test_who_has_seen_enough_is_no_failure(place: Path, given: tuple[object, ...], shared_store: Path) -> None:
    words = [*command_line("table", "--bed", place / "genes.bed", *given, "--store", shared_store)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.close()
        assert "Error" not in run.stderr.read()
    assert run.returncode == 0


def test_a_full_standard_output_is_one_line(place: Path, given: tuple[object, ...], shared_store: Path) -> None:
    words = command_line("table", "--bed", place / "genes.bed", *given, "--store", shared_store)
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=300)
    assert (run.returncode, run.stderr) == (
        1,
        "tracks: error: cannot write to standard output: No space left on device\n",
    )


def test_what_is_wrong_is_one_line(cli: Cli, place: Path, given: tuple[object, ...], tmp_path: Path) -> None:
    region = ("--region", "chr20:1-100")
    assert "there are no regions; give --bed FILE" in one_line(cli("table", *given))
    assert "a.csv is none of these" in one_line(cli("table", *given, *region, "-o", tmp_path / "a.csv"))
    assert "there is no BED file" in one_line(cli("table", *given, "--bed", tmp_path / "none.bed"))
    assert "there is no track 'CpG IMR90'; did you mean" in one_line(
        cli("table", *given, *region, "--track", "CpG IMR90")
    )
    bad = tmp_path / "bad.bed"
    bad.write_text("chr20\t0\t100\nchr20\t7\t5\n")
    out = tmp_path / "a.tsv"
    assert "bad.bed, line 2: the region is empty" in one_line(cli("table", *given, "--bed", bad, "-o", out))
    out.write_text("older")
    assert "exists already" in one_line(cli("table", *given, *region, "-o", out))
    assert out.read_text() == "older"
    assert cli("table", *given, *region, "-o", out, "--overwrite").exit_code == 0
    assert "CpG methylation IMR90" in out.read_text()
    out.write_text("chr20\t0\t100\n")
    assert "is read by this command" in one_line(cli("table", *given, "--bed", out, "-o", out, "--overwrite"))
    assert out.read_text() == "chr20\t0\t100\n"


def test_a_bigwig_of_another_genome_is_named(cli: Cli, place: Path, model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_text(">chr20\n" + "ACGT" * 1_000 + "\n")
    words = ("--genome", tmp_path / "a.fa", "--project", place / "tracks.toml", "--model", model_folder)
    line = one_line(cli("table", *words, "--region", "chr20:1-100"))
    assert "observed.bw is of another genome build: its chr20 has 500,050 bases, the genome's chr20 4,000" in line


def test_a_folder_that_may_not_be_written_to(place: Path, given: tuple[object, ...], tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    words = command_line("table", "--region", "chr20:1-100", *given, "-o", tmp_path / "a.tsv")
    run = subprocess.run(bound_by_permissions(words), capture_output=True, text=True, check=False, timeout=300)
    tmp_path.chmod(0o755)
    assert "permission denied" in one_line(run, 1)
