"""One process at a time in an output folder."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tracks.errors import TracksError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK_NAME = ".tracks.lock"

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
_NOTE = 512
"""Most bytes that are read of who holds a lock."""


@contextmanager
def folder_lock(out: Path, what: str) -> Iterator[bool]:
    """Keep a folder, which is made if need be, for this process; ``what`` says in a few words what it does there.

    Yields whether the folder could be locked. On a file system without locks (some clusters' scratch disks) it says
    False, and work goes on: it would be worse to refuse such disks than to let somebody who starts an export twice
    have it written twice, as files of the same bytes that get their names whole. Who cleans up after others must not
    do so then.

    The lock ends with the process, however that ends, and the file with the lock. Not to be nested: a second call
    for the folder is refused in the same process too. Raises UsageError at once when another process holds the
    folder, and TracksError when it cannot be made or written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        handle, locked = _locked(out, what)
    except OSError as error:
        raise TracksError(f"cannot write to {out}: {error.strerror}") from error
    try:
        yield locked
    finally:
        if locked:
            # While it is locked: who opened it before finds it gone, and tries again with a file of its own.
            (out / LOCK_NAME).unlink(missing_ok=True)
        os.close(handle)


def _locked(out: Path, what: str) -> tuple[int, bool]:
    """Open and lock the file. Raises OSError, and UsageError where another has the lock."""
    path = out / LOCK_NAME
    while True:
        # Opened for writing, since NFS locks no other files.
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _is_at(handle, path):
                os.close(handle)
                continue
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{what}, process {os.getpid()} on {socket.gethostname()}".encode()[:_NOTE], 0)
            return handle, True
        except OSError as error:
            if error.errno in _NO_LOCKS:
                path.unlink(missing_ok=True)
                return handle, False
            holder = os.pread(handle, _NOTE, 0).decode(errors="replace") or "another process"
            os.close(handle)
            if isinstance(error, BlockingIOError):
                raise UsageError(
                    f"{out} is in use ({holder}); wait for it to end, stop it, or choose another folder"
                ) from error
            raise


def _is_at(handle: int, path: Path) -> bool:
    """Say whether an open file still has its name."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
