"""metrics.tsv: every figure of an evaluation, one a row."""

from __future__ import annotations

import csv
import io
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

POOLED = "pooled over tracks"
"""What the track column says of a figure that mixes tracks; such rows come with the mean-predictor's."""


@dataclass(frozen=True)
class Row:
    """One figure.

    ``model`` is the model, file or baseline and ``head`` its head; ``versus`` is empty, or names what the value is
    the paired difference to. ``resolution`` in bases; ``low`` and ``high`` bound the 95 % interval; ``n`` counts bins
    or windows, ``blocks`` the bootstrap blocks that hold any. What is undefined is empty, and ``reason`` says why.
    """

    model: str
    head: str
    scope: str
    track: str
    fold: str
    chrom: str
    resolution: int
    metric: str
    versus: str
    value: float | None
    low: float | None
    high: float | None
    baseline: bool
    n: int
    blocks: int
    reason: str


def label_of(model: str, head: str) -> str:
    """Return model and head in one, as figures and the page name them."""
    return f"{model} / {head}" if head else model


def table_text(rows: Iterable[Row]) -> str:
    """Return rows as tab-separated text with a header; numbers as they are, nothing for what is undefined."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(field.name for field in fields(Row))
    for row in rows:
        writer.writerow("" if cell is None else int(cell) if isinstance(cell, bool) else cell for cell in astuple(row))
    return text.getvalue()
