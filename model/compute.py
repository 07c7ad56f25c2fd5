"""What this machine can do: device, cores, the processor's number formats, float32 that means float32."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

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


@cache
def physical_cores() -> int:
    """Return the cores that this process may use, two hardware threads counting once: convolutions fill a core, and a
    second thread on it only takes from the first."""
    try:
        allowed = os.sched_getaffinity(0)
    except AttributeError:  # macOS and Windows
        return torch.get_num_threads()
    cores = set()
    for cpu in allowed:
        topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
        try:
            cores.add(((topology / "physical_package_id").read_text(), (topology / "core_id").read_text()))
        except OSError:
            cores.add((str(cpu), ""))
    return min(len(cores), _quota(len(cores)))


def _quota(cores: int) -> int:
    """The whole CPUs that the control group of a container or a Slurm job leaves, at least 1."""
    try:
        most, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return cores if most == "max" else max(1, int(most) // int(period))
    except (OSError, ValueError):
        return cores


@cache
def cpu_features() -> frozenset[str]:
    """Return the processor's number formats that matter here, as Linux names them: ``avx2``, ``avx512f``,
    ``avx512_bf16``, ``avx512_vnni``, ``avx_vnni``, ``amx_bf16``, ``amx_int8``, ``asimd``, ``bf16``, ``i8mm``. Empty
    where the system does not say."""
    known = {"avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8"}
    known |= {"asimd", "bf16", "i8mm"}
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return frozenset()
    lines = [line for line in text.splitlines() if line.startswith(("flags", "Features"))]
    return frozenset(lines[0].partition(":")[2].split()) & known if lines else frozenset()


def has_fast_bfloat16(device: torch.device) -> bool:
    """Say whether bfloat16 is faster than float32 here; on a CPU without its instructions it is 8 times slower
    (facts/models.md section 3.2)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # The name of a CPU capability is not enough: AVX-512 has bf16 only from Cooper Lake and Zen 4 on.
    return bool(cpu_features() & {"avx512_bf16", "amx_bf16", "bf16"})
