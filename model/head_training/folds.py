"""The folds of training windows: that no base is in two, and the split that a head is saved with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracks.errors import UsageError, first_few
from tracks.grid import INPUT
from tracks.regions import join_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracks.genome import Genome
    from tracks.regions import Region
    from tracks.split import Block, Fold
    from tracks.windows import WindowRow

_PRECEDENCE: tuple[Fold, ...] = ("train", "valid", "test")


def check_windows(windows: Sequence[WindowRow], genome: Genome) -> None:
    """See that windows are of this genome, and that no base is the input of windows of two folds.

    Raises UsageError that names the first row that is not so.
    """
    sizes = genome.chrom_sizes
    for row, window in enumerate(windows):
        if window.chrom not in sizes:
            raise UsageError(
                f"row {row} of the labels is on {window.chrom}, which {genome.path} has not "
                f"(it has {first_few(list(sizes))}); the labels are of another genome"
            )
        if not -INPUT < window.start < sizes[window.chrom]:
            raise UsageError(
                f"row {row} of the labels starts at {window.chrom}:{window.start:,}, and {genome.path} has "
                f"{sizes[window.chrom]:,} bases of {window.chrom}; the labels are of another genome"
            )
    order = sorted(range(len(windows)), key=lambda row: (windows[row].chrom, windows[row].start))
    reach: dict[Fold, int] = {}
    previous = ""
    for row in order:
        window = windows[row]
        if window.chrom != previous:
            reach, previous = {}, window.chrom
        for fold, end in reach.items():
            if fold != window.fold and end > window.start:
                raise UsageError(
                    f"row {row} of the labels ({window.fold}, {window.chrom}:{window.start:,}) shares "
                    f"{end - window.start:,} bases of input with a {fold} window; leave one out, so that held-out "
                    "scores are of sequence that training has not seen"
                )
        reach[window.fold] = max(window.start + INPUT, reach.get(window.fold, 0))


def split_text(windows: Sequence[WindowRow], genome: Genome, blocks: Iterable[Block] = ()) -> str:
    """Return a split (BED, the fold in column 4) of the input of windows together with older blocks.

    Overlaps become one block; a base that both train and valid claim is train, as is one of train and test, for it
    was seen. Windows are cut where the chromosome ends.
    """
    spans: dict[str, dict[Fold, list[tuple[int, int]]]] = {}
    for window in windows:
        end = min(window.start + INPUT, genome.chrom_sizes[window.chrom])
        spans.setdefault(window.chrom, {}).setdefault(window.fold, []).append((max(window.start, 0), end))
    for block in blocks:
        region = block.region
        spans.setdefault(region.chrom, {}).setdefault(block.fold, []).append((region.start, region.end))
    lines = []
    for chrom, by_fold in spans.items():
        taken: list[tuple[int, int]] = []
        placed: list[tuple[int, int, Fold]] = []
        for fold in _PRECEDENCE:
            own = _minus(join_spans(by_fold.get(fold, [])), taken)
            placed += [(start, end, fold) for start, end in own]
            taken = join_spans([*taken, *own])
        lines += [f"{chrom}\t{start}\t{end}\t{fold}\n" for start, end, fold in sorted(placed)]
    return "".join(lines)


def all_within(windows: Sequence[WindowRow], blocks: Iterable[Block]) -> bool:
    """Say whether every window lies in one block of its own fold, so that a split of these blocks covers it."""
    by_place: dict[tuple[str, Fold], list[Region]] = {}
    for block in blocks:
        by_place.setdefault((block.region.chrom, block.fold), []).append(block.region)
    return all(
        any(
            region.start <= max(window.start, 0) and window.end <= region.end
            for region in by_place.get((window.chrom, window.fold), [])
        )
        for window in windows
    )


def _minus(spans: list[tuple[int, int]], taken: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """What is left of sorted spans without sorted taken ones."""
    left = []
    for start, end in spans:
        for first, last in taken:
            if last <= start or first >= end:
                continue
            if first > start:
                left.append((start, first))
            start = last
        if start < end:
            left.append((start, end))
    return left
