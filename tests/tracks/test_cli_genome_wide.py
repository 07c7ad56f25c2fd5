"""``tracks predict`` of whole chromosomes and ``tracks merge``, in processes of their own where they are killed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import Result

import tracks.cli.progress
from tests.conftest import CHROM_SIZES, command_line, run_command
from tests.tracks.test_cli_predict import SLUGS, one_line
from tracks.bigwig import read_bins
from tracks.cli.progress import spoken
from tracks.folder_lock import LOCK_NAME, folder_lock
from tracks.regions import Region

Cli = Callable[..., Result]
WINDOWS, WITH_SEQUENCE = 8, 6

# Counts what the engine computes, in a file that outlives the process, and takes its time.
_SLOW = """
import os, time
import model.engine.base
fast = model.engine.base.TrunkEngine.stream
def slow(self, codes):
    time.sleep({pause})
    with open("{log}", "ab") as log:
        log.write(b".")
    return fast(self, codes)
model.engine.base.TrunkEngine.stream = slow
"""


@pytest.fixture(scope="module")
def given(fasta: Path, model_folder: Path) -> tuple[object, ...]:
    """The options that name the small genome and model."""
    return ("--genome", fasta, "--model", model_folder, "--device", "cpu", "--threads", 1, "--processes", 2)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, given: tuple[object, ...]) -> Path:
    """An undisturbed export; ``store`` is beside it."""
    folder = tmp_path_factory.mktemp("whole")
    run = run_command("predict", "--genome-wide", *given, "-o", folder / "out", "--store", folder / "store")
    assert run.returncode == 0, run.stderr
    assert re.fullmatch(rf"wrote 2 files in {folder / 'out'}: 5,627 bins of 128 bp, in \S+ s\n", run.stdout)
    lines = run.stderr.splitlines()
    assert lines[0] == (
        f"tracks: 0 of 8 windows were already known, 2 have no sequence, 6 to compute (fp32; cpu), "
        f"into {folder / 'store'}"
    )
    assert re.fullmatch(rf"tracks: up to \S+ kB will be written to {folder}/store and {folder}/out, where .*", lines[1])
    assert re.fullmatch(r"tracks: about 1 s to compute the rest, at \S+ s a window", lines[2])
    assert re.fullmatch(rf"tracks: \S+ kB in all; IGV, .* said by: tracks info {folder}/out/{SLUGS[0]}.bw", lines[-1])
    return folder / "out"


def files(folder: Path) -> dict[str, bytes]:
    """What a folder's files hold, but for shards' records, and the lock that a killed process leaves to the next."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in ("shards", LOCK_NAME)}


def final(folder: Path) -> list[Path]:
    """The bigWigs that have their names."""
    return [path for path in folder.glob("*.bw") if not path.name.startswith(".")]


def known(store: Path) -> int:
    """How many windows a store holds."""
    return sum(1 for path in store.glob("*/*/*/c/*/0") if path.stat().st_size)


def test_genome_wide_is_all_chromosomes(whole: Path, cli: Cli, given: tuple[object, ...], tmp_path: Path) -> None:
    store = ("--store", whole.parent / "store")
    chroms = [word for chrom in ("chrN", "chr3", "chr20") for word in ("--chrom", chrom)]
    assert cli("predict", *chroms, *given, *store, "-o", tmp_path / "all").exit_code == 0
    assert files(tmp_path / "all") == files(whole)
    some = cli("predict", "--genome-wide", "--chrom", "chr3", *given, *store, "-o", tmp_path / "some")
    assert some.exit_code == 0
    assert "2 of 2 windows were already known, 0 to compute" in some.stderr
    for slug in SLUGS:
        chr3 = Region("chr3", 0, CHROM_SIZES["chr3"])
        expected = read_bins(whole / f"{slug}.bw", chr3)
        np.testing.assert_array_equal(read_bins(tmp_path / "some" / f"{slug}.bw", chr3), expected)
        assert np.isnan(read_bins(tmp_path / "some" / f"{slug}.bw", Region("chr20", 0, 100_000))).all()


def test_other_formats_hold_the_same(whole: Path, cli: Cli, given: tuple[object, ...], tmp_path: Path) -> None:
    arguments = ("predict", "--genome-wide", *given, "--store", whole.parent / "store", "-o", tmp_path)
    assert cli(*arguments, "--format", "hdf5").exit_code == 0
    with h5py.File(tmp_path / "predictions.h5") as file:
        assert file.attrs["method"] == "fp32-single"
        for at, slug in enumerate(SLUGS):
            expected = read_bins(whole / f"{slug}.bw", Region("chr20", 0, CHROM_SIZES["chr20"]))
            np.testing.assert_array_equal(file["values/chr20"][:, at], expected)


def test_a_track_of_one_head_needs_no_other(
    cli: Cli, given: tuple[object, ...], two_headed_folder: Path, tmp_path: Path
) -> None:
    """And bedGraph, whose pieces hold all tracks, computes all heads before it writes."""
    words = ("predict", "--chrom", "chr3", *given, "--model", two_headed_folder, "--head", "bins", "--head", "window")
    words = (*words, "--track", f"{SLUGS[0]}_window", "--store", tmp_path / "store", "-o", tmp_path / "out")
    assert cli(*words).exit_code == 0
    assert known(tmp_path / "store") == 2
    other = cli(*words, "--format", "bedgraph")
    assert other.exit_code == 0, other.stderr
    assert "0 of 2 windows were already known, 2 to compute" in other.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"{SLUGS[0]}_window.bw",
        f"{SLUGS[0]}_window.bedgraph",
    }


def test_a_dry_run_keeps_what_it_measured(cli: Cli, given: tuple[object, ...], tmp_path: Path) -> None:
    arguments = ("predict", "--genome-wide", *given, "--store", tmp_path / "store", "-o", tmp_path / "out")
    first = cli(*arguments, "--dry-run")
    assert (first.exit_code, first.stdout) == (0, "")
    assert "0 of 8 windows were already known, 2 have no sequence, 6 to compute" in first.stderr
    assert "to compute the rest, at " in first.stderr
    assert not (tmp_path / "out").exists()
    again = cli(*arguments, "--dry-run", "--shard", "2/2")
    assert f"shard 2/2 of {tmp_path / 'out'}: 1 of 4 windows were already known" in again.stderr
    assert not (tmp_path / "out").exists()


def test_methods_and_models_are_never_mixed(
    whole: Path, cli: Cli, given: tuple[object, ...], model_folder: Path, tmp_path: Path
) -> None:
    """In one store: the same command with another ensemble, other edges, or weights that differ by a bit."""
    store = Path(shutil.copytree(whole.parent / "store", tmp_path / "store"))
    other = Path(shutil.copytree(model_folder, tmp_path / "other"))
    weights = other / "trunk.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + bytes([weights.read_bytes()[-1] ^ 1]))
    chr3 = Region("chr3", 0, CHROM_SIZES["chr3"])
    found = []
    for words in (("--ensemble", "rc"), ("--edges", "seamless"), ("--model", other)):
        out = tmp_path / str(words[1]).replace("/", "_")
        run = cli("predict", "--chrom", "chr3", *given, *words, "--store", store, "-o", out)
        assert run.exit_code == 0, run.stderr
        assert "0 of 2 windows were already known, 2 to compute" in run.stderr
        found.append(read_bins(out / f"{SLUGS[0]}.bw", chr3))
    reference = read_bins(whole / f"{SLUGS[0]}.bw", chr3)
    assert not any(np.array_equal(found[at], reference, equal_nan=True) for at in (0, 1))
    again = cli("predict", "--chrom", "chr3", *given, "--store", store, "-o", tmp_path / "again")
    assert "2 of 2 windows were already known, 0 to compute (fp32; cpu)" in again.stderr
    np.testing.assert_array_equal(read_bins(tmp_path / "again" / f"{SLUGS[0]}.bw", chr3), reference)


def test_a_method_applies_to_regions_too(cli: Cli, given: tuple[object, ...], tmp_path: Path) -> None:
    words = ("predict", *given, "--store", tmp_path / "store", "--ensemble", "rc+shift3")
    assert cli(*words, "--region", "chr3:1-60,000", "-o", tmp_path / "region").exit_code == 0
    assert cli(*words, "--chrom", "chr3", "-o", tmp_path / "chrom").exit_code == 0
    part = Region("chr3", 0, 59_904)
    one, other = (read_bins(tmp_path / name / f"{SLUGS[0]}.bw", part) for name in ("region", "chrom"))
    np.testing.assert_array_equal(one, other)
    assert {path.name for path in (tmp_path / "store").glob("*/*")} == {"fp32-rc+shift3"}


def start(arguments: tuple[object, ...], log: Path, pause: float) -> subprocess.Popen[str]:
    """Start a command that takes ``pause`` for each pass of the engine, in a group of its own."""
    before = _SLOW.format(pause=pause, log=log)
    words = command_line(*arguments, before=before)
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def stop_when(process: subprocess.Popen[str], ready: Callable[[], bool], how: signal.Signals) -> tuple[int, str]:
    """Send a signal at a moment; return exit code and standard error."""
    deadline = time.monotonic() + 120
    while not ready() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(how)
    _, stderr = process.communicate(timeout=120)
    return process.returncode, stderr


def passes(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def test_killed_at_four_moments_and_gone_on_with(whole: Path, given: tuple[object, ...], tmp_path: Path) -> None:
    store, out, log = tmp_path / "store", tmp_path / "out", tmp_path / "passes"
    arguments = ("predict", "--genome-wide", *given, "--store", store, "-o", out)
    moments: list[Callable[[], bool]] = [
        *(lambda count=count: known(store) >= count for count in (1, 4)),
        lambda: known(store) == WINDOWS,
        lambda: bool(final(out)),
    ]
    for ready in moments:
        before, counted = known(store), passes(log)
        code, _ = stop_when(start(arguments, log, 0.1), ready, signal.SIGKILL)
        assert code in (-signal.SIGKILL, 0)
        # At most the window that was being computed is lost.
        assert passes(log) - counted <= known(store) - before + 1
        # A killed command's file may have its name already, but never half of it.
        for path in final(out):
            assert path.read_bytes() == (whole / path.name).read_bytes()
    assert known(store) == WINDOWS
    counted = passes(log)
    assert WITH_SEQUENCE <= counted <= WITH_SEQUENCE + len(moments)
    if files(out) != files(whole):
        run = run_command(*arguments)
        assert run.returncode == 0, run.stderr
    assert files(out) == files(whole)
    assert passes(log) == counted


def test_ctrl_c_says_how_to_go_on(whole: Path, given: tuple[object, ...], tmp_path: Path) -> None:
    store, out, log = tmp_path / "store", tmp_path / "out", tmp_path / "passes"
    arguments = ("predict", "--genome-wide", *given, "--store", store, "-o", out)
    code, stderr = stop_when(start(arguments, log, 0.2), lambda: known(store) >= 3, signal.SIGINT)
    assert code == 130
    assert stderr.splitlines()[-1] == (
        "tracks: interrupted; nothing unfinished has its final name; "
        "what was predicted is kept, and the same command goes on from there"
    )
    assert "Traceback" not in stderr
    assert list(out.iterdir()) == []
    kept = known(store)
    assert 3 <= kept < WINDOWS
    run = run_command(*arguments)
    assert f"{kept} of 8 windows were already known" in run.stderr
    assert files(out) == files(whole)


def test_two_shards_one_of_them_killed_are_the_whole(whole: Path, given: tuple[object, ...], tmp_path: Path) -> None:
    """Real processes at the same time, one store."""
    store, out, logs = tmp_path / "store", tmp_path / "out", [tmp_path / "passes1", tmp_path / "passes2"]
    shards = [
        ("predict", "--genome-wide", *given, "--store", store, "-o", out, "--shard", f"{number}/2") for number in (1, 2)
    ]
    first, second = (start(shard, log, 0.2) for shard, log in zip(shards, logs, strict=True))
    code, _ = stop_when(second, lambda: passes(logs[1]) >= 2, signal.SIGKILL)
    assert code == -signal.SIGKILL
    stdout, stderr = first.communicate(timeout=120)
    assert first.returncode == 0, stderr
    assert re.fullmatch(
        rf"shard 1/2 is done: 4 windows in {store}, in \S+ s; when all are: tracks merge {out}\n", stdout
    )
    assert list(out.iterdir()) == [out / "shards"]
    told = one_line(run_command("merge", out), 1)
    words = re.fullmatch(
        r"tracks: error: 1 of 2 shards are not finished: 2/2 \([0-3] of 4 windows\); run: (tracks .* --shard 2/2)", told
    )
    assert words is not None
    # What the line says is what is run.
    again = run_command(*words[1].split()[1:])
    assert again.returncode == 0, again.stderr
    assert "0 of 4 windows were already known" not in again.stderr
    merged = run_command("merge", out, "--processes", 2)
    assert merged.returncode == 0, merged.stderr
    assert re.match(rf"wrote 2 files in {out}: 5,627 bins of 128 bp, ", merged.stdout)
    assert files(out) == files(whole)
    assert passes(logs[0]) == 3
    assert "exists already" in one_line(run_command("merge", out), 2)


def test_shards_with_stores_of_their_own(whole: Path, cli: Cli, given: tuple[object, ...], tmp_path: Path) -> None:
    """One of which lies elsewhere when they are merged; torch is not needed then."""
    out = tmp_path / "out"
    for number in (1, 2, 3):
        words = ("predict", "--genome-wide", *given, "--store", tmp_path / f"node{number}", "-o", out)
        assert cli(*words, "--shard", f"{number}/3").exit_code == 0
    shutil.move(tmp_path / "node2", tmp_path / "moved")
    told = one_line(cli("merge", out), 1)
    assert re.search(rf"windows of shards 2/3 are not in .*; {tmp_path}/node2 is not here: name a copy of it", told)
    assert "there is no prediction store" in one_line(cli("merge", out, "--store", tmp_path / "no"), 2)
    imported = 'import atexit, sys\natexit.register(lambda: print("torch" in sys.modules))\n'
    run = run_command("merge", out, "--store", tmp_path / "moved", before=imported)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "False"
    assert files(out) == files(whole)
    assert known(tmp_path / "node1") == WINDOWS
    assert "tracks: LMNB1 LAD liver: no value for " in run.stderr


def test_a_store_that_was_pruned_is_said_with_the_command(
    cli: Cli, given: tuple[object, ...], whole: Path, tmp_path: Path
) -> None:
    out, store = tmp_path / "out", tmp_path / "store"
    shutil.copytree(whole.parent / "store", store)
    for number in (1, 2):
        words = ("predict", "--genome-wide", *given, "--store", store, "-o", out, "--shard", f"{number}/2")
        assert cli(*words).exit_code == 0
    lost = next(store.glob("*/*/*/c/4/0"))
    lost.write_bytes(b"")
    told = one_line(cli("merge", out), 1)
    said = r"1 windows of shards 1/2 are not in .*; name the store .*, or run again: tracks predict .* --shard 1/2$"
    assert re.search(said, told)
    assert not final(out)


@pytest.mark.parametrize(("indices", "what"), [((1,), "window 1 of chr20 is"), ((1, 3, 4), "3 windows of chr20 are")])
def test_damaged_windows_stop_the_export_once(
    cli: Cli, given: tuple[object, ...], whole: Path, tmp_path: Path, indices: tuple[int, ...], what: str
) -> None:
    """They are found when they are written, all of a chromosome at once, and the same command computes them again."""
    out, store = tmp_path / "out", Path(shutil.copytree(whole.parent / "store", tmp_path / "store"))
    (chr20,) = (path.parents[2] for path in store.glob("*/*/*/c/4/0"))
    for index in indices:
        damaged = chr20 / "c" / str(index) / "0"
        damaged.write_bytes(damaged.read_bytes()[:-9])
    words = ("predict", "--genome-wide", *given, "--store", store, "-o", out)
    first = cli(*words)
    assert first.exit_code == 1
    assert f"{what} missing from the prediction store {store}, or damaged there; pred" in first.stderr.splitlines()[-1]
    assert "the same command goes on from there" in first.stderr.splitlines()[-1]
    assert not final(out)
    again = cli(*words)
    assert again.exit_code == 0
    assert f"{8 - len(indices)} of 8 windows were already known, {len(indices)} to compute" in again.stderr
    assert files(out) == files(whole)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (99.4, "99 s"),
        (100, "2 min"),
        (3_599, "60 min"),
        (3_600, "1 h 0 min"),
        (11_130, "3 h 6 min"),
        (86_390, "24 h 0 min"),
        (190_000, "2 d 5 h"),
    ],
)
def test_times_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert spoken(seconds) == words


def test_lines_say_what_is_left(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What was done at the first call was not done in this run."""
    now = 0.0
    monkeypatch.setattr(tracks.cli.progress.time, "monotonic", lambda: now)
    with tracks.cli.progress.bar("predicting") as shown:
        for now, done in ((0, 400), (10, 410), (40, 440), (90, 460)):  # noqa: B007 - it is what the clock says
            shown.update(done, 1_000)
    assert capsys.readouterr().err.splitlines() == [
        "predicting: 440 of 1,000, about 9 min left",
        "predicting: 460 of 1,000, about 14 min left",
    ]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--shard", "3/2"), "there is no shard 3/2; give 1/2 to 2/2"),
        (("--shard", "two"), "'two' is no shard; give one like 2/8"),
        (("--shard", "1/2", "--format", "hdf5"), "shards are merged into bigWigs; leave --format out"),
        (("--region", "chr3:1-9"), "--genome-wide holds every region; leave --region and --bed out"),
        (("--ensemble", "both"), "'both' is no ensemble; give single, rc, shift3 or overlap2"),
        (("--edges", "seamless", "--ensemble", "overlap2"), "seamless predictions have no borders"),
        (("--windows", "windows.bed"), "--windows predicts the windows of its file"),
    ],
)
def test_a_wrong_request_is_one_line(
    cli: Cli, given: tuple[object, ...], tmp_path: Path, words: tuple[str, ...], line: str
) -> None:
    result = cli("predict", "--genome-wide", *given, "-o", tmp_path / "out", "--store", tmp_path / "store", *words)
    assert line in one_line(result, 2)
    assert not (tmp_path / "out").exists()
    assert known(tmp_path / "store") == 0


def test_shards_are_of_whole_chromosomes(cli: Cli, given: tuple[object, ...], tmp_path: Path) -> None:
    for words in (("--shard", "1/2"), ("--dry-run",)):
        result = cli("predict", "--region", "chr3:1-9", *given, "-o", tmp_path / "out", *words)
        assert "--shard and --dry-run are for whole chromosomes" in one_line(result, 2)
    result = cli("merge", tmp_path)
    assert "there is no shard in" in one_line(result, 2)


def test_shards_of_another_export_are_refused(cli: Cli, given: tuple[object, ...], tmp_path: Path) -> None:
    """Before anything is computed, and by merge."""
    words = ("predict", *given, "--store", tmp_path / "store", "-o", tmp_path / "out")
    assert cli(*words, "--chrom", "chr3", "--shard", "1/2").exit_code == 0
    kept = known(tmp_path / "store")
    for other, line in (
        (("--genome-wide", "--shard", "2/2"), "their chromosomes differ"),
        (("--chrom", "chr3", "--shard", "2/3"), "there are 3 shards in one and 2 in the other"),
        (("--chrom", "chr3", "--shard", "2/2", "--ensemble", "rc"), "one is fp32-rc, the other fp32-single"),
        (("--chrom", "chr3", "--shard", "2/2", "--track", SLUGS[0]), "they are of other tracks"),
    ):
        assert line in one_line(cli(*words, *other), 2)
    assert known(tmp_path / "store") == kept
    record = tmp_path / "out" / "shards" / "1-of-2.json"
    wrong = {**json.loads(record.read_text()), "shard": 2, "chroms": []}
    (record.parent / "2-of-2.json").write_text(json.dumps(wrong))
    assert "are not of one export: their chromosomes differ" in one_line(cli("merge", tmp_path / "out"), 2)


def test_a_second_export_into_a_folder_is_refused_at_once(cli: Cli, given: tuple[object, ...], tmp_path: Path) -> None:
    words = ("predict", "--chrom", "chr3", *given, "--store", tmp_path / "store", "-o", tmp_path / "out")
    with folder_lock(tmp_path / "out", "tracks predict"):
        told = one_line(cli(*words), 2)
    assert re.search(rf"{tmp_path}/out is in use \(tracks predict, process {os.getpid()} on \S+\)", told)
    assert known(tmp_path / "store") == 0
    assert cli(*words).exit_code == 0


@pytest.mark.parametrize("form", ["bigwig", "bedgraph", "hdf5"])
def test_regions_are_not_written_where_an_export_is(
    cli: Cli, given: tuple[object, ...], tmp_path: Path, form: str
) -> None:
    words = ("predict", "--region", "chr3:1-9", *given, "--store", tmp_path / "store", "-o", tmp_path / "out")
    left = tmp_path / "out" / f".{'predictions' if form == 'hdf5' else SLUGS[0]}.77.partial"
    left = left.with_name(left.name + {"bigwig": ".bw", "bedgraph": ".bedgraph", "hdf5": ".h5"}[form])
    with folder_lock(tmp_path / "out", "an export of bigWigs"):
        left.write_bytes(b"of a run that was killed")
        assert "is in use (an export of bigWigs, process" in one_line(cli(*words, "--format", form), 2)
        assert left.exists()
    assert cli(*words, "--format", form).exit_code == 0
    assert not left.exists()


def test_hdf5_cannot_name_every_chromosome(cli: Cli, given: tuple[object, ...], tmp_path: Path) -> None:
    (tmp_path / "slash.fa").write_text(">chr1/alt\n" + "ACGT" * 50 + "\n>chr1\n" + "ACGT" * 50 + "\n")
    words = ("predict", "--genome-wide", *given, "--genome", tmp_path / "slash.fa", "--store", tmp_path / "store")
    told = one_line(cli(*words, "--format", "hdf5", "-o", tmp_path / "out"), 2)
    assert told.endswith("HDF5 cannot name a chromosome 'chr1/alt'; write bigWigs (--format bigwig)")
    assert not (tmp_path / "store").exists()


def test_a_folder_that_cannot_be_looked_at_is_said(cli: Cli, given: tuple[object, ...], tmp_path: Path) -> None:
    out = tmp_path / ("x" * 300) / "out"
    words = ("predict", "--genome-wide", *given, "--store", tmp_path / "store", "-o", out, "--shard", "1/2")
    assert "File name too long" in one_line(cli(*words), 1)
    assert "File name too long" in one_line(cli("merge", out), 1)


def test_a_disk_that_is_too_small_is_said_first(
    cli: Cli, given: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    words = ("predict", "--genome-wide", *given, "--store", tmp_path / "store", "-o", tmp_path / "out")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=100_000))
    result = cli(*words)
    assert result.exit_code == 1
    said = re.fullmatch(
        r"tracks: error: the disk is too small: up to (\S+) kB will be written to "
        rf"{tmp_path}/store and {tmp_path}/out, "
        r"where 100.0 kB are free; choose another disk, or go on all the same with --yes",
        result.stderr.splitlines()[-1],
    )
    assert said is not None
    assert known(tmp_path / "store") == 0
    # A shard that is refused leaves nothing that would stand in the way of another one.
    assert cli(*words, "--shard", "1/2").exit_code == 1
    assert not (tmp_path / "out" / "shards").exists()
    just_enough = int(float(said[1]) * 1_050)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=just_enough))
    tight = cli(*words, "--dry-run")
    assert tight.exit_code == 0
    assert "tracks: warning: up to " in tight.stderr
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=0))
    assert cli(*words, "--yes").exit_code == 0


def test_slow_bfloat16_is_warned_of(
    cli: Cli, given: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import model.engine.make

    monkeypatch.setattr(model.engine.make, "has_fast_bfloat16", lambda device: False)
    words = ("predict", "--region", "chr3:1-9", *given, "--store", tmp_path / "store", "-o", tmp_path / "out")
    result = cli(*words, "--precision", "bf16")
    assert result.exit_code == 0, result.stderr
    assert re.match("tracks: warning: this CPU has no bfloat16 instructions .*; use --precision fp32", result.stderr)
    assert {path.name for path in (tmp_path / "store").glob("*/*")} == {"bf16-single"}
