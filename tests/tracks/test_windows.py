from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from tracks.errors import TracksError, UsageError
from tracks.regions import Region
from tracks.windows import WindowRow, read_windows

PUBLISHED = Path(__file__).parents[3] / "shared" / "reference" / "sequences.bed"


def test_a_row_is_a_line(tmp_path: Path) -> None:
    path = tmp_path / "windows.bed"
    path.write_text("chr2\t1000\t132072\ttest\nchr1\t10000\t141072\ttrain\n")
    rows = read_windows(path)
    assert rows == (WindowRow("chr2", 1_000, "test"), WindowRow("chr1", 10_000, "train"))
    assert rows[0].end == 132_072
    assert rows[0].bins_region == Region("chr2", 9_192, 123_880)


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published sequences.bed is not here")
def test_the_published_windows() -> None:
    assert hashlib.sha256(PUBLISHED.read_bytes()).hexdigest()[:16] == "42a81b3240ad9e78"  # facts/cs282a.md 7.1
    rows = read_windows(PUBLISHED)
    assert Counter(row.fold for row in rows) == {"train": 34_021, "valid": 2_213, "test": 1_937}
    assert [row.fold for row in rows] == ["train"] * 34_021 + ["valid"] * 2_213 + ["test"] * 1_937
    assert rows[36_234] == WindowRow("chr10", 37_555_537, "test")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("chr1\t0\t131072", "line 2: it needs chromosome, start, end, train|valid|test"),
        ("chr1\t0\t131072\tholdout", "line 2: it needs"),
        ("chr1\t-5\t131067\ttest", "line 2: it needs"),
        (f"chr1\t{'9' * 5_000}\t131067\ttest", "line 2: it needs"),
        ("", "line 2: it needs"),
        ("chr1\t0\t131000\ttest", "line 2: a window has 131,072 bases, this one 131,000"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "windows.bed"
    path.write_text(f"chr1\t0\t131072\ttrain\n{line}\n")
    with pytest.raises(TracksError) as failure:
        read_windows(path)
    assert words in str(failure.value)


def test_no_windows(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no BED file"):
        read_windows(tmp_path / "none.bed")
    (tmp_path / "empty.bed").write_text("")
    with pytest.raises(TracksError, match="holds no windows"):
        read_windows(tmp_path / "empty.bed")
