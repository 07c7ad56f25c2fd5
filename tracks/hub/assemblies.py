"""Chromosomes of the assemblies that UCSC, IGV and JBrowse know, and whether a file's are theirs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from tracks.chroms import plain_name
from tracks.errors import UsageError, first_few

if TYPE_CHECKING:
    from collections.abc import Mapping

_HUMAN = (*(f"chr{number}" for number in range(1, 23)), "chrX", "chrY", "chrM")
_MOUSE = (*(f"chr{number}" for number in range(1, 20)), "chrX", "chrY", "chrM")

# UCSC's names and lengths of whole chromosomes.
# fmt: off
_HG19 = (
    249_250_621, 243_199_373, 198_022_430, 191_154_276, 180_915_260, 171_115_067, 159_138_663, 146_364_022, 141_213_431,
    135_534_747, 135_006_516, 133_851_895, 115_169_878, 107_349_540, 102_531_392, 90_354_753, 81_195_210, 78_077_248,
    59_128_983, 63_025_520, 48_129_895, 51_304_566, 155_270_560, 59_373_566, 16_571,
)
_HG38 = (
    248_956_422, 242_193_529, 198_295_559, 190_214_555, 181_538_259, 170_805_979, 159_345_973, 145_138_636, 138_394_717,
    133_797_422, 135_086_622, 133_275_309, 114_364_328, 107_043_718, 101_991_189, 90_338_345, 83_257_441, 80_373_285,
    58_617_616, 64_444_167, 46_709_983, 50_818_468, 156_040_895, 57_227_415, 16_569,
)
_MM10 = (
    195_471_971, 182_113_224, 160_039_680, 156_508_116, 151_834_684, 149_736_546, 145_441_459, 129_401_213, 124_595_110,
    130_694_993, 122_082_543, 120_129_022, 120_421_639, 124_902_244, 104_043_685, 98_207_768, 94_987_271, 90_702_639,
    61_431_566, 171_031_299, 91_744_698, 16_299,
)
# fmt: on
ASSEMBLIES: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "hg19": MappingProxyType(dict(zip(_HUMAN, _HG19, strict=True))),
        "hg38": MappingProxyType(dict(zip(_HUMAN, _HG38, strict=True))),
        "mm10": MappingProxyType(dict(zip(_MOUSE, _MM10, strict=True))),
    }
)
"""Lengths of the whole chromosomes of an assembly, by its UCSC name."""

_CONTIG = re.compile(r"chr[0-9A-Za-z]{1,4}_[A-Za-z0-9]+(_random|_alt|_fix|_hap[0-9]+)?")
"""UCSC's names of contigs, alternative loci and patches, which are too many to list."""


@dataclass(frozen=True)
class Assembly:
    """An assembly and its chromosomes. ``contigs`` says that it may have more, under UCSC's names for contigs."""

    name: str
    sizes: Mapping[str, int]
    contigs: bool = False

    def name_of(self, chrom: str) -> str | None:
        """Return the assembly's name of a file's chromosome: its own, or one that differs by ``chr`` alone; or None."""
        if chrom in self.sizes:
            return chrom
        plain = plain_name(chrom)
        found = next((name for name in self.sizes if plain_name(name) == plain), None)
        if found is None and self.contigs and _CONTIG.fullmatch(chrom):
            return chrom
        return found


def told_assembly(sizes: Mapping[str, int]) -> str | None:
    """Tell a known assembly by its chromosomes' lengths; None where none has all that are there to compare."""
    for name, known in ASSEMBLIES.items():
        found = [(length, known[f"chr{plain_name(chrom)}"]) for chrom, length in sizes.items() if _whole(chrom, known)]
        if any(length == theirs and length > 1_000_000 for length, theirs in found) and all(
            length == theirs for length, theirs in found if theirs > 1_000_000
        ):
            return name
    return None


def _whole(chrom: str, known: Mapping[str, int]) -> bool:
    return f"chr{plain_name(chrom)}" in known


def fitting_names(assembly: Assembly, sizes: Mapping[str, int], where: str, skip: bool = False) -> dict[str, str]:
    """Return the assembly's name of each chromosome of a file (``where``), in the file's order.

    Raises UsageError when the assembly lacks one (with ``skip`` it is left out), when two would be one, when one is
    longer than the assembly's, or when all are of another known assembly.
    """
    names: dict[str, str] = {}
    taken: dict[str, str] = {}
    other = told_assembly(sizes)
    if other is not None and assembly.name in ASSEMBLIES and other != assembly.name:
        raise UsageError(f"{where} is of {other}, by its chromosomes' lengths, and the hub of {assembly.name}")
    for chrom, length in sizes.items():
        name = assembly.name_of(chrom)
        if name is None:
            if skip:
                continue
            raise UsageError(
                f"{where}: {assembly.name} has no chromosome '{chrom}'; it has {first_few(list(assembly.sizes))} "
                "(--skip-unknown leaves such chromosomes out)"
            )
        if name in taken:
            raise UsageError(f"{where}: '{taken[name]}' and '{chrom}' would both be {name} of {assembly.name}")
        theirs = assembly.sizes.get(name)
        if theirs is not None and length > theirs:
            raise UsageError(
                f"{where} is of another genome build: its {chrom} has {length:,} bases, "
                f"{name} of {assembly.name} {theirs:,}"
            )
        names[chrom], taken[name] = name, chrom
    if not names:
        raise UsageError(f"{where}: no chromosome of it is in {assembly.name}; it has {first_few(list(sizes))}")
    return names
