"""Text tables of genome positions (bedGraph, BED, bedMethyl, per-CpG counts) turned into bigWig files."""

from tracks.tables.bigwigs import counts_to_bigwigs, intervals_to_bigwig, signal_to_bigwig
from tracks.tables.formats import KINDS, ROLES, TableFormat, guess_format

__all__ = [
    "KINDS",
    "ROLES",
    "TableFormat",
    "counts_to_bigwigs",
    "guess_format",
    "intervals_to_bigwig",
    "signal_to_bigwig",
]
