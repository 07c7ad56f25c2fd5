"""A label recipe, ``labels.toml``: which measured files become which tracks, and how."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from tracks.errors import TracksError, UsageError
from tracks.grid import BIN
from tracks.project import DescribedTrack
from tracks.transform import Affine, Transform, transform_from_json

if TYPE_CHECKING:
    from tracks.track import Track

Kind = Literal["fixed", "legacy"]
"""Whether a recipe is followed as it is meant, or with the published data set's quirks (DESIGN.md, principle 6)."""

Aggregation = Literal["mean", "sum", "max", "median", "peak", "covered", "fraction", "weighted"]
"""How the bases of a bin become one number (see TrackRecipe)."""

ROLES = ("signal", "intervals", "counts", "modified", "valid", "coverage")
"""The fields of a track that name measured files."""

_MOST_LOG2 = 100
_NEEDS: dict[Aggregation, tuple[set[str], ...]] = {
    "mean": ({"signal"},),
    "sum": ({"signal"},),
    "max": ({"signal"},),
    "median": ({"signal"},),
    "peak": ({"signal"},),
    "covered": ({"intervals"},),
    "fraction": ({"counts"}, {"modified", "valid"}),
    "weighted": ({"signal", "coverage"},),
}


class ChainFile(BaseModel):
    """A UCSC chain file to lift through; ``inverted`` takes it the other way round."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    chain: Path
    inverted: bool = False


class MaskRecipe(BaseModel):
    """Where no label is believed: bins that BED files of a blacklist or of unmappable sequence overlap by at least
    ``overlap`` of their bases (Basenji's tenth), and bins with fewer than ``min_known_bases`` known bases."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    blacklist: tuple[Path, ...] = ()
    unmappable: tuple[Path, ...] = ()
    overlap: float = Field(default=0.1, gt=0, le=1)
    min_known_bases: int = Field(default=BIN // 2, ge=0, le=BIN)


class TrackRecipe(DescribedTrack):
    """One ``[[track]]``: what it is, its measured files, and how a bin's bases become its label.

    * ``mean``, ``sum``, ``max``, ``median``, ``peak`` of the bases of ``signal`` (bigWig, bedGraph) that have a
      value; ``peak`` is Basenji's, the root of four times the mean, from 0 to 1.
    * ``covered``: the fraction of a bin that ``intervals`` (BED) cover; ``named`` keeps those of matching names.
    * ``fraction``: modified over valid calls, of ``counts`` (bedMethyl, per-CpG tables) or of the bigWigs
      ``modified`` and ``valid``.
    * ``weighted``: the mean of ``signal`` weighted by ``coverage``.

    ``stored = "log2"`` says that the signal is a log2, which is undone before bases are added up and taken again after.
    ``uncovered`` is the (stored) value of bases that the file leaves out; they are missing by default. ``min_valid`` is
    the least number of valid bases (of calls, for fractions) behind a label. ``missing`` is written where there is no
    label; it is NaN by default. ``transform`` (a table, or several in a row) makes the label of the aggregated value,
    ``window_transform`` that of a whole window where it differs.

    ``lift`` names the chain files, one after another, from the files' genome to the recipe's. ``lift_by`` "window
    start" is the published shortcut: only a window's first base is lifted, from the recipe's genome to the files', and
    what follows it there is read. The path of a bigWig may hold ``{chrom}``, where each chromosome has a file.
    """

    signal: Path | None = None
    intervals: Path | None = None
    counts: Path | None = None
    modified: Path | None = None
    valid: Path | None = None
    coverage: Path | None = None
    format: str = ""
    columns: dict[str, str | int] = Field(default_factory=dict)
    zero_based: bool = True
    code: str = ""
    named: str = ""
    lift: tuple[ChainFile, ...] = ()
    lift_by: Literal["base", "window start"] = "base"

    aggregate: Aggregation = "mean"
    stored: Literal["linear", "log2"] = "linear"
    uncovered: float | None = Field(default=None, allow_inf_nan=False)
    min_valid: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    missing: float | None = Field(default=None, allow_inf_nan=False)
    transform: tuple[dict[str, Any], ...] = ()
    window_transform: tuple[dict[str, Any], ...] = ()

    @field_validator("lift", mode="before")
    @classmethod
    def _chains(cls, value: Any) -> Any:
        listed = value if isinstance(value, list | tuple) else [value]
        return [{"chain": entry} if isinstance(entry, str | Path) else entry for entry in listed]

    @field_validator("transform", "window_transform", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return [value] if isinstance(value, dict) else value

    @model_validator(mode="before")
    @classmethod
    def _guessed(cls, fields: Any) -> Any:
        """Fill in the aggregation that the named files leave no doubt about."""
        if isinstance(fields, dict) and "aggregate" not in fields:
            given = {role for role in ROLES if role in fields}
            for aggregate, needs in _NEEDS.items():
                if given in needs:
                    return {**fields, "aggregate": aggregate}
        return fields

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        given = set(self.files())
        if given not in _NEEDS[self.aggregate]:
            needs = " or ".join(" and ".join(sorted(need)) for need in _NEEDS[self.aggregate])
            found = ", ".join(sorted(given)) or "no file"
            raise ValueError(f"the aggregation '{self.aggregate}' needs {needs}, and the track names {found}")
        if self.stored == "log2" and self.aggregate in ("covered", "fraction", "weighted"):
            raise ValueError(f"a log2 signal cannot be aggregated as '{self.aggregate}'")
        self._check_options(given)
        if self.uncovered is not None and self.aggregate in ("median", "fraction", "weighted", "covered"):
            raise ValueError(f"uncovered has no meaning for the aggregation '{self.aggregate}'")
        if self.lift_by == "window start" and not self.lift:
            raise ValueError("lift_by 'window start' needs chain files: lift = [...]")
        try:
            _ = self.track, self.window_track
        except (TracksError, TypeError, ValueError, KeyError) as error:
            raise ValueError(str(error)) from error
        return self

    def _check_options(self, given: set[str]) -> None:
        """Raise ValueError for an option that goes with other files, or can never be met."""
        for option, role in (("code", "counts"), ("named", "intervals")):
            if getattr(self, option) and role not in given:
                raise ValueError(f"{option} goes with {role}, and the track names {', '.join(sorted(given))}")
        if self.aggregate not in ("fraction", "weighted") and self.min_valid > BIN:
            raise ValueError(f"min_valid counts bases here, of which a bin has {BIN}, found {self.min_valid:g}")
        if self.stored == "log2" and self.uncovered is not None and abs(self.uncovered) > _MOST_LOG2:
            raise ValueError(f"uncovered is a log2 here, from -{_MOST_LOG2} to {_MOST_LOG2}, found {self.uncovered:g}")

    def files(self) -> dict[str, Path]:
        """The measured files, by the field that names each."""
        found = {role: getattr(self, role) for role in ROLES}
        return {role: path for role, path in found.items() if path is not None}

    @property
    def track(self) -> Track:
        """The track, with the transform of a bin's label."""
        return self._track(self.transform)

    @property
    def window_track(self) -> Track:
        """The track, with the transform of a window's label."""
        return self._track(self.window_transform or self.transform)

    def _track(self, steps: tuple[dict[str, Any], ...]) -> Track:
        transform: Transform = Affine()
        if steps:
            transform = transform_from_json(steps[0] if len(steps) == 1 else {"kind": "steps", "steps": steps})
        return self.with_transform(transform)


class Recipe(BaseModel):
    """A label recipe; its paths are absolute once loaded. Labels are built on the grid of the genome's chromosomes
    (``chroms`` of them), in the windows of a BED file, or both."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    genome: Path
    """FASTA, or a table of chromosome lengths (then nothing is known of N)."""
    kind: Kind = "fixed"
    chroms: tuple[str, ...] = ()
    split: Path | None = None
    windows: Path | None = None
    grid: bool | None = None
    mask: MaskRecipe = MaskRecipe()
    track: tuple[TrackRecipe, ...] = Field(min_length=1)

    @property
    def on_grid(self) -> bool:
        """Whether the grid is built: where it is asked for, and where there are no windows."""
        return self.windows is None if self.grid is None else self.grid

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.chroms)) < len(self.chroms):
            twice = next(chrom for chrom in self.chroms if self.chroms.count(chrom) > 1)
            raise ValueError(f"chroms names {twice} twice")
        if not self.on_grid and self.windows is None:
            raise ValueError("there is nothing to build: grid is false, and no windows are named")
        slugs = [entry.track.slug for entry in self.track]
        same = next((slug for slug in slugs if slugs.count(slug) > 1), None)
        if same is not None:
            raise ValueError(f"two tracks would both be written as '{same}'; give them other names")
        by_window = next((entry.name for entry in self.track if entry.lift_by == "window start"), None)
        if by_window is not None and self.on_grid:
            raise ValueError(f"track '{by_window}' is lifted by window starts, which needs windows and no grid")
        return self


def load_recipe(path: Path, kind: Kind = "fixed", data: Path | None = None) -> Recipe:
    """Read a recipe; relative paths in it start at ``data``, or else at its own folder.

    A track's table ``legacy`` holds what differs in the recipe of kind legacy, as does ``[legacy]`` for the recipe.
    Raises UsageError that names the file, the entry and what was wrong with it.
    """
    try:
        described = tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise UsageError(f"there is no label recipe {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise TracksError(f"cannot read the label recipe {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    entries = described.get("track", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UsageError(f"{path}: tracks are written as [[track]]")
    for where, fields in (
        ("", described),
        *((f", '{entry.get('name', at)}'", entry) for at, entry in enumerate(entries)),
    ):
        if not isinstance(fields.get("legacy", {}), dict):
            raise UsageError(
                f"{path}{where}: legacy is a table of what differs, such as legacy = {{ uncovered = 0.0 }}"
            )
    described["track"] = [_of_kind(entry, kind) for entry in entries]
    try:
        recipe = Recipe.model_validate({**_of_kind(described, kind), "kind": kind})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(_named(part, entries) for part in first["loc"])
        found = "" if first["type"] in ("missing", "value_error") else f", found {first['input']!r}"
        message = first["msg"].removeprefix("Value error, ")
        raise UsageError(f"{path}{', ' if where else ''}{where}: {message}{found}") from error
    return _absolute(recipe, (data or path.parent).absolute())


def _of_kind(fields: dict[str, Any], kind: Kind) -> dict[str, Any]:
    """The fields with those of the table ``legacy`` over them, where that is the kind."""
    changed = fields.get("legacy", {}) if kind == "legacy" else {}
    return {**{key: value for key, value in fields.items() if key != "legacy"}, **changed}


def _named(part: int | str, entries: list[dict[str, Any]]) -> str:
    """A place in the file as a person finds it: a track by its name."""
    if isinstance(part, int) and part < len(entries) and "name" in entries[part]:
        return f"'{entries[part]['name']}'"
    return str(part)


def _absolute(recipe: Recipe, folder: Path) -> Recipe:
    def inside(paths: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(folder / path for path in paths)

    tracks = tuple(
        entry.model_copy(
            update={
                **{role: folder / path for role, path in entry.files().items()},
                "lift": tuple(one.model_copy(update={"chain": folder / one.chain}) for one in entry.lift),
            }
        )
        for entry in recipe.track
    )
    mask = recipe.mask.model_copy(
        update={"blacklist": inside(recipe.mask.blacklist), "unmappable": inside(recipe.mask.unmappable)}
    )
    return recipe.model_copy(
        update={
            "genome": folder / recipe.genome,
            "split": folder / recipe.split if recipe.split else None,
            "windows": folder / recipe.windows if recipe.windows else None,
            "mask": mask,
            "track": tracks,
        }
    )
