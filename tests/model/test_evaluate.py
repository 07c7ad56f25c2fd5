"""Evaluation end to end on a small genome whose truth is known, and the command."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from scipy import stats

from model.baselines import WIDTHS
from model.card import Card, Score, card_from_json
from model.context import chromosome_counts
from model.evaluate import COVERED, HIGH, LOW, evaluate, evaluate_baselines
from model.folder import Model, load_model
from model.predict import Predictor, predict
from tests.conftest import write_fasta
from tracks.bigwig import Bins, read_bins, write_bigwig
from tracks.cli import main
from tracks.errors import UsageError
from tracks.genome import Genome
from tracks.observed import LEAST_OBSERVED
from tracks.project import Project, load_project
from tracks.regions import Region
from tracks.split import Block

SPLIT = (("train", 0, 1_000_000), ("valid", 1_000_000, 2_000_000), ("test", 2_000_000, 5_000_000))
FLANK = 131_072
ISLAND = 31_250
"""First of 10 bins of sequence with nothing for 150 kb around."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Project:
    """5 Mb whose GC drifts. "Methylation" is GC with noise; "LAD" is what the model itself says there, stretched to
    0 to 1, and is observed on the island too, where a model with context says nothing."""
    folder = tmp_path_factory.mktemp("evaluated")
    rng = np.random.default_rng(12)
    length = SPLIT[-1][2]
    gc = 0.45 + 0.15 * np.sin(np.arange(length) / 60_000)
    strong = rng.random(length) < gc
    codes = np.where(strong, rng.integers(1, 3, length), 3 * rng.integers(0, 2, length))
    codes[ISLAND * 128 - 150_000 : ISLAND * 128] = 4
    codes[(ISLAND + 10) * 128 : (ISLAND + 10) * 128 + 150_000] = 4
    bases = np.frombuffer(b"ACGTN", np.uint8)[codes].tobytes().decode()
    genome = Genome(write_fasta(folder / "genome.fa", {"chr1": bases}))
    counts = chromosome_counts(genome, "chr1")
    noise = rng.normal(scale=0.15, size=len(counts))
    methylation = np.clip(1.2 - 1.5 * (counts[:, 1] + counts[:, 2]) / 128 + noise, 0, 1).astype(np.float32)
    methylation[rng.random(len(methylation)) < 0.6] = np.nan
    pieces = predict(Predictor(model, genome, "cpu"), [Region("chr1", 0, length)])
    lad = np.concatenate([piece.values[:, 1] for piece in pieces])
    assert np.isnan(lad[ISLAND : ISLAND + 10]).all()
    lad = (lad - np.nanmin(lad)) / np.ptp(lad[np.isfinite(lad)])
    lad[ISLAND : ISLAND + 10] = 0.5
    write_bigwig(folder / "methylation.bw", genome.chrom_sizes, [Bins("chr1", 0, methylation)])
    write_bigwig(folder / "lad.bw", genome.chrom_sizes, [Bins("chr1", 0, lad)])
    (folder / "split.bed").write_text("".join(f"chr1\t{start}\t{end}\t{fold}\n" for fold, start, end in SPLIT))
    entries = [
        f'[[track]]\nname = "{name}"\nassay = "x"\nbiosample = "y"\nunit = "{unit}"\nsource = "made up"\n'
        f'color = "#112233"\nobserved = "{file}"\n'
        for name, unit, file in (
            ("Methylation", "methylated fraction", "methylation.bw"),
            ("LAD", "covered fraction", "lad.bw"),
        )
    ]
    (folder / "tracks.toml").write_text(
        'name = "toy"\ngenome = "genome.fa"\nsplit = "split.bed"\n' + "\n".join(entries)
    )
    return load_project(folder / "tracks.toml")


@pytest.fixture(scope="module")
def card(model: Model, project: Project) -> Card:
    return evaluate(model, project, "cpu")


def find(card: Card, track: str, fold: str, metric: str, resolution: int) -> Score:
    scores = next(one for one in card.tracks if one.name == track).scores
    (found,) = (s for s in scores if (s.fold, s.metric, s.resolution) == (fold, metric, resolution))
    return found


def bins_by_hand(project: Project, fold: str, pool: int, track: int, columns: list[np.ndarray]) -> np.ndarray:
    """Observed and the columns, averaged bin by bin in a plain loop over the scored part of a fold: ``[n, 1 + k]``."""
    start, end = next((start + FLANK, end - FLANK) for name, start, end in SPLIT if name == fold)
    path = project.track[track].observed
    assert path is not None
    observed = read_bins(path, Region("chr1", 0, SPLIT[-1][2]))
    rows = []
    for run in range(start // 128 // pool, end // 128 // pool + 1):
        inside = [b for b in range(run * pool, (run + 1) * pool) if start <= b * 128 and (b + 1) * 128 <= end]
        kept = [b for b in inside if all(np.isfinite(column[b]) for column in (observed, columns[0]))]
        if kept and len(kept) >= LEAST_OBSERVED * pool:
            rows.append([np.mean([column[b] for b in kept]) for column in (observed, *columns)])
    return np.array(rows)


@pytest.fixture(scope="module")
def predicted(project: Project, model: Model) -> np.ndarray:
    with Genome(project.genome) as genome:
        pieces = predict(Predictor(model, genome, "cpu"), [Region("chr1", 0, SPLIT[-1][2])])
        return np.concatenate([piece.values for piece in pieces]).astype(np.float64)


@pytest.mark.parametrize("resolution", [128, 4_096, 114_688])
def test_model_and_baseline_are_scored_on_the_very_same_bins(
    card: Card, project: Project, predicted: np.ndarray, resolution: int
) -> None:
    """The figures of the model and of GC, again from the files with plain loops, moving sums and scipy."""
    with Genome(project.genome) as genome:
        codes = genome.codes("chr1", 0, SPLIT[-1][2])
    full = np.pad(codes, (0, -len(codes) % 128), constant_values=4).reshape(-1, 128)
    score = find(card, "Methylation", "test", "pearson", resolution)
    width = int(score.baselines[0].detail.split()[1].replace(",", ""))
    assert width in WIDTHS
    window = np.ones(2 * (width // 256) + 1)
    strong = np.convolve(((full == 1) | (full == 2)).sum(axis=1), window)[len(window) // 2 :][: len(full)]
    known = np.convolve((full < 4).sum(axis=1), window)[len(window) // 2 :][: len(full)]
    with np.errstate(invalid="ignore"):
        gc = strong / known
    rows = bins_by_hand(project, "test", resolution // 128, 0, [predicted[:, 0], gc])
    assert score.bins == len(rows)
    assert score.model.value == pytest.approx(stats.pearsonr(rows[:, 0], rows[:, 1]).statistic, abs=6e-5)
    assert score.baselines[0].score.value == pytest.approx(
        -stats.pearsonr(rows[:, 0], rows[:, 2]).statistic, abs=6e-5 if resolution == 128 else 5e-3
    )
    rank = find(card, "Methylation", "test", "spearman", resolution)
    assert rank.model.value == pytest.approx(stats.spearmanr(rows[:, 0], rows[:, 1]).statistic, abs=6e-5)


def by_counting(score: np.ndarray, positive: np.ndarray) -> float:
    return float(stats.mannwhitneyu(score[positive], score[~positive]).statistic / positive.sum() / (~positive).sum())


def test_auroc_of_low_methylation_and_of_covered_bins(card: Card, project: Project, predicted: np.ndarray) -> None:
    observed, model = bins_by_hand(project, "test", 1, 0, [predicted[:, 0]]).T
    kept = (observed < LOW) | (observed > HIGH)
    found = find(card, "Methylation", "test", "low_auroc", 128)
    assert found.bins == kept.sum() < len(kept)
    assert found.model.value == pytest.approx(by_counting(-model[kept], observed[kept] < LOW), abs=6e-5)
    observed, model = bins_by_hand(project, "test", 32, 1, [predicted[:, 1]]).T
    found = find(card, "LAD", "test", "auroc", 4_096)
    assert found.model.value == pytest.approx(by_counting(model, observed >= COVERED), abs=6e-5)
    metrics = {(track.name, score.metric) for track in card.tracks for score in track.scores}
    assert metrics == {
        *(("Methylation", metric) for metric in ("pearson", "spearman", "low_auroc")),
        *(("LAD", metric) for metric in ("pearson", "spearman", "auroc")),
    }


def test_a_model_that_made_the_labels_scores_one(card: Card) -> None:
    lad = card.tracks[1]
    for score in lad.scores:
        if score.metric in {"pearson", "spearman"} and score.model.value is not None:
            assert score.model.value == pytest.approx(1.0, abs=1e-4)
    assert "chr1: better than composition at 128 bp, at 4,096 bp" in lad.verdict
    assert lad.source == "made up; lad.bw"


def test_a_label_made_of_composition_is_said_to_be_so(card: Card) -> None:
    ridge = find(card, "Methylation", "test", "pearson", 4_096).baselines[3]
    assert ridge.name == "ridge"
    assert ridge.score.value is not None
    assert ridge.score.value > 0.8
    assert "worse than composition at 128 bp, at 4,096 bp" in card.tracks[0].verdict


def test_bins_without_a_prediction_are_counted_and_not_scored(card: Card) -> None:
    assert find(card, "LAD", "test", "pearson", 128).unpredicted == 10
    assert find(card, "LAD", "valid", "pearson", 128).unpredicted == 0
    assert find(card, "Methylation", "test", "pearson", 128).unpredicted == 0


def test_what_cannot_be_scored_has_a_reason_and_no_number(card: Card) -> None:
    coarse = find(card, "LAD", "valid", "pearson", 114_688)
    assert coarse.model.value is None
    assert coarse.model.reason == f"only {coarse.bins} bins"
    assert all(baseline.score.value is None for baseline in coarse.baselines)
    few = find(card, "LAD", "valid", "pearson", 128)
    assert (few.blocks, few.block) == (2, 500_000)
    assert few.model.low is None
    assert few.model.reason == "no interval from 2 blocks"


def test_a_card_is_the_same_each_time(card: Card, model: Model, project: Project) -> None:
    seen: list[tuple[int, int]] = []
    again = evaluate(model, project, "cpu", progress=lambda done, total: seen.append((done, total)))
    assert again == card
    total = seen[-1][1]
    assert seen == [(done, total) for done in range(1, total + 1)]


def test_a_card_says_what_was_scored(card: Card, project: Project) -> None:
    assert card.split[2] == "chr1:2,000,001-5,000,000 test"
    with Genome(project.genome) as genome:
        assert card.genome == {"chr1": genome.digest("chr1")}
    assert card_from_json(json.loads(card.to_json())) == card


def test_baselines_alone_are_those_beside_the_model(card: Card, project: Project) -> None:
    """For methylation, that is: where every observed bin has a prediction."""
    alone = evaluate_baselines(project)
    for one, other in zip(alone.tracks[0].scores, card.tracks[0].scores, strict=True):
        assert one.model.value is None
        assert [b.score for b in one.baselines] == [b.score for b in other.baselines]
    assert alone.tracks[0].verdict == "Composition alone, without a model."
    assert alone.tracks[1].scores[0].bins == card.tracks[1].scores[0].bins


def test_observed_and_predicted_are_compared_in_the_unit_of_the_track(
    card: Card, model: Model, project: Project
) -> None:
    """The label transform of training has no part in it, not even one that turns the sign."""
    turned = tuple(entry.model_copy(update={"scale": -1.0, "offset": 1.0}) for entry in project.track)
    assert evaluate(model, project.model_copy(update={"track": turned}), "cpu").tracks == card.tracks


def test_a_track_never_observed_in_training_has_no_baseline(model: Model, project: Project, tmp_path: Path) -> None:
    values = np.random.default_rng(1).random(23_000).astype(np.float32)
    write_bigwig(tmp_path / "late.bw", {"chr1": SPLIT[-1][2]}, [Bins("chr1", 16_000, values)])
    late = project.track[0].model_copy(update={"observed": tmp_path / "late.bw"})
    found = evaluate(model, project.model_copy(update={"track": (late,)}), "cpu")
    assert all(score.baselines == () for score in found.tracks[0].scores)
    assert {score.fold for score in found.tracks[0].scores} == {"test"}
    assert "no verdict at 128 bp" in found.tracks[0].verdict


def test_chromosomes_are_scored_apart_and_together(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    sizes = {"chr1": 2_400_000, "chr2": 800_000}
    sequences = {name: "".join(rng.choice(list("ACGT"), size)) for name, size in sizes.items()}
    write_fasta(tmp_path / "genome.fa", sequences)
    (tmp_path / "split.bed").write_text(
        "chr1\t0\t800000\ttest\nchr1\t800000\t1600000\ttrain\nchr1\t1600000\t2400000\ttest\nchr2\t0\t800000\ttest\n"
    )
    pieces = [Bins(name, 0, rng.random(size // 128).astype(np.float32)) for name, size in sizes.items()]
    write_bigwig(tmp_path / "a.bw", sizes, pieces)
    (tmp_path / "tracks.toml").write_text(
        'name = "two"\ngenome = "genome.fa"\nsplit = "split.bed"\n[[track]]\nname = "A"\nassay = "x"\n'
        'biosample = "y"\nunit = "log2"\ncolor = "#112233"\nobserved = "a.bw"\n'
    )
    scores = evaluate_baselines(load_project(tmp_path / "tracks.toml")).tracks[0].scores
    assert {score.metric for score in scores} == {"pearson", "spearman"}
    fine = {score.part: score for score in scores if (score.metric, score.resolution) == ("pearson", 128)}
    assert list(fine) == ["chr1", "chr2", "chr1 + chr2"]
    one, two, both = fine.values()
    assert both.joined
    assert (one.blocks, two.blocks) == (4, 2), "bins at 0.13 to 0.67, 1.73 to 2.27, and 0.13 to 0.67 Mb"
    assert (both.bins, both.blocks) == (one.bins + two.bins, one.blocks + two.blocks)


def test_what_cannot_be_evaluated_is_refused(model: Model, project: Project, tmp_path: Path) -> None:
    other = project.model_copy(update={"track": (project.track[0].model_copy(update={"name": "Other"}),)})
    with pytest.raises(UsageError, match=r"observes none of the model's tracks \(Methylation, LAD\)"):
        evaluate(model, other, "cpu")
    nothing = project.model_copy(update={"track": (project.track[0].model_copy(update={"observed": None}),)})
    with pytest.raises(UsageError, match="observes no target track"):
        evaluate_baselines(nothing)
    with pytest.raises(UsageError, match="names no split"):
        evaluate(model, project.model_copy(update={"split": None}), "cpu")
    trained = (Block(Region("chr1", 0, 1_200_000), "train"),)
    with pytest.raises(
        UsageError, match=r"chr1:1,131,137-1,868,928 is not held out: model 'tiny' was trained on chr1:1-1,200,000"
    ):
        evaluate(dataclasses.replace(model, split=trained), project, "cpu")
    for line, words in (
        ("chr1\t0\t262144\ttest", "holds nothing out to score on"),
        ("chr1\t0\t5000001\ttest", "chr1:1-5,000,001 leaves chr1, which has 5,000,000 bases"),
        ("1\t0\t500000\ttest", "did you mean 'chr1'"),
    ):
        (tmp_path / "split.bed").write_text(line + "\n")
        with pytest.raises(UsageError, match=words):
            evaluate_baselines(project.model_copy(update={"split": tmp_path / "split.bed"}))


@pytest.fixture
def run(project: Project, tmp_path: Path) -> Callable[..., Result]:
    def call(*args: object) -> Result:
        words = ["card", *map(str, args), "--project", str(project.genome.parent / "tracks.toml")]
        return CliRunner(env={"TRACKS_STORE": str(tmp_path / "store")}).invoke(main, words)

    return call


def test_the_command_writes_card_and_page(run: Callable[..., Result], card: Card, model: Model, tmp_path: Path) -> None:
    out, page = tmp_path / "new" / "card.json", tmp_path / "card.md"
    result = run(model.folder, "-o", out, "--markdown", page, "--device", "cpu", "--threads", 1)
    assert result.exit_code == 0, result.stderr
    written = card_from_json(json.loads(out.read_text()))
    assert written.command == f"tracks card {model.folder.name} --project tracks.toml"
    assert dataclasses.replace(written, command="") == card
    assert page.read_text().startswith("# Model card: tiny\n")
    assert f"wrote {out} and {page}\n" in result.stdout
    assert f"  LAD: {card.tracks[1].verdict}\n" in result.stdout
    again = run(model.folder, "-o", out)
    assert again.exit_code == 2
    assert again.stderr == f"tracks: error: {out} exists already; choose another name, or replace it with --overwrite\n"


def test_the_command_without_a_model_writes_only_what_is_asked(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run()
    assert result.exit_code == 0, result.stderr
    assert "Composition alone, without a model." in result.stdout
    assert "wrote" not in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_card_is_read_with_its_model(card: Card, model: Model, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(model.folder, tmp_path / "m"))
    (folder / "card.json").write_text(card.to_json())
    loaded = load_model(folder)
    assert loaded.card is not None
    assert card_from_json(loaded.card).digest == loaded.digest


def test_bad_input_of_the_command(run: Callable[..., Result], model: Model, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cases = (
        ((tmp_path / "no",), "is not a model folder"),
        ((model.folder, "-o", tmp_path), "it is a folder; name a file"),
        ((model.folder, "-o", tmp_path / "file" / "card.json"), "is a file, not a folder"),
        ((model.folder, "--markdown", tmp_path / "file"), "exists already"),
    )
    for args, words in cases:
        result = run(*args)
        (line,) = result.stderr.splitlines()
        assert result.exit_code == 2
        assert line.startswith("tracks: error: ")
        assert words in line
