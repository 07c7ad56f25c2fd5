"""Which parts of the genome a model was trained, tuned and tested on."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from tracks.errors import TracksError
from tracks.grid import INPUT
from tracks.regions import Region

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Fold = Literal["train", "valid", "test"]


@dataclass(frozen=True)
class Block:
    """A contiguous block of the genome and the fold it belongs to."""

    region: Region
    fold: Fold

    def scored(self) -> Region | None:
        """Return the part of a held-out block that is scored: 131,072 bp inside each end, so that no bin near a
        border shares its input with training. None when the block is too short."""
        start, end = self.region.start + INPUT, self.region.end - INPUT
        return Region(self.region.chrom, start, end) if start < end else None


def read_split(path: Path) -> tuple[Block, ...]:
    """Read a split: BED with the fold (train, valid or test) in column 4. Raises TracksError naming a bad line
    or two blocks that overlap."""
    blocks = []
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TracksError(f"cannot read the split {path}: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split("\t")
        spans = len(fields) > 3 and fields[1].isdecimal() and fields[2].isdecimal() and int(fields[1]) < int(fields[2])
        if not spans or fields[3] not in get_args(Fold):
            raise TracksError(
                f"{path}, line {number}: it needs chromosome, start, end, train|valid|test; found '{line}'"
            )
        fold: Fold = fields[3]  # type: ignore[assignment]
        blocks.append(Block(Region(fields[0], int(fields[1]), int(fields[2])), fold))
    in_order = sorted(block.region for block in blocks)
    for one, other in itertools.pairwise(in_order):
        if one.chrom == other.chrom and other.start < one.end:
            raise TracksError(f"{path}: the blocks {one} and {other} overlap; a base belongs to one fold")
    return tuple(blocks)


def split_text(blocks: Iterable[Block]) -> str:
    """Return blocks as ``read_split`` reads them."""
    regions = ((block.region, block.fold) for block in blocks)
    return "".join(f"{region.chrom}\t{region.start}\t{region.end}\t{fold}\n" for region, fold in regions)
