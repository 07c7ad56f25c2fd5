"""The hub of a running server, read by the library that JBrowse reads hubs with."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.viewer.serving import serving


def test_a_live_hub_is_read_and_all_its_files_open(tmp_path: Path, node: Callable[..., Any]) -> None:
    with serving(tmp_path / "store", "--head", "bins") as server:
        read = node("hub", f"{server.address}hub/hub.txt")
        assert read["genome"]["genome"] == "hg19"
        tracks = read["tracks"]
        for name, track in tracks.items():
            assert {"track", "shortLabel", "longLabel", "type"} <= track.keys() | {"parent"}, name
            assert track.get("parent", name).split()[0] in tracks
        overlay = tracks["cpg_methylation_imr90"]
        assert overlay["container"] == "multiWig"
        children = [name for name, track in tracks.items() if track.get("parent", "").startswith(overlay["track"])]
        assert children == ["cpg_methylation_imr90_observed", "cpg_methylation_imr90_predicted"]
        urls = {name: track["bigDataUrl"] for name, track in tracks.items() if "bigDataUrl" in track}
        signals = [name for name, track in tracks.items() if name in urls and track["type"].startswith("bigWig")]
        assert len(signals) == 8  # two observed, four predicted, two differences
        for name in signals:
            header = node("bbi", urls[name])
            assert {chrom["name"] for chrom in header["chroms"]} >= {"chr22"}, name
        for name in urls.keys() - set(signals):
            with urllib.request.urlopen(urls[name], timeout=60) as answer:
                assert answer.read(4) == bytes.fromhex("ebf28987"), name  # a bigBed's first bytes
        with urllib.request.urlopen(f"{server.address}api/status", timeout=60) as answer:
            assert json.load(answer)["known"] == 0, "reading a hub predicts nothing"
