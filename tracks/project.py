"""A project file, ``tracks.toml``: a genome, a split, the tracks that are observed and predicted, and what is shown
beside them: a model, genes and other intervals."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tracks.errors import TracksError, UsageError
from tracks.project_files import File, Files, HubEntry, SourceFile
from tracks.remote.address import Address, hidden
from tracks.remote.permitted import Permitted
from tracks.track import Track, slug_of
from tracks.transform import Affine, Transform

if TYPE_CHECKING:
    from collections.abc import Iterator

_COLOR = r"^#[0-9a-fA-F]{6}$"
_GENES, _ISLANDS = "genes.tsv.gz", "cpg_islands.bed.gz"


class DescribedTrack(BaseModel):
    """What a file says of a track: its name, what was measured, where, in which unit, and how it looks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    assay: str
    biosample: str
    unit: str
    color: str = Field(pattern=_COLOR)
    description: str = ""
    source: str = ""
    accession: str = ""
    context: bool = False

    def with_transform(self, transform: Transform) -> Track:
        """Return the track, with the transform of its labels."""
        described = {name: getattr(self, name) for name in DescribedTrack.model_fields}
        return Track(**described, transform=transform)


class TrackEntry(DescribedTrack):
    """One ``[[track]]`` of a project file. ``role`` auxiliary: helps training, is not shipped.

    ``coverage`` is a bigWig of the calls behind a methylated fraction: how much a head's training trusts each bin.

    ``weight`` says how often training draws a window where this track is observed, against the other targets.

    ``lower`` and ``upper`` name two other tracks that a head predicts and that bound this one: an uncertainty band.
    Whether the model has them is for whoever loads the model to see.
    """

    observed: SourceFile | None = None
    """A bigWig: a path, or an address that ``[files]`` permits."""
    role: Literal["target", "auxiliary"] = "target"
    coverage: File | None = None
    weight: float = Field(default=1.0, gt=0)
    scale: float = 1.0
    offset: float = 0.0
    lower: str | None = None
    upper: str | None = None

    @property
    def track(self) -> Track:
        """The track that this entry describes."""
        return self.with_transform(Affine(self.scale, self.offset))


class Annotation(BaseModel):
    """One ``[[annotation]]`` of a project file: intervals to show, such as CpG islands."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    bed: File
    color: str = Field(default="#47505b", pattern=_COLOR)

    @property
    def slug(self) -> str:
        """The name as addresses write it."""
        return slug_of(self.name)


class Project(BaseModel):
    """A project; its paths are absolute once loaded, and its addresses permitted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    genome: File
    split: File | None = None
    model: File | None = None
    """The folder of the model whose predictions are shown."""
    genes: File | None = None
    """Genes as our table, BED12, GTF or GFF3; where none is named, ``genes.tsv.gz`` beside the project file, if any."""
    annotation: tuple[Annotation, ...] = ()
    """Where none is named, ``cpg_islands.bed.gz`` beside the project file if it is there."""
    chrom_weight: dict[str, float] = Field(default_factory=dict)
    """How often training draws from a chromosome, against 1 for the others."""
    files: Files = Files()
    hub: tuple[HubEntry, ...] = ()
    track: tuple[TrackEntry, ...] = Field(min_length=1)

    def permitted(self, hub: HubEntry) -> Permitted:
        """Return what the text of a hub may name: files in the folder of ``hub.txt`` or a root, permitted addresses."""
        folders = [*(self.files.roots or ()), *([hub.path.parent] if hub.path is not None else [])]
        return Permitted.below(tuple(folders), self.files.rules)

    def targets(self) -> tuple[TrackEntry, ...]:
        """The tracks that a model predicts."""
        return tuple(entry for entry in self.track if entry.role == "target")


def load_project(path: Path) -> Project:
    """Read a project file; relative paths in it start at its folder.

    Raises UsageError that names the file, the entry and what was wrong with it.
    """
    try:
        project = Project.model_validate(tomllib.loads(path.read_text()))
    except FileNotFoundError as error:
        raise UsageError(f"there is no project file {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise TracksError(f"cannot read the project file {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        found = "" if first["type"] == "missing" else f", found {_hidden(first['input'])!r}"
        raise UsageError(f"{path}, {where}: {first['msg']}{found}") from error
    _check_names(path, project)
    return _placed(path, project)


def _hidden(given: Any) -> Any:
    return hidden(given) if isinstance(given, str) and "://" in given else given


def _placed(path: Path, project: Project) -> Project:
    """Return a project with absolute paths, and see that all it names may be opened."""
    folder, files = path.parent.absolute(), project.files
    roots = None if files.roots is None else tuple(folder / root for root in files.roots)
    permitted = Permitted.below(None if roots is None else (folder, *roots), files.rules)

    def checked(where: str, given: Path | Address | None) -> Any:
        if given is None:
            return None
        try:
            return permitted.rules.check(given) if isinstance(given, Address) else permitted.path(folder / given)
        except UsageError as error:
            raise UsageError(f"{path}, {where}: {error}") from error

    def each(what: str, models: tuple[Any, ...], *fields: str) -> Iterator[Any]:
        for at, model in enumerate(models):
            yield model.model_copy(
                update={name: checked(f"{what}.{at}.{name}", getattr(model, name)) for name in fields}
            )

    beside: dict[str, Path | None] = {name: Path(name) for name in (_GENES, _ISLANDS) if (folder / name).is_file()}
    annotation = project.annotation
    if "annotation" not in project.model_fields_set and _ISLANDS in beside:
        annotation = (Annotation(name="CpG islands", bed=Path(_ISLANDS), color="#2a7f62"),)
    return project.model_copy(
        update={
            "genome": checked("genome", project.genome),
            "split": checked("split", project.split),
            "model": checked("model", project.model),
            "genes": checked("genes", project.genes or beside.get(_GENES)),
            "annotation": tuple(each("annotation", annotation, "bed")),
            "files": files.model_copy(update={"roots": roots}),
            "hub": tuple(each("hub", project.hub, "path", "url")),
            "track": tuple(each("track", project.track, "observed", "coverage")),
        }
    )


def _check_names(path: Path, project: Project) -> None:
    """Raise UsageError where a name has nothing to be written with, where two would be written alike, or where a
    track's bounds are not two other tracks."""
    kinds = {"track": [entry.name for entry in project.track], "annotation": [a.name for a in project.annotation]}
    for kind, names in kinds.items():
        slugs = [slug_of(name) for name in names]
        for at, (name, slug) in enumerate(zip(names, slugs, strict=True)):
            if not slug:
                raise UsageError(f"{path}, {kind}.{at}: its name needs a letter or a digit, found '{name}'")
            if slug in slugs[:at]:
                raise UsageError(f"{path}: two {kind}s would both be written as '{slug}'; give them other names")
    for at, entry in enumerate(project.track):
        try:
            made = entry.track
        except TracksError as error:
            raise UsageError(f"{path}, track.{at}: {error}") from error
        if (entry.lower is None) != (entry.upper is None):
            there, lacking = ("lower", "upper") if entry.upper is None else ("upper", "lower")
            raise UsageError(f"{path}, track.{at}: a band has two ends; it names {there}, so name {lacking} too")
        if entry.lower is not None and entry.upper is not None:
            bounds = [slug_of(entry.lower), slug_of(entry.upper)]
            if made.slug in bounds or bounds[0] == bounds[1]:
                raise UsageError(
                    f"{path}, track.{at}: lower and upper must be two other tracks, "
                    f"found '{entry.lower}' and '{entry.upper}'"
                )
