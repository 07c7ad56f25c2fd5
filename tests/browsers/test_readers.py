"""Programs that read bigWigs, over HTTP: what each has computed of a whole genome's predictions, and what it reads."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyBigWig
import pytest

from tests.browsers.conftest import HERE
from tests.browsers.toy import SIZES, ToyServer, ToyValues, expected
from tracks.virtual import SLOT, TIGHT, lay_out, materialize
from tracks.virtual.values import Totals

PIXELS = 1000
VIEW = ("chr1", 100_000_000, 100_100_000)
ACROSS = ("chr7", 114_688 * 30 - 7_001, 114_688 * 30 + 25_003)
"""From one window to the next, which begins with missing bins; neither end is that of a bin."""
ENDS = ("chrM", 10_000, 16_569)
WHOLE = ("chr1", 0, SIZES["chr1"])
PLACES = [VIEW, ACROSS, ENDS]

# What UCSC's library read over HTTP it keeps, by address and across processes.
_KEPT = Path("/tmp/udcCache/http")


@pytest.fixture(autouse=True)
def nothing_kept(toy: ToyServer) -> Iterator[None]:
    place = urlsplit(toy.address)
    folder = _KEPT / f"{place.hostname}Q{ord(':'):X}{place.port}"
    shutil.rmtree(folder, ignore_errors=True)
    yield
    shutil.rmtree(folder, ignore_errors=True)


class InPython:
    """pybigtools, or pybbi, which is UCSC's library."""

    def __init__(self, name: str) -> None:
        self.name = name

    def header(self, url: str) -> dict[str, int]:
        return self._run(url)

    def bases(self, url: str, chrom: str, start: int, end: int) -> np.ndarray:
        return np.array(self._run(url, chrom, start, end), np.float32)

    def view(self, url: str, chrom: str, start: int, end: int) -> np.ndarray:
        return np.array(self._run(url, chrom, start, end, PIXELS), float)

    def _run(self, url: str, *words: object) -> Any:
        # pybigtools takes for a bigWig what ends like one.
        address = f"{url}&.bw" if "?" in url else url
        command = [sys.executable, HERE / "read.py", self.name, address, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


class InNode:
    """@gmod/bbi, which JBrowse reads with; ``bbi-6`` is an older release."""

    def __init__(self, name: str, node: Callable[..., Any]) -> None:
        self.name, self._node = name, node

    def header(self, url: str) -> dict[str, int]:
        return {chrom["name"]: chrom["length"] for chrom in self._node(self.name, url)["chroms"]}

    def bases(self, url: str, chrom: str, start: int, end: int) -> np.ndarray:
        values = np.full(end - start, np.nan, np.float32)
        for first, last, score in self._node(self.name, url, chrom, start, end):
            values[max(first - start, 0) : max(last - start, 0)] = score
        return values

    def view(self, url: str, chrom: str, start: int, end: int) -> np.ndarray:
        found = self._node(self.name, url, chrom, start, end, (end - start) / PIXELS)
        return np.array([score for *_, score in found], float)


Reader = InPython | InNode


@pytest.fixture(params=["pybigtools", "pybbi", "bbi", "bbi-6"])
def reader(request: pytest.FixtureRequest) -> Reader:
    name = request.param
    return InPython(name) if name.startswith("py") else InNode(name, request.getfixturevalue("node"))


def test_opening_a_file_computes_nothing(toy: ToyServer, reader: Reader) -> None:
    assert reader.header(toy.url()) == SIZES
    assert toy.requests
    assert toy.computed == []


@pytest.mark.parametrize("slot", [SLOT, TIGHT])
def test_a_view_of_100_kb_computes_what_it_shows(toy: ToyServer, reader: Reader, slot: int) -> None:
    values = reader.view(toy.url(slot), *VIEW)
    assert np.isfinite(values).all()
    windows = {("chr1", 871), ("chr1", 872)}
    assert windows <= set(toy.computed)
    assert len(toy.computed) <= (4 if slot == SLOT else 7), toy.requests


def test_a_whole_chromosome_computes_nothing_and_shows_what_is_known(toy: ToyServer, reader: Reader) -> None:
    assert not np.isfinite(reader.view(toy.url(), *WHOLE)).any()
    assert toy.computed == []


@pytest.mark.parametrize("place", PLACES)
def test_each_base_is_the_value_predicted(toy: ToyServer, reader: Reader, place: tuple[str, int, int]) -> None:
    np.testing.assert_array_equal(reader.bases(toy.url(), *place), expected(*place))


def test_what_is_known_shows_in_a_view_of_the_chromosome(toy: ToyServer, reader: Reader) -> None:
    for index in range(1000, 1100):
        toy.file.log.compute(("chr1", index))
    values = reader.view(toy.url(), *WHOLE)
    known = values[np.isfinite(values)]
    assert 3 <= len(known) < 100
    assert known.min() >= 0.2
    assert known.max() <= 0.8
    assert len(toy.computed) == 100


@pytest.mark.parametrize("slot", [SLOT, TIGHT])
def test_a_file_on_disk_says_the_same(tmp_path: Path, slot: int) -> None:
    sizes = {chrom: SIZES[chrom] for chrom in ("chr21", "chrM")}
    materialize(tmp_path / "toy.bw", lay_out(sizes, Totals(1, 0, 1, 0, 0), slot), ToyValues(sizes))
    with pyBigWig.open(str(tmp_path / "toy.bw")) as file:
        for chrom, start, end in [("chr21", 114_688 * 30 - 7_001, 46_709_983), ENDS]:
            np.testing.assert_array_equal(
                file.values(chrom, start, end, numpy=True), expected(chrom, start, end), strict=True
            )
