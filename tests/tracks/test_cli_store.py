"""``tracks store``: what is listed, what goes and what stays."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from tests.conftest import command_line, run_command
from tracks import store_verify
from tracks.grid import BINS, WINDOW
from tracks.store import SUMMARY, Store, WindowStore
from tracks.store_admin import holdings
from tracks.window_summary import summary_file

Cli = Callable[..., Result]
DAY = 86400
HEX = "0123456789abcdef" * 2
COLUMNS = ["MODEL", "HEAD", "DIGEST", "PRECISION", "GENOME", "CHROMS", "WINDOWS", "SIZE"]


def windows_of(root: Path, model: str, head: str = "bins", chrom: str = "chr1", windows: int = 5) -> WindowStore:
    digest = {"old": "a", "new": "b"}.get(model, "c") * 63 + {"bins": "1", "slid": "2"}[head]
    digest = digest[::-1]
    about = {
        "model": model,
        "head": head,
        "tracks": [{"name": "CpG"}, {"name": "LAD"}],
        "genome": "g.fa",
        "chrom": chrom,
    }
    return Store(root).windows(digest, f"SQ.{chrom}", windows * WINDOW, 2, about=about)


def written(windows: WindowStore, indices: tuple[int, ...], age: float = 0) -> WindowStore:
    for index in indices:
        windows.write(index, np.random.default_rng(index).random((BINS, 2), np.float32))
        then = time.time() - age
        os.utime(windows.chunk_file(index), (then, then))
    return windows


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_verify, "_SECOND_LOOK", 0.01)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two models: one of 40 days ago, on two chromosomes, and one of now with two heads."""
    root = tmp_path / "store"
    written(windows_of(root, "old"), (0, 1, 2), 40 * DAY)
    written(windows_of(root, "old", chrom="chr2", windows=9), (0,), 20 * DAY)
    written(windows_of(root, "new"), (0, 1))
    written(windows_of(root, "new", "slid"), (3,))
    return root


def left(root: Path) -> list[tuple[str | None, str | None, str | None]]:
    return [(entry.model, entry.head, entry.chrom) for entry in holdings(root)]


ALL = [("old", "bins", "chr1"), ("old", "bins", "chr2"), ("new", "bins", "chr1"), ("new", "slid", "chr1")]


def test_ls_has_a_line_for_each_head_of_a_genome(cli: Cli, store: Path) -> None:
    shown = cli("store", "ls", "--store", store)
    assert shown.exit_code == 0, shown.stderr
    head, *lines = shown.stdout.splitlines()
    assert head.split() == [*COLUMNS, "LAST", "WRITTEN", "TRACKS"]
    assert len(lines) == 3
    assert any("old" in line and "4 of 14" in line and "CpG, LAD" in line for line in lines)
    facts = json.loads(cli("store", "ls", "--store", store, "--json").stdout)
    old = next(row for row in facts["predictions"] if row["model"] == "old")
    assert (old["chromosomes"], old["known"], old["windows"]) == (["chr1", "chr2"], 4, 14)
    assert old["written"] == pytest.approx(time.time() - 20 * DAY, abs=60)
    assert old["bytes"] > 3 * BINS * 2 * 4 * 0.8
    assert old["tracks"] == ["CpG", "LAD"]


def test_du_adds_up_to_what_is_on_disk(cli: Cli, store: Path) -> None:
    facts = json.loads(cli("store", "du", "--store", store, "--json").stdout)
    on_disk = sum(path.stat().st_blocks * 512 for path in store.glob("*/*/*/**/*"))
    assert facts["bytes"] == sum(row["bytes"] for row in facts["models"]) == on_disk
    sizes = [row["bytes"] for row in facts["models"]]
    assert sizes == sorted(sizes, reverse=True)
    assert (facts["models"][0]["model"], facts["models"][0]["head"]) == ("old", "bins")
    lines = cli("store", "du", "--store", store).stdout.splitlines()
    assert len(lines) == 5
    assert lines[-1].split()[-1] == "total"


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (["--model", "old"], ALL[2:]),
        (["--model", "1bbbbb"], [*ALL[:2], ALL[3]]),
        (["--older-than", "30d"], ALL[1:]),
        (["--older-than", "2w"], ALL[2:]),
        (["--model", "new", "--older-than", "1h"], ALL),
        (["--max-size", "1KB", "--model", "old"], ALL[2:]),
        (["--max-size", "1GB"], ALL),
        (["--max-size", "0"], []),
    ],
)
def test_prune_removes_what_the_options_say(cli: Cli, store: Path, options: list[str], kept: list[object]) -> None:
    before = left(store)
    dry = cli("store", "prune", "--store", store, *options, "--dry-run")
    assert dry.exit_code == 0, dry.stderr
    assert left(store) == before
    assert sorted(before) == sorted(ALL)
    run = cli("store", "prune", "--store", store, *options, "--yes")
    assert run.exit_code == 0, run.stderr
    assert sorted(left(store)) == sorted(kept)  # type: ignore[type-var]
    assert ("nothing to remove" in run.stdout) == (kept == ALL)
    assert [path for path in store.rglob("*") if path.is_dir() and not any(path.iterdir())] == []


def test_prune_by_size_takes_the_oldest_first(cli: Cli, store: Path) -> None:
    sizes = {(entry.model, entry.head, entry.chrom): entry.bytes for entry in holdings(store)}
    limit = sum(sizes.values()) - sizes[ALL[0]] - 1  # type: ignore[index]
    assert cli("store", "prune", "--store", store, "--max-size", str(limit), "--yes").exit_code == 0
    assert sorted(left(store)) == sorted(ALL[2:])


def test_prune_keeps_what_is_of_a_model_folder(cli: Cli, model_folder: Path, fasta: Path, store: Path) -> None:
    out = store.parent / "out"
    run = cli(
        *("predict", "--region", "chr3:1-500", "--genome", fasta, "--model", model_folder),
        *("--store", store, "-o", out, "--device", "cpu"),
    )
    assert run.exit_code == 0, run.stderr
    assert cli("store", "prune", "--store", store, "--keep", model_folder, "--yes").exit_code == 0
    assert left(store) == [("tiny", "bins", "chr3")]


def test_prune_asks(cli: Cli, store: Path) -> None:
    words = command_line("store", "prune", "--store", store, "--model", "old")
    no = subprocess.run(words, input="n\n", capture_output=True, text=True, check=False, timeout=60)
    assert (no.returncode, no.stdout.splitlines()[-1]) == (0, "nothing was removed")
    assert "Remove" in no.stderr
    nobody = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
    assert nobody.returncode == 1
    assert "nothing was removed; say --yes where nobody can answer" in nobody.stderr.splitlines()[-1]
    assert sorted(left(store)) == sorted(ALL)
    yes = subprocess.run(words, input="y\n", capture_output=True, text=True, check=False, timeout=60)
    assert yes.returncode == 0
    assert sorted(left(store)) == sorted(ALL[2:])


def test_a_program_goes_on_with_what_was_pruned(cli: Cli, store: Path) -> None:
    windows = windows_of(store, "old")
    assert windows.known().sum() == 3
    assert cli("store", "prune", "--store", store, "--model", "old", "--yes").exit_code == 0
    assert not windows.known().any()
    written(windows, (4,))
    assert np.flatnonzero(windows.known()).tolist() == [4]
    assert cli("store", "verify", "--store", store).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["prune"], 2, "say what to remove: --model, --older-than, --max-size or --keep"),
        (["prune", "--model", "newer"], 2, "the store holds nothing of a model 'newer'; it holds new, old"),
        (["prune", "--model", "", "--yes"], 2, "6 letters or more of a digest, not ''; the store holds new, old"),
        (["prune", "--model", "1bbbb", "--yes"], 2, "6 letters or more of a digest, not '1bbbb'"),
        (["prune", "--older-than", "soon"], 2, "--older-than takes a time such as 12h, 30d or 8w, not 'soon'"),
        (["prune", "--max-size", "10 G"], 2, "--max-size takes a size such as 500MB or 10GB, not '10 G'"),
        (["prune", "--keep", "/nowhere"], 2, "/nowhere is not a model folder"),
        (["ls", "--store", "/nowhere"], 2, "there is no prediction store /nowhere"),
        (["verify", "--store", "/nowhere"], 2, "there is no prediction store /nowhere"),
    ],
)
def test_errors_are_one_line(cli: Cli, store: Path, arguments: list[str], code: int, words: str) -> None:
    given = arguments if "--store" in arguments else [*arguments, "--store", store]
    run = run_command("store", *given)
    assert run.returncode == code
    assert words in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert sorted(left(store)) == sorted(ALL)


def test_a_store_that_was_never_made_is_empty(tmp_path: Path) -> None:
    for command in ("ls", "du", "verify"):
        run = run_command("store", command, store=tmp_path / "none")
        assert run.returncode == 0, run.stderr
    assert not (tmp_path / "none").exists()


def _damage(windows: WindowStore) -> str:
    windows.chunk_file(1).write_bytes(windows.chunk_file(1).read_bytes()[:500])
    return "window 1: it is damaged"


def _flip(windows: WindowStore) -> str:
    stored = bytearray(windows.chunk_file(1).read_bytes())
    stored[len(stored) // 2] ^= 4
    windows.chunk_file(1).write_bytes(bytes(stored))
    return "window 1: it is damaged"


def _lose_summaries(windows: WindowStore) -> str:
    summary_file(windows.folder / SUMMARY, "7").unlink()
    return "its summaries are missing or damaged"


def _unflag(windows: WindowStore) -> str:
    flags = summary_file(windows.folder / SUMMARY, "known")
    flags.write_bytes(b"\0" + flags.read_bytes()[1:])
    return "window 0: it has no summaries"


def _remove_window(windows: WindowStore) -> str:
    windows.chunk_file(1).unlink()
    return "window 1: it has summaries and is not there"


def _wrong_sums(windows: WindowStore) -> str:
    path = summary_file(windows.folder / SUMMARY, "112")
    path.write_bytes(b"\0" * 4 + path.read_bytes()[4:])
    return "window 0: its summaries are of other values"


def _beyond(windows: WindowStore) -> str:
    windows.chunk_file(77).parent.mkdir()
    windows.chunk_file(77).write_bytes(b"x")
    return "window 77: it lies past the end of its chromosome"


def _undescribed(windows: WindowStore) -> str:
    (windows.folder / "zarr.json").write_text("{")
    return "it does not say what it holds, or holds something else"


def _leave(windows: WindowStore) -> str:
    path = windows.chunk_file(1).with_name(f"0.{HEX}.partial")
    path.touch()
    os.utime(path, (time.time() - 4000,) * 2)
    return f"0.{HEX}.partial: a killed process left it unfinished"


def _leave_folder(windows: WindowStore) -> str:
    path = windows.folder / f".making-{HEX}"
    (path / "1").mkdir(parents=True)
    os.utime(path, (time.time() - 4000,) * 2)
    return f".making-{HEX}: a killed process left it unfinished"


def _leave_removed(windows: WindowStore) -> str:
    path = windows.folder.with_name(f".making-{HEX}")
    shutil.copytree(windows.folder, path)
    os.utime(path, (time.time() - 4000,) * 2)
    return f".making-{HEX}: a killed process left it unfinished"


def _leave_view(windows: WindowStore) -> str:
    path = windows.folder.parents[2] / "viewconfs" / f".{HEX}.4711.partial.json"
    path.parent.mkdir()
    path.touch()
    os.utime(path, (time.time() - 4000,) * 2)
    return f".{HEX}.4711.partial.json: a killed process left it unfinished"


def _harm_names(windows: WindowStore) -> str:
    _described(windows, attributes={"tracks": None})
    return "the names of what it holds are damaged"


def _described(windows: WindowStore, **changed: object) -> None:
    path = windows.folder / "zarr.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


@pytest.mark.parametrize(
    "harm",
    [
        *(_damage, _flip, _lose_summaries, _unflag, _remove_window, _wrong_sums),
        *(_beyond, _undescribed, _leave, _leave_folder, _leave_removed, _leave_view, _harm_names),
    ],
)
def test_verify_finds_and_mends(cli: Cli, store: Path, harm: Callable[[WindowStore], str]) -> None:
    assert cli("store", "verify", "--store", store).stdout == f"{store} is sound\n"
    words = harm(windows_of(store, "new"))
    found = cli("store", "verify", "--store", store)
    assert found.exit_code == 1
    assert found.stdout.count("\n") == 1
    assert words in found.stdout
    assert found.stderr == f"tracks: error: 1 thing wrong in {store}; tracks store verify --repair mends it\n"
    mended = cli("store", "verify", "--store", store, "--repair")
    assert mended.exit_code == 0, mended.stderr
    assert words in mended.stdout
    assert mended.stdout.endswith(" (repaired)\n")
    assert cli("store", "verify", "--store", store).stdout == f"{store} is sound\n"
    # Everything else is as it was.
    assert windows_of(store, "old").known().sum() == 3
    lost = {_damage: [0], _flip: [0], _remove_window: [0], _undescribed: []}.get(harm, [0, 1])
    assert np.flatnonzero(windows_of(store, "new").known()).tolist() == lost


@pytest.mark.parametrize("harm", [_damage, _lose_summaries, _unflag, _wrong_sums])
def test_repairs_that_cannot_be_made(store: Path, harm: Callable[[WindowStore], str]) -> None:
    harm(windows_of(store, "new"))
    folders = [path for path in store.rglob("*") if path.is_dir()]
    files = [path for path in store.rglob("*") if path.is_file()]
    for path in (*files, *folders):
        path.chmod(0o555)
    try:
        run = run_command("store", "verify", "--store", store, "--repair", bound=True)
    finally:
        for path in folders:
            path.chmod(0o755)
    assert run.returncode == 1
    assert len(run.stderr.splitlines()) == 1
    assert "tracks: error: cannot mend" in run.stderr


def test_verify_leaves_what_is_being_written(cli: Cli, store: Path) -> None:
    fresh = windows_of(store, "new").chunk_file(1).with_name(f"0.{HEX}.partial")
    fresh.touch()
    making = windows_of(store, "new").folder / f".making-{HEX}"
    making.mkdir()
    assert cli("store", "verify", "--store", store, "--repair").stdout == f"{store} is sound\n"
    assert fresh.exists()
    assert making.exists()


def test_other_things_in_the_folder_are_let_be(cli: Cli, store: Path) -> None:
    for path in (store / "notes.txt", store / "mine" / "a" / "b" / "c" / "0", store / ("a" * 32) / "notes"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    assert cli("store", "prune", "--store", store, "--max-size", "0", "--yes").exit_code == 0
    assert left(store) == []
    assert len([path for path in store.rglob("*") if path.is_file()]) == 3
    assert cli("store", "ls", "--store", store).stdout == f"{store} holds no predictions yet\n"


def test_what_looks_like_our_leftovers_elsewhere_is_let_be(cli: Cli, store: Path) -> None:
    windows = windows_of(store, "new")
    files = [
        *(store / "thesis" / name for name in ("draft.partial", f"0.{HEX}.partial", f".{HEX}.1.partial.json")),
        *(store / "c" / "1" / f"0.{HEX}.partial", store / f".{HEX}.1.partial.json"),
        store / ("a" * 32) / "my notes" / "a" / "c" / "1" / f"0.{HEX}.partial",
        *(windows.folder / "download.partial", windows.chunk_file(1).with_name("0.1234.partial")),
        *(store / "viewconfs" / name for name in ("mine.partial", f"0.{HEX}.partial")),
        *(store / f".making-{HEX}" / "a", windows.folder / ".making-plans" / "a"),
    ]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
        for old in (path, path.parent):
            os.utime(old, (time.time() - 40 * DAY,) * 2)
    assert cli("store", "verify", "--store", store, "--repair").stdout == f"{store} is sound\n"
    assert [path for path in files if not path.exists()] == []


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('{"shape":[896,4],"attributes":{"tracks":null}}', []),
        ('{"shape":5}', []),
        ('{"attributes":[1]}', []),
        ('{"attributes":{"tracks":[1]}}', []),
        ('{"shape":["a",1]}', []),
        ('{"attributes":{"model":5}}', []),
        ("[" * 100_000, []),
        ({"shape": [896 * 10**15, 2]}, []),
        ({"shape": [896 * 5, 10**12]}, []),
        ({"data_type": "int32"}, []),
        ({"attributes": {"tracks": None}}, [0, 1]),
        ({"attributes": {"tracks": [1]}}, [0, 1]),
        ({"attributes": {"tracks": [{"name": 1}]}}, [0, 1]),
        ({"attributes": {"model": 5}}, [0, 1]),
        ({"attributes": [1]}, [0, 1]),
    ],
)
def test_a_damaged_description_is_said_and_mended(
    cli: Cli, store: Path, text: str | dict[str, object], kept: list[int]
) -> None:
    windows = windows_of(store, "new")
    if isinstance(text, str):
        (windows.folder / "zarr.json").write_text(text)
    else:
        _described(windows, **text)
    shown = cli("store", "ls", "--store", store)
    assert shown.exit_code == 0, shown.stderr
    another_kind = isinstance(text, dict) and "data_type" in text
    assert shown.stdout.count("damaged: see tracks store verify") == (not another_kind)
    rows = json.loads(cli("store", "ls", "--store", store, "--json").stdout)["predictions"]
    assert sum(row["damaged"] for row in rows) == (not another_kind)
    assert cli("store", "du", "--store", store).exit_code == 0
    assert cli("store", "prune", "--store", store, "--older-than", "1d", "--dry-run").exit_code == 0
    found = cli("store", "verify", "--store", store)
    assert (found.exit_code, found.stdout.count("\n")) == (1, 1)
    assert found.stdout.startswith(f"{windows.folder}: ")
    assert cli("store", "verify", "--store", store, "--repair").exit_code == 0
    assert cli("store", "verify", "--store", store).stdout == f"{store} is sound\n"
    again = windows_of(store, "new")
    assert np.flatnonzero(again.known()).tolist() == kept
    written(again, (2,))
    assert sorted(left(store)) == sorted(ALL), "its names are there again"


def test_windows_from_before_names_are_listed(cli: Cli, store: Path) -> None:
    path = windows_of(store, "new").folder / "zarr.json"
    description = json.loads(path.read_text())
    description["attributes"] = {}
    path.write_text(json.dumps(description))
    line = next(line for line in cli("store", "ls", "--store", store).stdout.splitlines() if "1bbbbb" in line)
    assert line.split()[:5] == ["?", "?", "1bbbbbbbbbbb", "fp32-single", "?"]
    assert cli("store", "prune", "--store", store, "--model", "1bbbbb", "--yes").exit_code == 0
    assert len(left(store)) == 3
