"""Whole chromosomes into files: what an export asks for, what of it is known, and computing the rest.

The store is what makes it resumable: a window is written there before it counts as done, and is never computed again.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model.predict import predict_windows
from tracks.bigwig_export import BigWigExport, ExportChrom, ExportHead, total_windows
from tracks.composition import MIN_KNOWN_BASES, known_bases
from tracks.files import nearest_folder
from tracks.grid import BIN, BINS, WINDOW, bin_count, window_start
from tracks.regions import check_chrom
from tracks.shards import Shard, ShardRecord, by_chrom
from tracks.stored_windows import whole_windows
from tracks.window_summary import SUMMARY_PARTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from model.folder import Model
    from model.predict import Predictor
    from tracks.export import Format
    from tracks.genome import Genome
    from tracks.store import Store, WindowStore
    from tracks.track import Track

_DISK_BLOCK = 4096
_SUMMARY_NUMBERS = 5 * sum(SUMMARY_PARTS)
_ARRAY_BYTES = 12 * _DISK_BLOCK
"""What a chromosome takes in a store beside its windows: folders, and files that say what they are of."""
_VALUE_BYTES: Mapping[Format, int] = {"bigwig": 8, "bedgraph": 48, "hdf5": 5, "zarr": 5}
"""Bytes of a file for each value in it, its zoom levels included."""
_PEEK = WINDOW // 7


@dataclass(frozen=True)
class Plan:
    """Windows of an export, or of a shard of it: all; those known; and of the others, those without sequence, which
    take no time, and those to compute."""

    windows: int
    known: int
    empty: int
    to_compute: int


@dataclass(frozen=True)
class DiskNeed:
    """Bytes that will be written to a disk, at most, and what is free there. ``folders`` lie on it."""

    folders: tuple[Path, ...]
    needed: int
    free: int


class GenomeExport:
    """Some tracks of whole chromosomes, or one shard's windows of them, in a store.

    Made, it knows which windows the store has and which have no sequence; that reads the chromosomes (``progress`` is
    told the bases read, and in all). Only heads that have one of ``tracks`` are computed. Raises UsageError for
    an unknown chromosome.
    """

    def __init__(
        self,
        predictor: Predictor,
        store: Store,
        chroms: Iterable[str],
        tracks: Sequence[Track],
        shard: Shard | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        genome = predictor.genome
        self.predictor, self.store, self.shard = predictor, store, shard
        chosen = set(chroms)
        for name in chosen:
            check_chrom(name, genome.chrom_sizes, str(genome.path))
        names = [name for name in genome.chrom_sizes if name in chosen]
        self.heads = export_heads(predictor.model, tracks)
        self._names = [
            spec.name
            for spec in predictor.model.heads
            if predictor.model.head_digests[spec.name] in {head.digest for head in self.heads}
        ]
        genome.remember(store.root)
        bases, all_bases = 0, sum(genome.chrom_sizes[name] for name in names)
        self.chroms: tuple[ExportChrom, ...] = ()
        for name in names:
            self.chroms += (ExportChrom(name, genome.chrom_sizes[name], genome.digest(name)),)
            bases += genome.chrom_sizes[name]
            progress(bases, all_bases)
        total = total_windows(self.chroms)
        self._windows = shard.windows(total) if shard is not None else np.arange(total)
        self._all_windows = total
        self._known = self._in_store()
        self._empty = self._without_sequence()

    @property
    def plan(self) -> Plan:
        """What there is to do now."""
        missing = ~self._known
        empty = int((missing & self._empty).sum())
        return Plan(len(self._windows), int(self._known.sum()), empty, int(missing.sum()) - empty)

    def measure(self) -> float | None:
        """Compute two batches of windows, and return the seconds that a window of the second took; None, and nothing
        is computed, where fewer are to compute. Their predictions are kept, as all are."""
        seconds = None
        if self.plan.to_compute >= 2 * self.predictor.batch:
            for _ in range(2):  # the first one warms caches and libraries up
                batch = np.flatnonzero(~self._known & ~self._empty)[: self.predictor.batch]
                started = time.perf_counter()
                self._compute(batch, lambda at: None)
                seconds = (time.perf_counter() - started) / len(batch)
        return seconds

    def compute(
        self,
        progress: Callable[[int, int], None] = lambda done, total: None,
        advance: Callable[[int], None] = lambda done: None,
    ) -> None:
        """Compute the windows that the store has not, in order, each kept before the next.

        ``progress`` is told windows with sequence, computed and to compute; ``advance`` how many windows of the whole
        export, from its first on, are known now, as far as this shard goes. Raises TracksError when the store cannot
        be written to; what was kept before that stays.
        """
        missing = np.flatnonzero(~self._known)
        known_to = np.append(self._windows[missing], self._all_windows).tolist()
        done, total = 0, self.plan.to_compute
        progress(done, total)
        advance(known_to[0])
        after = iter(known_to[1:])

        def kept(at: int) -> None:
            nonlocal done
            advance(next(after))
            if not self._empty[at]:
                done += 1
                progress(done, total)

        self._compute(missing, kept)

    def _compute(self, order: np.ndarray, kept: Callable[[int], None]) -> None:
        """Compute the windows at some of this run's places, rising; say each place when it is in the store."""
        places = iter(order.tolist())
        for chrom, indices in by_chrom(self.chroms, self._windows[order]):
            for _ in predict_windows(self.predictor, chrom.name, indices.tolist(), self.store, self._names):
                at = next(places)
                self._known[at] = True
                kept(at)

    def bigwigs(self, out: Path, overwrite: bool = False) -> BigWigExport:
        """Return what ``BigWigExporter`` writes of it."""
        sizes = self.predictor.genome.chrom_sizes
        method = self.predictor.method
        return BigWigExport(out, self.store.root, method, sizes, self.chroms, self.heads, overwrite)

    def record(self, command: str) -> ShardRecord:
        """Return the record of this shard as it is now; ``command`` runs it again."""
        if self.shard is None:
            raise ValueError("an export that is no shard has no record")
        model, genome = self.predictor.model, self.predictor.genome
        known = int(self._known.sum())
        return ShardRecord(
            shard=self.shard,
            model=f"{model.name}, {model.folder}",
            genome=str(genome.path.absolute()),
            method=self.predictor.method,
            chrom_sizes=genome.chrom_sizes,
            chroms=self.chroms,
            heads=self.heads,
            store=self.store.root.absolute(),
            command=command,
            windows=len(self._windows),
            done=known,
            finished=known == len(self._windows),
        )

    def bins_without_sequence(self) -> int:
        """Count the bins, of all chromosomes, that have no value for want of bases; all windows are in the store."""
        count = 0
        for chrom in self.chroms:
            for index in np.flatnonzero(self._valued(chrom.name) < BINS).tolist():
                start = window_start(index)
                end = min(start + WINDOW, bin_count(chrom.length) * BIN)
                codes = self.predictor.genome.codes(chrom.name, start, end)
                count += int((known_bases(codes) < MIN_KNOWN_BASES).sum())
        return count

    def disk_needs(self, out: Path, form: Format | None) -> list[DiskNeed]:
        """Return what each disk will have to take, at most: of the store, of residual streams that are kept, and of
        files of ``form`` in ``out``, where any are written."""
        plan = self.plan
        windows = plan.to_compute
        new = sum(not self._stored(chrom.name, name).exists() for chrom in self.chroms for name in self._names)
        stored = sum(store_bytes(windows, plan.empty, head.stored) for head in self.heads) + new * _ARRAY_BYTES
        needs = [(self.store.root, stored)]
        if self.predictor.residuals is not None:
            kept = self.predictor.engine.dtype.itemsize * self.predictor.engine.folded.width * BINS
            needs.append((self.predictor.residuals.root, windows * (kept + 2 * _DISK_BLOCK)))
        if form is not None:
            bins = windows * BINS + sum(int(self._valued(chrom.name).sum()) for chrom in self.chroms)
            needs.append((out, bins * sum(len(head.tracks) for head in self.heads) * _VALUE_BYTES[form]))
        disks: dict[int, DiskNeed] = {}
        for folder, needed in needs:
            there = nearest_folder(folder)
            before = disks.get(there.stat().st_dev, DiskNeed((), 0, shutil.disk_usage(there).free))
            disks[there.stat().st_dev] = DiskNeed((*before.folders, folder), before.needed + needed, before.free)
        return list(disks.values())

    def _valued(self, chrom: str) -> np.ndarray:
        """How many bins of each window in the store have a value in the first track, float32. A bin without sequence
        has none in any track."""
        return self._stored(chrom, self._names[0]).summary(1).counts[:, 0, 0]

    def _stored(self, chrom: str, head: str) -> WindowStore:
        return self.predictor.known_windows(self.store, chrom, head)

    def _in_store(self) -> np.ndarray:
        """Which windows of this run the store has of all heads, bool."""
        known = [np.zeros(0, bool)]
        for chrom, indices in by_chrom(self.chroms, self._windows):
            stored = [whole_windows(self._stored(chrom.name, name))[indices] for name in self._names]
            known.append(np.all(stored, axis=0))
        return np.concatenate(known)

    def _without_sequence(self) -> np.ndarray:
        """Which windows of this run have no sequence, bool; False for those that are known, which nobody asks about."""
        empty = np.zeros(len(self._windows), bool)
        missing = np.flatnonzero(~self._known)
        places = iter(missing.tolist())
        for chrom, indices in by_chrom(self.chroms, self._windows[missing]):
            for index in indices.tolist():
                empty[next(places)] = not has_sequence(self.predictor.genome, chrom.name, index)
        return empty


def export_heads(model: Model, tracks: Sequence[Track]) -> tuple[ExportHead, ...]:
    """Return what is written of each head of a model, to have those of its tracks; heads without one are left out."""
    wanted = {track.slug for track in tracks}
    heads, first = [], 0
    for spec in model.heads:
        own = model.tracks[first : first + len(spec.tracks)]
        first += len(own)
        columns = tuple(at for at, track in enumerate(own) if track.slug in wanted)
        if columns:
            chosen = tuple(own[at] for at in columns)
            heads.append(ExportHead(model.head_digests[spec.name], len(own), columns, chosen))
    return tuple(heads)


def has_sequence(genome: Genome, chrom: str, index: int) -> bool:
    """Say whether any bin of a window has enough known bases to be predicted, having read no more than needed."""
    start = window_start(index)
    return any(
        (known_bases(genome.codes(chrom, first, first + _PEEK)) >= MIN_KNOWN_BASES).any()
        for first in range(start, start + WINDOW, _PEEK)
    )


def store_bytes(windows: int, empty: int, tracks: int) -> int:
    """Return what so many windows of one head, and ``empty`` ones, take in a store, at most: a file in a folder each,
    and summaries."""
    file = -(-BINS * tracks * 4 // _DISK_BLOCK) * _DISK_BLOCK
    beside = _DISK_BLOCK + _SUMMARY_NUMBERS * tracks * 4
    return windows * (file + beside) + empty * (_DISK_BLOCK + beside)
