"""What ``tracks bench`` times, each in a process of its own (``model/timed_process.py``).

python -m model.bench_tasks gemm|window '{"device": "cpu", "threads": 2, ...}'
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from model.compute import exact_float32
from model.engine.make import make_engine
from model.folder import load_trunk
from model.timed_process import Timed, peak_memory, serve
from model.trunk import ConvBlock, Trunk, TrunkConfig
from tracks.grid import BINS, INPUT
from tracks.memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracks.method import Precision

    Task = Callable[..., tuple[dict[str, Any], Callable[[str], dict[str, Any]]]]

PROBE_TRACKS = 18
_ON_A_GPU = 0.2
"""Seconds to measure at once where a window takes less than a millisecond."""
_SETTLING = 32_768
"""Bases of random sequence whose statistics a random trunk gets."""


def start(task: str, **settings: Any) -> Timed:
    """Start a task of this module: ``window`` or ``gemm``."""
    return Timed([sys.executable, "-m", __name__, task, json.dumps(settings)])


def random_trunk(seed: int = 1) -> Trunk:
    """Return a trunk of the shape of Basenji2 with random weights; no layer of it does nothing, as new ones do.

    BatchNorm has the statistics of random sequence, as training would leave it: with any others the embedding hardly
    depends on the sequence after so many layers, and what number formats do to it says nothing.
    """
    torch.manual_seed(seed)
    trunk = Trunk(TrunkConfig()).eval().requires_grad_(False)
    norms = [block.norm for block in trunk.modules() if isinstance(block, ConvBlock)]
    for norm in norms:
        # Those that widen, which are 0 in a new trunk, add a part to the stream; the others replace it.
        norm.weight.uniform_(*((0.5, 1.5) if norm.weight.any() else (0.1, 0.5)))
        norm.bias.uniform_(-0.3, 0.3)
    for norm in norms:
        norm.train().momentum = 1.0
    trunk(random_codes(1)[:, :_SETTLING])
    for norm in norms:
        norm.eval().momentum = trunk.config.batch_norm_momentum
    return trunk


def random_codes(batch: int, seed: int = 2) -> torch.Tensor:
    """Return base codes of random sequence, uint8 ``[batch, 131072]``."""
    return torch.randint(0, 4, (batch, INPUT), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def loaded_trunk(model: str | None) -> Trunk:
    """Return the trunk of a model folder, or a random one of the shape of Basenji2."""
    if model is None:
        return random_trunk()
    return load_trunk(Path(model)).trunk


def time_passes(device: torch.device, work: Callable[[], object], share: int) -> float:
    """Return the seconds of one pass of ``work``, over ``share``: a single pass on a CPU, some on a GPU."""
    passes, started = 0, time.perf_counter()
    while not passes or (device.type == "cuda" and time.perf_counter() - started < _ON_A_GPU):
        work()
        passes += 1
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    return (time.perf_counter() - started) / passes / share


def _window(
    device: str, threads: int, precision: Precision, model: str | None, batch: int
) -> tuple[dict[str, Any], Callable[[str], dict[str, Any]]]:
    """Answer ``window`` with the seconds of one window - base codes to the embedding, and a linear probe of it - and
    the peak memory; and a path with the embedding of one window, written there."""
    keep_freed_memory()
    exact_float32()
    torch.set_num_threads(threads)
    place = torch.device(device)
    engine = make_engine(loaded_trunk(model), place, precision)
    codes = random_codes(batch)
    probe = torch.nn.Conv1d(engine.folded.embed.weight.shape[0], PROBE_TRACKS, 1).to(place)
    operations = engine.folded.operations(codes.shape[1]) + 2 * probe.weight.numel() * BINS

    @torch.inference_mode()
    def run() -> torch.Tensor:
        labels: torch.Tensor = probe(engine(codes)).cpu()
        return labels

    def answer(request: str) -> dict[str, Any]:
        if request != "window":
            np.save(request, engine(codes[:1])[0].cpu().numpy())
            return {}
        return {"seconds": time_passes(place, run, batch), "bytes": peak_memory(place)}

    run()
    return {"operations": operations}, answer


# By size, so that a slow machine stops before the large ones; a tower's own shape is among them.
_CPU_SHAPES = ((1024, 1024, 1024), (1024, 768, 1536), (2048, 2048, 2048), (8192, 2000, 472))
_GPU_SHAPES = ((4096, 4096, 4096), (8192, 8192, 8192), (16384, 8192, 8192))


def _gemm(device: str, threads: int, seconds: float) -> tuple[dict[str, Any], Callable[[str], dict[str, Any]]]:
    """Answer ``fp32``, ``bf16`` or ``int8`` with the most operations a second of a matrix product, over some shapes."""
    exact_float32()
    torch.set_num_threads(threads)
    place = torch.device(device)
    shapes = _GPU_SHAPES if place.type == "cuda" else _CPU_SHAPES

    def rate(kind: str, rows: int, inner: int, columns: int) -> float:
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "int8": torch.int8}[kind]
        one = torch.randint(-8, 8, (rows, inner), device=place).to(dtype)
        other = torch.randint(-8, 8, (columns, inner), device=place).to(dtype).t()
        multiply = torch._int_mm if kind == "int8" else torch.mm
        best, started = 0.0, time.perf_counter()
        while not best or time.perf_counter() - started < seconds / len(shapes):
            each = time_passes(place, lambda: multiply(one, other), 1)
            best = max(best, 2 * rows * inner * columns / each)
        return best

    def answer(kind: str) -> dict[str, Any]:
        best, started = 0.0, time.perf_counter()
        try:
            for shape in shapes:
                best = max(best, rate(kind, *shape))
                if time.perf_counter() - started > 2 * seconds:
                    break
        except (RuntimeError, AttributeError, NotImplementedError) as error:
            return {"operations": None, "why": str(error).splitlines()[0]}
        return {"operations": best}

    return {}, answer


_TASKS: dict[str, Task] = {"window": _window, "gemm": _gemm}

if __name__ == "__main__":
    serve(lambda: _TASKS[sys.argv[1]](**json.loads(sys.argv[2])))
