"""Built label sets against sums over single bases; masks, resuming, and what is refused before any work."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from tests.conftest import command_line
from tests.tracks.labels.measured import HOLE, SIZES, binned, per_base, recipe_file, track, write_bigwig_of
from tracks.errors import TracksError, UsageError
from tracks.grid import BIN, BINS, FLANK, INPUT, bin_count
from tracks.labels import BuiltLabels, open_labels
from tracks.labels.arrays import PIECE_BINS
from tracks.labels.build import build_labels
from tracks.labels.recipe import load_recipe

SIGNAL = {chrom: per_base(chrom, 1) for chrom in SIZES}
COUNTS = {chrom: np.abs(np.round(per_base(chrom, 2, 0.8))) for chrom in SIZES}
VALID = {chrom: counts + 1 for chrom, counts in COUNTS.items()}
INTERVALS = [("chr10", 1_000, 5_000), ("chr2", 100, 300), ("chr2", 250, 20_000), ("chr2", 1_999_000, 2_000_050)]


def grid(labels: BuiltLabels, chrom: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, valid counts and mask of a chromosome, ``[bins, tracks]``."""
    pieces = [piece for piece in labels.pieces() if piece.chrom == chrom]
    assert [piece.first_bin for piece in pieces] == list(range(0, bin_count(SIZES[chrom]), PIECE_BINS))
    return (
        np.concatenate([piece.labels for piece in pieces]),
        np.concatenate([piece.valid for piece in pieces]),
        np.concatenate([piece.masked for piece in pieces]),
    )


def unknown(chrom: str) -> np.ndarray:
    """Bins in the hole of the sequence."""
    starts = np.arange(bin_count(SIZES[chrom])) * BIN
    left = np.minimum(starts + BIN, SIZES[chrom]) - starts
    hole = np.minimum(starts + BIN, HOLE[1]) - np.maximum(starts, HOLE[0])
    return np.asarray(left - (np.maximum(hole, 0) if chrom == "chr2" else 0) < BIN // 2)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_bigwig_of(folder / "signal.bw", SIGNAL)
    write_bigwig_of(folder / "modified.bw", COUNTS)
    write_bigwig_of(folder / "valid.bw", VALID)
    (folder / "domains.bed").write_text(
        "".join(f"{c}\t{s}\t{e}\tT1LAD{at}\n" for at, (c, s, e) in enumerate(INTERVALS))
    )
    (folder / "bad.bed").write_text("chr2\t12800\t12813\nchr2\t25600\t25612\n")
    with (folder / "calls.bedgraph").open("w") as lines:
        for chrom in ("chr10", "chr2"):  # not in the genome's order
            for at in np.flatnonzero(np.isfinite(SIGNAL[chrom][:50_000]))[::7]:
                lines.write(f"{chrom.removeprefix('chr')}\t{at}\t{at + 1}\t{SIGNAL[chrom][at]}\n")
    rows = [(chrom, at) for chrom in SIZES for at in np.flatnonzero(np.isfinite(COUNTS[chrom]))[::50]]
    lines = [f"{c}\t{at}\t{int(VALID[c][at])}\t{int(COUNTS[c][at])}\n" for c, at in rows]
    (folder / "counts.tsv").write_text("chrom\tpos\ttotal\tmeth\n" + "".join(lines))
    return folder


ALL = (
    track("mean", signal="signal.bw"),
    track("scaled", signal="signal.bw", transform=[{"scale": 500.0}, {"kind": "clip", "low": -400.0, "high": 400.0}]),
    track("sum", signal="signal.bw", aggregate="sum"),
    track("max", signal="signal.bw", aggregate="max"),
    track("median", signal="signal.bw", aggregate="median"),
    track("peak", signal="signal.bw", aggregate="peak"),
    track("zero", signal="signal.bw", uncovered=0.0),
    track("log2", signal="signal.bw", stored="log2", transform={"kind": "exp2", "scale": 128.0}),
    track("well covered", signal="signal.bw", min_valid=100),
    track("fraction", modified="modified.bw", valid="valid.bw"),
    track("weighted", signal="signal.bw", coverage="valid.bw"),
    track("domains", intervals="domains.bed"),
    track("first", intervals="domains.bed", named="T1LAD[0-1]"),
    track(
        "table", counts="counts.tsv", columns={"chrom": "chrom", "start": "pos", "modified": "meth", "valid": "total"}
    ),
    track("graph", signal="calls.bedgraph"),
)


@pytest.fixture(scope="module")
def built(files: Path, genome: Path, tmp_path_factory: pytest.TempPathFactory) -> BuiltLabels:
    recipe = recipe_file(files, genome, *ALL, head="[mask]\nblacklist = ['bad.bed']")
    out = tmp_path_factory.mktemp("built") / "labels.zarr"
    said: list[str] = []
    assert build_labels(load_recipe(recipe), out, processes=2, say=said.append)
    assert said == [f"{files / 'calls.bedgraph'}: its chromosome 2 is taken for chr2 (and 1 more)"]
    assert [path.name for path in out.parent.iterdir()] == ["labels.zarr"]
    return BuiltLabels(out)


def expected(name: str, chrom: str) -> tuple[np.ndarray, np.ndarray]:
    """Label and valid count of each bin, before masks, from single bases in float64."""
    bins = bin_count(SIZES[chrom])

    def of(bases: np.ndarray, function: Callable[..., np.ndarray]) -> np.ndarray:
        return binned(bases, function, bins)

    signal, counts, valid = SIGNAL[chrom], COUNTS[chrom], VALID[chrom]
    covered = np.nan_to_num(of(np.where(np.isfinite(signal), 1.0, np.nan), np.nansum))
    inside = np.zeros(SIZES[chrom])
    kept = INTERVALS[:2] if name == "first" else INTERVALS
    for _, start, end in (one for one in kept if one[0] == chrom):
        inside[start:end] = 1
    sparse = np.full(SIZES[chrom], np.nan)
    places = np.flatnonzero(np.isfinite(signal[:50_000]))[::7]
    sparse[places] = signal[places]
    thin = np.full((2, SIZES[chrom]), np.nan)
    rows = np.flatnonzero(np.isfinite(counts))[::50]
    thin[:, rows] = counts[rows], valid[rows]
    sizes = np.diff(np.minimum(np.arange(bins + 1) * BIN, SIZES[chrom])).astype(float)
    mean = of(signal, np.nanmean)
    with np.errstate(invalid="ignore"):
        return {
            "mean": (mean, covered),
            "scaled": (np.clip(500 * mean, -400, 400), covered),
            "sum": (of(signal, np.nansum), covered),
            "max": (of(signal, np.nanmax), covered),
            "median": (of(signal, np.nanmedian), covered),
            "peak": (np.clip(np.sqrt(4 * mean), 0, 1), covered),
            "zero": (of(np.nan_to_num(signal), np.nanmean), sizes),
            "log2": (128 * of(np.exp2(signal), np.nanmean), covered),
            "well covered": (np.where(covered >= 100, mean, np.nan), covered),
            "fraction": (of(counts, np.nansum) / of(valid, np.nansum), np.nan_to_num(of(valid, np.nansum))),
            "weighted": (
                of(signal * valid, np.nansum) / of(valid * np.isfinite(signal) / np.isfinite(signal), np.nansum),
                np.nan_to_num(of(np.where(np.isfinite(signal), valid, np.nan), np.nansum)),
            ),
            "domains": (of(inside, np.nanmean), sizes),
            "first": (of(inside, np.nanmean), sizes),
            "table": (of(thin[0], np.nansum) / of(thin[1], np.nansum), np.nan_to_num(of(thin[1], np.nansum))),
            "graph": (of(sparse, np.nanmean), np.nan_to_num(of(np.where(np.isfinite(sparse), 1.0, np.nan), np.nansum))),
        }[name]


NAMES = [re.search('name = "(.*)"', text)[1] for text in ALL]  # type: ignore[index]


@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")
@pytest.mark.parametrize("chrom", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_every_aggregation_is_that_of_its_bases(built: BuiltLabels, name: str, chrom: str) -> None:
    labels, valid, masked = grid(built, chrom)
    at = NAMES.index(name)
    by_hand, count = expected(name, chrom)
    np.testing.assert_array_equal(masked, unknown(chrom) | ((chrom == "chr2") & (np.arange(len(masked)) == 100)))
    np.testing.assert_allclose(labels[:, at], np.where(masked, np.nan, by_hand), rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(valid[:, at], count, rtol=1e-6)
    assert np.isfinite(labels[:, at]).any()


CLIP, SOFT, SCALE = 6.0, 3.0, 0.5


@pytest.mark.parametrize("mode", ["sum", "sum_sqrt", "mean", "mean_sqrt", "median", "max", "peak"])
def test_basenjis_pooling_modes(files: Path, genome: Path, tmp_path: Path, mode: str) -> None:
    """By facts/seed_systems.md 1.1: bases times scale, pooled, rooted, clipped softly, clipped hard."""
    depth = {chrom: np.abs(np.nan_to_num(bases)) for chrom, bases in SIGNAL.items()}
    write_bigwig_of(files / "depth.bw", depth)
    pooling, _, root = mode.partition("_")
    steps: list[dict[str, object]] = (
        [{"scale": SCALE}, {"kind": "power", "exponent": 0.5}] if root else [{"scale": SCALE}]
    )
    steps += [{"kind": "soft_clip", "threshold": SOFT}, {"kind": "clip", "low": -CLIP, "high": CLIP}]
    if pooling == "peak":
        # Of the scaled mean; a root comes out of four times it.
        steps = [{"scale": SCALE**0.5}, {"kind": "clip", "low": 0.0, "high": 1.0}]
        depth = {chrom: bases / 100 for chrom, bases in depth.items()}
        write_bigwig_of(files / "depth.bw", depth)
    made = track("depth", signal="depth.bw", aggregate=pooling, transform=steps)
    build_labels(load_recipe(recipe_file(files, genome, made)), tmp_path / "labels.zarr", processes=1)
    labels = BuiltLabels(tmp_path / "labels.zarr")
    pool = {"sum": np.sum, "mean": np.mean, "median": np.median, "max": np.max, "peak": np.mean}[pooling]
    for chrom, bases in depth.items():
        whole = len(bases) // BIN
        found, _, masked = grid(labels, chrom)
        pooled = pool(SCALE * bases[: whole * BIN].astype(np.float64).reshape(whole, BIN), axis=1)
        if root:
            pooled = -1 + np.sqrt(1 + pooled)
        if pooling == "peak":
            pooled = np.clip(np.sqrt(4 * pooled), 0, 1)
        else:
            pooled = np.where(pooled > SOFT, SOFT - 1 + np.sqrt(np.maximum(pooled - SOFT, 0) + 1), pooled)
            pooled = np.clip(pooled, -CLIP, CLIP)
        np.testing.assert_allclose(found[:whole, 0], np.where(masked[:whole], np.nan, pooled), rtol=1e-5)


def test_what_the_table_says(built: BuiltLabels) -> None:
    assert built.name == "small"
    assert built.chrom_sizes == SIZES
    assert [target.track.name for target in built.targets] == NAMES
    assert built.targets[NAMES.index("fraction")].unit_range == (0, 1)
    assert built.targets[NAMES.index("fraction")].sources == ("modified.bw", "valid.bw")
    values = np.array([100.0, 350.0])
    transform = built.targets[NAMES.index("scaled")].track.transform
    np.testing.assert_allclose(transform.inverse(values), values / 500)
    assert built.windows == ()


def test_info_says_what_a_label_set_is(built: BuiltLabels, cli: Callable[..., Result]) -> None:
    shown = cli("info", built.path)
    assert shown.exit_code == 0
    assert "  grid         chr2, chr10\n  windows      none\n" in shown.output
    assert "  track        fraction: z, fraction of modified.bw, valid.bw\n" in shown.output
    facts = json.loads(cli("info", built.path, "--json").output)
    assert [track["name"] for track in facts["tracks"]] == NAMES
    assert facts["digest"] == built.digest


def test_processes_and_pieces_make_no_difference(built: BuiltLabels, files: Path, genome: Path, tmp_path: Path) -> None:
    recipe = load_recipe(recipe_file(files, genome, *ALL, head="[mask]\nblacklist = ['bad.bed']"))
    build_labels(recipe, tmp_path / "again.zarr", processes=1)
    for chrom in SIZES:
        for one, other in zip(grid(built, chrom), grid(BuiltLabels(tmp_path / "again.zarr"), chrom), strict=True):
            np.testing.assert_array_equal(one, other)


WINDOWS = (
    ("chr2", 300_123, "train"),
    ("chr10", -5_000, "valid"),
    ("chr2", 1_900_017, "test"),
    ("chr10", 60_000, "train"),
)


@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")
def test_given_windows_lie_off_the_grid(files: Path, genome: Path, tmp_path: Path) -> None:
    bed = files / "windows.bed"
    # A BED file cannot hold the negative start; the published windows have none either.
    rows = [(chrom, max(start, 0), fold) for chrom, start, fold in WINDOWS] * 5
    bed.write_text("".join(f"{chrom}\t{start}\t{start + INPUT}\t{fold}\n" for chrom, start, fold in rows))
    out = tmp_path / "rows.zarr"
    build_labels(load_recipe(recipe_file(files, genome, *ALL, head='windows = "windows.bed"')), out, processes=1)
    labels = open_labels(out)
    assert isinstance(labels, BuiltLabels)
    assert labels.grid_chroms == ()
    assert [(row.chrom, row.start, row.fold) for row in labels.windows] == rows
    rows_wanted = np.array([17, 0, 2, 3])
    bins, whole = labels.labels(rows_wanted, "bins"), labels.labels(rows_wanted, "window")
    coverage = labels.coverage(rows_wanted, "window")
    assert bins.shape == (4, BINS, len(NAMES))
    assert whole.shape == (4, 1, len(NAMES))
    assert coverage is not None
    assert np.isnan(coverage[..., NAMES.index("mean")]).all()
    for place, row in enumerate(rows_wanted):
        chrom, start, _ = rows[row]
        origin = start + FLANK
        signal, counts, valid = SIGNAL[chrom], COUNTS[chrom], VALID[chrom]
        known = np.ones(BINS, bool)
        if chrom == "chr2":
            starts = origin + BIN * np.arange(BINS)
            ends = np.minimum(starts + BIN, SIZES[chrom])
            hole = np.maximum(np.minimum(ends, HOLE[1]) - np.maximum(starts, HOLE[0]), 0)
            known = ends - starts - hole >= BIN // 2
        means = np.where(known, binned(signal, np.nanmean, BINS, origin), np.nan)
        np.testing.assert_allclose(bins[place, :, 0], means, rtol=2e-6, atol=2e-6)
        bases = np.repeat(known, BIN)
        end = min(origin + BINS * BIN, SIZES[chrom])
        inside = slice(origin, end)
        bases = bases[: end - origin]
        # Of a window, modified over valid calls of all its bases, and the mean of all its bases.
        fraction = np.nansum(counts[inside][bases]) / np.nansum(valid[inside][bases])
        enough = np.isfinite(bins[place, :, NAMES.index("fraction")]).mean() >= 0.25
        np.testing.assert_allclose(whole[place, 0, NAMES.index("fraction")], fraction if enough else np.nan, rtol=1e-5)
        mean = np.nanmean(signal[inside][bases].astype(float)) if np.isfinite(means).mean() >= 0.25 else np.nan
        np.testing.assert_allclose(whole[place, 0, 0], mean, rtol=1e-5, atol=1e-6)
        linear = np.nanmean(np.exp2(signal[inside][bases].astype(float))) if np.isfinite(mean) else np.nan
        np.testing.assert_allclose(whole[place, 0, NAMES.index("log2")], 128 * linear, rtol=1e-5)


def test_windows_of_a_split_are_rows_of_the_grid(files: Path, genome: Path, tmp_path: Path) -> None:
    (files / "split.bed").write_text("chr2\t0\t900000\ttrain\nchr2\t900000\t1500000\tvalid\nchr10\t0\t400000\ttest\n")
    recipe = load_recipe(recipe_file(files, genome, *ALL, head='split = "split.bed"'))
    build_labels(recipe, tmp_path / "grid.zarr", processes=1)
    labels = BuiltLabels(tmp_path / "grid.zarr", stride=BIN * 100)
    assert {row.fold for row in labels.windows} == {"train", "valid"}  # the test block is too short to be scored
    rows = np.array([3, 40, len(labels.windows) - 1])
    bins, whole = labels.labels(rows, "bins"), labels.labels(rows, "window")
    for place, row in enumerate(rows):
        window = labels.windows[row]
        first = (window.start + FLANK) // BIN
        values, valid, _ = grid(labels, window.chrom)
        np.testing.assert_array_equal(bins[place], values[first : first + BINS])
        here = valid[first : first + BINS, 0].astype(float) * np.isfinite(bins[place, :, 0])
        pooled = np.nansum(bins[place, :, 0] * here) / here.sum()
        np.testing.assert_allclose(whole[place, 0, 0], pooled, rtol=1e-5)


def test_a_finished_one_is_not_built_again(
    files: Path, genome: Path, tmp_path: Path, cli: Callable[..., Result]
) -> None:
    recipe, out = recipe_file(files, genome, *ALL[:2]), tmp_path / "labels.zarr"
    first = cli("labels", "build", recipe, "-o", out, "--processes", 1)
    assert first.exit_code == 0, first.output
    assert re.search(r"wrote .*labels\.zarr: 2 tracks, the grid of 2 chromosomes, in", first.output)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    again = cli("labels", "build", recipe, "-o", out)
    assert again.exit_code == 0
    assert "is there already, made of the same recipe and files" in again.output
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    other = recipe_file(files, genome, *ALL[:3])
    refused = cli("labels", "build", other, "-o", out)
    assert refused.exit_code == 2
    assert "is of another recipe or of other files" in refused.output
    assert cli("labels", "build", other, "-o", out, "--overwrite", "--processes", 1).exit_code == 0
    assert len(BuiltLabels(out).targets) == 3


def test_tables_whose_first_base_is_1(genome: Path, tmp_path: Path) -> None:
    (tmp_path / "calls.tsv").write_text("chr2\t1\t10\t0\nchr2\t128\t10\t0\nchr2\t129\t1\t0\n")
    (tmp_path / "calls.zero.cov").write_text("chr2\t127\t128\t100\t7\t0\nchr2\t128\t129\t100\t2\t0\n")
    columns = {"chrom": 1, "start": 2, "modified": 3, "unmodified": 4}
    recipe = recipe_file(
        tmp_path,
        genome,
        track("one", counts="calls.tsv", columns=columns, zero_based=False),
        track("zero", counts="calls.tsv", columns=columns),
        track("bismark", counts="calls.zero.cov"),
        head='chroms = ["chr2"]',
    )
    build_labels(load_recipe(recipe), tmp_path / "labels.zarr", processes=1)
    valid = next(iter(BuiltLabels(tmp_path / "labels.zarr").pieces())).valid[:2]
    np.testing.assert_array_equal(valid, [[20, 10, 7], [1, 11, 2]])


@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")
def test_windows_of_the_grid_have_the_values_of_given_ones(files: Path, genome: Path, tmp_path: Path) -> None:
    """Also where a transform cuts off, and where a number stands for what is missing."""
    made = (
        track("cut", signal="signal.bw", transform={"kind": "clip", "high": 0.5}, window_transform={"scale": 1.0}),
        track("zeros", modified="modified.bw", valid="valid.bw", min_valid=20, missing=0.0),
        track("calls", signal="valid.bw", aggregate="sum", missing=0.0),
        track("log2", signal="signal.bw", stored="log2", transform={"kind": "exp2"}),
    )
    (files / "split.bed").write_text("chr2\t0\t1500000\ttrain\n")
    build_labels(load_recipe(recipe_file(files, genome, *made, head='split = "split.bed"')), tmp_path / "grid.zarr")
    grid_set = BuiltLabels(tmp_path / "grid.zarr")
    rows = "".join(f"{row.chrom}\t{row.start}\t{row.end}\t{row.fold}\n" for row in grid_set.windows)
    (files / "same.bed").write_text(rows)
    build_labels(load_recipe(recipe_file(files, genome, *made, head='windows = "same.bed"')), tmp_path / "rows.zarr")
    row_set = BuiltLabels(tmp_path / "rows.zarr")
    every = np.arange(len(grid_set.windows))
    for scope in ("bins", "window"):
        np.testing.assert_allclose(grid_set.labels(every, scope), row_set.labels(every, scope), rtol=1e-6)
    assert np.nanmax(grid_set.labels(every, "bins")[..., 0]) == 0.5


def test_two_builds_of_one_label_set(files: Path, genome: Path, tmp_path: Path) -> None:
    recipe, out = recipe_file(files, genome, *ALL), tmp_path / "labels.zarr"
    slow = (
        "import time\nfrom tracks.labels.arrays import LabelArrays\nwrite = LabelArrays.write\n"
        "LabelArrays.write = lambda self, *given: (time.sleep(1), write(self, *given))\n"
    )
    words = command_line("labels", "build", recipe, "-o", out, "--processes", 1, before=slow)
    with subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        while not (tmp_path / "labels.zarr.partial").exists():
            assert process.poll() is None
            time.sleep(0.02)
        with pytest.raises(TracksError, match="another process is building"):
            build_labels(load_recipe(recipe_file(files, genome, ALL[0])), out, processes=1)
        assert process.wait() == 0
    assert [path.name for path in tmp_path.iterdir()] == ["labels.zarr"]
    assert len(BuiltLabels(out).targets) == len(ALL)


def test_what_is_no_label_set_is_not_replaced(files: Path, genome: Path, tmp_path: Path) -> None:
    recipe = load_recipe(recipe_file(files, genome, ALL[0]))
    (tmp_path / "mine.zarr").mkdir()
    (tmp_path / "mine.zarr/precious").touch()
    (tmp_path / "other.zarr.partial").mkdir()
    (tmp_path / "other.zarr.partial/precious").touch()
    with pytest.raises(UsageError, match="is no label set"):
        build_labels(recipe, tmp_path / "mine.zarr", processes=1, overwrite=True)
    with pytest.raises(UsageError, match="is in the way"):
        build_labels(recipe, tmp_path / "other.zarr", processes=1)
    assert (tmp_path / "mine.zarr/precious").exists()
    assert (tmp_path / "other.zarr.partial/precious").exists()


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("chr2\t0\t3000000\ttrain\n", r"its block chr2:1-3,000,000 is of another genome: chr2 has 2,000,050 bases"),
        ("chr2\t0\t1000\tteach\n", "line 1: it needs chromosome, start, end, train"),
        ("chr2\t0\t1000\ttrain\nchr7\t0\t9\tvalid\n", "chr7 is not in the genome"),
    ],
)
def test_splits_of_another_genome(files: Path, genome: Path, tmp_path: Path, split: str, message: str) -> None:
    (files / "split.bed").write_text(split)
    with pytest.raises(UsageError, match=message):
        build_labels(load_recipe(recipe_file(files, genome, ALL[0], head='split = "split.bed"')), tmp_path / "l.zarr")
    assert not list(tmp_path.iterdir())


def test_a_split_of_ensembl_names(files: Path, genome: Path, tmp_path: Path) -> None:
    (files / "split.bed").write_text("2\t0\t1500000\ttrain\n")
    recipe = load_recipe(recipe_file(files, genome, ALL[0], head='split = "split.bed"'))
    build_labels(recipe, tmp_path / "l.zarr", processes=1)
    assert {row.chrom for row in BuiltLabels(tmp_path / "l.zarr").windows} == {"chr2"}


def test_a_process_builds_again_what_has_changed(files: Path, genome: Path, tmp_path: Path) -> None:
    recipe = recipe_file(tmp_path, genome, track("steps", signal="steps.bw"))
    for value in (1, 2):
        bases = {chrom: np.full(length, value, np.float32) for chrom, length in SIZES.items()}
        write_bigwig_of(tmp_path / "steps.bw", bases)
        build_labels(load_recipe(recipe), tmp_path / "labels.zarr", processes=1, overwrite=True)
        labels, _, masked = grid(BuiltLabels(tmp_path / "labels.zarr"), "chr2")
        assert (labels[~masked] == value).all()


def test_a_killed_build_goes_on(files: Path, genome: Path, tmp_path: Path) -> None:
    recipe, out = recipe_file(files, genome, *ALL), tmp_path / "labels.zarr"
    slow = (
        "import time\nfrom tracks.labels.arrays import LabelArrays\nwrite = LabelArrays.write\n"
        "LabelArrays.write = lambda self, *given: (time.sleep(1), write(self, *given))\n"
    )
    words = command_line("labels", "build", recipe, "-o", out, "--processes", 1, before=slow)
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    partial = tmp_path / "labels.zarr.partial"
    while not list(partial.glob("grid/*/mask/c/*")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    kept = {path: path.stat().st_mtime_ns for path in partial.glob("grid/*/mask/c/*")}
    # What is left where a chunk or an array's description was being written.
    (partial / "grid/chr2/mask/c/1.5f2a.partial").touch()
    (partial / "grid/chr2/mask/zarr.json.77.partial").touch()
    prepared = {path.name for path in (partial / "prepared").iterdir()}
    said: list[str] = []
    counts: list[tuple[int, int]] = []
    build_labels(load_recipe(recipe), out, processes=1, say=said.append, progress=lambda *count: counts.append(count))
    assert f"{len(kept)} of 3 pieces were built already" in said
    assert counts[0] == (len(kept), 3)
    assert prepared
    for path, changed in kept.items():
        assert (out / path.relative_to(partial)).stat().st_mtime_ns == changed
    assert np.isfinite(grid(BuiltLabels(out), "chr10")[0][:, 0]).any()
    assert not list(out.rglob("*.partial"))


def test_all_problems_are_named_at_once(files: Path, genome: Path, tmp_path: Path, cli: Callable[..., Result]) -> None:
    elsewhere = {chrom: length + 1_000 for chrom, length in SIZES.items()}
    write_bigwig_of(files / "hg38.bw", {"chr2": SIGNAL["chr2"]}, elsewhere)
    (files / "notes.xyz").write_text("x")
    (files / "cut.bw").write_bytes((files / "signal.bw").read_bytes()[:3_000])
    tracks = [
        track("one", signal="signal.bw"),
        track("two", signal="none.bw"),
        track("three", signal="hg38.bw"),
        track("four", intervals="notes.xyz"),
        track("five", signal="cut.bw"),
        track("six", signal="signal.bw", lift=["none.chain"]),
        track("seven", counts="domains.bed"),
        track("eight", signal="domains.bed"),
        track("nine", counts="calls.{chrom}.cov"),
    ]
    path = recipe_file(files, genome, *tracks, head='split = "no.bed"\n[mask]\nblacklist = ["away.bed"]')
    refused = cli("labels", "build", path, "-o", tmp_path / "labels.zarr")
    assert refused.exit_code == 2
    [line] = refused.output.splitlines()
    for problem in (
        "10 problems",
        "domains.bed: bed has no counts of calls (counts of 'seven')",
        "domains.bed: bed has no value",
        "calls.{chrom}.cov: a file for each chromosome is a bigWig",
        "no.bed (split)",
        "away.bed (mask)",
        "none.bw (signal of 'two')",
        f"its chr2 has {elsewhere['chr2']:,} bases, the genome's chr2 {SIZES['chr2']:,}",
        "notes.xyz: its name does not say what it holds",
        "cut.bw: it is a damaged or truncated bigWig file",
        "none.chain (lift of 'six')",
    ):
        assert problem in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "head", "message"),
    [
        (
            {"signal": "a.bw", "aggregate": "fraction"},
            "",
            "'t': the aggregation 'fraction' needs counts or modified and valid",
        ),
        ({}, "", "'t': the aggregation 'mean' needs signal, and the track names no file"),
        ({"signal": "a.bw", "colour": "red"}, "", "'t'.colour: Extra inputs are not permitted"),
        ({"signal": "a.bw", "transform": {"kind": "log"}}, "", "there is no transform 'log'; there are affine"),
        ({"signal": "a.bw", "transform": {"scale": 0}}, "", "finite scale other than 0"),
        ({"signal": "a.bw", "lift_by": "window start"}, "", "needs chain files"),
        ({"signal": "a.bw", "min_valid": 0}, "", "'t'.min_valid: Input should be greater than 0, found 0"),
        ({"signal": "a.bw"}, "grid = false", "there is nothing to build"),
        ({"signal": "a.bw"}, 'chroms = ["chr2", "chr10", "chr2"]', "chroms names chr2 twice"),
        ({"signal": "a.bw", "legacy": True}, "", "'t': legacy is a table of what differs"),
        ({"signal": "a.bw", "code": "m"}, "", "code goes with counts, and the track names signal"),
        ({"signal": "a.bw", "min_valid": 129}, "", "min_valid counts bases here, of which a bin has 128, found 129"),
        ({"signal": "a.bw", "stored": "log2", "uncovered": 5000.0}, "", "uncovered is a log2 here"),
        ({"signal": "a.bw", "aggregate": "median", "uncovered": 0.0}, "", "uncovered has no meaning"),
        ({"counts": "a.bed", "stored": "log2"}, "", "a log2 signal cannot be aggregated as 'fraction'"),
    ],
)
def test_recipes_that_cannot_be(tmp_path: Path, given: dict[str, object], head: str, message: str) -> None:
    path = recipe_file(tmp_path, tmp_path / "g.fa", track("t", **given), head=head)
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        load_recipe(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_recipes_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no label recipe"):
        load_recipe(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(UsageError, match="is not TOML"):
        load_recipe(tmp_path / "bad.toml")
    same = recipe_file(tmp_path, tmp_path / "g.fa", track("A b", signal="a.bw"), track("a-B", signal="b.bw"))
    with pytest.raises(UsageError, match="two tracks would both be written as 'a_b'"):
        load_recipe(same)


def test_a_label_set_that_is_none(tmp_path: Path, built: BuiltLabels) -> None:
    with pytest.raises(UsageError, match="make one with: tracks labels build"):
        open_labels(tmp_path / "none.zarr")
    (tmp_path / "half.zarr.partial").mkdir()
    with pytest.raises(UsageError, match="its build was not finished"):
        open_labels(tmp_path / "half.zarr")
    with pytest.raises(UsageError, match="a stride of 100 is no multiple of 128"):
        open_labels(built.path, stride=100)
    with pytest.raises(UsageError, match="windows of its own"):
        open_labels(built.path, tmp_path / "windows.bed")
    later = tmp_path / "later.zarr"
    later.mkdir()
    (later / "labels.json").write_text(json.dumps({"format_version": 99}))
    with pytest.raises(Exception, match="is of format version 99"):
        open_labels(later)
