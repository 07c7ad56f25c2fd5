"""The megabase context of a bin: composition of the sequence around it, computed from the genome alone.

LADs are domains of 0.5 to 2 Mb, wider than a window. GC, CpG density and CpG observed/expected over each width,
centred on the bin, tell a head where in such a domain it may be. They depend on the genome alone, never on how
a base was asked for.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracks.composition import FEATURES, bin_counts, composition, half_width, known_fraction, smoothed_counts
from tracks.grid import BINS, WINDOW, bin_count, window_count, window_start

if TYPE_CHECKING:
    from tracks.genome import Genome


@dataclass(frozen=True)
class ContextConfig:
    """Widths in bases, and the training statistics that make a feature comparable (one per width and feature)."""

    widths: tuple[int, ...] = (500_000, 1_000_000, 2_000_000)
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    min_known: float = 0.25
    """Where less than this fraction of the widest width is known, there is no context, and no value."""

    @property
    def channels(self) -> int:
        """Features per bin."""
        return len(self.widths) * len(FEATURES)

    def standardised(self, features: np.ndarray) -> np.ndarray:
        """Scale raw features ``[bins, channels]`` to float32; undefined ones become the training mean, 0."""
        scaled = (features - np.array(self.mean)) / np.array(self.deviation)
        standardised: np.ndarray = np.nan_to_num(np.clip(scaled, -5, 5), nan=0.0).astype(np.float32)
        return standardised


def raw_features(counts: np.ndarray, widths: tuple[int, ...]) -> np.ndarray:
    """Return float64 ``[bins, widths * 3]`` for counts ``[bins, 4]``: GC, CpG density, CpG o/e of each width."""
    return np.concatenate([composition(smoothed_counts(counts, width)) for width in widths], axis=1)


def chromosome_counts(genome: Genome, chrom: str) -> np.ndarray:
    """Return the base counts of every bin of a chromosome, int64 ``[bins, 4]`` (training and evaluation hold these)."""
    counter = WindowCounts(genome)
    length = genome.chrom_sizes[chrom]
    return np.concatenate([counter.window(chrom, index) for index in range(window_count(length))])[: bin_count(length)]


class WindowCounts:
    """Base counts of windows, kept for the neighbours that are asked for next."""

    _KEPT = 128

    def __init__(self, genome: Genome) -> None:
        self.genome = genome
        self._kept: OrderedDict[tuple[str, int], np.ndarray] = OrderedDict()

    def window(self, chrom: str, index: int) -> np.ndarray:
        """Return int64 ``[896, 4]`` for one window; zeros outside the chromosome."""
        key = (chrom, index)
        found = self._kept.get(key)
        if found is None:
            start = window_start(index)
            found = bin_counts(self.genome.codes(chrom, start, start + WINDOW + 1))
            self._kept[key] = found
            if len(self._kept) > self._KEPT:
                self._kept.popitem(last=False)
        return found


def window_context(
    counts: WindowCounts, chrom: str, index: int, config: ContextConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Return one window's standardised features float32 ``[896, channels]`` and, per bin, the known fraction of
    the widest width, float64 ``[896]``."""
    widest = max(config.widths)
    reach = -(-half_width(widest) // BINS)
    around = np.concatenate([counts.window(chrom, near) for near in range(index - reach, index + reach + 1)])
    here = slice(reach * BINS, (reach + 1) * BINS)
    features = config.standardised(raw_features(around, config.widths)[here])
    return features, known_fraction(smoothed_counts(around, widest), widest)[here]
