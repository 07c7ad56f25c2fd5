"""An evaluation from end to end, through the command: a small project and model, HDF5 files of the published layout."""

from __future__ import annotations

import base64
import csv
import dataclasses
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from scipy import stats

from model.folder import load_model, save_model
from model.heads import HeadSpec, LinearConfig, MaxPoolConfig
from model.network import Network
from model.predict import Predictor
from model.report.files import Inputs, evaluate_files
from model.report.golden import shipped_tables
from tests.model.conftest import TINY_TRUNK, write_fasta
from tracks.bigwig import Bins, write_bigwig
from tracks.catalogue import published_tracks
from tracks.cli import main
from tracks.errors import UsageError
from tracks.genome import Genome
from tracks.grid import BIN, BINS, FLANK, INPUT, WINDOW
from tracks.labels import open_labels, values
from tracks.track import Track

TRACKS = tuple(
    Track(name, assay, biosample, unit, color)
    for name, assay, biosample, unit, color in (
        ("LMNB1 liver", "ChIP", "liver", "log2 enrichment", "#1b6ca8"),
        ("LMNB1 heart", "ChIP", "heart", "log2 enrichment", "#d95f02"),
        ("CpG liver", "WGBS", "liver", "methylated fraction", "#2a9d8f"),
        ("Flat", "x", "liver", "y", "#8c6d1f"),
        ("Nowhere", "z", "liver", "y", "#6a4c93"),
    )
)
SPLIT = "chr1\t0\t1500000\ttrain\nchr1\t1500000\t2300000\tvalid\nchr1\t2300000\t5600000\ttest\nchr2\t0\t900000\ttest\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of two chromosomes, a model of two heads, and the labels and predictions of both as HDF5."""
    folder = tmp_path_factory.mktemp("evaluated")
    rng = np.random.default_rng(8)
    sizes = {"chr1": 5_600_000, "chr2": 900_000}
    sequence, signals = {}, {}
    for chrom, size in sizes.items():
        gc = 0.45 + 0.15 * np.sin(np.arange(size) / 90_000)
        strong = rng.random(size) < gc
        codes = np.where(strong, rng.integers(1, 3, size), 3 * rng.integers(0, 2, size))
        sequence[chrom] = np.frombuffer(b"ACGT", np.uint8)[codes].tobytes().decode()
        bins = -(-size // BIN)
        level = 1 - 2 * np.pad(strong, (0, -size % BIN)).reshape(bins, BIN).mean(axis=1)
        signals[chrom] = np.stack([level + 0.2 * rng.normal(size=bins) for _ in TRACKS], axis=1).astype(np.float32)
        signals[chrom][:, 2] = np.clip(0.5 + signals[chrom][:, 2], 0, 1)
        signals[chrom][rng.random(bins) < 0.4, 2] = np.nan
        signals[chrom][:, 3], signals[chrom][:, 4] = 0.25, np.nan
    write_fasta(folder / "genome.fa", sequence)
    (folder / "split.bed").write_text(SPLIT)
    entries = ""
    for at, track in enumerate(TRACKS):
        pieces = [Bins(chrom, 0, signal[:, at]) for chrom, signal in signals.items()]
        if track.name == "Nowhere":  # observed on a piece of the training block alone
            pieces = [Bins("chr1", 0, np.full(3_000, 0.5, np.float32))]
        write_bigwig(folder / f"{track.slug}.bw", sizes, pieces)
        entries += f'[[track]]\nname = "{track.name}"\nassay = "{track.assay}"\nbiosample = "{track.biosample}"\n'
        entries += f'unit = "{track.unit}"\ncolor = "{track.color}"\nobserved = "{track.slug}.bw"\n'
    (folder / "tracks.toml").write_text(f'name = "toy"\ngenome = "genome.fa"\nsplit = "split.bed"\n{entries}')
    (folder / "lads.bed").write_text(
        "chr1\t2500000\t3400010\tT1LAD1\nchr1\t3400010\t3700000\tT2LAD1\nchr2\t0\t450000\tT1LAD2\n"
    )

    torch.manual_seed(4)
    links = ("identity",) * len(TRACKS)
    heads = (HeadSpec("bins", TRACKS, links, LinearConfig()), HeadSpec("pool", TRACKS[:3], links[:3], MaxPoolConfig(3)))
    weights = Network(TINY_TRUNK, heads).state_dict()
    save_model(folder / "tiny", name="tiny", trunk=TINY_TRUNK, heads=heads, weights=weights, split=SPLIT, training={})
    return folder


def run(folder: Path, *words: str | Path) -> Result:
    options = ["--store", str(folder / "store"), "--device", "cpu"]
    return CliRunner().invoke(main, ["evaluate", *map(str, words), *options])


@pytest.fixture(scope="module")
def report(folder: Path) -> Path:
    result = run(
        folder, folder / "tiny", "--labels", folder / "tracks.toml", "--fold", "test", "-o", folder / "report",
        "--lads", f"LMNB1 liver={folder / 'lads.bed'}",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "test, tiny / bins, 128-bp bins: mean r of 3 tracks" in result.stdout
    return folder / "report"


@pytest.fixture(scope="module")
def table(report: Path) -> list[dict[str, str]]:
    with (report / "metrics.tsv").open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def find(table: list[dict[str, str]], **wanted: str) -> dict[str, str]:
    (row,) = (row for row in table if all(row[key] == value for key, value in {"versus": "", **wanted}.items()))
    return row


@pytest.fixture(scope="module")
def truth(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Observed and predicted of every test window, read and computed without the report: ``[windows, 896, tracks]``."""
    labels = open_labels(folder / "tracks.toml")
    rows = [row for row, window in enumerate(labels.windows) if window.fold == "test"]
    with Genome(folder / "genome.fa") as genome:
        predictor = Predictor(load_model(folder / "tiny", ["bins"]), genome, "cpu")
        predicted = [predictor.labels(labels.windows[row].chrom, labels.windows[row].start)["bins"] for row in rows]
    return values(labels, np.array(rows), "bins"), np.stack(predicted)


def test_figures_of_the_table_are_those_of_the_values(
    table: list[dict[str, str]], truth: tuple[np.ndarray, np.ndarray]
) -> None:
    observed, predicted = truth
    assert len(observed) > 20
    for at, track in enumerate(TRACKS[:3]):
        row = find(table, model="tiny", head="bins", track=track.name, chrom="all", resolution="128", metric="pearson")
        y, x = observed[..., at].ravel().astype(float), predicted[..., at].ravel().astype(float)
        known = np.isfinite(y)
        if at < 2:  # the mean of the other biosamples is compared on the same bins
            known &= np.isfinite(observed[..., 1 - at].ravel())
        assert int(row["n"]) == known.sum()
        assert float(row["value"]) == pytest.approx(stats.pearsonr(x[known], y[known]).statistic, abs=6e-5)
        row = find(table, model="tiny", head="bins", track=track.name, chrom="all", resolution="128", metric="spearman")
        assert float(row["value"]) == pytest.approx(stats.spearmanr(x[known], y[known]).statistic, abs=1e-3)
        if at < 2:
            continue
        row = find(
            table, model="tiny", head="bins", track=track.name, chrom="all", resolution="114688", metric="pearson"
        )
        y, x = observed[..., at].astype(float), np.where(np.isfinite(observed[..., at]), predicted[..., at], np.nan)
        assert float(row["value"]) == pytest.approx(
            stats.pearsonr(np.nanmean(x, axis=1), np.nanmean(y, axis=1)).statistic, abs=6e-5
        )


def test_baselines_stand_on_the_same_bins(table: list[dict[str, str]]) -> None:
    for resolution in ("128", "114688"):
        rows = [
            row
            for row in table
            if (row["track"], row["metric"], row["chrom"], row["resolution"], row["versus"])
            == ("LMNB1 liver", "pearson", "all", resolution, "")
        ]
        names = {"tiny", "GC", "CpG density", "ridge", "other biosamples", "track mean"}
        assert {row["model"] for row in rows} == names
        assert len({row["n"] for row in rows}) == 1
        gc = next(row for row in rows if row["model"] == "GC")
        assert float(gc["value"]) > 0.3, "the track is made of GC, whatever its sign"
        assert gc["baseline"] == "1"
    difference = find(
        table,
        model="tiny",
        head="bins",
        track="LMNB1 liver",
        chrom="all",
        resolution="128",
        metric="pearson",
        versus="GC",
    )
    assert float(difference["low"]) <= float(difference["value"]) <= float(difference["high"])


def test_flat_and_unseen_tracks_are_said_not_scored(table: list[dict[str, str]], report: Path) -> None:
    flat = find(table, model="tiny", head="bins", track="Flat", chrom="all", resolution="128", metric="pearson")
    assert (flat["value"], flat["reason"]) == ("", "the observed track is constant")
    nowhere = find(table, model="tiny", head="bins", track="Nowhere", chrom="all", resolution="128", metric="r2")
    assert (nowhere["value"], nowhere["n"]) == ("", "0")
    page = (report / "index.html").read_text()
    assert "Nowhere has no observed value in the test fold: it is excluded, not scored as zero." in page
    assert "the observed track is constant" in page


def test_pooled_figures_say_so_and_stand_beside_the_mean_predictor(table: list[dict[str, str]], report: Path) -> None:
    pooled = [row for row in table if row["track"].startswith("pooled over tracks")]
    assert pooled
    assert all(row["metric"].startswith("pooled ") for row in pooled)
    assert not [row for row in table if "pooled" in row["metric"] and row not in pooled]
    for metric in ("pooled pearson", "pooled spearman"):
        own = [row["model"] for row in pooled if row["metric"] == metric]
        assert own.count("track mean") == own.count("tiny") == 2
    text = re.sub(r"<[^>]+>", " ", (report / "index.html").read_text())
    assert text.index("Correlation pooled over tracks, beside the mean-predictor") < text.index("pooled pearson")


def test_lads_and_differences_are_rows_with_their_prevalence(
    table: list[dict[str, str]], truth: tuple[np.ndarray, np.ndarray], folder: Path
) -> None:
    windows = [window for window in open_labels(folder / "tracks.toml").windows if window.fold == "test"]
    bins = np.array([window.start for window in windows])[:, None] + FLANK + BIN * np.arange(BINS) + BIN // 2
    first = np.array([window.chrom == "chr1" for window in windows])[:, None]
    t1 = np.where(first, (bins >= 2_500_000) & (bins < 3_400_010), bins < 450_000)
    none = ~t1 & ~(first & (bins >= 3_400_010) & (bins < 3_700_000))
    for model, score in (("labels", truth[0][..., 0]), ("tiny", truth[1][..., 0])):
        exact = stats.mannwhitneyu(score[t1], score[none]).statistic / t1.sum() / none.sum()
        found = [r for r in table if r["model"] == model and r["metric"] == "auroc: T1 LAD of lads.bed"]
        assert float(found[0]["value"]) == pytest.approx(exact, abs=1e-3)
        assert int(found[0]["n"]) == t1.sum() + none.sum()
    prevalence = find(table, model="prevalence", metric="auprc: T1 LAD of lads.bed")
    assert float(prevalence["value"]) == pytest.approx(t1.sum() / (t1.sum() + none.sum()), abs=1e-4)
    differential = [row for row in table if row["track"] == "LMNB1 liver - LMNB1 heart" and row["model"] == "tiny"]
    assert {row["metric"] for row in differential} == {
        f"{metric}: higher in liver than in heart" for metric in ("auroc", "auprc")
    }
    liver, heart = np.nanmean(truth[0][..., 0], axis=1), np.nanmean(truth[0][..., 1], axis=1)
    higher = (liver - liver.mean()) / liver.std() > (heart - heart.mean()) / heart.std()
    predicted = truth[1].mean(axis=1)
    score = predicted[:, 0] / liver.std() - predicted[:, 1] / heart.std()
    exact = stats.mannwhitneyu(score[higher], score[~higher]).statistic / higher.sum() / (~higher).sum()
    row = next(r for r in differential if r["head"] == "bins" and r["metric"].startswith("auroc"))
    assert float(row["value"]) == pytest.approx(exact, abs=6e-5)


class _Page(HTMLParser):
    """What a page refers to, and its figures."""

    def __init__(self) -> None:
        super().__init__()
        self.figures: list[str] = []
        self.addresses: list[str] = []
        self.images: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += [given[name] or "" for name in ("src", "href", "action", "srcset") if name in given]
        if tag == "figure":
            self.figures.append(given["id"] or "")
        if tag == "img":
            self.images.append(given["src"] or "")
            assert given["alt"]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_one_file_with_every_figure(report: Path) -> None:
    text = (report / "index.html").read_text()
    page = _Page()
    page.feed(text)
    assert page.open == []
    assert page.figures == [
        "agreement-test", "specificity-test", "chromosomes-test-tiny-bins-bins", "chromosomes-test-tiny-pool-window",
        "scatter-bins-test-tiny-bins-bins", "scatter-windows-test-tiny-bins-bins",
        "scatter-windows-test-tiny-pool-window", "calibration-test", "roc-lads-test", "roc-differences-test",
        "profile-test-chr1", "profile-test-chr2",
    ]  # fmt: skip
    assert len(page.images) == len(page.figures)
    for address in page.addresses:
        kind, data = address.split(",", 1)
        assert kind in ("data:image/svg+xml;base64", "data:image/png;base64"), "nothing is asked for from elsewhere"
        image = base64.b64decode(data)
        assert image.startswith(b"\x89PNG") or b"<svg" in image
        assert b"<dc:date>" not in image
    outside = re.sub(r'"data:[^"]*"', "", text)
    assert not re.findall(r"(?:https?:)?//[a-z]|@import|url\(", outside)
    assert outside.count("class=made") == len(page.figures), "every figure says how it was made"
    assert "seed 1" in outside
    assert str(report.parent) not in outside
    assert len(text) < 4_000_000


def test_the_same_files_give_the_same_bytes(folder: Path, report: Path) -> None:
    again = run(
        folder, folder / "tiny", "--labels", folder / "tracks.toml", "-o", folder / "again",
        "--lads", f"LMNB1 liver={folder / 'lads.bed'}",
    )  # fmt: skip
    assert again.exit_code == 0, again.output
    for name in ("metrics.tsv", "index.html"):
        assert (folder / "again" / name).read_bytes() == (report / name).read_bytes(), name
    kept = run(folder, folder / "tiny", "--labels", folder / "tracks.toml", "-o", folder / "again")
    assert kept.exit_code == 2
    assert "exists already" in kept.stderr


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels and predictions of the published layout, 60 windows off the grid: no model, no genome."""
    folder = tmp_path_factory.mktemp("published")
    rng = np.random.default_rng(9)
    n = 60
    tracks = published_tracks("bins")
    level = rng.normal(size=(n, 1, 1)) + 0.3 * rng.normal(size=(n, BINS, 1)) + 0.4 * rng.normal(size=(n, BINS, 18))
    guess = level + 0.5 * rng.normal(size=level.shape)

    def labels(signal: np.ndarray) -> np.ndarray:
        units = [signal[..., t] * 0.3 if t < 12 else 0.5 + 0.1 * np.tanh(signal[..., t]) for t in range(18)]
        units = [3 + unit if "calls" in track.unit else unit for unit, track in zip(units, tracks, strict=True)]
        return np.stack([t.transform.forward(u) for t, u in zip(tracks, units, strict=True)], axis=-1).astype("f4")

    for name, signal, scope in (("labels", level, "bins"), ("probe", guess, "bins"), ("maxpool", guess, "window")):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            bins = labels(signal)
            if scope == "bins":
                file.create_dataset("128bp_bins", data=bins, chunks=(1, BINS, 18), compression="gzip")
            if name != "probe":
                window = bins.mean(axis=1, keepdims=True)
                window[..., [15, 17]] *= 0.01 * BINS / 10
                file.create_dataset("single_bin", data=window, chunks=(1, 1, 18), compression="gzip")
    rows = []
    for row in range(n):
        chrom, fold = ("chr14", "test") if row % 3 else ("chr2", "train" if row % 2 else "valid")
        start = 1_000_003 + 131_073 * row
        rows.append(f"{chrom}\t{start}\t{start + INPUT}\t{fold}\n")
    (folder / "w.bed").write_text("".join(rows))
    (folder / "lads.bed").write_text("chr14\t3000000\t5000000\tT1LAD1\n")
    return folder


def test_files_of_the_published_layout_are_scored_in_units(published: Path, tmp_path: Path) -> None:
    arguments = [published / "probe.h5", published / "maxpool.h5", "--labels", published / "labels.h5"]
    result = run(
        tmp_path, *arguments, "--windows", published / "w.bed", "-o", tmp_path / "out",
        "--pair", "HEK293,GM12878", "--lads", f"LMNB1 liver={published / 'lads.bed'}",
        "--replicate", published / "probe.h5",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    with (tmp_path / "out/metrics.tsv").open(newline="") as file:
        table = list(csv.DictReader(file, delimiter="\t"))
    tracks = published_tracks("bins")
    with h5py.File(published / "labels.h5") as labels, h5py.File(published / "probe.h5") as probe:
        test = [row for row in range(60) if row % 3]
        for t in (0, 14, 15):
            y = tracks[t].transform.inverse(labels["128bp_bins"][test, :, t].ravel().astype(float))
            x = tracks[t].transform.inverse(probe["128bp_bins"][test, :, t].ravel().astype(float))
            row = find(table, model="probe", track=tracks[t].name, chrom="all", resolution="128", metric="pearson")
            assert float(row["value"]) == pytest.approx(stats.pearsonr(x, y).statistic, abs=6e-5)
            row = find(table, model="probe", track=tracks[t].name, chrom="all", resolution="128", metric="r2")
            spread = ((y - y.mean()) ** 2).sum()
            assert float(row["value"]) == pytest.approx(1 - ((y - x) ** 2).sum() / spread, abs=6e-5)
            own = find(table, model="maxpool", track=tracks[t].name, chrom="all", resolution="114688", metric="pearson")
            with h5py.File(published / "maxpool.h5") as pool:
                windows = published_tracks("window")[t].transform
                y, x = (windows.inverse(f["single_bin"][test, 0, t].astype(float)) for f in (labels, pool))
            assert float(own["value"]) == pytest.approx(stats.pearsonr(x, y).statistic, abs=6e-5)
    replicate = find(table, model="replicate", track=tracks[3].name, chrom="all", resolution="128", metric="pearson")
    same = find(table, model="probe", track=tracks[3].name, chrom="all", resolution="128", metric="pearson")
    assert replicate["value"] == same["value"]
    assert replicate["baseline"] == "1"
    pairs = {row["track"] for row in table if row["metric"].startswith("auroc: higher in HEK293")}
    assert len(pairs) == 3, "mA, CpG methylation and calls each have both cell lines"
    page = (tmp_path / "out/index.html").read_text()
    assert "chr14: 40 test windows" in page
    assert "they need the sequence (--genome)" in page


def test_the_two_datasets_of_a_file_are_told_apart(published: Path, tmp_path: Path) -> None:
    arguments = [published / "labels.h5", "--labels", published / "labels.h5", "--windows", published / "w.bed"]
    result = run(tmp_path, *arguments, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "test, labels / 128bp_bins, windows: " in result.stdout
    assert "test, labels / single_bin, windows: mean r of 18 tracks 1.000" in result.stdout
    assert len(set(result.stdout.splitlines())) == len(result.stdout.splitlines())


def test_the_train_fold_only_by_name_and_with_a_warning(published: Path, tmp_path: Path) -> None:
    arguments = [published / "probe.h5", "--labels", published / "labels.h5", "--windows", published / "w.bed"]
    result = run(tmp_path, *arguments, "--fold", "train", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "warning: the train fold is what models were fitted on" in result.stderr
    assert "class=warning>warning: the train fold is what" in (tmp_path / "out/index.html").read_text()


def test_what_cannot_be_evaluated_is_one_line(folder: Path, published: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.h5"
    with h5py.File(short, "w") as file:
        file["128bp_bins"] = np.zeros((59, BINS, 18), np.float32)
    cut = tmp_path / "cut.h5"
    cut.write_bytes((published / "probe.h5").read_bytes()[:200_000])
    few = tmp_path / "few.h5"
    with h5py.File(few, "w") as file:
        file["128bp_bins"] = np.zeros((60, BINS, 3), np.float32)
    other = tmp_path / "other.fa"
    write_fasta(other, {"chr14": "ACGT" * 300_000, "chr2": "ACGT" * 300_000})
    overlapping = tmp_path / "overlapping"
    shutil.copytree(folder / "tiny", overlapping)
    (overlapping / "split.bed").write_text("chr1\t2300000\t4000000\ttrain\n")
    h5 = ["--labels", published / "labels.h5", "--windows", published / "w.bed"]
    toml = ["--labels", folder / "tracks.toml"]
    cases: list[tuple[list[str | Path], str]] = [
        ([short, *h5], "has 59 rows, and the BED file 60 windows"),
        ([cut, *h5], "truncated"),
        ([few, *h5], "predicts 3 tracks and does not say which"),
        ([tmp_path / "absent.h5", *h5], "there is no HDF5 file"),
        ([tmp_path / "absent", *toml], "is not a model folder"),
        ([folder / "tiny", *h5], "give --genome FASTA"),
        ([folder / "tiny", *h5, "--genome", other], "the labels are of another genome"),
        ([overlapping, *toml], "is not held out: model 'tiny' was trained on chr1:2,300,001-4,000,000"),
        ([published / "probe.h5", "--labels", published / "labels.h5"], "--windows sequences.bed"),
        ([folder / "tiny", "--head", "absent", *toml], "has no head 'absent'"),
        ([folder / "tiny", folder / "tiny", *toml], "two of the models are both named 'tiny / "),
        ([folder / "tiny", *toml, "--lads", "LMNB1 liver"], '--lads is "TRACK=FILE"'),
        ([folder / "tiny", *toml, "--lads", f"Absent={folder / 'lads.bed'}"], "--lads names the track 'Absent'"),
        ([folder / "tiny", *toml, "--pair", "liver,absent"], '--pair "liver,absent" names no two tracks'),
        ([folder / "tiny", *toml, "--pair", "liver"], '--pair is "A,B"'),
        ([folder / "tiny", *h5, "--genome", folder / "genome.fa"], "chr14"),
    ]
    for words, expected in cases:
        result = run(folder, *words, "-o", tmp_path / "out")
        assert result.exit_code in (1, 2), (words, result.output)
        assert expected in result.stderr.splitlines()[-1], (expected, result.stderr)
        assert result.stderr.splitlines()[-1].startswith("tracks: error: ")
        assert not (tmp_path / "out").exists()


def test_labels_and_predictions_must_share_a_track(folder: Path, published: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.toml"
    names.write_text((folder / "tracks.toml").read_text().replace('name = "', 'name = "other ', 9))
    shutil.copy(folder / "genome.fa", tmp_path)
    for path in [*folder.glob("*.bw"), folder / "split.bed"]:
        shutil.copy(path, tmp_path)
    with pytest.raises(UsageError, match="share no track by name: the labels have 'other LMNB1 liver'"):
        evaluate_files(Inputs((folder / "tiny",), names, device="cpu"))


def test_evaluate_and_golden_explain_themselves() -> None:
    for words, expected in (
        (["evaluate", "--help"], "Usage: main evaluate [OPTIONS] MODEL..."),
        (["evaluate", "golden", "--help"], "Usage: main evaluate golden [OPTIONS]"),
    ):
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0
        assert result.output.startswith(expected)
    missing = CliRunner().invoke(main, ["evaluate", "--labels", "x.toml", "-o", "y"])
    assert missing.exit_code == 2
    assert "Missing argument 'MODEL...'" in missing.output
    assert (shipped_tables() / "PROVENANCE.md").is_file()
    assert dataclasses.is_dataclass(Inputs)
    assert WINDOW == BIN * BINS
