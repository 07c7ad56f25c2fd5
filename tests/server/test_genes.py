from __future__ import annotations

from pathlib import Path

import pytest

from server.axis import Axis
from server.genes import GeneTileset, IntervalTileset, read_genes
from server.site import Site
from tracks.errors import TracksError
from tracks.regions import Region

HEADER = "name\tchrom\tstrand\ttx_start\ttx_end\texon_starts\texon_ends\n"


def test_genes_are_the_14_columns_higlass_draws(site: Site) -> None:
    [(_, tile)] = site.genes.tiles(["genes.0.0"])
    assert isinstance(tile, list)
    names = [entry["fields"][3] for entry in tile]
    assert names == ["ALPHA1", "ALPHA2", "BETA"], "the longest first, and none of chromosomes that are not there"
    beta = tile[2]
    assert (beta["xStart"], beta["xEnd"], beta["chrOffset"]) == (501_050, 504_050, 500_050)
    assert len(beta["fields"]) == 14
    assert beta["fields"][:6] == ["chr3", "1000", "4000", "BETA", "0", "+"]
    assert beta["fields"][12:] == ["1000,3000", "1500,4000"]


def test_tiles_hold_what_touches_them(site: Site) -> None:
    width = site.axis.max_width >> site.axis.max_zoom
    [(_, tile)] = site.genes.tiles([f"genes.{site.axis.max_zoom}.{501_050 // width}"])
    assert isinstance(tile, list)
    assert [entry["fields"][3] for entry in tile] == ["BETA"]


def test_what_a_tile_lists_does_not_vanish_on_zooming_in() -> None:
    axis = Axis({"chr1": 4_000_000})
    regions = [Region("chr1", 1000 * index, 1000 * index + 50 + 7 * index % 900) for index in range(3000)]
    tileset = IntervalTileset("i", "i", axis, "none", regions)
    for zoom in range(axis.max_zoom):
        for position in range(-(-axis.length // (axis.max_width >> zoom))):
            parent = tileset.tile(axis.tile(f"i.{zoom}.{position}"))
            children = [axis.tile(f"i.{zoom + 1}.{2 * position + half}") for half in (0, 1)]
            for entry in parent:
                for child in children:
                    if isinstance(entry, dict) and entry["xStart"] < child.end and entry["xEnd"] > child.start:
                        assert entry in tileset.tile(child)
            assert len(parent) <= 100


def test_suggestions_begin_with_the_text_before_they_hold_it(site: Site) -> None:
    assert [gene.name for gene in site.genes.suggest("alp")] == ["ALPHA1", "ALPHA2"]
    assert [gene.name for gene in site.genes.suggest("a", 2)] == ["ALPHA1", "ALPHA2"]
    assert [gene.name for gene in site.genes.suggest("ETA")] == ["BETA"]
    assert site.genes.suggest("%' OR 1=1") == []
    assert site.genes.suggest("  ") == []


def test_a_gene_is_found_in_any_case_and_guessed_when_misspelt(site: Site) -> None:
    gene = site.genes.find(" beta ")
    assert gene is not None
    assert gene.region == Region("chr3", 1000, 4000)
    assert gene.exons == ((1000, 1500), (3000, 4000))
    assert site.genes.find("gamma") is None
    nearest = site.genes.nearest("BETTA")
    assert nearest is not None
    assert nearest.name == "BETA"
    assert site.genes.nearest("zzzz") is None


def test_of_genes_with_one_name_the_longest_is_found(tmp_path: Path) -> None:
    path, sizes = tmp_path / "genes.tsv", {"chr1": 10_000}
    path.write_text(f"{HEADER}TWO\tchr1\t+\t10\t20\t10\t20\nTWO\tchr1\t+\t500\t900\t500\t900\n")
    found = GeneTileset("g", "g", Axis(sizes), "none", read_genes(path, sizes)).find("two")
    assert found is not None
    assert found.region.start == 500


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\tb\n", "first line"),
        (HEADER + "X\tchr1\t+\tten\t20\t1\t2\n", "line 2"),
        (HEADER + "X\tchr1\t+\t20\t10\t1\t2\n", "line 2"),
        (HEADER + "X\tchr1\t+\t10\t20\t1,2\t2\n", "line 2"),
        (HEADER + "X\tchr1\n", "line 2"),
    ],
)
def test_a_bad_gene_table_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "genes.tsv"
    path.write_text(text)
    with pytest.raises(TracksError, match=f"genes.tsv.*{said}"):
        read_genes(path, {"chr1": 1000})


def test_a_gene_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TracksError, match=r"none\.tsv\.gz"):
        read_genes(tmp_path / "none.tsv.gz", {"chr1": 1000})
