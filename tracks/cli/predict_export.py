"""``tracks predict`` of whole chromosomes: said before, shown meanwhile, resumed after."""

from __future__ import annotations

import shlex
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from tracks.errors import TracksError, first_few

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from model.export import DiskNeed, GenomeExport
    from model.predict import Predictor
    from tracks.bigwig_export import BigWigExporter
    from tracks.export import Format, Written
    from tracks.shards import Shard, ShardRecord
    from tracks.store import Store
    from tracks.track import Track

_RECORD_EVERY = 60.0
_TIGHT = 0.9
"""Part of a disk's free bytes beyond which what is needed is warned of."""


@dataclass(frozen=True)
class Wanted:
    """What becomes of the windows: files of ``form`` in ``out``, or a shard's record there. ``words`` are the command,
    but for its shard."""

    out: Path
    form: Format
    overwrite: bool
    shard: Shard | None
    words: Sequence[str]
    dry_run: bool
    yes: bool
    processes: int


def say(line: str) -> None:
    """Tell the user something on standard error."""
    click.echo(f"tracks: {line}", err=True)


def predict_chromosomes(
    predictor: Predictor, store: Store, chroms: Sequence[str], tracks: Sequence[Track], wanted: Wanted
) -> None:
    """Predict whole chromosomes, and write them as files unless only a shard of them is wanted."""
    started = time.monotonic()
    from model.export import GenomeExport
    from tracks.bigwig_export import BigWigExporter
    from tracks.cli.progress import bar

    # Other formats are written from TrackData, which hold all tracks of a model.
    needed = tracks if wanted.form == "bigwig" else predictor.model.tracks
    with bar("reading the genome") as shown:
        export = GenomeExport(predictor, store, chroms, needed, wanted.shard, shown.update)
    with ExitStack() as running:
        exporter = None
        if wanted.form == "bigwig" and wanted.shard is None and not wanted.dry_run:
            # Entered first: it holds the folder, so that a second export is refused before it computes anything.
            exporter = running.enter_context(
                BigWigExporter(export.bigwigs(wanted.out, wanted.overwrite), wanted.processes)
            )
            say_unlocked(exporter)
        if wanted.shard is not None:
            _check_record(export, wanted)
        _say_plan(export, wanted)
        if wanted.shard is not None and not wanted.dry_run:
            _record(export, wanted).write(wanted.out)
        say_time(export)
        if wanted.dry_run:
            return
        if wanted.shard is not None:
            _compute_shard(export, wanted)
            return
        with bar("predicting") as shown:
            export.compute(shown.update, exporter.advance if exporter is not None else lambda done: None)
        with bar("writing") as shown:
            if exporter is not None:
                written = exporter.finish(shown.update)
            else:
                with alone(wanted.out, tracks, wanted.form):
                    written = _write_otherwise(export, tracks, wanted, shown.update)
    say_missing(written, export.bins_without_sequence(), predictor.model.widest_context)
    say_written(written, wanted.out, started)
    say_viewing(written)


def _write_otherwise(
    export: GenomeExport, tracks: Sequence[Track], wanted: Wanted, progress: Callable[[int, int], None]
) -> tuple[Written, ...]:
    """Write bedGraphs, HDF5 or Zarr, by reading the store once for each file."""
    from model.predict import predict
    from tracks.export import write_tracks
    from tracks.regions import Region

    predictor, store = export.predictor, export.store
    whole = [Region(chrom.name, 0, chrom.length) for chrom in export.chroms]
    return write_tracks(
        wanted.out,
        lambda: predict(predictor, whole, store, progress),
        tracks,
        predictor.genome.chrom_sizes,
        wanted.form,
        wanted.overwrite,
        predictor.source,
    )


@contextmanager
def kept_when_interrupted() -> Iterator[None]:
    """Say, where Ctrl-C ends the work, that what was predicted is not lost."""
    try:
        yield
    except KeyboardInterrupt as stopped:
        click.echo(err=True)
        raise click.Abort("what was predicted is kept, and the same command goes on from there") from stopped


@contextmanager
def alone(out: Path, tracks: Sequence[Track], form: Format) -> Iterator[None]:
    """Hold a folder while files are written to it, and remove what a killed run was writing of them."""
    from tracks.export import remove_leftovers
    from tracks.folder_lock import folder_lock

    with folder_lock(out, "tracks predict") as locked:
        if locked:
            remove_leftovers(out, tracks, form)
        yield


def _check_record(export: GenomeExport, wanted: Wanted) -> None:
    """Refuse to mix a shard with those of another export."""
    from tracks.shards import check_agreement, read_records

    record = _record(export, wanted)
    others = (other for other in read_records(wanted.out) if other.shard != record.shard)
    check_agreement([record, *others], wanted.out, "this command")


def _record(export: GenomeExport, wanted: Wanted) -> ShardRecord:
    return export.record(shlex.join([*wanted.words, "--shard", str(wanted.shard)]))


def _compute_shard(export: GenomeExport, wanted: Wanted) -> None:
    """Compute a shard's windows; its record says every minute, and at the end, how many are done."""
    from tracks.cli.progress import bar

    started = told = time.monotonic()
    with bar("predicting") as shown:

        def kept(done: int, total: int) -> None:
            nonlocal told
            shown.update(done, total)
            if time.monotonic() > told + _RECORD_EVERY:
                told = time.monotonic()
                _try_record(export, wanted)

        try:
            export.compute(kept)
        except BaseException:
            _try_record(export, wanted)
            raise
    record = _record(export, wanted)
    record.write(wanted.out)
    click.echo(
        f"shard {record.shard} is done: {record.windows:,} windows in {record.store}, "
        f"in {time.monotonic() - started:.1f} s; when all are: {shlex.join(['tracks', 'merge', str(wanted.out)])}"
    )


def _try_record(export: GenomeExport, wanted: Wanted) -> None:
    """Write how far a shard is, where that can be done: it is the windows that count."""
    try:
        _record(export, wanted).write(wanted.out)
    except TracksError as error:
        say(f"warning: {error}")


def _say_plan(export: GenomeExport, wanted: Wanted) -> None:
    """Say what is to be done, and whether the disks have room for it."""
    named = f"shard {wanted.shard} of {wanted.out}: " if wanted.shard is not None else ""
    say(f"{named}{windows_in_words(export)}")
    for need in export.disk_needs(wanted.out, wanted.form if wanted.shard is None else None):
        check_disk(need, wanted.yes)


def windows_in_words(export: GenomeExport) -> str:
    """Return which windows there are to compute, how and where."""
    plan, predictor = export.plan, export.predictor
    parts = [
        f"{plan.known:,} of {plan.windows:,} windows were already known",
        *([f"{plan.empty:,} have no sequence"] if plan.empty else []),
        f"{plan.to_compute:,} to compute",
    ]
    return f"{', '.join(parts)} ({predictor.method.words}; {predictor.device}), into {export.store.root}"


def say_time(export: GenomeExport) -> None:
    """Say how long it will take, from a measured window."""
    from tracks.cli.progress import spoken

    seconds = export.measure()
    if seconds is not None:
        left = seconds * export.plan.to_compute
        say(f"about {spoken(left)} to compute the rest, at {seconds:.2g} s a window")


def check_disk(need: DiskNeed, yes: bool) -> None:
    """Say what a disk will have to take. Raises TracksError where it has not the room, unless ``yes``."""
    folders = " and ".join(str(folder) for folder in need.folders)
    words = f"up to {size(need.needed)} will be written to {folders}, where {size(need.free)} are free"
    if need.needed > need.free and not yes:
        raise TracksError(f"the disk is too small: {words}; choose another disk, or go on all the same with --yes")
    say(f"warning: {words}" if need.needed > _TIGHT * need.free else words)


def say_unlocked(exporter: BigWigExporter) -> None:
    """Warn where a file system has no locks, so that nothing keeps a second export out of the folder."""
    if not exporter.locked:
        say(f"warning: files cannot be locked in {exporter.export.out}; see that no other export writes there")


def say_missing(written: Sequence[Written], without_sequence: int, widest: int | None) -> None:
    """Say where files have no value, and tracks no file. ``widest`` is the bases of context that some tracks need; None
    where nobody knows why a bin has no value."""
    bins = written[0].bins
    if without_sequence:
        say(f"no value for {without_sequence:,} of {bins:,} bins{'' if widest is None else ': no sequence there'}")
    alike: dict[tuple[int, bool], list[str]] = {}
    for entry in written:
        key = (bins - entry.valued - without_sequence, entry.track.context)
        alike.setdefault(key, []).append(entry.track.name)
    for (more, context), names in alike.items():
        if more:
            around = f"{(widest or 0) / 1e6:g} Mb around" if context else "window around"
            why = "" if widest is None else f": too little sequence in the {around}"
            say(f"{first_few(names)}: no value for {more:,} other bins{why}")
    if any(entry.path for entry in written):
        for entry in written:
            if entry.path is None:
                say(f"warning: {entry.track.name} has no value in these regions, so it has no file")


def say_written(written: Sequence[Written], out: Path, started: float) -> None:
    """Say which files were written. Raises TracksError when there is none."""
    from tracks.cli.progress import spoken

    paths = list(dict.fromkeys(entry.path for entry in written if entry.path))
    if not paths:
        raise TracksError(f"no file was written: not one of {written[0].bins:,} bins has a value")
    files = str(paths[0]) if len(paths) == 1 else f"{len(paths)} files in {out}"
    bins = f"{written[0].bins:,} bin{'s' if written[0].bins > 1 else ''} of 128 bp"
    seconds = time.monotonic() - started
    click.echo(f"wrote {files}: {bins}, in {spoken(seconds) if seconds >= 100 else f'{seconds:.1f} s'}")


def say_viewing(written: Sequence[Written]) -> None:
    """Say how large the files of an export are, and what shows them."""
    from tracks.export import written_bytes

    paths = list(dict.fromkeys(entry.path for entry in written if entry.path))
    line = f"{size(written_bytes(written))} in all"
    if paths[0].suffix == ".bw":
        line += "; IGV, JBrowse and the UCSC browser open bigWigs, and what is in one is said by: "
        line += shlex.join(["tracks", "info", str(paths[0])])
    say(line)


def size(count: int) -> str:
    """Return bytes as people say them: ``1.2 GB``."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} bytes"
