"""Labels of a project: its observed bigWigs on the windows of its split."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import numpy as np

from tracks.bigwig import read_chrom_sizes
from tracks.composition import known_bases_in_pieces
from tracks.errors import UsageError, first_few
from tracks.genome import Genome
from tracks.grid import BIN, BINS, FLANK, WINDOW
from tracks.observed import LEAST_OBSERVED, mean_of_known, read_observed
from tracks.regions import check_chrom
from tracks.split import read_split
from tracks.windows import check_stride, windows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tracks.project import Project, TrackEntry
    from tracks.split import Block
    from tracks.track import Track
    from tracks.windows import Scope, WindowRow


class ProjectLabels:
    """Labels of a project's bigWigs: training windows every ``stride`` bases inside train blocks, valid and test
    windows on the grid inside the scored part of their blocks.

    A window's label is the mean over its observed bins where at least ``min_observed`` of them are; windows in which
    that holds for no target are left out. Binned tracks lie in a temporary file, mapped into memory. Raises
    UsageError when the project has no split, or a bigWig is of another genome.
    """

    scopes: tuple[Scope, ...] = ("bins", "window")

    def __init__(
        self,
        project: Project,
        stride: int = WINDOW // 2,
        min_observed: float = LEAST_OBSERVED,
        report: Callable[[str], None] = lambda message: None,
    ) -> None:
        if project.split is None:
            raise UsageError(f"project '{project.name}' names no split, which says what trains, tunes and tests")
        check_stride(stride)
        self.name = project.name
        self.min_observed = min_observed
        self.entries = project.targets()
        self.genome_path = project.genome
        self._columns: dict[str, np.ndarray] = {}
        self._calls: dict[str, np.ndarray] = {}
        blocks = read_split(project.split)
        chroms = tuple(dict.fromkeys(block.region.chrom for block in blocks))
        with Genome(project.genome) as genome:
            for block in blocks:
                _check_block(block, genome.chrom_sizes, project)
            for entry in self.entries:
                _check_observed(entry, chroms)
            for chrom in chroms:
                report(f"reading observed tracks of {chrom}")
                self._read(genome, chrom)
        windows = [window for block in blocks for window in windows_of(block, stride)]
        self.windows = tuple(window for window in windows if self._is_observed(window))
        if not self.windows:
            raise UsageError(f"project '{project.name}' observes no window of its split")

    def _read(self, genome: Genome, chrom: str) -> None:
        length = genome.chrom_sizes[chrom]
        known = np.concatenate(list(known_bases_in_pieces(genome, chrom)))
        observed = self._mapped(len(known))
        for at, entry in enumerate(self.entries):
            observed[:, at] = entry.track.transform.forward(read_observed(entry.observed, chrom, length, known))
        self._columns[chrom] = observed
        if any(entry.coverage for entry in self.entries):
            calls = self._mapped(len(known))
            for at, entry in enumerate(self.entries):
                covered = read_observed(entry.coverage, chrom, length, known)
                calls[:, at] = covered if entry.coverage is None else np.nan_to_num(covered)
            self._calls[chrom] = calls

    def _mapped(self, bins: int) -> np.ndarray:
        # The file has no name any more, so it is gone with the last use of its memory.
        with tempfile.TemporaryFile(prefix="tracks-labels-") as file:
            return np.memmap(file, np.float32, "w+", shape=(bins, len(self.entries)))

    def _is_observed(self, window: WindowRow) -> bool:
        observed = np.isfinite(self._bins(self._columns, window)).mean(axis=0)
        return bool((observed >= self.min_observed).any())

    def _bins(self, columns: dict[str, np.ndarray], window: WindowRow) -> np.ndarray:
        first = (window.start + FLANK) // BIN
        return columns[window.chrom][first : first + BINS]

    def _rows(self, columns: dict[str, np.ndarray], rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), BINS, len(self.entries)), np.float32)
        for place, row in enumerate(rows):
            out[place] = self._bins(columns, self.windows[row])
        return out

    def tracks(self, scope: Scope) -> tuple[Track, ...]:
        """Return the project's target tracks."""
        return tuple(entry.track for entry in self.entries)

    def labels(self, rows: np.ndarray, scope: Scope) -> np.ndarray:
        """Return labels, float32 ``[n, 896 or 1, tracks]``, NaN where missing."""
        bins = self._rows(self._columns, rows)
        if scope == "bins":
            return bins
        return mean_of_known(bins, np.isfinite(bins), 1, self.min_observed)[:, None].astype(np.float32)

    def coverage(self, rows: np.ndarray, scope: Scope) -> np.ndarray | None:
        """Return the calls behind each label, per bin or in the whole window; None without a coverage track."""
        if not self._calls:
            return None
        bins = self._rows(self._calls, rows)
        return bins if scope == "bins" else bins.sum(axis=1, keepdims=True)


def _check_block(block: Block, chrom_sizes: Mapping[str, int], project: Project) -> None:
    check_chrom(block.region.chrom, chrom_sizes, str(project.genome))
    length = chrom_sizes[block.region.chrom]
    if block.region.end > length:
        raise UsageError(
            f"{project.split} is of another genome: its block {block.region} reaches past the end of "
            f"{block.region.chrom}, which has {length:,} bases"
        )


def _check_observed(entry: TrackEntry, chroms: Sequence[str]) -> None:
    if entry.observed is None:
        return
    named = list(read_chrom_sizes(entry.observed))
    if not set(named) & set(chroms):
        raise UsageError(
            f"{entry.observed} is of another genome, or names its chromosomes otherwise: it has {first_few(named)}, "
            f"and the split {first_few(chroms)}"
        )
