"""Genes and other intervals: HiGlass tiles of them, and the search for a gene by name."""

from __future__ import annotations

import difflib
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from server.gene_files import Gene, bad_line, read_genes, read_span, text_lines
from server.tilesets import Tileset
from tracks.chroms import match_chroms
from tracks.errors import TracksError, UsageError
from tracks.regions import Region

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from server.axis import Axis, Tile
    from server.tilesets import TileData

__all__ = ["Gene", "GeneTileset", "IntervalTileset", "read_genes", "read_intervals"]

_TILE_ENTRIES = 100


class IntervalTileset(Tileset):
    """Intervals, with names where they have some; a tile lists at most 100 that touch it, the longest first.

    What a tile lists, the tiles inside it that the interval touches list too, so nothing vanishes on zooming in.
    """

    datatype = "bedlike"

    def __init__(
        self,
        uid: str,
        name: str,
        axis: Axis,
        coordinates: str,
        regions: Sequence[Region],
        names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(uid, name, axis, coordinates)
        there = [at for at, region in enumerate(regions) if region.chrom in axis.chrom_sizes]
        self._regions = [regions[at] for at in there]
        self._names = [names[at] for at in there] if names is not None else [""] * len(there)
        spans = np.array([axis.absolute(region) for region in self._regions], np.int64).reshape(-1, 2)
        # Longest first, and by position among equals, so that every tile chooses in the same order.
        self._order = np.lexsort((spans[:, 0], spans[:, 0] - spans[:, 1]))
        self._starts, self._ends = np.ascontiguousarray(spans[self._order].T)

    def fields(self, index: int) -> list[str]:
        """Return the BED columns of one interval."""
        region, name = self._regions[index], self._names[index]
        return [region.chrom, str(region.start), str(region.end), *([name] if name else [])]

    def tile(self, tile: Tile) -> TileData:
        """Return the tile's intervals, most important first."""
        chosen = np.flatnonzero((self._starts < tile.end) & (self._ends > tile.start))[:_TILE_ENTRIES]
        return [
            self._entry(index, start, end)
            for index, start, end in zip(
                *(column[chosen].tolist() for column in (self._order, self._starts, self._ends)), strict=True
            )
        ]

    def over(self, region: Region) -> list[Region]:
        """Return the intervals that touch a region, the longest first."""
        start, end = self.axis.absolute(region)
        touching = (self._starts < end) & (self._ends > start)
        return [self._regions[index] for index in self._order[touching].tolist()]

    def _entry(self, index: int, start: int, end: int) -> dict[str, Any]:
        entry = {
            "uid": f"{self.uid}-{index}",
            "xStart": start,
            "xEnd": end,
            "chrOffset": self.axis.offsets[self._regions[index].chrom],
            "importance": end - start,
            "fields": self.fields(index),
        }
        return {**entry, "name": self._names[index]} if self._names[index] else entry


def read_intervals(path: Path, uid: str, name: str, axis: Axis, coordinates: str) -> IntervalTileset:
    """Make an interval tileset of a BED file (plain or gzip): its first three columns, and names where there are any.

    Names of chromosomes are matched with the axis'; those that it does not hold are left out. Raises UsageError where
    there is no such file or no chromosome is the genome's, and TracksError that names a bad line.
    """
    rows: list[tuple[int, str, int, int, str]] = []
    try:
        for line, text in text_lines(path):
            if text.split(None, 1)[:1] in ([], [b"track"], [b"browser"]):
                continue
            fields = text.split(b"\t") if b"\t" in text else text.split()
            if len(fields) < 3:
                raise bad_line(path, line, "BED", f"it needs chromosome, start and end, found {len(fields)} columns")
            try:
                start, end = read_span(fields[1], fields[2], 0)
            except ValueError as error:
                raise bad_line(path, line, "BED", error) from error
            called = fields[3].decode().strip() if len(fields) > 3 else ""
            rows.append((line, fields[0].decode(), start, end, "" if called == "." else called))
    except FileNotFoundError as error:
        raise UsageError(f"there is no BED file {path}") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise TracksError(f"cannot read the BED file {path}: {getattr(error, 'strerror', None) or error}") from error
    if not rows:
        raise UsageError(f"{path} holds no regions; a BED line is: chromosome, start, end, tab-separated")
    ours = match_chroms(dict.fromkeys(row[1] for row in rows), axis.chrom_sizes, str(path)).of_file
    regions, names = [], []
    for line, chrom, start, end, called in rows:
        if chrom in ours:
            length = axis.chrom_sizes[ours[chrom]]
            if end > length:
                raise UsageError(f"{path}, line {line}: {end:,} is past the end of {chrom}, which has {length:,} bases")
            regions.append(Region(ours[chrom], start, end))
            names.append(called)
    return IntervalTileset(uid, name, axis, coordinates, regions, names)


class GeneTileset(IntervalTileset):
    """Gene annotations, and the genes by name."""

    datatype = "gene-annotations"

    def __init__(self, uid: str, name: str, axis: Axis, coordinates: str, genes: Sequence[Gene]) -> None:
        self.genes = [gene for gene in genes if gene.region.chrom in axis.chrom_sizes]
        super().__init__(uid, name, axis, coordinates, [gene.region for gene in self.genes])
        self._by_name: dict[str, Gene] = {}
        for gene in self.genes:
            known = self._by_name.get(gene.name.lower())
            if known is None or len(gene.region) > len(known.region):
                self._by_name[gene.name.lower()] = gene

    def fields(self, index: int) -> list[str]:
        """Return the 14 columns of one gene."""
        return self.genes[index].bed_fields()

    def find(self, name: str) -> Gene | None:
        """Return the gene of that name, in whatever case; of several, the longest."""
        return self._by_name.get(name.strip().lower())

    def suggest(self, text: str, limit: int = 10) -> list[Gene]:
        """Return genes whose name starts with the text, then those that else hold it; the shortest names first."""
        text = text.strip().lower()
        if not text:
            return []
        found = [name for name in self._by_name if text in name]
        found.sort(key=lambda name: (not name.startswith(text), len(name), name))
        return [self._by_name[name] for name in found[:limit]]

    def nearest(self, name: str) -> Gene | None:
        """Return the gene whose name is most like a misspelt one, or None when none is."""
        wanted = name.strip().lower()
        # Names that differ in length and at both ends are none that one letter makes another of; most names do.
        like = [
            known
            for known in self._by_name
            if abs(len(known) - len(wanted)) <= 2 and (known[:1] == wanted[:1] or known[-1:] == wanted[-1:])
        ]
        near = difflib.get_close_matches(wanted, like, n=1, cutoff=0.6)
        return self._by_name[near[0]] if near else None
