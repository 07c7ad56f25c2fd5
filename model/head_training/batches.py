"""Batches of training windows: sequence or cached residual stream, labels and weights, one read ahead.

What a batch holds depends on the seed, the epoch and the step alone, so that a run that goes on after a kill sees
what the first would have seen. Memory is that of two batches.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from model.augment import MAX_SHIFT, reverse_complement
from model.head_training.cache import STRANDS
from model.head_training.losses import observation_weights
from tracks.grid import INPUT
from tracks.labels import values

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from model.head_training.cache import ResidualCache
    from model.trunk import Trunk
    from tracks.genome import Genome
    from tracks.labels import LabelSet
    from tracks.track import Track
    from tracks.windows import Scope


@dataclass(frozen=True)
class Views:
    """Windows to read, and how each is seen: from which strand, and with its sequence moved by how many bases."""

    rows: np.ndarray
    reverse: np.ndarray
    shift: np.ndarray

    @classmethod
    def plain(cls, rows: np.ndarray) -> Views:
        """Windows as they are."""
        return cls(rows, np.zeros(len(rows), bool), np.zeros(len(rows), np.int64))


@dataclass(frozen=True, eq=False)
class Batch:
    """Windows ready for the device. ``streams`` holds a residual stream float16 ``[width, 896]`` where the cache had
    it and codes uint8 ``[131072]`` where not; ``labels`` and ``weight`` are float32 ``[N, tracks, 896]`` or
    ``[N, tracks]``."""

    views: Views
    streams: tuple[np.ndarray, ...]
    labels: torch.Tensor
    weight: torch.Tensor


class HeadLabels:
    """The labels that one head is trained on: some tracks of a label set at one scope.

    ``tracks`` are the head's own, whose transforms make labels of values; without them (None), labels are as stored
    and every one counts 1, NaN too, as the original's were.
    """

    def __init__(self, label_set: LabelSet, scope: Scope, kept: Sequence[int], tracks: Sequence[Track] | None) -> None:
        self.label_set, self.scope, self.kept, self.tracks = label_set, scope, list(kept), tracks

    def read(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return labels and weights of rows, float32 ``[n, 896, tracks]`` or ``[n, 1, tracks]`` each."""
        if self.tracks is None:
            labels = self.label_set.labels(rows, self.scope)[..., self.kept]
            return labels, np.ones_like(labels)
        observed, weight = read_values(self.label_set, rows, self.scope, self.kept)
        labels = np.empty_like(observed)
        for track, described in enumerate(self.tracks):
            labels[..., track] = described.transform.forward(observed[..., track])
        return labels, weight


def read_values(
    label_set: LabelSet, rows: np.ndarray, scope: Scope, kept: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return some tracks' values in their units and how much each counts, float32 ``[n, 896 or 1, tracks]`` each."""
    observed = np.asarray(values(label_set, rows, scope), np.float32)[..., kept]
    coverage = label_set.coverage(rows, scope)
    return observed, observation_weights(observed, None if coverage is None else coverage[..., kept])


class WindowStream:
    """Embeddings of a label set's windows: each passes the trunk, or its residual stream comes from a cache.

    What the cache lacks is computed and written to it as it comes by.
    """

    def __init__(
        self,
        trunk: Trunk,
        genome: Genome,
        labels: HeadLabels,
        device: torch.device,
        cache: ResidualCache | None = None,
        autocast: bool = False,
    ) -> None:
        self.trunk, self.genome, self.labels, self.device = trunk, genome, labels, device
        self.cache, self.autocast = cache, autocast

    def batches(self, views: Sequence[Views]) -> Iterator[Batch]:
        """Yield the batches of some views in turn; the next is read while this one is used."""
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(self.read, views[0]) if views else None
            for following in range(1, len(views) + 1):
                assert ahead is not None
                ready = ahead.result()
                if following < len(views):
                    ahead = pool.submit(self.read, views[following])
                yield ready

    def read(self, views: Views) -> Batch:
        """Read one batch. A window seen from the other strand has its bins, and so its labels, reversed."""
        labels, weight = self.labels.read(views.rows)
        labels, weight = (
            np.where(views.reverse[:, None, None], part[:, ::-1], part).transpose(0, 2, 1) for part in (labels, weight)
        )
        if self.labels.scope == "window":
            labels, weight = labels[..., 0], weight[..., 0]
        streams = []
        for row, reverse, shift in zip(views.rows, views.reverse, views.shift, strict=True):
            cached = self.cache.read(int(row), STRANDS[int(reverse)]) if self.cache is not None else None
            streams.append(self._codes(int(row), bool(reverse), int(shift)) if cached is None else cached)
        tensors = (torch.from_numpy(np.ascontiguousarray(part, np.float32)) for part in (labels, weight))
        return Batch(views, tuple(streams), *tensors)

    def _codes(self, row: int, reverse: bool, shift: int) -> np.ndarray:
        window = self.labels.label_set.windows[row]
        codes = self.genome.codes(window.chrom, window.start + shift, window.start + shift + INPUT)
        return reverse_complement(codes) if reverse else codes

    def embedding(self, batch: Batch) -> torch.Tensor:
        """Return the embedding of a batch on the device, float32 ``[N, C, 896]``."""
        return self.trunk.embedding(self.residual(batch).unsqueeze(2))

    def residual(self, batch: Batch) -> torch.Tensor:
        """Return the residual streams of a batch on the device, float32 ``[N, width, 896]``."""
        computed = [at for at, stream in enumerate(batch.streams) if stream.dtype == np.uint8]
        # A CPU is as fast with one window at a time and needs a fraction of the memory.
        size = 1 if self.device.type == "cpu" else max(len(computed), 1)
        residuals = {}
        for first in range(0, len(computed), size):
            part = computed[first : first + size]
            for at, residual in zip(part, self._pass(np.stack([batch.streams[at] for at in part])), strict=True):
                residuals[at] = residual if self.cache is None else self._kept(batch.views, at, residual)
        return torch.stack(
            [
                residuals[at] if at in residuals else torch.from_numpy(stream).to(self.device).float()
                for at, stream in enumerate(batch.streams)
            ]
        )

    def _pass(self, codes: np.ndarray) -> torch.Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            return self.trunk.residual_stream(torch.from_numpy(codes).to(self.device)).squeeze(2).float()

    def _kept(self, views: Views, at: int, residual: torch.Tensor) -> torch.Tensor:
        """Write a residual stream to the cache, and return it as it will come back."""
        assert self.cache is not None
        self.cache.write(int(views.rows[at]), STRANDS[int(views.reverse[at])], residual.cpu().numpy())
        return residual.half().float()


def in_batches(rows: np.ndarray, batch: int) -> list[Views]:
    """Return rows in their order, in batches, as they are."""
    return [Views.plain(rows[first : first + batch]) for first in range(0, len(rows), batch)]


def epoch_views(
    rows: np.ndarray, batch: int, seed: int, epoch: int, *, reverse_complement: bool, shift: bool
) -> list[Views]:
    """Return one epoch's batches: the rows in a new order, half of them from the other strand, each moved by up to
    half a bin."""
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(rows)
    strand = rng.random(len(rows)) < 0.5 if reverse_complement else np.zeros(len(rows), bool)
    moved = rng.integers(-MAX_SHIFT, MAX_SHIFT + 1, len(rows)) if shift else np.zeros(len(rows), np.int64)
    cuts = [slice(first, first + batch) for first in range(0, len(rows), batch)]
    return [Views(order[cut], strand[cut], moved[cut]) for cut in cuts]
