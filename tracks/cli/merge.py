"""``tracks merge``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from tracks.cli import options
from tracks.cli.options import PATH
from tracks.errors import TracksError, UsageError, first_few

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

    from tracks.shards import ShardRecord


@click.command("merge")
@click.argument("out", metavar="DIR", type=PATH)
@click.option("--store", "more", type=PATH, multiple=True, help="A further store that holds windows (repeatable).")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@options.processes
def command(out: Path, more: tuple[Path, ...], overwrite: bool, processes: int | None) -> None:
    """Write the bigWigs of an export whose shards are all computed.

    DIR is the output folder that tracks predict --shard was given; each shard left a record there of what it computed
    and in which store. Where machines kept stores of their own, name those that lie elsewhere now with --store: what
    the first store lacks is copied to it from the others.

    The files are the same, byte for byte, as those of one run without shards.

    \b
    Examples:
      tracks predict --genome-wide --genome hg38.fa --shard 1/2 -o out/
      tracks predict --genome-wide --genome hg38.fa --shard 2/2 -o out/
      tracks merge out/
      tracks merge out/ --store /data/from_node1 --store /data/from_node2
    """
    started = time.monotonic()
    from tracks.bigwig_export import BigWigExporter, check_export
    from tracks.cli.predict_export import say_missing, say_unlocked, say_viewing, say_written
    from tracks.cli.progress import bar
    from tracks.parallel import usable_cpus
    from tracks.shards import check_agreement, check_finished, read_records
    from tracks.stored_windows import collect

    records = read_records(out)
    check_agreement(records, out)
    check_finished(records, out)
    stores = _stores(records, more)
    export = records[0].bigwigs(out, stores[0], overwrite)
    check_export(export)
    with bar("collecting") as shown:
        missing = collect(export, stores[1:], shown.update)
    if len(missing):
        raise TracksError(_lacking(records, stores, missing, export.windows))
    with BigWigExporter(export, processes or usable_cpus()) as exporter, bar("writing") as shown:
        say_unlocked(exporter)
        written = exporter.finish(shown.update)
    say_missing(written, min(entry.bins - entry.valued for entry in written), None)
    say_written(written, out, started)
    say_viewing(written)


def _stores(records: Sequence[ShardRecord], more: Sequence[Path]) -> list[Path]:
    """The stores that are here, each once: those of the records, then others."""
    for store in more:
        if not store.is_dir():
            raise UsageError(f"there is no prediction store {store} (--store)")
    named = [*(record.store for record in records), *more]
    here = list(dict.fromkeys(store.resolve() for store in named if store.is_dir()))
    if not here:
        raise UsageError(f"the store {records[0].store} of shard {records[0].shard} is not here; name it with --store")
    return here


def _lacking(records: Sequence[ShardRecord], stores: Sequence[Path], missing: np.ndarray, windows: int) -> str:
    import numpy as np

    from tracks.shards import shard_numbers

    numbers = np.unique(shard_numbers(missing, windows, records[0].shard.of)).tolist()
    lacking = [records[number - 1] for number in numbers]
    names = first_few([str(record.shard) for record in lacking])
    away = first_few(list(dict.fromkeys(str(record.store) for record in lacking if not record.store.is_dir())))
    what = f"{len(missing):,} windows of shards {names} are not in {first_few([str(store) for store in stores])}"
    if away:
        return f"{what}; {away} is not here: name a copy of it with --store"
    return f"{what}; name the store that has them with --store, or run again: {lacking[0].command}"
