from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tracks.errors import TracksError
from tracks.files import written_beside


def test_a_whole_file_gets_its_name_and_replaces_the_older(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.bw"
    for text in ("one", "two"):
        with written_beside(path) as beside:
            assert beside.parent == path.parent
            assert beside.suffix == ".bw"
            beside.write_text(text)
            assert not path.exists() or path.read_text() == "one"
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_older_file_and_nothing_else(tmp_path: Path, failure: type[BaseException]) -> None:
    path = tmp_path / "a.bw"
    path.write_text("older")

    def write() -> None:
        with written_beside(path) as beside:
            beside.write_text("half")
            raise failure

    with pytest.raises(failure):
        write()
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TracksError, match=r"cannot make the folder .*file"), written_beside(tmp_path / "file" / "a"):
        pass


def test_a_name_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(TracksError, match=r"cannot write .*Is a directory"), written_beside(tmp_path / "a") as beside:
        beside.write_text("x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_content_is_on_the_disk_before_its_name_and_the_name_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss of power between the two leaves the older file, never an empty one."""
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def recorded_fsync(handle: int) -> None:
        fsync(handle)
        done.append("folder" if Path(f"/dev/fd/{handle}").is_dir() else "file")

    def recorded_replace(self: Path, target: Path) -> Path:
        done.append("name")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(Path, "replace", recorded_replace)
    with written_beside(tmp_path / "a.bw") as beside:
        beside.write_text("one")
    assert done == ["file", "name", "folder"]


def test_a_disk_that_says_only_at_the_end_that_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TracksError, match="No space left"), written_beside(tmp_path / "a.bw") as beside:
        beside.write_text("one")
    assert list(tmp_path.iterdir()) == []
