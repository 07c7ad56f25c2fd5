"""Modified-base BAM files whose every call is known, and a plain count of them to compare with."""

from __future__ import annotations

import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pysam

COMPLEMENT = str.maketrans("ACGTN", "TGCAN")

Calls = Mapping[int, Sequence[int]]
"""By position in the read as it was sequenced: the byte of each code."""


def reverse_complement(sequence: str) -> str:
    return sequence.translate(COMPLEMENT)[::-1]


@dataclass(frozen=True)
class Group:
    """A group to write: ``codes`` are ``m``, ``mh`` or ``76792``; ``flag`` is empty, ``.`` or ``?``."""

    base: str
    strand: str
    codes: str
    flag: str
    calls: Calls

    def tags(self, sequenced: str) -> tuple[str, list[int]]:
        """The MM text and ML bytes of the group, counted base by base."""
        skips, bytes_, skipped = [], [], 0
        for at, letter in enumerate(sequenced):
            if self.base not in ("N", letter):
                continue
            if at in self.calls:
                skips.append(skipped)
                bytes_ += self.calls[at]
                skipped = 0
            else:
                skipped += 1
        assert len(skips) == len(self.calls), "a call lies where its base is not"
        return f"{self.base}{self.strand}{self.codes}{self.flag}" + "".join(f",{skip}" for skip in skips) + ";", bytes_


@dataclass
class Read:
    """An alignment: ``stored`` is SEQ, of a reverse read the reverse complement of what was sequenced."""

    name: str
    start: int
    stored: str
    cigar: list[tuple[int, int]]
    reverse: bool = False
    groups: list[Group] = field(default_factory=list)
    flag: int = 0
    mapq: int = 60
    chrom: int = 0
    tags: dict[str, Any] = field(default_factory=dict)

    @property
    def sequenced(self) -> str:
        return reverse_complement(self.stored) if self.reverse else self.stored

    def segment(self, header: pysam.AlignmentHeader) -> pysam.AlignedSegment:
        segment = pysam.AlignedSegment(header)
        segment.query_name = self.name
        segment.flag = self.flag | (16 if self.reverse else 0)
        segment.reference_id = self.chrom
        segment.reference_start = self.start
        segment.mapping_quality = self.mapq
        segment.query_sequence = self.stored
        segment.cigartuples = self.cigar
        segment.query_qualities = pysam.qualitystring_to_array("I" * len(self.stored))
        if self.groups:
            texts, bytes_ = zip(*(group.tags(self.sequenced) for group in self.groups), strict=True)
            segment.set_tag("MM", "".join(texts))
            segment.set_tag("ML", array.array("B", [byte for part in bytes_ for byte in part]))
        for tag, value in self.tags.items():
            segment.set_tag(tag, value)
        return segment


def write_modbam(path: Path, chrom_sizes: Mapping[str, int], reads: Iterable[Read]) -> Path:
    header = pysam.AlignmentHeader.from_dict(
        {
            "HD": {"VN": "1.6", "SO": "coordinate"},
            "SQ": [{"SN": chrom, "LN": length} for chrom, length in chrom_sizes.items()],
        }
    )
    with pysam.AlignmentFile(str(path), "wb", header=header) as file:
        for read in sorted(reads, key=lambda read: (read.chrom, read.start)):
            file.write(read.segment(header))
    pysam.index(str(path))
    return path


def write_fasta(path: Path, chroms: Mapping[str, str]) -> Path:
    path.write_text("".join(f">{chrom}\n{sequence}\n" for chrom, sequence in chroms.items()))
    pysam.faidx(str(path))
    return path


def sequence_read(random: np.random.Generator, reference: str, name: str, start: int, length: int) -> Read:
    """Sequence a stretch of the reference, with errors of every kind: substitutions, insertions, deletions, clips."""
    stored, cigar = [], []

    def op(code: int, bases: int = 1) -> None:
        if cigar and cigar[-1][0] == code:
            cigar[-1] = (code, cigar[-1][1] + bases)
        elif bases:
            cigar.append((code, bases))

    def insert(code: int, bases: int) -> None:
        stored.extend(random.choice(list("ACGT"), bases))
        op(code, bases)

    insert(4, int(random.integers(0, 6)))
    stretch = reference[start : start + length]
    kinds = random.choice(4, len(stretch), p=[0.93, 0.03, 0.02, 0.02])
    kinds[[0, -1]] = 0
    for base, kind in zip(stretch, kinds, strict=True):
        if kind == 2:
            op(2)
            continue
        stored.append(random.choice(list("ACGT")) if kind == 1 else base)
        op(0)
        if kind == 3:
            insert(1, int(random.integers(1, 4)))
    if cigar[-1][0] == 1:
        cigar[-1] = (4, cigar[-1][1])
    insert(4, int(random.integers(0, 6)))
    return Read(name, start, "".join(stored), cigar, bool(random.integers(2)))


def call(
    random: np.random.Generator, read: Read, base: str, codes: str, flag: str, share: float = 0.7, strand: str = "+"
) -> None:
    """Add a group that calls a share of the bases, with any bytes that can go together."""
    where = [at for at, letter in enumerate(read.sequenced) if letter == base and random.random() < share]
    number = 1 if codes.isdecimal() else len(codes)
    bytes_ = random.dirichlet(np.full(number + 1, 0.5), len(where))[:, :number] * 255
    read.groups.append(Group(base, strand, codes, flag, dict(zip(where, bytes_.astype(int).tolist(), strict=True))))


def plain_counts(
    path: Path,
    reference: Mapping[str, str],
    base: str,
    codes: set[Any],
    motif: str,
    offset: int,
    threshold: int = 129,
    flags_excluded: int = 0xF04,
    min_mapq: int = 0,
    haplotype: int | None = None,
) -> dict[tuple[str, int, str], Counter[str]]:
    """Count ``modified`` and ``valid`` (and the other columns) by chromosome, position and strand: a plain loop over
    reads, pysam's ``modified_bases`` and aligned pairs. ``motif`` has letters of ACGT, and H."""
    allowed = {"A": "A", "C": "C", "G": "G", "T": "T", "H": "ACT"}
    counts: dict[tuple[str, int, str], Counter[str]] = {}

    def holds(sequence: str, at: int, strand: str) -> bool:
        for step, letter in enumerate(motif):
            there = at + (step - offset) * (1 if strand == "+" else -1)
            if not 0 <= there < len(sequence):
                return False
            found = sequence[there] if strand == "+" else sequence[there].translate(COMPLEMENT)
            if found not in allowed[letter]:
                return False
        return True

    with pysam.AlignmentFile(str(path)) as file:
        for read in file:
            if read.flag & flags_excluded or read.mapping_quality < min_mapq or not read.has_tag("MM"):
                continue
            if haplotype is not None and (read.get_tag("HP") if read.has_tag("HP") else 0) != haplotype:
                continue
            calls: dict[str, dict[int, dict[Any, int]]] = {"+": {}, "-": {}}
            for (letter, strand, code), entries in read.modified_bases.items():
                # pysam gives the letter of the tag; a modification of the other strand is at its complement.
                tagged = letter if strand == int(read.is_reverse) else letter.translate(COMPLEMENT)
                if tagged == base:
                    for at, byte in entries:
                        calls["+-"[strand]].setdefault(at, {})[code] = byte
            implicit = {"+": False, "-": False}
            called = {"+": False, "-": False}
            for text in read.get_tag("MM").split(";")[:-1]:
                head = text.split(",")[0]
                letter, strand, rest = head[0], head[1], head[2:]
                flag = rest[-1] if rest[-1] in ".?" else "."
                names = rest.rstrip(".?")
                found = {int(names)} if names.isdecimal() else set(names)
                if (letter if strand == "+" else letter.translate(COMPLEMENT)) == base and found & codes:
                    side = "+-"[(strand == "-") != read.is_reverse]
                    implicit[side] |= flag == "."
                    called[side] = True
            sequence = reference[read.reference_name]
            own = "-" if read.is_reverse else "+"
            for query, at in read.get_aligned_pairs():
                if at is None:
                    continue
                for strand in "+-":
                    if not (called[strand] or strand == own) or not holds(sequence, at, strand):
                        continue
                    count = counts.setdefault((read.reference_name, at, strand), Counter())
                    if query is None:
                        count["deleted"] += 1
                    elif read.query_sequence[query] != sequence[at]:
                        count["different"] += 1
                    elif not called[strand] or not holds(read.query_sequence, query, strand):
                        count["no_call"] += 1
                    else:
                        bytes_ = calls[strand].get(query, {})
                        mine = [byte for code, byte in bytes_.items() if code in codes]
                        others = [byte for code, byte in bytes_.items() if code not in codes]
                        if not mine and not implicit[strand]:
                            count["no_call"] += 1
                            continue
                        count["valid"] += 1
                        if mine and max(mine) >= threshold:
                            count["modified"] += 1
                        elif others and max(others) >= threshold:
                            count["other"] += 1
                        else:
                            count["canonical"] += 1
    return {key: count for key, count in counts.items() if count["valid"]}
