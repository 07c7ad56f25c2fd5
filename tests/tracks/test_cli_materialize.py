"""``tracks materialize`` on a small genome and a small random model."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyBigWig
import pytest
from click.testing import Result

from tests.conftest import CHROM_SIZES, run_command
from tests.tracks.test_cli_genome_wide import final, known, passes, start, stop_when
from tests.tracks.test_cli_predict import SLUGS, one_line
from tests.tracks.virtual.parsed import Parsed
from tests.tracks.virtual.test_readers import READERS
from tracks.bigwig import read_bins
from tracks.folder_lock import folder_lock
from tracks.grid import BIN, bin_count
from tracks.regions import Region

Cli = Callable[..., Result]
WINDOWS = 8


@pytest.fixture(scope="module")
def given(fasta: Path, model_folder: Path) -> tuple[object, ...]:
    """The options that name the small genome and model."""
    return ("--genome", fasta, "--model", model_folder, "--device", "cpu", "--threads", 1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, given: tuple[object, ...]) -> Path:
    """All chromosomes, written in a process of its own; ``store`` is beside it, and ``predicted`` by tracks predict."""
    folder = tmp_path_factory.mktemp("whole")
    store = ("--store", folder / "store")
    run = run_command("materialize", *given, "-o", folder / "out", *store)
    assert run.returncode == 0, run.stderr
    assert re.fullmatch(rf"wrote 2 files in {folder / 'out'}: 5,627 bins of 128 bp, in \S+ s\n", run.stdout)
    lines = run.stderr.splitlines()
    assert lines[0] == (
        f"tracks: 0 of 8 windows were already known, 2 have no sequence, 6 to compute (fp32; cpu), "
        f"into {folder / 'store'}"
    )
    assert re.fullmatch(
        rf"tracks: up to \S+ kB will be written to {folder}/store and {folder}/out, where .* free", lines[1]
    )
    assert re.fullmatch(r"tracks: about 1 s to compute the rest, at \S+ s a window", lines[2])
    assert known(folder / "store") == WINDOWS
    other = run_command("predict", "--genome-wide", *given, "--processes", 1, "-o", folder / "predicted", *store)
    assert other.returncode == 0, other.stderr
    assert "8 of 8 windows were already known" in other.stderr
    return folder / "out"


def test_values_are_those_of_tracks_predict(whole: Path) -> None:
    for slug in SLUGS:
        with pyBigWig.open(str(whole / f"{slug}.bw")) as file:
            assert list(file.chroms().items()) == sorted(CHROM_SIZES.items())
        for chrom, length in CHROM_SIZES.items():
            region = Region(chrom, 0, length)
            expected = read_bins(whole.parent / "predicted" / f"{slug}.bw", region)
            found = read_bins(whole / f"{slug}.bw", region)
            assert len(found) == bin_count(length)
            np.testing.assert_array_equal(found, expected)
            assert np.isnan(found).all() == (chrom == "chrN")
            bases = np.repeat(expected, BIN)[:length]
            for reader in READERS:
                np.testing.assert_array_equal(reader(whole / f"{slug}.bw", chrom, 0, length), bases)


def test_totals_are_those_of_the_values(whole: Path) -> None:
    """The mean within what the chromosomes' last bins make, which are short."""
    for slug in SLUGS:
        with pyBigWig.open(str(whole / f"{slug}.bw")) as file:
            header = file.header()
            values = np.concatenate(
                [file.values(chrom, 0, length, numpy=True) for chrom, length in CHROM_SIZES.items()]
            )
        path = whole / f"{slug}.bw"
        content = path.read_bytes()
        bases, least, most, total, squares = Parsed(lambda at, size, held=content: held[at : at + size]).summary
        there = values[~np.isnan(values)].astype(np.float64)
        assert header["nBasesCovered"] == bases
        assert abs(bases - len(there)) < BIN * len(CHROM_SIZES)
        assert (least, most) == (there.min(), there.max())
        np.testing.assert_allclose([total, squares], [there.sum(), (there**2).sum()], rtol=1e-3)


def test_slots_differ_in_gaps_alone(cli: Cli, whole: Path, given: tuple[object, ...], tmp_path: Path) -> None:
    words = ("materialize", *given, "--store", whole.parent / "store", "--track", SLUGS[0])
    sections = []
    for slot in (1, 8192, 131_072):
        out = tmp_path / str(slot)
        run = cli(*words, "--slot", slot, "-o", out)
        assert run.exit_code == 0, run.stderr
        assert "8 of 8 windows were already known, 0 to compute" in run.stderr
        assert [path.name for path in out.iterdir()] == [f"{SLUGS[0]}.bw"]
        content = (out / f"{SLUGS[0]}.bw").read_bytes()
        parsed = Parsed(lambda at, size, held=content: held[at : at + size])
        leaves = parsed.index(parsed.index_at).leaves
        assert all(leaf.at % slot == 0 for leaf in leaves)
        sections.append([content[leaf.at : leaf.at + leaf.size] for leaf in leaves])
    assert sections[0] == sections[1] == sections[2]
    assert (tmp_path / "8192" / f"{SLUGS[0]}.bw").read_bytes() == (whole / f"{SLUGS[0]}.bw").read_bytes()


def test_some_chromosomes(cli: Cli, whole: Path, given: tuple[object, ...], tmp_path: Path) -> None:
    """Of the others, which the file names too, it says nothing, though the store has them."""
    run = cli("materialize", *given, "--store", whole.parent / "store", "--chrom", "chr3", "-o", tmp_path)
    assert run.exit_code == 0, run.stderr
    assert "2 of 2 windows were already known" in run.stderr
    for slug in SLUGS:
        chr3 = Region("chr3", 0, CHROM_SIZES["chr3"])
        np.testing.assert_array_equal(read_bins(tmp_path / f"{slug}.bw", chr3), read_bins(whole / f"{slug}.bw", chr3))
        assert np.isnan(read_bins(tmp_path / f"{slug}.bw", Region("chr20", 0, 200_000))).all()
        with pyBigWig.open(str(tmp_path / f"{slug}.bw")) as file:
            assert file.chroms() == CHROM_SIZES
            assert file.stats("chr20", 0, CHROM_SIZES["chr20"]) == [None]


def test_tracks_info_knows_such_a_file(cli: Cli, whole: Path) -> None:
    told = cli("info", whole / f"{SLUGS[0]}.bw")
    assert told.exit_code == 0, told.stderr
    assert "chr20" in told.stdout


def test_heads_of_a_model(
    cli: Cli, given: tuple[object, ...], two_headed_folder: Path, shared_store: Path, tmp_path: Path
) -> None:
    words = (
        "materialize",
        "--chrom",
        "chr3",
        *given,
        "--model",
        two_headed_folder,
        "--head",
        "bins",
        "--head",
        "window",
    )
    out = ("-o", tmp_path / "out")
    run = cli(*words, "--stride", 16_384, *out)
    assert run.exit_code == 0, run.stderr
    names = {f"{slug}_{head}.bw" for slug in SLUGS for head in ("bins", "window")}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    steps = read_bins(tmp_path / "out" / f"{SLUGS[0]}_window.bw", Region("chr3", 0, 16_384 * 4)).reshape(4, -1)
    assert (steps == steps[:, :1]).all()
    assert len(np.unique(steps)) > 1


def test_killed_and_gone_on_with(whole: Path, given: tuple[object, ...], tmp_path: Path) -> None:
    store, out, log = tmp_path / "store", tmp_path / "out", tmp_path / "passes"
    arguments = ("materialize", *given, "--store", store, "-o", out)
    code, _ = stop_when(start(arguments, log, 0.1), lambda: known(store) >= 3, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert not final(out)
    kept, counted = known(store), passes(log)
    code, stderr = stop_when(start(arguments, log, 0.1), lambda: known(store) > kept, signal.SIGINT)
    assert code == 130
    assert stderr.splitlines()[-1] == (
        "tracks: interrupted; nothing unfinished has its final name; "
        "what was predicted is kept, and the same command goes on from there"
    )
    assert not final(out)
    last = run_command(*arguments)
    assert last.returncode == 0, last.stderr
    assert f"{known(store)} of 8" not in last.stderr
    assert passes(log) >= counted
    assert {path.name for path in out.iterdir()} == {f"{slug}.bw" for slug in SLUGS}
    for slug in SLUGS:
        assert (out / f"{slug}.bw").read_bytes() == (whole / f"{slug}.bw").read_bytes()


def test_a_damaged_window_stops_it_once(cli: Cli, whole: Path, given: tuple[object, ...], tmp_path: Path) -> None:
    store, out = tmp_path / "store", tmp_path / "out"
    words = ("materialize", "--chrom", "chr3", *given, "--store", store, "-o", out)
    assert cli(*words).exit_code == 0
    damaged = next(store.glob("*/*/*/c/1/0"))
    damaged.write_bytes(damaged.read_bytes()[:-9])
    told = cli(*words, "--overwrite")
    assert told.exit_code == 1
    assert re.search(
        r"window 1 of chr3 is missing from the prediction store .*, or damaged there; predicted windows are kept, "
        r"and the same command goes on from there",
        told.stderr.splitlines()[-1],
    )
    again = cli(*words, "--overwrite")
    assert again.exit_code == 0, again.stderr
    assert "1 of 2 windows were already known, 1 to compute" in again.stderr
    chr3 = Region("chr3", 0, CHROM_SIZES["chr3"])
    for slug in SLUGS:
        np.testing.assert_array_equal(read_bins(out / f"{slug}.bw", chr3), read_bins(whole / f"{slug}.bw", chr3))


def test_files_that_are_there_are_kept(cli: Cli, whole: Path, given: tuple[object, ...]) -> None:
    before = {path.name: path.read_bytes() for path in whole.iterdir()}
    words = ("materialize", *given, "--store", whole.parent / "store", "-o", whole)
    assert "exists already; choose another folder, or replace with --overwrite" in one_line(cli(*words), 2)
    assert {path.name: path.read_bytes() for path in whole.iterdir()} == before


def test_a_folder_where_another_writes(cli: Cli, whole: Path, given: tuple[object, ...], tmp_path: Path) -> None:
    with folder_lock(tmp_path, "tracks predict"):
        run = cli("materialize", *given, "--store", whole.parent / "store", "-o", tmp_path)
    assert run.exit_code == 2
    assert str(tmp_path) in run.stderr.splitlines()[-1]
    assert not final(tmp_path)


def test_a_chromosome_without_any_value_makes_no_file(cli: Cli, given: tuple[object, ...], tmp_path: Path) -> None:
    run = cli("materialize", "--chrom", "chrN", *given, "--store", tmp_path / "store", "-o", tmp_path / "out")
    assert run.exit_code == 1
    assert run.stderr.splitlines()[-1] == "tracks: error: no file was written: not one of 157 bins has a value"
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--slot", 4096), "there is no slot of 4096 bytes; choose 1, 8192, 131072"),
        (("--chrom", "chr9"), "chr9"),
        (("--track", "CpG methylation IMR9"), "did you mean 'CpG methylation IMR90'?"),
        (("--head", "nothing"), "nothing"),
        (("--ensemble", "both"), "'both' is no ensemble"),
    ],
)
def test_a_wrong_request_is_one_line(
    cli: Cli, given: tuple[object, ...], tmp_path: Path, words: tuple[str, ...], line: str
) -> None:
    result = cli("materialize", *given, "-o", tmp_path / "out", "--store", tmp_path / "store", *words)
    assert line in one_line(result, 2)
    assert not (tmp_path / "out").exists()
    assert known(tmp_path / "store") == 0


def test_a_disk_that_is_too_small(
    cli: Cli, whole: Path, given: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is computed then, unless one says so."""
    import shutil

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100_000))
    words = ("materialize", *given, "--store", tmp_path / "store", "-o", tmp_path / "out")
    told = cli(*words)
    assert told.exit_code == 1
    assert "the disk is too small: up to " in told.stderr
    assert "100.0 kB are free; choose another disk, or go on all the same with --yes" in told.stderr
    assert known(tmp_path / "store") == 0
    assert not final(tmp_path / "out")
    assert cli(*words, "--yes").exit_code == 0
    assert len(final(tmp_path / "out")) == 2


def test_help_needs_no_torch() -> None:
    imported = 'import atexit, sys\natexit.register(lambda: print("torch" in sys.modules))\n'
    run = run_command("materialize", "--help", before=imported)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "False"
    assert "--slot" in run.stdout
