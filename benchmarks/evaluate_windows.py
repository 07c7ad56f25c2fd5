"""How fast an evaluation streams, and what memory it takes: 38,171 windows x 18 tracks x 896 bins, as published.

Synthetic values stand for label and prediction files, so that the figure is that of the evaluation alone: each chunk
is one of a few random ones (made before the clock starts), so reading, decompressing and the model are not included.
Included: everything that `tracks evaluate` does with a chunk and afterwards - turning it tracks-first, Pearson,
Spearman and R2 per bin and per window with ranks and level pairs, the same without the across-track mean, LAD ROC of
two files, chromosome profiles, 2,000 bootstrap draws, all rows; of baselines, the mean of each track. With --others
the mean of the other biosamples too, which costs as much as a second model.

    python benchmarks/evaluate_windows.py [--windows 38171] [--threads 2] [--chunk 128] [--others]
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from model.report.accumulate import tracks_first
from model.report.baselines import OthersMean
from model.report.chunk import Chunk, Named, window_means
from model.report.fold import SAMPLE, FoldScorer, take_sample
from model.report.lads import T1, T2, Domains
from model.report.layout import lay_out
from model.report.rows import fold_rows
from tracks.grid import BINS
from tracks.memory import keep_freed_memory
from tracks.track import Track
from tracks.transform import Affine, Exp2
from tracks.windows import WindowRow

CHROM_SIZES = [248, 242, 198, 190, 181, 170, 159, 145, 138, 133, 135, 133, 114, 107, 101, 90, 83, 80, 58, 64, 46, 50]
STRIDE = 65_599


def published_like(count: int) -> list[WindowRow]:
    """Windows at the published training stride along 22 chromosomes and again from another phase, all of one fold."""
    windows: list[WindowRow] = []
    phase = 0
    while len(windows) < count:
        for number, megabases in enumerate(CHROM_SIZES, 1):
            starts = range(10_000 + phase, megabases * 1_000_000 - 131_072, STRIDE)
            windows += [WindowRow(f"chr{number}", start, "train") for start in starts]
        phase += 20_011
    return windows[:count]


def tracks_like() -> list[Track]:
    """Twelve of log2 enrichment, two of each other kind."""
    tracks = [
        Track(f"LMNB1 {i}", "ChIP-seq", f"cell {i}", "log2 enrichment", "#1b6ca8", transform=Exp2(128.0))
        for i in range(12)
    ]
    for kind, scale in (("LMNB1 mA fraction", 500.0), ("methylated fraction", 500.0), ("calls per 128 bp", 10.0)):
        tracks += [
            Track(f"{kind} {i}", "DiMeLo-seq", f"line {i}", kind, "#d95f02", transform=Affine(scale)) for i in range(2)
        ]
    return tracks


def domains(seed: int) -> Domains:
    """LADs over half of every chromosome, T1 and T2 in turn, on a 20-kb grid."""
    rng = np.random.default_rng(seed)
    spans, union = {}, {}
    for number, megabases in enumerate(CHROM_SIZES, 1):
        edges = np.sort(rng.choice(megabases * 50, 400, replace=False)).reshape(-1, 2) * 20_000
        union[f"chr{number}"] = edges
        spans[f"chr{number}"] = {T1: edges[::2], T2: edges[1::2]}
    return Domains(f"lads{seed}.bed", spans, union)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--windows", type=int, default=38_171)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--chunk", type=int, default=128)
    parser.add_argument("--others", action="store_true")
    options = parser.parse_args()
    keep_freed_memory()
    tracks = tracks_like()
    layout = lay_out(published_like(options.windows), "train")
    rng = np.random.default_rng(1)
    pool = []
    for _ in range(4):
        observed = rng.standard_normal((options.chunk, BINS, len(tracks)), np.float32)
        observed[0, :100, :2] = np.nan
        pool.append((observed, observed + rng.standard_normal(observed.shape, np.float32)))
    model = Named("synthetic", "", "bins", False)
    others = OthersMean(tracks, "bins")
    named = [model, others.named] if options.others else [model]

    def read(place: slice, number: int) -> tuple[Chunk, list[np.ndarray]]:
        observed, predicted = (tracks_first(one[: place.stop - place.start]) for one in pool[number % len(pool)])
        starts = layout.starts[place]
        chunk = Chunk(
            layout.rows[place],
            layout.chroms[layout.chrom[place.start]],
            starts,
            observed,
            window_means(observed, tracks),
        )
        return chunk, [predicted, others.predict(chunk)] if options.others else [predicted]

    started = time.monotonic()
    taken = [read(slice(at, at + 1), at) for at in layout.sample(SAMPLE)]
    sample = take_sample(tracks, named, [chunk for chunk, _ in taken], [predicted for _, predicted in taken])
    scorer = FoldScorer(layout, tracks, named, sample, [(0, domains(1)), (9, domains(2))], threads=options.threads)
    for number, place in enumerate(layout.chunks(options.chunk)):
        scorer.add(*read(place, number))
    streamed = time.monotonic()
    scores = scorer.result()
    rows = list(fold_rows(scores, np.zeros(len(tracks))))
    done = time.monotonic()
    windows = len(layout.rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{windows:,} windows x {len(tracks)} tracks: {windows / (streamed - started):,.0f} windows/s streaming")
    print(f"{windows / (done - started):,.0f} windows/s with all {len(rows):,} rows ({done - started:.1f} s)")
    print(f"{1e3 * time.process_time() / windows:.2f} ms of CPU time a window, start-up included")
    print(f"peak memory {peak:.2f} GB, {options.threads} threads")


if __name__ == "__main__":
    main()
