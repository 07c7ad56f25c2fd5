"""What a machine does: seconds a window in each precision, beside the fastest matrix products that it can do."""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from model.bench_tasks import start
from model.compute import physical_cores, pick_device
from model.engine.make import check_precision
from model.folder import load_trunk
from model.machine import Machine, describe_machine
from tracks.errors import TracksError, UsageError
from tracks.method import PRECISIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from model.timed_process import Timed
    from tracks.method import Precision

HG38_WINDOWS = 26_939 - 1_204
"""Windows of chromosomes 1 to 22, X and Y of hg38, without those that are all N (by UCSC's table of gaps)."""

PEAK_OF: dict[Precision, str] = {"fp32": "fp32", "winograd": "fp32", "bf16": "bf16", "int8": "int8"}
"""The matrix product to compare each precision with. Winograd saves multiplications, so it can pass its peak."""

_GPU_BATCH = 8
_ROUNDS, _QUICK_ROUNDS = 5, 2
_GEMM_SECONDS = 0.4


@dataclass(frozen=True)
class Timing:
    """One precision: ``seconds`` a window (the fastest) and ``median_seconds``, ``of_peak`` (a share of the matrix
    product's rate), ``times_fp32`` (how often it fits into fp32's time), ``hg38_seconds`` by the median, peak memory in
    ``bytes`` (of the GPU, on one). What could not be measured is None, and ``why`` says why."""

    precision: Precision
    batch: int
    seconds: float | None = None
    median_seconds: float | None = None
    of_peak: float | None = None
    times_fp32: float | None = None
    hg38_seconds: float | None = None
    bytes: int | None = None
    why: str | None = None


@dataclass(frozen=True)
class Report:
    """A machine, what passed through it (``model``; ``operations`` of a window, a multiplication and an addition being
    two), the most operations a second of its matrix products (None where it has none), and the timings."""

    machine: Machine
    model: str
    operations: float
    peaks: dict[str, float | None]
    timings: tuple[Timing, ...]
    hg38_windows: int = HG38_WINDOWS


def bench(
    model: Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    precisions: Sequence[Precision] = (),
    quick: bool = False,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Report:
    """Time a window - 131,072 bases to the embedding of 896 bins, and a linear probe of 18 tracks - in each precision.

    The trunk is a model folder's, by default random weights of the shape of Basenji2. Without ``precisions`` all are
    timed but those that are slow on the device; ``threads`` are by default those that predictions use. Each precision
    runs in a process of its own, and they are asked in turn, so that what else the machine does slows all of them
    alike; the fastest of five rounds counts, with ``quick`` of two.
    ``progress`` is told steps done, steps in all and what is being done. Raises UsageError for a device that is not
    here, for what is no model folder, and where none of the precisions can be used.
    """
    place, name = pick_device(device), "random weights of the shape of Basenji2"
    if model is not None:
        name = f"the trunk of '{load_trunk(model).name}'"
    threads = threads or min(physical_cores(), torch.get_num_threads())
    machine = describe_machine(place, threads)
    settings = {"device": str(place), "threads": threads}
    batch = _GPU_BATCH if place.type == "cuda" else 1
    rounds = _QUICK_ROUNDS if quick else _ROUNDS
    wanted, refused = _usable(tuple(dict.fromkeys(precisions)), place)
    steps, found, engines = len(wanted) + rounds, _Found(), {}
    with ExitStack() as stack:
        gemm = stack.enter_context(start("gemm", **settings, seconds=_GEMM_SECONDS))
        gemm.ready()
        for done, precision in enumerate(wanted):
            progress(done, steps, f"setting up {precision}")
            words = {"precision": precision, "model": str(model) if model else None, "batch": batch}
            engine = stack.enter_context(start("window", **settings, **words))
            try:
                found.operations = engine.ready()["operations"]
            except TracksError as error:
                refused[precision] = str(error)
            else:
                engines[precision] = engine
        if not engines:
            raise UsageError(next(iter(refused.values())))
        for turn in range(rounds):
            progress(len(wanted) + turn, steps, "measuring")
            refused |= _round(gemm, engines, found)
        progress(steps, steps, "")
    timings = [
        Timing(precision, batch, why=refused[precision]) if precision in refused else _timing(precision, batch, found)
        for precision in PRECISIONS
        if precision in refused or precision in engines
    ]
    return Report(machine, name, found.operations, found.peaks, tuple(timings))


@dataclass
class _Found:
    """What rounds have measured so far."""

    operations: float = 0.0
    peaks: dict[str, float | None] = field(default_factory=dict)
    seconds: dict[Precision, list[float]] = field(default_factory=dict)
    bytes: dict[Precision, int] = field(default_factory=dict)


def _round(gemm: Timed, engines: dict[Precision, Timed], found: _Found) -> dict[Precision, str]:
    """Ask each process once; return why some precisions failed, which are not asked again."""
    for kind in sorted({PEAK_OF[precision] for precision in engines}):
        rate = gemm.ask(kind)["operations"]
        found.peaks[kind] = max(rate, found.peaks.get(kind) or 0.0) if rate else None
    failed = {}
    for precision, engine in engines.items():
        try:
            answer = engine.ask("window")
        except TracksError as error:
            failed[precision] = str(error)
        else:
            found.seconds.setdefault(precision, []).append(answer["seconds"])
            found.bytes[precision] = answer["bytes"]
    for precision in failed:
        del engines[precision]
    return failed


def _usable(asked: tuple[Precision, ...], device: torch.device) -> tuple[list[Precision], dict[Precision, str]]:
    """Return the precisions to time, and why the others are not; a slow one is timed only when it is asked for."""
    wanted: list[Precision] = []
    refused: dict[Precision, str] = {}
    for precision in asked or PRECISIONS:
        try:
            slow = check_precision(precision, device)
        except UsageError as error:
            refused[precision] = str(error)
        else:
            if slow and not asked:
                refused[precision] = slow
            else:
                wanted.append(precision)
    return wanted, refused


def _timing(precision: Precision, batch: int, found: _Found) -> Timing:
    seconds, peak = found.seconds[precision], found.peaks[PEAK_OF[precision]]
    best, median = min(seconds), statistics.median(seconds)
    return Timing(
        precision,
        batch,
        best,
        median,
        found.operations / best / peak if peak else None,
        min(found.seconds["fp32"]) / best if "fp32" in found.seconds else None,
        median * HG38_WINDOWS,
        found.bytes[precision],
    )
