"""Read coverage: ``tracks coverage`` against a plain pysam loop, time as ratios in one run, and peak memory.

    python benchmarks/coverage.py [--reads 2000000] [--bases 64444167] [--processes 2] [--deep 10]

A BAM of one chromosome is made first: reads of 75 bases, a tenth with deletions or clips, MAPQ of all heights. Compared
are processes of their own, which all write a bigWig of the reads of MAPQ 10 and more and which agree at every base:

* a loop over the reads that adds ``get_blocks`` to an array of the chromosome, written by pyBigWig;
* ``tracks coverage`` in one process and in several.

Then a pile of ``--deep`` million reads on a few kilobases, for the memory of one tile is not to grow with its reads.
There is no bar of time; memory stays below 500 MB a process.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pyBigWig
import pysam
from command import run

_MOST_MEGABYTES = 500

_PLAIN = """
import numpy as np, pyBigWig, pysam
def run(words):
    with pysam.AlignmentFile(words[0]) as file:
        depth = np.zeros(file.lengths[0], np.int32)
        for read in file.fetch():
            if read.flag & 0xF04 or read.mapping_quality < 10:
                continue
            for start, end in read.get_blocks():
                depth[start:end] += 1
        sizes = list(zip(file.references, file.lengths))
    edges = np.flatnonzero(np.append(True, depth[1:] != depth[:-1]))
    with pyBigWig.open(words[1], "w") as out:
        out.addHeader(sizes)
        ends = np.append(edges[1:], len(depth))
        values = depth[edges].astype(float)
        for at in range(0, len(edges), 1 << 20):
            part = slice(at, at + (1 << 20))
            chroms = np.full(len(edges[part]), sizes[0][0])
            out.addEntries(chroms, edges[part], ends=ends[part], values=values[part])
"""


def write_reads(path: Path, count: int, bases: int) -> None:
    """Write an indexed BAM of reads at random places of one chromosome."""
    rng = np.random.default_rng(1)
    letters = "".join(rng.choice(list("ACGT"), 10_000))
    qualities = ["".join(chr(33 + value) for value in rng.integers(2, 41, 75)) for _ in range(100)]
    starts = np.sort(rng.integers(1, bases - 100, count))
    flags, mapq = rng.choice([0, 16, 1024], count, p=[0.48, 0.48, 0.04]), rng.integers(0, 61, count)
    cigars = rng.choice(["75M", "30M2D45M", "10S65M"], count, p=[0.9, 0.05, 0.05])
    text = path.with_suffix(".sam")
    with text.open("w") as file:
        file.write(f"@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr20\tLN:{bases}\n")
        for at, (start, flag, quality, cigar) in enumerate(zip(starts, flags, mapq, cigars, strict=True)):
            shown = f"{letters[start % 9_900 : start % 9_900 + 75]}\t{qualities[at % 100]}"
            file.write(f"r{at}\t{flag}\tchr20\t{start}\t{quality}\t{cigar}\t*\t0\t0\t{shown}\n")
    pysam.view("-b", "-o", str(path), str(text), catch_stdout=False)
    text.unlink()
    pysam.index(str(path))


def write_pile(path: Path, count: int) -> None:
    """Write many reads of few bases in two kilobases."""
    header = pysam.AlignmentHeader.from_references(["chr20"], [64_444_167])
    with pysam.AlignmentFile(str(path), "wb", header=header) as file:
        read = pysam.AlignedSegment(header)
        read.query_name, read.cigarstring, read.mapping_quality, read.reference_id = "r", "75M", 60, 0
        for start in range(1_000_000, 1_002_000):
            read.reference_start = start
            for _ in range(count // 2_000):
                file.write(read)
    pysam.index(str(path))


def check_equal(one: Path, other: Path, bases: int) -> None:
    with pyBigWig.open(str(one)) as first, pyBigWig.open(str(other)) as second:
        for start in range(0, bases, 1 << 22):
            end = min(start + (1 << 22), bases)
            values = (file.values("chr20", start, end, numpy=True) for file in (first, second))
            np.testing.assert_array_equal(*values)


def main() -> None:
    """Measure and print; exit with 1 when the memory is too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reads", type=int, default=2_000_000)
    parser.add_argument("--bases", type=int, default=64_444_167)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--deep", type=int, default=10, help="millions of reads in the pile")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        bam, pile = folder / "reads.bam", folder / "pile.bam"
        write_reads(bam, options.reads, options.bases)
        write_pile(pile, options.deep * 1_000_000)
        plain = run(bam, folder / "plain.bw", program=_PLAIN)
        print(f"pysam loop:                {plain.seconds:6.2f} s, peak {plain.own:.0f} MiB")
        most = 0.0
        for name, processes, more in (
            ("tracks", 1, ()),
            ("tracks", options.processes, ()),
            ("tracks, cpm, bins of 128", options.processes, ("--scale", "cpm", "--bin", "128")),
        ):
            out = folder / "out.bw"
            words = (bam, "-o", out, "--min-mapq", "10", "--processes", processes, "--overwrite", *more)
            found = run("coverage", *words)
            if not more:
                check_equal(out, folder / "plain.bw", options.bases)
            most = max(most, found.megabytes)
            print(
                f"{name}, {processes} process{'es' if processes > 1 else ''}: {found.seconds:6.2f} s, peak "
                f"{found.megabytes:.0f} MiB, {plain.seconds / found.seconds:.1f} times as fast"
            )
        found = run("coverage", pile, "-o", folder / "pile.bw", "--processes", options.processes)
        print(f"a pile of {options.deep} million reads: {found.seconds:6.2f} s, peak {found.megabytes:.0f} MiB")
    if max(most, found.megabytes) > _MOST_MEGABYTES:
        raise SystemExit("the memory is too much")


if __name__ == "__main__":
    main()
