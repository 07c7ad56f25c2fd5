from __future__ import annotations

import numpy as np

from model.context import ContextConfig, WindowCounts, chromosome_counts, raw_features, window_context
from tracks.genome import Genome
from tracks.grid import BINS


def test_a_window_sees_what_the_whole_chromosome_gives(genome: Genome) -> None:
    """Principle 1: context computed around one window equals context computed from the whole chromosome."""
    config = ContextConfig(mean=(0.4, 0.05, 0.9) * 3, deviation=(0.1, 0.02, 0.3) * 3)
    counts = chromosome_counts(genome, "chr1")
    whole = config.standardised(raw_features(counts, config.widths))
    for index in (0, 3, 5):
        features, known = window_context(WindowCounts(genome), "chr1", index, config)
        part = whole[index * BINS : (index + 1) * BINS]
        np.testing.assert_array_equal(features[: len(part)], part)
        assert known.shape == (BINS,)


def test_features_equal_counting_letters(genome: Genome) -> None:
    config = ContextConfig(widths=(20_000,), mean=(0.0,) * 3, deviation=(1.0,) * 3)
    bin_index = 1_000
    features, known = window_context(WindowCounts(genome), "chr1", bin_index // BINS, config)
    half = 20_000 // 256
    codes = genome.codes("chr1", (bin_index - half) * 128, (bin_index + half + 1) * 128 + 1)
    text = "".join("ACGTN"[code] for code in codes)
    inner = text[:-1]
    cpg = text.count("CG")
    expected = (
        (inner.count("G") + inner.count("C")) / (len(inner) - inner.count("N")),
        cpg / (len(inner) - inner.count("N")),
        cpg * (len(inner) - inner.count("N")) / (inner.count("C") * inner.count("G")),
    )
    np.testing.assert_allclose(features[bin_index % BINS], expected, rtol=1e-6)
    assert known[bin_index % BINS] == (len(inner) - inner.count("N")) / len(inner)


def test_undefined_composition_is_the_training_mean() -> None:
    config = ContextConfig(widths=(1_000,), mean=(0.4, 0.05, 0.9), deviation=(0.1, 0.02, 0.3))
    features = config.standardised(np.array([[np.nan, 0.05, np.nan], [0.5, 0.05, 100.0]]))
    np.testing.assert_allclose(features, [[0, 0, 0], [1, 0, 5]], rtol=1e-6)
