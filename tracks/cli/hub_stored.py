"""The predictions of a model that ``tracks hub`` finds in a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tracks.bigwig_export import ExportChrom, ExportHead
from tracks.cli.progress import bar
from tracks.errors import TracksError
from tracks.genome import Genome, demo_genome
from tracks.hub.sources import Source
from tracks.hub.stored import known_windows, write_known
from tracks.store import Store, default_store_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tracks.method import Method
    from tracks.project import Project


class Stored:
    """Those heads of a model of which a store knows predictions. Raises TracksError where it knows none."""

    def __init__(
        self,
        folder: Path,
        heads: Sequence[str],
        fasta: Path | None,
        project: Project | None,
        root: Path | None,
        method: Method,
    ) -> None:
        from model.folder import head_names, load_model

        self._store, self._method = Store(root or default_store_folder()), method
        genome = Genome(fasta or (project.genome if project is not None else demo_genome()))
        self._sizes = genome.chrom_sizes
        self._chroms = [ExportChrom(name, length, genome.digest(name)) for name, length in self._sizes.items()]
        described = {entry.track.slug: entry.track for entry in project.targets()} if project is not None else {}
        model = load_model(folder, tuple(heads) or head_names(folder))
        self._heads = {}
        for spec in model.heads:
            tracks = tuple(described.get(track.slug, track) for track in spec.tracks)
            columns = tuple(range(len(tracks)))
            head = ExportHead(model.head_digests[spec.name], len(columns), columns, tracks)
            windows = known_windows(self._store, head, self._chroms, method)
            if windows:
                click.echo(f"tracks: {spec.name}: {windows:,} known windows of {self._store.root}", err=True)
                self._heads[spec.name] = head
        self.digests = {name: head.digest for name, head in self._heads.items()}
        if not self._heads:
            raise TracksError(
                f"{self._store.root} knows no predictions of {folder} ({method.words}) for {genome.path}; make them "
                "with tracks predict --genome-wide, or name predicted bigWig files"
            )

    def write(self, into: Path) -> list[Source]:
        """Write all that is known of them as bigWigs."""
        made = []
        for name, head in self._heads.items():
            (into / name).mkdir()
            with bar(f"writing {name}") as shown:
                files = write_known(
                    into / name, self._store, head, self._chroms, self._sizes, self._method, shown.update
                )
            tracks = {track.slug: track for track in head.tracks}
            made += [Source(path, "predicted", tracks[slug], name) for slug, path in files.items()]
        return made
