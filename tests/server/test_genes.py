from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.axis import Axis
from server.genes import Gene, GeneTileset, IntervalTileset, read_genes, read_intervals
from server.site import Site
from tracks.errors import TracksError, UsageError
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


@given(st.lists(st.tuples(st.sampled_from(["chr1", "chr2"]), st.integers(0, 299_000), st.integers(1, 1000))), st.data())
def test_a_tile_lists_what_touches_it_the_longest_first(drawn: list[tuple[str, int, int]], data: st.DataObject) -> None:
    axis = Axis({"chr1": 300_000, "chr2": 300_000})
    regions = [Region(chrom, start, start + length) for chrom, start, length in drawn]
    tileset = IntervalTileset("i", "i", axis, "none", regions)
    zoom = data.draw(st.integers(0, axis.max_zoom))
    tile = axis.tile(f"i.{zoom}.{data.draw(st.integers(0, 2**zoom - 1))}")
    placed = [(region.start + 300_000 * (region.chrom == "chr2"), len(region)) for region in regions]
    expected = sorted((-length, at) for at, length in placed if at < tile.end and at + length > tile.start)[:100]
    found = tileset.tile(tile)
    assert isinstance(found, list)
    assert [(entry["xStart"] - entry["xEnd"], entry["xStart"]) for entry in found] == expected
    for entry in found:
        chrom, start, end = entry["fields"]
        assert entry["xStart"] - entry["chrOffset"] == int(start)
        assert entry["xEnd"] - entry["chrOffset"] == int(end)
        assert entry["chrOffset"] == axis.offsets[chrom]
    assert len({entry["uid"] for entry in found}) == len(found)


def test_intervals_keep_their_names_and_are_found_under_the_genomes_names(tmp_path: Path) -> None:
    path = tmp_path / "lads.bed.gz"
    text = "#a\ntrack name=x\nbrowser y\n\n2\t5\t10\tfirst one\t0\n1 7 9\n1\t20\t22\t.\nGL000220.1\t1\t2\n"
    path.write_bytes(gzip.compress(text.encode()))
    axis = Axis({"chr1": 1000, "chr2": 500})
    tileset = read_intervals(path, "bed-lads", "LADs", axis, "none")
    assert (tileset.uid, tileset.name, tileset.info()["datatype"]) == ("bed-lads", "LADs", "bedlike")
    tile = tileset.tile(axis.tile("bed-lads.0.0"))
    assert isinstance(tile, list)
    assert [entry["fields"] for entry in tile] == [
        ["chr2", "5", "10", "first one"], ["chr1", "7", "9"], ["chr1", "20", "22"]
    ]  # fmt: skip
    assert [entry.get("name") for entry in tile] == ["first one", None, None]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("chr1\t1\n", "line 1: .*found 2 columns"),
        ("chr1\t1\t2\nchr1\t1\tx\n", "line 2: .*found '1' and 'x'"),
        ("chr1\t3\t3\n", "line 1: .*empty"),
        ("chr1\t-1\t3\n", "line 1: .*out of bounds"),
        ("chr1\t1\t1001\n", "line 1: 1,001 is past the end of chr1"),
        ("chrZ\t1\t2\n", "no chromosome of it is in the genome"),
        ("# no line\n", "holds no regions"),
    ],
)
def test_a_bad_bed_file_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "some.bed"
    path.write_text(text)
    with pytest.raises(TracksError, match=said) as caught:
        read_intervals(path, "i", "i", Axis({"chr1": 1000}), "none")
    assert str(path) in str(caught.value)
    with pytest.raises(UsageError, match="there is no BED file"):
        read_intervals(tmp_path / "none.bed", "i", "i", Axis({"chr1": 1000}), "none")


def test_genes_of_other_chromosomes_change_nothing() -> None:
    genes = [Gene(name, Region(chrom, 10, 20), "+", "10", "20") for name, chrom in (("A", "chrY"), ("B", "chr1"))]
    tileset = GeneTileset("g", "g", Axis({"chr1": 1000}), "none", genes)
    [entry] = tileset.tile(tileset.axis.tile("g.0.0"))
    assert isinstance(entry, dict)
    assert entry["fields"][3] == "B"
    assert tileset.suggest("a") == []


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
        (HEADER + "X\tchr1\t+\t10\t20\t5\t20\n", "line 2.*exons leave its span"),
        (HEADER + "X\tchr1\t+\t10\t2000\t10\t20\n", "line 2.*past the end of chr1"),
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
