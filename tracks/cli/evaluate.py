"""``tracks evaluate`` and ``tracks evaluate golden``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tracks.cli import options
from tracks.cli.options import PATH
from tracks.errors import TracksError, UsageError
from tracks.files import check_absent, check_folder, write_text

if TYPE_CHECKING:
    from model.report.files import Inputs
    from tracks.split import Fold


class _WithoutName(click.Command):
    """A command that is called by its group's name alone."""

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        parent = ctx.parent or ctx
        formatter.write_usage(parent.command_path, " ".join(self.collect_usage_pieces(ctx)))


class _Evaluate(click.Group):
    """``tracks evaluate golden`` is a command of its own; any other first word is already a model to evaluate."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [golden.name or ""]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return golden if cmd_name == golden.name else windows

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args[:1] != [golden.name]:
            args = [windows.name or "", *args]
        return super().parse_args(ctx, args)


@click.group("evaluate", cls=_Evaluate)
def command() -> None:
    """Score models on labelled windows; or compare the published heads with what the original printed (golden)."""


@click.command("windows", cls=_WithoutName)
@click.argument("models", nargs=-1, required=True, type=PATH, metavar="MODEL...")
@click.option("--labels", required=True, type=PATH, help="A tracks.toml, a label set (.zarr), or HDF5 with --windows.")
@click.option("--windows", "bed", type=PATH, help="BED file of the windows: line number = row of the HDF5.")
@click.option("--fold", "folds", multiple=True, type=click.Choice(["train", "valid", "test"]), default=("test",),
              show_default=True, help="Fold to score (repeatable).")  # fmt: skip
@click.option("-o", "--out", required=True, type=PATH, help="Folder for metrics.tsv and index.html.")
@click.option("--head", "heads", multiple=True, help="Only this head of the model folders (repeatable) [default: all].")
@click.option("--genome", "fasta", type=PATH, help="FASTA, plain or bgzip [default: that of a tracks.toml].")
@click.option("--lads", multiple=True, metavar="TRACK=FILE", help="LAD BED file to tell apart by a track (repeatable).")
@click.option("--pair", "pairs", multiple=True, metavar="A,B",
              help="Tracks or biosamples of which to tell the higher (repeatable) [default: those that differ most].",
              )  # fmt: skip
@click.option("--replicate", type=PATH, help="Labels of another replicate, in the same layout.")
@click.option("--legacy-labels", is_flag=True, help="Take published labels as stored, nothing masked as missing.")
@click.option("--overwrite", is_flag=True, help="Replace the files of -o.")
@options.store
@options.device
@options.threads
def windows(
    models: tuple[Path, ...],
    labels: Path,
    bed: Path | None,
    folds: tuple[Fold, ...],
    out: Path,
    heads: tuple[str, ...],
    fasta: Path | None,
    lads: tuple[str, ...],
    pairs: tuple[str, ...],
    replicate: Path | None,
    legacy_labels: bool,
    overwrite: bool,
    root: Path | None,
    device: str,
    threads: int | None,
) -> None:
    """Score models on labelled windows, beside baselines, as a table and a page of figures.

    MODEL is a model folder, or an HDF5 file of predictions with a row for each window (128bp_bins, single_bin).
    Tracks are matched by name. Written are OUT/metrics.tsv, one figure a row, and OUT/index.html, which needs no
    other file: Pearson, Spearman and R2 of each track per 128-bp bin and per window with block-bootstrap intervals
    and paired differences, baselines on the same bins, specificity, calibration, scatter, ROC, and profiles along
    the chromosomes. "tracks evaluate golden" compares the published heads with what the original printed.

    \b
    Examples:
      tracks evaluate mymodel/ --labels mini/tracks.toml -o report/
      tracks evaluate basenji2/ --labels dataset_14-lmnb1_4-cpg.h5 --windows sequences.bed --genome hg38.fa \\
          --lads "LMNB1 cardiac myocytes=GSM5669183_CardiacMyocytes_LADs.sorted.bed.gz" -o report/
      tracks evaluate probe.h5 maxpool.h5 --labels dataset_14-lmnb1_4-cpg.h5 --windows sequences.bed -o report/
    """
    table, page = out / "metrics.tsv", out / "index.html"
    for path in (table, page):
        check_absent(path, overwrite)
    check_folder(out, str(out))
    inputs_lads = tuple(_lads_of(text) for text in lads)
    inputs_pairs = tuple(_pair_of(text) for text in pairs)

    from model.report.files import Inputs, evaluate_files
    from model.report.page import page_text
    from model.report.summary import summary_lines
    from model.report.table import table_text
    from tracks.cli.progress import bar
    from tracks.store import Store, default_store_folder

    options.use_threads(threads)
    inputs = Inputs(
        models, labels, bed, tuple(dict.fromkeys(folds)), heads, fasta, inputs_lads, inputs_pairs, replicate,
        legacy_labels, device, threads or 2,
    )  # fmt: skip
    store = Store(root or default_store_folder())
    with bar("evaluating") as shown:
        report, provenance = evaluate_files(inputs, store, _words(inputs), shown.say, shown.update)
        text = page_text(report, provenance, shown.say)
    for path, content in ((table, table_text(report.rows)), (page, text)):
        write_text(path, content)
    for line in summary_lines(report):
        click.echo(line)
    click.echo(f"wrote {table} ({len(report.rows):,} rows) and {page} ({page.stat().st_size / 1e6:.1f} MB)")


def _words(inputs: Inputs) -> str:
    """The command as the page names it: names of files only, not where on this machine they are."""
    words = ["tracks evaluate", *(path.resolve().name for path in inputs.models), "--labels", inputs.labels.name]
    for option, path in (("--windows", inputs.windows), ("--genome", inputs.genome), ("--replicate", inputs.replicate)):
        if path is not None:
            words += [option, path.name]
    words += [word for fold in inputs.folds for word in ("--fold", fold)]
    words += [word for head in inputs.heads for word in ("--head", head)]
    words += [word for track, path in inputs.lads for word in ("--lads", f'"{track}={path.name}"')]
    words += [word for one, other in inputs.pairs for word in ("--pair", f'"{one},{other}"')]
    return " ".join([*words, *(["--legacy-labels"] if inputs.legacy_labels else [])])


def _lads_of(text: str) -> tuple[str, Path]:
    track, equals, path = text.partition("=")
    if not (track.strip() and equals and path):
        raise UsageError(f'--lads is "TRACK=FILE", such as "LMNB1 liver=liver_LADs.bed.gz"; found "{text}"')
    return track.strip(), Path(path)


def _pair_of(text: str) -> tuple[str, str]:
    one, comma, other = (part.strip() for part in text.partition(","))
    if not (one and comma and other):
        raise UsageError(f'--pair is "A,B", two tracks or biosamples such as "Liver,H9ESC"; found "{text}"')
    return one, other


@click.command("golden")
@click.option("--model", "folder", required=True, type=PATH, help="Model folder with the published trunk and heads.")
@click.option("--genome", "fasta", required=True, type=PATH, help="hg38 as FASTA, plain or bgzip.")
@click.option("--golden", "tables", type=PATH, help="Folder of the printed tables [default: the shipped ones].")
@options.device
@options.threads
def golden(folder: Path, fasta: Path, tables: Path | None, device: str, threads: int | None) -> None:
    """Compare the published heads with the numbers that their authors printed for 20 windows of hg38.

    Every head of the folder that is of a published kind is compared: linear probe, conv and max-pool perceptron,
    legacy attention. A number may differ by 0.01 + 0.02 % of it. Exit code 1 when one differs by more.

    \b
    Example:
      tracks evaluate golden --model basenji2/ --genome hg38.fa
    """
    from model.folder import head_names, load_model
    from model.predict import Predictor
    from model.report.golden import compare, read_golden, shipped_tables
    from tracks.cli.progress import bar
    from tracks.genome import Genome

    printed = read_golden(tables or shipped_tables())
    predictor = Predictor(load_model(folder, head_names(folder)), Genome(fasta), device, threads)
    with bar("comparing") as shown:
        found = compare(predictor, printed, shown.update)
    for one in found:
        click.echo(one.line())
    failed = [one.head for one in found if not one.passes]
    if failed:
        raise TracksError(f"{len(failed)} of {len(found)} heads differ from what was printed: {', '.join(failed)}")
