"""What a prediction store holds, and keeping it small."""

from __future__ import annotations

import contextlib
import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracks.errors import TracksError, UsageError
from tracks.grid import BINS
from tracks.store import KEY_LETTERS
from tracks.virtual.overview import OVERVIEWS
from tracks.window_summary import MAKING, remove_folder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

PREFIX_LETTERS = 6
"""Letters of a digest that must be given, so that a slip does not choose a whole store."""

_KEY = re.compile(rf"[0-9a-f]{{{KEY_LETTERS}}}")
_PRECISION = re.compile(r"[0-9a-z]+(-[0-9a-z+]+)+")
_MOST_BINS, _MOST_TRACKS = 1 << 28, 1 << 16


@dataclass(frozen=True)
class Holding:
    """The predicted windows of one chromosome under one head: how many there are (``known``) of all, bytes on disk, and
    when the last one was written (seconds since 1970). The names are None where they are not known: windows from
    before the store kept names, or a ``damaged`` description."""

    folder: Path
    digest: str
    precision: str
    sequence: str
    model: str | None
    head: str | None
    genome: str | None
    chrom: str | None
    tracks: tuple[str, ...]
    known: int
    windows: int
    bytes: int
    written: float
    damaged: bool


def holdings(root: Path) -> list[Holding]:
    """Return what a store holds. Raises UsageError where there is none, TracksError where it cannot be read."""
    if not root.is_dir():
        raise UsageError(f"there is no prediction store {root}; tracks predict and tracks serve make one (--store)")
    try:
        return [_holding(folder) for folder in _folders(root)]
    except OSError as error:
        raise TracksError(f"cannot read the prediction store {root}: {error}") from error


def precision_folders(root: Path) -> Iterator[Path]:
    """Yield the folders that hold those of arrays, by their place and name: whatever else lies in a store is not ours.

    Raises OSError.
    """
    for head in sorted(path for path in root.iterdir() if _KEY.fullmatch(path.name) and path.is_dir()):
        yield from sorted(path for path in head.iterdir() if _PRECISION.fullmatch(path.name) and path.is_dir())


def _folders(root: Path) -> Iterator[Path]:
    for precision in precision_folders(root):
        for folder in sorted(path for path in precision.iterdir() if path.is_dir()):
            if not folder.name.startswith(MAKING) and ((folder / "zarr.json").exists() or (folder / "c").exists()):
                yield folder


def _holding(folder: Path) -> Holding:
    size, known, written = 0, 0, 0.0
    for path in folder.rglob("*"):
        try:
            found = path.stat()
        except FileNotFoundError:  # written or removed just now
            continue
        size += found.st_blocks * 512
        if path.name == "0" and path.parent.parent.name == "c":
            known, written = known + 1, max(written, found.st_mtime)
    shape, about = array_shape(folder), array_attributes(folder)
    names = about or {}
    return Holding(
        folder=folder,
        digest=names.get("digest", folder.parent.parent.name),
        precision=folder.parent.name,
        sequence=folder.name,
        model=names.get("model"),
        head=names.get("head"),
        genome=names.get("genome"),
        chrom=names.get("chrom"),
        tracks=tuple(track["name"] for track in names.get("tracks", ())),
        known=known,
        windows=shape[0] // BINS if shape else 0,
        bytes=size,
        written=written or folder.stat().st_mtime,
        damaged=shape is None or about is None,
    )


def array_shape(folder: Path) -> tuple[int, int] | None:
    """Return the bins and tracks of an array's folder, or None where its ``zarr.json`` does not say so."""
    match _described(folder).get("shape"):
        case [int(bins), int(tracks)] if 0 < bins <= _MOST_BINS and bins % BINS == 0 and 0 < tracks <= _MOST_TRACKS:
            return bins, tracks
    return None


def array_attributes(folder: Path) -> dict[str, Any] | None:
    """Return what an array's folder says of itself, empty where it is from before arrays did; None for anything else
    than names and tracks."""
    about = _described(folder).get("attributes") or {}
    if not isinstance(about, dict):
        return None
    texts = [about[name] for name in ("digest", "model", "head", "genome", "chrom") if name in about]
    tracks = about.get("tracks", [])
    if not isinstance(tracks, list) or not all(isinstance(track, dict) for track in tracks):
        return None
    right = all(isinstance(text, str) for text in (*texts, *(track.get("name") for track in tracks)))
    return about if right else None


def _described(folder: Path) -> dict[str, Any]:
    """Return the ``zarr.json`` of an array's folder, empty where there is none or it is none."""
    try:
        found = json.loads((folder / "zarr.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def to_remove(
    held: Sequence[Holding],
    model: str | None = None,
    older_than: float | None = None,
    max_bytes: int | None = None,
    keep: Collection[str] | None = None,
    now: float | None = None,
) -> list[Holding]:
    """Choose what to remove, oldest first: what is of ``model`` (a name, or how a head's digest begins, in six letters
    or more), was last written more than ``older_than`` seconds ago, and is not under one of the digests to ``keep``;
    with ``max_bytes``, only as much of it as makes the rest fit. What is not said limits nothing.

    Raises UsageError when nothing is said at all, nothing in the store is of ``model``, or that is too short.
    """
    if model is None and older_than is None and max_bytes is None and keep is None:
        raise UsageError("say what to remove: --model, --older-than, --max-size or --keep (several narrow it down)")
    chosen = list(held)
    if model is not None:
        begins = model.lower() if re.fullmatch(rf"[0-9a-fA-F]{{{PREFIX_LETTERS},}}", model) else None
        chosen = [entry for entry in chosen if entry.model == model or (begins and entry.digest.startswith(begins))]
        if not chosen:
            there = ", ".join(sorted({entry.model or entry.digest[:12] for entry in held})) or "nothing"
            if re.fullmatch(rf"[0-9a-fA-F]{{0,{PREFIX_LETTERS - 1}}}", model):
                raise UsageError(
                    f"--model takes a model's name or the first {PREFIX_LETTERS} letters or more of a digest, "
                    f"not '{model}'; the store holds {there}"
                )
            raise UsageError(f"the store holds nothing of a model '{model}'; it holds {there}")
    if keep is not None:
        kept = {digest[:KEY_LETTERS] for digest in keep}
        chosen = [entry for entry in chosen if entry.digest[:KEY_LETTERS] not in kept]
    if older_than is not None:
        limit = (time.time() if now is None else now) - older_than
        chosen = [entry for entry in chosen if entry.written < limit]
    chosen.sort(key=lambda entry: entry.written)
    if max_bytes is not None:
        total = sum(entry.bytes for entry in held)
        needed = []
        for entry in chosen:
            if total <= max_bytes:
                break
            needed.append(entry)
            total -= entry.bytes
        return needed
    return chosen


def overviews_bytes(held: Sequence[Holding]) -> int:
    """Return the bytes on disk of the overviews beside what a store holds."""
    folders = {entry.folder.parent / OVERVIEWS for entry in held}
    size = 0
    for path in (path for folder in folders for path in folder.rglob("*")):
        with contextlib.suppress(FileNotFoundError):  # written or removed just now
            size += path.stat().st_blocks * 512
    return size


def prune(chosen: Sequence[Holding]) -> None:
    """Remove windows from the store, and their head's overviews. A process that is using them goes on: to it they are
    not known any more.

    Raises TracksError when they cannot be removed.
    """
    for entry in chosen:
        for folder in (entry.folder.parent / OVERVIEWS, entry.folder):
            try:
                remove_folder(folder)
            except FileNotFoundError:  # there is none, or somebody else was quicker
                continue
            except OSError as error:
                raise TracksError(f"cannot remove {folder}: {error.strerror}") from error
        for folder in (entry.folder.parent, entry.folder.parent.parent):
            try:
                folder.rmdir()
            except OSError:  # it holds other windows
                break
