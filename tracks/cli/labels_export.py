"""``tracks labels export``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tracks.cli.options import PATH
from tracks.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@click.command("export")
@click.argument("path", metavar="LABELS", type=PATH)
@click.option(
    "--layout",
    type=click.Choice(["cs282a", "bigwig"]),
    default="bigwig",
    show_default=True,
    help="HDF5 of the published data set's layout, or a bigWig for each track.",
)
@click.option("-o", "--out", type=PATH, required=True, help="HDF5 file (cs282a), or folder (bigwig).")
@click.option("--genome", type=PATH, help="bigwig: FASTA of the genome, to write a tracks.toml with.")
@click.option("--valid", is_flag=True, help="bigwig: also write how many calls or bases are behind each label.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
def command(path: Path, layout: str, out: Path, genome: Path | None, valid: bool, overwrite: bool) -> None:
    """Write a label set to files that other programs read.

    The layout cs282a is one HDF5 file: 128bp_bins [windows, 896, tracks] and single_bin [windows, 1, tracks], a row
    for each line of a BED file that is written beside (OUT without its suffix, and .windows.bed). Missing labels are
    NaN.

    The layout bigwig is a folder of bigWigs in the tracks' units, and with --genome a tracks.toml of them, so that
    tracks serve shows what was trained on.

    \b
    Examples:
      tracks labels export labels.zarr --layout cs282a -o dataset.h5
      tracks labels export labels.zarr --genome hg38.fa -o observed/
      tracks serve observed/tracks.toml
    """
    from tracks.cli.progress import bar
    from tracks.labels.built import BuiltLabels
    from tracks.labels.export import export_bigwigs, export_hdf5

    if layout == "cs282a":
        if valid or genome is not None:
            raise UsageError("--valid and --genome go with the layout bigwig")
        if out.suffix not in (".h5", ".hdf5"):
            raise UsageError(f"the layout cs282a is one HDF5 file, whose name ends in .h5; {out} does not")
        labels = BuiltLabels(path)
        with bar("exporting") as shown:
            bed = export_hdf5(labels, out, overwrite, shown.update)
        rows, tracks = len(labels.windows), len(labels.targets)
        click.echo(f"wrote {out}: {rows:,} windows of {tracks} tracks; their places are in {bed}")
        return
    labels = BuiltLabels(path)
    with bar("exporting") as shown:
        written = export_bigwigs(labels, out, genome, valid, overwrite, shown.update)
    for entry in written:
        if entry.path is None:
            click.echo(f"tracks: warning: {entry.track.name} has no label, so it has no file", err=True)
    files = sum(entry.path is not None for entry in written)
    if genome is None:
        click.echo("tracks: name the FASTA with --genome for a tracks.toml that tracks serve shows", err=True)
    project = "" if genome is None else " and tracks.toml"
    click.echo(f"wrote {files} bigWig file{'' if files == 1 else 's'}{project} to {out}")
