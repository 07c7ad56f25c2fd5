"""How figures look, and how they become text of a page. Nothing in a figure depends on when it was drawn."""

from __future__ import annotations

import base64
import io
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes

    from model.report.chunk import Named

INK, SOFT, FAINT = "#1f2933", "#7b8794", "#d5dbe1"
MODEL_COLORS = ("#1b6ca8", "#d95f02", "#6a4c93", "#2a9d8f", "#b5179e", "#8c6d1f")
MODEL_MARKERS = ("o", "s", "D", "^", "v", "P")
BASELINE_MARKERS = ("|", "x", "+", "1", "2", "3")
WIDTH = 10.6
"""Inches; the page shows 100 pixels to one."""
DPI = 160

_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "path",
    "svg.hashsalt": "tracks",
    "figure.facecolor": "white",
    "axes.formatter.useoffset": False,
}


@dataclass(frozen=True)
class Picture:
    """A drawn figure: a short ``name`` for its address on the page, a title, what it shows, and its data address;
    ``width`` in pixels of the page."""

    name: str
    title: str
    caption: str
    data: str
    width: int


@contextmanager
def canvas(height: float, width: float = WIDTH) -> Iterator[Figure]:
    """Yield an empty figure in the report's style, ``width`` and ``height`` in inches."""
    with mpl.rc_context(_STYLE):
        yield Figure(figsize=(width, height), layout="constrained")


def as_svg(figure: Figure, name: str, title: str, caption: str) -> Picture:
    """Encode a figure of few elements, sharp at every size."""
    text = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    data = base64.b64encode(text.getvalue()).decode()
    return Picture(name, title, caption, f"data:image/svg+xml;base64,{data}", _pixels(figure))


def as_png(figure: Figure, name: str, title: str, caption: str, colors: int = 128) -> Picture:
    """Encode a dense figure, in a palette of ``colors``."""
    raw = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(raw, format="png", dpi=DPI, metadata={"Software": None})
    small = io.BytesIO()
    with Image.open(raw) as image:
        image.convert("RGB").quantize(colors, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    data = base64.b64encode(small.getvalue()).decode()
    return Picture(name, title, caption, f"data:image/png;base64,{data}", _pixels(figure))


def _pixels(figure: Figure) -> int:
    return round(figure.get_figwidth() * 100)


def model_looks(named: Sequence[Named]) -> list[tuple[str, str]]:
    """Return a colour and a marker for each prediction: models in strong colours, baselines grey."""
    looks, models, baselines = [], 0, 0
    for one in named:
        if one.baseline:
            looks.append((SOFT, BASELINE_MARKERS[baselines % len(BASELINE_MARKERS)]))
            baselines += 1
        else:
            looks.append((MODEL_COLORS[models % len(MODEL_COLORS)], MODEL_MARKERS[models % len(MODEL_MARKERS)]))
            models += 1
    return looks


def small_multiples(figure: Figure, count: int, columns: int) -> list[Axes]:
    """Return ``count`` axes in rows of ``columns``; the places left over stay empty."""
    rows = -(-count // columns)
    grid = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for axes in grid[count:]:
        axes.set_visible(False)
    return list(grid[:count])
