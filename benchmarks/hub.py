"""A track hub of 18 observed and 18 predicted tracks: what it takes beyond its bigWig files.

    python benchmarks/hub.py [--chroms 3] [--tracks 18]

One bigWig that holds a value for most 128-bp bins of the last chromosomes of hg38 (``hg38_signal.py``; ``--chroms 24``
for all) stands for every track, under 36 names. Its unit is no fraction, so that axes have to be found in the data. The
hub is written by ``tracks.hub.folder.write_hub``; the time in which it copies bigWigs, and subtracts observed from
predicted, is taken by itself, and so is that of importing it. The hub is then read back: as many files as there should
be, each named in hub.txt.
"""

from __future__ import annotations

import argparse
import functools
import os
import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bars import Bar, show

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chroms", type=int, default=3)
    parser.add_argument("--tracks", type=int, default=18)
    arguments = parser.parse_args()
    started = time.perf_counter()
    import tracks.hub.files
    import tracks.hub.folder

    importing = time.perf_counter() - started
    from hg38_signal import CHROM_SIZES, pieces

    from tracks.bigwig import write_bigwig
    from tracks.hub.assemblies import ASSEMBLIES, Assembly
    from tracks.hub.order import HubOrder
    from tracks.hub.sources import Source
    from tracks.track import Track

    spent = {"files": 0.0}

    def timed(work: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(work)
        def run(*given: Any) -> Any:
            began = time.perf_counter()
            try:
                return work(*given)
            finally:
                spent["files"] += time.perf_counter() - began

        return run

    for name in ("put_file", "write_difference"):
        setattr(tracks.hub.files, name, timed(getattr(tracks.hub.files, name)))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        chosen = dict(list(CHROM_SIZES.items())[-arguments.chroms :])
        sources = []
        for seed, kind in enumerate(("observed", "predicted")):
            write_bigwig(home / f"{kind}.bw", chosen, pieces(seed, chosen))
            for number in range(arguments.tracks):
                os.link(home / f"{kind}.bw", home / f"{kind}_{number}.bw")
                track = Track(f"Reads of sample {number}", "ChIP-seq", "cells", "reads", "#1b6ca8")
                sources.append(Source(home / f"{kind}_{number}.bw", kind, track))
        assembly = Assembly("hg38", ASSEMBLIES["hg38"], contigs=True)
        order = HubOrder("bench", "benchmark", "nobody@example.org", assembly, tuple(sources), link=True)
        began = time.perf_counter()
        written = tracks.hub.folder.write_hub(home / "hub", order)
        whole = time.perf_counter() - began
        named = set(re.findall(r"^(?:bigDataUrl|html) (.+)$", (home / "hub" / "hub.txt").read_text(), re.M))
        there = {path.name for path in (home / "hub").iterdir()}
        assert named <= there, named - there
        assert len(there) == len(written.files) == 5 + 1 + 4 * arguments.tracks, sorted(there)
    print(
        f"{2 * arguments.tracks} tracks on {len(chosen)} chromosomes ({sum(chosen.values()) / 1e6:.0f} Mb): "
        f"{whole:.2f} s in all, {spent['files']:.2f} s of it for bigWig files; {importing:.2f} s to import"
    )
    show(Bar("hub beyond its bigWig files, s", whole - spent["files"], 2.0, at_least=False))


if __name__ == "__main__":
    main()
