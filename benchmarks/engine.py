"""A window through the engine in each precision, against what others do with the same weights: ratios in one run.

    python benchmarks/engine.py [--threads 2] [--rounds 5]

A window is 131,072 bases through the trunk at the full shape of Basenji2 and a linear probe of 18 tracks, on the CPU.
Each form is a process of its own, and they are asked for a window in turn; the fastest of the rounds counts:

* the plain eager form (``plain_eager.py``), and the same with the allocator's thresholds set;
* tf-keras (``keras_window.py``), whose weights all others get, where ``make bench`` could install it;
* the engine in each precision, and the fastest matrix product of its numbers.

Before anything is reported, embeddings are compared: those of fp32 and winograd must be the plain form's.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from bars import Bar, show

from model.bench import PEAK_OF
from model.bench_tasks import start
from model.compute import physical_cores
from model.timed_process import Timed
from model.weights import import_weights
from tracks.errors import TracksError
from tracks.markdown import table_lines
from tracks.method import PRECISIONS

HERE = Path(__file__).parent
PARITY = HERE.parent / ".venv-parity"
PLAIN, KERAS = "plain eager", "tf-keras"
MOST_ERROR = 1e-4


def opened(stack: ExitStack, options: argparse.Namespace, folder: Path) -> tuple[dict[str, Timed], Timed, float]:
    """Start every form that there is; return them, the matrix products, and a window's operations."""
    forms: dict[str, Timed] = {}
    model = None
    if (PARITY / ".installed").exists():
        words = [PARITY / "bin/python", HERE / "keras_window.py", options.threads, folder / "model.h5"]
        forms[KERAS] = stack.enter_context(Timed(words))
        print(f"{forms[KERAS].ready()['version']}; all have its weights.")
        model = str(folder / "model")
        import_weights(folder / "model.h5", folder / "model")
    else:
        print("tf-keras is not installed (make bench does that); all have random weights.")
    for name, more in ((PLAIN, ()), (f"{PLAIN}, freed memory kept", ("keep",))):
        words = [sys.executable, HERE / "plain_eager.py", options.threads, model or "-", *more]
        forms[name] = stack.enter_context(Timed(words))
        forms[name].ready()
    settings = {"device": "cpu", "threads": options.threads}
    operations = 0.0
    for precision in PRECISIONS:
        engine = stack.enter_context(start("window", **settings, precision=precision, model=model, batch=1))
        try:
            operations = engine.ready()["operations"]
        except TracksError as error:
            print(f"{precision} is not measured: {error}")
        else:
            forms[precision] = engine
    gemm = stack.enter_context(start("gemm", **settings, seconds=0.5))
    gemm.ready()
    return forms, gemm, operations


def errors(forms: dict[str, Timed], folder: Path) -> dict[str, float]:
    """The length of each form's difference from the plain one's embedding, over the embedding's."""
    found = {}
    for name, form in forms.items():
        form.ask(str(folder / "embedding.npy"))
        found[name] = np.load(folder / "embedding.npy").astype(np.float64)
    plain = found[PLAIN]
    return {name: float(np.linalg.norm(one - plain) / np.linalg.norm(plain)) for name, one in found.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=physical_cores())
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    peaks: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        forms, gemm, operations = opened(stack, options, Path(name))
        apart = errors(forms, Path(name))
        for exact in {KERAS, "fp32", "winograd"} & set(forms):
            if not apart[exact] <= MOST_ERROR:
                sys.exit(f"the embedding of {exact} is off by {apart[exact]:.1e}; nothing to compare")
        seconds: dict[str, list[float]] = {form: [] for form in forms}
        memory: dict[str, int] = {}
        for _ in range(options.rounds):
            for kind in sorted(set(PEAK_OF.values())):
                peaks[kind] = max(peaks.get(kind, 0.0), gemm.ask(kind)["operations"] or 0.0)
            for form, process in forms.items():
                answer = process.ask("window")
                seconds[form].append(answer["seconds"])
                memory[form] = answer.get("bytes", 0)
    best = {form: min(times) for form, times in seconds.items()}
    share = {form: operations / best[form] / (peaks[PEAK_OF.get(form, "fp32")] or np.nan) for form in best}
    rates = ", ".join(f"{kind} {rate / 1e9:,.0f}" for kind, rate in sorted(peaks.items()) if rate)
    print(
        f"{operations / 1e9:.4g} GFLOP a window, {options.threads} threads, the fastest of {options.rounds} rounds. "
        f"Matrix products, 10^9 operations a second: {rates}.\n"
    )
    header = ["form", "s a window", "median", "of peak", "times plain", "times tf-keras", "off", "memory"]
    rows = [
        [
            form,
            f"{best[form]:.3f}",
            f"{statistics.median(seconds[form]):.3f}",
            f"{share[form]:.0%}",
            f"{best[PLAIN] / best[form]:.2f}",
            f"{best[KERAS] / best[form]:.2f}" if KERAS in best else "-",
            f"{apart[form]:.1e}",
            f"{memory[form] / 1e9:.2f} GB" if memory[form] else "-",
        ]
        for form in best
    ]
    print("\n".join(table_lines(header, rows)))
    int8 = best["int8"] / best["fp32"] if "int8" in best else None
    show(
        Bar("fp32 window, times as fast as plain eager", best[PLAIN] / best["fp32"], 2.5),
        Bar("fp32 window, of the sgemm peak", share["fp32"], 1, form="{:.0%}"),
        Bar("winograd window, of the sgemm peak", share.get("winograd"), 1.3, form="{:.0%}"),
        Bar("bf16 window, of the bf16 GEMM peak", share.get("bf16"), 0.9, form="{:.0%}"),
        Bar("int8 window, of the fp32 time", int8, 0.4, at_least=False),
    )


if __name__ == "__main__":
    main()
