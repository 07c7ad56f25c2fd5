"""Labels of files on another build, base by base through chains, against pyliftover; and the published 18 tracks."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import Result
from pyliftover import LiftOver

from tests.conftest import write_fasta
from tests.tracks.labels.measured import binned, recipe_file, track, write_bigwig_of
from tracks.catalogue import label_recipe, published_tracks
from tracks.errors import UsageError
from tracks.grid import BIN, BINS, FLANK, INPUT, WINDOW, bin_count
from tracks.labels import BuiltLabels, H5Labels
from tracks.labels.build import build_labels
from tracks.labels.recipe import load_recipe

# chrX on the old build goes to chrX with an insertion, a deletion and a part turned round; a part moves to chr14.
OLD, NEW = {"chrX": 300_000, "chr14": 280_000}, {"chrX": 301_000, "chr14": 280_000}
CHAIN = f"""\
chain 9000 chrX {OLD["chrX"]} + 1000 100300 chrX {NEW["chrX"]} + 2000 101000 1
50000 300 0
49000

chain 8000 chrX {OLD["chrX"]} + 110000 150000 chrX {NEW["chrX"]} - 120000 160000 2
40000

chain 7000 chrX {OLD["chrX"]} + 200000 210000 chr14 {NEW["chr14"]} + 270000 280000 3
10000

chain 6000 chr14 {OLD["chr14"]} + 0 270000 chr14 {NEW["chr14"]} + 0 270000 4
270000

chain 5000 chr14 {OLD["chr14"]} + 270000 271000 chrX {NEW["chrX"]} + 300000 301000 5
1000

"""


def steps(length: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = np.repeat(np.round(rng.gamma(2, 3, length // 60 + 1)), 60)[:length].astype(np.float32)
    values[rng.random(length // 1_000 + 1).repeat(1_000)[:length] < 0.3] = np.nan
    return values


def lifted_by_pyliftover(chain: Path, bases: dict[str, np.ndarray], inverted: bool = False) -> dict[str, np.ndarray]:
    """Each base's value at its one place on the new build; NaN where none, or several, come to a base."""
    lift = LiftOver(str(chain))
    new = {chrom: np.full(length, np.nan, np.float32) for chrom, length in NEW.items()}
    hits = {chrom: np.zeros(length, int) for chrom, length in NEW.items()}
    for chrom, values in bases.items():
        for at, value in enumerate(values.tolist()):
            places = lift.convert_coordinate(chrom, at)
            if places and len(places) == 1:
                where, position = places[0][:2]
                new[where][position] = value
                hits[where][position] += 1
    for chrom, counts in hits.items():
        new[chrom][counts != 1] = np.nan
    return new


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("chain") / "oldToNew.over.chain.gz"
    with gzip.open(path, "wt") as file:
        file.write(CHAIN)
    return path


def test_signals_counts_and_intervals_of_another_build(tmp_path: Path, chain: Path) -> None:
    signal = {chrom: steps(length, 1) for chrom, length in OLD.items()}
    write_bigwig_of(tmp_path / "signal.bw", signal)
    inside = {chrom: np.zeros(length, np.float32) for chrom, length in OLD.items()}
    inside["chrX"][30_000:140_000] = 1
    (tmp_path / "domains.bed").write_text("chrX\t30000\t90000\nX\t80000\t140000\n".replace("X\t8", "chrX\t8"))
    calls = {chrom: np.full(length, np.nan, np.float32) for chrom, length in OLD.items()}
    calls["chrX"][5_000:200_000:97] = 3
    rows = [f"X\t{at}\t{at + 1}\tm\t5\t+\t{at}\t{at + 1}\t0\t5\t60\t3\n" for at in range(5_000, 200_000, 97)]
    (tmp_path / "calls.bedmethyl").write_text("".join(rows))
    sizes = tmp_path / "new.chrom.sizes"
    sizes.write_text("".join(f"{chrom}\t{length}\n" for chrom, length in NEW.items()))
    recipe = recipe_file(
        tmp_path,
        sizes,
        track("signal", signal="signal.bw", lift=str(chain)),
        track("domains", intervals="domains.bed", lift=str(chain)),
        track("calls", counts="calls.bedmethyl", lift=str(chain)),
    )
    said: list[str] = []
    build_labels(load_recipe(recipe), tmp_path / "labels.zarr", processes=1, say=said.append)
    assert any(line.startswith("signal.bw: ") and "unmapped" in line for line in said)
    pieces = {piece.chrom: piece for piece in BuiltLabels(tmp_path / "labels.zarr").pieces()}
    new, reached = lifted_by_pyliftover(chain, signal), lifted_by_pyliftover(chain, inside)
    places = lifted_by_pyliftover(chain, calls)
    for chrom, length in NEW.items():
        bins = bin_count(length)
        labels, valid = pieces[chrom].labels, pieces[chrom].valid
        np.testing.assert_allclose(labels[:, 0], binned(new[chrom], np.nanmean, bins), rtol=1e-6)
        # Covered of what the lift reached: where nothing comes from the old build, nothing is known.
        np.testing.assert_allclose(labels[:, 1], binned(reached[chrom], np.nanmean, bins), rtol=1e-6)
        known = binned(np.where(np.isfinite(reached[chrom]), 1.0, np.nan), np.nansum, bins)
        np.testing.assert_array_equal(valid[:, 1], np.nan_to_num(known))
        assert np.isnan(labels[:, 1]).any() == (chrom == "chrX"), "all of chr14 is reached"
        calls_in = binned(places[chrom], np.nansum, bins)
        np.testing.assert_allclose(labels[:, 2], np.where(np.isfinite(calls_in), 0.6, np.nan), rtol=1e-6)
        np.testing.assert_allclose(valid[:, 2], np.nan_to_num(calls_in) / 3 * 5)


def test_an_alternative_contig_takes_no_part(tmp_path: Path) -> None:
    """It lies where its chromosome does, and would hide, or add to, what the chromosome has there."""
    sizes = {"chr1": 20_000}
    lines = [
        "chain 9 chr1 20000 + 0 20000 chr1 20000 + 0 20000 1\n20000\n\n",
        "chain 8 chr1_alt 5000 + 0 5000 chr1 20000 + 2000 7000 2\n5000\n\n",
    ]
    (tmp_path / "a.chain").write_text("".join(lines))
    old = {"chr1": 20_000, "chr1_alt": 5_000}
    for name, main, other in (("modified", np.nan, 10), ("valid", 1, 20)):
        bases = {"chr1": np.full(20_000, main, np.float32), "chr1_alt": np.full(5_000, other, np.float32)}
        if name == "modified":
            bases["chr1"][:1_000] = 1
        write_bigwig_of(tmp_path / f"{name}.bw", bases, old)
    (tmp_path / "new.chrom.sizes").write_text("chr1\t20000\n")
    made = track("fraction", modified="modified.bw", valid="valid.bw", lift="a.chain")
    recipe = recipe_file(tmp_path, tmp_path / "new.chrom.sizes", made)
    build_labels(load_recipe(recipe), tmp_path / "labels.zarr", processes=1)
    [piece] = BuiltLabels(tmp_path / "labels.zarr").pieces()
    expected = np.clip(1_000 - np.arange(157) * BIN, 0, BIN) / BIN
    np.testing.assert_allclose(piece.labels[:, 0], expected, rtol=1e-6)
    np.testing.assert_array_equal(piece.valid[:, 0], np.diff(np.minimum(np.arange(158) * BIN, sizes["chr1"])))


HG38 = {"chr14": 420_000, "chrX": 600_000, "chrY": 30_000}
V10 = {"chr14": 430_000, "chrX": 610_000}
V11 = {"chr14": 415_000, "chrX": 611_500}
TO_V10 = f"""\
chain 9000 chr14 {HG38["chr14"]} + 5000 200000 chr14 {V10["chr14"]} + 7000 202000 1
195000

chain 8000 chr14 {HG38["chr14"]} + 260000 420000 chr14 {V10["chr14"]} + 262000 422000 2
160000

chain 7000 chrX {HG38["chrX"]} + 0 600000 chrX {V10["chrX"]} + 9000 610000 3
100000 0 1000
500000

"""
TO_V11 = f"""\
chain 9000 chr14 {V10["chr14"]} + 0 414000 chr14 {V11["chr14"]} + 1000 415000 1
414000

chain 8000 chrX {V10["chrX"]} + 0 610000 chrX {V11["chrX"]} + 1500 611500 2
610000

"""
ROWS = [
    ("chr14", 1_000, "train"), ("chr14", 195_000, "train"), ("chrX", 90_000, "valid"), ("chr14", 290_000, "test"),
    ("chrX", 468_900, "test"), ("chr14", 20_130, "train"),
]  # fmt: skip
"""Row 1 starts where nothing lifts; row 3 would end just past the end of CHM13's chr14."""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, np.ndarray]]]:
    """The files of the published data set, small; and what their bases hold, by file name."""
    folder = tmp_path_factory.mktemp("cs282a")
    rng = np.random.default_rng(0)
    letters = np.frombuffer(b"ACGT", "S1")
    write_fasta(folder / "hg38.fa", {chrom: rng.choice(letters, n).tobytes().decode() for chrom, n in HG38.items()})
    (folder / "sequences.bed").write_text("".join(f"{c}\t{s}\t{s + INPUT}\t{fold}\n" for c, s, fold in ROWS))
    with gzip.open(folder / "hg38.t2t-chm13-v1.0.over.chain.gz", "wt") as file:
        file.write(TO_V10)
    (folder / "v1.0_to_v1.1_rdna_merged.chain").write_text(TO_V11)
    (folder / "labels.cs282a.toml").write_text(label_recipe("cs282a"))
    bases: dict[str, dict[str, np.ndarray]] = {}
    for entry in load_recipe(folder / "labels.cs282a.toml").track:
        for path in entry.files().values():
            if path.name in bases:
                continue
            dimelo = "{chrom}" in str(path)
            own = {c: steps(n, len(bases)) / (20 if not dimelo else 1) for c, n in (V11 if dimelo else HG38).items()}
            bases[path.name] = own
            if "_mod" in path.name:
                valid = path.name.replace("_mod", "_valid")
                bases[valid] = {c: values + (np.arange(len(values)) % 3 == 0) for c, values in own.items()}
            for name in [path.name, path.name.replace("_mod", "_valid")][: 2 if "_mod" in path.name else 1]:
                for chrom in V11 if dimelo else [""]:
                    file_path = Path(str(path.with_name(name)).replace("{chrom}", chrom))
                    file_path.parent.mkdir(parents=True, exist_ok=True)
                    write_bigwig_of(file_path, {chrom: bases[name][chrom]} if dimelo else bases[name])
    return folder, bases


def test_the_published_labels_quirk_for_quirk(
    published: tuple[Path, dict[str, dict[str, np.ndarray]]], tmp_path: Path, cli: Callable[..., Result]
) -> None:
    """By the formulas of facts/cs282a.md 3.3 and 3.4, in float64, with pyliftover."""
    folder, bases = published
    out, h5 = tmp_path / "published.zarr", tmp_path / "dataset.h5"
    recipe = folder / "labels.cs282a.toml"
    made = cli("labels", "build", recipe, "--recipe", "legacy", "-o", out, "--processes", 1)
    assert made.exit_code == 0, made.output
    assert cli("labels", "export", out, "--layout", "cs282a", "-o", h5).exit_code == 0
    first, second = (
        LiftOver(str(folder / "hg38.t2t-chm13-v1.0.over.chain.gz")),
        LiftOver(str(folder / "v1.0_to_v1.1_rdna_merged.chain")),
    )
    bins, single = np.zeros((len(ROWS), BINS, 18)), np.zeros((len(ROWS), 1, 18))
    entries = load_recipe(recipe).track
    for row, (chrom, start, _) in enumerate(ROWS):
        start += FLANK
        for at, entry in enumerate(entries[:12]):
            values = bases[entry.files()["signal"].name][chrom][start : start + WINDOW].astype(float)
            values = np.pad(values, (0, WINDOW - len(values)), constant_values=np.nan)
            bins[row, :, at] = (2 ** np.nan_to_num(values)).reshape(BINS, BIN).sum(axis=1)
            single[row, 0, at] = bins[row, :, at].sum() / 896
        at_v10 = first.convert_coordinate(chrom, start)
        at_v11 = second.convert_coordinate(*at_v10[0][:2]) if at_v10 else []
        if not at_v11:
            continue
        begin = at_v11[0][1]
        past = begin + WINDOW >= V11[chrom]
        for at, entry in enumerate(entries[12:], 12):
            files = entry.files()
            if past:
                single[row, 0, at] = np.nan if "calls" in entry.name else 0
                continue

            def of(name: str, chrom: str = chrom, begin: int = begin) -> np.ndarray:
                return np.nan_to_num(bases[name][chrom][begin : begin + WINDOW].astype(float)).reshape(BINS, BIN)

            with np.errstate(invalid="ignore"):
                if "calls" in entry.name:
                    total = of(files["signal"].name)
                    bins[row, :, at], single[row, 0, at] = 10 * total.sum(axis=1), 0.01 * total.sum()
                else:
                    modified, valid = of(files["modified"].name), of(files["valid"].name)
                    bins[row, :, at] = 500 * np.nan_to_num(modified.sum(axis=1) / valid.sum(axis=1))
                    single[row, 0, at] = 500 * np.nan_to_num(modified.sum() / valid.sum())
    with h5py.File(h5) as file:
        assert file["128bp_bins"].shape == (len(ROWS), BINS, 18)
        np.testing.assert_allclose(file["128bp_bins"][:], bins, rtol=2e-6)
        np.testing.assert_allclose(file["single_bin"][:], single, rtol=2e-6)
    assert (bins[1, :, 12:] == 0).all()
    assert np.isnan(single[3, 0, [15, 17]]).all()
    assert (bins[5, :, 12:] > 0).any(axis=0).all()
    # What is published can be told from what is missing, as far as that goes, by the reader of the published file.
    read = H5Labels(h5, folder / "sequences.bed", legacy=True)
    assert read.tracks("window") == published_tracks("window")


def test_the_published_tracks_as_they_are_meant(
    published: tuple[Path, dict[str, dict[str, np.ndarray]]], tmp_path: Path
) -> None:
    """Every base of CHM13 at its own place on hg38, and nothing where nothing is known."""
    folder, bases = published
    recipe = load_recipe(folder / "labels.cs282a.toml")
    build_labels(recipe, tmp_path / "fixed.zarr", processes=1)
    labels = BuiltLabels(tmp_path / "fixed.zarr")
    rows = labels.labels(np.arange(len(ROWS)), "bins")
    first, second = (
        LiftOver(str(folder / "hg38.t2t-chm13-v1.0.over.chain.gz")),
        LiftOver(str(folder / "v1.0_to_v1.1_rdna_merged.chain")),
    )
    for row in (1, 3):  # pyliftover takes two seconds a window
        chrom, start = ROWS[row][0], ROWS[row][1] + FLANK
        signal = bases["GSM5669183_CardiacMyocytes_rep1_LB1.bigwig"][chrom]
        expected = 128 * binned(np.exp2(signal.astype(float)), np.nanmean, BINS, start)
        np.testing.assert_allclose(rows[row, :, 0], expected, rtol=2e-6)
        modified, valid = (np.full(WINDOW, np.nan) for _ in range(2))
        for at in range(WINDOW):
            place = first.convert_coordinate(chrom, start + at)
            place = second.convert_coordinate(*place[0][:2]) if place else None
            if place:
                modified[at] = bases["hek293_dimelo_feb2022_{chrom}_bigwig_modCpG.bw"][chrom][place[0][1]]
                valid[at] = bases["hek293_dimelo_feb2022_{chrom}_bigwig_validCpG.bw"][chrom][place[0][1]]
        with np.errstate(invalid="ignore", divide="ignore"):
            fraction = 500 * binned(modified, np.nansum, BINS) / binned(valid, np.nansum, BINS)
        known = binned(valid, np.nansum, BINS) >= 1
        np.testing.assert_allclose(rows[row, :, 14], np.where(known, fraction, np.nan), rtol=2e-6)
    assert np.isnan(rows[1, :400, 12:]).all(), "nothing lifts there"
    assert np.isfinite(rows[3, :800, 14]).any(), "the end of CHM13 costs only what lies past it"


def test_a_lift_to_another_genome_than_the_recipe(tmp_path: Path, chain: Path) -> None:
    write_bigwig_of(tmp_path / "signal.bw", {chrom: steps(length, 1) for chrom, length in OLD.items()})
    sizes = tmp_path / "other.chrom.sizes"
    sizes.write_text("chrX\t999999\n")
    recipe = recipe_file(tmp_path, sizes, track("signal", signal="signal.bw", lift=str(chain)))
    with pytest.raises(UsageError, match=r"301,000.*999,999|999,999.*301,000"):
        build_labels(load_recipe(recipe), tmp_path / "labels.zarr", processes=1)
