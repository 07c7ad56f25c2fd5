"""Label sets: what was measured in each of a list of windows, for training heads and for evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracks.errors import UsageError
from tracks.grid import WINDOW
from tracks.labels.built import BuiltLabels
from tracks.labels.label_set import LabelSet, rows_of, values
from tracks.labels.project import ProjectLabels
from tracks.labels.published import H5Labels, published_missing
from tracks.project import load_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = [
    "BuiltLabels",
    "H5Labels",
    "LabelSet",
    "ProjectLabels",
    "open_labels",
    "published_missing",
    "rows_of",
    "values",
]


def open_labels(
    path: Path,
    windows: Path | None = None,
    legacy: bool = False,
    stride: int = WINDOW // 2,
    report: Callable[[str], None] = lambda message: None,
) -> LabelSet:
    """Open a label set: a project (``.toml``), what ``tracks labels build`` made (``.zarr``), or HDF5 of the published
    layout with its BED file. ``stride`` is how far apart training windows on the grid start.

    Raises UsageError when it is neither, or the BED file is missing or not wanted.
    """
    if path.suffix == ".toml":
        if windows is not None:
            raise UsageError("a project has windows of its own: leave --windows out, or give HDF5 labels")
        return ProjectLabels(load_project(path), stride, report=report)
    if path.suffix == ".zarr":
        if windows is not None:
            raise UsageError("a label set has windows of its own: leave --windows out")
        return BuiltLabels(path, stride)
    if path.suffix not in (".h5", ".hdf5"):
        raise UsageError(
            f"labels are a project (tracks.toml), a label set (.zarr) or an HDF5 file (.h5), and {path} is none of them"
        )
    if windows is None:
        raise UsageError(
            f"{path} has a row for each window: name the BED file of the windows (--windows sequences.bed)"
        )
    return H5Labels(path, windows, legacy=legacy)
