"""``tracks coverage``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

import click

from tracks.cli.options import PATH
from tracks.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tracks.bam.coverage import Library

_RATIO_BIN = 128


@click.command("coverage")
@click.argument("reads", type=PATH)
@click.option("-o", "--out", required=True, type=PATH, help="The bigWig file.")
@click.option("--control", type=PATH, help="Reads of the input (or Dam alone): the values are a log2 ratio to it.")
@click.option(
    "--pseudocount",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="With --control: reads a bin added to both sides.",
)
@click.option("--scale", default="none", show_default=True, help="none, cpm (counts per million reads), or a factor.")
@click.option("--min-mapq", type=click.IntRange(0, 255), default=0, show_default=True, help="Least mapping quality.")
@click.option("--keep-duplicates", is_flag=True, help="Count reads marked as duplicates.")
@click.option("--keep-secondary", is_flag=True, help="Count secondary alignments.")
@click.option("--keep-supplementary", is_flag=True, help="Count supplementary alignments.")
@click.option("--keep-qc-fail", is_flag=True, help="Count reads that failed quality control.")
@click.option("--strand", type=click.Choice(["+", "-"]), help="Only reads aligned to this strand.")
@click.option("--extend", help="Fragments: a length in bases, or auto (from the mates of proper pairs).")
@click.option("--smooth", type=click.IntRange(1, 1_000_000), default=1, help="Width of a running mean, in bases.")
@click.option("--bin", "size", type=click.IntRange(1, 1_000_000), help="Bases a value [default: 1; of a ratio 128].")
@click.option("--blacklist", type=PATH, help="BED file of what gets no value.")
@click.option("--genome", type=PATH, help="FASTA or chrom.sizes that the reads must fit [default: the reads' header].")
@click.option("--region", "regions", multiple=True, help="Only here, such as chr20:1-5,000,000 (repeatable).")
@click.option("--processes", type=click.IntRange(1), help="Processes [default: as many as there are cores].")
@click.option("--overwrite", is_flag=True, help="Replace the file if it is there.")
def command(
    reads: Path,
    out: Path,
    control: Path | None,
    pseudocount: float,
    scale: str,
    min_mapq: int,
    keep_duplicates: bool,
    keep_secondary: bool,
    keep_supplementary: bool,
    keep_qc_fail: bool,
    strand: Literal["+", "-"] | None,
    extend: str | None,
    smooth: int,
    size: int | None,
    blacklist: Path | None,
    genome: Path | None,
    regions: tuple[str, ...],
    processes: int | None,
    overwrite: bool,
) -> None:
    """Count the reads of a BAM or CRAM file along the genome, as a bigWig.

    READS is sorted by position; its index is made beside it where it is missing. A read covers the bases that it
    aligns to: not deletions, nor introns that it skips. Each mate of a pair is a read, unless --extend is given.
    Not counted are unmapped reads and, unless asked for, duplicates, secondary and supplementary alignments and
    reads that failed quality control.

    A base without reads is 0. Nothing is written for bins that lie in the blacklist (where it covers a part, the
    rest counts), on chromosomes that the reads' file lacks, and where neither reads nor control have any.

    \b
    --extend 200   each read is 200 bases from its 5' end on; a proper pair, its fragment
    --extend auto  a proper pair (up to 2,000 bases) counts once, as its fragment; other reads as they are
    --smooth 500   each base is the mean of the 500 around it, all weighing the same
    --bin 128      the mean of each 128 bases
    --scale cpm    times a million over the reads (or fragments) that count in the whole file
    --control      log2((reads + p) / (control + p)), both scaled to the smaller library

    \b
    Examples:
      tracks coverage chip.bam -o chip.bw --min-mapq 10 --extend 200 --scale cpm
      tracks coverage dam_lmnb1.bam --control dam_only.bam -o lmnb1.bw --bin 1024 --blacklist hg38.blacklist.bed
      tracks coverage rna.bam -o plus.bw --strand + --region chr20
    """
    started = time.monotonic()
    factor = _scale(scale)
    from tracks.bam.alignments import ReadFilter
    from tracks.bam.coverage import Counting, coverage
    from tracks.cli.progress import bar
    from tracks.genome_sizes import read_sizes
    from tracks.parallel import usable_cpus

    counting = Counting(
        ReadFilter(min_mapq, keep_duplicates, keep_secondary, keep_supplementary, keep_qc_fail, strand),
        _fragment_length(extend),
        extend is not None,
        smooth,
        size or (_RATIO_BIN if control else 1),
    )
    with bar("counting") as shown:
        written = coverage(
            reads,
            out,
            counting,
            scale=factor,
            control=control,
            pseudocount=pseudocount,
            blacklist=blacklist,
            genome_sizes=read_sizes(genome) if genome else None,
            regions=regions,
            processes=processes or usable_cpus(),
            overwrite=overwrite,
            progress=shown.update,
        )
    for note in written.notes:
        click.echo(f"tracks: {note}", err=True)
    for path, library in ((reads, written.library), (control, written.control)):
        if library is not None:
            click.echo(f"tracks: {_counted(path, library)}", err=True)
    click.echo(f"wrote {out}: {written.bases:,} bases, in {time.monotonic() - started:.1f} s")


def _scale(text: str) -> float | Literal["cpm"]:
    if text == "cpm":
        return "cpm"
    if text == "none":
        return 1.0
    try:
        factor = float(text)
    except ValueError:
        factor = 0
    if not 0 < factor < float("inf"):
        raise UsageError(f"--scale {text}: it is none, cpm or a factor above 0")
    return factor


def _fragment_length(text: str | None) -> int | None:
    if text is None or text == "auto":
        return None
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= 100_000:
        raise UsageError(f"--extend {text}: it is auto or a number of bases from 1 to 100,000")
    return int(text)


def _counted(path: Path | None, library: Library) -> str:
    return f"{path}: {library.reads:,} reads count, of {library.bases / library.reads:,.0f} bases on average"
