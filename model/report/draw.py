"""How figures look, and how they become text of a page. Nothing in a figure depends on when it was drawn."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import matplotlib as mpl
from PIL import Image

from tracks.figure_style import SOFT, STYLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from model.report.chunk import Named

MODEL_COLORS = ("#1b6ca8", "#d95f02", "#6a4c93", "#2a9d8f", "#b5179e", "#8c6d1f")
MODEL_MARKERS = ("o", "s", "D", "^", "v", "P")
BASELINE_MARKERS = ("|", "x", "+", "1", "2", "3")
DPI = 160


@dataclass(frozen=True)
class Picture:
    """A drawn figure: a short ``name`` for its address on the page, a title, what it shows, and its data address;
    ``width`` in pixels of the page."""

    name: str
    title: str
    caption: str
    data: str
    width: int


def as_svg(figure: Figure, name: str, title: str, caption: str) -> Picture:
    """Encode a figure of few elements, sharp at every size."""
    text = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    data = base64.b64encode(text.getvalue()).decode()
    return Picture(name, title, caption, f"data:image/svg+xml;base64,{data}", _pixels(figure))


def as_png(figure: Figure, name: str, title: str, caption: str, colors: int = 128) -> Picture:
    """Encode a dense figure, in a palette of ``colors``."""
    raw = io.BytesIO()
    with mpl.rc_context(STYLE):
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
