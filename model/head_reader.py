"""What heads say of embeddings: the labels of 896 bins or of a window, with the context that some tracks see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from model.context import WindowCounts, window_context
from model.heads import head_labels
from tracks.errors import TracksError
from tracks.grid import BIN, BINS

if TYPE_CHECKING:
    from model.context import ContextConfig
    from model.folder import Model
    from model.heads import HeadSpec
    from model.passes import Place
    from tracks.genome import Genome

_CONTEXTS_KEPT = 8


class HeadReader:
    """The heads of a model on a device, and the base composition of a genome, in ``counts``."""

    def __init__(self, model: Model, genome: Genome, device: torch.device) -> None:
        self.counts = WindowCounts(genome)
        self._model, self._device = model, device
        self._contexts: dict[tuple[str, int, ContextConfig], tuple[np.ndarray, np.ndarray]] = {}
        model.network.heads.to(device)

    def labels(self, spec: HeadSpec, place: Place, embedding: torch.Tensor) -> np.ndarray:
        """Return one head's labels of the embedding ``[1, C, 896]`` of a place, in the chromosome's order: float32
        ``[896, tracks]``, or ``[1, tracks]`` of a window head."""
        features = None if spec.context is None else self._context_at(place.chrom, place.start, spec.context)
        turn = slice(None, None, -1 if place.reading.reverse else 1)
        labels = np.atleast_2d(self._read(spec, embedding, None if features is None else features[turn])[0].T)
        return labels[turn]

    def without_context(self, embedding: torch.Tensor) -> np.ndarray:
        """Return the labels of all heads, ``[896, tracks]``, of an embedding on any device, as if composition were
        average; a window head's are repeated."""
        labels = []
        for spec in self._model.heads:
            features = None if spec.context is None else np.zeros((BINS, spec.context.channels), np.float32)
            found = np.atleast_2d(self._read(spec, embedding.to(self._device), features)[0].T)
            labels.append(np.broadcast_to(found, (BINS, found.shape[1])))
        return np.concatenate(labels, axis=1)

    def _read(self, spec: HeadSpec, embedding: torch.Tensor, features: np.ndarray | None = None) -> np.ndarray:
        """One head's labels from an embedding: float32 ``[1, tracks, 896]`` or ``[1, tracks]``."""
        context = None
        if features is not None:
            context = {spec.name: torch.from_numpy(features.T.copy())[None].to(self._device)}
        raw = self._model.network.read(embedding, context, (spec.name,))[spec.name]
        labels: np.ndarray = head_labels(spec.links, raw).cpu().numpy()
        if not np.isfinite(labels).all():
            raise TracksError(f"head '{spec.name}' of {self._model.folder} gave values that are no numbers")
        return labels

    def _context_at(self, chrom: str, first: int, config: ContextConfig) -> np.ndarray:
        """Context of the 896 bins from base ``first`` on, float32 ``[896, channels]``: of the grid bin that holds
        each bin's middle, since composition over a megabase does not change within a bin."""
        middle = (first + BIN // 2) // BIN
        index, offset = divmod(middle, BINS)
        parts = [self.context(chrom, at, config)[0] for at in ((index, index + 1) if offset else (index,))]
        return np.concatenate(parts)[offset : offset + BINS]

    def context(self, chrom: str, index: int, config: ContextConfig) -> tuple[np.ndarray, np.ndarray]:
        """Return ``window_context``, kept for the passes and heads of the same window."""
        key = (chrom, index, config)
        if key not in self._contexts:
            if len(self._contexts) >= _CONTEXTS_KEPT:
                del self._contexts[next(iter(self._contexts))]
            self._contexts[key] = window_context(self.counts, chrom, index, config)
        return self._contexts[key]
