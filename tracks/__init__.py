"""The data: genomes, regions, the grid, tracks, signal files, and the prediction store.

``tracks.view`` and ``tracks.plot``, for notebooks, come from ``server.notebook`` when they are first used.
"""

from typing import TYPE_CHECKING, Any

from tracks.errors import TracksError, UsageError
from tracks.genome import Genome
from tracks.regions import Region, parse_region
from tracks.track import Track
from tracks.trackdata import TrackData

if TYPE_CHECKING:
    from server.notebook import plot, view

__version__ = "0.1.0"

__all__ = [
    "Genome",
    "Region",
    "Track",
    "TrackData",
    "TracksError",
    "UsageError",
    "parse_region",
    "plot",
    "view",
]


def __getattr__(name: str) -> Any:
    # Names for whoever types `import tracks`; the data itself never needs torch or a server.
    if name in ("plot", "view"):
        import server.notebook

        return getattr(server.notebook, name)
    raise AttributeError(f"module 'tracks' has no attribute '{name}'")
