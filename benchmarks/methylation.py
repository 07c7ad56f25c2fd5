"""``tracks methylation`` against plain pysam loops over ``modified_bases``, as ratios of one run, and its peak memory.

    python benchmarks/methylation.py [--megabases 1] [--depth 15] [--processes 2] [--targets 5mC:CpG 6mA:A]

The reads are made from real sequence of chr20 (the embedded genome), 5 to 25 kb long, with substitutions, insertions
and deletions as Nanopore reads have them, every A and CpG called. Timed, for each list of targets:

* the command in a process of its own, start-up and all files included;
* a pileup loop: pysam's columns, each read's ``modified_bases`` looked up in them (``--columns`` kilobases of it, as it
  is slow; its seconds are scaled up to all);
* a loop over reads: ``modified_bases`` and ``get_aligned_pairs``, which is what a careful person would write instead.

Both loops count on one thread, check the reference's base and context, and write nothing. All counts must agree.
"""

from __future__ import annotations

import argparse
import array
import gzip
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pysam
from command import run

from tracks.genome import Genome, demo_genome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

START = 10_000_000
LETTERS = np.frombuffer(b"ACGTN", np.uint8)
PARTNER = {"5mC:CpG": ("C", "m", 1), "6mA:A": ("A", "a", 0)}

Counts = dict[tuple[int, str], list[int]]


def make(folder: Path, bases: int, depth: float) -> tuple[Path, Path, str]:
    """Write the reference and its reads."""
    with Genome(demo_genome()) as genome:
        reference = LETTERS[genome.codes("chr20", START, START + bases)]
    fasta = folder / "chr20.fa"
    sequence = reference.tobytes().decode()
    fasta.write_text(f">chr20\n{sequence}\n")
    random = np.random.default_rng(7)
    lengths = random.integers(5_000, 25_000, int(bases * depth / 15_000))
    starts = np.sort(random.integers(0, bases - lengths))
    header = pysam.AlignmentHeader.from_dict(
        {"HD": {"VN": "1.6", "SO": "coordinate"}, "SQ": [{"SN": "chr20", "LN": bases}]}
    )
    bam = folder / "reads.bam"
    order = np.argsort(starts, kind="stable")
    with pysam.AlignmentFile(str(bam), "wb", header=header) as file:
        for number, at in enumerate(order):
            stretch = reference[starts[at] : starts[at] + lengths[at]]
            file.write(_read(random, header, f"read{number}", int(starts[at]), stretch))
    pysam.index(str(bam))
    return bam, fasta, sequence


def _read(
    random: np.random.Generator, header: pysam.AlignmentHeader, name: str, start: int, stretch: np.ndarray
) -> pysam.AlignedSegment:
    kinds = random.choice(4, len(stretch), p=[0.94, 0.025, 0.02, 0.015])
    kinds[[0, -1]] = 0
    bases = np.where(kinds == 1, random.choice(LETTERS[:4], len(stretch)), stretch)
    # Operations, one for each base: 0 M, 1 I, 2 D.
    after = np.flatnonzero(kinds == 3) + 1
    ops = np.insert(np.where(kinds == 2, 2, 0), after, 1)
    bases = np.insert(bases, after, random.choice(LETTERS[:4], len(after)))[ops != 2]
    changes = np.flatnonzero(np.diff(ops, prepend=-1))
    runs = np.diff(changes, append=len(ops))
    reverse = bool(random.integers(2))
    sequenced = (LETTERS[3 - np.searchsorted(LETTERS[:4], bases)][::-1] if reverse else bases).tobytes()
    letters = np.frombuffer(sequenced, np.uint8)
    cpg = (letters[:-1] == ord("C")) & (letters[1:] == ord("G"))
    texts, values = [], []
    for letter, code, called in (
        ("A", "a", np.ones(int((letters == ord("A")).sum()), bool)),
        ("C", "m", np.append(cpg, False)[letters == ord("C")]),
    ):
        places = np.flatnonzero(called)
        texts.append(f"{letter}+{code}?" + "".join(f",{skip}" for skip in np.diff(places, prepend=-1) - 1) + ";")
        values.append((random.beta(0.2, 0.4, len(places)) * 255).astype(np.uint8))
    read = pysam.AlignedSegment(header)
    read.query_name, read.flag, read.reference_id, read.reference_start = name, 16 if reverse else 0, 0, start
    read.mapping_quality = 60
    read.query_sequence = bases.tobytes().decode()
    read.cigartuples = list(zip(ops[changes].tolist(), runs.tolist(), strict=True))
    read.set_tag("MM", "".join(texts))
    read.set_tag("ML", array.array("B", np.concatenate(values).tobytes()))
    return read


def wanted_sites(sequence: str, targets: Sequence[str]) -> list[dict[int, str]]:
    """The strand of each site of each target."""
    found: list[dict[int, str]] = []
    for target in targets:
        if target == "6mA:A":
            found.append({at: "+" if base == "A" else "-" for at, base in enumerate(sequence) if base in "AT"})
        else:
            starts = [at for at in range(len(sequence) - 1) if sequence[at : at + 2] == "CG"]
            found.append({at + step: strand for at in starts for step, strand in ((0, "+"), (1, "-"))})
    return found


def _context(target: str, read: str, at: int, strand: str) -> bool:
    if target == "6mA:A":
        return read[at] == ("A" if strand == "+" else "T")
    return read[at : at + 2] == "CG" if strand == "+" else at > 0 and read[at - 1 : at + 1] == "CG"


def by_reads(bam: Path, sequence: str, targets: Sequence[str]) -> list[Counts]:
    """The loop over reads."""
    sites = wanted_sites(sequence, targets)
    counts: list[Counts] = [{} for _ in targets]
    with pysam.AlignmentFile(str(bam)) as file:
        for read in file:
            own = "-" if read.is_reverse else "+"
            text = read.query_sequence
            calls = {key[2]: dict(entries) for key, entries in read.modified_bases.items()}
            pairs = read.get_aligned_pairs(matches_only=True)
            for target, places, count in zip(targets, sites, counts, strict=True):
                called = calls[PARTNER[target][1]]
                for query, at in pairs:
                    if query in called and places.get(at) == own and _context(target, text, query, own):
                        entry = count.setdefault((at, own), [0, 0])
                        entry[0] += called[query] >= 129
                        entry[1] += 1
    return counts


def by_columns(bam: Path, sequence: str, targets: Sequence[str], end: int) -> list[Counts]:
    """The pileup loop, up to a position."""
    sites = wanted_sites(sequence[: end + 1], targets)
    counts: list[Counts] = [{} for _ in targets]
    reads: dict[str, tuple[str, str, dict[str, dict[int, int]]]] = {}
    with pysam.AlignmentFile(str(bam)) as file:
        columns = file.pileup("chr20", 0, end, truncate=True, min_base_quality=0, max_depth=100_000, stepper="all")
        for column in columns:
            at = column.reference_pos
            for piled in column.pileups:
                query = piled.query_position
                if query is None:
                    continue
                read = piled.alignment
                if read.query_name not in reads:
                    calls = {key[2]: dict(entries) for key, entries in read.modified_bases.items()}
                    reads[read.query_name] = ("-" if read.is_reverse else "+", read.query_sequence, calls)
                own, text, calls = reads[read.query_name]
                for target, places, count in zip(targets, sites, counts, strict=True):
                    called = calls[PARTNER[target][1]]
                    if query in called and places.get(at) == own and _context(target, text, query, own):
                        entry = count.setdefault((at, own), [0, 0])
                        entry[0] += called[query] >= 129
                        entry[1] += 1
    return counts


def written(out: Path, target: str) -> Iterator[tuple[tuple[int, str], list[int]]]:
    """The counts in a bedMethyl file."""
    with gzip.open(out / f"reads.{target.replace(':', '.')}.bedmethyl.gz", "rt") as lines:
        for line in lines:
            fields = line.split("\t")
            yield (int(fields[1]), fields[5]), [int(fields[11]), int(fields[9])]


def compare(bam: Path, fasta: Path, sequence: str, targets: Sequence[str], processes: int, end: int) -> None:
    """Run all three on a list of targets and print the ratios."""
    with tempfile.TemporaryDirectory() as name:
        chosen = [word for target in targets for word in ("--target", target)]
        found = run("methylation", bam, "-o", name, "--genome", fasta, "--processes", processes, *chosen)
        mine = [dict(written(Path(name), target)) for target in targets]
    started = time.perf_counter()
    reads = by_reads(bam, sequence, targets)
    read_seconds = time.perf_counter() - started
    started = time.perf_counter()
    columns = by_columns(bam, sequence, targets, end)
    column_seconds = (time.perf_counter() - started) * len(sequence) / end
    for target, counts, plain, piled in zip(targets, mine, reads, columns, strict=True):
        if counts != plain or piled != {key: value for key, value in counts.items() if key[0] < end}:
            raise SystemExit(f"the counts of {target} differ")
    calls = sum(value[1] for counts in mine for value in counts.values())
    print(f"{', '.join(targets)}: {calls:,} valid calls at {sum(map(len, mine)):,} sites; all counts agree")
    print(f"  tracks methylation, {processes} processes  {found.seconds:8.2f} s")
    print(f"  pysam pileup loop                {column_seconds:8.2f} s  {column_seconds / found.seconds:6.1f} x")
    print(f"  pysam loop over reads            {read_seconds:8.2f} s  {read_seconds / found.seconds:6.1f} x")
    print(f"  peak memory: {found.own:.0f} MiB, the largest worker {found.worker:.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--megabases", type=float, default=1.0, help="up to 6")
    parser.add_argument("--depth", type=float, default=15.0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--columns", type=int, default=100, help="kilobases that the pileup loop counts")
    parser.add_argument("--targets", nargs="+", choices=list(PARTNER), help="[default: each, and both together]")
    options = parser.parse_args()
    lists = [options.targets] if options.targets else [["5mC:CpG"], ["6mA:A"], ["6mA:A", "5mC:CpG"]]
    with tempfile.TemporaryDirectory() as folder:
        bam, fasta, sequence = make(Path(folder), int(options.megabases * 1e6), options.depth)
        for targets in lists:
            compare(bam, fasta, sequence, targets, options.processes, min(options.columns * 1000, len(sequence)))


if __name__ == "__main__":
    main()
