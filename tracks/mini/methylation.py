"""CpG methylation of IMR90 on chr22: read, lifted to hg19, repaired, binned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tracks.errors import TracksError
from tracks.grid import BIN, bin_count

if TYPE_CHECKING:
    from pathlib import Path

    from pyliftover import LiftOver

REPAIR_REACH = 5_000
"""A CpG without a row counts as measured and unmethylated when a measured one lies within this many bases."""
REPAIR_COVERAGE = 20

_SITES = 494_728


@dataclass(frozen=True, eq=False)
class Sites:
    """CpGs of one chromosome: 0-based position of the C, methylated and total read counts, int64 ``[n]``."""

    positions: np.ndarray
    methylated: np.ndarray
    coverage: np.ndarray


def read_bsseq(path: Path) -> Sites:
    """Read bsseq's ``BS.chr22.rda`` (an R object of 494,728 CpGs and two replicates), replicates added up.

    Its positions act as 0-based positions of the C (facts/data.md, trap 5). The object's classes need R, so the
    vectors are found by their lengths: the ranges' starts, then the methylated and the total counts.
    """
    try:
        import rdata
    except ImportError as error:
        raise TracksError(
            "reading R data needs the package 'rdata'; install tracks with it: tracks-genome[mini]"
        ) from error
    vectors: list[np.ndarray] = []
    _collect(rdata.parser.parse_file(path).object, vectors, set())
    starts = [vector for vector in vectors if vector.size == _SITES and vector.max() > _SITES]
    counts = [vector for vector in vectors if vector.size == 2 * _SITES]
    if len(starts) != 1 or len(counts) != 2 or (counts[0] > counts[1]).any():
        raise TracksError(f"{path} is not bsseq's BS.chr22: it should hold {_SITES:,} CpGs of two replicates")
    methylated, coverage = (vector.reshape(2, -1).sum(axis=0).astype(np.int64) for vector in counts)
    return Sites(starts[0].astype(np.int64), methylated, coverage)


def _collect(node: Any, vectors: list[np.ndarray], seen: set[int]) -> None:
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, (list, tuple)):
        for part in node:
            _collect(part, vectors, seen)
    elif isinstance(node, np.ndarray):
        vectors.append(node)
    elif hasattr(node, "info"):
        _collect(node.value, vectors, seen)
        _collect(node.attributes, vectors, seen)


def lifted(sites: Sites, chain: LiftOver, chrom: str) -> Sites:
    """Return the sites that lift to one place on the same chromosome and strand."""
    places = [chain.convert_coordinate(chrom, position) for position in sites.positions.tolist()]
    kept = [
        (index, place[0][1])
        for index, place in enumerate(places)
        if place and len(place) == 1 and place[0][0] == chrom and place[0][2] == "+"
    ]
    index, positions = np.array(kept, np.int64).reshape(-1, 2).T
    return Sites(positions, sites.methylated[index], sites.coverage[index])


def repaired(sites: Sites, codes: np.ndarray) -> Sites:
    """Keep the sites that lie on a CG of the reference, and add those that the data omits: every other CG within
    5 kb of a kept one, unmethylated at coverage 20 (the files list only methylated calls: facts/data.md, trap 1).

    ``codes`` are the chromosome's base codes, uint8.
    """
    reference = np.flatnonzero((codes[:-1] == 1) & (codes[1:] == 2))
    on_cpg = np.isin(sites.positions, reference)
    positions = np.sort(sites.positions[on_cpg])
    if not len(positions):
        raise TracksError("no methylation site lies on a CG of the reference: the build or the positions are wrong")
    absent = reference[~np.isin(reference, positions)]
    after = np.searchsorted(positions, absent)
    to_next = np.abs(positions[np.minimum(after, len(positions) - 1)] - absent)
    to_previous = np.abs(absent - positions[np.maximum(after - 1, 0)])
    added = absent[np.minimum(to_next, to_previous) <= REPAIR_REACH]
    return Sites(
        np.concatenate([sites.positions[on_cpg], added]),
        np.concatenate([sites.methylated[on_cpg], np.zeros(len(added), np.int64)]),
        np.concatenate([sites.coverage[on_cpg], np.full(len(added), REPAIR_COVERAGE)]),
    )


def methylated_fraction(sites: Sites, chrom_length: int) -> np.ndarray:
    """Return methylated over all reads of each bin's CpGs, float32 ``[bins]``; NaN without CpG or coverage."""
    bins = bin_count(chrom_length)
    methylated = np.bincount(sites.positions // BIN, sites.methylated, bins)
    coverage = np.bincount(sites.positions // BIN, sites.coverage, bins)
    fraction = np.where(coverage > 0, methylated / np.maximum(coverage, 1), np.nan)
    return fraction.astype(np.float32)
