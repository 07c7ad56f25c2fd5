"""The engine for a trunk, a device and a precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from model.compute import has_fast_bfloat16
from model.engine.convolution import ConvolutionEngine
from model.engine.folded import fold, pad_channels
from tracks.errors import UsageError

if TYPE_CHECKING:
    from model.engine.base import TrunkEngine
    from model.trunk import Trunk
    from tracks.method import Precision


def check_precision(precision: Precision, device: torch.device) -> str | None:
    """Return a word of warning about a precision that is slow on a device, or None.

    Raises UsageError, which says what to use, where it does not work at all.
    """
    if precision in ("winograd", "int8") and device.type != "cpu":
        raise UsageError(f"precision {precision} is for CPUs, and this run is on {device.type}; use bf16 or fp32 there")
    if precision == "int8":
        from model.engine.int8 import check_int8

        return check_int8()
    if precision == "bf16" and device.type == "cuda" and not has_fast_bfloat16(device):
        raise UsageError("this GPU cannot calculate in bfloat16; use --precision fp32")
    if precision == "bf16" and device.type == "cpu" and not has_fast_bfloat16(device):
        return (
            "this CPU has no bfloat16 instructions (avx512_bf16, AMX), so bf16 takes about 8 times as long as fp32; "
            "use --precision fp32 or winograd"
        )
    return None


def make_engine(trunk: Trunk, device: torch.device, precision: Precision) -> TrunkEngine:
    """Return the engine that passes sequence through a trunk. Raises UsageError where the precision cannot be used."""
    check_precision(precision, device)
    folded = fold(trunk)
    if precision == "winograd":
        from model.engine.winograd import WinogradEngine

        return WinogradEngine(folded, device)
    if precision == "int8":
        from model.engine.int8 import Int8Engine

        return Int8Engine(folded)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    if device.type == "cuda":
        from model.engine.cuda import CudaEngine

        # Tensor cores want channels by eights (facts/models.md section 3.3).
        return CudaEngine(pad_channels(folded, 8), device, dtype)
    return ConvolutionEngine(folded, device, dtype)
