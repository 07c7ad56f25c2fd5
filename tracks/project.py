"""A project file, ``tracks.toml``: a genome, a split, the tracks that are observed and predicted, and what is shown
beside them: a model, genes and other intervals."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from tracks.errors import TracksError, UsageError
from tracks.track import Track, slug_of
from tracks.transform import Affine, Transform

_COLOR = r"^#[0-9a-fA-F]{6}$"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_GENES, _ISLANDS = "genes.tsv.gz", "cpg_islands.bed.gz"


def _without_control(path: Path) -> Path:
    # Files of such names cannot be opened, or would break the line of an error.
    if _CONTROL.search(str(path)):
        raise ValueError("a path has no control characters")
    return path


_File = Annotated[Path, AfterValidator(_without_control)]


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

    observed: _File | None = None
    role: Literal["target", "auxiliary"] = "target"
    coverage: _File | None = None
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
    bed: _File
    color: str = Field(default="#47505b", pattern=_COLOR)

    @property
    def slug(self) -> str:
        """The name as addresses write it."""
        return slug_of(self.name)


class Project(BaseModel):
    """A project; its paths are absolute once loaded."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    genome: _File
    split: _File | None = None
    model: _File | None = None
    """The folder of the model whose predictions are shown."""
    genes: _File | None = None
    """Genes as our table, BED12, GTF or GFF3; where none is named, ``genes.tsv.gz`` beside the project file, if any."""
    annotation: tuple[Annotation, ...] = ()
    """Where none is named, ``cpg_islands.bed.gz`` beside the project file if it is there."""
    chrom_weight: dict[str, float] = Field(default_factory=dict)
    """How often training draws from a chromosome, against 1 for the others."""
    track: tuple[TrackEntry, ...] = Field(min_length=1)

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
        found = "" if first["type"] == "missing" else f", found {first['input']!r}"
        raise UsageError(f"{path}, {where}: {first['msg']}{found}") from error
    _check_names(path, project)
    folder = path.parent.absolute()

    def placed(part: Path | None) -> Path | None:
        return folder / part if part is not None else None

    entries = tuple(
        entry.model_copy(update={"observed": placed(entry.observed), "coverage": placed(entry.coverage)})
        for entry in project.track
    )
    beside: dict[str, Path | None] = {name: folder / name for name in (_GENES, _ISLANDS) if (folder / name).is_file()}
    annotation = project.annotation
    if "annotation" not in project.model_fields_set and _ISLANDS in beside:
        annotation = (Annotation(name="CpG islands", bed=Path(_ISLANDS), color="#2a7f62"),)
    return project.model_copy(
        update={
            "genome": folder / project.genome,
            "split": placed(project.split),
            "model": placed(project.model),
            "genes": placed(project.genes) or beside.get(_GENES),
            "annotation": tuple(entry.model_copy(update={"bed": folder / entry.bed}) for entry in annotation),
            "track": entries,
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
