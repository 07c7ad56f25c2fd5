"""Which files a project opens, and the hubs of others that it shows: ``[files]`` and ``[[hub]]`` of ``tracks.toml``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, model_validator

from tracks.errors import UsageError
from tracks.remote.address import MAX_BYTES, TIMEOUT, Address, Rules, parse_address, parse_prefix

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/{1,2}")


def _without_control(path: Path) -> Path:
    # Files of such names cannot be opened, or would break the line of an error.
    if _CONTROL.search(str(path)):
        raise ValueError("a path has no control characters")
    if _ADDRESS.match(str(path)):
        raise ValueError("only a track's observed file and a hub may lie at an address")
    return path


def _address(given: object) -> Address:
    if not isinstance(given, str):
        raise ValueError("an address is a text")
    try:
        return parse_address(given)
    except UsageError as error:
        raise ValueError(str(error)) from error


def _prefix(given: object) -> Address:
    if not isinstance(given, str):
        raise ValueError("an address is a text")
    try:
        return parse_prefix(given)
    except UsageError as error:
        raise ValueError(str(error)) from error


def _source(given: object) -> Path | Address:
    if isinstance(given, str) and "://" in given:
        return _address(given)
    if not isinstance(given, (str, Path)):
        raise ValueError("a file is a path or an address")
    return _without_control(Path(given))


File = Annotated[Path, AfterValidator(_without_control)]
"""A path in a project file."""
SourceFile = Annotated[Path | Address, PlainValidator(_source)]
"""A path or an address in a project file."""


class Files(BaseModel):
    """``[files]`` of a project file: which files may be opened, and what may be asked of other servers.

    ``roots``: folders; where they are named, each file that the project or a hub names lies in one of them or in the
    project's own. ``urls``: beginnings of the addresses that are opened. ``timeout``: seconds that an answer waits for
    another server. ``max_bytes``: bytes of one such file that one answer may need, and that are kept.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    roots: tuple[File, ...] | None = None
    urls: tuple[Annotated[Address, PlainValidator(_prefix)], ...] = ()
    timeout: float = Field(default=TIMEOUT, gt=0, le=300, allow_inf_nan=False)
    max_bytes: int = Field(default=MAX_BYTES, ge=1 << 20, le=1 << 34)

    @property
    def rules(self) -> Rules:
        """The rules of addresses."""
        return Rules(self.urls, self.timeout, self.max_bytes)


class HubEntry(BaseModel):
    """One ``[[hub]]`` of a project file: a UCSC track hub, whose bigWig tracks of the project's assembly are shown.

    ``tracks`` names those that are, by default all; ``genome`` the hub's genome, by default the project's assembly.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: File | None = None
    url: Annotated[Address, PlainValidator(_address)] | None = None
    tracks: tuple[str, ...] = ()
    genome: str | None = None

    @model_validator(mode="after")
    def _one_place(self) -> HubEntry:
        if (self.path is None) == (self.url is None):
            raise ValueError("a hub has either a path or a url")
        return self

    @property
    def source(self) -> Path | Address:
        """Where its hub.txt is."""
        found = self.path if self.path is not None else self.url
        assert found is not None
        return found
