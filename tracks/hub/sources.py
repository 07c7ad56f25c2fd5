"""Which bigWig files a hub shows, and as what: observed or predicted, of which track, by which head."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tracks.bigwig_reader import BIGWIG_SUFFIXES
from tracks.catalogue import published_tracks
from tracks.errors import UsageError
from tracks.track import Track, slug_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tracks.project import Project

Shown = Literal["observed", "predicted"]

_ENDINGS: tuple[Shown, ...] = ("observed", "predicted")
_COLORS = ("#1b6ca8", "#d95f02", "#2a9d8f", "#7b5ea7", "#b5446e", "#6b8e23", "#8a5a2b", "#47505b")
"""For tracks that nothing describes, in turn."""


@dataclass(frozen=True)
class Source:
    """A bigWig file to show."""

    path: Path
    kind: Shown
    track: Track
    head: str = ""


def known_tracks(project: Project | None, model: Mapping[str, Track]) -> dict[str, Track]:
    """Return the tracks that describe files, by slug: the project's, then a model's, then the published ones."""
    own = [entry.track for entry in project.targets()] if project is not None else []
    known: dict[str, Track] = {}
    for track in chain(own, model.values(), published_tracks("bins")):
        known.setdefault(track.slug, track)
    return known


def bigwigs_of(paths: Iterable[Path]) -> list[Path]:
    """Return files, each folder's bigWigs in its place. Raises UsageError for what is not there, and for a folder
    without any."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.suffix.lower() in BIGWIG_SUFFIXES)
            if not inside:
                raise UsageError(f"{path} is neither a model folder (it has no model.json) nor holds bigWig files")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise UsageError(f"there is no file or folder {path}")
    return found


def find_sources(
    paths: Sequence[Path],
    observed: Sequence[Path],
    predicted: Sequence[Path],
    project: Project | None,
    known: Mapping[str, Track],
) -> tuple[Source, ...]:
    """Say what each file is. ``observed`` and ``predicted`` are said to be so; of the others (``paths``)

    1. those that the project names are observed, and all that it names on this machine are shown;
    2. a name that ends in ``observed`` or ``predicted``, or a folder of that name, says it;
    3. one named as ``tracks predict`` names files, by the slug of a ``known`` track and maybe a head, is predicted;
    4. any other is observed.

    Raises UsageError where two files would be the same signal.
    """
    ours = observed_files(project)
    made = [Source(path, "observed", known[slug]) for slug, path in ours.items()]
    given: list[tuple[Path, Shown | None]] = [(path, None) for path in paths]
    given += [(path, "observed") for path in observed]
    given += [(path, "predicted") for path in predicted]
    unknown: dict[str, Track] = {}
    for path, said in given:
        if said != "predicted" and any(_same(path, other) for other in ours.values()):
            continue
        stem = slug_of(path.stem)
        ending = next((kind for kind in _ENDINGS if stem.endswith(f"_{kind}")), None)
        stem = stem.removesuffix(f"_{ending}")
        slug, head = _known_slug(stem, known)
        kind = said or ending or next((kind for kind in _ENDINGS if path.absolute().parent.name == kind), None)
        kind = kind or ("predicted" if slug is not None else "observed")
        if slug is not None and (kind == "predicted" or not head):
            made.append(Source(path, kind, known[slug], head))
        else:
            track = unknown.setdefault(stem, _undescribed(path, stem, len(unknown)))
            made.append(Source(path, kind, track))
    _check_apart(made)
    return tuple(made)


def observed_files(project: Project | None) -> dict[str, Path]:
    """Return the observed files of a project that lie on this machine, by their tracks' slugs."""
    entries = project.targets() if project is not None else ()
    return {entry.track.slug: entry.observed for entry in entries if isinstance(entry.observed, Path)}


def _same(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)


def _known_slug(stem: str, known: Mapping[str, Track]) -> tuple[str | None, str]:
    """The longest known slug that a name begins with, and the rest of it, which is a head."""
    if stem in known:
        return stem, ""
    slug = max((slug for slug in known if stem.startswith(f"{slug}_")), key=len, default=None)
    return slug, "" if slug is None else stem.removeprefix(f"{slug}_")


def _undescribed(path: Path, stem: str, number: int) -> Track:
    if not stem:
        raise UsageError(f"{path}: its name needs a letter or a digit, since the track is named after it")
    return Track(stem.replace("_", " "), "", "", "", _COLORS[number % len(_COLORS)], source=f"file {path.name}")


def _check_apart(sources: Sequence[Source]) -> None:
    seen: dict[tuple[str, str, str], Path] = {}
    for source in sources:
        key = (source.track.slug, source.kind, source.head)
        if key in seen:
            head = f" by {source.head}" if source.head else ""
            raise UsageError(
                f"{seen[key]} and {source.path} would both be {source.track.name}, {source.kind}{head}; "
                "leave one out, or say which is what with --observed and --predicted"
            )
        seen[key] = source.path
