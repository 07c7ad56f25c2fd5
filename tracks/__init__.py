"""The data: genomes, regions, the grid, tracks, signal files, and the prediction store."""

from tracks.errors import TracksError, UsageError
from tracks.genome import Genome
from tracks.regions import Region, parse_region
from tracks.track import Track
from tracks.trackdata import TrackData

__version__ = "0.1.0"

__all__ = ["Genome", "Region", "Track", "TrackData", "TracksError", "UsageError", "parse_region"]
