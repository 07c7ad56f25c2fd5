"""An export in parts: which windows each of several machines computes, and what it leaves for ``tracks merge``.

Windows are counted through the whole export: those of its chromosomes one after another, in the genome's order.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tracks import __version__
from tracks.bigwig_export import BigWigExport, ExportChrom, ExportHead
from tracks.errors import TracksError, UsageError, first_few
from tracks.files import write_text
from tracks.grid import window_count
from tracks.method import Ensemble, Method
from tracks.track import Track

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

BLOCK = 32
"""Windows that a shard computes one after another, so that neighbours share what they can."""

FOLDER = "shards"
"""Where the records of shards lie in the folder of an export."""

_BLOCKS = 4
"""Blocks that each shard has at least, where there are windows enough: small exports are dealt in smaller blocks."""
_FORMAT = 1
_SHARD = re.compile("([0-9]{1,6})/([0-9]{1,6})")
_HEAD_DIGEST, _SEQUENCE_DIGEST = re.compile("[0-9a-f]{64}"), re.compile(r"SQ\.[A-Za-z0-9_-]{32}")


@dataclass(frozen=True, order=True)
class Shard:
    """One of ``of`` parts of an export; ``number`` counts from 1."""

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise UsageError(
                f"there is no shard {self}; give 1/{max(self.of, 1)} to {max(self.of, 1)}/{max(self.of, 1)}"
            )

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Make a shard from ``2/8``. Raises UsageError for what is none."""
        found = _SHARD.fullmatch(text.strip())
        if found is None:
            raise UsageError(f"'{text}' is no shard; give one like 2/8, the second of eight")
        return cls(int(found[1]), int(found[2]))

    def windows(self, total: int) -> np.ndarray:
        """Return the windows of this shard of ``total``, int64, rising. Blocks are dealt in turn, since windows without
        sequence, which cost nothing, lie together."""
        every = np.arange(total)
        mine: np.ndarray = every[shard_numbers(every, total, self.of) == self.number]
        return mine


def shard_numbers(windows: np.ndarray, total: int, of: int) -> np.ndarray:
    """Return the number of the shard that computes each of some windows of ``total``, where there are ``of``."""
    block = min(max(total // (of * _BLOCKS), 1), BLOCK)
    numbers: np.ndarray = windows // block % of + 1
    return numbers


def by_chrom(chroms: Sequence[ExportChrom], windows: np.ndarray) -> Iterator[tuple[ExportChrom, np.ndarray]]:
    """Yield each chromosome that any of some windows of an export, rising, lie in, with their places in it."""
    first = 0
    for chrom in chroms:
        after = first + window_count(chrom.length)
        places = windows[np.searchsorted(windows, first) : np.searchsorted(windows, after)] - first
        if len(places):
            yield chrom, places
        first = after


@dataclass(frozen=True)
class ShardRecord:
    """What one shard computes, and how far it is: ``done`` of its ``windows`` are in its ``store``.

    ``model`` and ``genome`` name what was read and where it was; ``command`` runs the shard again.
    """

    shard: Shard
    model: str
    genome: str
    method: Method
    chrom_sizes: Mapping[str, int]
    chroms: tuple[ExportChrom, ...]
    heads: tuple[ExportHead, ...]
    store: Path
    command: str
    windows: int
    done: int
    finished: bool

    def file(self, out: Path) -> Path:
        """Return where the record lies in the folder of an export."""
        return out / FOLDER / f"{self.shard.number}-of-{self.shard.of}.json"

    def write(self, out: Path) -> None:
        """Write the record, whole or not at all. Raises TracksError when it cannot be written."""
        fields = {
            "format": _FORMAT,
            "written_by": f"tracks {__version__}",
            **asdict(self),
            "shard": self.shard.number,
            "shards": self.shard.of,
            "method": {**asdict(self.method), "ensemble": self.method.ensemble.name},
            "chrom_sizes": dict(self.chrom_sizes),
            "heads": [{**asdict(head), "tracks": [track.to_json() for track in head.tracks]} for head in self.heads],
            "store": str(self.store),
        }
        write_text(self.file(out), json.dumps(fields, indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a record. Raises TracksError when it cannot be read."""
        try:
            fields = json.loads(path.read_text())
            if fields["format"] != _FORMAT:
                raise TracksError(f"{path} is of another version of tracks, {fields['written_by']}; merge with that")
            return cls._from_json(fields)
        except OSError as error:
            raise TracksError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
            raise TracksError(f"{path} is damaged, at {error}; remove it and run its shard again") from error

    @classmethod
    def _from_json(cls, fields: Mapping[str, Any]) -> Self:
        method = {**fields["method"], "ensemble": Ensemble.parse(fields["method"]["ensemble"])}
        heads = tuple(
            ExportHead(
                _matched(_HEAD_DIGEST, head["digest"]),
                int(head["stored"]),
                tuple(map(int, head["columns"])),
                tuple(map(Track.from_json, head["tracks"])),
            )
            for head in fields["heads"]
        )
        chroms = tuple(
            ExportChrom(chrom["name"], int(chrom["length"]), _matched(_SEQUENCE_DIGEST, chrom["sequence"]))
            for chrom in fields["chroms"]
        )
        return cls(
            Shard(fields["shard"], fields["shards"]),
            fields["model"],
            fields["genome"],
            Method(**method),
            {chrom: int(length) for chrom, length in fields["chrom_sizes"].items()},
            chroms,
            heads,
            Path(fields["store"]),
            fields["command"],
            int(fields["windows"]),
            int(fields["done"]),
            fields["finished"] is True,
        )

    def bigwigs(self, out: Path, store: Path, overwrite: bool = False) -> BigWigExport:
        """Return what ``BigWigExporter`` writes of the whole export, from a store that has all windows."""
        return BigWigExport(out, store, self.method, self.chrom_sizes, self.chroms, self.heads, overwrite)

    @property
    def bare_command(self) -> str:
        """What runs a shard of this export, but for ``--shard``."""
        return self.command.removesuffix(f" --shard {self.shard}")


def _matched(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"'{text}'")
    return text


def read_records(out: Path) -> tuple[ShardRecord, ...]:
    """Read the records of all shards in the folder of an export, by number. Raises TracksError for a damaged one."""
    try:
        paths = [path for path in (out / FOLDER).iterdir() if re.fullmatch(r"[0-9]+-of-[0-9]+\.json", path.name)]
    except (FileNotFoundError, NotADirectoryError):
        paths = []
    except OSError as error:
        raise TracksError(f"cannot read {out / FOLDER}: {error.strerror}") from error
    records = [ShardRecord.read(path) for path in paths]
    return tuple(sorted(records, key=lambda record: record.shard))


def check_agreement(records: Sequence[ShardRecord], out: Path, first: str = "") -> None:
    """Raise UsageError, which names what differs, unless all records are of one export; ``first`` is what the first one
    is called, by default its file."""
    for record in records[1:]:
        what = _difference(records[0], record)
        if what is not None:
            raise UsageError(
                f"{first or records[0].file(out)} and {record.file(out)} are not of one export: {what}; "
                f"remove the one that is wrong, or give each export a folder of its own"
            )


def _difference(one: ShardRecord, other: ShardRecord) -> str | None:
    if one.shard.of != other.shard.of:
        return f"there are {one.shard.of} shards in one and {other.shard.of} in the other"
    if one.method != other.method:
        return f"one is {one.method.key}, the other {other.method.key}"
    if [head.digest for head in one.heads] != [head.digest for head in other.heads]:
        return f"their models differ ({one.model} and {other.model})"
    if one.heads != other.heads:
        return "they are of other tracks"
    if one.chroms != other.chroms or dict(one.chrom_sizes) != dict(other.chrom_sizes):
        here, there = (", ".join(chrom.name for chrom in record.chroms) for record in (one, other))
        return f"their chromosomes differ ({one.genome} and {other.genome}" + (
            ")" if here == there else f": {first_few(here.split(', '))} and {first_few(there.split(', '))})"
        )
    return None


def check_finished(records: Sequence[ShardRecord], out: Path) -> None:
    """Raise TracksError, which names them and the command that runs them, when shards are missing or not finished;
    UsageError when there is none at all."""
    if not records:
        raise UsageError(f"there is no shard in {out / FOLDER}; tracks predict --shard 1/8 -o {out} makes the first")
    found = {record.shard.number: record for record in records}
    lacking = [
        Shard(number, records[0].shard.of)
        for number in range(1, records[0].shard.of + 1)
        if number not in found or not found[number].finished
    ]
    if lacking:
        told = [
            f"{shard} ({found[shard.number].done:,} of {found[shard.number].windows:,} windows)"
            if shard.number in found
            else f"{shard} (not begun)"
            for shard in lacking
        ]
        raise TracksError(
            f"{len(lacking)} of {records[0].shard.of} shards are not finished: {first_few(told)}; "
            f"run: {records[0].bare_command} --shard {lacking[0]}"
        )
