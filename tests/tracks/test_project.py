from __future__ import annotations

from pathlib import Path

import pytest

from tracks.errors import TracksError, UsageError
from tracks.project import load_project
from tracks.transform import Affine

GOOD = """
name = "mini"
genome = "genome/hg19.fa.gz"
split = "split.bed"

[[track]]
name = "CpG methylation IMR90"
assay = "WGBS"
biosample = "IMR90"
unit = "methylated fraction"
color = "#d95f02"
observed = "observed/a.bw"
scale = 2.0

[[track]]
name = "genes"
assay = "annotation"
biosample = "-"
unit = "covered fraction"
color = "#000000"
role = "auxiliary"
context = true
"""


def load(tmp_path: Path, text: str) -> object:
    (tmp_path / "tracks.toml").write_text(text)
    return load_project(tmp_path / "tracks.toml")


def test_paths_start_at_the_projects_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tracks.toml").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    project = load_project(Path("tracks.toml"))
    assert project.genome == tmp_path / "genome/hg19.fa.gz"
    assert project.split == tmp_path / "split.bed"
    assert [entry.observed for entry in project.track] == [tmp_path / "observed/a.bw", None]
    assert [entry.name for entry in project.targets()] == ["CpG methylation IMR90"]
    assert project.track[0].track.transform == Affine(2.0, 0.0)
    assert [entry.track.context for entry in project.track] == [False, True]


def test_absolute_paths_stay(tmp_path: Path) -> None:
    (tmp_path / "tracks.toml").write_text(GOOD.replace("genome/hg19.fa.gz", "/data/hg19.fa"))
    assert load_project(tmp_path / "tracks.toml").genome == Path("/data/hg19.fa")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('color = "#d95f02"', 'color = "orange"', r"track\.0\.color: .*found 'orange'"),
        ('role = "auxiliary"', 'role = "helper"', r"track\.1\.role: .*found 'helper'"),
        ('unit = "methylated fraction"', "", r"track\.0\.unit: Field required"),
        ("scale = 2.0", "scales = 2.0", r"track\.0\.scales: Extra inputs"),
        ("scale = 2.0", "weight = -1", r"track\.0\.weight: .*found -1"),
        ("scale = 2.0", "scale = 0", r"track\.0.*scale other than 0"),
        ('name = "genes"', 'name = "--"', r"track\.1.*needs a letter or a digit"),
        ('name = "genes"', 'name = "cpg-methylation IMR90"', "would both be written as 'cpg_methylation_imr90'"),
        ('name = "mini"', "name = ", "is not TOML"),
        ("[[track]]", "[[tracks]]", r"track: Field required|tracks: Extra"),
    ],
)
def test_a_wrong_project_names_the_file_the_entry_and_the_fault(tmp_path: Path, old: str, new: str, fault: str) -> None:
    with pytest.raises(UsageError, match=fault) as caught:
        load(tmp_path, GOOD.replace(old, new))
    assert str(tmp_path / "tracks.toml") in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(tmp_path))


def test_a_missing_project_and_one_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no project file"):
        load_project(tmp_path / "tracks.toml")
    (tmp_path / "tracks.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(TracksError, match="cannot read the project file"):
        load_project(tmp_path / "tracks.toml")
