"""The notebook's view and figure, on the same tilesets and store as the page."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from higlass._tileset_registry import TilesetRegistry
from matplotlib.colors import to_hex

import tracks
from model.metrics import pearson
from server.figure import observed, predicted
from server.notebook import opened
from tests.conftest import run_command
from tracks.errors import UsageError
from tracks.regions import Region

REGION = "chr20:20,001-200,000"


@pytest.fixture(scope="module")
def where(project: Path, model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {"project": project, "model": model_folder, "store": tmp_path_factory.mktemp("notebook")}


def test_the_view_draws_from_the_same_tilesets(where: dict[str, Path]) -> None:
    widget = tracks.view(REGION, **where)
    [shown] = widget._viewconf["views"]
    assert shown["initialXDomain"] == (20_000, 200_000)
    rows = {track["uid"]: track for track in shown["tracks"]["top"]}
    assert list(rows) == ["chromosomes", "genes", "bed-cpg_islands", "cpg_methylation_imr90", "lmnb1_lad_liver"]
    both = rows["cpg_methylation_imr90"]["contents"]
    assert [part["server"] for part in both] == ["jupyter", "jupyter"]
    site = opened(where["project"], where["model"], (), where["store"], "auto")
    made = site.panels[0].predicted[0].tileset
    assert TilesetRegistry.get(both[1]["tilesetUid"]) is made
    # What the widget's channel does: ask, and ask again when it is told that windows have come.
    sent: list[object] = []
    widget.send = sent.append
    tile_id = f"{both[1]['tilesetUid']}.{site.axis.max_zoom}.0"
    [(_, first)] = TilesetRegistry.get(both[1]["tilesetUid"]).tiles([tile_id])
    assert "dense" in first
    end = time.monotonic() + 60
    while not sent and time.monotonic() < end:
        time.sleep(0.1)
    assert sent, "the view was never drawn anew"
    assert site.predictions.wait(60)
    [(_, last)] = TilesetRegistry.get(both[1]["tilesetUid"]).tiles([tile_id])
    assert isinstance(last, dict)
    assert last["waiting"] is False


def test_the_figure_shows_what_is_stored(where: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "made" / "figure.svg"
    figure = tracks.plot(REGION, out=out, **where)
    assert out.read_text().startswith("<?xml")
    site = opened(where["project"], where["model"], (), where["store"], "auto")
    region = Region("chr20", 20_000, 200_000)
    seen, made = observed(site.panels[0], region), predicted(site.panels[0], region)
    assert seen is not None
    assert made is not None
    assert np.isfinite(made).all()
    titles = [axes.get_title(loc="right") for axes in figure.axes]
    both = np.isfinite(seen) & np.isfinite(made)
    expected = np.corrcoef(seen[both].astype(float), made[both].astype(float))[0, 1]
    assert titles[-2] == f"r = {expected:.2f} ({both.sum():,} bins of 128 bp)"
    assert titles[-1] == "", "nothing was observed there"
    assert pearson(made[both], seen[both], np.zeros(both.sum(), int))(np.ones((1, 1)))[0] == pytest.approx(expected)
    colors = {to_hex(patch.get_edgecolor()) for axes in figure.axes[-2:] for patch in axes.patches}
    assert {"#d95f02", "#1b6ca8"} <= colors
    assert "training data" in figure.get_suptitle()


def test_a_gene_and_one_track_can_be_named(where: dict[str, Path]) -> None:
    figure = tracks.plot("BETA", tracks=["LMNB1 LAD liver"], **where)
    assert figure.axes[-1].get_title(loc="left") == "LMNB1 LAD liver"
    assert len(figure.axes) == 3
    with pytest.raises(UsageError, match="did you mean"):
        tracks.plot("BETTA", **where)
    with pytest.raises(UsageError, match="there is no track"):
        tracks.view("BETA", tracks=["nothing"], **where)


@pytest.mark.parametrize("width", [-3, 0, 1.9, 41, float("nan"), float("inf")])
def test_a_width_that_no_figure_has(where: dict[str, Path], width: float) -> None:
    with pytest.raises(UsageError, match=rf"2 to 40 inches wide, not {width}"):
        tracks.plot(REGION, width=width, **where)


def test_the_command_writes_a_figure_and_names_what_is_wrong(where: dict[str, Path], tmp_path: Path) -> None:
    options = ["--project", where["project"], "--model", where["model"], "--store", where["store"]]
    out = tmp_path / "figure.png"
    done = run_command("plot", "--region", REGION, "-o", out, *options)
    assert done.returncode == 0, done.stderr
    assert out.read_bytes().startswith(b"\x89PNG")
    for words, said in (
        (["--region", REGION, "-o", out], "exists already"),
        (["--region", "chr9", "-o", tmp_path / "x.png"], "no gene or chromosome"),
        (["--region", REGION, "-o", tmp_path / "x.gif"], "a .pdf, a .svg or a .png file"),
    ):
        done = run_command("plot", *words, *options)
        assert done.returncode == 2
        assert said in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
