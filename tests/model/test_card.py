"""The card as data, text and page, made by hand so that every case is there."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.card import (
    NO_MODEL,
    BaselineScore,
    Card,
    Score,
    TrackCard,
    card_from_json,
    card_lines,
    card_markdown,
    shown,
    summary_table,
    track_verdict,
)
from model.metrics import Estimate
from tracks.errors import TracksError

CONSTANT = Estimate(None, reason="the observed track is constant")


def score(
    difference: Estimate,
    resolution: int = 4_096,
    metric: str = "pearson",
    fold: str = "test",
    part: str = "chr22",
    model: Estimate = Estimate(0.53, 0.41, 0.62),  # noqa: B008 (frozen)
) -> Score:
    defined = model.value is not None
    baselines = (
        BaselineScore("GC", "over 16,000 bp, r -0.20 on train", Estimate(0.2, 0.1, 0.3), Estimate(0.33, 0.2, 0.4)),
        BaselineScore("ridge", "penalty 1 chosen on valid", Estimate(0.47, 0.3, 0.6), difference),
    )
    undefined = tuple(BaselineScore(b.name, b.detail, model, model) for b in baselines)
    return Score(fold, part, resolution, metric, 900, 7, model, baselines if defined else undefined, 500_000, 12)


BETTER, SAME, WORSE = Estimate(0.06, 0.01, 0.1), Estimate(0.06, -0.01, 0.1), Estimate(-0.06, -0.1, -0.01)


@pytest.fixture
def card() -> Card:
    methylation = (
        score(BETTER, 128, fold="valid"),
        score(BETTER, 4_096, fold="valid"),
        score(BETTER, 128),
        score(BETTER, 128, "spearman"),
        score(BETTER, 128, "low_auroc"),
        score(BETTER, 4_096),
        score(SAME, 114_688),
    )
    lad = (
        score(WORSE, 128),
        score(WORSE, 4_096),
        score(WORSE, 4_096, "auroc"),
        score(WORSE, 128, part="chr20", model=CONSTANT),
        score(WORSE, 4_096, part="chr20", model=CONSTANT),
        score(WORSE, 128, part="chr22 + chr20"),
        score(WORSE, 4_096, part="chr22 + chr20"),
    )
    tracks = (
        TrackCard("CpG", "methylated fraction", methylation, track_verdict(methylation), "Lister 2009; cpg.bw"),
        TrackCard("LAD", "covered fraction", lad, track_verdict(lad)),
    )
    digests = {"chr22": "SQ.o0lwnzeX"}
    split = ("chr22:1-100 train", "chr22:101-200 test")
    return Card(
        "tiny", "abc" * 20, "mini", 10**6, 50, 1, "By hand.", tracks, genome=digests, split=split, command="tracks x"
    )


def test_a_card_survives_json(card: Card) -> None:
    assert card_from_json(json.loads(card.to_json())) == card


def test_what_is_undefined_is_null_in_json(card: Card) -> None:
    undefined = json.loads(card.to_json())["tracks"][1]["scores"][3]
    assert undefined["model"] == {"value": None, "low": None, "high": None, "reason": CONSTANT.reason}
    assert undefined["baselines"][0]["score"]["value"] is None


def test_a_card_with_nan_is_refused(card: Card) -> None:
    bad = dataclasses.replace(card.tracks[0].scores[0], model=Estimate(float("nan")))
    with pytest.raises(ValueError, match="JSON compliant"):
        dataclasses.replace(card, tracks=(dataclasses.replace(card.tracks[0], scores=(bad,)),)).to_json()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tracks": [{}]}, r"card\.json is damaged at 'name'"),
        ({"tracks": 3}, r"card\.json is damaged"),
        ({"unknown": 1}, r"card\.json is damaged"),
        ({"format": "x"}, r"card\.json is damaged"),
        ({"format": 99}, "has format 99, and this version reads up to 1"),
    ],
)
def test_a_damaged_or_newer_card_is_refused(card: Card, change: dict[str, Any], words: str) -> None:
    with pytest.raises(TracksError, match=words):
        card_from_json({**json.loads(card.to_json()), **change})


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_no_json_but_a_card_is_read(content: Any) -> None:
    with pytest.raises(TracksError):
        card_from_json(content)


def test_the_verdict_is_what_the_paired_interval_says(card: Card) -> None:
    assert card.tracks[0].verdict == (
        "Test blocks, Pearson r. chr22: better than composition at 128 bp, at 4,096 bp (ridge), composition alone "
        "does as well at 114,688 bp (ridge), better than composition by low-methylation AUROC (ridge)."
    )
    assert card.tracks[1].verdict == (
        "Test blocks, Pearson r. chr22: worse than composition at 128 bp, at 4,096 bp (ridge); "
        "chr20: no verdict at 128 bp, at 4,096 bp (the observed track is constant)."
    )


@pytest.mark.parametrize(
    ("given", "verdict", "grounds"),
    [
        (score(BETTER), "better than composition", "ridge"),
        (score(WORSE), "worse than composition", "ridge"),
        (score(SAME), "composition alone does as well", "ridge"),
        (score(Estimate(0.06, 0.0, 0.1)), "composition alone does as well", "ridge"),
        (score(Estimate(0.06, reason="no interval from 2 blocks")), "no verdict", "no interval from 2 blocks"),
        (score(BETTER, model=CONSTANT), "no verdict", "the observed track is constant"),
        (dataclasses.replace(score(BETTER), baselines=()), "no verdict", "no baseline is defined"),
    ],
)
def test_verdicts(given: Score, verdict: str, grounds: str) -> None:
    assert (given.verdict(), given.grounds()) == (verdict, grounds)


def test_without_test_blocks_or_a_model_there_is_no_verdict() -> None:
    assert track_verdict([score(BETTER, fold="valid")]) == "No test block scores this track."
    alone = dataclasses.replace(score(BETTER), model=Estimate(None, reason=NO_MODEL))
    assert track_verdict([alone]) == "Composition alone, without a model."


def test_the_text_has_each_score_with_its_baseline(card: Card) -> None:
    lines = card_lines(card)
    assert (
        "    test chr22, Pearson r at 4,096 bp: .53 (.41 to .62); ridge .47 (.30 to .60); difference .06 (.01 to .10); "
        "900 bins, 7 blocks"
    ) in lines
    assert "    test chr20, Pearson r at 128 bp: the observed track is constant; 900 bins, 7 blocks" in lines
    assert sum("Spearman" in line for line in lines) == 0
    assert sum("chr22 + chr20" in line for line in lines) == 0
    assert {"  By hand.", "  made by tracks x"} <= set(lines)
    for track in card.tracks:
        assert f"  {track.name}: {track.verdict}" in lines


def test_the_page_shows_every_score_beside_its_baselines(card: Card) -> None:
    page = card_markdown(card)
    rows = [line for line in page.splitlines() if line.startswith(("| valid", "| test"))]
    assert len(rows) == sum(len(track.scores) for track in card.tracks)
    assert {row.count("|") for row in rows} == {10}
    assert (
        "| test chr22 | 114,688 bp | Pearson r | .53 (.41 to .62) | .20 | .47 | .06 (-.01 to .10) | 900 | 7 of 0.5 Mb |"
    ) in rows
    for words in (
        *(track.verdict for track in card.tracks),
        "Observed: Lister 2009; cpg.bw.",
        "GC over 16,000 bp, r -0.20 on train, ridge penalty 1 chosen on valid",
        "12 on test chr22",
        "Split: chr22:1-100 train; chr22:101-200 test.",
        "chr22 `SQ.o0lwnzeX`",
        "`tracks x` (seed 1)",
    ):
        assert words in page


def test_the_summary_has_what_is_defined(card: Card) -> None:
    assert summary_table(card).splitlines()[2:] == [
        "| CpG | valid, chr22 | .53 | .53 (.41 to .62) | .47 (ridge) |  |",
        "| CpG | test, chr22 | .53 | .53 (.41 to .62) | .47 (ridge) | .53; .47 (ridge) |",
        "| LAD | test, chr22 | .53 | .53 (.41 to .62) | .47 (ridge) | .53; .47 (ridge) |",
    ]


@pytest.mark.parametrize(
    ("estimate", "words"),
    [
        (Estimate(0.534, 0.411, 0.62), ".53 (.41 to .62)"),
        (Estimate(-0.001, -0.2, 0.996), ".00 (-.20 to 1.00)"),
        (Estimate(10.5), "10.50"),
        (Estimate(0.5, reason="no interval from 2 blocks"), ".50 (no interval from 2 blocks)"),
        (CONSTANT, "the observed track is constant"),
        (Estimate(None), ""),
    ],
)
def test_how_estimates_are_written(estimate: Estimate, words: str) -> None:
    assert shown(estimate) == words
