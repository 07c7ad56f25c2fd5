"""``tracks liftover``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

import click

from tracks.cli.options import PATH
from tracks.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_ORDER = "tracks.chain_order"


class _Ordered(click.Command):
    """A command that notes the order in which its options were given, for chains to go through in a row."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        _, _, order = self.make_parser(ctx).parse_args(list(args))
        ctx.meta[_ORDER] = [parameter.name for parameter in order]
        return super().parse_args(ctx, args)


@click.command("liftover", cls=_Ordered)
@click.argument("source", type=PATH, metavar="FILE")
@click.option("--chain", "chains", type=PATH, multiple=True, help="UCSC chain file, plain or gzip (repeatable).")
@click.option("--inverted-chain", "inverted", type=PATH, multiple=True, help="The same, from its target to its source.")
@click.option("-o", "--out", required=True, type=PATH, help="File to write; text is bgzipped where it ends in .gz.")
@click.option("--unmapped", type=PATH, help="BED file for what was lost, with the reason.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["auto", "bigwig", "bedgraph", "bed", "narrowpeak", "counts", "bedmethyl"]),
    default="auto",
    show_default=True,
    help="What FILE is [auto: by its name].",
)
@click.option("--columns", help="Columns of counts, such as chrom=1,start=2,end=3,strand=4,first=1.")
@click.option("--sites", type=click.Choice(["auto", "cpg", "base"]), default="auto", help="What a row of counts is.")
@click.option("--join", type=click.IntRange(0), default=0, help="BED: join parts of a row at most so many bases apart.")
@click.option("--sizes", type=PATH, help="Target's genome: FASTA or chromosome lengths [default: the chains' names].")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.pass_context
def command(
    ctx: click.Context,
    source: Path,
    chains: tuple[Path, ...],
    inverted: tuple[Path, ...],
    out: Path,
    unmapped: Path | None,
    form: str,
    columns: str | None,
    sites: Literal["auto", "cpg", "base"],
    join: int,
    sizes: Path | None,
    overwrite: bool,
) -> None:
    """Carry a signal, intervals or counts from one genome build to another.

    Every base goes through the chains by itself, with its chromosome and strand. A base that no chain holds
    (unmapped), that several chains hold (multi-mapped), or that lands where another base lands (collides) is
    masked, counted, and listed in --unmapped. Several chain files are gone through in the order given.

    \b
    Formats (text plain or .gz; output sorted by chromosome and start):
      bigwig    .bw: every base keeps its value
      bedgraph  .bedgraph, .bdg, .bg: likewise, a row for each stretch; sorted, without overlap
      bed       .bed, .narrowPeak, .broadPeak: an interval is split where the chain splits it, and merged where its
                parts touch again; all columns stay, the strand turns with the chain, thick parts and summits are
                lifted; a row with blocks (BED12) becomes a row for each block
      counts    bedMethyl (.bedmethyl), Bismark (.cov, .CpG_report.txt), .cgmap, .allc, and other tables with
                --columns (counted from 1; first=1 when the table calls the first base 1): a base or CpG lifts whole

    A table of counts without strands, in which next to no rows are neighbours, is taken for one of CpGs, at the C of
    the forward strand (--sites says so, or not). Where the chain turns round, such a row goes to the forward strand's
    C of the same CpG; a row with a strand stays with its base, and its strand turns.

    Small insertions of the target cut long intervals into many; --join 1000 puts such parts together again, and
    takes in what lies between them.

    Chromosomes are written in the order of --sizes, else by name; what lands on others than --sizes names is left out.

    \b
    Examples:
      tracks liftover lads.hg38.bed.gz --chain hg38ToHg19.over.chain.gz -o lads.hg19.bed --unmapped lost.bed
      tracks liftover signal.bw --chain hg38ToHg19.over.chain.gz --sizes hg19.fa.gz -o signal.hg19.bw
      tracks liftover t2t.bedmethyl.gz --chain chm13ToHg19.chain --chain hg19ToHg38.over.chain.gz -o hg38.bedmethyl.gz
      tracks liftover hg19.cov.gz --inverted-chain hg38ToHg19.over.chain.gz -o hg38.cov.gz
    """
    started = time.monotonic()
    from functools import partial

    from tracks.cli.progress import bar
    from tracks.files import check_absent, check_not_input
    from tracks.genome_sizes import read_sizes
    from tracks.liftover.chains import read_chains
    from tracks.liftover.files import lift_bigwig, lift_counts, lift_rows
    from tracks.liftover.layouts import BEDGRAPH, BEDMETHYL, NARROW_PEAK, bed_layout, counts_layout, guess_kind
    from tracks.liftover.lift import Route

    kind = "counts" if columns is not None and form == "auto" else guess_kind(source) if form == "auto" else form
    if (columns is not None or sites != "auto") and kind not in ("counts", "bedmethyl"):
        raise UsageError("--columns and --sites go with counts; a BED, bedGraph or bigWig file needs neither")
    if join and kind not in ("bed", "narrowpeak"):
        raise UsageError("--join goes with BED; bases without a value have none in the target either")
    if kind == "bigwig":
        lift = lift_bigwig
    elif kind in ("counts", "bedmethyl"):
        layout = BEDMETHYL if kind == "bedmethyl" else counts_layout(source, columns)
        lift = partial(lift_counts, layout=layout, sites=sites)
    else:
        layout = {"bedgraph": BEDGRAPH, "narrowpeak": NARROW_PEAK}.get(kind) or bed_layout(source)
        lift = partial(lift_rows, layout=layout, join=join)
    if unmapped is not None and unmapped.resolve() == out.resolve():
        raise UsageError(f"{out} cannot be both -o and --unmapped; name two files")
    for path in (out, *([unmapped] if unmapped else [])):
        check_not_input(path, (source, sizes, *chains, *inverted))
        check_absent(path, overwrite)
    given = {"chains": iter(chains), "inverted": iter(inverted)}
    steps = []
    for name in ctx.meta[_ORDER]:
        if name in given:
            chain = read_chains(next(given[name]))
            steps.append(chain if name == "chains" else chain.inverted())
    if not steps:
        raise UsageError("a liftover needs a chain file; give --chain hg38ToHg19.over.chain.gz")
    route = Route.through(steps)
    with bar("lifting") as shown:
        report = lift(
            source,
            route=route,
            target_sizes=read_sizes(sizes) if sizes else None,
            out=out,
            unmapped=unmapped,
            say=lambda line: shown.say(f"tracks: {line}"),
            progress=shown.update,
        )
    for line in report.summary:
        click.echo(f"tracks: {line}", err=True)
    click.echo(f"wrote {out}: {report.lifted:,} {report.unit}, in {time.monotonic() - started:.1f} s")
