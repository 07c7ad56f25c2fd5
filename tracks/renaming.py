"""Giving several files their names together, so that a run that is killed meanwhile can simply be repeated."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tracks.files import sync_folder, write_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LIST_NAME = ".tracks.renaming.json"
"""Lists names that are being given in its folder; it is there only meanwhile, or when the run was killed just then."""


def unfinished_names(folder: Path) -> frozenset[str]:
    """Return the names that a run was giving when it was killed: some of these files may be there, others not."""
    try:
        return frozenset(json.loads((folder / LIST_NAME).read_bytes()))
    except (OSError, ValueError, TypeError):
        return frozenset()


def rename_together(folder: Path, files: Mapping[str, Path | None]) -> None:
    """Give files of a folder, whose content is on the disk, the names that they are under; for None, remove a file of
    that name. Files there are replaced. Not for two processes at once. Raises OSError, and TracksError."""
    others = unfinished_names(folder) - files.keys()
    write_text(folder / LIST_NAME, json.dumps(sorted(others | files.keys())))
    for name, path in files.items():
        if path is None:
            (folder / name).unlink(missing_ok=True)
        else:
            path.replace(folder / name)
    sync_folder(folder)
    if others:
        write_text(folder / LIST_NAME, json.dumps(sorted(others)))
    else:
        (folder / LIST_NAME).unlink()
    sync_folder(folder)
