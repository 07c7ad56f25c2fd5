"""What goes wrong with a file on another server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracks.errors import TracksError

if TYPE_CHECKING:
    from tracks.remote.address import Address


class RemoteError(TracksError):
    """A file on another server cannot be read. ``why`` names neither the address nor the server, so that anybody may
    read it; ``lasting`` says that to ask again at once is of no use."""

    def __init__(self, address: Address, why: str, *, lasting: bool = True) -> None:
        super().__init__(f"cannot read {address}: {why}")
        self.address, self.why, self.lasting = address, why, lasting

    def again(self) -> RemoteError:
        """Return the same error, to be raised once more: elsewhere, where one that was raised has its own history."""
        return RemoteError(self.address, self.why, lasting=self.lasting)

    @property
    def public(self) -> str:
        """What may be told to people who are not to know where the file is."""
        return f"this file is on another server, and cannot be read now: {self.why}"


class RemoteChangedError(RemoteError):
    """A file on another server is no longer the one that was opened."""

    def __init__(self, address: Address) -> None:
        super().__init__(address, "it changed at its server while it was open; it is opened anew", lasting=False)

    def again(self) -> RemoteChangedError:
        """Return the same error, to be raised once more."""
        return RemoteChangedError(self.address)
