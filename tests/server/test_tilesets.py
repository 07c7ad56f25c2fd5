"""What every tileset of a site does, whatever it shows."""

from __future__ import annotations

import higlass
import pytest

from server.site import Site
from server.tilesets import ObservedTileset


@pytest.fixture
def tileset(site: Site) -> ObservedTileset:
    found = site.panels[0].observed
    assert found is not None
    return found


def test_a_bad_id_spoils_its_own_tile_alone(tileset: ObservedTileset) -> None:
    answers = dict(tileset.tiles([f"{tileset.uid}.0.0", f"{tileset.uid}.77.0"]))
    assert "dense" in answers[f"{tileset.uid}.0.0"]
    assert "error" in answers[f"{tileset.uid}.77.0"]


def test_chromosome_sizes_have_no_tiles(site: Site) -> None:
    [(_, answer)] = site.chrom_sizes.tiles(["chromosomes.0.0"])
    assert answer == {"error": "chromosome sizes have no tiles; ask for tileset_info"}
    assert site.chrom_sizes.info()["datatype"] == "chromsizes"


def test_a_tileset_makes_a_notebook_track(site: Site, tileset: ObservedTileset) -> None:
    for each in site.tilesets.values():
        assert isinstance(each, higlass.Tileset)
        assert each.info()["max_pos"] == [site.axis.length]
    track = tileset.track("horizontal-bar")
    assert track.server == "jupyter"
    assert track.tilesetUid
