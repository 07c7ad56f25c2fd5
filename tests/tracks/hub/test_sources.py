"""What a file is taken for, and what is said of a track and of who predicted it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.tracks.hub.made import TRACK, small_hub
from tracks.errors import TracksError, UsageError
from tracks.hub import pages
from tracks.hub.made_by import read_model
from tracks.hub.sources import bigwigs_of, find_sources, known_tracks
from tracks.project import Project, load_project
from tracks.track import Track

LIVER = Track("LMNB1 LAD liver", "ChIP-seq", "liver", "covered fraction", "#1b6ca8")
KNOWN = {TRACK.slug: TRACK, LIVER.slug: LIVER}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "tracks.toml").write_text(
        'name = "p"\ngenome = "x.fa"\n[[track]]\nname = "CpG methylation IMR90"\nassay = "WGBS"\nbiosample = "IMR90"\n'
        'unit = "methylated fraction"\ncolor = "#d95f02"\nobserved = "cpg.bw"\n'
    )
    (tmp_path / "cpg.bw").touch()
    return load_project(tmp_path / "tracks.toml")


def taken(
    *paths: Path, observed: tuple[Path, ...] = (), predicted: tuple[Path, ...] = ()
) -> list[tuple[str, str, str]]:
    found = find_sources(paths, observed, predicted, None, KNOWN)
    return [(source.kind, source.track.slug, source.head) for source in found]


def test_names_say_what_a_file_is() -> None:
    assert taken(
        Path("cpg_methylation_imr90.bw"),
        Path("observed/cpg_methylation_imr90.bw"),
        Path("lmnb1_lad_liver_conv.bw"),
        Path("lmnb1_lad_liver_observed.bigWig"),
        Path("lmnb1_lad_liver.predicted.bw"),
        Path("my signal.bw"),
        Path("predicted/other.bw"),
    ) == [
        ("predicted", "cpg_methylation_imr90", ""),
        ("observed", "cpg_methylation_imr90", ""),
        ("predicted", "lmnb1_lad_liver", "conv"),
        ("observed", "lmnb1_lad_liver", ""),
        ("predicted", "lmnb1_lad_liver", ""),
        ("observed", "my_signal", ""),
        ("predicted", "other", ""),
    ]


def test_what_is_said_overrules_names() -> None:
    assert taken(observed=(Path("cpg_methylation_imr90.bw"),), predicted=(Path("observed/my.bw"),)) == [
        ("observed", "cpg_methylation_imr90", ""),
        ("predicted", "my", ""),
    ]


def test_what_a_project_names_is_observed(project: Project, tmp_path: Path) -> None:
    known = known_tracks(project, {LIVER.slug: LIVER})
    found = find_sources([tmp_path / "cpg.bw", Path("lmnb1_lad_liver.bw")], (), (), project, known)
    assert [(source.kind, source.track.slug) for source in found] == [
        ("observed", "cpg_methylation_imr90"),
        ("predicted", "lmnb1_lad_liver"),
    ]
    assert found[0].track.biosample == "IMR90"
    assert found[1].track == LIVER


def test_tracks_that_nothing_describes_differ_in_colour() -> None:
    found = find_sources([Path("a.bw"), Path("b.bw")], (), (), None, {})
    assert [source.track.name for source in found] == ["a", "b"]
    assert found[0].track.color != found[1].track.color


def test_two_files_for_one_signal() -> None:
    with pytest.raises(UsageError, match="would both be CpG methylation IMR90, predicted; leave one out"):
        taken(Path("a/cpg_methylation_imr90.bw"), Path("b/cpg_methylation_imr90.bw"))
    with pytest.raises(UsageError, match="predicted by conv"):
        taken(Path("a/lmnb1_lad_liver_conv.bw"), Path("b/lmnb1_lad_liver_conv.bw"))
    with pytest.raises(UsageError, match="its name needs a letter or a digit"):
        taken(Path("___.bw"))


def test_folders_of_files(tmp_path: Path) -> None:
    for name in ("b.bw", "a.bigWig", "c.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in bigwigs_of([tmp_path])] == ["a.bigWig", "b.bw"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"neither a model folder \(it has no model.json\) nor holds bigWig files"):
        bigwigs_of([tmp_path / "empty"])
    with pytest.raises(UsageError, match="there is no file or folder"):
        bigwigs_of([tmp_path / "no.bw"])


DEMO = Path(__file__).parents[3] / "model" / "demo"


def test_what_a_model_folder_says() -> None:
    facts = read_model(DEMO, {"bins": "d" * 64})
    card = json.loads((DEMO / "card.json").read_text())
    assert facts.card_digest == card["digest"]
    scores = facts.accuracy["CpG methylation IMR90"]
    assert {score.part for score in scores} == {"test, chr22"}
    assert {(score.metric, score.resolution) for score in scores} >= {("Pearson r", 128), ("Pearson r", 4096)}
    theirs = next(
        score["model"]
        for score in card["tracks"][0]["scores"]
        if (score["fold"], score["part"], score["metric"], score["resolution"]) == ("test", "chr22", "pearson", 4096)
    )
    shown = f"{theirs['value']:.2f} ({theirs['low']:.2f} to {theirs['high']:.2f})"
    assert shown in {score.model for score in scores if score.resolution == 4096}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("card.json", '{"tracks": [{"name": "x"}]}', "card.json is damaged at 'scores'"),
        ("card.json", "[]", "it holds no JSON object"),
        ("model.json", "{", "cannot read"),
    ],
)
def test_a_damaged_model_folder(tmp_path: Path, name: str, text: str, words: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(DEMO, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    (folder / name).write_text(text)
    with pytest.raises(TracksError, match=words):
        read_model(folder)


def test_no_model_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is not a model folder: it has no model\.json"):
        read_model(tmp_path)


def test_a_page_escapes_what_it_says() -> None:
    hub = small_hub(Track("x <script>alert('1')</script>", '"&', "IMR\u00e990", "<b>", "#d95f02", source="a&b"))
    page = pages.track_page(hub.tracks[0], hub, read_model(DEMO, {"bins": "<i>"}))
    assert page.isascii()
    for raw in ("<script", "<b>", "<i>", "a&b"):
        assert raw not in page
    for escaped in ("&lt;script&gt;", "IMR&#233;90", "&lt;b&gt;", "a&amp;b", "&lt;i&gt;"):
        assert escaped in page
    assert "Nobody has scored this model" in page


def test_a_page_shows_scores_and_whose_they_are() -> None:
    hub = small_hub()
    card = json.loads((DEMO / "card.json").read_text())
    page = pages.track_page(hub.tracks[0], hub, read_model(DEMO, {"bins": card["digest"], "conv": "e" * 64}, "fp32"))
    assert "<p>Of head bins.</p>" in page
    assert "<td>test, chr22</td><td>Pearson r</td><td>4,096 bp</td>" in page
    assert card["digest"] in page
    other = pages.track_page(hub.tracks[0], hub, read_model(DEMO, {"bins": "e" * 64}))
    assert "Scored with other weights, or another head, than these" in other


def test_pages_cite_as_the_repository_says() -> None:
    cited = (Path(__file__).parents[3] / "CITATION.cff").read_text()
    assert f'title: "{pages.SOFTWARE}"' in cited
    assert f"doi: {pages.ARCHITECTURE[1]}" in cited
    assert "Cross-species regulatory sequence activity prediction" in pages.ARCHITECTURE[0]
