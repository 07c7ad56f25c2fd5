"""An evaluation in a few lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model.report.agreement import ALL
from model.report.rows import SPECIFIC
from tracks.grid import BIN, WINDOW

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from model.report.run import Report
    from model.report.table import Row


def summary_lines(report: Report) -> Iterator[str]:
    """Yield for each fold and model the mean over tracks of r (every track counts once; nothing is pooled), of the
    best baseline's and of the specific r, at each resolution."""
    for fold in report.folds:
        for resolution, what in ((BIN, "128-bp bins"), (WINDOW, "windows")):
            rows = [
                row
                for row in fold.rows
                if (row.chrom, row.versus, row.resolution) == (ALL, "", resolution) and row.value is not None
            ]
            for one in fold.scores.named:
                own = [row for row in rows if (row.model, row.head) == (one.model, one.head)]
                scored = {row.track: row.value for row in own if row.metric == "pearson"}
                if one.baseline or not scored:
                    continue
                specific = [row.value for row in own if row.metric == SPECIFIC + "pearson"]
                best = [max(_baselines(rows, track)) for track in scored if _baselines(rows, track)]
                words = f"{fold.scores.layout.fold}, {one.label}, {what}: mean r of {len(scored)} tracks "
                words += _mean(scored.values())
                if best:
                    words += f"; best baseline of each {_mean(best)}"
                if specific:
                    words += f"; without the across-track mean {_mean(specific)}"
                yield words


def _mean(values: Iterable[float | None]) -> str:
    return f"{np.mean([value for value in values if value is not None]):.3f}"


def _baselines(rows: list[Row], track: str) -> list[float]:
    return [r.value for r in rows if r.baseline and r.metric == "pearson" and r.track == track and r.value is not None]
