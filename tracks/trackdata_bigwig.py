"""TrackData as bigWig files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracks.bigwig import Bins, write_bigwig
from tracks.bigwig_reader import BIGWIG_SUFFIXES
from tracks.errors import UsageError
from tracks.export import write_tracks
from tracks.files import check_absent
from tracks.grid import BIN
from tracks.regions import check_chrom

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tracks.trackdata import TrackData


def write_trackdata(
    data: TrackData, out: Path, chrom_sizes: Mapping[str, int] | None, overwrite: bool = False
) -> list[Path]:
    """Write ``data`` as ``TrackData.to_bigwig`` says, and return the files."""
    if chrom_sizes is None:
        raise UsageError("a bigWig names the genome's chromosome lengths; give chrom_sizes=Genome(fasta).chrom_sizes")
    check_chrom(data.region.chrom, chrom_sizes, "chrom_sizes")
    if data.region.end > chrom_sizes[data.region.chrom]:
        raise UsageError(f"{data.region} reaches past the end of {data.region.chrom} in chrom_sizes")
    if data.resolution != BIN:
        raise UsageError(f"bigWigs are written of bins of {BIN} bases, and these have {data.resolution}")
    if not out.name.lower().endswith(BIGWIG_SUFFIXES):
        written = write_tracks(out, lambda: [data], data.tracks, chrom_sizes, overwrite=overwrite)
        return [entry.path for entry in written if entry.path is not None]
    if len(data.tracks) != 1:
        raise UsageError(f"{out} is one file, and there are {len(data.tracks)} tracks; name a folder")
    check_absent(out, overwrite)
    if not np.isfinite(data.values).any():
        return []
    write_bigwig(out, chrom_sizes, [Bins(data.region.chrom, data.region.start // BIN, data.values[:, 0])])
    return [out]
