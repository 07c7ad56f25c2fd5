"""The engine on a GPU: one captured graph for each shape of input, since at small batches launching the fifty kernels
of a pass takes as long as running them (facts/models.md section 3.3). Not measured so far: no GPU was at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from model.engine.convolution import ConvolutionEngine

if TYPE_CHECKING:
    from model.engine.folded import FoldedTrunk

_WARM_UP = 3
"""Passes before capturing, in which cuDNN chooses its kernels."""


@dataclass(frozen=True, eq=False)
class _Graph:
    graph: torch.cuda.CUDAGraph
    codes: torch.Tensor
    stream: torch.Tensor


class CudaEngine(ConvolutionEngine):
    """Codes go to the GPU as bytes, 131 kB a window; the one-hot is made there."""

    def __init__(self, folded: FoldedTrunk, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(folded, device, dtype)
        self._graphs: dict[tuple[int, ...], _Graph] = {}

    @torch.inference_mode()
    def stream(self, codes: torch.Tensor) -> torch.Tensor:
        """See ``TrunkEngine``."""
        shape = tuple(codes.shape)
        if shape not in self._graphs:
            # One at a time: each holds all activations of its shape.
            self._graphs.clear()
            self._graphs[shape] = self._capture(codes)
        captured = self._graphs[shape]
        pinned = codes if codes.is_cuda else codes.pin_memory()
        captured.codes.copy_(pinned, non_blocking=True)
        captured.graph.replay()
        return captured.stream.clone()

    def _capture(self, codes: torch.Tensor) -> _Graph:
        held = codes.to(self.device)
        side = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP):
                self.residual(self.tower(held))
        torch.cuda.current_stream(self.device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            stream = self.residual(self.tower(held))
        return _Graph(graph, held, stream)
