"""Virtual bigWigs as ordinary files, the same byte for byte."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from tracks.files import written_beside
from tracks.grid import window_count
from tracks.virtual.virtual_bigwig import VirtualBigWig

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tracks.virtual.layout import Layout
    from tracks.virtual.values import Values


def materialize(
    path: Path,
    layout: Layout,
    values: Values,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write all bytes of a virtual bigWig to ``path``; see ``materialize_all``."""
    materialize_all({path: VirtualBigWig(layout, values)}, progress)


def materialize_all(
    files: Mapping[Path, VirtualBigWig], progress: Callable[[int, int], None] = lambda done, total: None
) -> None:
    """Write all bytes of some virtual bigWigs, whole or not at all; files that are there are replaced.

    They get their names together, at the end. Stretches of zeros become holes, which take no room on most disks.
    ``progress`` is told the windows written, of all files, and in all. Raises what the values raise, and TracksError
    when a file cannot be written.
    """
    total = sum(window_count(length) for virtual in files.values() for length in virtual.layout.lengths)
    done = 0
    with ExitStack() as finals:
        for path, virtual in files.items():
            with finals.enter_context(written_beside(path)).open("wb") as file:
                offset = 0
                for part in virtual.parts(0, virtual.size):
                    if part.count(0) < len(part):
                        file.seek(offset)
                        file.write(part)
                    if virtual.windows(offset, len(part)):
                        done += 1
                        progress(done, total)
                    offset += len(part)
