from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.conftest import write_fasta
from tracks.bigwig import Bins, write_bigwig
from tracks.catalogue import published_tracks
from tracks.composition import known_bases
from tracks.errors import UsageError
from tracks.genome import Genome
from tracks.grid import BIN, BINS, FLANK, INPUT, WINDOW
from tracks.labels import H5Labels, ProjectLabels, open_labels, values
from tracks.project import load_project
from tracks.window_files import write_window_file
from tracks.windows import read_windows

ROWS = 6
BED = "".join(f"chr1\t{10_000 + 65_599 * row}\t{10_000 + 65_599 * row + INPUT}\ttrain\n" for row in range(4)) + (
    f"chr2\t0\t{INPUT}\tvalid\nchr3\t500\t{500 + INPUT}\ttest\n"
)


@pytest.fixture
def stored() -> np.ndarray:
    """Bin labels by the published formulas, with each of its ways to lose a missing value."""
    rng = np.random.default_rng(5)
    labels = np.empty((ROWS, BINS, 18), np.float32)
    labels[..., :12] = 128 * 2 ** rng.normal(0, 1, (ROWS, BINS, 12))
    calls = rng.integers(1, 9, (ROWS, BINS, 2))
    labels[..., [15, 17]] = 10 * calls
    labels[..., [14, 16]] = 500 * rng.binomial(calls, 0.7) / calls
    labels[..., [12, 13]] = 500 * rng.random((ROWS, BINS, 2))
    labels[0, 5:9, 3] = 128.0  # NaN -> 0 -> 2 ** 0
    labels[1, :, 12:] = 0.0  # a failed lift
    labels[2, 100, [14, 15]] = 0.0  # no CpG call
    labels[2, 200, 14] = 0.0  # calls, none methylated: a real zero
    labels[2, 300, [12, 14, 15]] = 0.0  # no read in HEK293
    labels[2, 400, 12] = 0.0  # a read without 6mA: a real zero
    labels[2, 500, 12:] = 0.0  # no read at all, in a window that was lifted: its calls are a count of 0
    labels[4, :, 12:] = 0.0  # past the end of CHM13
    return labels


@pytest.fixture
def published(tmp_path: Path, stored: np.ndarray) -> Path:
    with h5py.File(tmp_path / "labels.h5", "w") as file:
        file["128bp_bins"] = stored
        window = stored.mean(axis=1, keepdims=True)
        window[..., [15, 17]] *= 0.01 * BINS / 10
        window[4, 0, [15, 17]] = np.nan  # 0.01 * NaN
        file["single_bin"] = window
    (tmp_path / "sequences.bed").write_text(BED)
    return tmp_path / "labels.h5"


def test_what_the_published_file_lost_is_missing_again(published: Path, stored: np.ndarray) -> None:
    labels = H5Labels(published, published.with_name("sequences.bed")).labels(np.arange(ROWS), "bins")
    expected = np.zeros(stored.shape, bool)
    expected[0, 5:9, 3] = expected[1, :, 12:] = expected[2, 100, 14] = True
    expected[2, 300, [12, 14]] = expected[2, 500, [12, 13, 14, 16]] = True
    expected[4, :, 12:] = True
    np.testing.assert_array_equal(np.isnan(labels), expected)
    np.testing.assert_array_equal(labels[~expected], stored[~expected])


def test_whole_windows_that_the_published_file_lost(published: Path) -> None:
    label_set = H5Labels(published, published.with_name("sequences.bed"))
    found = label_set.labels(np.arange(ROWS), "window")
    expected = np.zeros((ROWS, 1, 18), bool)
    expected[[1, 4], :, 12:] = True  # a failed lift; past the end, where the calls are NaN and the fractions 0
    np.testing.assert_array_equal(np.isnan(found), expected)
    coverage = label_set.coverage(np.array([1, 4]), "window")
    assert coverage is not None
    assert coverage[:, 0, [14, 16]].tolist() == [[0, 0], [0, 0]]


def test_predictions_lack_nothing(tmp_path: Path, published: Path) -> None:
    predicted = np.full((ROWS, 1, 18), 128.0, np.float32)
    predicted[..., 12:] = 0
    write_window_file(
        tmp_path / "p.h5", ROWS, "window", published_tracks("window"), iter(predicted), {"model_digest": "x"}
    )
    label_set = H5Labels(tmp_path / "p.h5", published.with_name("sequences.bed"))
    assert label_set.tracks("window") == published_tracks("window")
    np.testing.assert_array_equal(label_set.labels(np.arange(ROWS), "window"), predicted)
    assert label_set.coverage(np.arange(ROWS), "window") is None


def test_legacy_labels_are_as_stored(published: Path, stored: np.ndarray) -> None:
    label_set = H5Labels(published, published.with_name("sequences.bed"), legacy=True)
    rows = np.array([4, 1])
    np.testing.assert_array_equal(label_set.labels(rows, "bins"), stored[rows])
    window = label_set.labels(np.array([4]), "window")[0, 0]
    assert np.isnan(window[[15, 17]]).all()
    assert window[[12, 13, 14, 16]].tolist() == [0, 0, 0, 0]


def test_values_are_in_track_units(published: Path, stored: np.ndarray) -> None:
    label_set = H5Labels(published, published.with_name("sequences.bed"))
    found = values(label_set, np.array([5]), "bins")[0].astype(np.float64)
    wanted = stored[5].astype(np.float64)
    np.testing.assert_allclose(found[:, 0], np.log2(wanted[:, 0] / 128), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[:, 14], wanted[:, 14] / 500, rtol=1e-5)
    np.testing.assert_allclose(found[:, 17], wanted[:, 17] / 10, rtol=1e-5)


def test_coverage_is_the_calls(published: Path, stored: np.ndarray) -> None:
    label_set = H5Labels(published, published.with_name("sequences.bed"))
    bins = label_set.coverage(np.array([5]), "bins")
    window = label_set.coverage(np.array([5]), "window")
    assert bins is not None
    assert window is not None
    np.testing.assert_allclose(bins[0, :, 14], stored[5, :, 15] / 10)
    np.testing.assert_allclose(window[0, 0, 16], (stored[5, :, 17] / 10).sum(), rtol=1e-5)
    assert np.isnan(np.delete(bins, [14, 16], axis=2)).all()


def test_other_rows_and_other_tables(published: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.bed"
    short.write_text("".join(BED.splitlines(keepends=True)[:5]))
    with pytest.raises(UsageError, match=r"has 6 rows, and the BED file 5 windows"):
        H5Labels(published, short)
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file["single_bin"] = np.zeros((ROWS, 1, 4), np.float32)
    with pytest.raises(UsageError, match="has 4 tracks, not the 18 that are known here"):
        H5Labels(tmp_path / "own.h5", tmp_path / "sequences.bed")
    own = H5Labels(tmp_path / "own.h5", tmp_path / "sequences.bed", published_tracks("window")[:4])
    with pytest.raises(UsageError, match="has no labels of scope bins; it has window"):
        own.labels(np.array([0]), "bins")
    assert own.coverage(np.array([0]), "window") is None
    with h5py.File(tmp_path / "e.h5", "w") as file:
        file["embeddings"] = np.zeros((ROWS, BINS, 4), np.float16)
    with pytest.raises(UsageError, match="holds embeddings, not labels"):
        H5Labels(tmp_path / "e.h5", tmp_path / "sequences.bed")


def test_empty_and_constant_tracks_stay_so(published: Path) -> None:
    with h5py.File(published, "r+") as file:
        file["128bp_bins"][:, :, 2] = 128.0
        file["128bp_bins"][:, :, 12] = 250.0
    label_set = H5Labels(published, published.with_name("sequences.bed"))
    found = values(label_set, np.array([0, 2, 3]), "bins")
    labels = np.isfinite(found).sum(axis=(0, 1))
    assert labels[2] == 0, "LMNB1 border ectoderm has no label in these windows"
    assert set(np.unique(found[..., 12])) == {0.5}, "HEK293 LMNB1 DiMeLo mA is 0.5 everywhere"
    assert labels[0] == 3 * BINS
    assert np.ptp(found[..., 0]) > 0
    assert labels[14] == 3 * BINS - 3


# Projects


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two observed tracks of one chromosome of 1.5 Mb with a gap of N; the second has calls and per-cent labels."""
    rng = np.random.default_rng(6)
    bases = rng.choice(list("ACGT"), 1_500_000)
    bases[400_000:450_000] = "N"
    write_fasta(tmp_path / "g.fa", {"chr1": "".join(bases), "chr2": "ACGT" * 5_000})
    sizes = {"chr1": 1_500_000, "chr2": 20_000}
    bins = np.arange(-(-1_500_000 // BIN))
    first = np.sin(bins / 50).astype(np.float32)
    second = (100 * rng.random(len(bins))).astype(np.float32)
    second[rng.random(len(bins)) < 0.5] = np.nan
    second[bins < 3_000] = np.nan
    calls = rng.integers(1, 30, len(bins)).astype(np.float32)
    calls[np.isnan(second)] = np.nan
    for name, column in (("first", first), ("second", second), ("calls", calls)):
        write_bigwig(tmp_path / f"{name}.bw", sizes, [Bins("chr1", 0, column)])
    (tmp_path / "split.bed").write_text(
        "chr1\t0\t600000\ttrain\nchr1\t600000\t1100000\tvalid\nchr1\t1100000\t1500000\ttest\n"
    )
    head = 'assay = "a"\nbiosample = "b"\ncolor = "#112233"\n'
    (tmp_path / "tracks.toml").write_text(
        f'name = "p"\ngenome = "g.fa"\nsplit = "split.bed"\n'
        f'[[track]]\nname = "First"\nunit = "log2 enrichment"\nobserved = "first.bw"\n{head}'
        f'[[track]]\nname = "Second"\nunit = "per cent"\nobserved = "second.bw"\ncoverage = "calls.bw"\n'
        f"scale = 0.01\n{head}"
        f'[[track]]\nname = "Help"\nunit = "x"\nrole = "auxiliary"\nobserved = "first.bw"\n{head}'
    )
    return tmp_path / "tracks.toml"


def test_windows_of_a_project_stay_in_their_blocks(project: Path) -> None:
    label_set = ProjectLabels(load_project(project), stride=16_384)
    train = [window for window in label_set.windows if window.fold == "train"]
    assert len(train) > 20
    assert all(window.start >= 64 and window.end <= 600_000 - 64 and window.start % BIN == 0 for window in train)
    assert {b.start - a.start for a, b in itertools.pairwise(train)} == {16_384}
    held_out = [window for window in label_set.windows if window.fold != "train"]
    assert [(window.fold, window.start + FLANK) for window in held_out] == [("valid", 7 * WINDOW)]
    assert held_out[0].start + FLANK >= 600_000 + INPUT


def test_labels_of_a_project_are_its_bins(project: Path) -> None:
    label_set = ProjectLabels(load_project(project), stride=57_344)
    assert [track.name for track in label_set.tracks("bins")] == ["First", "Second"]
    rows = np.arange(len(label_set.windows))
    labels, means = label_set.labels(rows, "bins"), label_set.labels(rows, "window")
    found = values(label_set, rows, "bins")
    codes = Genome(project.with_name("g.fa")).codes("chr1", 0, -(-1_500_000 // BIN) * BIN)
    unknown = known_bases(codes) < 64
    for row, window in enumerate(label_set.windows):
        first = (window.start + FLANK) // BIN
        place = np.arange(first, first + BINS)
        expected = np.where(unknown[place], np.nan, np.sin(place / 50))
        np.testing.assert_allclose(labels[row, :, 0], expected, atol=1e-6)
        seen = np.isfinite(labels[row, :, 1])
        assert not (seen & (place < 3_000)).any()
        np.testing.assert_allclose(found[row, seen, 1], 100 * labels[row, seen, 1], rtol=1e-5)
        enough = seen.mean() >= 0.25
        assert np.isfinite(means[row, 0, 1]) == enough
        if enough:
            np.testing.assert_allclose(means[row, 0, 1], labels[row, seen, 1].astype(np.float64).mean(), rtol=1e-6)
    assert np.isnan(means[:, 0, 1]).any()
    assert np.isfinite(means[:, 0, 1]).any()
    assert np.isnan(labels[:, :, 0]).any()


def test_calls_of_a_project(project: Path) -> None:
    label_set = ProjectLabels(load_project(project))
    rows = np.array([len(label_set.windows) - 1])
    bins, window = label_set.coverage(rows, "bins"), label_set.coverage(rows, "window")
    assert bins is not None
    assert window is not None
    assert np.isnan(bins[..., 0]).all()
    labels = label_set.labels(rows, "bins")
    np.testing.assert_array_equal(bins[..., 1] > 0, np.isfinite(labels[..., 1]))
    np.testing.assert_allclose(window[0, 0, 1], bins[0, :, 1].sum())


def test_a_track_of_another_genome(project: Path) -> None:
    write_bigwig(project.with_name("second.bw"), {"chr1": 1_400_000}, [Bins("chr1", 0, np.ones(9, np.float32))])
    with pytest.raises(UsageError, match="another genome: its chr1 has 1,400,000 bases, the project's 1,500,000"):
        ProjectLabels(load_project(project))


def test_a_track_with_other_chromosome_names(project: Path) -> None:
    write_bigwig(project.with_name("second.bw"), {"1": 1_500_000}, [Bins("1", 0, np.ones(9, np.float32))])
    with pytest.raises(UsageError, match=r"second.bw is of another genome, or .*: it has 1, and the split chr1"):
        ProjectLabels(load_project(project))


def test_no_rows_are_no_labels(project: Path, published: Path) -> None:
    rows = np.array([], np.int64)
    for label_set in (open_labels(project), open_labels(published, published.with_name("sequences.bed"))):
        tracks = len(label_set.tracks("bins"))
        assert label_set.labels(rows, "bins").shape == (0, BINS, tracks)
        assert label_set.labels(rows, "window").shape == (0, 1, tracks)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.write_text(path.read_text().replace('split = "split.bed"\n', "")), "names no split"),
        (lambda path: path.with_name("split.bed").write_text("chr2\t0\t20000\ttest\n"), "observes no window"),
        (lambda path: path.with_name("split.bed").write_text("chrQ\t0\t20000\ttest\n"), "no chromosome 'chrQ'"),
        (
            lambda path: path.with_name("split.bed").write_text("chr1\t0\t1600000\ttest\n"),
            "split.bed is of another genome: its block chr1:1-1,600,000 reaches past the end .* 1,500,000 bases",
        ),
    ],
)
def test_projects_that_cannot_be_used(project: Path, change: Callable[[Path], None], words: str) -> None:
    change(project)
    with pytest.raises(UsageError, match=words):
        ProjectLabels(load_project(project))


def test_labels_are_opened_by_their_file(project: Path, published: Path) -> None:
    bed = published.with_name("sequences.bed")
    assert isinstance(open_labels(project), ProjectLabels)
    assert open_labels(published, bed).windows == read_windows(bed)
    for path, windows, words in (
        (published, None, "name their BED file|name the BED file"),
        (project, bed, "a project has windows of its own"),
        (project.with_name("g.fa"), None, "is none of them"),
    ):
        with pytest.raises(UsageError, match=words):
            open_labels(path, windows)
