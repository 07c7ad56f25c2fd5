"""The value that travels: binned values of one or more tracks over one region."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tracks.errors import TracksError
from tracks.grid import BIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.figure import Figure

    from tracks.regions import Region
    from tracks.track import Track


@dataclass(frozen=True, eq=False)
class TrackData:
    """Values float32 ``[bins, tracks]`` over a region, in each track's unit; NaN is missing. Immutable.

    The region (0-based half-open) starts on a bin; its end may cut the last bin short (the end of a chromosome).
    ``chrom_sizes`` are the lengths of the genome's chromosomes, where whoever made it knew them.
    """

    values: np.ndarray
    region: Region
    tracks: tuple[Track, ...]
    resolution: int = BIN
    chrom_sizes: Mapping[str, int] | None = None

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

    def to_dataframe(self) -> pd.DataFrame:
        """Return a table with a row for each bin: ``chrom``, ``start``, ``end`` (int64, 0-based half-open) and a
        float32 column for each track, under its name; missing is NaN."""
        import pandas as pd

        starts = self.region.start + self.resolution * np.arange(len(self.values), dtype=np.int64)
        table = pd.DataFrame(self.values.copy(), columns=[track.name for track in self.tracks])
        ends = np.minimum(starts + self.resolution, self.region.end)
        for at, (name, column) in enumerate((("chrom", self.region.chrom), ("start", starts), ("end", ends))):
            table.insert(at, name, column, allow_duplicates=True)
        return table

    def plot(self, observed: TrackData | None = None, width: float = 7.2) -> Figure:
        """Return a figure, ``width`` inches wide, with a panel for each track, in its unit and its colour.

        ``observed``, of the same region, is drawn behind the tracks of the same name, in grey. A point is the mean of
        so many bins that at most 1,200 are drawn. Raises UsageError for another region or width.
        """
        from tracks.trackdata_figure import draw_tracks

        return draw_tracks(self, observed, width)

    def to_bigwig(
        self, out: str | Path, *, chrom_sizes: Mapping[str, int] | None = None, overwrite: bool = False
    ) -> list[Path]:
        """Write a bigWig for each track that has a value, and return the files.

        ``out`` is a folder, which gets ``<slug>.bw`` for each track, or for a single track a ``.bw`` or ``.bigwig``
        file. ``chrom_sizes`` are those of the genome, by default those that came with the data. Raises UsageError where
        nobody knows them or they do not hold the region, for several tracks and one file, and for a file that is there
        unless ``overwrite``; TracksError when a file cannot be written.
        """
        from tracks.trackdata_bigwig import write_trackdata

        return write_trackdata(self, Path(out), chrom_sizes or self.chrom_sizes, overwrite)
