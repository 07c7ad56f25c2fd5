"""A project file, ``tracks.toml``: a genome, a split, and the tracks that are observed and predicted."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tracks.errors import TracksError, UsageError
from tracks.track import Track
from tracks.transform import Affine, Transform


class DescribedTrack(BaseModel):
    """What a file says of a track: its name, what was measured, where, in which unit, and how it looks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    assay: str
    biosample: str
    unit: str
    color: str = Field(pattern=r"^#[0-9a-fA-F]{6}$")
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
    """

    observed: Path | None = None
    role: Literal["target", "auxiliary"] = "target"
    coverage: Path | None = None
    weight: float = Field(default=1.0, gt=0)
    scale: float = 1.0
    offset: float = 0.0

    @property
    def track(self) -> Track:
        """The track that this entry describes."""
        return self.with_transform(Affine(self.scale, self.offset))


class Project(BaseModel):
    """A project; its paths are absolute once loaded."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    genome: Path
    split: Path | None = None
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
    slugs = []
    for at, entry in enumerate(project.track):
        try:
            slugs.append(entry.track.slug)
        except TracksError as error:
            raise UsageError(f"{path}, track.{at}: {error}") from error
    twice = {slug for slug in slugs if slugs.count(slug) > 1}
    if twice:
        raise UsageError(f"{path}: two tracks would both be written as '{twice.pop()}'; give them other names")
    folder = path.parent.absolute()
    entries = tuple(
        entry.model_copy(
            update={
                "observed": folder / entry.observed if entry.observed else None,
                "coverage": folder / entry.coverage if entry.coverage else None,
            }
        )
        for entry in project.track
    )
    return project.model_copy(
        update={
            "genome": folder / project.genome,
            "split": folder / project.split if project.split else None,
            "track": entries,
        }
    )
