from __future__ import annotations

import numpy as np
import pytest

from tracks.errors import TracksError
from tracks.regions import Region
from tracks.track import Track
from tracks.trackdata import TrackData

ONE = Track("one", "", "", "", "#000000")
TWO = Track("two", "", "", "", "#ffffff")
VALUES = np.arange(6, dtype=np.float32).reshape(3, 2)


def test_a_column_is_a_track() -> None:
    data = TrackData(VALUES, Region("chr1", 128, 512), (ONE, TWO))
    assert data.column(TWO).tolist() == [1, 3, 5]


def test_the_last_bin_may_be_cut_short() -> None:
    assert len(TrackData(VALUES, Region("chr1", 0, 257), (ONE, TWO)).values) == 3


def test_it_cannot_be_changed() -> None:
    data = TrackData(VALUES, Region("chr1", 0, 384), (ONE, TWO))
    with pytest.raises(ValueError, match="read-only"):
        data.values[0, 0] = 5
    with pytest.raises(AttributeError):
        data.region = Region("chr2", 0, 384)  # type: ignore[misc]
    assert VALUES.flags.writeable


@pytest.mark.parametrize(
    ("values", "region", "fault"),
    [
        (VALUES, Region("chr1", 64, 448), "chr1:65-448 does not start on a bin of 128 bases"),
        (VALUES, Region("chr1", 0, 385), r"must be float32 \(4, 2\), found float32 \(3, 2\)"),
        (VALUES, Region("chr1", 0, 256), r"must be float32 \(2, 2\)"),
        (VALUES[:, :1], Region("chr1", 0, 384), r"must be float32 \(3, 2\), found float32 \(3, 1\)"),
        (VALUES.astype(np.float64), Region("chr1", 0, 384), r"must be float32 \(3, 2\), found float64"),
    ],
)
def test_what_does_not_fit_is_refused(values: np.ndarray, region: Region, fault: str) -> None:
    with pytest.raises(TracksError, match=fault):
        TrackData(values, region, (ONE, TWO))
