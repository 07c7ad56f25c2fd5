"""The printed tables, with a stand-in: a small model whose own outputs are written as a table."""

from __future__ import annotations

import csv
import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from model.folder import load_model, save_model
from model.heads import AttentionConfig, ConvConfig, HeadSpec, LinearConfig, MaxPoolConfig
from model.network import Network
from model.predict import Predictor
from model.report.golden import PROBE, WINDOWS, read_golden, shipped_tables
from tests.model.conftest import TINY_TRUNK, write_fasta
from tracks.cli import main
from tracks.errors import TracksError, UsageError
from tracks.genome import Genome
from tracks.grid import INPUT
from tracks.track import Track

REFERENCE = Path(__file__).parents[4] / "shared" / "golden"
TRACKS = tuple(Track(f"track {t}", "x", f"cells {t}", "y", "#112233") for t in range(18))
STARTS = (("chr1", 1_000), ("chr1", 40_333), ("chr2", 7))
PROBED = ((0, 0), (0, 895), (17, 3), (4, 600))


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Folder of a model with all four kinds of heads (and one that was never printed), its genome, its tables."""
    folder = tmp_path_factory.mktemp("golden")
    rng = np.random.default_rng(1)
    sequence = {name: "".join(rng.choice(list("ACGT"), size)) for name, size in (("chr1", 250_000), ("chr2", 140_000))}
    fasta = write_fasta(folder / "genome.fa", sequence)
    links = ("identity",) * 18
    heads = (
        HeadSpec("probe", TRACKS, ("softplus",) * 18, LinearConfig(), half_embedding=True),
        HeadSpec("conv", TRACKS, links, ConvConfig(hidden=2)),
        HeadSpec("pool", TRACKS, links, MaxPoolConfig(hidden=3)),
        HeadSpec("attention", TRACKS, links, AttentionConfig(legacy=True, heads=2, feed_forward=8)),
        HeadSpec("of_our_own", TRACKS[:2], links[:2], MaxPoolConfig(hidden=3)),
    )
    torch.manual_seed(2)
    network = Network(TINY_TRUNK, heads)
    # Labels as the published probe gives them: a bias of about 30, and weights that the embedding moves by tens.
    network.heads["probe"].bias.data += 30
    network.heads["probe"].weight.data *= 100
    save_model(
        folder / "model", name="stand-in", trunk=TINY_TRUNK, heads=heads, weights=network.state_dict(), split="",
        training={},
    )  # fmt: skip
    names = ("probe", "conv", "pool", "attention", "of_our_own")
    predictor = Predictor(load_model(folder / "model", names), Genome(fasta), "cpu")
    tables = folder / "tables"
    tables.mkdir()
    with (tables / WINDOWS).open("w") as windows, (tables / PROBE).open("w") as probe:
        windows.write("\t".join(["model", "row", "chrom", "start", "end", *(f"t{t}" for t in range(18))]) + "\n")
        probe.write("row\tchrom\tstart\tend\ttrack\tbin\tvalue\n")
        for row, (chrom, start) in enumerate(STARTS):
            labels = predictor.labels(chrom, start)
            place = f"{row}\t{chrom}\t{start}\t{start + INPUT}"
            for printed, head in (("conv_perceptron", "conv"), ("maxpool", "pool"), ("transformer", "attention")):
                windows.write("\t".join([printed, place, *(f"{label:.4f}" for label in labels[head][0])]) + "\n")
            probe.writelines(f"{place}\t{t}\t{b}\t{labels['probe'][b, t]:.4f}\n" for t, b in PROBED)
    return folder / "model", fasta, tables


def run(model: Path, genome: Path, tables: Path | None) -> Result:
    words = ["evaluate", "golden", "--model", str(model), "--genome", str(genome), "--device", "cpu"]
    return CliRunner().invoke(main, [*words, *(["--golden", str(tables)] if tables else [])])


def test_a_model_passes_its_own_table(stand_in: tuple[Path, Path, Path]) -> None:
    result = run(*stand_in)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["pass"] * 4
    heads = {line.split("'")[1]: int(line.split(": ")[1].split()[0].replace(",", "")) for line in lines}
    assert heads == {"attention": 54, "conv": 54, "pool": 54, "probe": 12}


@pytest.mark.parametrize(("name", "head", "track"), [(WINDOWS, "pool", 7), (PROBE, "probe", 17)])
def test_a_number_off_by_more_than_it_may_is_found(
    stand_in: tuple[Path, Path, Path], tmp_path: Path, name: str, head: str, track: int
) -> None:
    model, genome, tables = stand_in
    shutil.copytree(tables, tmp_path / "tables")
    path = tmp_path / "tables" / name
    with path.open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    if name == WINDOWS:
        (row,) = (row for row in rows if (row["model"], row["row"]) == ("maxpool", "2"))
        column = f"t{track}"
    else:
        (row,) = (row for row in rows if (row["row"], row["track"]) == ("2", str(track)))
        column = "value"
    row[column] = f"{float(row[column]) + 0.05:.4f}"
    with path.open("w") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    result = run(model, genome, tmp_path / "tables")
    assert result.exit_code == 1
    (failed,) = (line for line in result.stdout.splitlines() if line.startswith("FAIL"))
    assert f"head '{head}'" in failed
    assert f"row 2, chr2:8, track {track}, bin {0 if name == WINDOWS else 3}" in failed
    assert float(failed.split("largest deviation ")[1].split()[0]) == pytest.approx(0.05, abs=2e-4)
    assert result.stderr.splitlines()[-1] == f"tracks: error: 1 of 4 heads differ from what was printed: {head}"


def test_another_activation_fails(stand_in: tuple[Path, Path, Path], tmp_path: Path) -> None:
    """The variants of GELU are what the comparison is there to tell apart."""
    model, genome, tables = stand_in
    shutil.copytree(model, tmp_path / "model")
    text = (tmp_path / "model/model.json").read_text()
    assert '"gelu": "tanh"' in text
    (tmp_path / "model/model.json").write_text(text.replace('"gelu": "tanh"', '"gelu": "sigmoid"'))
    result = run(tmp_path / "model", genome, tables)
    assert result.exit_code == 1
    assert "FAIL  head 'probe'" in result.stdout


def test_another_genome_or_model_is_one_line(stand_in: tuple[Path, Path, Path], tmp_path: Path) -> None:
    model, genome, tables = stand_in
    short = write_fasta(tmp_path / "short.fa", {"chr1": "ACGT" * 30_000, "chr2": "ACGT" * 40_000})
    headless = tmp_path / "headless"
    shutil.copytree(model, headless)
    for head in ("probe", "conv", "pool", "attention"):
        shutil.rmtree(headless / "heads" / head)
    for found, words in (
        (run(model, genome, None), "lacks chr10, chr11, chr14, chr19, chr3, chrX: the printed windows are of hg38"),
        (run(model, short, tables), "ends before the printed window chr1:1,001-132,072"),
        (run(headless, genome, tables), "has no head of the published kinds with 18 tracks"),
        (run(model, genome, tmp_path), f"holds neither {WINDOWS} nor {PROBE}"),
    ):
        assert found.exit_code == 2
        assert words in found.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (PROBE, "row\tchrom\n1\tchr1\n", "line 2: it is not as the printed tables are"),
        (PROBE, f"row\tchrom\tstart\tend\ttrack\tbin\tvalue\n1\tchr1\t0\t{INPUT}\t18\t0\t1\n", "no track 18"),
        (WINDOWS, "model\trow\tchrom\tstart\tend\nmaxpool\t1\tchr1\t0\t5\n", "a window has 131,072 bases"),
    ],
)
def test_a_wrong_table_is_named(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(TracksError, match=words):
        read_golden(tmp_path)


def test_the_shipped_tables_are_the_published_numbers() -> None:
    printed = read_golden(shipped_tables())
    counts = {head: sum(one.head == head for one in printed) for head in {one.head for one in printed}}
    assert counts == {"conv_perceptron": 360, "maxpool": 360, "transformer": 360, "linear probe": 720}
    first = [one for one in printed if (one.row, one.track, one.bin) == (36234, 0, 0)]
    assert {one.head: one.label for one in first} == {
        "conv_perceptron": 185.1219, "maxpool": 187.6417, "transformer": 192.1179, "linear probe": 185.484,
    }  # fmt: skip
    if REFERENCE.exists():
        assert read_golden(REFERENCE) == printed
    assert dataclasses.astuple(printed[0])[1:4] == (36234, "chr10", 37_555_537)
    with pytest.raises(UsageError, match="holds neither"):
        read_golden(Path(__file__).parent)
