"""Zoom levels that are kept: the same records, and a place that names all they depend on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.tracks.virtual.toy import SIZES, Toy
from tracks.errors import TracksError
from tracks.method import REFERENCE, Method
from tracks.virtual import VirtualBigWig, lay_out
from tracks.virtual.layout import LEVELS, ZOOM
from tracks.virtual.overview import (
    Overview,
    file_digest,
    layout_digest,
    overview_bytes,
    overview_path,
    write_overview,
)
from tracks.virtual.stored import stored_totals

SEQUENCES = {chrom: f"SQ.{chrom}" for chrom in SIZES}


def test_records_are_kept_as_a_bigwig_says_them(tmp_path: Path) -> None:
    toy, path = Toy(), tmp_path / "deep" / "track.zooms"
    write_overview(path, SIZES, toy)
    assert path.stat().st_size == overview_bytes(SIZES)
    kept = Overview(path, SIZES)
    for chrom, length in SIZES.items():
        for level in range(LEVELS):
            over = range(-(-length // (ZOOM * 4**level)))
            found, expected = kept.records(chrom, level, over), toy.records(chrom, level, over)
            np.testing.assert_array_equal(found[0], expected[0])
            there = expected[0] > 0
            np.testing.assert_array_equal(found[1:, there], expected[1:, there].astype(np.float32))
            part = over[len(over) // 3 : len(over) // 2 + 1]
            np.testing.assert_array_equal(kept.records(chrom, level, part), found[:, part.start : part.stop])
    totals, exact = kept.totals, stored_totals(toy, SIZES)
    assert (totals.bases, totals.least, totals.most) == (exact.bases, exact.least, exact.most)
    assert totals.sum == pytest.approx(exact.sum, rel=1e-6)


class OverviewOf:
    """A toy's windows with kept records."""

    def __init__(self, toy: Toy, overview: Overview) -> None:
        self.window, self.records = toy.window, overview.records


def test_zooms_from_an_overview_are_the_same_bytes(tmp_path: Path) -> None:
    toy, path = Toy(), tmp_path / "track.zooms"
    write_overview(path, SIZES, toy)
    layout = lay_out(SIZES, stored_totals(toy, SIZES))
    kept = VirtualBigWig(layout, OverviewOf(toy, Overview(path, SIZES)))
    live = VirtualBigWig(layout, toy)
    assert kept.read(0, layout.sections_at) == live.read(0, layout.sections_at)


def test_a_file_of_another_size_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "track.zooms"
    write_overview(path, SIZES, Toy())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TracksError, match=r"damaged.*--overview"):
        Overview(path, SIZES)
    with pytest.raises(TracksError, match="--overview"):
        Overview(tmp_path / "none.zooms", SIZES)


def test_a_file_that_is_shortened_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "track.zooms"
    write_overview(path, SIZES, Toy())
    kept = Overview(path, SIZES)
    path.write_bytes(b"")
    with pytest.raises(TracksError, match="--overview"):
        kept.records("chr1", 0, range(5))


def test_nothing_unfinished_has_the_name(tmp_path: Path) -> None:
    class Broken(Toy):
        def records(self, chrom: str, level: int, over: range) -> np.ndarray:
            if level == 3:
                raise TracksError("out of order")
            return super().records(chrom, level, over)

    with pytest.raises(TracksError, match="out of order"):
        write_overview(tmp_path / "track.zooms", SIZES, Broken())
    assert not list(tmp_path.iterdir())


def test_digests_name_all_that_bytes_depend_on() -> None:
    layout = layout_digest(SIZES, SEQUENCES)
    assert layout == layout_digest(dict(reversed(SIZES.items())), SEQUENCES)
    others = {
        layout_digest(SIZES, {**SEQUENCES, "chr1": "SQ.other"}),
        layout_digest({**SIZES, "chr1": 5}, SEQUENCES),
        layout_digest({**SIZES, "more": 5}, {**SEQUENCES, "more": "SQ.more"}),
        layout,
    }
    assert len(others) == 4
    files = {
        file_digest(head, method, genome, frozen)
        for head in ("a" * 64, "b" * 64)
        for method in (REFERENCE, Method("bf16"))
        for genome in others
        for frozen in (False, True)
    }
    assert len(files) == 32
    assert all(len(digest) == 32 for digest in files)


def test_overviews_lie_beside_the_windows_they_are_of() -> None:
    path = overview_path(Path("store"), "a" * 64, REFERENCE, "b" * 32, "cpg")
    assert path == Path("store") / ("a" * 32) / REFERENCE.key / "overviews" / ("b" * 32) / "cpg.zooms"
