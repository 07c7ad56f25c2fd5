"""``tracks predict --overview``: a whole genome's zoom levels, kept beside its windows."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

import click

from tracks.cli.predict_export import check_disk, kept_when_interrupted, say, say_time, windows_in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from model.export import GenomeExport
    from model.predict import Predictor
    from tracks.store import Store
    from tracks.virtual import Values


def predict_overview(predictor: Predictor, store: Store, dry_run: bool, yes: bool) -> None:
    """Predict a whole genome, and keep the overviews of all tracks, by which virtual files stop changing."""
    started = time.monotonic()
    from model.export import GenomeExport
    from tracks.cli.progress import bar, spoken
    from tracks.virtual.overview import layout_digest, overview_bytes, overview_path, write_overview

    sizes = predictor.genome.chrom_sizes
    with bar("reading the genome") as shown:
        export = GenomeExport(predictor, store, sizes, predictor.model.tracks, progress=shown.update)
    say(windows_in_words(export))
    overviews = len(predictor.model.tracks) * overview_bytes(sizes)
    for need in export.disk_needs(store.root, None):
        check_disk(dataclasses.replace(need, needed=need.needed + overviews), yes)
    say_time(export)
    if dry_run:
        return
    with kept_when_interrupted(), bar("predicting") as shown:
        export.compute(shown.update)
    layout = layout_digest(sizes, {chrom.name: chrom.sequence for chrom in export.chroms})
    made = [
        (overview_path(store.root, digest, predictor.method, layout, slug), values)
        for digest, slug, values in _values(export)
    ]
    with bar("keeping overviews") as shown:
        for done, (path, values) in enumerate(made):
            shown.update(done, len(made))
            write_overview(path, sizes, values)
        shown.update(len(made), len(made))
    click.echo(
        f"kept the overviews of {len(made)} track{'s' if len(made) > 1 else ''} in {store.root}, "
        f"in {spoken(time.monotonic() - started)}; tracks serve now offers them as files that never change"
    )


def _values(export: GenomeExport) -> Iterator[tuple[str, str, Values]]:
    """Yield each track's head digest, slug and values."""
    from tracks.virtual.stored_values import StoredValues

    model, sizes = export.predictor.model, export.predictor.genome.chrom_sizes
    for spec in model.heads:
        stores = {chrom: export.predictor.known_windows(export.store, chrom, spec.name) for chrom in sizes}
        for column, track in enumerate(spec.tracks):
            yield model.head_digests[spec.name], track.slug, StoredValues(sizes, stores, column, whole=True)
