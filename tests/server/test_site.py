from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from server.site import Site
from server.viewconf import OBSERVED_COLOR, view_config
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


def test_the_view_overlays_observed_and_predicted_on_one_axis(site: Site) -> None:
    config = json.loads(json.dumps(view_config(site)))
    [view] = config["views"]
    assert view["initialXDomain"] == [280_000, 420_000]
    tracks = {track["uid"]: track for track in view["tracks"]["top"]}
    assert list(tracks) == ["chromosomes", "genes", "cpg-islands", "cpg_methylation_imr90", "lmnb1_lad_liver"]
    both = tracks["cpg_methylation_imr90"]["contents"]
    assert [child["data"]["tilesetUid"] for child in both] == [
        "observed-cpg_methylation_imr90",
        "predicted-cpg_methylation_imr90",
    ]
    assert [child["options"]["color"] for child in both] == [OBSERVED_COLOR, "#d95f02"]
    for child in both:
        assert child["data"]["type"] == "tracks-prediction"
        assert (child["options"]["valueScaleMin"], child["options"]["valueScaleMax"]) == (0, 1)
        assert child["uid"] == child["data"]["tilesetUid"], "the page knows a drawn track by its uid"
    [alone] = tracks["lmnb1_lad_liver"]["contents"]
    assert alone["options"]["label"] == "predicted"
    uids = {child["data"]["tilesetUid"] for track in tracks.values() for child in track.get("contents", [])}
    assert uids <= set(site.tilesets)


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
    assert site.islands is None
    assert site.locate("chr3").name == "chr3"
    assert view_config(site)["views"]


def test_a_scale_that_is_no_fraction_comes_from_the_file(own_project: Path, model_folder: Path, tmp_path: Path) -> None:
    own_project.write_text(own_project.read_text().replace("methylated fraction", "reads"))
    low, high = opened(own_project, model_folder, tmp_path).panels[0].scale
    assert low == 0
    assert 0.99 < high <= 1.0


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
    first = Site(project, two_headed_folder, Store(tmp_path))
    other = Site(project, two_headed_folder, Store(tmp_path), head="window", stride=57_344)
    assert [spec.name for spec in first.model.heads] == ["bins"]
    assert [spec.name for spec in other.model.heads] == ["window"]
    assert [panel.track.name for panel in first.panels] == [panel.track.name for panel in other.panels]
    with pytest.raises(UsageError, match="has no head 'loops'"):
        Site(project, two_headed_folder, Store(tmp_path), head="loops")
