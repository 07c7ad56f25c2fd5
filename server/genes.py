"""Genes and other intervals: HiGlass tiles of them, and the search for a gene by name."""

from __future__ import annotations

import csv
import difflib
import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from server.tilesets import Tileset
from tracks.errors import TracksError
from tracks.regions import Region, read_bed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from server.axis import Axis, Tile
    from server.tilesets import TileData

COLUMNS = ("name", "chrom", "strand", "tx_start", "tx_end", "exon_starts", "exon_ends")
"""The columns of a gene table: 0-based half-open, exon lists comma-separated."""

_TILE_ENTRIES = 100


@dataclass(frozen=True)
class Gene:
    """One gene: where it is transcribed, and its exons ``[start, end)``, 0-based."""

    name: str
    region: Region
    strand: str
    exons: tuple[tuple[int, int], ...]

    def bed_fields(self) -> list[str]:
        """Return the 14 columns that HiGlass' gene track reads."""
        start, end = str(self.region.start), str(self.region.end)
        exon_starts = ",".join(str(exon[0]) for exon in self.exons)
        exon_ends = ",".join(str(exon[1]) for exon in self.exons)
        placed = [self.region.chrom, start, end, self.name, "0", self.strand]
        return [*placed, self.name, self.name, "gene", self.name, start, end, exon_starts, exon_ends]


def read_genes(path: Path, chrom_sizes: Mapping[str, int]) -> list[Gene]:
    """Read a gene table (tab-separated, plain or gzip, columns ``COLUMNS`` named in its first line), in file order.

    Genes of chromosomes that the genome does not hold are left out. Raises TracksError that names a bad line.
    """
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
            rows = csv.DictReader(lines, delimiter="\t")
            if not set(COLUMNS) <= set(rows.fieldnames or ()):
                raise TracksError(f"{path}: the first line must name the columns {', '.join(COLUMNS)}")
            return [_gene(row, f"{path}, line {rows.line_num}") for row in rows if row["chrom"] in chrom_sizes]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TracksError(f"cannot read the gene table {path}: {error}") from error


def _gene(row: Mapping[str, str], where: str) -> Gene:
    try:
        region = Region(row["chrom"], int(row["tx_start"]), int(row["tx_end"]))
        starts, ends = ([int(at) for at in row[key].split(",") if at] for key in ("exon_starts", "exon_ends"))
        exons = tuple(zip(starts, ends, strict=True))
    except (ValueError, TypeError, AttributeError, TracksError) as error:
        raise TracksError(f"{where}: not a gene ({error})") from error
    return Gene(row["name"], region, row["strand"], exons)


class IntervalTileset(Tileset):
    """Intervals with a name; a tile lists at most 100 that touch it, the longest first.

    What a tile lists, the tiles inside it that the interval touches list too, so nothing vanishes on zooming in.
    """

    datatype = "bedlike"

    def __init__(self, uid: str, name: str, axis: Axis, coordinates: str, regions: Sequence[Region]) -> None:
        super().__init__(uid, name, axis, coordinates)
        self._regions = [region for region in regions if region.chrom in axis.chrom_sizes]
        spans = [axis.absolute(region) for region in self._regions]
        self._starts, self._ends = np.array(spans, np.int64).reshape(-1, 2).T
        # Longest first, and by position among equals, so that every tile chooses in the same order.
        self._order = np.lexsort((self._starts, self._starts - self._ends))

    def fields(self, index: int) -> list[str]:
        """Return the BED columns of one interval."""
        region = self._regions[index]
        return [region.chrom, str(region.start), str(region.end)]

    def tile(self, tile: Tile) -> TileData:
        """Return the tile's intervals, most important first."""
        starts, ends = self._starts[self._order], self._ends[self._order]
        chosen = self._order[(starts < tile.end) & (ends > tile.start)][:_TILE_ENTRIES]
        return [self._entry(int(index)) for index in chosen]

    def _entry(self, index: int) -> dict[str, Any]:
        start, end = int(self._starts[index]), int(self._ends[index])
        return {
            "uid": f"{self.uid}-{index}",
            "xStart": start,
            "xEnd": end,
            "chrOffset": self.axis.offsets[self._regions[index].chrom],
            "importance": end - start,
            "fields": self.fields(index),
        }


def read_intervals(path: Path, uid: str, name: str, axis: Axis, coordinates: str) -> IntervalTileset:
    """Make an interval tileset of a BED file. Raises TracksError when it cannot be read or leaves the genome."""
    return IntervalTileset(uid, name, axis, coordinates, read_bed(path, axis.chrom_sizes))


class GeneTileset(IntervalTileset):
    """Gene annotations, and the genes by name."""

    datatype = "gene-annotations"

    def __init__(self, uid: str, name: str, axis: Axis, coordinates: str, genes: Sequence[Gene]) -> None:
        super().__init__(uid, name, axis, coordinates, [gene.region for gene in genes])
        self.genes = list(genes)
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
        """Return genes whose name starts with or else holds the text, shortest names first."""
        text = text.strip().lower()
        if not text:
            return []
        found = [name for name in self._by_name if text in name]
        found.sort(key=lambda name: (not name.startswith(text), len(name), name))
        return [self._by_name[name] for name in found[:limit]]

    def nearest(self, name: str) -> Gene | None:
        """Return the gene whose name is most like a misspelt one, or None when none is."""
        near = difflib.get_close_matches(name.strip().lower(), self._by_name, n=1, cutoff=0.6)
        return self._by_name[near[0]] if near else None
