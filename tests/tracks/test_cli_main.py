from __future__ import annotations

from collections.abc import Callable

import click
import pytest
from click.testing import Result

from tests.conftest import run_command
from tracks import __version__
from tracks.cli import main

Cli = Callable[..., Result]

_NAME_HEAVY_IMPORTS = """
import atexit, sys
heavy = ("torch", "scipy", "zarr", "h5py", "flask", "model", "server")
atexit.register(lambda: print("imported:", *(name for name in heavy if name in sys.modules)))
"""


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["predict", "--help"], ["info", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """What makes ``tracks --help`` quick: a timed test would fail on a busy machine."""
    run = run_command(*arguments, before=_NAME_HEAVY_IMPORTS)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "imported:"


def test_help_names_every_command(cli: Cli) -> None:
    result = cli("--help")
    assert result.exit_code == 0
    for command in main.list_commands(click.Context(main)):
        assert f"\n  {command} " in result.stdout


def leaves(command: click.Command | None, *words: str) -> list[tuple[str, ...]]:
    """The words of each command that does something: ``("data", "mini")``."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        return [
            leaf
            for name in command.list_commands(context)
            for leaf in leaves(command.get_command(context, name), *words, name)
        ]
    return [words]


@pytest.mark.parametrize("words", leaves(main), ids=" ".join)
def test_every_command_has_examples(cli: Cli, words: tuple[str, ...]) -> None:
    result = cli(*words, "--help")
    assert result.exit_code == 0, result.stderr
    _, _, examples = result.stdout.partition("Example")
    assert any(line.split()[: 1 + len(words)] == ["tracks", *words] for line in examples.splitlines())


def test_the_version(cli: Cli) -> None:
    assert cli("--version").stdout == f"tracks, version {__version__}\n"


def test_an_unknown_command_is_a_usage_error(cli: Cli) -> None:
    result = cli("predct")
    assert result.exit_code == 2
    assert "No such command 'predct'" in result.stderr


def test_an_unknown_option_is_a_usage_error(cli: Cli) -> None:
    result = cli("predict", "--regoin", "chr20", "-o", "out")
    assert result.exit_code == 2
    assert "--region" in result.stderr
