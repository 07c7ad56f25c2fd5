from __future__ import annotations

import numpy as np
import pytest

from model.report.profiles import PIECE, PIECES, ProfilePainter
from tracks.grid import BINS, FLANK, WINDOW


def test_windows_are_painted_at_their_places_and_overlaps_averaged() -> None:
    """One window on a piece's edge, one half a window further on, and one with a value for the whole window."""
    length = 3 * WINDOW + 5_000
    painter = ProfilePainter("chr1", length, tracks=2, layers=2)
    starts = np.array([-FLANK, PIECE * 3 - FLANK])
    observed = np.empty((2, 2, BINS), np.float32)
    observed[:, 0] = np.repeat(np.arange(PIECES), BINS // PIECES)
    observed[:, 1] = 10
    observed[1, 0, : BINS // PIECES] = np.nan
    observed[1, 0, BINS // PIECES + 5] = np.nan
    painter.add(starts, [observed, np.float32([[[1], [3]], [[np.nan], [7]]])])
    profile = painter.profile()
    assert profile.values.shape == (2, 2, -(-length // PIECE))
    assert profile.windows == 2
    nan = np.nan
    np.testing.assert_allclose(profile.values[0, 0, :12], [0, 1, 2, 6.5, 7, 7.5, 8, 10, 10, 10, nan, nan])
    np.testing.assert_allclose(profile.values[1, 0, :4], [nan, 1, 2, 6.5])
    np.testing.assert_allclose(profile.values[0, 1, :11], [1, 1, 1, 2, 2, 2, 2, 3, 3, 3, nan])
    np.testing.assert_allclose(profile.values[1, 1, :11], [nan, nan, nan, 7, 7, 7, 7, 7, 7, 7, nan])


def test_a_window_off_the_pieces_goes_where_its_middles_are() -> None:
    painter = ProfilePainter("chr1", 20 * PIECE, tracks=1, layers=1)
    painter.add(np.array([PIECE // 2 + 10 - FLANK]), [np.arange(BINS, dtype=np.float32).reshape(1, 1, -1)])
    found = painter.profile().values[0, 0]
    assert np.flatnonzero(np.isfinite(found)).tolist() == list(range(1, 8))
    assert found[1] == pytest.approx(np.arange(BINS // PIECES).mean())
