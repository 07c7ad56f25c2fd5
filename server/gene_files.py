"""Genes from files: our own table, BED12, GTF, GFF3, and the gene databases of clodius. One entry a gene.

A gene's exons are the union of those of its transcripts. Transcripts of one gene (by its id, chromosome and strand)
that do not overlap, and that no line joins, are separate entries: RefSeq gives genes that are there twice one id.
"""

from __future__ import annotations

import csv
import gzip
import sqlite3
import zlib
from array import array
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

import numpy as np

from tracks.chroms import match_chroms
from tracks.errors import TracksError, UsageError
from tracks.regions import Region
from tracks.runs import union

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import IO

COLUMNS = ("name", "chrom", "strand", "tx_start", "tx_end", "exon_starts", "exon_ends")
"""The columns of a gene table: 0-based half-open, exon lists comma-separated."""

_GENE_BITS = 33
"""A gene's number goes above these bits of a position, so that genes keep apart where spans are joined."""

_BED_COLUMNS = 12
_BEDDB_COLUMNS = 14
_GFF_COLUMNS = 9

_GTF_FEATURES = frozenset([b"gene", b"transcript", b"exon"])
_GFF3_LEAVES = frozenset([b"CDS", b"UTR", b"five_prime_UTR", b"three_prime_UTR", b"start_codon", b"stop_codon",
                          b"stop_codon_redefined_as_selenocysteine", b"intron", b"biological_region", b"match",
                          b"cDNA_match"])  # fmt: skip
"""Features of GFF3 that no exon hangs on, and that are many."""


@dataclass(frozen=True)
class Gene:
    """One gene: where it is transcribed, and its exons as HiGlass writes them, comma-separated (0-based half-open)."""

    name: str
    region: Region
    strand: str
    exon_starts: str
    exon_ends: str

    @property
    def exons(self) -> tuple[tuple[int, int], ...]:
        """The exons ``[start, end)``, by start."""
        starts, ends = (map(int, text.split(",")) for text in (self.exon_starts, self.exon_ends))
        return tuple(zip(starts, ends, strict=True))

    def bed_fields(self) -> list[str]:
        """Return the 14 columns that HiGlass' gene track reads."""
        start, end = str(self.region.start), str(self.region.end)
        placed = [self.region.chrom, start, end, self.name, "0", self.strand]
        return [*placed, self.name, self.name, "gene", self.name, start, end, self.exon_starts, self.exon_ends]


def read_genes(path: Path, chrom_sizes: Mapping[str, int]) -> list[Gene]:
    """Read genes, in file order, from a file of one of these kinds, told by its name (text may be gzip, ``.gtf.gz``):

    * ``.gtf``: GENCODE, Ensembl, RefSeq or UCSC;
    * ``.gff3`` or ``.gff``: the same, with NCBI's accessions of chromosomes;
    * ``.bed``: BED12, lines of one name that overlap joined;
    * ``.beddb``: what ``clodius aggregate bedfile`` made of genes, by position;
    * any other: a tab-separated table whose first line names ``COLUMNS``.

    Names of chromosomes are matched with the genome's (``tracks.chroms``); genes of others are left out. Raises
    UsageError where there is no such file, a gene ends past its chromosome or no chromosome is the genome's, and
    TracksError that names a bad line.
    """
    if not path.exists():
        raise UsageError(f"there is no gene file {path}")
    kind = (path.suffixes[-2:-1] if path.suffix == ".gz" else path.suffixes[-1:]) or [""]
    read = _READERS.get(kind[0].lower(), _from_table)
    try:
        return read(path).genes(chrom_sizes)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise TracksError(f"cannot read the genes of {path}: {reason}") from error


@dataclass
class _Spans:
    """Spans of numbered genes, as they are read."""

    gene: array[int] = field(default_factory=lambda: array("q"))
    start: array[int] = field(default_factory=lambda: array("q"))
    end: array[int] = field(default_factory=lambda: array("q"))

    def add(self, gene: int, start: int, end: int) -> None:
        self.gene.append(gene)
        self.start.append(start)
        self.end.append(end)

    def joined(self) -> tuple[np.ndarray, np.ndarray]:
        """The union of each gene's spans, with the genes' numbers in the upper bits, by gene and start."""
        # Copies, since an array of which there is a view cannot grow.
        gene, start, end = (np.array(column, np.int64) for column in (self.gene, self.start, self.end))
        return union((gene << _GENE_BITS) + start, (gene << _GENE_BITS) + end)


class _Models:
    """What a file says of genes: spans and exons by gene, where a gene is an id on one strand of a chromosome."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.labels: list[tuple[str, str, str, int]] = []
        self.spans, self.exons = _Spans(), _Spans()
        self.aliases: dict[str, str] = {}
        """What accessions of chromosomes stand for."""
        self._numbers: dict[tuple[object, str, str], int] = {}

    def number(self, key: object, name: str, chrom: str, strand: str, line: int) -> int:
        """The number of a gene, a new one where it was not there before."""
        number = self._numbers.setdefault((key, chrom, strand), len(self.labels))
        if number == len(self.labels):
            self.labels.append((name, chrom, strand, line))
        return number

    def genes(self, chrom_sizes: Mapping[str, int]) -> list[Gene]:
        """Put the genes together."""
        if not self.labels:
            raise UsageError(f"{self.path} holds no genes")
        chroms = {self.aliases.get(chrom, chrom) for _, chrom, _, _ in self.labels}
        ours = match_chroms(sorted(chroms), chrom_sizes, str(self.path)).of_file
        exon_starts, exon_ends = self.exons.joined()
        starts, ends = (np.concatenate(parts) for parts in zip(self.spans.joined(), self.exons.joined(), strict=True))
        starts, ends = union(starts, ends)
        bounds = np.searchsorted(exon_starts, np.append(starts, 1 << 62)).tolist()
        mask = (1 << _GENE_BITS) - 1
        numbers, starts, ends = starts >> _GENE_BITS, starts & mask, ends & mask
        firsts, lasts = (list(map(str, (edges & mask).tolist())) for edges in (exon_starts, exon_ends))
        found = []
        for at, (number, start, end) in enumerate(zip(numbers.tolist(), starts.tolist(), ends.tolist(), strict=True)):
            name, chrom, strand, line = self.labels[number]
            chrom = ours.get(self.aliases.get(chrom, chrom), "")
            if not chrom:
                continue
            if end > chrom_sizes[chrom]:
                raise UsageError(
                    f"{self.path}, line {line}: {name} ends at {end:,}, past the end of {chrom}, which has "
                    f"{chrom_sizes[chrom]:,} bases; are the genes of another genome build?"
                )
            here = slice(bounds[at], bounds[at + 1])
            exons = [",".join(edges[here]) for edges in (firsts, lasts)] if firsts[here] else [str(start), str(end)]
            found.append(Gene(name, Region(chrom, start, end), strand, *exons))
        return found


def text_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the numbered lines of a file that are no comments; bytes, since decoding a gigabyte takes seconds."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line[0] not in b"#\r\n":
                yield number, line.rstrip(b"\r\n")
            elif line.startswith(b"##FASTA"):  # sequence, to the end of a GFF3 file
                return


def bad_line(path: Path, line: int, what: str, error: object) -> TracksError:
    """Return the error that names a line of a file, what it should have been, and why it is not."""
    return TracksError(f"{path}, line {line}: not {what} ({error})")


def _check_inside(exons: Sequence[tuple[int, int]], start: int, end: int) -> None:
    if any(not start <= first < last <= end for first, last in exons):
        raise ValueError("its exons leave its span, or one is empty")


def read_span(start: bytes, end: bytes, first: int) -> tuple[int, int]:
    """Read a span whose start is counted from ``first`` on. Raises ValueError where it is none."""
    try:
        begin, stop = int(start) - first, int(end)
    except ValueError:
        found = f"'{start.decode()}' and '{end.decode()}'"
        raise ValueError(f"start and end must be whole numbers, found {found}") from None
    if not 0 <= begin < stop < 1 << 32:
        raise ValueError(f"the span {start.decode()} to {end.decode()} is empty, reversed or out of bounds")
    return begin, stop


def _gff_rows(path: Path, wanted: Callable[[bytes], bool]) -> Iterator[tuple[int, bytes, list[bytes], tuple[int, int]]]:
    """Yield line number, feature, fields and span of the lines of wanted features."""
    for number, line in text_lines(path):
        # Files have millions of lines, many of them of features that are not wanted.
        first = line.split(b"\t", 3)
        if len(first) > 3 and not wanted(first[2]):
            continue
        fields = line.split(b"\t")
        if len(fields) != _GFF_COLUMNS:
            said = f"it needs {_GFF_COLUMNS} columns separated by tabs, found {len(fields)}"
            raise bad_line(path, number, "a line of genes", said)
        try:
            span = read_span(fields[3], fields[4], 1)
        except ValueError as error:
            raise bad_line(path, number, "a line of genes", error) from error
        yield number, fields[2], fields, span


def _quoted(attributes: bytes, *names: bytes) -> bytes:
    """The first of some attributes of a GTF line that is there; empty where none is."""
    for name in names:
        at = attributes.find(name + b' "')
        if at == 0 or attributes[at - 1 : at] in (b" ", b";"):
            first = at + len(name) + 2
            return attributes[first : attributes.find(b'"', first)]
    return b""


def _from_gtf(path: Path) -> _Models:
    models = _Models(path)
    spanned: set[int] = set()
    numbers: dict[tuple[bytes, bytes, bytes], int] = {}
    transcripts: dict[tuple[int, bytes], tuple[int, int]] = {}
    for line, feature, fields, (start, end) in _gff_rows(path, _GTF_FEATURES.__contains__):
        attributes = fields[8]
        key = _quoted(attributes, b"gene_id")
        if not key:
            raise bad_line(path, line, "a line of genes", 'it has no gene_id "..."')
        place = key, fields[0], fields[6]
        number = numbers.get(place, -1)
        if number < 0:
            name = _quoted(attributes, b"gene_name", b"gene") or key
            numbers[place] = number = models.number(key, name.decode(), fields[0].decode(), fields[6].decode(), line)
        if feature != b"exon":
            spanned.add(number)
            models.spans.add(number, start, end)
            continue
        models.exons.add(number, start, end)
        if number not in spanned:
            # Old files have exons alone.
            transcript = number, _quoted(attributes, b"transcript_id")
            first, last = transcripts.get(transcript, (start, end))
            transcripts[transcript] = min(start, first), max(end, last)
    for (number, _), span in transcripts.items():
        models.spans.add(number, *span)
    return models


def _assigned(attributes: bytes) -> dict[str, str]:
    """The attributes of a GFF3 line."""
    pairs = (part.split("=", 1) for part in attributes.decode().split(";") if "=" in part)
    return {name.strip(): unquote(value) for name, value in pairs}


def _from_gff3(path: Path) -> _Models:
    models = _Models(path)
    parents: dict[str, str] = {}
    genes: dict[str, int] = {}
    waiting: list[tuple[str, int, int]] = []

    def place(parent: str, start: int, end: int) -> bool:
        for _ in range(8):  # deeper than any file, and no ring holds it up
            if parent in genes:
                models.exons.add(genes[parent], start, end)
                return True
            parent = parents.get(parent, "")
        return False

    for line, feature, fields, (start, end) in _gff_rows(path, lambda feature: feature not in _GFF3_LEAVES):
        found = _assigned(fields[8])
        chrom = fields[0].decode()
        if feature == b"region":
            if found.get("genome") in ("chromosome", "mitochondrion") and "Name" in found:
                models.aliases[chrom] = found["Name"]
        elif feature == b"exon":
            for parent in found.get("Parent", "").split(","):
                if parent and not place(parent, start, end):
                    waiting.append((parent, start, end))
        elif feature.endswith(b"gene") and "Parent" not in found:
            key = found.get("ID")
            if not key:
                raise bad_line(path, line, "a gene", "it has no ID=...")
            name = next((found[of] for of in ("gene_name", "Name", "gene") if of in found), key.removeprefix("gene:"))
            number = models.number(key, name, chrom, fields[6].decode(), line)
            models.spans.add(number, start, end)
            genes[key] = number
        elif "ID" in found and "Parent" in found:
            parents[found["ID"]] = found["Parent"]
    for exon in waiting:
        place(*exon)
    return models


def _from_bed(path: Path) -> _Models:
    models = _Models(path)
    for line, text in text_lines(path):
        if text.split(None, 1)[0] in (b"track", b"browser"):
            continue
        fields = text.split(b"\t")
        if len(fields) < _BED_COLUMNS:
            raise bad_line(path, line, "BED12", f"it needs 12 columns separated by tabs, found {len(fields)}")
        try:
            start, end = read_span(fields[1], fields[2], 0)
            sizes, offsets = ([int(part) for part in fields[at].split(b",") if part] for at in (10, 11))
            exons = [(start + offset, start + offset + size) for offset, size in zip(offsets, sizes, strict=True)]
            _check_inside(exons, start, end)
        except ValueError as error:
            raise bad_line(path, line, "BED12", error) from error
        name = fields[3].decode()
        number = models.number(name, name, fields[0].decode(), fields[5].decode(), line)
        models.spans.add(number, start, end)
        for exon in exons:
            models.exons.add(number, *exon)
    return models


def _from_table(path: Path) -> _Models:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        return _rows(path, lines)


def _rows(path: Path, lines: IO[str]) -> _Models:
    models = _Models(path)
    rows = csv.reader(lines, delimiter="\t")
    header = next(rows, [])
    if not set(COLUMNS) <= set(header):
        raise TracksError(f"{path}: the first line must name the columns {', '.join(COLUMNS)}")
    at = [header.index(column) for column in COLUMNS]
    for row in rows:
        if row:
            _add_row(models, [row[i] if i < len(row) else "" for i in at], rows.line_num)
    return models


def _add_row(models: _Models, columns: Sequence[str], line: int) -> None:
    """Add a gene of a table: a row is a gene, and is joined with no other."""
    name, chrom, strand, start, end, exon_starts, exon_ends = columns
    try:
        span = read_span(start.encode(), end.encode(), 0)
        starts, ends = ([int(part) for part in text.split(",") if part] for text in (exon_starts, exon_ends))
        exons = list(zip(starts, ends, strict=True))
        _check_inside(exons, *span)
    except ValueError as error:
        raise bad_line(models.path, line, "a gene", error) from error
    number = models.number(line, name, chrom, strand, line)
    models.spans.add(number, *span)
    for exon in exons:
        models.exons.add(number, *exon)


def _from_beddb(path: Path) -> _Models:
    models = _Models(path)
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT fields FROM intervals ORDER BY startPos")
        for line, (text,) in enumerate(rows, 1):
            columns = text.split("\t")
            if len(columns) < _BEDDB_COLUMNS:
                raise bad_line(path, line, "a gene", f"it needs {_BEDDB_COLUMNS} columns, found {len(columns)}")
            chrom, start, end, name, _, strand = columns[:6]
            _add_row(models, (name, chrom, strand, start, end, *columns[12:14]), line)
    return models


_READERS = {".gtf": _from_gtf, ".gff": _from_gff3, ".gff3": _from_gff3, ".bed": _from_bed, ".beddb": _from_beddb}
