from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import model.bench as bench_module
from model.bench import HG38_WINDOWS, bench
from model.bench_tasks import PROBE_TRACKS, random_codes, random_trunk, start
from model.engine.folded import fold
from model.folder import Model
from model.machine import describe_machine
from model.timed_process import Timed, peak_memory
from tracks.errors import TracksError, UsageError
from tracks.grid import BINS, INPUT, WINDOW, window_count
from tracks.method import PRECISIONS, Precision

ROOT = Path(__file__).resolve().parents[2]

# Gaps of hg38 that hold a whole window, or the end of a chromosome (UCSC's table "gap"; neighbours joined).
_LONG_GAPS = """
chr1 125184587 143184587|chr2 89330679 89530679|chr2 90402511 91402511|chr3 198235559 198295559
chr6 59829934 60229934|chr6 170745979 170805979|chr8 145078636 145138636|chr9 45518558 60518558
chr9 66391387 66591387|chr9 67920552 68220552|chr11 50821348 51078348|chr12 133265309 133275309
chr13 0 16000000|chr14 0 16000000|chr14 106883718 107043718|chr15 0 17000000|chr16 38280682 46380682
chr16 90228345 90338345|chr18 80263285 80373285|chr20 64334167 64444167|chr21 0 5010000|chr21 9377143 9527143
chr22 0 10510000|chrX 1949345 2132994|chrX 37099262 37285837|chrY 1949345 2132994|chrY 26673214 56673214
"""


def test_a_report_says_what_was_measured(model: Model) -> None:
    steps: list[tuple[int, int]] = []
    report = bench(model.folder, "cpu", 1, ("fp32",), True, lambda done, total, _: steps.append((done, total)))
    trunk = model.network.trunk
    probe = 2 * trunk.config.embedding_filters * PROBE_TRACKS * BINS
    assert report.operations == fold(trunk).operations(INPUT) + probe
    assert report.model == f"the trunk of '{model.name}'"
    [timing] = report.timings
    assert timing.precision == "fp32"
    assert timing.why is None
    assert timing.seconds is not None
    assert timing.median_seconds is not None
    assert timing.bytes is not None
    assert 0 < timing.seconds <= timing.median_seconds < 60
    assert timing.hg38_seconds == pytest.approx(timing.median_seconds * HG38_WINDOWS)
    assert timing.times_fp32 == 1
    assert list(report.peaks) == ["fp32"]
    peak = report.peaks["fp32"]
    assert peak is not None
    assert peak > 1e8
    assert timing.of_peak == pytest.approx(report.operations / timing.seconds / peak)
    assert 30e6 < timing.bytes < 10e9
    assert report.machine.threads == 1
    assert report.machine.torch == torch.__version__
    assert steps[-1] == (3, 3)
    assert steps == sorted(steps)


def test_a_precision_that_cannot_be_used_is_said(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(precision: Precision, device: torch.device) -> str | None:
        if precision == "int8":
            raise UsageError("int8 is not for this test")
        return None if precision == "fp32" else "slow"

    monkeypatch.setattr(bench_module, "check_precision", check)
    report = bench(model.folder, "cpu", 1, quick=True)
    assert [timing.precision for timing in report.timings] == list(PRECISIONS)
    assert [timing.why for timing in report.timings] == [None, "slow", "slow", "int8 is not for this test"]
    assert [timing.seconds is None for timing in report.timings] == [False, True, True, True]
    assert bench_module._usable(("bf16",), torch.device("cpu")) == (["bf16"], {}), "what is asked for is measured"
    with pytest.raises(UsageError, match="int8 is not for this test"):
        bench(model.folder, "cpu", 1, ("int8",))


def test_what_cannot_be_measured_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a model folder"):
        bench(tmp_path, "cpu", 1, ("fp32",))
    with pytest.raises(UsageError, match="device 'gpu' is not available here"):
        bench(None, "gpu", 1, ("fp32",))


def test_a_window_process_gives_the_embedding_it_times(model: Model, tmp_path: Path) -> None:
    words = {"device": "cpu", "threads": 1, "precision": "fp32", "model": str(model.folder), "batch": 2}
    with start("window", **words) as process:
        process.ready()
        assert process.ask("window")["seconds"] > 0
        process.ask(str(tmp_path / "embedding.npy"))
    with torch.inference_mode():
        expected = model.network.trunk(random_codes(2))[0].numpy()
    np.testing.assert_allclose(np.load(tmp_path / "embedding.npy"), expected, rtol=1e-4, atol=1e-4)


def test_windows_of_hg38() -> None:
    sizes = runpy.run_path(str(ROOT / "benchmarks/hg38_signal.py"))["CHROM_SIZES"]
    unknown = 0
    for gap in _LONG_GAPS.replace("\n", "|").strip("|").split("|"):
        chrom, *ends = gap.split()
        first, last = map(int, ends)
        whole = last if last < sizes[chrom] else window_count(last) * WINDOW
        unknown += max(0, whole // WINDOW - -(-first // WINDOW))
    assert len(sizes) == 24
    assert sum(map(window_count, sizes.values())) - unknown == HG38_WINDOWS


def test_no_layer_of_the_random_trunk_does_nothing() -> None:
    trunk = random_trunk()
    assert fold(trunk).operations(INPUT) == pytest.approx(218.6e9, rel=1e-3)  # facts/models.md section 3.1
    assert all(bool(block.widen.norm.weight.min() > 0) for block in trunk.residual)
    assert not trunk.training


_ECHO = """
import sys
from model.timed_process import serve
from tracks.errors import TracksError

def start():
    print("libraries talk")
    if sys.argv[1:] == ["refuse"]:
        raise TracksError("there is nothing to measure")
    def answer(request):
        if sys.argv[1:] == ["rate"]:
            return {"operations": 5.0}
        if sys.argv[1:] == ["window"]:
            return {"seconds": 2.0, "bytes": 7}
        if sys.argv[1:] == ["broken"]:
            raise RuntimeError("out of memory")
        if request == "fail":
            raise RuntimeError("out of luck")
        return {"said": request}
    return {"ready": True}, answer

serve(start)
"""


def test_a_process_answers_each_line_until_it_is_ended() -> None:
    with Timed([sys.executable, "-c", _ECHO]) as process:
        assert process.ready() == {"ready": True}
        assert [process.ask(word) for word in ("one", "two")] == [{"said": "one"}, {"said": "two"}]
        pid = process._process.pid
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_process_that_fails_says_why_in_one_line() -> None:
    words = [sys.executable, "-c", _ECHO]
    with Timed([*words, "refuse"]) as process, pytest.raises(TracksError, match=r"^there is nothing to measure$"):
        process.ready()
    with Timed(words) as process:
        process.ready()
        for _ in range(2):
            with pytest.raises(TracksError, match=r"^RuntimeError: out of luck$"):
                process.ask("fail")
    words = [sys.executable, "-c", "import os; os._exit(3)"]
    with Timed(words) as process, pytest.raises(TracksError, match="ended with 3"):
        process.ready()


def test_peak_memory_grows_with_what_is_used() -> None:
    before = peak_memory(torch.device("cpu"))
    held = np.ones(before // 8 + 10_000_000)
    assert peak_memory(torch.device("cpu")) >= held.nbytes


def test_the_machine_is_described() -> None:
    machine = describe_machine(torch.device("cpu"), 3)
    assert machine.threads == 3
    assert machine.cores >= 1
    assert machine.processor
    assert machine.gpu is None
    assert machine.memory is None or machine.memory > 1e8
    assert list(machine.features) == sorted(machine.features)


def test_the_fastest_is_compared_and_the_median_projects() -> None:
    found = bench_module._Found(100.0, {"bf16": 400.0}, {"fp32": [4.0, 2.0, 3.0], "bf16": [1.0, 1.5, 0.5]}, {"bf16": 7})
    timing = bench_module._timing("bf16", 1, found)
    assert (timing.seconds, timing.median_seconds, timing.hg38_seconds) == (0.5, 1.0, HG38_WINDOWS)
    assert (timing.of_peak, timing.times_fp32, timing.bytes) == (0.5, 4.0, 7)
    alone = bench_module._timing("bf16", 1, bench_module._Found(100.0, {"bf16": None}, {"bf16": [1.0]}, {"bf16": 7}))
    assert (alone.of_peak, alone.times_fp32) == (None, None)


def test_what_fails_once_is_not_asked_again() -> None:
    words = [sys.executable, "-c", _ECHO]
    found = bench_module._Found()
    with Timed([*words, "rate"]) as gemm, Timed([*words, "window"]) as good, Timed([*words, "broken"]) as bad:
        engines: dict[Precision, Timed] = {"fp32": good, "bf16": bad}
        for process in (gemm, good, bad):
            process.ready()
        assert bench_module._round(gemm, engines, found) == {"bf16": "RuntimeError: out of memory"}
        assert bench_module._round(gemm, engines, found) == {}
    assert list(engines) == ["fp32"]
    assert found.seconds == {"fp32": [2.0, 2.0]}
    assert found.peaks == {"fp32": 5.0, "bf16": 5.0}
