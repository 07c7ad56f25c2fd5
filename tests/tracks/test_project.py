from __future__ import annotations

from pathlib import Path

import pytest

from tracks.errors import TracksError, UsageError
from tracks.project import Project, load_project
from tracks.remote.address import Address, rules_of
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


AWAY = GOOD.replace("observed/a.bw", "https://data.lab.example/bigwigs/a.bw?key=s3cret")
FILES = """
[files]
urls = ["https://data.lab.example/bigwigs/"]
timeout = 3
max_bytes = 2000000
"""
HUBS = """
[[hub]]
path = "hub/hub.txt"
tracks = ["a"]

[[hub]]
url = "https://data.lab.example/bigwigs/hub.txt"
genome = "hg19"
"""


def test_observed_files_and_hubs_lie_at_permitted_addresses(tmp_path: Path) -> None:
    project = load(tmp_path, AWAY + FILES + HUBS)
    observed = project.track[0].observed
    assert isinstance(observed, Address)
    assert (observed.target, observed.name) == ("/bigwigs/a.bw?key=s3cret", "a.bw")
    assert rules_of(observed) == project.files.rules
    assert (project.files.timeout, project.files.max_bytes, len(project.files.urls)) == (3, 2_000_000, 1)
    first, second = project.hub
    assert (first.source, first.tracks) == (tmp_path / "hub/hub.txt", ("a",))
    assert isinstance(second.source, Address)
    assert second.genome == "hg19"
    assert project.permitted(first).folders == (tmp_path / "hub",)
    assert project.permitted(second).folders == ()
    defaults = load(tmp_path, GOOD).files
    assert (defaults.roots, defaults.urls, defaults.timeout, defaults.max_bytes) == (None, (), 10, 64 << 20)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (AWAY, r"track\.0\.observed: https://data\.lab\.example/bigwigs/a\.bw is not opened: name what may be"),
        (
            AWAY.replace("/bigwigs/", "/other/") + FILES,
            r"track\.0\.observed: .*is not below what \[files\] urls permits",
        ),
        (AWAY.replace("data.lab", "me:pass@data.lab") + FILES, r"track\.0\.observed: .*a name or a password"),
        (AWAY.replace("https:", "ftp:") + FILES, r"track\.0\.observed: .*is no address"),
        (GOOD.replace('"observed/a.bw"', "3"), r"track\.0\.observed: .*a path or an address, found 3"),
        (
            GOOD.replace("genome/hg19.fa.gz", "https://data.lab.example/bigwigs/g.fa") + FILES,
            "genome: .*only a track's",
        ),
        (GOOD + FILES.replace("bigwigs/", "?key=s3cret"), r"files\.urls\.0: .*begins no other address"),
        (GOOD + FILES.replace('"https://data.lab.example/bigwigs/"', "7"), r"files\.urls\.0: .*an address is a text"),
        (GOOD + FILES.replace("timeout = 3", "timeout = 0"), r"files\.timeout: .*found 0"),
        (GOOD + FILES.replace("timeout = 3", "timeout = nan"), r"files\.timeout"),
        (GOOD + FILES.replace("2000000", "10"), r"files\.max_bytes: .*found 10"),
        (GOOD + FILES.replace("timeout", "time_out"), r"files\.time_out: Extra inputs"),
        (GOOD + HUBS, r"hub\.1\.url: .*is not opened"),
        (GOOD + FILES + "[[hub]]", r"hub\.0: .*either a path or a url"),
        (GOOD + FILES + HUBS.replace('genome = "hg19"', 'path = "x"'), r"hub\.1: .*either a path or a url"),
    ],
)
def test_what_may_not_be_opened_is_said(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(UsageError, match=fault) as caught:
        load(tmp_path, text)
    for secret in ("s3cret", "pass@"):
        assert secret not in str(caught.value)


@pytest.fixture
def rooted(tmp_path: Path) -> Path:
    """A project's folder beside two others, one of which is a root."""
    for name in ("own", "data", "elsewhere"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.bw").touch()
    (tmp_path / "own" / "linked.bw").symlink_to(tmp_path / "elsewhere" / "a.bw")
    (tmp_path / "own" / "data.bw").symlink_to(tmp_path / "data" / "a.bw")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    return tmp_path / "own"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("a.bw", "own/a.bw"),
        ("../data/a.bw", "data/a.bw"),
        ("data.bw", "data/a.bw"),
        ("not/there.bw", "own/not/there.bw"),
    ],
)
def test_with_roots_files_lie_there_or_beside_the_project(rooted: Path, given: str, found: str) -> None:
    for root in ("../data", "../link", str(rooted.parent / "link")):
        project = load(rooted, GOOD.replace("observed/a.bw", given) + f'[files]\nroots = ["{root}"]\n')
        assert project.track[0].observed == rooted.parent / found


@pytest.mark.parametrize(
    "given", ["linked.bw", "../elsewhere/a.bw", "/etc/passwd", "../data-2/a.bw", "../data/../x.bw"]
)
@pytest.mark.parametrize("place", ["observed/a.bw", "genome/hg19.fa.gz", "split.bed"])
def test_and_nowhere_else(rooted: Path, given: str, place: str) -> None:
    text = GOOD.replace(place, given)
    with pytest.raises(UsageError, match=r"is not opened: it is not below .*\[files\] roots") as caught:
        load(rooted, text + '[files]\nroots = ["../data"]\n')
    assert str(caught.value).count(", which leads to ") <= 1
    load(rooted, text)


def test_what_is_found_beside_a_project_lies_in_a_root_too(rooted: Path) -> None:
    (rooted / "genes.tsv.gz").symlink_to(rooted.parent / "elsewhere" / "a.bw")
    with pytest.raises(UsageError, match=r"genes: .*is not opened"):
        load(rooted, GOOD + "[files]\nroots = []\n")
    (rooted / "genes.tsv.gz").unlink()
    with pytest.raises(UsageError, match=r"hub\.0\.path: .*is not opened"):
        load(rooted, GOOD + '[files]\nroots = []\n[[hub]]\npath = "../data/hub.txt"\n')


def test_links_that_go_round_are_said(rooted: Path) -> None:
    (rooted / "round.bw").symlink_to(rooted / "round.bw")
    text = GOOD.replace("observed/a.bw", "round.bw") + "[files]\nroots = []\n"
    with pytest.raises(UsageError, match="go round"):
        load(rooted, text)
