"""Baselines, evaluation and the card, end to end on a small genome whose truth is known."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from model.baselines import FEATURES, RIDGE_PENALTIES, RIDGE_WIDTHS, WIDTHS, features, fit_baselines
from model.card import Card, card_from_json, card_lines, card_markdown, summary_table
from model.context import chromosome_counts
from model.evaluate import evaluate
from model.folder import Model
from model.predict import Predictor, predict
from tests.model.conftest import write_fasta
from tracks.bigwig import Bins, write_bigwig
from tracks.errors import TracksError, UsageError
from tracks.genome import Genome
from tracks.project import Project, load_project
from tracks.regions import Region


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Project:
    """3 Mb whose GC drifts; "Methylation" is GC with noise, "LAD" is what the model itself says there."""
    folder = tmp_path_factory.mktemp("evaluated")
    rng = np.random.default_rng(12)
    length = 3_000_000
    gc = 0.45 + 0.15 * np.sin(np.arange(length) / 60_000)
    bases = np.where(rng.random(length) < gc, rng.choice(list("GC"), length), rng.choice(list("AT"), length))
    genome = Genome(write_fasta(folder / "genome.fa", {"chr1": "".join(bases)}))
    counts = chromosome_counts(genome, "chr1")
    noise = rng.normal(scale=0.15, size=len(counts))
    methylation = np.clip((counts[:, 1] + counts[:, 2]) / 128 + noise, 0, 1).astype(np.float32)
    methylation[::3] = np.nan
    pieces = predict(Predictor(model, genome, "cpu"), [Region("chr1", 0, length)])
    own = np.concatenate([piece.values[:, 1] for piece in pieces])
    write_bigwig(folder / "methylation.bw", genome.chrom_sizes, [Bins("chr1", 0, methylation)])
    write_bigwig(folder / "lad.bw", genome.chrom_sizes, [Bins("chr1", 0, own)])
    (folder / "split.bed").write_text(
        "chr1\t0\t1000000\ttrain\nchr1\t1000000\t2000000\tvalid\nchr1\t2000000\t3000000\ttest\n"
    )
    entries = [
        f'[[track]]\nname = "{name}"\nassay = "x"\nbiosample = "y"\nunit = "{unit}"\n'
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


def test_a_model_that_made_the_labels_scores_one(card: Card) -> None:
    lad = card.tracks[1]
    scores = [score for score in lad.scores if score.metric in {"pearson", "spearman"}]
    assert len(scores) == 2 * 3 * 2
    for score in scores:
        if score.model.value is not None:
            assert score.model.value == pytest.approx(1.0)
        else:
            assert score.model.reason == f"only {score.bins} bins"
    assert "better than composition on chr1" in lad.verdict


def test_a_label_made_of_composition_is_said_to_be_so(card: Card) -> None:
    methylation = card.tracks[0]
    fine = next(s for s in methylation.scores if (s.fold, s.metric, s.resolution) == ("test", "pearson", 4_096))
    ridge = next(baseline for baseline in fine.baselines if baseline.name == "ridge")
    assert ridge.score.value is not None
    assert ridge.score.value > 0.5
    assert "worse than composition" in methylation.verdict


def test_model_and_baselines_are_scored_on_the_same_observed_bins(card: Card) -> None:
    for score in card.tracks[0].scores:
        if (score.metric, score.resolution) == ("pearson", 128):
            scored = 2_000_000 - 131_072 - (1_000_000 + 131_072)
            assert score.bins == pytest.approx(scored / 128 * 2 / 3, abs=3)
            assert len(score.baselines) == 4
    metrics = {(score.metric, score.resolution) for score in card.tracks[0].scores}
    assert ("low_auroc", 128) in metrics
    assert not any(metric == "auroc" for metric, _ in metrics)


def test_too_few_bins_are_undefined_and_not_a_number(card: Card) -> None:
    coarse = [score for score in card.tracks[0].scores if score.resolution == 114_688]
    assert coarse
    for score in coarse:
        assert score.model.value is None
        assert score.model.reason == f"only {score.bins} bins"


def test_a_card_survives_json_and_is_deterministic(card: Card, model: Model, project: Project) -> None:
    assert card_from_json(json.loads(card.to_json())) == card
    assert evaluate(model, project, "cpu") == card


def test_a_damaged_or_newer_card_is_refused(card: Card) -> None:
    fields = json.loads(card.to_json())
    with pytest.raises(TracksError, match=r"card\.json is damaged"):
        card_from_json({**fields, "tracks": [{}]})
    with pytest.raises(TracksError, match="has format 99"):
        card_from_json({**fields, "format": 99})


def test_the_page_shows_every_score_beside_its_baselines(card: Card) -> None:
    page = card_markdown(card)
    rows = [line for line in page.splitlines() if line.startswith(("| valid", "| test"))]
    assert len(rows) == sum(len(track.scores) for track in card.tracks)
    assert {row.count("|") for row in rows} == {12}
    assert all(track.verdict in page for track in card.tracks)
    assert any("Pearson r at 4,096 bp" in line and "; " in line for line in card_lines(card))


def test_the_summary_has_what_is_defined(card: Card) -> None:
    rows = summary_table(card).splitlines()[2:]
    assert [row.split(" | ")[:2] for row in rows] == [
        [f"| {track}", f"{fold}, chr1"] for track in ("Methylation", "LAD") for fold in ("valid", "test")
    ]
    assert all(row.split(" | ")[2] == "1.00" for row in rows[2:])


def test_a_project_without_the_tracks_is_refused(model: Model, project: Project) -> None:
    other = project.model_copy(update={"track": (project.track[0].model_copy(update={"name": "Other"}),)})
    with pytest.raises(UsageError, match=r"observes none of the model's tracks \(Methylation, LAD\)"):
        evaluate(model, other, "cpu")
    with pytest.raises(UsageError, match="names no split"):
        evaluate(model, project.model_copy(update={"split": None}), "cpu")


def _samples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(400, len(WIDTHS) * len(FEATURES)))
    y = -2.0 * x[:, 1 * len(FEATURES)] + 0.5 * x[:, 4] + rng.normal(size=400)
    x[::50, 2] = np.nan
    return x, y


def test_the_best_width_and_sign_are_chosen_on_train() -> None:
    x, y = _samples()
    gc = fit_baselines((x, y), (x, y))[0]
    assert gc.name == "GC"
    assert gc.detail.startswith("over 131,072 bp, r -0.")
    assert np.corrcoef(gc.predict(x), y)[0, 1] > 0.8


def test_ridge_equals_least_squares_on_the_augmented_system() -> None:
    """Ridge with penalty p is ordinary least squares with sqrt(p) * I stacked under the design."""
    x, y = _samples()
    ridge = fit_baselines((x, y), (x, y))[3]
    penalty = float(ridge.detail.rpartition(" ")[2])
    assert penalty in RIDGE_PENALTIES
    used = len(RIDGE_WIDTHS) * len(FEATURES)
    mean, scale = np.nanmean(x, axis=0), np.nanstd(x, axis=0)
    standard = np.nan_to_num((x - mean) / scale)[:, :used]
    design = np.concatenate([standard, np.sqrt(penalty * len(y)) * np.eye(used)])
    expected = np.linalg.lstsq(design, np.concatenate([y - y.mean(), np.zeros(used)]), rcond=None)[0]
    np.testing.assert_allclose(ridge.predict(x), standard @ expected, atol=1e-9)


def test_features_are_composition_at_every_width(project: Project) -> None:
    genome = Genome(project.genome)
    counts = chromosome_counts(genome, "chr1")
    found = features(counts)
    assert found.shape == (len(counts), 15)
    middle = 12_000
    half = WIDTHS[0] // 256
    around = counts[middle - half : middle + half + 1].sum(axis=0)
    assert found[middle, 0] == pytest.approx((around[1] + around[2]) / around[0])


def test_scores_are_immutable(card: Card) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        card.tracks[0].scores[0].bins = 0  # type: ignore[misc]


def test_the_card_file_is_read_with_its_model(card: Card, model: Model, tmp_path: Path) -> None:
    import shutil

    from model.folder import load_model

    folder = Path(shutil.copytree(model.folder, tmp_path / "m"))
    (folder / "card.json").write_text(card.to_json())
    loaded = load_model(folder)
    assert loaded.card is not None
    assert card_from_json(loaded.card).digest == loaded.digest
