"""Files of a hub that was written to a folder before."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tracks.hub.files import CUSTOM, HUB_TXT, IGV_JSON, IGV_XML, INDEX, JBROWSE, SIZES

if TYPE_CHECKING:
    from pathlib import Path

_LARGEST = 1 << 24
_PAGE = re.compile(r"[A-Za-z][A-Za-z0-9_]*\.html")


def former_files(out: Path) -> frozenset[str]:
    """Return the names of the files of the hub that a folder holds, where it is one that ``tracks hub`` wrote: all that
    such a hub has are there, and its tracks' files are named after the tracks. Otherwise none."""
    if not all((out / name).is_file() for name in (HUB_TXT, IGV_XML, IGV_JSON, JBROWSE, SIZES, INDEX)):
        return frozenset()
    try:
        with (out / HUB_TXT).open(encoding="utf-8") as file:
            text = file.read(_LARGEST)
    except (OSError, ValueError):
        return frozenset()
    named = {CUSTOM}
    for paragraph in text.split("\n\n"):
        settings = dict(line.partition(" ")[::2] for line in paragraph.splitlines())
        track, url, page = (settings.get(name, "") for name in ("track", "bigDataUrl", "html"))
        if url not in ("", f"{track}.bw", f"{track}.bb"):
            return frozenset()
        named.update(name for name in (url, page if _PAGE.fullmatch(page) else "") if name)
    return frozenset(name for name in named if (out / name).is_file())
