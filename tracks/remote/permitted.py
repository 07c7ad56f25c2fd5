"""What a project permits to be opened: ``[files]`` of a project file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tracks.errors import UsageError, first_few
from tracks.remote.address import Address, Rules, hidden, looks_like_address, parse_address

if TYPE_CHECKING:
    from pathlib import Path

    from tracks.remote.source import Source

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_SHOWN = 200


@dataclass(frozen=True)
class Permitted:
    """Folders (symbolic links resolved) that files may lie in, None for any, and the rules of addresses."""

    folders: tuple[Path, ...] | None = None
    rules: Rules = field(default_factory=Rules)

    @classmethod
    def below(cls, folders: tuple[Path, ...] | None, rules: Rules) -> Permitted:
        """Return what permits files in these folders, wherever they lie."""
        return cls(None if folders is None else tuple(_resolved(folder) for folder in folders), rules)

    def path(self, path: Path) -> Path:
        """Return a path, with symbolic links resolved where it matters. Raises UsageError when it leads outside."""
        if self.folders is None:
            return path
        found = _resolved(path)
        if not any(found.is_relative_to(folder) for folder in self.folders):
            leads = "" if found == path else f", which leads to {found},"
            raise UsageError(
                f"{path}{leads} is not opened: it is not below {first_few([str(folder) for folder in self.folders])}; "
                "[files] roots of the project file names the folders that may be read"
            )
        return found

    def source(self, text: str, beside: Source) -> Source:
        """Return the file that a text of another's names: an address, or a path beside the file that holds the text.

        A file on another server names no path of this machine. Raises UsageError when it is not permitted.
        """
        shown = _shown(text)
        if not text or _CONTROL.search(text):
            raise UsageError(f"'{shown}' is no file's name")
        if isinstance(beside, Address):
            return self.rules.check(beside.joined(text))
        if looks_like_address(text):
            return self.rules.check(parse_address(text))
        # A folder that any file may be named from is no limit, and what others wrote needs one.
        if self.folders is None:
            raise UsageError(f"'{shown}' is not opened: no folder is named that it may lie in")
        try:
            found = self.path(beside.parent / text)
        except UsageError as error:
            raise UsageError(f"'{shown}' is not opened: it leads outside the folders that may be read") from error
        try:
            there = found.is_file()
        except OSError:  # a name that is too long, for one
            there = False
        if not there:
            raise UsageError(f"there is no file '{shown}' beside {beside.name}")
        return found


def _shown(text: str) -> str:
    return hidden(_CONTROL.sub(" ", text))[:_SHOWN]


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:  # a link that leads to itself
        raise UsageError(f"{path} leads nowhere: its symbolic links go round") from error
