"""What every engine does: base codes to tower bins, to the residual stream, to the embedding."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from model.engine.folded import FoldedTrunk


class TrunkEngine(ABC):
    """One trunk on one device in one number format.

    What passes between the steps is the engine's own: its number format, its layout, and for the sigmoid GELU a stream
    that is 1.702 times as large. ``dtype`` is the number format of the stream.
    """

    def __init__(self, folded: FoldedTrunk, device: torch.device, dtype: torch.dtype) -> None:
        self.folded, self.device, self.dtype = folded, device, dtype

    @abstractmethod
    def tower(self, codes: torch.Tensor) -> torch.Tensor:
        """Map base codes uint8 ``[N, L]`` (0..3 = ACGT, else N) to tower bins ``[N, C, 1, L / 128]``, with zero padding
        at both ends, so that the 3 outermost bins at each end are those of an input that ends there."""

    @abstractmethod
    def residual(self, tower: torch.Tensor) -> torch.Tensor:
        """Map tower bins ``[N, C, 1, B]`` to the residual stream ``[N, C, 1, B - 2 * crop]``: the residual blocks with
        zero padding, then the crop."""

    @abstractmethod
    def residual_unpadded(self, tower: torch.Tensor) -> torch.Tensor:
        """Map tower bins ``[N, C, 1, B]`` to the residual stream of those that see no end, ``[N, C, 1, B - 2 * reach]``
        with the ``reach`` of the folded trunk."""

    @abstractmethod
    def embedding(self, stream: torch.Tensor) -> torch.Tensor:
        """Map a residual stream ``[N, C, 1, B]`` to the embedding, float32 ``[N, E, B]``."""

    @torch.inference_mode()
    def stream(self, codes: torch.Tensor) -> torch.Tensor:
        """Map base codes uint8 ``[N, 131072]`` on any device to the residual stream of each window's 896 bins."""
        return self.residual(self.tower(codes.to(self.device, non_blocking=True)))

    @torch.inference_mode()
    def __call__(self, codes: torch.Tensor) -> torch.Tensor:
        """Map base codes uint8 ``[N, 131072]`` on any device to the embedding float32 ``[N, E, 896]``."""
        return self.embedding(self.stream(codes))
