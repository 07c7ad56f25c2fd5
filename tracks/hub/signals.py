"""The bigWig files of a hub: as they are, under the assembly's chromosome names, and as differences."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import numpy as np

from tracks.bigwig import Bins, write_bigwig
from tracks.bigwig_reader import BigWigReader
from tracks.bigwig_writer import BASE_ZOOM, BIN_ZOOM, BigWigWriter
from tracks.binning import bin_sums
from tracks.errors import TracksError
from tracks.files import written_beside
from tracks.grid import BIN, bin_count

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_PIECE = 1 << 16
"""Bins that are read at once."""


def put_file(source: Path, target: Path, link: bool = False) -> bool:
    """Copy a file, or with ``link`` give it a second name where the disk can; return whether it was copied.

    Raises TracksError when that cannot be done; nothing is left under ``target`` then.
    """
    with written_beside(target) as beside:
        if link:
            try:
                # Of a symbolic link, what it leads to: the link itself would lead elsewhere from another folder.
                os.link(source.resolve(), beside)
            except OSError:  # another disk, or one without links
                pass
            else:
                return False
        shutil.copyfile(source, beside)
        return True


def rename_chroms(source: Path, target: Path, names: Mapping[str, str], sizes: Mapping[str, int]) -> None:
    """Write a bigWig again with other chromosome names: ``names`` gives the new one of each that is kept, and
    ``sizes`` the length of those that the assembly knows. Values and where they lie stay as they are.

    Raises TracksError when the file is damaged or cannot be written, or none of those chromosomes has a value.
    """
    with BigWigReader(source) as reader:
        own = {new: old for old, new in names.items()}
        # Readers go through blocks in the order of names.
        lengths = {new: sizes.get(new, reader.chrom_sizes[own[new]]) for new in sorted(own)}
        zoom = BASE_ZOOM if reader.zooms and reader.zooms[0] < BIN_ZOOM else BIN_ZOOM
        with written_beside(target) as beside, BigWigWriter(beside, lengths, zoom) as writer:
            for new in lengths:
                for runs in reader.runs(own[new]):
                    writer.add(new, runs.starts, runs.ends, runs.values)
            if not writer.bases:
                raise TracksError(f"{source} has no value on the chromosomes that the assembly has")


def write_difference(target: Path, predicted: Path, observed: Path) -> bool:
    """Write the predicted minus the observed mean of each 128-bp bin where both have a value, as a bigWig.

    Return False, and write nothing, where there is no such bin. Raises TracksError when a file is damaged or cannot be
    written.
    """
    with BigWigReader(predicted) as ours, BigWigReader(observed) as theirs:
        sizes = {
            chrom: min(ours.chrom_sizes[chrom], theirs.chrom_sizes[chrom])
            for chrom in sorted(ours.chrom_sizes.keys() & theirs.chrom_sizes.keys())
        }
        pieces = _differences(ours, theirs, sizes)
        first = next((piece for piece in pieces if np.isfinite(piece.values).any()), None)
        if first is None:
            return False

        def rest() -> Iterator[Bins]:
            yield first
            yield from pieces

        write_bigwig(target, sizes, rest())
        return True


def _differences(ours: BigWigReader, theirs: BigWigReader, sizes: Mapping[str, int]) -> Iterator[Bins]:
    for chrom, length in sizes.items():
        for first in range(0, bin_count(length), _PIECE):
            bins = min(_PIECE, bin_count(length) - first)
            means = []
            for reader in (ours, theirs):
                start = first * BIN
                runs = reader.runs(chrom, start, min(start + bins * BIN, length))
                means.append(bin_sums(runs, start, bins).mean)
            yield Bins(chrom, first, (means[0] - means[1]).astype(np.float32))
