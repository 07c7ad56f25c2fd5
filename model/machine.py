"""What machine this is, for whoever reads what was measured on it."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import torch

from model.compute import cpu_features, physical_cores
from tracks import __version__


@dataclass(frozen=True)
class Machine:
    """What measured: versions, processor, ``features`` (its number formats), cores, memory in bytes, the GPU's name,
    and how many processes were running already when it began (the load, None where the system does not say)."""

    tracks: str
    torch: str
    python: str
    system: str
    processor: str
    features: tuple[str, ...]
    cores: int
    threads: int
    memory: int | None
    gpu: str | None
    load: float | None


def describe_machine(device: torch.device, threads: int) -> Machine:
    """Say what this machine is."""
    return Machine(
        __version__,
        torch.__version__,
        platform.python_version(),
        f"{platform.system()} {platform.machine()}",
        _processor(),
        tuple(sorted(cpu_features())),
        physical_cores(),
        threads,
        _memory(),
        torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unnamed processor"


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return None
