from __future__ import annotations

from pathlib import Path

import numpy as np
import pyBigWig
import pytest
from matplotlib.colors import to_hex

from tracks.errors import TracksError, UsageError
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


def test_a_dataframe_has_a_row_for_each_bin() -> None:
    table = TrackData(VALUES, Region("chr1", 128, 500), (ONE, TWO)).to_dataframe()
    assert list(table.columns) == ["chrom", "start", "end", "one", "two"]
    assert table["chrom"].tolist() == ["chr1"] * 3
    assert table["start"].tolist() == [128, 256, 384]
    assert table["end"].tolist() == [256, 384, 500], "the last bin may be cut short"
    assert (table["start"].dtype, table["one"].dtype) == (np.int64, np.float32)
    np.testing.assert_array_equal(table[["one", "two"]].to_numpy(), VALUES)


def test_changing_a_dataframe_changes_no_data() -> None:
    data = TrackData(VALUES.copy(), Region("chr1", 0, 384), (ONE, TWO))
    table = data.to_dataframe()
    table.loc[0, "one"] = 99
    assert data.values[0, 0] == 0


@pytest.fixture
def data() -> TrackData:
    values = np.random.default_rng(1).random((50, 2), np.float32)
    values[10:20, 0] = np.nan
    return TrackData(values, Region("chr1", 12_800, 19_190), (ONE, TWO), chrom_sizes=SIZES)


SIZES = {"chr2": 5_000, "chr1": 19_190}


def test_bigwigs_go_to_a_folder_or_a_file(data: TrackData, tmp_path: Path) -> None:
    made = data.to_bigwig(tmp_path / "out")
    assert made == [tmp_path / "out" / "one.bw", tmp_path / "out" / "two.bw"]
    single = TrackData(data.values[:, :1], data.region, (ONE,))
    assert single.to_bigwig(str(tmp_path / "x.bigWig"), chrom_sizes=SIZES) == [tmp_path / "x.bigWig"]
    for path, column in ((made[0], 0), (made[1], 1), (tmp_path / "x.bigWig", 0)):
        with pyBigWig.open(str(path)) as handle:
            assert handle.chroms() == SIZES
            bases = np.array(handle.values("chr1", 12_800, 19_190))
        np.testing.assert_array_equal(bases, np.repeat(data.values[:, column], 128)[:6_390])
    with pytest.raises(UsageError, match="exists already"):
        data.to_bigwig(tmp_path / "out")
    assert data.to_bigwig(tmp_path / "out", overwrite=True) == made


def test_a_track_without_a_value_has_no_bigwig(tmp_path: Path) -> None:
    values = np.full((1, 2), np.nan, np.float32)
    values[0, 1] = 1
    data = TrackData(values, Region("chr1", 0, 128), (ONE, TWO), chrom_sizes=SIZES)
    assert data.to_bigwig(tmp_path) == [tmp_path / "two.bw"]
    alone = TrackData(values[:, :1], data.region, (ONE,), chrom_sizes=SIZES)
    assert alone.to_bigwig(tmp_path / "a.bw") == []
    assert [path.name for path in tmp_path.iterdir()] == ["two.bw"]


def test_what_no_bigwig_can_be_made_of(data: TrackData, tmp_path: Path) -> None:
    bare = TrackData(data.values, data.region, data.tracks)
    for sizes, fault in (
        (None, "give chrom_sizes="),
        ({"chr2": 9}, "has no chromosome 'chr1'"),
        ({"chr1": 19_189}, "reaches past the end of chr1 in chrom_sizes"),
    ):
        with pytest.raises(UsageError, match=fault):
            bare.to_bigwig(tmp_path / "out", chrom_sizes=sizes)
    with pytest.raises(UsageError, match=r"a\.bw is one file, and there are 2 tracks; name a folder"):
        data.to_bigwig(tmp_path / "a.bw")
    coarse = TrackData(data.values, Region("chr1", 0, 50 * 256), data.tracks, 256, SIZES)
    with pytest.raises(UsageError, match="bins of 128 bases, and these have 256"):
        coarse.to_bigwig(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_figure_draws_each_track_in_its_color(data: TrackData) -> None:
    seen = TrackData(data.values[:, 1:] / 2, data.region, (TWO,))
    figure = data.plot(observed=seen, width=5)
    assert figure.get_size_inches()[0] == 5
    assert figure.get_suptitle() == "chr1:12,801-19,190"
    one, two = figure.axes
    assert (one.get_title(loc="left"), two.get_title(loc="left")) == ("one", "two")
    assert [to_hex(patch.get_edgecolor()) for patch in one.patches] == ["#000000"]
    assert [to_hex(patch.get_edgecolor()) for patch in two.patches][-1] == "#ffffff"
    assert len(two.patches) == 3
    assert two.get_title(loc="right") == "observed in grey, r = 1.00 (50 bins of 128 bp)"
    drawn = one.patches[0].get_data()
    np.testing.assert_array_equal(drawn.values, data.values[:, 0].astype(float))
    assert (drawn.edges[0], drawn.edges[-1]) == (12_800, 19_190)
    figure.canvas.draw()


def test_wide_regions_are_drawn_as_means() -> None:
    values = np.arange(5_000, dtype=np.float32)[:, None].copy()
    values[:10] = np.nan
    drawn = TrackData(values, Region("chr1", 0, 5_000 * 128), (ONE,)).plot().axes[0].patches[0].get_data()
    assert len(drawn.values) == 1_000
    assert np.isnan(drawn.values[:2]).all()
    assert drawn.values[2:4].tolist() == [12, 17]
    assert drawn.edges[:3].tolist() == [0, 640, 1_280]


def test_what_no_figure_is_drawn_of(data: TrackData) -> None:
    with pytest.raises(UsageError, match="2 to 40 inches wide, not 1"):
        data.plot(width=1)
    other = TrackData(data.values, Region("chr1", 0, 50 * 128), data.tracks)
    with pytest.raises(UsageError, match="observed is of chr1:1-6,400, and the figure of chr1:12,801-19,190"):
        data.plot(observed=other)
    with pytest.raises(UsageError, match="no track to draw"):
        TrackData(np.empty((1, 0), np.float32), Region("chr1", 0, 128), ()).plot()
