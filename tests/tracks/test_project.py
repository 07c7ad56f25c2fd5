from __future__ import annotations

from pathlib import Path

import pytest

from tracks.errors import TracksError, UsageError
from tracks.project import Project, load_project
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


def load(tmp_path: Path, text: str) -> Project:
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


SHOWN = """
model = "model"
genes = "gencode.gtf.gz"

[[annotation]]
name = "LADs Tig-3"
bed = "beds/lads.bed.gz"
color = "#1b6ca8"

[[annotation]]
name = "CpG islands"
bed = "/data/islands.bed"
"""


def test_what_is_shown_beside_the_tracks(tmp_path: Path) -> None:
    for name in ("genes.tsv.gz", "cpg_islands.bed.gz"):
        (tmp_path / name).touch()
    band = 'scale = 2.0\nlower = "methylation, 5 %"\nupper = "methylation, 95 %"'
    head, tracks = GOOD.replace("scale = 2.0", band).split("\n\n", 1)
    project = load(tmp_path, f"{head}\n{SHOWN}\n{tracks}")
    assert (project.model, project.genes) == (tmp_path / "model", tmp_path / "gencode.gtf.gz")
    assert [(entry.name, entry.slug, entry.bed, entry.color) for entry in project.annotation] == [
        ("LADs Tig-3", "lads_tig_3", tmp_path / "beds/lads.bed.gz", "#1b6ca8"),
        ("CpG islands", "cpg_islands", Path("/data/islands.bed"), "#47505b"),
    ]
    assert [(entry.lower, entry.upper) for entry in project.track] == [
        ("methylation, 5 %", "methylation, 95 %"),
        (None, None),
    ]


def test_files_beside_the_project_count_where_it_names_none(tmp_path: Path) -> None:
    project = load(tmp_path, GOOD)
    assert (project.model, project.genes, project.annotation) == (None, None, ())
    for name in ("genes.tsv.gz", "cpg_islands.bed.gz"):
        (tmp_path / name).touch()
    project = load(tmp_path, GOOD)
    assert project.genes == tmp_path / "genes.tsv.gz"
    assert [(entry.name, entry.bed) for entry in project.annotation] == [
        ("CpG islands", tmp_path / "cpg_islands.bed.gz")
    ]
    assert load(tmp_path, GOOD.replace("\n\n", "\nannotation = []\n\n", 1)).annotation == (), "it says: none"


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
        ("scale = 2.0", 'lower = "genes"', r"track\.0: a band has two ends; it names lower, so name upper too"),
        ("scale = 2.0", 'upper = "genes"', r"track\.0: .*names upper, so name lower too"),
        ("scale = 2.0", 'lower = "genes"\nupper = "Genes"', r"track\.0: .*two other tracks, found 'genes' and 'Genes'"),
        ("scale = 2.0", 'lower = "x"\nupper = "CpG methylation IMR90"', r"track\.0: .*two other tracks"),
        ('name = "mini"', 'name = "mini"\ngenes = 3', r"genes: .*found 3"),
        ('name = "mini"', 'name = "mini"\nannotation = [{name = "LADs"}]', r"annotation\.0\.bed: Field required"),
        (
            'name = "mini"',
            'name = "mini"\nannotation = [{name = "LADs", bed = "a", color = "red"}]',
            r"annotation\.0\.color: .*found 'red'",
        ),
        (
            'name = "mini"',
            'name = "mini"\nannotation = [{name = "--", bed = "a"}]',
            r"annotation\.0: its name needs a letter or a digit, found '--'",
        ),
        (
            'name = "mini"',
            'name = "mini"\nannotation = [{name = "a b", bed = "a"}, {name = "A-B", bed = "b"}]',
            "two annotations would both be written as 'a_b'",
        ),
        ('"genome/hg19.fa.gz"', '"genome\\u0000.fa"', r"genome: .*control characters, found 'genome.x00\.fa'"),
        ('"split.bed"', '"split\\n.bed"', r"split: .*control characters, found 'split.n\.bed'"),
        ('name = "mini"', 'name = "mini"\nmodel = "\\u001b[2J"', r"model: .*control characters"),
        ('name = "mini"', 'name = "mini"\ngenes = "\\u0085"', r"genes: .*control characters"),
        ('"observed/a.bw"', '"\\u0000"', r"track\.0\.observed: .*control characters"),
        ("scale = 2.0", 'coverage = "a\\tb"', r"track\.0\.coverage: .*control characters"),
        (
            'name = "mini"',
            'name = "mini"\nannotation = [{name = "LADs", bed = "\\u007f"}]',
            r"annotation\.0\.bed: .*control characters",
        ),
        ('name = "mini"', "name = ", "is not TOML"),
        ("[[track]]", "[[tracks]]", r"track: Field required|tracks: Extra"),
    ],
)
def test_a_wrong_project_names_the_file_the_entry_and_the_fault(tmp_path: Path, old: str, new: str, fault: str) -> None:
    with pytest.raises(UsageError, match=fault) as caught:
        load(tmp_path, GOOD.replace(old, new))
    assert str(tmp_path / "tracks.toml") in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(tmp_path))
    assert str(caught.value).isprintable()


def test_a_missing_project_and_one_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no project file"):
        load_project(tmp_path / "tracks.toml")
    (tmp_path / "tracks.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(TracksError, match="cannot read the project file"):
        load_project(tmp_path / "tracks.toml")
