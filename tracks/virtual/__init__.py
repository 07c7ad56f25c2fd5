"""Bigwigs whose bytes are made when they are asked for: the layout, what is in it, and how it is read."""

from tracks.virtual.difference import DifferenceSummaries
from tracks.virtual.layout import JBROWSE_SLOT, SLOT, TIGHT, Layout, lay_out
from tracks.virtual.materialize import materialize
from tracks.virtual.stored import stored_records, stored_totals
from tracks.virtual.stored_values import StoredValues
from tracks.virtual.values import Totals, Values
from tracks.virtual.virtual_bigwig import VirtualBigWig

__all__ = [
    "JBROWSE_SLOT",
    "SLOT",
    "TIGHT",
    "DifferenceSummaries",
    "Layout",
    "StoredValues",
    "Totals",
    "Values",
    "VirtualBigWig",
    "lay_out",
    "materialize",
    "stored_records",
    "stored_totals",
]
