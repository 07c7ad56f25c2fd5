"""Everything that one page shows: a project, a model, their tracks side by side, genes, and places worth a look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from model.folder import demo_model_folder, head_names, load_head, load_model
from model.predict import Predictor
from server.axis import Axis
from server.events import Events
from server.genes import GeneTileset, IntervalTileset, read_genes, read_intervals
from server.hub_panels import hub_tracks, open_beforehand
from server.predicted import PredictedTileset
from server.predictions import MAX_VIEW, Predictions
from server.sequence import SequenceMap
from server.tilesets import ChromSizesTileset, ObservedTileset, Tileset
from tracks.errors import TracksError, UsageError
from tracks.genome import Genome
from tracks.grid import WINDOW
from tracks.method import REFERENCE, Method
from tracks.project import load_project
from tracks.regions import Region, parse_region
from tracks.split import Block, read_split
from tracks.track import select_tracks, slug_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from model.folder import Model
    from tracks.project import Project, TrackEntry
    from tracks.remote.source import Source
    from tracks.store import Store
    from tracks.track import Track


@dataclass(frozen=True)
class Locus:
    """A place worth a look: a name for its button, and one sentence on what is to be seen there."""

    name: str
    region: Region
    note: str


@dataclass(frozen=True)
class Prediction:
    """One head's prediction of a track, and the two that bound it where the project file names them."""

    head: str
    tileset: PredictedTileset
    lower: PredictedTileset | None = None
    upper: PredictedTileset | None = None


@dataclass(frozen=True)
class Panel:
    """One track of the page: observed, and predicted by any number of heads, on one axis, whose ends are ``limits``
    where a hub names them."""

    track: Track
    observed: ObservedTileset | None
    predicted: tuple[Prediction, ...]
    limits: tuple[float, float] | None = None

    @property
    def scale(self) -> tuple[float, float]:
        """The ends of its axis: 0 to 1 for a fraction, else from 0 to the observed maximum, as far as that is known: a
        file on another server tells it once it could be opened."""
        if self.limits is not None:
            return self.limits
        extent = self.observed.extent if self.observed is not None else None
        if self.track.is_fraction or extent is None:
            return 0.0, 1.0
        least, most = extent
        return min(least, 0.0), max(most, least + 1e-6)


@dataclass(frozen=True)
class Shown:
    """Intervals that are shown, and their colour."""

    tileset: IntervalTileset
    color: str


@dataclass(frozen=True)
class Place:
    """Where a search leads: a region, and what it is called."""

    name: str
    region: Region


class Site:
    """A project opened for looking at, with a model's predictions of its genome.

    ``heads`` are those of the model that can be looked at, by default all. Beside the project file it uses ``loci.bed``
    (chromosome, start, end, name, note) where there is one. Raises UsageError where the project names a split that is
    not there or bounds that neither it nor the model has, TracksError when a file of this machine cannot be used.
    """

    def __init__(
        self,
        project_file: Path,
        model_folder: Path | None,
        store: Store,
        heads: Sequence[str] = (),
        stride: int = WINDOW,
        *,
        device: str = "auto",
        threads: int | None = None,
        method: Method = REFERENCE,
        fill: bool = False,
        max_view: int = MAX_VIEW,
    ) -> None:
        self.project: Project = load_project(project_file)
        self.genome = Genome(self.project.genome)
        folder = model_folder or self.project.model or demo_model_folder()
        self.model: Model = load_model(folder, heads or head_names(folder), stride)
        self._check_names(project_file)
        self.store = store
        self.genome.remember(store.root)
        self.axis = Axis(self.genome.chrom_sizes)
        self.blocks = self._blocks()
        self.loci = _loci(project_file.with_name("loci.bed"), self.genome.chrom_sizes) or self._default_loci()
        self.sequence = SequenceMap(self.genome)
        self.events = Events()
        self.predictor = Predictor(self.model, self.genome, device, threads, method)
        self.predictions = Predictions(
            self.predictor, store, self.sequence, self.axis, self.events, fill=fill, max_view=max_view
        )
        self.jobs = self.predictions.jobs
        self.assembly = coordinates = _assembly(self.axis.chrom_sizes) or self.project.name
        self.chrom_sizes = ChromSizesTileset("chromosomes", "chromosomes", self.axis, coordinates)
        genes = self.project.genes
        self.genes = GeneTileset(
            "genes", "genes", self.axis, coordinates, read_genes(genes, self.axis.chrom_sizes) if genes else []
        )
        self.annotations = tuple(
            Shown(read_intervals(entry.bed, f"bed-{entry.slug}", entry.name, self.axis, coordinates), entry.color)
            for entry in self.project.annotation
        )
        self.panels = self._panels(project_file, coordinates)
        shown: list[Tileset | None] = [self.chrom_sizes, self.genes, *(entry.tileset for entry in self.annotations)]
        for panel in self.panels:
            shown.append(panel.observed)
            for made in panel.predicted:
                shown += [made.tileset, made.lower, made.upper]
        self.tilesets = {tileset.uid: tileset for tileset in shown if tileset is not None}
        """Every tileset by its uid: nothing else is served."""

    def _check_names(self, project_file: Path) -> None:
        """Raise UsageError for what the project names and nobody would miss: a split, where the model has its own, and
        the tracks that bound another, which may be those of a head that is not shown."""
        split = self.project.split
        if split is not None and not split.is_file():
            raise UsageError(f"{project_file}, split: there is no file {split}")
        bounds = [[name for name in (entry.lower, entry.upper) if name is not None] for entry in self.project.track]
        if not any(bounds):
            return
        folder, shown = self.model.folder, {spec.name for spec in self.model.heads}
        others = [load_head(folder, name)[0] for name in head_names(folder) if name not in shown]
        known = {entry.track.slug: entry.track for entry in self.project.track}
        known |= {track.slug: track for spec in (*self.model.heads, *others) for track in spec.tracks}
        for at, names in enumerate(bounds):
            try:
                select_tracks(list(known.values()), names)
            except UsageError as error:
                raise UsageError(f"{project_file}, track.{at}: {error}") from error

    def _blocks(self) -> tuple[Block, ...]:
        # What a model has seen is the model's to say; the project's split is where it says nothing.
        blocks = self.model.split or (read_split(self.project.split) if self.project.split else ())
        return tuple(block for block in blocks if block.region.chrom in self.genome.chrom_sizes)

    def _default_loci(self) -> tuple[Locus, ...]:
        held_out = [block for block in self.blocks if block.fold != "train"]
        if held_out:
            return tuple(Locus(str(block.region), block.region, "") for block in held_out)
        chrom, length = next(iter(self.genome.chrom_sizes.items()))
        return (Locus(chrom, Region(chrom, 0, length), ""),)

    def _panels(self, project_file: Path, coordinates: str) -> tuple[Panel, ...]:
        entries = {entry.track.slug: entry for entry in self.project.targets()}
        made: dict[str, dict[str, PredictedTileset]] = {}
        described: dict[str, Track] = {slug: entry.track for slug, entry in entries.items()}
        for spec in self.model.heads:
            for column, track in enumerate(spec.tracks):
                described.setdefault(track.slug, track)
                made.setdefault(track.slug, {})[spec.name] = PredictedTileset(
                    f"predicted-{spec.name}-{track.slug}",
                    f"{described[track.slug].name}, predicted ({spec.name})",
                    self.axis,
                    coordinates,
                    self.predictions,
                    spec.name,
                    column,
                )
        bounds = {slug: _bounds(entry) for slug, entry in entries.items()}
        # A track that bounds another is drawn with it, and not again by itself.
        hidden = {bound for pair in bounds.values() for bound in pair if bound in made}
        panels = []
        for slug, track in described.items():
            if slug in hidden and (slug not in entries or entries[slug].observed is None):
                continue
            lower, upper = (made.get(bound, {}) for bound in bounds.get(slug, ("", "")))
            source = entries[slug].observed if slug in entries else None
            seen = self._observed(track, source) if source is not None else None
            predicted = tuple(
                Prediction(head, tileset, lower.get(head), upper.get(head))
                for head, tileset in made.get(slug, {}).items()
            )
            panels.append(Panel(track, seen, predicted))
        taken = {*described, *(entry.track.slug for entry in self.project.track)}
        for found in hub_tracks(project_file, self.project, self.assembly, taken):
            # What others wrote stops nobody's page: what is wrong with such a file is said where it would be drawn.
            seen = self._observed(found.track, found.source, later=True)
            panels.append(Panel(found.track, seen, (), found.limits))
        open_beforehand(panel.observed for panel in panels if panel.observed is not None and not panel.observed.opened)
        return tuple(panels)

    def _observed(self, track: Track, source: Source, *, later: bool = False) -> ObservedTileset:
        uid, name = f"observed-{track.slug}", f"{track.name}, observed"
        return ObservedTileset(uid, name, self.axis, self.assembly, source, later=later)

    def locate(self, text: str) -> Place:
        """Find what a person typed: a region, a chromosome or a gene.

        Raises UsageError that says what was wrong and what would be right.
        """
        text = " ".join(text.split())
        if not text:
            raise UsageError("type a region (chr20:30,000,000-31,000,000), a chromosome or a gene")
        chrom = text.partition(":")[0]
        gene = self.genes.find(text)
        if chrom in self.axis.chrom_sizes or gene is None:
            try:
                region = parse_region(text, self.axis.chrom_sizes)
                return Place(chrom if text == chrom else "", region)
            except UsageError as error:
                if ":" in text or chrom in self.axis.chrom_sizes:
                    raise
                raise self._no_such_name(text) from error
        margin = max(len(gene.region) // 2, 5_000)
        length = self.axis.chrom_sizes[gene.region.chrom]
        around = Region(gene.region.chrom, max(gene.region.start - margin, 0), min(gene.region.end + margin, length))
        return Place(gene.name, around)

    def nearest(self, text: str) -> str | None:
        """Return the search that a person may have meant by one that leads nowhere, or None."""
        chrom, colon, span = "".join(text.split()).partition(":")
        folded = {name.lower(): name for name in self.axis.chrom_sizes}
        for name in (chrom.lower(), f"chr{chrom.lower()}", chrom.lower().removeprefix("chr")):
            if name in folded and (folded[name] != chrom or not colon):
                return f"{folded[name]}{colon}{span}"
        if colon:
            return None
        gene = next(iter(self.genes.suggest(text, 1)), None) or self.genes.nearest(text)
        return gene.name if gene is not None else None

    def _no_such_name(self, text: str) -> UsageError:
        near = self.nearest(text)
        hint = f"did you mean {near}?" if near else f"it holds {', '.join(self.axis.chrom_sizes)} and their genes"
        return UsageError(f"no gene or chromosome '{text}' in this genome; {hint}")


def _bounds(entry: TrackEntry) -> tuple[str, str]:
    """Return the slugs of the tracks that bound a track, empty where none are named."""
    return slug_of(entry.lower or ""), slug_of(entry.upper or "")


_KNOWN_LENGTHS = {
    "hg19": {"chr1": 249_250_621, "chr20": 63_025_520, "chr22": 51_304_566, "chrX": 155_270_560},
    "hg38": {"chr1": 248_956_422, "chr20": 64_444_167, "chr22": 50_818_468, "chrX": 156_040_895},
}


def _assembly(chrom_sizes: Mapping[str, int]) -> str | None:
    """Tell the assembly by the length of a chromosome that only it has; None when none is known."""
    for assembly, lengths in _KNOWN_LENGTHS.items():
        if any(chrom_sizes.get(chrom) == length for chrom, length in lengths.items()):
            return assembly
    return None


def _loci(path: Path, chrom_sizes: Mapping[str, int]) -> tuple[Locus, ...]:
    """Read ``loci.bed``; empty when there is none. Raises TracksError naming a bad line."""
    if not path.exists():
        return ()
    loci = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            fields = line.split("\t")
            try:
                chrom, start, end, name, note = fields
                region = Region(chrom, int(start), int(end))
            except ValueError as error:
                raise TracksError(f"{path}, line {number}: it needs chromosome, start, end, name, note") from error
            if region.end > chrom_sizes.get(chrom, 0):
                raise TracksError(f"{path}, line {number}: {region} is not in the genome")
            loci.append(Locus(name, region, note))
    return tuple(loci)
