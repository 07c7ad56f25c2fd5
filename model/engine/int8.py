"""The engine of 8-bit convolutions, on onnxruntime: a preview, for CPUs that multiply bytes fast."""

from __future__ import annotations

import platform
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from model.compute import cpu_features
from model.engine.base import TrunkEngine
from model.engine.folded import pad_channels
from model.engine.quantize import quantize
from model.engine.strip import tower_reach
from tracks.errors import UsageError
from tracks.genome import Genome, demo_genome
from tracks.grid import BIN

if TYPE_CHECKING:
    from model.engine.folded import FoldedTrunk

_CHANNELS = 4
"""onnxruntime's byte convolution is 1.6 times as fast where channels come by fours."""

_STRIP = 256
"""Tower bins computed at once: what lies between the layers stays small, which takes less memory and no more time."""

_PIECE = 16_384
_PLACES = (
    *(("chr20", start) for start in (9_200_000, 12_700_000, 44_200_000, 47_700_000)),
    *(("chr22", start) for start in (45_200_000, 46_700_000, 48_200_000, 49_700_000)),
)
"""Some poor and some rich in GC and CpG; those of chr22 have short stretches of N, as genomes do."""


def check_int8() -> str | None:
    """Return a word of warning where int8 is slow, or None. Raises UsageError where its packages are missing."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"--precision int8 needs the package {error.name}, which is not installed: "
            "pip install 'tracks-genome[int8]', or use another precision"
        ) from error
    if _multiplies_bytes():
        return None
    return "this CPU has no VNNI instructions, so int8 is no faster than fp32 and less exact; use --precision fp32"


def _multiplies_bytes() -> bool:
    """Say whether sums of products of uint8 and int8 are fast and exact: on x86 without VNNI they overflow 16 bits."""
    arm = platform.machine().lower() in ("arm64", "aarch64")
    return arm or not cpu_features().isdisjoint({"avx512_vnni", "avx_vnni"})


def calibration_codes() -> np.ndarray:
    """Return the sequence that scales are fitted to: base codes uint8 ``[8, 16384]`` from the embedded genome."""
    with Genome(demo_genome()) as genome:
        return np.stack([genome.codes(chrom, start, start + _PIECE) for chrom, start in _PLACES])


class Int8Engine(TrunkEngine):
    """Convolutions of bytes, activations and the residual stream in float32, on as many threads as torch has when the
    engine is made. Raises UsageError where onnxruntime is missing.

    The stream is not scaled for any GELU. To make one takes as long as 2.5 windows in float32 on one thread.
    """

    def __init__(self, folded: FoldedTrunk) -> None:
        check_int8()
        super().__init__(folded, torch.device("cpu"), torch.float32)
        self._bytes = quantize(pad_channels(folded, _CHANNELS), calibration_codes())
        self._signed = _multiplies_bytes()
        self._threads = torch.get_num_threads()

    def tower(self, codes: torch.Tensor) -> torch.Tensor:
        """See ``TrunkEngine``."""
        bases, margin = codes.cpu().numpy(), tower_reach(self.folded)
        bins = bases.shape[1] // BIN
        strips = []
        for first in range(0, bins, _STRIP):
            start, end = max(first - margin, 0), min(first + _STRIP + margin, bins)
            (strip,) = self._tower.run(None, {"codes": bases[:, start * BIN : end * BIN]})
            strips.append(strip[:, :, first - start : first - start + _STRIP])
        return _channels_first(np.concatenate(strips, axis=2))

    def residual(self, tower: torch.Tensor) -> torch.Tensor:
        """See ``TrunkEngine``."""
        return _channels_first(self._residual.run(None, {"x": _channels_last(tower)})[0])

    def residual_unpadded(self, tower: torch.Tensor) -> torch.Tensor:
        """See ``TrunkEngine``."""
        return _channels_first(self._residual_unpadded.run(None, {"x": _channels_last(tower)})[0])

    def embedding(self, stream: torch.Tensor) -> torch.Tensor:
        """See ``TrunkEngine``."""
        return _channels_first(self._embedding.run(None, {"x": _channels_last(stream)})[0]).squeeze(2)

    @cached_property
    def _tower(self) -> Any:
        from model.engine.onnx_graph import tower_graph

        return self._session(tower_graph(self._bytes, self._signed))

    @cached_property
    def _residual(self) -> Any:
        from model.engine.onnx_graph import residual_graph

        return self._session(residual_graph(self._bytes, self._signed, padded=True))

    @cached_property
    def _residual_unpadded(self) -> Any:
        from model.engine.onnx_graph import residual_graph

        return self._session(residual_graph(self._bytes, self._signed, padded=False))

    @cached_property
    def _embedding(self) -> Any:
        from model.engine.onnx_graph import embedding_graph

        return self._session(embedding_graph(self._bytes, self._signed))

    def _session(self, graph: bytes) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3
        # Its own pool of memory would hold 120 MB more, and what is freed is kept anyway (tracks/memory.py).
        options.enable_cpu_mem_arena = False
        # A pool that spins between calls takes the cores from torch, which reads the heads, and from the other pools.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _channels_last(x: torch.Tensor) -> np.ndarray:
    """``[N, C, 1, B]`` to ``[N, 1, B, C]``, in one piece of memory."""
    return x.permute(0, 2, 3, 1).contiguous().numpy()


def _channels_first(x: np.ndarray) -> torch.Tensor:
    """``[N, 1, B, C]`` to ``[N, C, 1, B]``, the same memory."""
    return torch.from_numpy(x).permute(0, 3, 1, 2)
