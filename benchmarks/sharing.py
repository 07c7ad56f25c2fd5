"""What sharing saves: tower bins between overlapping windows, residual streams between heads; and what seams there are.

    python benchmarks/sharing.py [--threads 2] [--precision fp32] [--steps 8] [--skip-seams]

At the full shape of Basenji2 with random weights, over random sequence, on the CPU; a pass is 131,072 bases to the
embedding and a linear probe of 18 tracks. In turns, so that what else the machine does slows both alike:

* windows every 57,344 bases, each bin the mean of the two that hold it: a pass each, against ``TowerStrip.window``;
* another head on windows that were computed: a pass, against reading the kept residual stream;
* panning by 1,024 bases: a pass, against ``TowerStrip.window``. Every 56 steps it needs a new chunk of the tower, so
  it starts where 28 of them hold one, and the mean over them is on the safe side.

Then the shipped model over its held-out windows of the embedded genome, with ``window`` and with ``seamless`` edges:
jumps at window borders against the differences of neighbouring bins inside windows, as ``tracks seams`` gives them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from bars import Bar, show

from model.bench_tasks import PROBE_TRACKS, random_trunk
from model.compute import exact_float32, physical_cores
from model.engine.make import make_engine
from model.engine.strip import TowerStrip
from model.folder import demo_model_folder, load_model
from model.predict import Predictor
from model.residuals import ResidualStore
from model.seams import SeamCounter
from tracks.cli.seams import SEAM_HEADER, seam_cells
from tracks.genome import Genome, N, demo_genome
from tracks.grid import BIN, BINS, FLANK, INPUT, WINDOW
from tracks.markdown import table_lines
from tracks.memory import keep_freed_memory
from tracks.method import PRECISIONS, Method

if TYPE_CHECKING:
    from collections.abc import Callable

    from model.engine.base import TrunkEngine
    from tracks.method import Edges, Precision

HALF = WINDOW // 2
PAN = 1_024
_LENGTH = 40 * WINDOW


@dataclass
class Pair:
    """Seconds of the same work done both ways, step by step, by the clock and of the processor, and the largest
    difference of what they gave. The first step, which finds nothing computed before, is not counted."""

    alone: list[tuple[float, float]] = field(default_factory=list)
    shared: list[tuple[float, float]] = field(default_factory=list)
    apart: float = 0.0

    def step(self, alone: Callable[[], torch.Tensor], shared: Callable[[], torch.Tensor]) -> None:
        first, second = self._timed(self.alone, alone), self._timed(self.shared, shared)
        self.apart = max(self.apart, float((first - second).abs().max()))

    @staticmethod
    def _timed(seconds: list[tuple[float, float]], work: Callable[[], torch.Tensor]) -> torch.Tensor:
        clock, processor = time.perf_counter(), time.process_time()
        done = work()
        seconds.append((time.perf_counter() - clock, time.process_time() - processor))
        return done

    def fastest(self) -> tuple[float, float]:
        """Seconds by the clock of the fastest step, alone and shared."""
        return min(self.alone[1:])[0], min(self.shared[1:])[0]

    def clock_ratio(self) -> float:
        """What sharing takes of the other's time: the fastest step of each."""
        alone, shared = self.fastest()
        return shared / alone

    def processor_ratio(self) -> float:
        """The same of all steps together, in seconds of the processor, which other programs lengthen less."""
        return sum(step[1] for step in self.shared[1:]) / sum(step[1] for step in self.alone[1:])


class Bench:
    """An engine at full shape over random sequence, with a linear probe; ``spread`` is how far its labels lie apart."""

    def __init__(self, precision: Precision) -> None:
        self.engine: TrunkEngine = make_engine(random_trunk(), torch.device("cpu"), precision)
        self._sequence = np.random.default_rng(4).integers(0, 4, _LENGTH, np.uint8)
        self.spread = 0.0
        self._probe = torch.nn.Conv1d(self.engine.folded.embed.weight.shape[0], PROBE_TRACKS, 1).requires_grad_(False)

    def codes(self, chrom: str, start: int, end: int) -> np.ndarray:
        return self._sequence[start:end]

    @torch.inference_mode()
    def stream(self, start: int) -> torch.Tensor:
        codes = self.codes("", start - FLANK, start - FLANK + INPUT)
        return self.engine.stream(torch.from_numpy(codes)[None])

    @torch.inference_mode()
    def labels(self, stream: torch.Tensor) -> torch.Tensor:
        """Labels ``[tracks, 896]`` of a stream."""
        labels: torch.Tensor = self._probe(self.engine.embedding(stream))[0]
        self.spread = float(labels.std())
        return labels

    def overlapping(self, steps: int) -> Pair:
        """A step is the next grid window's mean labels, from two passes: its own, and that half a window on."""
        strip, pair = TowerStrip(self.engine, self.codes), Pair()

        def averaged(stream_at: Callable[[int], torch.Tensor]) -> Callable[[int], torch.Tensor]:
            before = [torch.zeros(PROBE_TRACKS, BINS)]

            def mean(start: int) -> torch.Tensor:
                own, after = self.labels(stream_at(start)), self.labels(stream_at(start + HALF))
                half = BINS // 2
                around = torch.cat([before[0][:, half:], after[:, :half]], dim=1)
                before[0] = after
                return (own + around) / 2

            return mean

        alone, shared = averaged(self.stream), averaged(lambda start: strip.window("", start))
        for index in range(1, steps + 2):
            pair.step(lambda at=index * WINDOW: alone(at), lambda at=index * WINDOW: shared(at))
        return pair

    def other_heads(self, steps: int, folder: Path) -> Pair:
        kept = ResidualStore(folder).windows(
            "0" * 64, "SQ.random", _LENGTH, self.engine.folded.width, "fp32-single", self.engine.dtype
        )
        pair = Pair()

        def from_sequence(index: int) -> torch.Tensor:
            stream = self.stream(index * WINDOW)
            kept.write(index, stream)
            return self.labels(stream)

        def from_stream(index: int) -> torch.Tensor:
            stream = kept.read(index)
            assert stream is not None
            return self.labels(stream)

        for index in range(1, steps + 2):
            pair.step(lambda at=index: from_sequence(at), lambda at=index: from_stream(at))
        return pair

    def panning(self, steps: int) -> Pair:
        strip, pair = TowerStrip(self.engine, self.codes), Pair()
        for step in range(steps + 1):
            start = 2 * WINDOW + 208 * BIN + step * PAN
            pair.step(lambda at=start: self.labels(self.stream(at)), lambda at=start: self.labels(strip.window("", at)))
        return pair


def held_out(genome: Genome, predictor: Predictor) -> list[tuple[str, int]]:
    """Grid windows that lie in blocks that training did not see, and are known by half at least."""
    blocks = [block.region for block in predictor.model.split if block.fold != "train"]
    windows = []
    for region in blocks:
        for index in range(-(-region.start // WINDOW), region.end // WINDOW):
            if (genome.codes(region.chrom, index * WINDOW, (index + 1) * WINDOW) < N).mean() > 0.5:
                windows.append((region.chrom, index))
    return windows


def seams_of(edges: Edges, threads: int) -> tuple[list[tuple[str, ...]], int, float]:
    """Rows of the table of seams, how many windows they are of, and seconds a window."""
    genome = Genome(demo_genome())
    model = load_model(demo_model_folder(), ["bins"])
    predictor = Predictor(model, genome, device="cpu", threads=threads, method=Method(edges=edges))
    windows = held_out(genome, predictor)
    counter = SeamCounter(len(model.tracks))
    started = time.perf_counter()
    for chrom, index in windows:
        counter.add(predictor.window(chrom, index), index * BINS, chrom)
    seconds = (time.perf_counter() - started) / len(windows)
    rows = [
        seam_cells(f"{track.name}, {edges}", seams) for track, seams in zip(model.tracks, counter.report(), strict=True)
    ]
    return rows, len(windows), seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=physical_cores())
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--skip-seams", action="store_true")
    options = parser.parse_args()
    keep_freed_memory()
    exact_float32()
    torch.set_num_threads(options.threads)
    bench = Bench(options.precision)
    with tempfile.TemporaryDirectory() as folder:
        pairs = {
            f"windows every {HALF:,} bp, averaged": bench.overlapping(options.steps),
            "another head on a known window": bench.other_heads(options.steps, Path(folder)),
            f"panning by {PAN:,} bp": bench.panning(28),
        }
    overlapping, heads, _ = pairs.values()
    print(
        f"{options.precision}, {options.threads} threads; the fastest of the steps, and the processor's time of all.\n"
    )
    header = ["what", "s alone", "s shared", "of the time", "of the processor's", "largest difference"]
    rows = [
        [
            what,
            *(f"{seconds:.3f}" for seconds in pair.fastest()),
            f"{pair.clock_ratio():.3f}",
            f"{pair.processor_ratio():.3f}",
            f"{pair.apart:.1e}",
        ]
        for what, pair in pairs.items()
    ]
    print("\n".join(table_lines(header, rows)))
    print(f"\nLabels are {bench.spread:.2f} in size (standard deviation).")
    show(
        Bar("stride 57,344, of the time of separate passes", overlapping.clock_ratio(), 0.56, at_least=False),
        Bar("the same, largest difference of labels", overlapping.apart, 1e-5, at_least=False, form="{:.1e}"),
        Bar("another head, times as fast as from sequence", 1 / heads.clock_ratio(), 30, form="{:.0f}"),
    )
    if options.skip_seams:
        return
    (window, count, seconds), (seamless, _, shared) = (
        seams_of(edges, options.threads) for edges in ("window", "seamless")
    )
    print(f"\nSeams: {count} held-out windows of the shipped model ({seconds:.3f} and {shared:.3f} s a window).\n")
    ordered = [row for pair in zip(window, seamless, strict=True) for row in pair]
    print("\n".join(table_lines(SEAM_HEADER, ordered)))


if __name__ == "__main__":
    main()
