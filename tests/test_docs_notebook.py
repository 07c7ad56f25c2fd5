"""The example notebook: stripped of outputs as it is kept, and run from the first cell to the last."""

from __future__ import annotations

import copy
import os
import re
import warnings
from pathlib import Path
from typing import Any

import nbformat
import pyBigWig
import pytest

NOTEBOOK = Path(__file__).parent.parent / "docs/notebooks/predict-and-plot.ipynb"


@pytest.fixture(scope="module")
def kept() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_is_kept_without_outputs(kept: Any) -> None:
    nbformat.validate(kept)
    for cell in kept.cells:
        assert cell.cell_type in ("markdown", "code")
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)
    assert kept.metadata.kernelspec.name == "python3"
    assert "http" not in NOTEBOOK.read_text(), "it needs no network"


def test_it_runs(kept: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a minute, with a store of its own; what the cells show is looked at."""
    monkeypatch.setenv("TRACKS_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    root = str(NOTEBOOK.parent.parent.parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])))
    with warnings.catch_warnings():
        # What its libraries (zmq, tornado, traitlets) warn of is not ours to mend.
        warnings.simplefilter("ignore")
        from nbclient import NotebookClient

        ran = copy.deepcopy(kept)
        client = NotebookClient(ran, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}})
        client.execute()
    shown = {cell.source: cell.outputs for cell in ran.cells if cell.cell_type == "code"}
    assert not [output for outputs in shown.values() for output in outputs if output.output_type == "stream"], (
        "a warning, or worse"
    )

    def text(part: str) -> str:
        [outputs] = [outputs for source, outputs in shown.items() if part in source]
        return str(outputs[-1].data["text/plain"])

    assert "(782, 4)" in text("tracks.predict(region)")
    [figure] = [outputs for source, outputs in shown.items() if ".plot(" in source]
    assert len(figure[-1].data["image/png"]) > 10_000
    found = re.search(r"r = (0\.\d\d) over (\d+) bins", text(".corr("))
    assert found is not None
    assert float(found[1]) > 0.3
    assert int(found[2]) > 300
    assert "PKDREJ" in text("region_table")
    assert "lmnb1_lad_tig_3.bw" in text("to_bigwig")
    with pyBigWig.open(str(tmp_path / "predicted" / "cpg_methylation_imr90.bw")) as handle:
        assert handle.chroms()["chr22"] == 51_304_566
        assert 0 < handle.stats("chr22", 46_640_000, 46_740_000)[0] < 1
