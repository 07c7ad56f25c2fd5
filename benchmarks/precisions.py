"""How each precision agrees with fp32: for every head of the shipped model, and for a random trunk of Basenji2's shape.

    python benchmarks/precisions.py [--windows 12] [--threads 2]

Windows are real sequence of the embedded genome that the shipped model was not trained on, spread over it. The random
trunk has a linear probe of 18 tracks and sees the first quarter of them. The table gives, over tracks: the least and
the median Pearson r over the bins of all windows (over windows, where a head gives one value a window), the least r in
a single window, the largest difference in a window, and the largest mean difference of one, both in standard
deviations of the track there, or over the value of a head that gives one value a window (``model.engine.check``, whose
tolerances hold for single windows).

The second table is the error of float32 against float64 on one window of the random trunk, over the largest value.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import numpy as np
import torch
from bars import Bar, show

from model.bench_tasks import PROBE_TRACKS, random_trunk
from model.compute import physical_cores
from model.engine.check import agreement
from model.engine.make import check_precision, make_engine
from model.folder import demo_model_folder, head_names, load_model
from model.predict import Predictor
from tracks.errors import TracksError
from tracks.genome import Genome, N, demo_genome
from tracks.grid import INPUT, WINDOW, input_span
from tracks.markdown import table_lines
from tracks.memory import keep_freed_memory
from tracks.method import PRECISIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from model.engine.base import TrunkEngine
    from model.folder import Model
    from model.trunk import Trunk
    from tracks.method import Precision

    Windows = list[tuple[str, int]]
    Labels = dict[str, np.ndarray]

CPU = torch.device("cpu")
_KNOWN = 0.98
RANDOM, R = "random probe", "{:.6f}"
HEADER = ("precision", "head", "r, least", "r, median", "r, least in a window", "largest", "mean")


def held_out_windows(model: Model, genome: Genome, most: int) -> Windows:
    """Return (chromosome, index) of windows outside training whose input the embedded genome holds, evenly spread."""
    found = []
    for block in model.split:
        part = block.scored()
        if block.fold == "train" or part is None or part.chrom not in genome.chrom_sizes:
            continue
        for index in range(-(-part.start // WINDOW), part.end // WINDOW):
            if (genome.codes(part.chrom, *input_span(index)) < N).mean() >= _KNOWN:
                found.append((part.chrom, index))
    return [found[at] for at in np.linspace(0, len(found) - 1, min(most, len(found))).astype(int)]


def engines(trunk: Trunk) -> dict[Precision, TrunkEngine]:
    """Return the engine of every precision that is of use on this machine, and say why others are not."""
    found = {}
    for precision in PRECISIONS:
        try:
            slow = check_precision(precision, CPU)
            if slow and precision == "bf16":
                raise TracksError(slow)
            found[precision] = make_engine(trunk, CPU, precision)
        except TracksError as error:
            print(f"{precision} is not compared: {error}\n")
    return found


def compared(trunk: Trunk, windows: Windows, genome: Genome, labels_of: Callable[..., Labels]) -> list[tuple[str, ...]]:
    """Return a row for each precision and head; ``labels_of`` gives labels of a window's embedding."""
    labels: dict[tuple[str, str], list[np.ndarray]] = {}
    for precision, engine in engines(trunk).items():
        for chrom, index in windows:
            start, end = input_span(index)
            embedding = engine(torch.from_numpy(genome.codes(chrom, start, end))[None])
            for head, values in labels_of(chrom, start, embedding).items():
                labels.setdefault((precision, head), []).append(values)
    rows = []
    for (precision, head), parts in labels.items():
        if precision == "fp32":
            continue
        reference = labels["fp32", head]
        whole = agreement(np.concatenate(reference), np.concatenate(parts))
        single = [agreement(one, other) for one, other in zip(reference, parts, strict=True)]
        each = np.stack([one.r for one in single])
        rows.append(
            (
                precision,
                head,
                f"{np.nanmin(whole.r):.6f}",
                f"{np.nanmedian(whole.r):.6f}",
                "-" if np.isnan(each).all() else f"{np.nanmin(each):.6f}",
                f"{max(one.largest.max() for one in single):.2g}",
                f"{max(one.mean.max() for one in single):.1g}",
            )
        )
    return rows


def random_probe(trunk: Trunk) -> Callable[..., Labels]:
    """Return what a random linear probe of 18 tracks says of an embedding ``[1, 1536, 896]``: ``[896, 18]``."""
    weight = torch.randn(PROBE_TRACKS, trunk.config.embedding_filters, generator=torch.Generator().manual_seed(3))

    def labels_of(chrom: str, start: int, embedding: torch.Tensor) -> Labels:
        return {RANDOM: (weight @ embedding[0]).numpy().T}

    return labels_of


def errors_against_float64(trunk: Trunk, codes: torch.Tensor) -> list[tuple[str, ...]]:
    """Return a row for the plain trunk and each engine in float32: the largest error and its root mean square at the
    residual stream, and at the embedding."""
    exact = random_trunk().double()
    with torch.inference_mode():
        stream = exact.residual_stream(codes)
        embedding = exact.embedding(stream)
        found = {"plain": (trunk.residual_stream(codes), trunk(codes))}
        for precision in ("fp32", "winograd"):
            engine = make_engine(trunk, CPU, precision)
            found[precision] = engine.stream(codes), engine(codes)
    rows = []
    for name, parts in found.items():
        cells = []
        for part, reference in zip(parts, (stream, embedding), strict=True):
            error = (part.double() - reference).abs() / reference.abs().max()
            cells += [f"{error.max().item():.1e}", f"{error.square().mean().sqrt().item():.1e}"]
        rows.append((name, *cells))
    return rows


@torch.inference_mode()
def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=12)
    parser.add_argument("--threads", type=int, default=physical_cores())
    options = parser.parse_args()
    keep_freed_memory()
    genome = Genome(demo_genome())
    folder = demo_model_folder()
    model = load_model(folder, head_names(folder))
    predictor = Predictor(model, genome, "cpu", options.threads)
    windows = held_out_windows(model, genome, options.windows)
    few = windows[:: max(1, len(windows) // 3)]
    rows = compared(model.network.trunk, windows, genome, predictor.labels_of)
    trunk = random_trunk()
    rows += compared(trunk, few, genome, random_probe(trunk))
    print(f"{len(windows)} held-out windows, {len(few)} of them through the random trunk; against fp32:\n")
    print("\n".join(table_lines(HEADER, rows)))
    chrom, index = windows[0]
    codes = torch.from_numpy(genome.codes(chrom, *input_span(index)))[None]
    assert codes.shape[1] == INPUT
    print("\nFloat32 against float64, over the largest value:\n")
    header = ("form", "stream, largest", "stream, rms", "embedding, largest", "embedding, rms")
    print("\n".join(table_lines(header, errors_against_float64(trunk, codes))))
    least = {(row[0], row[1]): float(row[2]) for row in rows}
    shipped = {
        precision: min(r for (name, head), r in least.items() if name == precision and head != RANDOM)
        for precision in {name for name, _ in least}
    }
    show(
        Bar("winograd, least r of a track, shipped model", shipped["winograd"], 0.999999, form=R),
        Bar("bf16, least r of a track, shipped model", shipped.get("bf16"), 0.9999, form=R),
        Bar("bf16, least r of a track, random trunk", least.get(("bf16", RANDOM)), 0.9999, form=R),
    )


if __name__ == "__main__":
    main()
