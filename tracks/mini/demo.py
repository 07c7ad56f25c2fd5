"""The embedded demo data: the held-out parts of the prepared data that the page opens with, and gene models."""

from __future__ import annotations

import gzip
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tracks.bigwig import Bins, read_bins, read_chrom_sizes, write_bigwig
from tracks.composition import MIN_KNOWN_BASES
from tracks.errors import UsageError
from tracks.files import sha256, write_text, written_beside
from tracks.genome import Genome
from tracks.grid import BIN
from tracks.mini import labels, sequence, sources
from tracks.mini.methylation import REPAIR_COVERAGE, REPAIR_REACH
from tracks.mini.prepare import (
    CARDIAC,
    GENOME,
    LIVER,
    METHYLATION,
    SPLIT,
    TIG3,
    Label,
)
from tracks.mini.sequence import CHROM_SIZES
from tracks.regions import Region

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tracks.mini.cache import Cache

KEPT = {
    "chr20": ((9_000_000, 16_000_000), (44_000_000, 51_000_000)),
    "chr22": ((45_000_000, CHROM_SIZES["chr22"]),),
}
"""Spans with sequence, 0-based half-open: held-out blocks and a megabase around them for context."""

_OBSERVED = (METHYLATION, TIG3)


def prepare_demo(
    mini: Path, out: Path, cache: Cache, progress: Callable[[int, int], None] = lambda done, total: None
) -> None:
    """Make the embedded demo data in ``out`` from what ``prepare_mini`` made in ``mini``.

    The two observed tracks come from packages that may be passed on; the GEO ones are predicted only. The same
    input gives the same bytes. Other files in ``out`` stay as they are.
    Raises UsageError when ``mini`` holds no prepared data, TracksError when a source cannot be fetched.
    """
    missing = [
        name for name in (GENOME, *(f"observed/{label.slug}.bw" for label in _OBSERVED)) if not (mini / name).is_file()
    ]
    if missing:
        raise UsageError(f"{mini} holds no {missing[0]}; make the folder with: tracks data mini -o {mini}")
    files: list[tuple[str, Callable[[Path], None]]] = [
        ("hg19_demo.fa.gz", lambda path: _write_genome(path, mini / GENOME)),
        *((f"observed/{label.slug}.bw", partial(_write_observed, mini=mini, label=label)) for label in _OBSERVED),
        ("cpg_islands.bed.gz", lambda path: _write_intervals(path, cache.get(sources.CPG_ISLANDS))),
        ("lads_tig3.bed.gz", lambda path: _write_intervals(path, cache.get(sources.LADS_TIG3))),
        ("genes.tsv.gz", lambda path: _write_gzip(path, _gene_models(cache.get(sources.GENE_MODELS)))),
        ("split.bed", lambda path: write_text(path, _split_text())),
        ("tracks.toml", lambda path: write_text(path, _project_text())),
    ]
    for number, (name, write) in enumerate(files):
        progress(number, len(files))
        write(out / name)
    write_text(out / "PROVENANCE.md", _provenance(out, [name for name, _ in files]))
    progress(len(files), len(files))


def _write_genome(path: Path, whole: Path) -> None:
    letters = np.frombuffer(b"ACGTN", np.uint8)
    with Genome(whole) as genome:
        kept = {
            chrom: sequence.masked(letters[genome.codes(chrom, 0, CHROM_SIZES[chrom])], KEPT[chrom]) for chrom in KEPT
        }
    sequence.write_fasta(path, kept)


def _write_observed(path: Path, mini: Path, label: Label) -> None:
    """Write the bins of a track that lie wholly in the kept spans (or end with the chromosome)."""
    whole = mini / "observed" / f"{label.slug}.bw"
    sizes = {chrom: CHROM_SIZES[chrom] for chrom in KEPT}
    observed = read_chrom_sizes(whole)
    pieces = []
    for chrom in (chrom for chrom in KEPT if chrom in observed):
        for start, end in KEPT[chrom]:
            first = -(-start // BIN)
            inner = Region(chrom, first * BIN, end if end == sizes[chrom] else end // BIN * BIN)
            pieces.append(Bins(chrom, first, read_bins(whole, inner)))
    write_bigwig(path, sizes, pieces)


def _write_intervals(path: Path, bed: Path) -> None:
    rows = [
        f"{chrom}\t{start}\t{end}\n"
        for chrom in KEPT
        for start, end in sorted(labels.read_intervals(bed, chrom).tolist())
    ]
    _write_gzip(path, "".join(rows))


def _write_gzip(path: Path, text: str) -> None:
    """Write gzip without a time stamp, so that the same content is the same file."""
    with written_beside(path) as beside:
        beside.write_bytes(gzip.compress(text.encode(), mtime=0))


def _gene_models(path: Path) -> str:
    """Return SpliceAI's gene table for the demo's chromosomes: 0-based half-open, as it is (OR4F5 starts at 69,090)."""
    lines = ["name\tchrom\tstrand\ttx_start\ttx_end\texon_starts\texon_ends"]
    for line in path.read_text().splitlines()[1:]:
        name, chrom, strand, start, end, exon_starts, exon_ends = line.split("\t")
        if f"chr{chrom}" in KEPT:
            exons = f"{exon_starts.strip(',')}\t{exon_ends.strip(',')}"
            lines.append(f"{name}\tchr{chrom}\t{strand}\t{start}\t{end}\t{exons}")
    return "\n".join(lines) + "\n"


def _split_text() -> str:
    return "".join(line for line in SPLIT.splitlines(keepends=True) if line.split("\t")[0] in KEPT)


_ANNOTATIONS = """
[[annotation]]
name = "CpG islands"
bed = "cpg_islands.bed.gz"
color = "#2a7f62"

[[annotation]]
name = "LADs Tig-3"
bed = "lads_tig3.bed.gz"
color = "#1b6ca8"
"""


def _project_text() -> str:
    def entry(label: Label) -> str:
        shipped = f'observed = "observed/{label.slug}.bw"\n' if label in _OBSERVED else ""
        return f"\n[[track]]\n{label.entry}{shipped}"

    head = 'name = "demo"\ngenome = "hg19_demo.fa.gz"\nsplit = "split.bed"\n'
    return head + "".join(entry(label) for label in (METHYLATION, TIG3, CARDIAC, LIVER)) + _ANNOTATIONS


_MADE = {
    "hg19_demo.fa.gz": (
        (sources.CHR20, sources.CHR22_ALIGNMENT, sources.CHR22_PIECE),
        "sequence put together at its coordinates, upper case, N outside the kept spans",
    ),
    "observed/cpg_methylation_imr90.bw": (
        METHYLATION.made_of,
        "lifted from hg18, omitted unmethylated CpGs restored, averaged over each bin by coverage",
    ),
    "observed/lmnb1_lad_tig_3.bw": (TIG3.made_of, "covered fraction of each bin"),
    "cpg_islands.bed.gz": ((sources.CPG_ISLANDS,), "rows of chr20 and chr22"),
    "lads_tig3.bed.gz": ((sources.LADS_TIG3,), "rows of chr20 and chr22"),
    "genes.tsv.gz": ((sources.GENE_MODELS,), "rows of chr20 and chr22, columns named"),
}


def _provenance(out: Path, names: Sequence[str]) -> str:
    """Return a page that says where each file comes from, under which terms, and what was done to it."""
    used = list(dict.fromkeys(source for made_of, _ in _MADE.values() for source in made_of))
    made = [
        f"| `{name}` | {', '.join(f'`{s.name}`' for s in made_of)} | {what} |"
        for name, (made_of, what) in _MADE.items()
    ]
    origins = [
        f"| `{item.name}` | {item.content} | {item.origin}, `{item.path}` | {item.licence} | `{item.sha256}` |"
        for item in used
    ]
    present = [*names[:1], *(f"{names[0]}{index}" for index in (".fai", ".gzi")), *names[1:]]
    checksums = [f"| `{name}` | {(out / name).stat().st_size:,} | `{sha256(out / name)}` |" for name in present]
    spans = ", ".join(str(Region(chrom, start, end)) for chrom in KEPT for start, end in KEPT[chrom])
    return f"""\
# Where the demo data comes from

Made by `tracks data mini -o mini/` and `tracks data demo --mini mini/ -o tracks/demo`, which fetch the sources, check
their digests and do everything described here. `split.bed` and `tracks.toml` are the project's own, and so is
`loci.bed` where it is there: the places that the page opens at.

| file here | made of | what was done |
|---|---|---|
{_lines(made)}

Coordinates are GRCh37/hg19. Sequence is real in {spans}
and N elsewhere (on chr22 also in the short gaps between the blocks of the alignment). Observed tracks are 128-bp bins
inside those spans; bins with fewer than {MIN_KNOWN_BASES} known bases have no value, and for methylation neither have
bins without a CpG. The methylation data lists only CpGs with a methylated read; every other CpG of the reference within
{REPAIR_REACH:,} bases of a listed one is put back as unmethylated, with coverage {REPAIR_COVERAGE}.

LADs of cardiac myocytes and liver (Shah et al. 2023, GEO GSM5669183 and GSM5669232) helped to train the model and are
not passed on here, so these two tracks are predicted only.

## Sources

| file | what | from | licence | SHA-256 |
|---|---|---|---|---|
{_lines(origins)}

## Files

| file | bytes | SHA-256 |
|---|---|---|
{_lines(checksums)}

## Please cite

Guelen et al. 2008, Nature 453:948 (Tig-3 LADs); Lister et al. 2009, Nature 462:315 (IMR90 methylation); Shah et al.
2023, Genome Biology 24:16 (cardiac and liver LADs).
"""


def _lines(rows: Sequence[str]) -> str:
    return "\n".join(rows)
