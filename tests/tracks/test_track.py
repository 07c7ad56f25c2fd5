from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.errors import TracksError, UsageError
from tracks.track import Track, select_tracks, slug_of
from tracks.transform import Affine

TRACKS = tuple(
    Track(name, "WGBS", "cells", "fraction", "#d95f02", transform=Affine(2, 1))
    for name in ("CpG methylation IMR90", "LMNB1 LAD Tig-3", "LMNB1 LAD liver")
)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("CpG methylation IMR90", "cpg_methylation_imr90"),
        ("LMNB1 LAD Tig-3", "lmnb1_lad_tig_3"),
        ("  a/../b  ", "a_b"),
        ("µ 5mC (%)", "5mc"),
    ],
)
def test_slugs_are_safe_file_names(name: str, slug: str) -> None:
    assert Track(name, "", "", "", "#000000").slug == slug == slug_of(slug)


@pytest.mark.parametrize("name", ["", "--", "µ"])
def test_a_name_without_letters(name: str) -> None:
    with pytest.raises(TracksError, match="needs a letter or a digit"):
        Track(name, "", "", "", "#000000")


@pytest.mark.parametrize("color", ["red", "#12345", "#1234567", "#12345g", ""])
def test_a_colour_that_is_none(color: str) -> None:
    with pytest.raises(TracksError, match="should look like #1b6ca8"):
        Track("a", "", "", "", color)


def test_json_and_back() -> None:
    assert [Track.from_json(json.loads(json.dumps(track.to_json()))) for track in TRACKS] == list(TRACKS)


@given(st.floats(1e-3, 1e3), st.floats(-1e3, 1e3), st.lists(st.floats(-1e3, 1e3), min_size=1))
def test_the_inverse_is_exact_to_rounding(scale: float, offset: float, values: list[float]) -> None:
    transform = Affine(scale, offset)
    again = transform.inverse(transform.forward(np.array(values)))
    np.testing.assert_allclose(again, values, atol=1e-9 * (1 + abs(offset) / scale))


@pytest.mark.parametrize(("scale", "offset"), [(0, 0), (float("nan"), 0), (1, float("inf"))])
def test_a_transform_without_inverse(scale: float, offset: float) -> None:
    with pytest.raises(TracksError, match="finite scale other than 0"):
        Affine(scale, offset)


def test_tracks_are_selected_by_name_or_slug_in_their_own_order() -> None:
    assert select_tracks(TRACKS, ["lmnb1_lad_liver", "CPG METHYLATION IMR90", "LMNB1 LAD liver"]) == TRACKS[::2]


def test_an_unknown_track_suggests_the_nearest_or_lists_them() -> None:
    with pytest.raises(UsageError, match="there is no track 'LAD livver'; did you mean 'LMNB1 LAD liver'"):
        select_tracks(TRACKS, ["LAD livver"])
    with pytest.raises(UsageError, match="there is no track 'H3K9me3'; there are 'CpG methylation IMR90', 'LMNB1"):
        select_tracks(TRACKS, ["H3K9me3"])
