"""An evaluation of files: what ``tracks evaluate`` does, but for writing its results."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from model.report.lads import read_lads
from model.report.layout import lay_out
from model.report.page import Provenance
from model.report.run import CHUNK, SLOW_CHUNK, Options, Report, evaluate_windows, scored_tracks
from model.report.sources import (
    Matched,
    Source,
    check_genome,
    check_held_out,
    file_sources,
    model_sources,
)
from tracks.errors import UsageError
from tracks.files import sha256
from tracks.genome import Genome
from tracks.labels import BuiltLabels, ProjectLabels, open_labels
from tracks.remote.address import Address
from tracks.remote.file import identity

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from model.folder import Model
    from tracks.labels import LabelSet
    from tracks.split import Fold
    from tracks.store import Store

HDF5 = (".h5", ".hdf5")


@dataclass(frozen=True)
class Inputs:
    """The files of an evaluation: model folders and HDF5 files of predictions, labels with their BED file of windows
    where they are HDF5, and what else was given. ``lads``: (track, file); ``pairs``: names of tracks or biosamples."""

    models: tuple[Path, ...]
    labels: Path
    windows: Path | None = None
    folds: tuple[Fold, ...] = ("test",)
    heads: tuple[str, ...] = ()
    genome: Path | None = None
    lads: tuple[tuple[str, Path], ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    replicate: Path | None = None
    legacy_labels: bool = False
    device: str = "auto"
    threads: int = 2


def evaluate_files(
    inputs: Inputs,
    store: Store | None = None,
    command: str = "tracks evaluate",
    say: Callable[[str], None] = lambda message: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Report, Provenance]:
    """Evaluate files. Raises UsageError and TracksError that name the file, and what would be right, before long
    work: a model trained on the windows, another number of rows, another genome, no track in common."""
    labels = open_labels(inputs.labels, inputs.windows, inputs.legacy_labels, report=say)
    replicate = None
    if inputs.replicate is not None:
        replicate = open_labels(inputs.replicate, inputs.windows, inputs.legacy_labels, report=say)
        if replicate.windows != labels.windows:
            raise UsageError(f"{inputs.replicate} has other windows than {inputs.labels}; a replicate has the same")
    genome = _genome(inputs, labels)
    lads = tuple((track, read_lads(path)) for track, path in inputs.lads)
    sources, models = _open(inputs, labels, genome, store)
    warnings = _check(inputs, labels, genome, models)
    for warning in warnings:
        say(warning)
    tracks, notes = scored_tracks(labels, [track.name for source in sources for track in source.tracks])
    for note in notes:
        say(note)
    say("checksums of the files")
    digests = [(model.name, model.digest) for model in models]
    digests += [(path.stem, sha256(path)) for path in inputs.models if path.suffix in HDF5]
    provenance = Provenance(command, f"{labels.name} {_labels_digest(inputs, labels)}", tuple(digests), warnings)
    options = Options(
        inputs.folds,
        lads,
        inputs.pairs,
        replicate,
        genome,
        dict(genome.chrom_sizes) if genome else _reach(labels),
        SLOW_CHUNK if models else CHUNK,
        inputs.threads,
    )
    report = evaluate_windows(labels, tracks, [Matched(source, tracks) for source in sources], options, say, progress)
    return Report(report.tracks, report.folds, (*notes, *report.notes)), provenance


def _labels_digest(inputs: Inputs, labels: LabelSet) -> str:
    """Twelve digits of the SHA-256 of all files that labels come from (of a label set: of its recipe and their names,
    sizes and dates; of a file on another server: of its address, size and tag or date)."""
    if isinstance(labels, BuiltLabels):
        return labels.digest[:12]
    sources: list[Path | Address] = [inputs.labels, *([inputs.windows] if inputs.windows else [])]
    if isinstance(labels, ProjectLabels):
        sources += [entry.observed for entry in labels.entries if entry.observed is not None]
    digests = [identity(source) if isinstance(source, Address) else sha256(source) for source in sources]
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:12]


def _genome(inputs: Inputs, labels: LabelSet) -> Genome | None:
    if inputs.genome is not None:
        return Genome(inputs.genome)
    if isinstance(labels, ProjectLabels):
        return Genome(labels.genome_path)
    folders = [path for path in inputs.models if path.suffix not in HDF5]
    if folders:
        raise UsageError(f"the model {folders[0]} reads sequence, which these labels do not name: give --genome FASTA")
    return None


def _reach(labels: LabelSet) -> dict[str, int]:
    """Without a genome, a chromosome is as long as its windows reach."""
    reach: dict[str, int] = {}
    for window in labels.windows:
        reach[window.chrom] = max(reach.get(window.chrom, 0), window.end)
    return reach


def _open(
    inputs: Inputs, labels: LabelSet, genome: Genome | None, store: Store | None
) -> tuple[list[Source], list[Model]]:
    sources: list[Source] = []
    models = []
    for path in inputs.models:
        if path.suffix in HDF5:
            sources += file_sources(path, len(labels.windows))
        else:
            assert genome is not None, "a model folder comes with a genome"
            model, own = model_sources(path, inputs.heads, genome, inputs.device, store)
            models.append(model)
            sources += own
    named = [source.named for source in sources]
    twice = {one.label for one in named if named.count(one) > 1}
    if twice:
        raise UsageError(f"two of the models are both named '{twice.pop()}'; rename a file, or the folder's model.json")
    return sources, models


def _check(inputs: Inputs, labels: LabelSet, genome: Genome | None, models: list[Model]) -> tuple[str, ...]:
    """Refuse what cannot be scored; return what the page must warn of."""
    warnings = []
    for fold in inputs.folds:
        layout = lay_out(labels.windows, fold)
        if genome is not None:
            check_genome(genome, labels.windows, layout.rows)
        if fold == "train":
            warnings.append(
                "warning: the train fold is what models were fitted on; its figures say how well they fit, "
                "not how well they predict, and where its windows overlap, bins count twice"
            )
            continue
        for model in models:
            if model.split:
                check_held_out(model, labels.windows, layout)
            else:
                warnings.append(f"{model.name} names no split: that the {fold} windows were held out is not checked")
    return tuple(warnings)
