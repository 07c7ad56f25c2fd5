from __future__ import annotations

from pathlib import Path

import pytest

from tracks.renaming import LIST_NAME, rename_together, unfinished_names


def test_files_get_their_names_and_others_go(tmp_path: Path) -> None:
    for name in (".a", ".b", "b", "c"):
        (tmp_path / name).write_text(name)
    rename_together(tmp_path, {"a": tmp_path / ".a", "b": tmp_path / ".b", "c": None, "d": None})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": ".a", "b": ".b"}
    assert unfinished_names(tmp_path) == frozenset()


def test_what_was_being_named_when_it_was_killed_is_known_until_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, count = Path.replace, 0

    def killed(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == 3:  # the list itself, the first file, and then
            raise KeyboardInterrupt
        return replace(self, target)

    for name in (".a", ".b", ".x"):
        (tmp_path / name).write_text(name)
    with monkeypatch.context() as context:
        context.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            rename_together(tmp_path, {"a": tmp_path / ".a", "b": tmp_path / ".b"})
    assert (tmp_path / "a").exists()
    assert not (tmp_path / "b").exists()
    assert unfinished_names(tmp_path) == {"a", "b"}
    rename_together(tmp_path, {"x": tmp_path / ".x"})
    assert unfinished_names(tmp_path) == {"a", "b"}
    rename_together(tmp_path, {"a": tmp_path / "a", "b": tmp_path / ".b"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "x"]


@pytest.mark.parametrize("content", ["", "[[]]", "7", "{"])
def test_a_damaged_list_names_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / LIST_NAME).write_text(content)
    assert unfinished_names(tmp_path) == frozenset()
