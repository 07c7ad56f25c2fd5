"""What this machine can do: device, threads, the fast number format for training, and the allocator's thresholds."""

from __future__ import annotations

import torch

from tracks.errors import UsageError


def pick_device(name: str = "auto") -> torch.device:
    """Return the device of that name, or the best there is for ``auto``. Raises UsageError when it is not here."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(f"device '{name}' is not available here; use auto, cpu, cuda or mps") from error
    return device


def exact_float32() -> None:
    """Let float32 mean float32 on a GPU too: by default cuDNN's convolutions round their inputs to 10 bits (TF32), and
    what is stored as fp32 would depend on where it was computed (DESIGN.md, principle 5)."""
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def has_fast_bfloat16(device: torch.device) -> bool:
    """Say whether bfloat16 is faster than float32 here; on a CPU without its instructions it is 8 times slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device.type == "cpu":
        # CPU capability names are not enough (AVX512 has bf16 only from Cooper Lake and Zen 4 on).
        check = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
        return bool(check is not None and check())
    return False
