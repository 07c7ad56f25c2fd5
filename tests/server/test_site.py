from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from server.site import Site
from server.viewconf import OBSERVED_COLOR, page, view_config
from tracks.errors import TracksError, UsageError
from tracks.regions import Region
from tracks.store import Store


@pytest.mark.parametrize(
    ("text", "name", "region"),
    [
        ("chr20:10,001-20,000", "", Region("chr20", 10_000, 20_000)),
        (" chr20:10001-20000 ", "", Region("chr20", 10_000, 20_000)),
        ("chr3", "chr3", Region("chr3", 0, 200_000)),
        ("beta", "BETA", Region("chr3", 0, 9_000)),
        ("ALPHA1", "ALPHA1", Region("chr20", 0, 130_000)),
    ],
)
def test_regions_chromosomes_and_genes_are_found(site: Site, text: str, name: str, region: Region) -> None:
    place = site.locate(text)
    assert (place.name, place.region) == (name, region)


@pytest.mark.parametrize(
    ("text", "said", "meant"),
    [
        ("20", "chr20", "chr20"),
        ("CHR3:1-50", "chr3", "chr3:1-50"),
        ("BETTA", "did you mean BETA", "BETA"),
        ("qqqqqq", "it holds chr20, chr3, chrN", None),
        ("", "type a region", None),
        ("chr20:900,000-1,000,000", "past the end", None),
        ("chr20:20-10", "reversed", None),
        ("chr20:a-b", "not a span", None),
    ],
)
def test_a_wrong_entry_says_what_would_be_right(site: Site, text: str, said: str, meant: str | None) -> None:
    with pytest.raises(UsageError) as failure:
        site.locate(text)
    assert said in str(failure.value)
    assert "\n" not in str(failure.value)
    assert site.nearest(text) == meant
    if meant:
        site.locate(meant)


def test_the_view_has_one_track_a_panel_with_observed_and_predicted(site: Site) -> None:
    config = json.loads(json.dumps(view_config(site)))
    [view] = config["views"]
    assert view["initialXDomain"] == [280_000, 420_000]
    tracks = {track["uid"]: track for track in view["tracks"]["top"]}
    assert list(tracks) == ["chromosomes", "genes", "bed-cpg_islands", "cpg_methylation_imr90", "lmnb1_lad_liver"]
    both, alone = tracks["cpg_methylation_imr90"], tracks["lmnb1_lad_liver"]
    assert both["type"] == "horizontal-prediction"
    assert both["data"] == {
        "type": "tracks-prediction",
        "server": "/api/v1",
        "tilesetUid": "predicted-bins-cpg_methylation_imr90",
        "predicted": "predicted-bins-cpg_methylation_imr90",
        "observed": "observed-cpg_methylation_imr90",
        "head": "bins",
    }
    assert (both["options"]["color"], both["options"]["observedColor"]) == ("#d95f02", OBSERVED_COLOR)
    assert (both["options"]["valueScaleMin"], both["options"]["valueScaleMax"]) == (0, 1)
    assert "observed" not in alone["data"]
    uids = {track["data"]["tilesetUid"] for track in (both, alone)} | {both["data"]["observed"]}
    assert uids <= set(site.tilesets)


def test_the_page_is_told_of_heads_panels_and_limits(site: Site) -> None:
    told = json.loads(json.dumps(page(site)))
    assert told["model"]["heads"] == [{"name": "bins", "kind": "linear", "scope": "bins"}]
    assert (told["model"]["precision"], told["limits"]) == ("fp32", {"viewBases": 2_000_000})
    assert [panel["uid"] for panel in told["panels"]] == ["cpg_methylation_imr90", "lmnb1_lad_liver"]
    [made] = told["panels"][0]["predicted"]
    assert made == {"head": "bins", "uid": "predicted-bins-cpg_methylation_imr90", "lower": None, "upper": None}
    assert [entry["uid"] for entry in told["annotations"]] == ["bed-cpg_islands"]


def test_every_head_of_a_folder_can_be_looked_at(project: Path, two_headed_folder: Path, tmp_path: Path) -> None:
    site = Site(project, two_headed_folder, Store(tmp_path))
    assert [made.head for made in site.panels[0].predicted] == ["bins", "window"]
    assert "predicted-window-lmnb1_lad_liver" in site.tilesets


def test_tracks_that_bound_another_are_its_band(project: Path, model_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(project.parent, tmp_path / "project"))
    text = (folder / "tracks.toml").read_text()
    bounded = """
[[track]]
name = "LMNB1 LAD liver, lower"
assay = "a"
biosample = "b"
unit = "covered fraction"
color = "#1b6ca8"
"""
    lines = 'lower = "LMNB1 LAD liver"\nupper = "LMNB1 LAD liver, lower"\n\n[[track]]\nname = "LMNB1'
    (folder / "tracks.toml").write_text(text.replace('\n[[track]]\nname = "LMNB1', lines) + bounded)
    site = Site(folder / "tracks.toml", model_folder, Store(tmp_path / "store"))
    [made] = site.panels[0].predicted
    assert made.lower is not None
    assert made.lower.uid == "predicted-bins-lmnb1_lad_liver"
    assert made.upper is None, "the model does not predict it"
    assert "lmnb1_lad_liver" not in [panel.track.slug for panel in site.panels]
    assert made.lower.uid in site.tilesets


def test_folds_are_those_the_model_was_trained_with(site: Site) -> None:
    assert [(block.fold, block.region) for block in site.blocks] == [
        ("train", Region("chr20", 0, 250_000)),
        ("test", Region("chr20", 250_000, 500_050)),
    ]


def opened(project: Path, model_folder: Path, tmp_path: Path) -> Site:
    return Site(project, model_folder, Store(tmp_path / "store"))


@pytest.fixture
def own_project(project: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    shutil.copytree(project.parent, folder)
    return folder / "tracks.toml"


def test_without_loci_the_held_out_blocks_are_offered(own_project: Path, model_folder: Path, tmp_path: Path) -> None:
    for name in ("loci.bed", "genes.tsv.gz", "cpg_islands.bed.gz"):
        own_project.with_name(name).unlink()
    site = opened(own_project, model_folder, tmp_path)
    assert [locus.region for locus in site.loci] == [Region("chr20", 250_000, 500_050)]
    assert site.annotations == ()
    assert site.locate("chr3").name == "chr3"
    assert view_config(site)["views"]


def test_a_scale_that_is_no_fraction_comes_from_the_file(own_project: Path, model_folder: Path, tmp_path: Path) -> None:
    own_project.write_text(own_project.read_text().replace("methylated fraction", "reads"))
    low, high = opened(own_project, model_folder, tmp_path).panels[0].scale
    assert low == 0
    assert 0.99 < high <= 1.0


def test_a_split_that_is_not_there_is_said(own_project: Path, model_folder: Path, tmp_path: Path) -> None:
    assert opened(own_project, model_folder, tmp_path).model.split, "it would do without"
    own_project.write_text(own_project.read_text().replace("split.bed", "no.bed"))
    with pytest.raises(UsageError, match=rf"tracks\.toml, split: there is no file {own_project.parent}/no\.bed"):
        opened(own_project, model_folder, tmp_path)


def test_bounds_that_nobody_has_are_said_with_the_nearest(
    own_project: Path, two_headed_folder: Path, tmp_path: Path
) -> None:
    text = own_project.read_text()
    banded = text.replace(
        '\n[[track]]\nname = "LMNB1', 'lower = "LMNB1 LAD liver"\nupper = "%s"\n\n[[track]]\nname = "LMNB1'
    )
    own_project.write_text(banded % "LMNB1 LAD livr")
    with pytest.raises(
        UsageError, match=r"track\.0: there is no track 'LMNB1 LAD livr'; did you mean 'LMNB1 LAD liver'"
    ):
        opened(own_project, two_headed_folder, tmp_path)
    # A head that is not shown may have it.
    path = two_headed_folder / "heads" / "window" / "head.json"
    head = json.loads(path.read_text())
    head["tracks"][0]["name"] = "upper end"
    folder = Path(shutil.copytree(two_headed_folder, tmp_path / "model"))
    (folder / "heads" / "window" / "head.json").write_text(json.dumps(head))
    own_project.write_text(banded % "upper end")
    assert Site(own_project, folder, Store(tmp_path / "store"), ["bins"]).panels[0].predicted[0].lower


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("loci.bed", "chr20\t1\t2\n", "loci.bed, line 1"),
        ("loci.bed", "chr20\t1\t900000\tname\tnote\n", "not in the genome"),
        ("cpg_islands.bed.gz", None, "cpg_islands"),
        ("observed.bw", "no bigWig", "observed.bw"),
        ("observed.bw", None, "observed.bw"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    own_project: Path, model_folder: Path, tmp_path: Path, name: str, text: str | None, said: str
) -> None:
    path = own_project.with_name(name)
    path.unlink()
    if text is not None:
        path.write_text(text)
    elif name.startswith("cpg"):
        path.write_bytes(b"\x1f\x8bbroken")
    with pytest.raises(TracksError, match=said):
        opened(own_project, model_folder, tmp_path)


def test_an_assembly_is_known_by_its_lengths() -> None:
    from server.site import _assembly

    assert _assembly({"chr20": 63_025_520}) == "hg19"
    assert _assembly({"chr1": 248_956_422, "chrM": 16_569}) == "hg38"
    assert _assembly({"chr20": 63_025_521}) is None


def test_a_site_shows_the_head_that_is_asked_for(project: Path, two_headed_folder: Path, tmp_path: Path) -> None:
    first = Site(project, two_headed_folder, Store(tmp_path), ["bins"])
    other = Site(project, two_headed_folder, Store(tmp_path), ["window"], stride=57_344)
    assert [spec.name for spec in first.model.heads] == ["bins"]
    assert [spec.name for spec in other.model.heads] == ["window"]
    assert [panel.track.name for panel in first.panels] == [panel.track.name for panel in other.panels]
    with pytest.raises(UsageError, match="has no head 'loops'"):
        Site(project, two_headed_folder, Store(tmp_path), ["loops"])
