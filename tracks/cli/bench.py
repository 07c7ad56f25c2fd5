"""``tracks bench``."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import click

from tracks.cli import options
from tracks.cli.progress import bar, spoken
from tracks.markdown import table_lines
from tracks.method import PRECISIONS

if TYPE_CHECKING:
    from pathlib import Path

    from model.bench import Report
    from tracks.method import Precision


@click.command
@click.option("--model", type=options.PATH, help="Model folder [default: random weights of the shape of Basenji2].")
@options.device
@click.option("--threads", type=click.IntRange(1), help="CPU threads [default: one a core].")
@click.option(
    "--precision",
    "precisions",
    type=click.Choice(PRECISIONS),
    multiple=True,
    help="Precision to measure (repeatable) [default: all that are fast here].",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.option("--quick", is_flag=True, help="Two rounds instead of five.")
def command(
    model: Path | None,
    device: str,
    threads: int | None,
    precisions: tuple[Precision, ...],
    as_json: bool,
    quick: bool,
) -> None:
    """Measure what this machine does: seconds a window in each precision.

    A window is 131,072 bases to the embedding of 896 bins and a linear probe of 18 tracks. Beside it stand the fastest
    matrix products of the same numbers (the share of that peak tells how well the machine is used), the time that the
    whole of hg38 would take, and the peak memory of the process (on a GPU, that of the GPU). It takes about a minute.
    The table can be pasted into an issue; on a machine that has other work, all numbers are worse.

    \b
    Examples:
      tracks bench
      tracks bench --quick --precision fp32 --precision bf16
      tracks bench --model mymodel/ --device cuda
      tracks bench --json > bench.json
    """
    from model.bench import bench

    with bar("tracks bench") as shown:
        report = bench(model, device, threads, precisions, quick, shown.update)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(report), indent=2))
    else:
        click.echo("\n".join(report_lines(report)))


def report_lines(report: Report) -> list[str]:
    """Return a report as Markdown."""
    from model.bench_tasks import PROBE_TRACKS

    machine = report.machine
    features = f" ({', '.join(machine.features)})" if machine.features else ""
    memory = f", memory {machine.memory / 2**30:.1f} GiB" if machine.memory else ""
    lines = [
        f"tracks {machine.tracks}, torch {machine.torch}, Python {machine.python}, {machine.system}",
        f"{machine.processor}{features}; cores {machine.cores}, threads {machine.threads}{memory}",
    ]
    if machine.gpu:
        lines.append(f"{machine.gpu}, {report.timings[0].batch} windows at once")
    if machine.load is not None and machine.load > machine.cores / 2:
        lines.append(f"Other work was running (load {machine.load:.1f}), which makes all of it slower.")
    rates = [f"{name} {rate / 1e9:,.0f}" for name, rate in report.peaks.items() if rate]
    lines += [
        "",
        f"A window: {report.model}, {report.operations / 1e9:.4g} GFLOP to the embedding and a linear probe of "
        f"{PROBE_TRACKS} tracks.",
        f"Matrix products, 10^9 operations a second: {', '.join(rates) or 'not measured'}.",
        "",
    ]
    header = ["precision", "s a window", "median", "of peak", "x fp32", "hg38", "memory"]
    rows = [
        [
            timing.precision,
            f"{timing.seconds:.3g}" if timing.seconds else "-",
            f"{timing.median_seconds:.3g}" if timing.median_seconds else "-",
            f"{timing.of_peak:.0%}" if timing.of_peak else "-",
            f"{timing.times_fp32:.2f}" if timing.times_fp32 else "-",
            spoken(timing.hg38_seconds) if timing.hg38_seconds else "-",
            f"{timing.bytes / 2**30:.2f} GiB" if timing.bytes else "-",
        ]
        for timing in report.timings
    ]
    lines += table_lines(header, rows)
    lines += ["", f"hg38: {report.hg38_windows:,} windows (chromosomes 1-22, X and Y, without those that are all N)."]
    lines += [f"{timing.precision}: {timing.why}" for timing in report.timings if timing.why]
    return lines
