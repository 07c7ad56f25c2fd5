"""Training and scoring data of a project: sequence, labels and context on the bin grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model.augment import MAX_SHIFT, reverse_complement, with_gaps, without_unknown_bins
from model.context import ContextConfig, chromosome_counts, raw_features
from tracks.composition import MIN_KNOWN_BASES
from tracks.errors import TracksError, UsageError
from tracks.genome import Genome
from tracks.grid import BIN, BINS, FLANK, INPUT
from tracks.observed import read_observed
from tracks.split import Block, read_split

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracks.project import Project, TrackEntry

_MIN_OBSERVED = 0.1


@dataclass(frozen=True, eq=False)
class Chromosome:
    """One chromosome's data: labels float32 ``[bins, tracks]`` (NaN: masked), raw context features float32
    ``[bins, channels]`` and base counts int64 ``[bins, 4]``."""

    name: str
    labels: np.ndarray
    features: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True, eq=False)
class Window:
    """One training window: codes uint8 ``[131072]``, raw context ``[896, channels]``, labels ``[896, tracks]``."""

    codes: np.ndarray
    features: np.ndarray
    labels: np.ndarray


def load_labels(entry: TrackEntry, chrom: str, length: int, counts: np.ndarray) -> np.ndarray:
    """Return one track's labels for a chromosome, float32 ``[bins]``: transformed, NaN where masked.

    Raises TracksError when a label leaves 0 to 1, which is what a sigmoid output can give.
    """
    observed = read_observed(entry.observed, chrom, length, counts[:, 0])
    labels: np.ndarray = entry.track.transform.forward(observed).astype(np.float32)
    if np.nanmax(labels, initial=0) > 1 or np.nanmin(labels, initial=0) < 0:
        raise TracksError(
            f"{entry.observed}: '{entry.name}' has labels from {np.nanmin(labels):.3g} to {np.nanmax(labels):.3g} on "
            f"{chrom}; a fraction lies between 0 and 1 (give the entry a scale and offset that bring it there)"
        )
    return labels


def load_chromosome(genome: Genome, chrom: str, entries: Sequence[TrackEntry], widths: tuple[int, ...]) -> Chromosome:
    """Read everything that training or scoring needs of one chromosome."""
    counts = chromosome_counts(genome, chrom)
    length = genome.chrom_sizes[chrom]
    labels = np.stack([load_labels(entry, chrom, length, counts) for entry in entries], axis=1)
    return Chromosome(chrom, labels, raw_features(counts, widths).astype(np.float32), counts)


@dataclass(frozen=True, eq=False)
class _Pool:
    """Start bins of the windows of one chromosome that a draw may take, and how often this pool is drawn."""

    chrom: str
    starts: np.ndarray
    weight: float


class TrainingData:
    """Everything that training draws from. Windows are drawn off the grid: any bin may be a window's first.

    Raises UsageError when the project has no split, or a target without training windows.
    """

    def __init__(self, project: Project, context: ContextConfig, progress: Callable[[str], None]) -> None:
        if project.split is None:
            raise UsageError(f"project '{project.name}' names no split; training needs one (split = \"split.bed\")")
        self.entries = (*project.targets(), *(entry for entry in project.track if entry.role == "auxiliary"))
        self.targets = len(project.targets())
        self.genome = Genome(project.genome)
        self.split: tuple[Block, ...] = read_split(project.split)
        self.chromosomes: dict[str, Chromosome] = {}
        for chrom in dict.fromkeys(block.region.chrom for block in self.split):
            progress(f"reading sequence and labels of {chrom}")
            self.chromosomes[chrom] = load_chromosome(self.genome, chrom, self.entries, context.widths)
        self._pools = [self._pools_of(target, project.chrom_weight) for target in range(self.targets)]
        weights = np.array([entry.weight for entry in self.entries[: self.targets]])
        self._weights = weights / weights.sum()
        self._donors = self._windows_with_gaps()

    def _train_starts(self, chrom: str) -> np.ndarray:
        """First bins of the windows whose whole input, shifted either way, lies in a training block."""
        starts = [
            np.arange(
                -(-(block.region.start + FLANK + MAX_SHIFT) // BIN),
                (block.region.end - INPUT + FLANK - MAX_SHIFT) // BIN + 1,
            )
            for block in self.split
            if block.region.chrom == chrom and block.fold == "train" and len(block.region) > INPUT + 2 * MAX_SHIFT
        ]
        return np.concatenate(starts) if starts else np.empty(0, np.int64)

    def _pools_of(self, target: int, chrom_weight: dict[str, float]) -> list[_Pool]:
        pools = []
        for chrom, data in self.chromosomes.items():
            starts = self._train_starts(chrom)
            observed = np.concatenate([[0], np.isfinite(data.labels[:, target]).cumsum()])
            enough = observed[starts + BINS] - observed[starts] >= _MIN_OBSERVED * BINS
            if enough.any():
                weight = float(enough.sum()) * chrom_weight.get(chrom, 1.0)
                pools.append(_Pool(chrom, starts[enough], weight))
        if not pools:
            raise UsageError(f"track '{self.entries[target].name}' is observed in no training block of the split")
        return pools

    def _windows_with_gaps(self) -> list[tuple[str, int]]:
        """Training windows with short gaps, whose N pattern is lent to others so that the net cannot learn it."""
        donors = []
        for chrom, data in self.chromosomes.items():
            known = np.concatenate([[0], data.counts[:, 0].cumsum()])
            starts = self._train_starts(chrom)[::64]
            fraction = (known[starts + BINS] - known[starts]) / (BINS * BIN)
            donors += [(chrom, int(start)) for start in starts[(fraction > 0.4) & (fraction < 0.95)]]
        return donors

    def draw(self, rng: np.random.Generator) -> Window:
        """Draw one augmented training window: a target by weight, a window where it is observed, then the strand,
        a shift of up to half a bin, and for half of the complete windows the N pattern of another."""
        pools = self._pools[rng.choice(self.targets, p=self._weights)]
        weights = np.array([pool.weight for pool in pools])
        pool = pools[rng.choice(len(pools), p=weights / weights.sum())]
        start = int(rng.choice(pool.starts))
        window = self.window(pool.chrom, start, int(rng.integers(-MAX_SHIFT, MAX_SHIFT + 1)))
        codes, labels, features = window.codes, window.labels, window.features
        if self._donors and rng.random() < 0.5 and (codes < 4).mean() > 0.95:
            chrom, donor_start = self._donors[rng.integers(len(self._donors))]
            codes = with_gaps(codes, self.window(chrom, donor_start).codes)
            labels = without_unknown_bins(labels, codes, MIN_KNOWN_BASES)
        if rng.random() < 0.5:
            codes, labels, features = reverse_complement(codes), labels[::-1], features[::-1]
        return Window(codes, features, labels)

    def window(self, chrom: str, first_bin: int, shift: int = 0) -> Window:
        """Return the window that starts at a bin; ``shift`` moves its sequence by some bases, not its labels."""
        start = first_bin * BIN - FLANK + shift
        data = self.chromosomes[chrom]
        bins = slice(first_bin, first_bin + BINS)
        return Window(self.genome.codes(chrom, start, start + INPUT), data.features[bins], data.labels[bins])

    def context_statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and deviation of each raw context feature over the bins of training blocks with sequence."""
        kept = []
        for block in self.split:
            data = self.chromosomes[block.region.chrom]
            bins = slice(block.region.start // BIN, block.region.end // BIN)
            if block.fold == "train":
                kept.append(data.features[bins][data.counts[bins, 0] >= MIN_KNOWN_BASES])
        features = np.concatenate(kept).astype(np.float64)
        mean, deviation = np.nanmean(features, axis=0), np.nanstd(features, axis=0)
        return tuple(mean.tolist()), tuple(deviation.tolist())
