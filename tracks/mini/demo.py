"""The embedded demo data: the held-out parts of the prepared data that the page opens with, and gene models."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np

from tracks.bigwig import Bins, read_bins, write_bigwig
from tracks.files import written_beside
from tracks.genome import Genome
from tracks.grid import BIN
from tracks.mini import labels, sequence, sources
from tracks.mini.prepare import CARDIAC, LIVER, METHYLATION, SPLIT, TIG3, Label
from tracks.mini.sequence import CHROM_SIZES
from tracks.regions import Region

if TYPE_CHECKING:
    from pathlib import Path

    from tracks.mini.sources import Cache

KEPT = {
    "chr20": ((9_000_000, 16_000_000), (44_000_000, 51_000_000)),
    "chr22": ((45_000_000, CHROM_SIZES["chr22"]),),
}
"""Spans with sequence, 0-based half-open: held-out blocks and a megabase around them for context."""

_OBSERVED = (METHYLATION, TIG3)


def prepare_demo(mini: Path, out: Path, cache: Cache) -> None:
    """Make the embedded demo data in ``out`` from what ``prepare_mini`` made in ``mini``.

    Observed tracks are those whose licence lets us pass them on; the GEO ones are predicted only.
    Raises TracksError when a source is missing.
    """
    genome = Genome(mini / "genome" / "hg19.fa.gz")
    sizes = {chrom: CHROM_SIZES[chrom] for chrom in KEPT}
    out.mkdir(parents=True, exist_ok=True)
    letters = np.frombuffer(b"ACGTN", np.uint8)
    sequence.write_fasta(
        out / "hg19_demo.fa.gz",
        {chrom: sequence.masked(letters[genome.codes(chrom, 0, sizes[chrom])], KEPT[chrom]) for chrom in KEPT},
    )
    for label in _OBSERVED:
        observed = mini / "observed" / f"{label.slug}.bw"
        chroms = [chrom for chrom in KEPT if label is not METHYLATION or chrom == "chr22"]
        spans = [Region(chrom, -(-start // BIN) * BIN, end) for chrom in chroms for start, end in KEPT[chrom]]
        pieces = (Bins(span.chrom, span.start // BIN, read_bins(observed, span)) for span in spans)
        write_bigwig(out / "observed" / f"{label.slug}.bw", sizes, pieces)
    for name, source in (("cpg_islands", sources.CPG_ISLANDS), ("lads_tig3", sources.LADS_TIG3)):
        bed = cache.get(source)
        rows = [
            f"{chrom}\t{start}\t{end}\n"
            for chrom in KEPT
            for start, end in sorted(labels.read_intervals(bed, chrom).tolist())
        ]
        _write_gzip(out / f"{name}.bed.gz", "".join(rows))
    _write_gzip(out / "genes.tsv.gz", _gene_models(cache.get(sources.GENE_MODELS)))
    for name, text in (
        ("split.bed", _split_text()),
        ("tracks.toml", _project_text()),
        ("PROVENANCE.md", _provenance()),
    ):
        with written_beside(out / name) as beside:
            beside.write_text(text)


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


def _project_text() -> str:
    def entry(label: Label) -> str:
        shipped = f'observed = "observed/{label.slug}.bw"\n' if label in _OBSERVED else ""
        return f"\n[[track]]\n{label.entry}{shipped}"

    head = 'name = "demo"\ngenome = "hg19_demo.fa.gz"\nsplit = "split.bed"\n'
    return head + "".join(entry(label) for label in (METHYLATION, TIG3, CARDIAC, LIVER))


_MADE = (
    ("hg19_demo.fa.gz", (sources.CHR20, sources.CHR22_ALIGNMENT, sources.CHR22_PIECE)),
    ("observed/cpg_methylation_imr90.bw", METHYLATION.made_of),
    ("observed/lmnb1_lad_tig_3.bw", TIG3.made_of),
    ("cpg_islands.bed.gz", (sources.CPG_ISLANDS,)),
    ("lads_tig3.bed.gz", (sources.LADS_TIG3,)),
    ("genes.tsv.gz", (sources.GENE_MODELS,)),
)


def _provenance() -> str:
    """Return a page that says where each file comes from and under which terms."""
    rows = [
        f"| `{file}` | {source.content} | {source.package}, `{source.name}` | {source.licence} | "
        f"`{source.sha256[:16]}` |"
        for file, made_of in _MADE
        for source in made_of
    ]
    spans = ", ".join(f"{chrom}:{start + 1:,}-{end:,}" for chrom in KEPT for start, end in KEPT[chrom])
    return "\n".join(
        [
            "# Where the demo data comes from",
            "",
            "Made by `tracks data mini -o mini/` and `tracks data demo --mini mini/ -o tracks/demo`, from these files:",
            "",
            "| file here | what | package and file | licence | SHA-256 (first 16) |",
            "|---|---|---|---|---|",
            *rows,
            "",
            f"Sequence is GRCh37/hg19, real bases in {spans} and N elsewhere (on chr22 also in the short gaps of the "
            "alignment). Tracks are 128-bp bins, restricted to those spans; bins with fewer than 64 known bases are "
            "left out. Methylation is lifted from hg18; CpGs that the files omit because no read was methylated are "
            "put back at 0. LADs of cardiac myocytes and liver (Shah et al. 2023, GEO GSM5669183 and GSM5669232) "
            "trained the model and are not passed on here, so those two tracks are predicted only.",
            "",
            "Cite: Guelen et al. 2008, Nature 453:948 (LADs); Lister et al. 2009, Nature 462:315 (methylation); "
            "Shah et al. 2023, Genome Biology 24:16 (cardiac and liver LADs).",
            "",
        ]
    )
