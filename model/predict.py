"""Prediction: windows of the grid, computed one way only, whoever asks (DESIGN.md, principle 1)."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from model.compute import exact_float32, physical_cores, pick_device
from model.engine.make import check_precision, make_engine
from model.head_reader import HeadReader
from model.passes import Passes, Place, readings
from tracks.composition import MIN_KNOWN_BASES
from tracks.errors import UsageError
from tracks.genome import Genome, N, demo_genome
from tracks.grid import BIN, BINS, FLANK, INPUT, WINDOW, bins_over, window_count, window_start, windows_over
from tracks.memory import keep_freed_memory
from tracks.method import REFERENCE, Method
from tracks.regions import Region, merge
from tracks.track import values_of
from tracks.trackdata import TrackData

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from model.engine.base import TrunkEngine
    from model.folder import Model
    from model.heads import HeadSpec
    from model.residuals import ResidualStore, WindowResiduals
    from tracks.store import Store, WindowStore


_MIN_WINDOW_KNOWN = 0.25
_GPU_BATCH = 8
_CHECKED = ("chr20", 10_200_000, 10_200_000 + INPUT)
"""Where the embedded genome has real bases."""


@dataclass(frozen=True, eq=False)
class WindowInput:
    """What heads read of one grid window. ``passes`` are the trunk's, each an embedding float32 ``[1, C, 896]`` of a
    place that holds bins of the window: one, or those of an ensemble; none where the window has no sequence.
    ``unknown`` bool ``[896]`` marks bins of too few known bases; ``slid`` keeps what window heads gave."""

    chrom: str
    index: int
    heads: tuple[HeadSpec, ...]
    unknown: np.ndarray
    passes: tuple[tuple[Place, torch.Tensor], ...]
    slid: dict[str, np.ndarray]


class Predictor:
    """A model on a device with a genome, which predicts by one method. Not safe for several threads at once, but for
    ``known_windows``.

    ``threads`` are the CPU's, by default its physical cores; ``batch`` windows pass the trunk of a GPU at once (on a
    CPU always one). With ``residuals`` the trunk's residual streams are kept there, so that other heads need no other
    pass. What is not the reference is compared with it on one window first: raises TracksError where it differs by more
    than its tolerance, UsageError where the device cannot do it.
    """

    def __init__(
        self,
        model: Model,
        genome: Genome,
        device: str = "auto",
        threads: int | None = None,
        method: Method = REFERENCE,
        batch: int | None = None,
        residuals: ResidualStore | None = None,
    ) -> None:
        keep_freed_memory()
        torch.set_num_threads(threads or min(physical_cores(), torch.get_num_threads()))
        exact_float32()
        self.model, self.genome, self.method, self.residuals = model, genome, method, residuals
        self.device = pick_device(device)
        _check_method(model, method, residuals)
        self._reader = HeadReader(model, genome, self.device)
        self.engine = self._checked_engine()
        size = (batch or _GPU_BATCH) if self.device.type == "cuda" else 1
        self._passes = Passes(self.engine, genome, method, size, self._residual_windows(residuals))
        self._known_windows: dict[tuple[Path, str, str], WindowStore] = {}

    @property
    def source(self) -> dict[str, str]:
        """Where its values are from, as files of them say."""
        names = {"model": self.model.name, "model_digest": self.model.digest, "genome": self.genome.path.name}
        return {**names, "method": self.method.key}

    @property
    def batch(self) -> int:
        """Windows that pass the trunk at once; fewer than asked for where memory did not suffice."""
        return self._passes.batch

    def _unknown(self, chrom: str, index: int) -> np.ndarray:
        unknown: np.ndarray = self._reader.counts.window(chrom, index)[:, 0] < MIN_KNOWN_BASES
        return unknown

    def inputs(self, chrom: str, index: int, heads: Sequence[str] | None = None) -> WindowInput:
        """Compute what heads read of one grid window by passes of the trunk, unless it has no sequence. ``heads`` names
        those that will be asked for, by default all of the model."""
        return self.inputs_of(chrom, [index], heads)[0]

    @torch.inference_mode()
    def inputs_of(self, chrom: str, indices: Sequence[int], heads: Sequence[str] | None = None) -> list[WindowInput]:
        """Compute ``inputs`` of several windows, which a GPU passes through the trunk together."""
        specs = self.heads(heads)
        unknown = [self._unknown(chrom, index) for index in indices]
        places = [
            [] if none.all() else self._places(chrom, index) for index, none in zip(indices, unknown, strict=True)
        ]
        if self.method.edges == "window" and self.method.ensemble.overlap == 1:
            embeddings = iter(self._passes.alone([place for of in places for place in of]))
            passes = [tuple((place, next(embeddings)) for place in of) for of in places]
        else:
            passes = [tuple((place, self._passes.shared(place)) for place in of) for of in places]
        return [
            WindowInput(chrom, *rest, {}) for rest in zip(indices, [specs] * len(indices), unknown, passes, strict=True)
        ]

    def _places(self, chrom: str, index: int) -> list[Place]:
        """The places whose bins are averaged in a window: of each reading, all that overlap it."""
        overlap = self.method.ensemble.overlap
        steps = range(1 - overlap, overlap)
        return [
            Place(chrom, window_start(index) + step * (WINDOW // overlap), reading)
            for reading in readings(self.method)
            for step in steps
        ]

    @torch.inference_mode()
    def head_window(self, inputs: WindowInput, head: str) -> np.ndarray:
        """Predict one grid window by one head: float32 ``[896, tracks]`` in track units; of an ensemble the mean of its
        passes' labels.

        A head of scope window gives one value for each ``model.stride`` bases, that of the window centred on them.
        NaN where a bin has fewer than 64 known bases or lies past the chromosome's end; for tracks with context,
        where too little of the sequence around the bin is known; and for a head of scope window, where less than a
        quarter of its window is.
        """
        (spec,) = self.heads([head])
        if not inputs.passes:
            return np.full((BINS, len(spec.tracks)), np.nan, np.float32)
        if spec.scope == "window":
            if head not in inputs.slid:
                inputs.slid.update(self._slid_labels(inputs))
            labels = np.repeat(inputs.slid[head], self.model.stride // BIN, axis=0)
        else:
            labels = self._bin_labels(spec, inputs)
            if spec.context is not None:
                _, around = self._reader.context(inputs.chrom, inputs.index, spec.context)
                masked = around < spec.context.min_known
                labels[np.ix_(masked, np.array([track.context for track in spec.tracks]))] = np.nan
        values: np.ndarray = values_of(labels, spec.tracks)
        values[inputs.unknown] = np.nan
        return values

    def _bin_labels(self, spec: HeadSpec, inputs: WindowInput) -> np.ndarray:
        """A bin head's labels of a window, ``[896, tracks]``: float32 of a single pass, the mean in float64 of more."""
        if len(inputs.passes) == 1:
            return self._reader.labels(spec, *inputs.passes[0])
        sums, count = np.zeros((BINS, len(spec.tracks))), np.zeros((BINS, 1))
        for place, embedding in inputs.passes:
            step = (place.start - window_start(inputs.index)) // BIN
            here, there = slice(max(step, 0), BINS + min(step, 0)), slice(max(-step, 0), BINS - max(step, 0))
            sums[here] += self._reader.labels(spec, place, embedding)[there]
            count[here] += 1
        mean: np.ndarray = sums / count
        return mean

    def window(self, chrom: str, index: int, heads: Sequence[str] | None = None) -> np.ndarray:
        """Predict one grid window: float32 ``[896, tracks]`` in track units, of some heads in the model's order, by
        default all. See ``head_window`` for where it has no value."""
        inputs = self.inputs(chrom, index, heads)
        return np.concatenate([self.head_window(inputs, spec.name) for spec in inputs.heads], axis=1)

    def heads(self, names: Sequence[str] | None = None) -> tuple[HeadSpec, ...]:
        """Return heads by name, in the model's order; all for None. Raises UsageError for one that it has not."""
        here = [spec.name for spec in self.model.heads]
        if names is None:
            return self.model.heads
        for name in names:
            if name not in here:
                raise UsageError(f"model '{self.model.name}' has no head '{name}' here; it has {', '.join(here)}")
        return tuple(spec for spec in self.model.heads if spec.name in names)

    @torch.inference_mode()
    def labels(self, chrom: str, start: int) -> dict[str, np.ndarray]:
        """Return what each head says of the input ``[start, start + 131072)``, wherever it lies: float32
        ``[896, tracks]``, or ``[1, tracks]`` for a head of scope window, as labels (not in track units).

        Nothing is masked. Bases outside the chromosome are N, and context is that of the bins themselves.
        """
        return self.labels_of(chrom, start, self.embedding(chrom, start))

    @torch.inference_mode()
    def labels_of(self, chrom: str, start: int, embedding: torch.Tensor) -> dict[str, np.ndarray]:
        """Return ``labels`` from the embedding of that input."""
        place = Place(chrom, start + FLANK)
        return {spec.name: self._reader.labels(spec, place, embedding) for spec in self.model.heads}

    @torch.inference_mode()
    def embedding(self, chrom: str, start: int) -> torch.Tensor:
        """Return the trunk's embedding of the input ``[start, start + 131072)``, float32 ``[1, C, 896]``: of one pass,
        whatever the method's ensemble and edges."""
        return self._passes.alone([Place(chrom, start + FLANK)])[0]

    def _slid_labels(self, inputs: WindowInput) -> dict[str, np.ndarray]:
        """Each window head's labels at every stride of a grid window, ``[114688 / stride, tracks]``: of all heads at
        once, and of tower bins that the strides share."""
        chrom, own = inputs.chrom, window_start(inputs.index)
        heads = [spec for spec in inputs.heads if spec.scope == "window"]
        stride = self.model.stride
        slid: dict[str, list[np.ndarray]] = {spec.name: [] for spec in heads}
        for at in range(WINDOW // stride):
            first = own + at * stride + (stride - WINDOW) // 2
            known = (self.genome.codes(chrom, first, first + WINDOW) < N).mean()
            here = inputs.passes
            if first != own:
                places = [Place(chrom, first, reading) for reading in readings(self.method)]
                here = tuple((place, self._passes.shared(place)) for place in places)
            for spec in heads:
                labels = np.mean([self._reader.labels(spec, *one)[0] for one in here], axis=0)
                slid[spec.name].append(labels if known >= _MIN_WINDOW_KNOWN else np.full_like(labels, np.nan))
        return {name: np.stack(labels) for name, labels in slid.items()}

    def _checked_engine(self) -> TrunkEngine:
        """Make the engine; what is not the reference is compared with it on a window of human sequence first."""
        trunk, precision = self.model.network.trunk, self.method.precision
        if precision == "fp32" and self.device.type == "cpu":
            return make_engine(trunk, self.device, precision)
        from model.engine.check import check_engine

        check_precision(precision, self.device)
        codes = torch.from_numpy(Genome(demo_genome()).codes(*_CHECKED))[None]
        # The reference is gone before the engine comes, so that only one of them takes room.
        expected = make_engine(trunk, torch.device("cpu"), "fp32")(codes)
        engine = make_engine(trunk, self.device, precision)
        names = [track.name for track in self.model.tracks]
        check_engine(engine, precision, expected, self._reader.without_context, codes, names)
        return engine

    def _residual_windows(self, residuals: ResidualStore | None) -> Callable[[str], WindowResiduals] | None:
        if residuals is None:
            return None

        @functools.cache
        def windows(chrom: str) -> WindowResiduals:
            sequence, length = self.genome.digest(chrom), self.genome.chrom_sizes[chrom]
            folded = self.engine.folded
            trunk, method = self.model.trunk_digest, self.method.key
            return residuals.windows(trunk, sequence, length, folded.width, method, self.engine.dtype)

        return windows

    def known_windows(self, store: Store, chrom: str, head: str) -> WindowStore:
        """Return the store's windows of a chromosome under one head. Kept, so that asking again costs nothing; safe
        from any thread. The first time for a chromosome its whole sequence is read, for its digest."""
        key = (store.root, chrom, head)
        found = self._known_windows.get(key)
        if found is None:
            self.genome.remember(store.root)
            (spec,) = self.heads([head])
            about: dict[str, Any] = {
                "model": self.model.name,
                "head": head,
                "tracks": [track.to_json() for track in spec.tracks],
                "genome": self.genome.path.name,
                "chrom": chrom,
            }
            if spec.scope == "window":
                about["stride"] = self.model.stride
            sequence, length = self.genome.digest(chrom), self.genome.chrom_sizes[chrom]
            digest = self.model.head_digests[head]
            windows = store.windows(digest, sequence, length, len(spec.tracks), self.method, about)
            # Another thread may have been quicker, and there should be one, with one set of mappings.
            found = self._known_windows.setdefault(key, windows)
        return found


def _check_method(model: Model, method: Method, residuals: ResidualStore | None) -> None:
    if method.ensemble.overlap > 1:
        slow = [spec.name for spec in model.heads if spec.scope == "window"]
        if slow:
            raise UsageError(f"head '{slow[0]}' gives one value a window, which cannot overlap; slide it with --stride")
    if residuals is not None and (method.edges != "window" or method.ensemble != REFERENCE.ensemble):
        raise UsageError(
            "residual streams are kept of single passes with window edges; leave --edges and --ensemble out"
        )


def predict_windows(
    predictor: Predictor,
    chrom: str,
    indices: Iterable[int],
    store: Store | None = None,
    heads: Sequence[str] | None = None,
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (index, values float32 ``[896, tracks]``) of grid windows, of some heads in the model's order (default:
    all): each head's from the store where known; the others computed together and, with a store, written to it.

    Raises IndexError for a window outside the chromosome.
    """
    specs = predictor.heads(heads)
    stores = {spec.name: predictor.known_windows(store, chrom, spec.name) for spec in specs} if store else {}
    count = window_count(predictor.genome.chrom_sizes[chrom])
    remaining = iter(indices)
    # Known windows too count for the batch, so that what is held does not grow with them.
    while batch := list(itertools.islice(remaining, predictor.batch)):
        found: dict[int, dict[str, np.ndarray]] = {}
        for index in batch:
            if not 0 <= index < count:
                raise IndexError(f"{chrom} has windows 0 to {count - 1}, not {index}")
            read = {name: windows.read(index) for name, windows in stores.items()}
            found[index] = {name: values for name, values in read.items() if values is not None}
        missing = [index for index in batch if len(found[index]) < len(specs)]
        wanted = [spec.name for spec in specs if any(spec.name not in found[index] for index in missing)]
        for inputs in predictor.inputs_of(chrom, missing, wanted):
            known = found[inputs.index]
            for name in wanted:
                if name not in known:
                    known[name] = predictor.head_window(inputs, name)
                    if stores:
                        stores[name].write(inputs.index, known[name])
        for index in batch:
            yield index, np.concatenate([found[index][spec.name] for spec in specs], axis=1)


def predict(
    predictor: Predictor,
    regions: Sequence[Region],
    store: Store | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[TrackData]:
    """Predict regions, and yield one TrackData for each window piece, in the genome's order.

    Regions are joined where they touch and widened to whole bins; a bin that two of them share comes once.
    ``progress`` is told the windows done and in all.
    """
    sizes = predictor.genome.chrom_sizes
    whole_bins = [
        Region(region.chrom, bins_over(region).start * BIN, min(bins_over(region).stop * BIN, sizes[region.chrom]))
        for region in regions
    ]
    spans = {
        chrom: [(index, region) for region in regions for index in windows_over(region)]
        for chrom, regions in groupby(merge(whole_bins, sizes), key=attrgetter("chrom"))
    }
    # Small regions share windows, so each window is asked for once and cut as often as needed.
    shared = {chrom: dict.fromkeys(index for index, _ in pairs) for chrom, pairs in spans.items()}
    done, total = 0, sum(map(len, shared.values()))
    progress(done, total)
    for chrom, pairs in spans.items():
        windows = predict_windows(predictor, chrom, shared[chrom], store)
        for (index, values), (_, cuts) in zip(windows, groupby(pairs, key=itemgetter(0)), strict=True):
            for _, region in cuts:
                bins = bins_over(region)
                first, last = max(bins.start, index * BINS), min(bins.stop, (index + 1) * BINS)
                piece = Region(chrom, first * BIN, min(last * BIN, region.end))
                yield TrackData(values[first - index * BINS : last - index * BINS], piece, predictor.model.tracks)
            done += 1
            progress(done, total)
