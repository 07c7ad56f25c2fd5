"""Prediction: windows of the grid, computed one way only, whoever asks (DESIGN.md, principle 1)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from model.compute import exact_float32, pick_device
from model.context import WindowCounts, window_context
from model.heads import head_labels
from tracks.composition import MIN_KNOWN_BASES
from tracks.errors import TracksError, UsageError
from tracks.genome import N
from tracks.grid import BIN, BINS, FLANK, INPUT, WINDOW, bins_over, input_span, window_count, window_start, windows_over
from tracks.memory import keep_freed_memory
from tracks.regions import Region, merge
from tracks.track import values_of
from tracks.trackdata import TrackData

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from model.context import ContextConfig
    from model.folder import Model
    from model.heads import HeadSpec
    from tracks.genome import Genome
    from tracks.store import Store, WindowStore


_MIN_WINDOW_KNOWN = 0.25


@dataclass(frozen=True, eq=False)
class WindowInput:
    """What heads read of one grid window. ``embedding`` float32 ``[1, C, 896]`` is None where the window has no
    sequence; ``unknown`` bool ``[896]`` marks bins of too few known bases; ``slid`` keeps what window heads gave."""

    chrom: str
    index: int
    heads: tuple[HeadSpec, ...]
    unknown: np.ndarray
    embedding: torch.Tensor | None
    slid: dict[str, np.ndarray]


class Predictor:
    """A model on a device with a genome. Not safe for several threads at once, but for ``known_windows``.

    Windows are computed one at a time, because the same window in another batch may round otherwise.
    """

    def __init__(self, model: Model, genome: Genome, device: str = "auto", threads: int | None = None) -> None:
        keep_freed_memory()
        if threads is not None:
            torch.set_num_threads(threads)
        exact_float32()
        self.model, self.genome = model, genome
        self.device = pick_device(device)
        self._network = model.network.to(self.device)
        self._counts = WindowCounts(genome)
        self._known_windows: dict[tuple[Path, str, str], WindowStore] = {}

    def has_sequence(self, chrom: str, index: int) -> bool:
        """Say whether any bin of a window has enough known bases to be predicted."""
        return bool((self._counts.window(chrom, index)[:, 0] >= MIN_KNOWN_BASES).any())

    @torch.inference_mode()
    def inputs(self, chrom: str, index: int, heads: Sequence[str] | None = None) -> WindowInput:
        """Compute what heads read of one grid window: its embedding, by one pass of the trunk, unless it has no
        sequence. ``heads`` names those that will be asked for, by default all of the model."""
        specs = self.heads(heads)
        unknown = self._counts.window(chrom, index)[:, 0] < MIN_KNOWN_BASES
        embedding = None if unknown.all() else self.embedding(chrom, input_span(index)[0])
        return WindowInput(chrom, index, specs, unknown, embedding, {})

    @torch.inference_mode()
    def head_window(self, inputs: WindowInput, head: str) -> np.ndarray:
        """Predict one grid window by one head: float32 ``[896, tracks]`` in track units.

        A head of scope window gives one value for each ``model.stride`` bases, that of the window centred on them.
        NaN where a bin has fewer than 64 known bases or lies past the chromosome's end; for tracks with context,
        where too little of the sequence around the bin is known; and for a head of scope window, where less than a
        quarter of its window is.
        """
        (spec,) = self.heads([head])
        if inputs.embedding is None:
            return np.full((BINS, len(spec.tracks)), np.nan, np.float32)
        if spec.scope == "window":
            if head not in inputs.slid:
                inputs.slid.update(self._slid_labels(inputs))
            labels = np.repeat(inputs.slid[head], self.model.stride // BIN, axis=0)
        else:
            features = masked = None
            if spec.context is not None:
                features, around = window_context(self._counts, inputs.chrom, inputs.index, spec.context)
                masked = around < spec.context.min_known
            labels = self._labels(spec, inputs.embedding, features)[0].T
            if masked is not None:
                labels[np.ix_(masked, np.array([track.context for track in spec.tracks]))] = np.nan
        values: np.ndarray = values_of(labels, spec.tracks)
        values[inputs.unknown] = np.nan
        return values

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
        labels = {}
        for spec in self.model.heads:
            features = None
            if spec.context is not None:
                features = self._context_at(chrom, start + FLANK, spec.context)
            labels[spec.name] = np.atleast_2d(self._labels(spec, embedding, features)[0].T)
        return labels

    @torch.inference_mode()
    def embedding(self, chrom: str, start: int) -> torch.Tensor:
        """Return the trunk's embedding of the input ``[start, start + 131072)``, float32 ``[1, C, 896]``."""
        codes = self.genome.codes(chrom, start, start + INPUT)
        embedding: torch.Tensor = self._network.trunk(torch.from_numpy(codes)[None].to(self.device))
        return embedding

    def _labels(self, spec: HeadSpec, embedding: torch.Tensor, features: np.ndarray | None = None) -> np.ndarray:
        """One head's labels from an embedding: float32 ``[1, tracks, 896]`` or ``[1, tracks]``."""
        context = None
        if features is not None:
            context = {spec.name: torch.from_numpy(features.T.copy())[None].to(self.device)}
        raw = self._network.read(embedding, context, (spec.name,))[spec.name]
        labels: np.ndarray = head_labels(spec.links, raw).cpu().numpy()
        if not np.isfinite(labels).all():
            raise TracksError(f"head '{spec.name}' of {self.model.folder} gave values that are no numbers")
        return labels

    def _slid_labels(self, inputs: WindowInput) -> dict[str, np.ndarray]:
        """Each window head's labels at every stride of a grid window, float32 ``[114688 / stride, tracks]``: of all
        heads at once, since each stride takes a pass of the trunk."""
        chrom, own = inputs.chrom, window_start(inputs.index)
        heads = [spec for spec in inputs.heads if spec.scope == "window"]
        stride = self.model.stride
        slid: dict[str, list[np.ndarray]] = {spec.name: [] for spec in heads}
        for place in range(WINDOW // stride):
            first = own + place * stride + (stride - WINDOW) // 2
            known = (self.genome.codes(chrom, first, first + WINDOW) < N).mean()
            here = inputs.embedding if first == own else self.embedding(chrom, first - FLANK)
            assert here is not None
            for spec in heads:
                labels = self._labels(spec, here)[0]
                slid[spec.name].append(labels if known >= _MIN_WINDOW_KNOWN else np.full_like(labels, np.nan))
        return {name: np.stack(labels) for name, labels in slid.items()}

    def _context_at(self, chrom: str, first: int, config: ContextConfig) -> np.ndarray:
        """Context of the 896 bins from base ``first`` on, float32 ``[896, channels]``: of the grid bin that holds
        each bin's middle, since composition over a megabase does not change within a bin."""
        middle = (first + BIN // 2) // BIN
        index, offset = divmod(middle, BINS)
        parts = [window_context(self._counts, chrom, at, config)[0] for at in (index, index + 1)]
        return np.concatenate(parts)[offset : offset + BINS]

    def known_windows(self, store: Store, chrom: str, head: str) -> WindowStore:
        """Return the store's windows of a chromosome under one head. Kept, so that asking again costs nothing; safe
        from any thread. The first time for a chromosome its whole sequence is read, for its digest."""
        key = (store.root, chrom, head)
        found = self._known_windows.get(key)
        if found is None:
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
            windows = store.windows(self.model.head_digests[head], sequence, length, len(spec.tracks), about=about)
            # Another thread may have been quicker, and there should be one, with one set of mappings.
            found = self._known_windows.setdefault(key, windows)
        return found


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
    for index in indices:
        if not 0 <= index < count:
            raise IndexError(f"{chrom} has windows 0 to {count - 1}, not {index}")
        found = {name: windows.read(index) for name, windows in stores.items()}
        missing = [spec for spec in specs if found.get(spec.name) is None]
        if missing:
            computed = predictor.window(chrom, index, [spec.name for spec in missing])
            ends = np.cumsum([len(spec.tracks) for spec in missing])
            for spec, own in zip(missing, np.split(computed, ends[:-1], axis=1), strict=True):
                if stores:
                    stores[spec.name].write(index, own)
                found[spec.name] = own
        parts = [values for spec in specs if (values := found[spec.name]) is not None]
        yield index, np.concatenate(parts, axis=1)


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
