"""Modified-base calls of one read: the MM, ML and MN tags (SAM optional fields specification, section 1.7).

Whole groups of calls are decoded at once with NumPy. Positions are those in SEQ as the file stores it (of a read
aligned to the reverse strand: the reverse complement of what was sequenced), 0-based.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pysam

COMPLEMENT = dict(zip("ACGTN", "TGCAN", strict=True))

# The counts are checked apart: a repeated group of numbers would make the expression slow.
_GROUP = re.compile(r"([ACGTUN])([-+])([A-Za-z]+|[0-9]+)([.?]?)((?:,[0-9][0-9,]*)?)")
_EMPTY = np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class Group:
    """One group of an MM tag: the calls of one base on one strand, for one or several modifications together.

    ``base`` is the letter in the read as it was sequenced (``T`` for ``U``; ``N``: every base), ``strand`` ``-``
    where the modification is on the other strand of the molecule, at the complement of ``base``. ``codes`` are
    letters (``m``, ``h``, ``a``) or one ChEBI number. ``implicit``: a base that the group skips was found to be
    unmodified (``.`` or no flag); else (``?``) nothing is known of it. ``likelihoods`` uint8 ``[calls, codes]``: byte
    N is a probability in [N/256, (N + 1)/256).
    """

    base: str
    strand: str
    codes: tuple[str, ...]
    implicit: bool
    skips: np.ndarray
    likelihoods: np.ndarray

    def positions(self, sequence: np.ndarray, reverse: bool) -> np.ndarray:
        """Return where the calls are, int64 ``[calls]``, in the order of ``likelihoods`` (from the end of ``sequence``
        for a ``reverse`` read). ``sequence`` is SEQ as stored, uint8 letters in upper case.

        Raises ValueError when the tag counts more bases than the read has.
        """
        if not len(self.skips):
            return _EMPTY
        if self.base == "N":
            count = len(sequence)
            there = None
        else:
            letter = COMPLEMENT[self.base] if reverse else self.base
            there = np.flatnonzero(sequence == ord(letter))
            count = len(there)
        # Numbers beyond the read are refused before they are added up, which could overflow.
        at = np.cumsum(np.minimum(self.skips, count) + 1) - 1
        if at[-1] >= count:
            raise ValueError(f"its MM tag counts beyond the {count:,} of base {self.base} that it has")
        if reverse:
            at = count - 1 - at
        return at if there is None else there[at]


def parse_groups(mm: str, ml: np.ndarray) -> list[Group]:
    """Read an MM tag with the bytes of its ML tag, uint8 ``[n]``.

    Raises ValueError that says what is wrong: a group that is no group, or an ML tag that is longer or shorter than
    the calls of MM.
    """
    groups = []
    done = 0
    texts = mm.split(";")
    if texts.pop().strip():
        raise ValueError("its MM tag does not end in ';': it is cut short")
    for text in texts:
        match = _GROUP.fullmatch(text)
        if match is None or ",," in text or text[-1] == ",":
            raise ValueError(f"its MM tag holds '{text[:40]}', which is no group like C+m?,5,12,0")
        base, strand, code, flag, numbers = match.groups()
        codes = (code,) if code.isdecimal() else tuple(code)
        calls = numbers.count(",")
        skips = np.fromstring(numbers[1:], np.int64, calls, sep=",") if calls else _EMPTY
        bytes_here = ml[done : done + calls * len(codes)]
        done += calls * len(codes)
        if done <= len(ml):
            likelihoods = bytes_here.reshape(calls, len(codes))
            groups.append(Group(base.replace("U", "T"), strand, codes, flag != "?", skips, likelihoods))
    if done != len(ml):
        raise ValueError(f"its ML tag holds {len(ml):,} values, and its MM tag needs {done:,}")
    return groups


def read_groups(read: pysam.AlignedSegment) -> list[Group] | None:
    """Return the groups of a read's tags (MM and ML, or Mm and Ml as they were called at first), None where it has
    none. Raises ValueError where they are damaged; an MM without ML is."""
    name = "MM" if read.has_tag("MM") else "Mm"
    if not read.has_tag(name):
        return None
    ml_name = "ML" if read.has_tag("ML") else "Ml"
    ml: Any = read.get_tag(ml_name) if read.has_tag(ml_name) else array("B")
    if not isinstance(ml, array) or ml.typecode != "B":
        raise ValueError(f"its {ml_name} tag should be an array of bytes (B,C)")
    if read.has_tag("MN") and not isinstance(read.get_tag("MN"), int):
        raise ValueError("its MN tag should be a whole number")
    return parse_groups(str(read.get_tag(name)), np.frombuffer(ml, np.uint8))


def letters(sequence: str) -> np.ndarray:
    """Return the letters of a read as uint8 in upper case."""
    return np.frombuffer(sequence.upper().encode("ascii"), np.uint8)
