from __future__ import annotations

import os
from pathlib import Path

import pytest

import server.viewconfs
from server.viewconfs import LARGEST, ViewConfs
from tracks.errors import TracksError, UsageError


def test_the_same_configuration_has_the_same_uid_in_every_folder(tmp_path: Path) -> None:
    first, second = ViewConfs(tmp_path / "a"), ViewConfs(tmp_path / "b")
    uid = first.save({"views": [], "editable": True})
    assert second.save({"editable": True, "views": []}) == uid
    assert first.save({"views": [1]}) != uid
    assert ViewConfs(tmp_path / "a").load(uid) == {"views": [], "editable": True}
    assert ViewConfs(tmp_path / "c").load(uid) is None
    assert not list(tmp_path.rglob("*partial*"))


def test_the_oldest_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.viewconfs, "KEPT", 3)
    kept = ViewConfs(tmp_path)
    uids = []
    for number in range(5):
        uids.append(kept.save({"views": [number]}))
        os.utime(tmp_path / f"{uids[-1]}.json", (number, number))
    assert [kept.load(uid) is not None for uid in uids] == [False, False, True, True, True]


def test_what_cannot_be_kept_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="bytes"):
        ViewConfs(tmp_path).save({"views": ["x" * LARGEST]})
    (tmp_path / "file").write_text("")
    with pytest.raises(TracksError, match="file"):
        ViewConfs(tmp_path / "file").save({"views": []})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_damaged_one_is_said(tmp_path: Path) -> None:
    kept = ViewConfs(tmp_path)
    uid = kept.save({"views": []})
    (tmp_path / f"{uid}.json").write_text("{")
    with pytest.raises(TracksError, match=uid):
        kept.load(uid)
