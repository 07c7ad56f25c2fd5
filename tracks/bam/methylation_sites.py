"""Which modifications are counted, and at which bases of the genome: sequence contexts such as CpG."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracks.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_IUPAC = {
    "A": 1, "C": 2, "G": 4, "T": 8, "R": 5, "Y": 10, "S": 6, "W": 9,
    "K": 12, "M": 3, "B": 14, "D": 13, "H": 11, "V": 7, "N": 15,
}  # fmt: skip
"""The bases of a IUPAC letter: bit 0 is A, bit 1 C, bit 2 G, bit 3 T."""
_COMPLEMENT = str.maketrans("ACGTRYSWKMBDHVN", "TGCAYRSWMKVHDBN")

# What a base (0 to 3; 4 is unknown, or outside) is, as those bits: an unknown base fits no letter, N included.
_BITS = np.array([1, 2, 4, 8, 0], np.uint8)


@dataclass(frozen=True)
class Modification:
    """A modified base: its name, the base it is made of, and the codes that MM tags give it, the usual one first."""

    name: str
    base: str
    codes: tuple[str, ...]


@dataclass(frozen=True)
class Context:
    """A motif in which a base is counted: IUPAC letters, 5' to 3', and which of them (from 0) is that base."""

    name: str
    motif: str
    offset: int

    @property
    def base(self) -> str:
        """The letter of the base that is counted."""
        return self.motif[self.offset]

    @property
    def partner(self) -> int | None:
        """How far right of a site of the forward strand the site of the reverse strand lies in the same motif; None
        where the motif is not its own reverse complement."""
        palindrome = self.motif == self.motif.translate(_COMPLEMENT)[::-1]
        return len(self.motif) - 1 - 2 * self.offset if palindrome else None

    def letters(self, strand: str) -> list[tuple[int, int]]:
        """Return what the context asks of the forward strand around a site of a strand: (bases right of the site, the
        bits of the bases allowed there), the site itself first."""
        motif, offset = self.motif, self.offset
        if strand == "-":
            motif, offset = motif.translate(_COMPLEMENT)[::-1], len(motif) - 1 - offset
        around = [(at - offset, _IUPAC[letter]) for at, letter in enumerate(motif)]
        return sorted(around, key=lambda entry: abs(entry[0]))

    def sites(self, codes: np.ndarray, margin: int, strand: str) -> np.ndarray:
        """Return the sites of a strand, int64 ascending, in base codes (0 to 4 for A, C, G, T, N) that hold ``margin``
        more bases at either end: 0 is the base after the margin."""
        size = len(codes) - 2 * margin
        bits = _BITS[codes]
        fits = np.ones(size, bool)
        for right, allowed in self.letters(strand):
            fits &= bits[margin + right : margin + right + size] & allowed != 0
        return np.flatnonzero(fits)


LETTER_BITS = np.zeros(256, np.uint8)
"""The bits of the letter of a read."""
for _base, _bit in (("A", 1), ("C", 2), ("G", 4), ("T", 8)):
    LETTER_BITS[ord(_base)] = _bit

# Codes: SAM optional fields specification, section 1.7 (letter and ChEBI number). Y and Z are those of Megalodon's
# models for DiMeLo-seq ("A+Y", "C+Z"; dimelo, parse_bam).
MODIFICATIONS = {
    entry.name: entry
    for entry in (
        Modification("5mC", "C", ("m", "27551", "Z")),
        Modification("5hmC", "C", ("h", "76792")),
        Modification("6mA", "A", ("a", "21839", "Y")),
    )
}

CONTEXTS = {
    entry.name: entry
    for entry in (
        Context("CpG", "CG", 0),
        # Two-colour experiments (GpC methyltransferase as accessibility) need those that CpG methylation leaves alone.
        Context("GpC", "GCH", 1),
        Context("HCG", "HCG", 1),
        Context("CHG", "CHG", 0),
        Context("CHH", "CHH", 0),
        Context("C", "C", 0),
        Context("A", "A", 0),
    )
}


@dataclass(frozen=True)
class Target:
    """What one set of files counts: a modification in a context."""

    modification: Modification
    context: Context

    @property
    def name(self) -> str:
        """Its name in file names and messages, such as ``5mC.CpG``."""
        return f"{self.modification.name}.{self.context.name}"


def parse_target(text: str) -> Target:
    """Read a target such as ``5mC:CpG``, ``6mA:A`` or, with a code and a motif of one's own, ``C+f:CG:0``.

    The motif's number says which of its letters (from 0) is modified. Raises UsageError that says what is known.
    """
    what, _, where = text.partition(":")
    modification = MODIFICATIONS.get(what)
    if modification is None:
        own = re.fullmatch(r"([ACGT])\+([A-Za-z]|[0-9]+)", what)
        if own is None:
            raise UsageError(
                f"'{text}': the modification '{what}' is none of {', '.join(MODIFICATIONS)}, nor a base and a code "
                "of the MM tag such as C+f"
            )
        modification = Modification(own[1] + own[2], own[1], (own[2],))
    context = CONTEXTS.get(where)
    if context is None:
        motif = re.fullmatch(r"([ACGTRYSWKMBDHVN]+):([0-9]{1,3})", where)
        if motif is None or int(motif[2]) >= len(motif[1]):
            raise UsageError(
                f"'{text}': the context '{where}' is none of {', '.join(CONTEXTS)}, nor a motif and the number "
                "(from 0) of its modified letter, such as GATC:1"
            )
        context = Context(f"{motif[1]}{motif[2]}", motif[1], int(motif[2]))
    if context.base != modification.base:
        raise UsageError(f"'{text}': {what} is a modified {modification.base}, and {where} holds {context.base} there")
    return Target(modification, context)


@dataclass(frozen=True)
class Preset:
    """What an experiment needs, under one name."""

    targets: tuple[str, ...]
    combine_strands: bool


PRESETS: Mapping[str, Preset] = {
    # DiMeLo-seq with LMNB1-directed 6mA in every A, and the genome's own 5mC.
    "dimelo-lmnb1": Preset(("6mA:A", "5mC:CpG"), False),
    "wgs-5mc": Preset(("5mC:CpG",), True),
}


def check_targets(targets: Sequence[Target], combine_strands: bool) -> None:
    """Raise UsageError where two targets would have the same files, or one has no strands to combine."""
    names = [target.name for target in targets]
    for target in targets:
        if names.count(target.name) > 1:
            raise UsageError(f"{target.name} is asked for twice")
        if combine_strands and target.context.partner is None:
            raise UsageError(
                f"the strands of {target.context.name} cannot be combined: {target.context.motif} is not the same on "
                "both; leave --combine-strands out, or count such contexts in a run of their own"
            )
