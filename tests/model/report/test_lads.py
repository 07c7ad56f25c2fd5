"""LADs by bin against counting base by base, and the published BED files where they are."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pysam
import pytest
from scipy import stats

from model.report.lads import NO_LAD, OTHER, T1, T2, LadScores, read_lads
from model.report.levels import TOLERANCE, fit_levels
from model.report.roc import auroc_of
from tracks.errors import TracksError, UsageError
from tracks.grid import BIN, BINS, FLANK

REFERENCE = Path(__file__).parents[4] / "shared" / "reference"

BED = (
    "track name=lads\n"
    "chr1\t10000\t30064\tT1LAD1\t0\t+\n"
    "chr1\t30064\t30100\tT2LAD1\t0\t+\n"
    "chr1\t60001\t60129\tT2LAD2\t0\t+\n"
    "chr1\t60100\t70000\tlamina\t0\t+\n"
    "chr1\t500000\t500064\tT1LAD2\t0\t+\n"
)


def classes_by_base(path: Path, chrom: str, start: int) -> np.ndarray:
    """The class of each bin, from an array of every base."""
    length = 1_000_000
    depth = np.zeros((4, length), bool)
    for line in path.read_text().splitlines()[1:]:
        name, first, last, kind, *_ = line.split("\t")
        if name == chrom:
            index = T1 if kind.startswith("T1") else T2 if kind.startswith("T2") else OTHER
            depth[index, int(first) : int(last)] = True
    found = []
    for bin_start in range(start + FLANK, start + FLANK + BIN * BINS, BIN):
        own = depth[:, bin_start : bin_start + BIN]
        found.append(int(own.sum(axis=1).argmax()) if own.any(axis=0).sum() >= BIN / 2 else NO_LAD)
    return np.array(found)


@pytest.mark.parametrize("start", [0, 1, 63, 1_856, 4_321, 440_000, 491_808, 491_809])
def test_a_bin_is_of_the_class_that_covers_half_of_it(tmp_path: Path, start: int) -> None:
    (tmp_path / "lads.bed").write_text(BED)
    domains = read_lads(tmp_path / "lads.bed")
    expected = classes_by_base(tmp_path / "lads.bed", "chr1", start)
    found = domains.of_windows("chr1", np.array([start, 800_000]))
    assert found[0].tolist() == expected.tolist()
    assert not found[1].any()
    assert not domains.of_windows("chr9", np.array([start])).any()
    assert domains.classes() == ("LAD", "T1 LAD", "T2 LAD")
    if start < 5_000:
        assert {T1, T2, OTHER} <= set(expected.tolist()) or start == 1_856


def test_plain_gzip_and_bgzip_are_read_alike(tmp_path: Path) -> None:
    plain, zipped, blocked = (tmp_path / name for name in ("a.bed", "b.bed.gz", "c.bed.gz"))
    plain.write_text(BED)
    zipped.write_bytes(gzip.compress(BED.encode()))
    pysam.tabix_compress(str(plain), str(blocked))
    start = np.array([4_000])
    first = read_lads(plain).of_windows("chr1", start)
    assert first.any()
    for path in (zipped, blocked):
        assert np.array_equal(read_lads(path).of_windows("chr1", start), first)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("chr1\t5\t2\tx\n", UsageError, "line 1: a LAD needs chromosome, start, end"),
        ("chr1\t0\t9\nchr1 7 9\n", UsageError, "line 2"),
        ("chr1\t-4\t9\n", UsageError, "line 1"),
        ("# nothing\n", UsageError, "holds no LADs"),
        ("\x1f\x8bnot gzip", TracksError, "cannot read the BED file"),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, text: str, error: type[TracksError], words: str) -> None:
    path = tmp_path / "lads.bed"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(error, match=words):
        read_lads(path)
    with pytest.raises(UsageError, match="there is no BED file"):
        read_lads(tmp_path / "absent.bed")


def test_roc_of_each_class_is_against_bins_in_no_lad(tmp_path: Path) -> None:
    (tmp_path / "lads.bed").write_text(BED)
    domains = read_lads(tmp_path / "lads.bed")
    rng = np.random.default_rng(1)
    starts = np.array([0, 1_000, 3_777])
    labels = rng.normal(size=(3, BINS)).astype(np.float32)
    model = rng.normal(size=(3, 1)).astype(np.float32)
    labels[1, 200:260] = np.nan
    scores = LadScores(domains, [fit_levels(labels.ravel()), fit_levels(model.ravel())], 2)
    scores.add("chr1", starts[:2], [labels[:2], model[:2]], np.array([0, 0]))
    scores.add("chr1", starts[2:], [labels[2:], model[2:]], np.array([1]))
    classes = np.stack([classes_by_base(tmp_path / "lads.bed", "chr1", start) for start in starts])
    known = np.isfinite(labels)
    assert scores.without.tolist() == [60, 0]
    assert scores.bins - scores.counts[0].sum() == 60, "left out of every score, so that all are of the same bins"
    for index, values in enumerate((labels, np.broadcast_to(model, labels.shape))):
        for kind in (T1, OTHER):
            positive, negative = values[known & (classes == kind)], values[known & (classes == NO_LAD)]
            exact = stats.mannwhitneyu(positive, negative).statistic / len(positive) / len(negative)
            counts = scores.counts[index].sum(axis=0)
            assert auroc_of(counts[kind], counts[NO_LAD]) == pytest.approx(exact, abs=TOLERANCE)
            assert scores.counts[index, 1, kind].sum() == (known & (classes == kind))[2].sum()


@pytest.mark.skipif(not (REFERENCE / "sequences.bed").exists(), reason="the published BED files are not here")
@pytest.mark.parametrize(
    ("name", "covered"),
    [
        ("GSM5669183_CardiacMyocytes_LADs.sorted.bed.gz", (0.660, 0.723, 0.659)),
        ("GSM5669232_Liver_LADs.sorted.bed.gz", (0.806, 0.841, 0.780)),
    ],
)
def test_published_lads_cover_what_was_counted_independently(name: str, covered: tuple[float, ...]) -> None:
    """The mean covered fraction of the published windows, per fold (facts/cs282a.md section 7.2)."""
    domains = read_lads(REFERENCE / name)
    assert domains.classes() == ("LAD", "T1 LAD", "T2 LAD")
    windows = [line.split("\t") for line in (REFERENCE / "sequences.bed").read_text().splitlines()]
    for fold, expected in zip(("train", "valid", "test"), covered, strict=True):
        own = [(chrom, int(start)) for chrom, start, _, kind in windows if kind == fold]
        inside = 0
        for chrom in {chrom for chrom, _ in own}:
            starts = np.array([start for other, start in own if other == chrom])
            inside += np.count_nonzero(domains.of_windows(chrom, starts))
        assert inside / len(own) / BINS == pytest.approx(expected, abs=0.0006)
