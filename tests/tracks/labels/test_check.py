"""What ``tracks labels check`` says of label sets whose every value is known."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from tests.tracks.labels.handmade import SIZES, build, in_bins, random_values
from tracks.cli.labels_check import command
from tracks.errors import TracksError, UsageError
from tracks.grid import BIN, BINS, FLANK, INPUT, bin_count
from tracks.labels.built import BuiltLabels
from tracks.labels.check import QUANTILES, check_labels, fact_lines
from tracks.labels.check_figure import draw_check
from tracks.labels.distribution import Distribution, run_lengths

NUMBERS = hnp.arrays(
    np.float32,
    st.integers(1, 300),
    elements=st.one_of(st.floats(-1e6, 1e6, width=32), st.sampled_from([0.0, -0.0, 1.0, 0.5, 2.0**-100])),
)


@given(NUMBERS, st.integers(1, 5))
def test_quantiles_are_exact(values: np.ndarray, parts: int) -> None:
    found = Distribution(QUANTILES)
    for part in np.array_split(values, parts):
        found.add(part)
    for part in np.array_split(values, parts):
        found.count(part)
    for quantile in QUANTILES:
        expected = np.quantile(values, quantile, method="inverted_cdf")
        assert found.quantile(quantile) == expected
        assert found.share(quantile) == (values == expected).mean()
        assert found.about(quantile) == pytest.approx(expected, rel=1 / 64, abs=1e-37)
    exact = values.astype(np.float64)
    assert found.n == len(values)
    assert (found.minimum, found.maximum) == (values.min(), values.max())
    assert found.mean == pytest.approx(exact.mean(), rel=1e-9, abs=1e-9 * abs(exact).max() + 1e-40)
    assert found.sd == pytest.approx(exact.std(), rel=1e-6, abs=1e-6 * abs(exact).max() + 1e-40)


@given(hnp.arrays(np.float32, st.integers(0, 60), elements=st.sampled_from([0.0, 1.0, np.nan])))
def test_runs_are_of_equal_neighbours(values: np.ndarray) -> None:
    expected = [len(list(run)) for value, run in itertools.groupby(values.tolist()) if value == value]
    assert run_lengths(values).tolist() == expected


def joined(values: dict[str, np.ndarray]) -> np.ndarray:
    whole = np.concatenate([values[chrom] for chrom in SIZES])
    return whole[np.isfinite(whole)]


def test_facts_of_two_tracks_on_the_grid(tmp_path: Path) -> None:
    one, other = random_values(1), random_values(2, 0.5)
    other = {chrom: 2 * values - 3 for chrom, values in other.items()}
    masked = [("chr20", 100, 400), ("chr3", 0, 50)]
    labels = build(
        tmp_path,
        {"one": (one, 'transform = {kind = "affine", scale = -500.0}\nunit = "fraction"'), "other": (other, "")},
        '[mask]\nblacklist = ["black.bed"]\n',
        bed={"black.bed": in_bins(masked)},
    )
    facts = check_labels(labels)
    for values in (one, other):
        for chrom, first, last in masked:
            values[chrom][first:last] = np.nan
    assert [chrom.chrom for chrom in facts.chroms] == list(SIZES)
    assert [chrom.bins for chrom in facts.chroms] == [bin_count(length) for length in SIZES.values()]
    assert [chrom.masked for chrom in facts.chroms] == [300, 50, 0]
    for track, values in zip(facts.tracks, (one, other), strict=True):
        finite = joined(values)
        assert track.labelled == len(finite)
        assert track.labelled_by_chrom == tuple(int(np.isfinite(values[chrom]).sum()) for chrom in SIZES)
        assert (track.mean, track.sd) == pytest.approx((finite.mean(), finite.std()), rel=1e-5)
        assert (track.minimum, track.maximum) == pytest.approx((finite.min(), finite.max()), abs=1e-6)
        expected = [np.quantile(finite, q, method="inverted_cdf") for q in QUANTILES]
        assert list(track.quantiles.values()) == pytest.approx(expected, abs=1e-6)
        assert track.histogram is not None
        assert sum(track.histogram.counts) + track.histogram.beyond == len(finite)
        bars = np.histogram(finite, len(track.histogram.counts), (track.histogram.low, track.histogram.high))[0]
        assert np.abs(bars - track.histogram.counts).max() <= 2  # at the edges of bars, by rounding
        assert track.warnings == ()
        assert track.run == 1
    # The order of values is what a negative scale turns around, and units are what counts.
    assert facts.tracks[0].quantiles["0.01"] < facts.tracks[0].quantiles["0.99"]


def constant() -> dict[str, np.ndarray]:
    return {chrom: np.full(bin_count(length), 0.25, np.float32) for chrom, length in SIZES.items()}


def nearly_constant() -> dict[str, np.ndarray]:
    values = constant()
    values["chr20"][:5] = 0.5
    return values


def without(chrom: str) -> Callable[[], dict[str, np.ndarray]]:
    return lambda: {name: values for name, values in random_values(3).items() if name != chrom}


def half_zero() -> dict[str, np.ndarray]:
    values = random_values(4, 0)
    for one in values.values():
        one[np.random.default_rng(1).random(len(one)) < 0.6] = 0
    return values


def steps() -> dict[str, np.ndarray]:
    """20-kb steps, as LMNB1 ChIP is published in: 156.25 bins, so that bins at their borders are means of two."""
    values = {}
    for chrom, length in SIZES.items():
        levels = np.random.default_rng(7).random(length // 20_000 + 1)
        bases = levels[np.arange(bin_count(length) * BIN) // 20_000]
        values[chrom] = bases.reshape(-1, BIN).mean(axis=1).astype(np.float32)
    return values


def few() -> dict[str, np.ndarray]:
    return random_values(5, 0.995)


def beyond() -> dict[str, np.ndarray]:
    values = random_values(6)
    values["chr3"][10:14] = 1.5
    return values


@pytest.mark.parametrize(
    ("make", "more", "warning"),
    [
        (constant, "", "constant: every label is 0.25"),
        (nearly_constant, "", "nearly constant: 99.97% of the labels are 0.25"),
        (without("chr3"), "", "no label on chr3 (1 of 3 chromosomes): the source lacks them, names th"),
        (half_zero, "", "more than half of the labels (60%) are 0"),
        (steps, "", "the signal comes in steps of about 20 kb"),
        (few, "", "of the bins that are not masked have a label"),
        (beyond, 'unit = "methylated fraction"', "4 labels (0.03%) are outside 0 to 1, which 'methy"),
        (lambda: {"chr20": 20 * random_values(1, 0)["chr20"]}, 'unit = "log2 enrichment"', "are outside -10 to 10"),
        (random_values, 'unit = "methylated fraction"', None),
        (random_values, 'unit = "fraction"\ntransform = {kind = "affine", scale = 500.0}', None),
    ],
)  # fmt: skip
def test_what_is_warned_of(
    make: Callable[..., dict[str, np.ndarray]], more: str, warning: str | None, tmp_path: Path
) -> None:
    values = make(8) if make is random_values else make()
    (track,) = check_labels(build(tmp_path, {"one": (values, more)})).tracks
    if warning is None:
        assert track.warnings == ()
    else:
        assert any(warning in line for line in track.warnings), track.warnings


def test_a_track_without_labels(tmp_path: Path) -> None:
    elsewhere = {"chr3": random_values(1)["chr3"]}
    labels = build(tmp_path, {"one": (elsewhere, ""), "other": (random_values(2), "")}, 'chroms = ["chr20"]')
    facts = check_labels(labels)
    assert facts.tracks[0].warnings[0].startswith("no bin has a label")
    assert (facts.tracks[0].mean, facts.tracks[0].histogram) == (None, None)
    assert facts.tracks[1].warnings == ()
    assert facts.warnings == 1
    draw_check(facts, tmp_path / "a.svg")
    assert json.dumps(facts.tracks[0].quantiles) == "{}"


def windows(tmp_path: Path) -> tuple[BuiltLabels, dict[str, np.ndarray], list[tuple[str, int]]]:
    """Given windows, which overlap, some not on a bin's edge; three chromosomes in turn."""
    values = random_values(9, 0.9)
    rows = [("chr20", 500), ("chr3", 1_280), ("chr20", 50_000), ("chr3", 128 * 900), ("chr20", 200_000)]
    lines = [
        f"{chrom}\t{start}\t{start + INPUT}\t{fold}"
        for (chrom, start), fold in zip(rows, ["train", "valid", "test"] * 2, strict=False)
    ]
    labels = build(
        tmp_path,
        {"one": (values, "min_valid = 1\nmissing = 1.0")},
        'windows = "rows.bed"',
        kind="legacy",
        bed={"rows.bed": lines},
    )
    return labels, values, rows


def test_given_windows_and_what_legacy_writes_for_missing(tmp_path: Path) -> None:
    labels, values, rows = windows(tmp_path)
    facts = check_labels(labels)
    assert not facts.on_grid
    assert {chrom.chrom: chrom.bins for chrom in facts.chroms} == {"chr20": 3 * BINS, "chr3": 2 * BINS}
    (track,) = facts.tracks
    assert track.labelled == len(rows) * BINS  # nothing is missing in a legacy set
    assert track.most_common is not None
    assert track.most_common[0] == 1.0
    assert "the legacy recipe writes a number where nothing was measured" in track.warnings[0]
    on_bin = values["chr3"][(1_280 + FLANK) // BIN :][:BINS]
    assert np.isfinite(on_bin).sum() < BINS / 2


def test_the_command_in_words(tmp_path: Path) -> None:
    build(tmp_path, {"CpG methylation": (random_values(1), 'unit = "fraction"'), "flat": (constant(), "")})
    result = CliRunner().invoke(command, [str(tmp_path / "made.zarr")])
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[:4] == [
        "labels made (fixed recipe): 19,690 bins of 128 bp of the grid",
        "  chromosomes  chr20, chr3, chrN",
        "  masked       0 bins (0.0%)",
        "CpG methylation: fraction, mean",
    ]
    assert "  with a label 19,690 bins (100.0%)" in lines
    assert "  values       0.25 to 0.25, mean 0.25, standard deviation 0" in lines
    assert lines[-2:] == ["  warning      constant: every label is 0.25", "1 warning"]


def test_the_command_for_programs(tmp_path: Path) -> None:
    build(tmp_path, {"flat": (constant(), "")})
    result = CliRunner().invoke(command, [str(tmp_path / "made.zarr"), "--json", "--strict"])
    found = json.loads(result.stdout)
    assert (found["bins"], found["masked"], found["name"]) == (19_690, 0, "made")
    assert found["tracks"][0]["quantiles"]["0.5"] == 0.25
    assert found["tracks"][0]["warnings"] == ["constant: every label is 0.25"]
    assert isinstance(result.exception, TracksError)
    assert "has 1 warning" in str(result.exception)
    build(tmp_path / "good", {"one": (random_values(1), "")})
    assert CliRunner().invoke(command, [str(tmp_path / "good/made.zarr"), "--strict"]).exit_code == 0


def test_the_figure(tmp_path: Path) -> None:
    build(tmp_path, {"one": (random_values(1), ""), "flat": (constant(), "")})
    labels = str(tmp_path / "made.zarr")
    result = CliRunner().invoke(command, [labels, "-o", str(tmp_path / "a.png")])
    assert result.exit_code == 0, result.exception
    assert result.stdout.splitlines()[-1] == f"wrote {tmp_path / 'a.png'}"
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.format == "PNG"
        assert (
            len({picture.getpixel((x, y)) for x in range(0, picture.width, 9) for y in range(0, picture.height, 9)}) > 4
        )
    for name in ("a.svg", "b.svg"):
        CliRunner().invoke(command, [labels, "-o", str(tmp_path / name)])
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert ET.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")
    for out, message in (("a.png", "exists already"), ("a.pdf", "is a .png or a .svg file")):
        refused = CliRunner().invoke(command, [labels, "-o", str(tmp_path / out)])
        assert isinstance(refused.exception, UsageError)
        assert message in str(refused.exception)


def test_no_label_set(tmp_path: Path) -> None:
    refused = CliRunner().invoke(command, [str(tmp_path / "none.zarr")])
    assert isinstance(refused.exception, UsageError)
    assert "there is no label set" in str(refused.exception)


def test_lines_name_many_chromosomes_in_short(tmp_path: Path) -> None:
    facts = check_labels(build(tmp_path, {"one": (random_values(1), "")}))
    many = type(facts)(**{**vars(facts), "chroms": facts.chroms * 10})
    assert "chr20, chr3, chrN, chr20, chr3, chrN, chr20, chr3, ... (30 in all)" in list(fact_lines(many))[1]
