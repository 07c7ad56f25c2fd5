"""``tracks store``."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import click

from tracks.cli import options
from tracks.cli.options import PATH
from tracks.errors import TracksError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tracks.store_admin import Holding


@click.group("store")
def command() -> None:
    """List, check and prune the store of predicted windows.

    Every predicted window is kept there once, and tracks predict and tracks serve read it instead of computing it
    again. All of it can be computed again, so removing any of it costs only time.
    """


_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@command.command("ls")
@options.store
@_json
def ls(root: Path | None, as_json: bool) -> None:
    """List what the store holds: a line for each head of a model and genome.

    WINDOWS is how many 114,688-bp windows are predicted, of all in the chromosomes that were begun.

    \b
    Examples:
      tracks store ls
      tracks store ls --store /data/store --json
    """
    place = _root(root)
    groups: dict[tuple[str, str, str | None, bool], list[Holding]] = {}
    for entry in _holdings(place):
        groups.setdefault((entry.digest, entry.precision, entry.genome, entry.damaged), []).append(entry)
    rows = [_group(group) for group in groups.values()]
    if as_json:
        click.echo(json.dumps({"store": str(place), "predictions": rows}, indent=2))
        return
    if not rows:
        click.echo(f"{place} holds no predictions yet")
        return
    _table(
        ("MODEL", "HEAD", "DIGEST", "PRECISION", "GENOME", "CHROMS", "WINDOWS", "SIZE", "LAST WRITTEN", "TRACKS"),
        [
            (
                row["model"] or "?",
                row["head"] or "?",
                row["digest"][:12],
                row["precision"],
                row["genome"] or "?",
                f"{len(row['chromosomes'])}",
                f"{row['known']:,} of {row['windows']:,}",
                _size(row["bytes"]),
                time.strftime("%Y-%m-%d %H:%M", time.localtime(row["written"])),
                "damaged: see tracks store verify" if row["damaged"] else _some(row["tracks"]) or "?",
            )
            for row in rows
        ],
        right=(5, 6, 7),
    )


@command.command("du")
@options.store
@_json
def du(root: Path | None, as_json: bool) -> None:
    """Say how much of the disk the predictions of each model's heads take.

    \b
    Examples:
      tracks store du
      tracks store du --json
    """
    from tracks.store_admin import overviews_bytes

    place = _root(root)
    sizes: dict[str, dict[str, Any]] = {}
    held = _holdings(place)
    for entry in held:
        row = sizes.setdefault(
            entry.digest, {"model": entry.model, "head": entry.head, "digest": entry.digest, "bytes": 0}
        )
        row["bytes"] += entry.bytes
    rows = sorted(sizes.values(), key=lambda row: -row["bytes"])
    overviews = overviews_bytes(held)
    total = sum(row["bytes"] for row in rows) + overviews
    if as_json:
        found = {"store": str(place), "models": rows, "overviews": overviews, "bytes": total}
        click.echo(json.dumps(found, indent=2))
        return
    lines = [(_size(row["bytes"]), row["model"] or "?", row["head"] or "?", row["digest"][:12]) for row in rows]
    lines += [(_size(overviews), "overviews", "", "")] if overviews else []
    _table(("SIZE", "MODEL", "HEAD", "DIGEST"), [*lines, (_size(total), "total", "", "")], right=(0,))


@command.command("prune")
@options.store
@click.option("--model", help="What is of this model: its name, or 6 letters or more of a digest in ls.")
@click.option("--older-than", "age", metavar="TIME", help="What was last written longer ago: 12h, 30d, 8w.")
@click.option("--max-size", "limit", metavar="SIZE", help="As much, oldest first, as makes the rest fit: 500MB, 10GB.")
@click.option("--keep", type=PATH, multiple=True, help="All but what is of this model folder's heads (repeatable).")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def prune(
    root: Path | None,
    model: str | None,
    age: str | None,
    limit: str | None,
    keep: tuple[Path, ...],
    dry_run: bool,
    yes: bool,
) -> None:
    """Remove predictions from the store. Several options narrow it down: what all of them say is removed.

    Whole chromosomes of a head are removed at once. Programs that are using them go on, and predict again what they
    need.

    \b
    Examples:
      tracks store prune --older-than 30d --dry-run
      tracks store prune --max-size 10GB
      tracks store prune --model 3f9a0c --yes
      tracks store prune --keep mymodel/ --keep othermodel/
    """
    from tracks.store_admin import prune as remove
    from tracks.store_admin import to_remove

    place = _root(root)
    older_than, max_bytes = _seconds(age), _bytes(limit)
    chosen = to_remove(_holdings(place), model, older_than, max_bytes, _digests(keep) if keep else None)
    if not chosen:
        click.echo("nothing to remove")
        return
    of_model: dict[str, list[Holding]] = {}
    for entry in chosen:
        of_model.setdefault(entry.digest, []).append(entry)
    for digest, entries in of_model.items():
        known, chroms = sum(entry.known for entry in entries), _some([entry.chrom or "?" for entry in entries])
        named = f"{entries[0].model or '?'}, head {entries[0].head or '?'} ({digest[:12]})"
        click.echo(f"{named}: {known:,} windows of {chroms}, {_size(sum(entry.bytes for entry in entries))}")
    freed = _size(sum(entry.bytes for entry in chosen))
    if dry_run:
        click.echo(f"would remove {freed} of predictions")
        return
    if not yes:
        try:
            agreed = click.confirm(f"Remove {freed} of predictions from {place}?", err=True)
        except click.Abort as error:
            raise TracksError("nothing was removed; say --yes where nobody can answer") from error
        if not agreed:
            click.echo("nothing was removed")
            return
    remove(chosen)
    click.echo(f"removed {freed} of predictions")


@command.command("verify")
@options.store
@click.option("--repair", is_flag=True, help="Mend what is wrong.")
def verify(root: Path | None, repair: bool) -> None:
    """Check that every window in the store can be read and that its summaries are right.

    With --repair, damaged windows are removed (they are predicted again when next asked for), and so are all windows
    of a chromosome whose description (zarr.json) no longer says what they are. Summaries are made again, and files that
    killed processes of tracks left there more than an hour ago are removed; other files are let be. Other programs may
    use the store meanwhile. Ends with exit code 1 when something is wrong and not repaired.

    \b
    Examples:
      tracks store verify
      tracks store verify --repair
    """
    from tracks.cli.progress import bar
    from tracks.store_verify import verify as check

    place = _root(root)
    with bar("checking") as shown:
        problems = check(place, repair, shown.update) if place.is_dir() or root else []
    for problem in problems:
        click.echo(f"{problem}{' (repaired)' if repair else ''}")
    if not problems:
        click.echo(f"{place} is sound")
    elif not repair:
        many = f"{len(problems):,} thing{'' if len(problems) == 1 else 's'} wrong in {place}"
        raise TracksError(f"{many}; tracks store verify --repair mends it")


def _root(root: Path | None) -> Path:
    from tracks.store import default_store_folder

    return root or default_store_folder()


def _holdings(place: Path) -> list[Holding]:
    from tracks.store import default_store_folder
    from tracks.store_admin import holdings

    # The user's own store is made when it is first written to.
    return [] if place == default_store_folder() and not place.exists() else holdings(place)


def _digests(folders: Sequence[Path]) -> set[str]:
    from model.folder import stored_digests

    return {digest for folder in folders for digest in stored_digests(folder)}


def _group(entries: Sequence[Holding]) -> dict[str, Any]:
    first = entries[0]
    return {
        "model": first.model,
        "head": first.head,
        "digest": first.digest,
        "precision": first.precision,
        "genome": first.genome,
        "chromosomes": [entry.chrom or entry.sequence for entry in entries],
        "known": sum(entry.known for entry in entries),
        "windows": sum(entry.windows for entry in entries),
        "bytes": sum(entry.bytes for entry in entries),
        "written": max(entry.written for entry in entries),
        "tracks": list(first.tracks),
        "damaged": first.damaged,
    }


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], right: tuple[int, ...] = ()) -> None:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        cells = (
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        click.echo("  ".join(cells).rstrip())


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


_SIZES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_TIMES = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def _size(count: int) -> str:
    for unit, size in reversed(list(_SIZES.items())[2:]):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def _bytes(text: str | None) -> int | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?B?)", text.strip(), re.IGNORECASE)
    unit = found[2].upper() if found else ""
    if found is None or (unit and not unit.endswith("B")):
        raise UsageError(f"--max-size takes a size such as 500MB or 10GB, not '{text}'")
    return int(float(found[1]) * _SIZES[unit])


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([mhdw])", text.strip())
    if found is None:
        raise UsageError(f"--older-than takes a time such as 12h, 30d or 8w, not '{text}'")
    return float(found[1]) * _TIMES[found[2]]
