"""``tracks predict``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from tracks.cli import options
from tracks.cli.options import PATH
from tracks.errors import TracksError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from model.predict import Predictor
    from tracks.export import Format, Written
    from tracks.genome import Genome
    from tracks.regions import Region
    from tracks.store import Store
    from tracks.trackdata import TrackData


@click.command("predict")
@click.option("--region", "region", multiple=True, help="Region such as chr20:10,000,001-10,400,000 (repeatable).")
@click.option("--bed", type=PATH, help="BED file of regions (plain or gzip).")
@click.option("--chrom", multiple=True, help="A whole chromosome (repeatable).")
@click.option("--windows", type=PATH, help="BED file of 131,072-bp windows with folds (sequences.bed), as HDF5 rows.")
@click.option("--embeddings", is_flag=True, help="With --windows: the trunk's embeddings too, 2.75 MB a window.")
@click.option("--genome", "fasta", type=PATH, help="FASTA, plain or bgzip [default: demo genome].")
@click.option("--model", "folder", type=PATH, help="Model folder [default: the shipped model].")
@click.option("--head", "heads", multiple=True, help="Head of the model (repeatable) [default: its first].")
@click.option("--stride", type=int, help="Bases from one value of a window head to the next [default: 114,688].")
@click.option("--track", "names", multiple=True, help="Only this track, by name or slug (repeatable) [default: all].")
@click.option(
    "--format", "form", type=click.Choice(["bigwig", "bedgraph", "hdf5"]), default="bigwig", show_default=True
)
@click.option("-o", "--out", required=True, type=PATH, help="Folder for the files.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@options.store
@options.device
@options.threads
def command(
    region: tuple[str, ...],
    bed: Path | None,
    chrom: tuple[str, ...],
    windows: Path | None,
    embeddings: bool,
    fasta: Path | None,
    folder: Path | None,
    heads: tuple[str, ...],
    stride: int | None,
    names: tuple[str, ...],
    form: Format,
    out: Path,
    overwrite: bool,
    root: Path | None,
    device: str,
    threads: int | None,
) -> None:
    """Predict tracks from sequence and write them as files.

    Values are means of 128-bp bins in each track's unit. Exactly the whole bins that touch the regions are written;
    several regions go to one file per track. Where there is no value (no sequence, or too little of it around for
    a track that needs wide context) bigWig and bedGraph hold nothing, and HDF5 holds NaN.

    \b
    Formats:
      bigwig    OUT/<track>.bw, with zoom levels
      bedgraph  OUT/<track>.bedgraph: four columns, sorted
      hdf5      OUT/predictions.h5: values/<chromosome> [bins, tracks]; the table regions; tracks as JSON

    With --windows, the windows of a published data set are predicted where they lie, off the grid, and written as
    its files have them: OUT/<head>.h5 with 128bp_bins or single_bin, a row a line of the BED file, in label scale.

    Predicted windows are kept in a store. A run that was interrupted goes on from there, and a region that
    overlaps an earlier one costs only what is new.

    A model folder can hold several heads; those of one run share the trunk's work, and the file names then end in the
    head's. A head that gives one value a window is a step function of 114,688 bp; --stride 16384 slides it.

    \b
    Examples:
      tracks predict --region chr20:10,000,000-10,400,000 -o out/
      tracks predict --chrom chr22 --track "CpG methylation IMR90" -o out/
      tracks predict --bed peaks.bed --genome hg19.fa.gz --format hdf5 -o out/
      tracks predict --windows sequences.bed --genome hg38.fa --model basenji2/ --head maxpool -o out/
    """
    started = time.monotonic()
    if embeddings and windows is None:
        raise UsageError("--embeddings goes with --windows, which names the rows of the file")
    if windows is not None:
        if region or bed or chrom or names or stride is not None or form != "bigwig":
            raise UsageError(
                "--windows predicts the windows of its file, all tracks, as HDF5; "
                "leave --region, --bed, --chrom, --track, --stride and --format out"
            )
        made = _predict_rows(windows, embeddings, fasta, folder, heads, out, overwrite, device, threads)
        click.echo(f"wrote {' and '.join(map(str, made))}, in {time.monotonic() - started:.1f} s")
        return
    if not (region or bed or chrom):
        raise UsageError("nothing to predict; give --region chr20:10,000,000-10,400,000, --bed FILE or --chrom chr20")
    from tracks.genome import Genome, demo_genome

    genome = Genome(fasta or demo_genome())
    regions = _regions(region, bed, chrom, genome)

    from model.folder import demo_model_folder, load_model
    from model.predict import Predictor, predict
    from tracks.cli.progress import bar
    from tracks.export import check_output, write_tracks
    from tracks.grid import WINDOW
    from tracks.store import Store, default_store_folder
    from tracks.track import select_tracks

    model = load_model(folder or demo_model_folder(), heads, WINDOW if stride is None else stride)
    tracks = select_tracks(model.tracks, names) if names else model.tracks
    check_output(out, tracks, form, overwrite)
    predictor = Predictor(model, genome, device, threads)
    store = Store(root or default_store_folder())

    _say_known(predictor, regions, store)
    missing = _Missing(predictor)
    with bar("predicting") as shown:
        # The first pass fills the store; each file is then written by reading the store window by window, so
        # that memory does not grow with the regions.
        for piece in predict(predictor, regions, store, shown.update):
            missing.add(piece)
    with bar("writing") as shown:
        written = write_tracks(
            out,
            lambda: predict(predictor, regions, store, shown.update),
            tracks,
            genome.chrom_sizes,
            form,
            overwrite,
            {"model": model.name, "model_digest": model.digest, "genome": genome.path.name},
        )
    missing.say(written)
    paths = list(dict.fromkeys(str(entry.path) for entry in written if entry.path))
    if not paths:
        raise TracksError(f"no file was written: not one of {written[0].bins:,} bins has a value")
    files = paths[0] if len(paths) == 1 else f"{len(paths)} files in {out}"
    bins = f"{written[0].bins:,} bin{'s' if written[0].bins > 1 else ''} of 128 bp"
    click.echo(f"wrote {files}: {bins}, in {time.monotonic() - started:.1f} s")


def _predict_rows(
    windows: Path,
    embeddings: bool,
    fasta: Path | None,
    folder: Path | None,
    heads: Sequence[str],
    out: Path,
    overwrite: bool,
    device: str,
    threads: int | None,
) -> list[Path]:
    from tracks.windows import read_windows

    rows = read_windows(windows)

    from model.embedding_file import EmbeddingRows, embeddings_bytes
    from model.folder import demo_model_folder, load_model
    from model.predict import Predictor
    from model.predict_rows import predict_rows
    from tracks.cli.progress import bar
    from tracks.files import check_folder
    from tracks.genome import Genome, demo_genome

    check_folder(out, str(out))
    genome = Genome(fasta or demo_genome())
    predictor = Predictor(load_model(folder or demo_model_folder(), heads), genome, device, threads)
    beside = None
    if embeddings:
        beside = EmbeddingRows(predictor, rows, out, overwrite)
        _say(f"the embeddings take {embeddings_bytes(predictor, rows) / 1e9:.2f} GB")
    with bar("predicting") as shown:
        made = list(predict_rows(predictor, rows, out, overwrite, shown.update, beside).values())
    return [*made, beside.path] if beside is not None else made


def _regions(region: Sequence[str], bed: Path | None, chroms: Sequence[str], genome: Genome) -> list[Region]:
    from tracks.regions import Region, check_chrom, parse_region, read_bed

    regions = [parse_region(text, genome.chrom_sizes) for text in region]
    if bed is not None:
        regions += read_bed(bed, genome.chrom_sizes)
    for chrom in chroms:
        check_chrom(chrom, genome.chrom_sizes, "--chrom")
        regions.append(Region(chrom, 0, genome.chrom_sizes[chrom]))
    return regions


def _say(line: str) -> None:
    click.echo(f"tracks: {line}", err=True)


def _say_known(predictor: Predictor, regions: Sequence[Region], store: Store) -> None:
    import numpy as np

    from tracks.grid import windows_over

    asked: dict[str, set[int]] = {}
    for region in regions:
        asked.setdefault(region.chrom, set()).update(windows_over(region))
    known = 0
    for chrom, indices in asked.items():
        heads = [predictor.known_windows(store, chrom, spec.name).known() for spec in predictor.model.heads]
        known += int(np.all(heads, axis=0)[sorted(indices)].sum())
    if known:
        _say(f"{known:,} of {sum(map(len, asked.values())):,} windows were already known")


class _Missing:
    """Counts the bins without a value by what they lack: sequence of their own, or enough of it around."""

    def __init__(self, predictor: Predictor) -> None:
        self._genome = predictor.genome
        contexts = [spec.context for spec in predictor.model.heads if spec.context is not None]
        self._widest = max((width for context in contexts for width in context.widths), default=0)
        self._without_sequence = 0

    def add(self, piece: TrackData) -> None:
        import numpy as np

        from tracks.composition import MIN_KNOWN_BASES, known_bases
        from tracks.grid import BIN

        if np.isnan(piece.values).any():
            start = piece.region.start
            codes = self._genome.codes(piece.region.chrom, start, start + len(piece.values) * BIN)
            self._without_sequence += int((known_bases(codes) < MIN_KNOWN_BASES).sum())

    def say(self, written: Sequence[Written]) -> None:
        bins = written[0].bins
        if self._without_sequence:
            _say(f"no value for {self._without_sequence:,} of {bins:,} bins: no sequence there")
        for entry in written:
            more = bins - entry.valued - self._without_sequence
            if more:
                around = f"{self._widest / 1e6:g} Mb around" if entry.track.context else "window around"
                _say(f"{entry.track.name}: no value for {more:,} other bins: too little sequence in the {around}")
            if entry.path is None and any(other.path for other in written):
                _say(f"warning: {entry.track.name} has no value in these regions, so it has no file")
