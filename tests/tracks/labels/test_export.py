"""Label sets exported, and read back by others than wrote them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pyBigWig
import pytest
from click.testing import CliRunner

from tests.conftest import write_fasta
from tests.tracks.labels.handmade import SIZES, build, in_bins, random_values
from tracks.cli.labels_export import command
from tracks.errors import UsageError
from tracks.grid import BIN, BINS, INPUT
from tracks.labels import H5Labels, ProjectLabels
from tracks.labels import export as export_module
from tracks.labels.built import BuiltLabels
from tracks.labels.export import export_bigwigs, export_hdf5
from tracks.project import load_project

_LOG = 'stored = "log2"\ntransform = {kind = "exp2", scale = 128.0}\nunit = "log2 enrichment"'
TWO = {
    "one": (random_values(1), 'transform = {kind = "affine", scale = 500.0, offset = 3.0}'),
    "log": ({chrom: 4 * values - 2 for chrom, values in random_values(2).items()}, _LOG),
}
WINDOWS = [("chr20", 128, "train"), ("chr3", 77, "test"), ("chr20", 400_000, "valid")]


@pytest.fixture(scope="module")
def on_grid(tmp_path_factory: pytest.TempPathFactory) -> BuiltLabels:
    """A grid whose chromosomes come in another order than the genome's, masked in part, with a split."""
    return build(
        tmp_path_factory.mktemp("grid"),
        TWO,
        'chroms = ["chr3", "chr20"]\nsplit = "split.bed"\n[mask]\nblacklist = ["black.bed"]\n',
        bed={
            "split.bed": ["chr20\t0\t1100000\ttrain", "chr20\t1100000\t1600050\tvalid", "chr3\t0\t700000\ttest"],
            "black.bed": in_bins([("chr3", 100, 400)]),
        },
    )


@pytest.fixture(scope="module")
def in_windows(tmp_path_factory: pytest.TempPathFactory) -> BuiltLabels:
    lines = [f"{chrom}\t{start}\t{start + INPUT}\t{fold}" for chrom, start, fold in WINDOWS]
    return build(tmp_path_factory.mktemp("rows"), TWO, 'windows = "rows.bed"', bed={"rows.bed": lines})


def values_in(path: Path, chrom: str) -> np.ndarray:
    """The value of each bin, from its first base, by a library that did not write the file."""
    with pyBigWig.open(str(path)) as handle:
        return np.array(handle.values(chrom, 0, SIZES[chrom]), np.float32)[::BIN]


@pytest.mark.parametrize("made", ["on_grid", "in_windows"])
def test_the_published_layout(made: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    labels: BuiltLabels = request.getfixturevalue(made)
    result = CliRunner().invoke(command, [str(labels.path), "--layout", "cs282a", "-o", str(tmp_path / "a.h5")])
    assert result.exit_code == 0, result.exception
    count = len(labels.windows)
    bed = tmp_path / "a.windows.bed"
    assert result.stdout == f"wrote {tmp_path / 'a.h5'}: {count} windows of 2 tracks; their places are in {bed}\n"
    with h5py.File(tmp_path / "a.h5") as file:
        assert (file["128bp_bins"].shape, file["128bp_bins"].chunks) == ((count, BINS, 2), (1, BINS, 2))
        assert (file["single_bin"].shape, file["single_bin"].dtype) == ((count, 1, 2), np.float32)
    found = H5Labels(tmp_path / "a.h5", bed)
    assert found.windows == labels.windows
    rows = np.arange(count)
    for scope in ("bins", "window"):
        assert found.tracks(scope) == labels.tracks(scope)
        np.testing.assert_array_equal(found.labels(rows, scope), labels.labels(rows, scope))
    assert np.isfinite(found.labels(rows, "bins")).any()


def test_the_rows_of_given_windows_are_what_was_measured(in_windows: BuiltLabels, tmp_path: Path) -> None:
    export_hdf5(in_windows, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        first = file["128bp_bins"][0]
    measured = TWO["one"][0]["chr20"][(128 + 8_192) // BIN :][:BINS]
    np.testing.assert_allclose(first[:, 0], 500 * measured + 3, rtol=1e-6)
    measured = TWO["log"][0]["chr20"][(128 + 8_192) // BIN :][:BINS]
    np.testing.assert_allclose(first[:, 1], 128 * np.exp2(measured), rtol=1e-5)


def test_bigwigs_show_what_was_trained_on(
    on_grid: BuiltLabels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "_OPEN", 3)  # two passes for four files
    steps: list[tuple[int, int]] = []
    written = export_bigwigs(on_grid, tmp_path, valid=True, progress=lambda done, total: steps.append((done, total)))
    assert [entry.path and entry.path.name for entry in written] == [
        "one.bw", "log.bw", "one_valid.bw", "log_valid.bw"
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        path.name for path in [e.path for e in written] if path
    )
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1]
    for name, file in (("one", "one.bw"), ("log", "log.bw")):
        for chrom in ("chr20", "chr3"):
            expected = TWO[name][0][chrom].copy()
            if chrom == "chr3":
                expected[100:400] = np.nan
            found = values_in(tmp_path / file, chrom)
            np.testing.assert_allclose(found, expected, atol=1e-5)
            valid = values_in(tmp_path / f"{name}_valid.bw", chrom)
            assert set(valid[np.isfinite(expected)][:-1]) == {BIN}
        with pyBigWig.open(str(tmp_path / file)) as handle:
            assert handle.chroms() == SIZES
            assert handle.intervals("chrN") is None


def test_the_project_of_the_bigwigs(on_grid: BuiltLabels, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    fasta = write_fasta(tmp_path / "g.fa", {chrom: "".join(rng.choice(list("ACGT"), n)) for chrom, n in SIZES.items()})
    result = CliRunner().invoke(command, [str(on_grid.path), "-o", str(tmp_path / "out"), "--genome", str(fasta)])
    assert result.exit_code == 0, result.exception
    assert result.stdout == f"wrote 2 bigWig files and tracks.toml to {tmp_path / 'out'}\n"
    project = load_project(tmp_path / "out/tracks.toml")
    assert project.genome == fasta
    assert [entry.observed for entry in project.track] == [tmp_path / "out/one.bw", tmp_path / "out/log.bw"]
    assert project.track[0].track == on_grid.targets[0].track  # transform included
    # Trained on by the project, the windows have the labels that they have in the label set.
    found = ProjectLabels(project)
    assert found.windows == on_grid.windows
    rows = np.arange(len(found.windows))
    np.testing.assert_allclose(found.labels(rows, "bins")[..., 0], on_grid.labels(rows, "bins")[..., 0], rtol=1e-5)


def test_a_track_without_a_label_has_no_file(tmp_path: Path) -> None:
    nowhere = {"chrN": random_values(1)["chrN"]}
    labels = build(tmp_path / "in", {"one": (random_values(1), ""), "none": (nowhere, "")}, 'chroms = ["chr3"]')
    (tmp_path / "out").mkdir()
    (tmp_path / "out/none.bw").write_text("of an earlier run")
    args = [str(labels.path), "-o", str(tmp_path / "out"), "--overwrite"]
    result = CliRunner().invoke(command, args)
    assert result.exit_code == 0, result.exception
    assert "none has no label, so it has no file" in result.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["one.bw"]


@pytest.mark.parametrize(
    ("made", "args", "message"),
    [
        ("in_windows", ["-o", "out"], "holds given windows alone"),
        ("on_grid", ["--layout", "cs282a", "-o", "out"], "whose name ends in .h5"),
        ("on_grid", ["--layout", "cs282a", "-o", "a.h5", "--valid"], "go with the layout bigwig"),
        ("on_grid", ["--layout", "cs282a", "-o", "there.h5"], "there.h5 exists already"),
        ("on_grid", ["-o", "."], "one.bw exists already"),
        ("on_grid", ["-o", "out", "--genome", "other.fa"], "other.fa is of another genome build: its chr3 has 5 bases"),
        ("on_grid", ["-o", "out", "--genome", "g.sizes"], "g.sizes is a table of lengths"),
        ("on_grid", ["-o", "out", "--genome", "none.fa"], "none.fa"),
    ],
)  # fmt: skip
def test_what_is_refused(
    made: str,
    args: list[str],
    message: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.h5").touch()
    Path("one.bw").touch()
    write_fasta(Path("other.fa"), {"chr3": "ACGTA"})
    Path("other.fa.fai").write_text("chr3\t5\t6\t70\t71\n")
    before = sorted(tmp_path.rglob("*"))
    result = CliRunner().invoke(command, [str(request.getfixturevalue(made).path), *args])
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)
    assert sorted(tmp_path.rglob("*")) == before


def test_no_windows_to_export(tmp_path: Path) -> None:
    labels = build(tmp_path, {"one": (random_values(1), "")})
    with pytest.raises(UsageError, match="has no windows to write a row for"):
        export_hdf5(labels, tmp_path / "a.h5")
