from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.conftest import run_command
from tracks import __version__
from tracks.cli.bench import report_lines

Cli = Callable[..., Result]
_QUICK = ("--quick", "--device", "cpu", "--threads", "1")


def test_a_table_to_paste(cli: Cli, model_folder: Path) -> None:
    result = cli("bench", "--model", model_folder, *_QUICK, "--precision", "fp32")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"tracks {__version__}, torch ")
    assert ", threads 1" in lines[1]
    assert "the trunk of 'tiny'" in result.stdout
    assert "Matrix products, 10^9 operations a second: fp32 " in result.stdout
    assert "hg38: 25,735 windows" in result.stdout
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert table[0] == ["precision", "s a window", "median", "of peak", "x fp32", "hg38", "memory"]
    [row] = table[2:]
    assert row[0] == "fp32"
    assert float(row[1]) > 0
    assert row[4] == "1.00"
    assert row[6].endswith("GiB")


def test_the_same_as_json(cli: Cli, model_folder: Path) -> None:
    result = cli("bench", "--model", model_folder, *_QUICK, "--precision", "fp32", "--json")
    found = json.loads(result.stdout)
    assert found["hg38_windows"] == 25_735
    assert found["machine"]["tracks"] == __version__
    [timing] = found["timings"]
    assert timing["precision"] == "fp32"
    assert 0 < timing["seconds"] <= timing["median_seconds"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--precision", "fp16"), "'fp16' is not one of"),
        (("--device", "gpu"), "device 'gpu' is not available here"),
        (("--model", "nowhere"), "is not a model folder"),
        (("--threads", "0"), "0 is not in the range"),
    ],
)
def test_bad_input_is_one_line(cli: Cli, words: tuple[str, ...], said: str) -> None:
    result = cli("bench", *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_what_was_not_measured_is_said() -> None:
    from model.bench import Report, Timing
    from model.machine import Machine

    machine = Machine("0", "2", "3", "Linux x86_64", "a CPU", ("avx2",), 4, 4, 16 << 30, None, 3.5)
    timings = (Timing("fp32", 1, 2.0, 3.0, 0.5, 1.0, 77_205.0, 1 << 30), Timing("int8", 1, why="it is not installed"))
    report = Report(machine, "random weights", 2e11, {"fp32": 2e11, "int8": None}, timings)
    text = "\n".join(report_lines(report))
    assert "Other work was running (load 3.5)" in text
    assert "| fp32      |          2 |      3 |     50% |   1.00 | 21 h 27 min | 1.00 GiB |" in text
    assert "int8: it is not installed" in text
    assert "operations a second: fp32 200." in text


def test_help_loads_no_torch() -> None:
    check = "import sys; from tracks.cli.bench import command; assert 'torch' not in sys.modules; "
    result = run_command("bench", "--help", before=check)
    assert result.returncode == 0
    assert "tracks bench --quick" in result.stdout
