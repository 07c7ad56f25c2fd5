"""The value that travels: binned values of one or more tracks over one region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracks.errors import TracksError
from tracks.grid import BIN

if TYPE_CHECKING:
    from tracks.regions import Region
    from tracks.track import Track


@dataclass(frozen=True, eq=False)
class TrackData:
    """Values float32 ``[bins, tracks]`` over a region, in each track's unit; NaN is missing. Immutable.

    The region starts on a bin; its end may cut the last bin short (the end of a chromosome).
    """

    values: np.ndarray
    region: Region
    tracks: tuple[Track, ...]
    resolution: int = BIN

    def __post_init__(self) -> None:
        if self.region.start % self.resolution:
            raise TracksError(f"{self.region} does not start on a bin of {self.resolution} bases")
        shape = (-(-len(self.region) // self.resolution), len(self.tracks))
        if self.values.shape != shape or self.values.dtype != np.float32:
            raise TracksError(
                f"values for {self.region} must be float32 {shape}, found {self.values.dtype} {self.values.shape}"
            )
        values = self.values.view()
        values.flags.writeable = False
        object.__setattr__(self, "values", values)

    def column(self, track: Track) -> np.ndarray:
        """Return one track's values, float32 ``[bins]``."""
        column: np.ndarray = self.values[:, self.tracks.index(track)]
        return column
