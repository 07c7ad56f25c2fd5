"""Reads a bigWig at an address with a Python package that we did not write, and prints what it read as JSON.

python read.py pybigtools|pybbi URL                            the lengths of its chromosomes
python read.py pybigtools|pybbi URL CHROM START END [PIXELS]   the values of bases, or of so many stretches

In a process of its own: while such a package waits for an answer, nothing else runs in its process.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

import bbi
import numpy as np
import pybigtools


def read(reader: str, url: str, place: list[str]) -> object:
    if reader == "pybbi":
        if not place:
            return bbi.chromsizes(url)
        pixels = int(place[3]) if place[3:] else -1
        return _listed(bbi.fetch(url, place[0], int(place[1]), int(place[2]), bins=pixels, missing=np.nan))
    with pybigtools.open(url) as file:
        if not place:
            return file.chroms()
        pixels = int(place[3]) if place[3:] else None
        return _listed(file.values(place[0], int(place[1]), int(place[2]), bins=pixels, fillna=np.nan))


def _listed(values: Iterable[float]) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


if __name__ == "__main__":
    print(json.dumps(read(*sys.argv[1:3], sys.argv[3:])))
