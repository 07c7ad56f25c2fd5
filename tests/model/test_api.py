"""``tracks.predict``, ``tracks.observe`` and ``tracks.region_table``: what notebooks call."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import model.api
import tracks
from model.folder import load_model
from model.predict import Predictor
from tests.conftest import CHROM_SIZES
from tracks.genome import Genome
from tracks.grid import BIN, BINS, WINDOW, bin_count
from tracks.regions import NamedRegion, Region
from tracks.table import COLUMNS

METHYLATION, LAD = "CpG methylation IMR90", "LMNB1 LAD liver"


@pytest.fixture
def where(fasta: Path, shared_store: Path) -> dict[str, object]:
    return {"genome": fasta, "store": shared_store, "device": "cpu"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chr20:100,001-120,000", Region("chr20", 99_968, 120_064)),
        ("chr20:114,688-114,689", Region("chr20", 114_560, 114_816)),
        ("chr20:499,000", Region("chr20", 498_944, 500_050)),
        ("chr3", Region("chr3", 0, 200_000)),
    ],
)
def test_a_region_is_predicted_in_whole_bins(
    model_folder: Path, fasta: Path, where: dict[str, object], text: str, expected: Region
) -> None:
    data = tracks.predict(text, model_folder, **where)
    assert data.region == expected
    assert [track.name for track in data.tracks] == [METHYLATION, LAD]
    assert data.chrom_sizes == CHROM_SIZES
    predictor = Predictor(load_model(model_folder), Genome(fasta), "cpu")
    first, last = expected.start // BIN, -(-expected.end // BIN)
    windows = range(first // BINS, -(-last // BINS))
    values = np.concatenate([predictor.window(expected.chrom, index) for index in windows])
    np.testing.assert_array_equal(data.values, values[first - windows.start * BINS : last - windows.start * BINS])
    assert last <= bin_count(CHROM_SIZES[expected.chrom])
    again = tracks.predict(Region(expected.chrom, expected.start, expected.end), str(model_folder), **where)
    assert again.values.tobytes() == data.values.tobytes()


def test_the_model_is_loaded_once_and_again_when_it_changed(
    model_folder: Path, where: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[Path] = []

    def counted(folder: Path, *rest: object) -> object:
        loads.append(folder)
        return load_model(folder, *rest)

    monkeypatch.setattr("model.folder.load_model", counted)
    folder = Path(shutil.copytree(model_folder, tmp_path / "model"))
    for _ in range(3):
        tracks.predict("chr3:1-500", folder, **where)
        tracks.predict("chr3:1-500", str(folder), tracks=LAD, **where)
    assert loads == [folder]
    weights = folder / "heads" / "bins" / "weights.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    weights.write_bytes(content)
    tracks.predict("chr3:1-500", folder, **where)
    assert loads == [folder, folder]


def test_a_loaded_model_and_genome_can_be_given(model_folder: Path, fasta: Path, where: dict[str, object]) -> None:
    loaded, genome = load_model(model_folder), Genome(fasta)
    data = tracks.predict("chr3:1-500", loaded, **{**where, "genome": genome})
    np.testing.assert_array_equal(data.values, tracks.predict("chr3:1-500", model_folder, **where).values)


def test_known_windows_are_not_computed_again(
    model_folder: Path, where: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    first = tracks.predict("chr20:1-200,000", model_folder, progress=lambda *at: seen.append(at), **where)
    assert seen[-1] == (2, 2)

    def failing(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(Predictor, "inputs_of", lambda self, chrom, indices, heads: failing() if indices else [])
    again = tracks.predict("chr20:1-200,000", model_folder, **where)
    assert again.values.tobytes() == first.values.tobytes()


def test_a_head_and_some_tracks_can_be_chosen(two_headed_folder: Path, where: dict[str, object]) -> None:
    window = tracks.predict("chr3:1-500", two_headed_folder, head="window", tracks=[LAD], **where)
    assert [track.name for track in window.tracks] == [LAD]
    both = load_model(two_headed_folder, ("bins", "window"))
    chosen = tracks.predict("chr3:1-500", both, head="window", **where)
    assert [track.name for track in chosen.tracks] == [f"{METHYLATION} (window)", f"{LAD} (window)"]
    np.testing.assert_array_equal(chosen.values[:, 1], window.values[:, 0])
    assert len(tracks.predict("chr3:1-500", both, **where).tracks) == 4
    with pytest.raises(tracks.UsageError, match="has no head 'other' here; it has bins, window"):
        tracks.predict("chr3:1-500", both, head="other", **where)


@pytest.mark.parametrize(
    ("region", "options", "fault"),
    [
        ("chr9:1-5", {}, "has no chromosome 'chr9'"),
        (Region("chr9", 0, 5), {}, "has no chromosome 'chr9'"),
        (Region("chr3", 0, 200_001), {}, "reaches past the end of chr3, which has 200,000 bases"),
        (("chr3", 0, 5), {}, r"a region is text such as .*, and not \('chr3', 0, 5\)"),
        ("chr3:1-5", {"tracks": "CpG"}, "there is no track 'CpG'"),
        ("chr3:1-5", {"model": "/nowhere/model"}, "/nowhere/model is not a model folder"),
        ("chr3:1-5", {"genome": "/nowhere/a.fa"}, "there is no FASTA file /nowhere/a.fa"),
    ],
)
def test_what_is_not_there_is_said(
    model_folder: Path, where: dict[str, object], region: Any, options: dict[str, object], fault: str
) -> None:
    with pytest.raises(tracks.UsageError, match=fault):
        tracks.predict(region, **{"model": model_folder, **where, **options})


def test_threads_take_turns(model_folder: Path, where: dict[str, object], tmp_path: Path) -> None:
    expected = tracks.predict("chr20", model_folder, **where).values
    found: list[np.ndarray] = []

    def work() -> None:
        found.append(tracks.predict("chr20", model_folder, **{**where, "store": tmp_path}).values)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    for values in found:
        np.testing.assert_array_equal(values, expected)


def test_the_embedded_data_is_the_default() -> None:
    """Without a model: what was measured, by the project file that ships."""
    seen = tracks.observe("chr22:46,640,001-46,740,000")
    assert [track.name for track in seen.tracks] == [METHYLATION, "LMNB1 LAD Tig-3"]
    assert seen.region == Region("chr22", 46_640_000, 46_740_096)
    from tracks.bigwig import read_bins
    from tracks.genome import demo_project

    path = demo_project().parent / "observed" / "cpg_methylation_imr90.bw"
    np.testing.assert_array_equal(seen.values[:, 0], read_bins(path, seen.region))
    assert 0.3 < np.isfinite(seen.values[:, 0]).mean() < 1
    one = tracks.observe(seen.region, tracks="cpg_methylation_imr90")
    np.testing.assert_array_equal(one.values[:, 0], seen.values[:, 0])


def test_a_project_without_observed_tracks(fasta: Path, tmp_path: Path) -> None:
    path = tmp_path / "tracks.toml"
    entry = '[[track]]\nname = "a"\nassay = "b"\nbiosample = "c"\nunit = "d"\ncolor = "#000000"\n'
    path.write_text(f'name = "x"\ngenome = "{fasta}"\n{entry}')
    with pytest.raises(tracks.UsageError, match=r"tracks\.toml has no observed track"):
        tracks.observe("chr3:1-500", path)


def test_a_table_of_regions_as_a_dataframe(model_folder: Path, where: dict[str, object], tmp_path: Path) -> None:
    bed = tmp_path / "a.bed"
    bed.write_text(f"chr20\t64\t{WINDOW + 64}\tgene\t0\t-\n")
    regions = ["chr3:1-128", Region("chr3", 128, 256), NamedRegion(Region("chr3", 256, 384), "third")]
    table = tracks.region_table(bed, model_folder, regions=regions, tracks=METHYLATION, **where)
    assert list(table.columns) == list(COLUMNS)
    assert table["name"].tolist() == ["", "", "third", "gene"]
    assert table["strand"].tolist() == ["", "", "", "-"]
    assert table["start"].tolist() == [0, 128, 256, 64]
    assert isinstance(table, pd.DataFrame)
    assert table["predicted_mean"].dtype == np.float32
    data = tracks.predict("chr3:1-384", model_folder, tracks=METHYLATION, **where)
    assert table["predicted_mean"].tolist()[:3] == data.values[:, 0].tolist()
    assert table["observed_coverage"].isna().all()
    alone = tracks.region_table(model=model_folder, regions="chr3:1-128", tracks=METHYLATION, **where)
    assert alone["predicted_mean"].tolist() == table["predicted_mean"].tolist()[:1]
    with pytest.raises(tracks.UsageError, match="there are no regions; give a BED file, or regions="):
        tracks.region_table(model=model_folder, **where)


def test_importing_tracks_imports_no_torch() -> None:
    words = "import sys, tracks; assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules; tracks.predict"
    words += "; tracks.observe('chr22:46,640,001-46,640,128'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", words], check=True, timeout=120)
    assert tracks.predict is model.api.predict
