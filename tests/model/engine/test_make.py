from __future__ import annotations

import pytest
import torch

from model import compute
from model.engine import make
from model.engine.convolution import ConvolutionEngine
from model.engine.make import check_precision, make_engine
from model.engine.winograd import WinogradEngine
from tests.model.engine.trunks import random_trunk
from tracks.errors import UsageError

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize("precision", ["winograd", "int8"])
def test_what_is_for_cpus_is_refused_elsewhere(precision: str) -> None:
    said = f"precision {precision} is for CPUs, and this run is on cuda; use bf16 or fp32 there"
    with pytest.raises(UsageError, match=said):
        check_precision(precision, GPU)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=said):
        make_engine(random_trunk(), GPU, precision)  # type: ignore[arg-type]


def test_bfloat16_is_warned_of_on_a_cpu_and_refused_on_a_gpu_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "has_fast_bfloat16", lambda device: False)
    warning = check_precision("bf16", CPU)
    assert warning is not None
    assert "bf16 takes about 8 times as long as fp32; use --precision fp32 or winograd" in warning
    with pytest.raises(UsageError, match="this GPU cannot calculate in bfloat16; use --precision fp32"):
        check_precision("bf16", GPU)
    monkeypatch.setattr(make, "has_fast_bfloat16", lambda device: True)
    assert check_precision("bf16", CPU) is None
    assert check_precision("fp32", GPU) is None


@pytest.mark.parametrize(
    ("flags", "fast"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16 avx512_vnni", True),
        ("flags\t\t: fpu avx2 avx512f avx512_vnni", False),
        ("Features\t: fp asimd bf16 i8mm", True),
        ("model name : a CPU with bf16 in its name", False),
    ],
)
def test_bfloat16_is_fast_where_the_cpu_says_so(monkeypatch: pytest.MonkeyPatch, flags: str, fast: bool) -> None:
    compute.cpu_features.cache_clear()
    monkeypatch.setattr(compute.Path, "read_text", lambda path: f"processor\t: 0\n{flags}\n")
    try:
        assert compute.has_fast_bfloat16(CPU) is fast
    finally:
        compute.cpu_features.cache_clear()


def test_each_precision_has_its_engine() -> None:
    trunk = random_trunk()
    assert type(make_engine(trunk, CPU, "fp32")) is ConvolutionEngine
    assert make_engine(trunk, CPU, "bf16").dtype == torch.bfloat16
    assert isinstance(make_engine(trunk, CPU, "winograd"), WinogradEngine)


def test_cores_are_counted_within_what_the_process_may_use() -> None:
    import os

    assert 1 <= compute.physical_cores() <= len(os.sched_getaffinity(0))
