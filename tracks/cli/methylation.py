"""``tracks methylation``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from tracks.cli.options import PATH
from tracks.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@click.command("methylation")
@click.argument("reads", type=PATH)
@click.option("-o", "--out", required=True, type=PATH, help="Folder for the files.")
@click.option("--genome", "fasta", required=True, type=PATH, help="FASTA that the reads are aligned to.")
@click.option(
    "--preset", type=click.Choice(["dimelo-lmnb1", "wgs-5mc"]), help="Targets and strands of an experiment; see above."
)
@click.option("--target", "wanted", multiple=True, help="MODIFICATION:CONTEXT such as 5mC:CpG (repeatable); see above.")
@click.option(
    "--threshold",
    type=click.IntRange(1, 255),
    default=129,
    show_default=True,
    help="Least ML byte of a modified call; N is a probability of N/256.",
)
@click.option("--drop-ambiguous", is_flag=True, help="The canonical base must reach the threshold too.")
@click.option("--combine-strands", is_flag=True, help="Count both strands of a CpG together, at its C.")
@click.option("--haplotypes", is_flag=True, help="Count reads of each haplotype (HP tag) apart too.")
@click.option("--region", "region", multiple=True, help="Region such as chr20:10,000,001-10,400,000 (repeatable).")
@click.option("--min-mapq", type=click.IntRange(0, 255), default=0, show_default=True, help="Least mapping quality.")
@click.option("--keep-duplicates", is_flag=True, help="Count reads marked as duplicates.")
@click.option("--keep-secondary", is_flag=True, help="Count secondary alignments (that have a sequence).")
@click.option("--keep-supplementary", is_flag=True, help="Count supplementary alignments.")
@click.option("--keep-qc-fail", is_flag=True, help="Count reads that failed quality control.")
@click.option("--skip-damaged", is_flag=True, help="Leave reads with damaged tags out, instead of stopping.")
@click.option("--prefix", help="How the names of the files begin [default: the name of READS].")
@click.option("--processes", type=click.IntRange(1), help="Processes that count [default: the CPUs that are there].")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
def command(
    reads: Path,
    out: Path,
    fasta: Path,
    preset: str | None,
    wanted: tuple[str, ...],
    threshold: int,
    drop_ambiguous: bool,
    combine_strands: bool,
    haplotypes: bool,
    region: tuple[str, ...],
    min_mapq: int,
    keep_duplicates: bool,
    keep_secondary: bool,
    keep_supplementary: bool,
    keep_qc_fail: bool,
    skip_damaged: bool,
    prefix: str | None,
    processes: int | None,
    overwrite: bool,
) -> None:
    """Count the modified bases of READS (BAM or CRAM with MM and ML tags) along the genome.

    For each target it writes OUT/<prefix>.<modification>.<context> and

    \b
      .modified.bw    reads that call the modification
      .valid.bw       reads with a valid call
      .fraction.bw    modified / valid
      .bedmethyl.gz   the counts, 18 columns as modkit's pileup has them, with a tabix index

    A read's call is valid where its base is the reference's, the context is there in the reference and in the read,
    and the tags call the base, modified or not: a base that MM skips is unmodified after '.' or no flag, and unknown
    (not valid) after '?'. It is modified where the ML byte reaches the threshold; every other valid call is
    unmodified, unless --drop-ambiguous leaves those out that are sure of neither. Bases without a valid call are
    missing in every file. Reads without MM tags count nowhere.

    \b
    Modifications: 5mC (m), 5hmC (h), 6mA (a), or a base and a code of the MM tag, such as C+f
    Contexts:      CpG (GCG too), HCG (CpG without GpC), GpC (GCH: no CpG), CHG, CHH, C, A,
                   or a motif and the number from 0 of its modified letter, such as GATC:1

    \b
    Presets:
      dimelo-lmnb1   6mA:A and 5mC:CpG, strands apart: DiMeLo-seq with antibody-directed 6mA
      wgs-5mc        5mC:CpG with --combine-strands: whole-genome methylation

    --haplotypes adds .hap1, .hap2 and .unphased beside the files of all reads.

    \b
    Examples:
      tracks methylation reads.bam -o out/ --genome hg38.fa --preset wgs-5mc
      tracks methylation dimelo.bam -o out/ --genome chm13.fa --preset dimelo-lmnb1 --min-mapq 10
      tracks methylation nome.bam -o out/ --genome hg38.fa --target 5mC:HCG --target 5mC:GpC --haplotypes
    """
    started = time.monotonic()
    from tracks.bam.alignments import ReadFilter, check_alignments
    from tracks.bam.methylation import methylation
    from tracks.bam.methylation_counts import Counting
    from tracks.bam.methylation_sites import PRESETS, parse_target
    from tracks.cli.progress import bar
    from tracks.genome_sizes import read_sizes
    from tracks.parallel import usable_cpus
    from tracks.regions import parse_region

    if (preset is None) == (not wanted):
        raise UsageError("say what to count: either --preset wgs-5mc or dimelo-lmnb1, or --target such as 5mC:CpG")
    if preset is not None:
        wanted = PRESETS[preset].targets
        combine_strands |= PRESETS[preset].combine_strands
    targets = tuple(parse_target(text) for text in wanted)
    alignments = check_alignments(reads, read_sizes(fasta))
    counting = Counting(
        alignments,
        fasta,
        targets,
        ReadFilter(min_mapq, keep_duplicates, keep_secondary, keep_supplementary, keep_qc_fail),
        threshold,
        drop_ambiguous,
        combine_strands,
        haplotypes,
        skip_damaged,
    )
    regions = [parse_region(text, alignments.chrom_sizes) for text in region] or None
    with bar("counting") as shown:
        report = methylation(
            counting,
            out,
            prefix or reads.stem,
            regions=regions,
            processes=processes or usable_cpus(),
            overwrite=overwrite,
            update=shown.update,
        )
    for note in report.notes:
        click.echo(f"tracks: {note}", err=True)
    for entry in report.counted:
        if entry.files:
            name = entry.target.name + (f".{entry.group}" if entry.group else "")
            click.echo(
                f"{name}: {entry.sites:,} sites, {entry.valid:,} valid calls, "
                f"{100 * entry.modified / entry.valid:.2f} % modified: {', '.join(path.name for path in entry.files)}"
            )
    files = sum(len(entry.files) for entry in report.counted)
    click.echo(f"wrote {files} files in {out}: {report.reads:,} alignments, in {time.monotonic() - started:.1f} s")
