"""Chromosome names of a file matched with those of a genome: ``1`` and ``chr1``, ``MT`` and ``chrM``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tracks.errors import UsageError, first_few


@dataclass(frozen=True)
class ChromNames:
    """Which name a file gives each chromosome of a genome (those that it has), and a note where they differ."""

    of_genome: dict[str, str] = field(default_factory=dict)
    """The file's name by the genome's."""
    note: str = ""

    @cached_property
    def of_file(self) -> dict[str, str]:
        """The genome's name by the file's."""
        return {theirs: ours for ours, theirs in self.of_genome.items()}


def plain_name(chrom: str) -> str:
    """Return a chromosome's name without what differs between UCSC and Ensembl: ``chr1`` and ``1`` are ``1``."""
    bare = chrom[3:] if chrom[:3].lower() == "chr" else chrom
    return "M" if bare in ("M", "MT") else bare


def match_chroms(found: Mapping[str, int | None] | Iterable[str], genome: Mapping[str, int], where: str) -> ChromNames:
    """Match the chromosome names of a file with those of a genome; equal names first, then ``1`` with ``chr1``.

    ``found`` maps the file's names to lengths where it knows them. What the genome lacks is left out. Raises
    UsageError that names the file (``where``) when no name matches, when two names of the file would be one
    chromosome, or when a length differs (both lengths are named: the file is of another genome build).
    """
    lengths: dict[str, int | None] = dict(found) if isinstance(found, Mapping) else dict.fromkeys(found)
    order = {name: at for at, name in enumerate(lengths)}
    by_plain: dict[str, list[str]] = {}
    for name in lengths:
        # A name that the genome has too is that chromosome, and no other one's.
        if name not in genome:
            by_plain.setdefault(plain_name(name), []).append(name)
    matched: dict[str, str] = {}
    for chrom in genome:
        alike = by_plain.get(plain_name(chrom), [])
        if chrom in lengths:
            alike = sorted([chrom, *alike], key=order.__getitem__) if alike else [chrom]
        if not alike:
            continue
        if len(alike) > 1:
            raise UsageError(
                f"{where}: '{alike[0]}' and '{alike[1]}' would both be the genome's {chrom}; "
                "name each chromosome in one way"
            )
        matched[chrom] = alike[0]
        length = lengths[alike[0]]
        if length is not None and length != genome[chrom]:
            raise UsageError(
                f"{where} is of another genome build: its {alike[0]} has {length:,} bases, "
                f"the genome's {chrom} {genome[chrom]:,}"
            )
    if lengths and not matched:
        raise UsageError(
            f"{where}: no chromosome of it is in the genome; it has {first_few(list(lengths))}, "
            f"the genome {first_few(list(genome))}"
        )
    renamed = [(theirs, ours) for ours, theirs in matched.items() if ours != theirs]
    note = ""
    if renamed:
        theirs, ours = renamed[0]
        more = f" (and {len(renamed) - 1} more)" if len(renamed) > 1 else ""
        note = f"{where}: its chromosome {theirs} is taken for {ours}{more}"
    return ChromNames(matched, note)
