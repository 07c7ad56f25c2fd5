"""Digests of a genome's chromosomes, kept from one run to the next: hg38 takes three quarters of a minute to read."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from tracks.errors import TracksError
from tracks.files import write_text

if TYPE_CHECKING:
    from pathlib import Path

_NAME = "genomes.json"


class DigestMemory:
    """The digests of chromosomes by the FASTA file that they are in, kept in ``folder/genomes.json``.

    They count for as long as the file is the same by its size, times and inode. What cannot be kept, or read, is made
    again. Of processes that write at once one may win; what the other found is then made again, too.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME
        self._read: dict[Path, list[int]] = {}

    def recall(self, fasta: Path) -> dict[str, str]:
        """Return the digests of a FASTA file's chromosomes that are known, by their names."""
        now = self._read.setdefault(fasta, _identity(fasta))
        entry = self._entries().get(str(fasta.absolute()))
        if not isinstance(entry, dict) or entry.get("file") != now:
            return {}
        digests = entry.get("digests")
        return digests if isinstance(digests, dict) else {}

    def keep(self, fasta: Path, digests: dict[str, str]) -> None:
        """Keep the digests of a FASTA file's chromosomes beside those that are known; not where the file is another one
        than it was first, since digests read from that may not be its own."""
        now = _identity(fasta)
        if self._read.setdefault(fasta, now) != now:
            return
        entry = {"file": now, "digests": {**self.recall(fasta), **digests}}
        entries = {**self._entries(), str(fasta.absolute()): entry}
        # A store that cannot be written to stays as it is.
        with contextlib.suppress(OSError, TracksError):
            write_text(self._path, json.dumps(entries, indent=1))

    def _entries(self) -> dict[str, Any]:
        try:
            found = json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


def _identity(fasta: Path) -> list[int]:
    try:
        found = fasta.stat()
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
