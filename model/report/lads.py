"""Lamina-associated domains (LADs) called from BED files, bin by bin, and how well a track's value tells them apart."""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model.report.levels import LEVELS, Levels
from tracks.errors import TracksError, UsageError
from tracks.grid import BIN, BINS, FLANK, WINDOW
from tracks.regions import join_spans

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NO_LAD, T1, T2, OTHER = range(4)
"""Classes of a bin. A record named T1LAD... or T2LAD... is of that class, any other name of class OTHER."""

CLASSES = {"LAD": (T1, T2, OTHER), "T1 LAD": (T1,), "T2 LAD": (T2,)}
"""Positives of each ROC; its negatives are the bins in no LAD."""

_CLASSES = 4
_LEAST = BIN // 2
_NOTHING = np.empty((0, 2), np.int64)


@dataclass(frozen=True, eq=False)
class Domains:
    """The domains of one file: for each chromosome and class, disjoint sorted spans int64 ``[n, 2]``; ``union`` is
    that of all classes."""

    name: str
    spans: Mapping[str, Mapping[int, np.ndarray]]
    union: Mapping[str, np.ndarray]

    def classes(self) -> tuple[str, ...]:
        """The names of the ROC classes that the file holds."""
        held = {kind for own in self.spans.values() for kind in own}
        return tuple(name for name, kinds in CLASSES.items() if held & set(kinds))

    def of_windows(self, chrom: str, starts: np.ndarray) -> np.ndarray:
        """Return the class of each 128-bp bin of windows whose inputs start at ``starts`` ``[n]``, uint8 ``[n, 896]``.

        A bin of which domains cover at least half, at its true place, is in the class that covers most of it.
        """
        own = self.spans.get(chrom, {})
        covered = np.stack([_covered(own.get(kind, _NOTHING), starts + FLANK) for kind in (T1, T2, OTHER)])
        inside = _covered(self.union.get(chrom, _NOTHING), starts + FLANK) >= _LEAST
        return np.where(inside, covered.argmax(axis=0).astype(np.uint8) + np.uint8(T1), np.uint8(NO_LAD))


def _covered(spans: np.ndarray, firsts: np.ndarray) -> np.ndarray:
    """Count the bases of each bin that disjoint sorted spans ``[spans, 2]`` cover, for windows whose first bins start
    at ``firsts`` ``[n]``: int32 ``[n, 896]``."""
    covered = np.zeros((len(firsts), BINS), np.int32)
    first = np.searchsorted(spans[:, 1], firsts, "right")
    last = np.searchsorted(spans[:, 0], firsts + WINDOW, "left")
    edges = BIN * np.arange(BINS + 1, dtype=np.int32)
    # Few spans touch a window: the nth of each window at a time.
    for nth in range(int((last - first).max(initial=0))):
        touched = np.flatnonzero(first + nth < last)
        span = np.clip(spans[first[touched] + nth] - firsts[touched, None], 0, WINDOW).astype(np.int32)
        reached = np.clip(edges, span[:, :1], span[:, 1:])
        covered[touched] += np.diff(reached, axis=1)
    return covered


def read_lads(path: Path) -> Domains:
    """Read a BED file of LADs (plain, gzip or bgzip; names in column 4 where there are any).

    Raises UsageError for no such file or a wrong line (named), TracksError when it cannot be read.
    """
    found: dict[str, dict[int, list[tuple[int, int]]]] = {}
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rt") if zipped else path.open() as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip() or line.startswith(("#", "track", "browser")):
                    continue
                fields = line.rstrip("\n").split("\t")
                spans = len(fields) >= 3 and fields[1].isdecimal() and fields[2].isdecimal()
                if not spans or int(fields[1]) >= int(fields[2]):
                    raise UsageError(
                        f"{path}, line {number}: a LAD needs chromosome, start, end (tab-separated), "
                        f"found '{line.strip()[:60]}'"
                    )
                match = re.match(r"T([12])LAD", fields[3]) if len(fields) > 3 else None
                kind = {"1": T1, "2": T2}[match[1]] if match else OTHER
                found.setdefault(fields[0], {}).setdefault(kind, []).append((int(fields[1]), int(fields[2])))
    except FileNotFoundError as error:
        raise UsageError(f"there is no BED file of LADs {path}") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise TracksError(f"cannot read the BED file {path}: {error}") from error
    if not found:
        raise UsageError(f"{path} holds no LADs; a BED line is: chromosome, start, end, name, tab-separated")
    spans_of = {
        chrom: {kind: np.array(join_spans(spans), np.int64) for kind, spans in own.items()}
        for chrom, own in found.items()
    }
    union = {
        chrom: np.array(join_spans(span for spans in own.values() for span in spans), np.int64)
        for chrom, own in found.items()
    }
    return Domains(path.name, spans_of, union)


class LadScores:
    """Counts of the levels of some scores (the labels first, then predictions) in each class of bins, by block.

    ``counts`` int64 ``[scores, blocks, 4 classes, 256 levels]``; ``without`` int64 ``[scores]``: bins without a
    value in that score; ``bins``: all that came by. Only bins with a value in every score are counted, so that all
    curves are of the same bins.
    """

    def __init__(self, domains: Domains, levels: Sequence[Levels], blocks: int) -> None:
        self.domains, self.levels = domains, tuple(levels)
        self.counts = np.zeros((len(levels), blocks, _CLASSES, LEVELS), np.int64)
        self.without = np.zeros(len(levels), np.int64)
        self.bins = 0

    def add(self, chrom: str, starts: np.ndarray, scores: Sequence[np.ndarray], block: np.ndarray) -> None:
        """Take in windows of a chromosome: each score float32 ``[n, 896]``, or ``[n, 1]`` for one value a window."""
        classes = self.domains.of_windows(chrom, starts)
        finite = [np.isfinite(score) for score in scores]
        self.bins += classes.size
        for index, own in enumerate(finite):
            self.without[index] += np.count_nonzero(~own) * (BINS // own.shape[1])
        known = None
        if not all(own.all() for own in finite):
            known = np.logical_and.reduce([np.broadcast_to(own, classes.shape) for own in finite])
        # Few blocks are in a chunk, and counting takes time for each that might be.
        first, blocks = int(block.min()), int(np.ptp(block)) + 1
        place = ((block - first).astype(np.int32)[:, None] * _CLASSES + classes) * np.int32(LEVELS)
        for index, score in enumerate(scores):
            filled = score if known is None else np.where(finite[index], score, np.float32(0))
            counted = place + self.levels[index].of(filled)
            found = np.bincount(
                (counted if known is None else counted[known]).reshape(-1), minlength=blocks * _CLASSES * LEVELS
            )
            self.counts[index, first : first + blocks] += found.reshape(blocks, _CLASSES, LEVELS)
