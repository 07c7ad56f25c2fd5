from __future__ import annotations

import errno
import fcntl
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tracks.errors import TracksError, UsageError
from tracks.folder_lock import LOCK_NAME, folder_lock

_HOLD = """
import sys, time
from pathlib import Path
from tracks.folder_lock import folder_lock
with folder_lock(Path(sys.argv[1]), "an export"):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _HOLD, str(out)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_refused_at_once_and_told_who(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    process = holder(out)
    with pytest.raises(UsageError) as refused, folder_lock(out, "another"):
        pass
    message = str(refused.value)
    assert f"{out} is in use (an export, process {process.pid} on {socket.gethostname()})" in message
    assert "\n" not in message
    process.communicate("")
    assert list(out.iterdir()) == []
    with folder_lock(out, "another") as locked:
        assert locked


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    process = holder(tmp_path)
    process.kill()
    process.communicate()
    assert (tmp_path / LOCK_NAME).exists()
    with folder_lock(tmp_path, "an export") as locked:
        assert locked
        assert str(os.getpid()) in (tmp_path / LOCK_NAME).read_text()
        assert str(process.pid) not in (tmp_path / LOCK_NAME).read_text()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_no_lock(tmp_path: Path, failure: type[BaseException]) -> None:
    with pytest.raises(failure), folder_lock(tmp_path, "an export"):
        raise failure
    with folder_lock(tmp_path, "an export"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_it_does_not_nest(tmp_path: Path) -> None:
    with folder_lock(tmp_path, "one"):
        with pytest.raises(UsageError, match="in use"), folder_lock(tmp_path, "two"):
            pass
        with pytest.raises(UsageError, match="in use"), folder_lock(tmp_path, "three"):
            pass


def test_many_that_come_and_go_never_hold_it_together(tmp_path: Path) -> None:
    """A lock whose file is removed at the end must not be taken on the removed file."""
    inside, most, turns = 0, 0, 0
    guard = threading.Lock()

    def come_and_go() -> None:
        nonlocal inside, most, turns
        for _ in range(300):
            try:
                with folder_lock(tmp_path, "an export"):
                    with guard:
                        inside += 1
                        most = max(most, inside)
                        turns += 1
                    with guard:
                        inside -= 1
            except UsageError:
                pass

    threads = [threading.Thread(target=come_and_go) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert turns > 20
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def flock(handle: int, how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with folder_lock(tmp_path, "one") as locked, folder_lock(tmp_path, "two") as also:
        assert not locked
        assert not also
        assert list(tmp_path.iterdir()) == []


def test_another_failure_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(handle: int, how: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(TracksError, match=r"cannot write to .*Input/output error"), folder_lock(tmp_path, "one"):
        pass


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TracksError, match="cannot write to"), folder_lock(tmp_path / "file" / "out", "an export"):
        pass
