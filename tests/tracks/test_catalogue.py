"""The 18 published tracks: their labels are those of the formulas in facts/cs282a.md section 3.3, from base values."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.catalogue import published_tracks
from tracks.grid import BIN, BINS
from tracks.track import Track
from tracks.transform import Affine, Exp2, transform_from_json

BASES = BIN * BINS


def test_there_are_18_in_the_published_order() -> None:
    tracks = published_tracks("bins")
    assert len(tracks) == len({track.slug for track in tracks}) == len({track.color for track in tracks}) == 18
    accessions = [track.accession for track in tracks[:12]]
    assert accessions[0] == "GSM5669183"
    assert accessions[9] == "GSM5669232"
    assert accessions == sorted(accessions)
    assert all(re.fullmatch(r"GSM56692?\d{2,4}", accession) for accession in accessions)
    assert [track.biosample for track in tracks[12:]] == ["HEK293", "GM12878", "HEK293", "HEK293", "GM12878", "GM12878"]
    assert {track.unit for track in tracks} == {"log2 enrichment", "methylated fraction", "CpG calls per 128 bp"}


def _luminance_and_lab(color: str) -> tuple[float, np.ndarray]:
    """Relative luminance (WCAG 2) and CIE L*a*b* (D65) of a colour."""
    coded = np.array([int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ linear
    x, y, z = np.cbrt(xyz / [0.9505, 1.0, 1.089])
    return float(xyz[1]), np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_colours_are_legible_on_white_and_apart() -> None:
    colors = [_luminance_and_lab(track.color) for track in published_tracks("bins")]
    assert min(1.05 / (luminance + 0.05) for luminance, _ in colors) >= 3  # WCAG 2, 1.4.11
    assert min(np.linalg.norm(one - other) for (_, one), (_, other) in itertools.combinations(colors, 2)) > 15


def test_what_the_labels_cannot_say_is_said() -> None:
    tracks = published_tracks("window")
    assert all("step function of 20 kb" in track.description for track in tracks[:12])
    assert all("read depth" in tracks[at].description for at in (15, 17))


def test_both_scopes_describe_the_same_tracks() -> None:
    for one, other in zip(published_tracks("bins"), published_tracks("window"), strict=True):
        assert one.to_json() | {"transform": None} == other.to_json() | {"transform": None}


def test_lmnb1_labels_are_sums_of_enrichment() -> None:
    signal = np.random.default_rng(1).normal(0, 1, BASES // 20_480).repeat(20_480)[:BASES]  # constant within a bin
    signal = np.concatenate([signal, np.zeros(BASES - len(signal))])
    enrichment = 2.0**signal
    bins = enrichment.reshape(BINS, BIN).sum(axis=1)
    found = published_tracks("bins")[3].transform.inverse(bins)
    np.testing.assert_allclose(found, signal[::BIN], atol=1e-12)
    window = enrichment.sum() / 896
    found = published_tracks("window")[3].transform.inverse(np.array([window]))
    np.testing.assert_allclose(2**found, [enrichment.mean()], rtol=1e-12)


@pytest.mark.parametrize(("fraction", "calls"), [(14, 15), (16, 17)])
def test_dimelo_labels_are_fractions_and_calls(fraction: int, calls: int) -> None:
    rng = np.random.default_rng(2)
    valid = rng.poisson(0.02, BASES)
    modified = rng.binomial(valid, 0.7)
    per_bin = valid.reshape(BINS, BIN).sum(axis=1)
    bins, window = published_tracks("bins"), published_tracks("window")
    np.testing.assert_allclose(bins[calls].transform.inverse(10.0 * per_bin), per_bin)
    np.testing.assert_allclose(window[calls].transform.inverse(0.01 * np.array([valid.sum()])), [per_bin.mean()])
    pooled = np.array([modified.sum() / valid.sum()])
    for tracks in (bins, window):
        np.testing.assert_allclose(tracks[fraction].transform.inverse(500 * pooled), pooled)


@given(st.integers(0, 17), st.sampled_from(["bins", "window"]), st.floats(-8, 8))
def test_every_transform_has_its_inverse(index: int, scope: str, value: float) -> None:
    track = published_tracks(scope)[index]  # type: ignore[arg-type]
    found = track.transform.inverse(track.transform.forward(np.array([value])))
    np.testing.assert_allclose(found, [value], rtol=1e-9, atol=1e-9)
    assert Track.from_json(track.to_json()) == track


def test_transforms_as_json() -> None:
    assert transform_from_json({"scale": 2.0, "offset": 1.0}) == Affine(2.0, 1.0)
    assert transform_from_json({"kind": "exp2", "scale": 128.0}) == Exp2(128.0)
    assert Exp2(128.0).inverse(np.array([-3.0, 0.0, 128.0])).tolist() == [-10.0, -10.0, 0.0]
