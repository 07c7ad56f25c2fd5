"""``tracks materialize``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from tracks.cli import options
from tracks.cli.options import PATH
from tracks.errors import TracksError
from tracks.virtual.layout import SLOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from model.export import DiskNeed, GenomeExport
    from tracks.cli.options import Computing
    from tracks.export import Written
    from tracks.virtual.layout import Layout


@click.command("materialize")
@click.option("--chrom", multiple=True, help="Only this chromosome (repeatable) [default: all of the genome].")
@click.option("--genome", "fasta", type=PATH, help="FASTA, plain or bgzip [default: demo genome].")
@click.option("--model", "folder", type=PATH, help="Model folder [default: the shipped model].")
@click.option("--head", "heads", multiple=True, help="Head of the model (repeatable) [default: its first].")
@options.stride
@click.option("--track", "names", multiple=True, help="Only this track, by name or slug (repeatable) [default: all].")
@click.option("--slot", type=int, default=SLOT, show_default=True, help="Bytes that sections are aligned to.")
@click.option("-o", "--out", required=True, type=PATH, help="Folder for the files.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.option("--yes", is_flag=True, help="Go on although the disk seems too small.")
@options.store
@options.computing
def command(
    computing: Computing,
    chrom: tuple[str, ...],
    fasta: Path | None,
    folder: Path | None,
    heads: tuple[str, ...],
    stride: int | None,
    names: tuple[str, ...],
    slot: int,
    out: Path,
    overwrite: bool,
    yes: bool,
    root: Path | None,
) -> None:
    """Write the bigWigs that tracks serve makes up as browsers ask for them, as files for any web host.

    What is not predicted yet is predicted first, and kept in the store, so that an interrupted run goes on from there.
    Then OUT/<track>.bw is written: the whole genome, with zoom levels, in the order that suits reading by ranges of
    bytes over a network. Nothing is compressed: tracks predict writes smaller files of the same values.

    \b
    --slot  8192, a block of the UCSC browser's cache, suits most readers; 131072 is for JBrowse; 1 leaves no gaps

    \b
    Examples:
      tracks materialize --chrom chr22 --track "CpG methylation IMR90" -o out/
      tracks materialize --genome hg38.fa.gz --model basenji2/ --precision bf16 -o hg38/
    """
    started = time.monotonic()
    from tracks.genome import Genome, demo_genome
    from tracks.virtual.layout import lay_out
    from tracks.virtual.values import Totals

    genome = Genome(fasta or demo_genome())
    layout = lay_out(genome.chrom_sizes, Totals(0, 0.0, 0.0, 0.0, 0.0), slot)

    from model.export import GenomeExport
    from model.folder import demo_model_folder, load_model
    from tracks.cli.predict_export import (
        alone,
        check_disk,
        kept_when_interrupted,
        say,
        say_missing,
        say_time,
        say_viewing,
        say_written,
        windows_in_words,
    )
    from tracks.cli.progress import bar
    from tracks.export import check_output
    from tracks.grid import WINDOW
    from tracks.store import Store, default_store_folder
    from tracks.track import select_tracks

    model = load_model(folder or demo_model_folder(), heads, WINDOW if stride is None else stride)
    tracks = select_tracks(model.tracks, names) if names else model.tracks
    check_output(out, tracks, "bigwig", overwrite)
    predictor = computing.predictor(model, genome)
    store = Store(root or default_store_folder())
    with kept_when_interrupted():
        with bar("reading the genome") as shown:
            export = GenomeExport(predictor, store, chrom or genome.chrom_sizes, tracks, progress=shown.update)
        with alone(out, tracks, "bigwig"):
            say(windows_in_words(export))
            for need in _disk_needs(export, layout, out):
                check_disk(need, yes)
            say_time(export)
            with bar("predicting") as shown:
                export.compute(shown.update)
            with bar("writing") as shown:
                written = _write(export, layout, out, shown.update)
    say_missing(written, export.bins_without_sequence(), model.widest_context)
    say_written(written, out, started)
    say_viewing(written)


def _disk_needs(export: GenomeExport, layout: Layout, out: Path) -> list[DiskNeed]:
    """Return what each disk will have to take, at most: of the store, and of the files."""
    import shutil

    from model.export import DiskNeed
    from tracks.files import nearest_folder

    def disk(folder: Path) -> int:
        return nearest_folder(folder).stat().st_dev

    needs = export.disk_needs(out, None)
    same = [need for need in needs if disk(need.folders[0]) == disk(out)]
    files = sum(len(head.tracks) for head in export.heads) * (len(layout.indexes) + int(layout.blocks["size"].sum()))
    folders = (*(folder for need in same for folder in need.folders), out)
    free = shutil.disk_usage(nearest_folder(out)).free
    both = DiskNeed(folders, files + sum(need.needed for need in same), free)
    return [*(need for need in needs if need not in same), both]


def _write(
    export: GenomeExport, layout: Layout, out: Path, progress: Callable[[int, int], None]
) -> tuple[Written, ...]:
    """Write the files of all tracks that have a value, and return what was written."""
    from tracks.export import Written, output_path
    from tracks.grid import bin_count
    from tracks.virtual.materialize import materialize_all
    from tracks.virtual.stored import stored_totals
    from tracks.virtual.stored_values import StoredValues
    from tracks.virtual.virtual_bigwig import VirtualBigWig

    sizes = export.predictor.genome.chrom_sizes
    bins = sum(bin_count(chrom.length) for chrom in export.chroms)
    files: dict[Path, VirtualBigWig] = {}
    written = []
    for head in export.heads:
        stores = {
            chrom.name: export.store.windows(
                head.digest, chrom.sequence, chrom.length, head.stored, export.predictor.method
            )
            for chrom in export.chroms
        }
        for column, track in zip(head.columns, head.tracks, strict=True):
            values = StoredValues(sizes, stores, column, whole=True)
            valued = sum(int(store.summary(1).counts[:, 0, column].sum()) for store in stores.values())
            path = output_path(out, track, "bigwig") if valued else None
            if path is not None:
                files[path] = VirtualBigWig(layout.with_totals(stored_totals(values, sizes)), values)
            written.append(Written(track, path, bins, valued))
    try:
        materialize_all(files, progress)
    except TracksError as error:
        raise TracksError(f"{error}; predicted windows are kept, and the same command goes on from there") from error
    return tuple(written)
