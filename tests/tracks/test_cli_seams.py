from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from tests.conftest import run_command
from tracks.bigwig import Bins, write_bigwig
from tracks.grid import BIN, BINS

Cli = Callable[..., Result]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Bins that alternate between 0 and 1, with a step of 8 at the second of three borders; and one short of any."""
    values = np.tile(np.float32([0, 1]), 2 * BINS)
    values[2 * BINS :] += 9
    write_bigwig(tmp_path / "a.bw", {"chr1": len(values) * BIN}, [Bins("chr1", 0, values)])
    write_bigwig(tmp_path / "short.bw", {"chr1": 10 * BIN}, [Bins("chr1", 0, values[:10])])
    return [tmp_path / "a.bw", tmp_path / "short.bw"]


def test_a_table_of_files(cli: Cli, files: list[Path]) -> None:
    result = cli("seams", *files)
    assert (result.exit_code, result.stderr) == (0, "")
    heads, _, seams, short = ([cell.strip() for cell in line.split("|")[1:-1]] for line in result.stdout.splitlines())
    assert heads[:6] == ["file", "borders", "largest", "at", "median", "p99"]
    assert heads[6:] == ["largest/median", "border/median", "above p99"]
    assert seams == [str(files[0]), "3", "8", "chr1:229,377", "1", "1", "8.0", "1.00", "33.3%"]
    assert short == [str(files[1]), "0", "-", "-", "1", "1", "-", "-", "-"]


def test_json_for_programs(cli: Cli, files: list[Path]) -> None:
    seams, short = json.loads(cli("seams", *files, "--json", "--chrom", "chr1").stdout)
    assert seams == {
        "file": str(files[0]),
        "borders": 3,
        "largest_jump": 8.0,
        "at": f"chr1:{2 * BINS * BIN}",
        "median_jump": 1.0,
        "differences_inside": 4 * (BINS - 1),
        "median_inside": 1.0,
        "percentile99_inside": 1.0,
        "largest_to_median": 8.0,
        "median_to_median": 1.0,
        "borders_above_percentile99": pytest.approx(1 / 3),
    }
    assert (short["borders"], short["largest_jump"], short["at"], short["largest_to_median"]) == (0, None, None, None)


def test_bad_input_is_said_in_one_line(cli: Cli, files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "text.bw").write_text("no bigWig at all")
    for arguments, code, words in (
        ([tmp_path / "none.bw"], 2, "there is no bigWig file"),
        ([tmp_path / "text.bw"], 1, "it is not a bigWig file"),
        ([files[0], "--chrom", "chrX"], 2, "chrX"),
        ([], 2, "Missing argument 'FILE...'"),
    ):
        result = cli("seams", *arguments)
        assert result.exit_code == code
        assert words in result.stderr
        assert result.stdout == ""


def test_the_command_needs_no_torch(files: list[Path]) -> None:
    before = "import sys; sys.modules['torch'] = None\n"
    done = run_command("seams", files[0], before=before)
    assert (done.returncode, done.stderr) == (0, "")
    assert "chr1:229,377" in done.stdout
