"""Lifted rows as text: what their columns say afterwards, and files of them in the target's order."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pysam

from tracks.liftover.lift import Pieces, merge_plan
from tracks.liftover.piece_spool import TILE
from tracks.spool import Spool, by_tile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tracks.liftover.layouts import Layout
    from tracks.liftover.rows import Rows


class Lines(NamedTuple):
    """Lines of text with their places: ``targets`` int ``[n]``, ``starts`` and ``ends`` int64 ``[n]``."""

    targets: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    texts: list[str]


def piece_lines(layout: Layout, rows: Rows, pieces: Pieces, names: Sequence[str], join: int) -> Lines:
    """Return a line for each stretch of each interval; ``join`` as in ``merge_plan``.

    All columns stay, except: chromosome, start and end; the strand, which turns with the stretch; the thick part (what
    of it lies in the stretch, else its start twice) and the summit (-1 where it lies outside); and a BED row with
    blocks, which becomes a row with one block for each stretch of each block.
    """
    order, first = merge_plan(pieces, join)
    ordered = pieces[order]
    if not len(first):
        return Lines(ordered.targets, ordered.starts, ordered.ends, [])
    low = np.clip(rows.thick_starts[ordered.of], ordered.source_starts, ordered.source_ends)
    high = np.clip(rows.thick_ends[ordered.of], ordered.source_starts, ordered.source_ends)
    placed = ordered.starts + np.where(ordered.reverse, ordered.source_ends - high, low - ordered.source_starts)
    thick_starts = np.minimum.reduceat(np.where(low < high, placed, np.iinfo(np.int64).max), first)
    thick_ends = np.maximum.reduceat(np.where(low < high, placed + high - low, -1), first)
    starts, ends = ordered.starts[first], ordered.ends[np.append(first[1:], len(order)) - 1]
    thick_starts = np.where(thick_ends < 0, starts, thick_starts)
    columns = zip(
        rows.of[ordered.of[first]].tolist(),
        ordered.targets[first].tolist(),
        starts.tolist(),
        ends.tolist(),
        ordered.reverse[first].tolist(),
        thick_starts.tolist(),
        np.where(thick_ends < 0, starts, thick_ends).tolist(),
        strict=True,
    )
    texts = []
    for row, target, start, end, reverse, thick_start, thick_end in columns:
        fields = _moved(layout, rows.fields[row], names[target], start, end, reverse)
        if layout.thick and len(fields) >= 8:
            fields[6:8] = str(thick_start), str(thick_end)
        if layout.thick and len(fields) >= 12:
            fields[9:12] = "1", str(end - start), "0"
        if layout.summit is not None and len(fields) > layout.summit:
            fields[layout.summit] = str(thick_start - start) if thick_start < thick_end else "-1"
        texts.append("\t".join(fields))
    return Lines(ordered.targets[first], starts, ends, texts)


def site_lines(layout: Layout, rows: Rows, sites: Pieces, widths: np.ndarray, names: Sequence[str]) -> Lines:
    """Return a line for each site, that lifted whole; ``widths`` int64 ``[n]`` are the bases that its row names."""
    ends = sites.starts + widths
    columns = (sites.of, sites.targets, sites.starts, ends, sites.reverse)
    texts = [
        "\t".join(_moved(layout, rows.fields[row], names[target], start, end, reverse))
        for row, target, start, end, reverse in zip(*(column.tolist() for column in columns), strict=True)
    ]
    return Lines(sites.targets, sites.starts, ends, texts)


def _moved(layout: Layout, fields: list[str], chrom: str, start: int, end: int, reverse: bool) -> list[str]:
    """A row's columns at its new place."""
    fields = fields.copy()
    fields[layout.chrom] = chrom
    fields[layout.start] = str(start + layout.first)
    if layout.end is not None:
        fields[layout.end] = str(end)
    if layout.copies is not None and len(fields) > max(layout.copies):
        fields[layout.copies[0]], fields[layout.copies[1]] = str(start + layout.first), str(end)
    if reverse and layout.strand is not None and len(fields) > layout.strand:
        strand = fields[layout.strand]
        if strand in tuple(layout.strands):
            fields[layout.strand] = layout.strands[1 - layout.strands.index(strand)]
    return fields


class SortedText:
    """Lines that come in any order, to be written by target chromosome, start and end."""

    def __init__(self, folder: Path) -> None:
        self._spool = Spool(folder)

    def add(self, lines: Lines) -> None:
        """Keep lines."""
        for chrom, tile, here in by_tile(lines.targets, lines.starts, TILE):
            texts = [lines.texts[at] for at in here.tolist()]
            self._spool.add(chrom, tile, (lines.starts[here], lines.ends[here], texts))

    def write(self, path: Path, header: Sequence[str]) -> None:
        """Write the header and all lines; bgzip (which tabix wants) where the name ends in ``.gz``."""
        packed = path.suffix == ".gz"
        with closing(pysam.BGZFile(str(path), "wb", None)) if packed else path.open("wb") as file:
            file.write("".join(f"{line}\n" for line in header).encode())
            for _, items in self._spool.tiles():
                starts, ends = (np.concatenate([item[at] for item in items]) for at in (0, 1))
                texts = [text for _, _, part in items for text in part]
                file.write("".join(f"{texts[at]}\n" for at in np.lexsort((ends, starts)).tolist()).encode())
