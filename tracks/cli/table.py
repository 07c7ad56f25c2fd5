"""``tracks table``."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tracks.cli import options
from tracks.cli.options import PATH
from tracks.errors import TracksError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from model.region_table import RegionTable
    from tracks.cli.options import Computing
    from tracks.genome import Genome
    from tracks.regions import NamedRegion
    from tracks.table_file import TableWriter

    Regions = Callable[[], Iterator[NamedRegion]]

_STDOUT = Path("-")


@click.command("table")
@click.option("--bed", type=PATH, help="BED file of regions, such as genes (plain or gzip).")
@click.option("--region", "region", multiple=True, help="Region such as chr20:10,000,001-10,400,000 (repeatable).")
@click.option("--project", type=PATH, help="A tracks.toml: genome, model and bigWigs [default: embedded data].")
@click.option("--model", "folder", type=PATH, help="Model folder [default: the project's, else the shipped model].")
@click.option("--head", "heads", multiple=True, help="Head of the model (repeatable) [default: its first].")
@click.option("--genome", "fasta", type=PATH, help="FASTA [default: the project's]; alone, nothing is observed.")
@click.option("--track", "names", multiple=True, help="Only this track, by name or slug (repeatable) [default: all].")
@click.option("--known-only", is_flag=True, help="Compute nothing: what the store has not is missing.")
@click.option("-o", "--out", type=PATH, default=_STDOUT, help="A .tsv, .tsv.gz or .parquet file [default: - (stdout)].")
@click.option("--overwrite", is_flag=True, help="Replace the file when it is there.")
@options.store
@options.computing
def command(
    computing: Computing,
    bed: Path | None,
    region: tuple[str, ...],
    project: Path | None,
    folder: Path | None,
    heads: tuple[str, ...],
    fasta: Path | None,
    names: tuple[str, ...],
    known_only: bool,
    out: Path,
    overwrite: bool,
    root: Path | None,
) -> None:
    """Make a table of what was observed and what is predicted in regions: a row for each region and track.

    \b
    Columns:
      chrom, start, end   the region, 0-based half-open as in BED (also where --region was given, which is 1-based)
      name, strand        the BED file's, empty where it has none
      track, unit         the track and the unit of its numbers
      observed_mean, observed_max, observed_coverage
                          of the bases that have a value in the track's bigWig
      predicted_mean, predicted_max, predicted_coverage
                          of the 128-bp bins that have a value; in the mean and the coverage a bin that the
                          region's edge cuts weighs by its bases inside

    Coverage is the share of the region's bases that have a value, from 0 to 1. What is not known is empty (null in
    Parquet), never zero; the coverage of a track that is not observed, or not predicted, is empty too. Numbers are
    float32, and predicted ones are those of tracks predict. Rows come in the order of the BED file, after those
    of --region.

    Predicted windows are kept in the store, so an interrupted run goes on from there.

    \b
    Examples:
      tracks table --bed genes.bed -o genes.tsv
      tracks table --region chr22:46,640,001-46,740,000 --track "CpG methylation IMR90"
      tracks table --bed genes.bed.gz --project mine/tracks.toml --model mine/model -o genes.parquet
      tracks table --bed peaks.bed --genome hg38.fa --model basenji2/ --known-only -o peaks.tsv.gz
    """
    started = time.monotonic()
    if bed is None and not region:
        raise UsageError("there are no regions; give --bed FILE or --region chr20:10,000,000-10,400,000")
    from tracks.files import check_not_input
    from tracks.table_file import check_table_path

    if out != _STDOUT:
        check_table_path(out, overwrite)
        check_not_input(out, (bed, project, fasta))
    from tracks.genome import Genome, demo_genome, demo_project
    from tracks.project import load_project

    observed = project is not None or fasta is None
    opened = load_project(project or demo_project()) if observed else None
    genome = Genome(fasta or (opened.genome if opened is not None else demo_genome()))
    regions = _regions(region, bed, genome)
    count = sum(1 for _ in regions())

    from model.folder import demo_model_folder, load_model
    from model.region_table import RegionTable
    from tracks.cli.predict_export import kept_when_interrupted
    from tracks.cli.progress import bar
    from tracks.store import Store, default_store_folder

    chosen = folder or (opened.model if opened is not None else None) or demo_model_folder()
    predictor = computing.predictor(load_model(chosen, heads), genome)
    entries = opened.targets() if opened is not None else ()
    table = RegionTable(predictor, Store(root or default_store_folder()), entries, names, known_only)
    with kept_when_interrupted():
        with bar("predicting") as shown:
            table.compute((row.region for row in regions()), shown.update)
        _write(table, regions, out, predictor.source, count)
    if out != _STDOUT:
        rows = f"{count * len(table.tracks):,} rows ({count:,} regions, {len(table.tracks)} tracks)"
        click.echo(f"wrote {out}: {rows}, in {time.monotonic() - started:.1f} s")


def _regions(texts: Sequence[str], bed: Path | None, genome: Genome) -> Regions:
    """Return what gives the regions, from the first on, each time it is called."""
    from tracks.regions import NamedRegion, parse_region, read_named_bed

    given = [NamedRegion(parse_region(text, genome.chrom_sizes)) for text in texts]
    if bed is not None and bed.exists() and not bed.is_file():  # a pipe can be read only once
        given += read_named_bed(bed, genome.chrom_sizes)
        bed = None

    def regions() -> Iterator[NamedRegion]:
        yield from given
        if bed is not None:
            yield from read_named_bed(bed, genome.chrom_sizes)

    return regions


def _write(table: RegionTable, regions: Regions, out: Path, about: Mapping[str, str], count: int) -> None:
    from tracks.cli.predict_export import say
    from tracks.cli.progress import bar
    from tracks.table_file import table_writer

    with ExitStack() as opened:
        if out == _STDOUT:
            # The screen that it goes to may be the bar's.
            show, writer = None, opened.enter_context(_standard_output())
        else:
            show, writer = opened.enter_context(bar("writing")).update, opened.enter_context(table_writer(out, about))
        done = without = 0
        for rows in table.rows(regions()):
            writer.write(rows)
            done += len(rows.regions)
            without += rows.unpredicted
            if show is not None:
                show(done, count)
    if without and any(entry.column is not None for entry in table.tracks):
        say(f"no predicted value in {without:,} of {count:,} regions")


@contextmanager
def _standard_output() -> Iterator[TableWriter]:
    """Yield a writer to standard output. Who reads it may have seen enough (``| head``), which is no failure."""
    from tracks.table_file import TsvWriter

    file = sys.stdout.buffer
    try:
        yield TsvWriter(file)
        file.flush()
    except OSError as error:
        # Else the interpreter would fail again when it closes what cannot be written to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise TracksError(f"cannot write to standard output: {error.strerror}") from error
