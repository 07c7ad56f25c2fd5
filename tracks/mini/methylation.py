"""CpG methylation of IMR90 on chr22: read, lifted to hg19, repaired, binned."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tracks.errors import TracksError
from tracks.grid import BIN, bin_count
from tracks.mini.liftover import lift_positions

if TYPE_CHECKING:
    from pathlib import Path

    from tracks.liftover.lift import Route

REPAIR_REACH = 5_000
"""A CpG without a row counts as measured and unmethylated when a measured one lies within this many bases."""
REPAIR_COVERAGE = 20


@dataclass(frozen=True, eq=False)
class Sites:
    """CpGs of one chromosome: 0-based position of the C, methylated and total read counts, int64 ``[n]``."""

    positions: np.ndarray
    methylated: np.ndarray
    coverage: np.ndarray


def import_rdata() -> Any:
    """Return the package that reads R data. Raises TracksError that says how to install it."""
    try:
        import rdata
    except ImportError as error:
        raise TracksError(
            "reading R data needs the Python package rdata; install it with: pip install 'tracks-genome[mini]'"
        ) from error
    return rdata


def read_bsseq(path: Path) -> Sites:
    """Read bsseq's ``BS.chr22.rda``, an R object of CpGs with methylated (M) and total (Cov) reads of two replicates;
    the replicates are added up. Its positions act as 0-based positions of the C (facts/data.md, trap 5).

    Raises TracksError when rdata is not installed or the file is something else.
    """
    rdata = import_rdata()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # rdata warns about what it cannot place, and then raises
            experiment = rdata.parser.parse_file(path).object.value[0]
        starts = _slot(_slot(_slot(experiment, "rowRanges"), "ranges"), "start").value
        assays = _slot(_slot(_slot(experiment, "assays"), "data"), "listData")
        names = [name.value.decode() for name in _slot(assays, "names").value]
        counts = dict(zip(names, (part.value.reshape(-1, len(starts)) for part in assays.value), strict=True))
        methylated, coverage = (counts[name].sum(axis=0).astype(np.int64) for name in ("M", "Cov"))
    except (OSError, ValueError, KeyError, AttributeError, TypeError, NotImplementedError) as error:
        raise TracksError(f"{path} is not bsseq's BS.chr22: it holds no CpGs with M and Cov ({error})") from error
    if (methylated > coverage).any():
        raise TracksError(f"{path} is not bsseq's BS.chr22: it has more methylated reads than reads")
    return Sites(starts.astype(np.int64), methylated, coverage)


def _slot(node: Any, name: str) -> Any:
    """Return an attribute of a parsed R object (S4 slots are attributes). The classes themselves would need R."""
    pairs = node.attributes
    while pairs is not None and pairs.info.type.name == "LIST":
        tag = pairs.tag.referenced_object or pairs.tag
        if tag.value.value == name.encode():
            return pairs.value[0]
        pairs = pairs.value[1]
    raise KeyError(name)


def lifted(sites: Sites, route: Route, chrom: str) -> Sites:
    """Return the sites that lift to one place on the same chromosome, at the C of its forward strand."""
    positions, reverse = lift_positions(route, chrom, sites.positions)
    # Turned round, the C of a CpG is the forward strand's G; its own C is one base before.
    positions = np.where(reverse, positions - 1, positions)
    kept = positions >= 0
    return Sites(positions[kept], sites.methylated[kept], sites.coverage[kept])


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
