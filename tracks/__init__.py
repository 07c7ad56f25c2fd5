"""The data: genomes, regions, the grid, tracks, signal files, and the prediction store.

``tracks.predict``, ``tracks.observe`` and ``tracks.region_table`` come from ``model.api`` when they are first used, and
``tracks.view`` and ``tracks.plot``, for notebooks, from ``server.notebook``.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tracks.errors import TracksError, UsageError
from tracks.genome import Genome
from tracks.regions import Region, parse_region
from tracks.track import Track
from tracks.trackdata import TrackData

if TYPE_CHECKING:
    from model.api import observe, predict, region_table
    from server.notebook import plot, view

__version__ = "0.1.0"

__all__ = [
    "Genome",
    "Region",
    "Track",
    "TrackData",
    "TracksError",
    "UsageError",
    "observe",
    "parse_region",
    "plot",
    "predict",
    "region_table",
    "view",
]

_LAZY = {
    "observe": "model.api",
    "plot": "server.notebook",
    "predict": "model.api",
    "region_table": "model.api",
    "view": "server.notebook",
}


def __getattr__(name: str) -> Any:
    # Names for whoever types `import tracks`; the data itself never needs torch or a server.
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'tracks' has no attribute '{name}'")
