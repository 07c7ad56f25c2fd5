from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tracks.errors import TracksError
from tracks.parallel import map_in_order

_SLEEPS = """
import sys, time
from tracks.parallel import map_in_order
if __name__ == "__main__":
    try:
        for done in map_in_order(time.sleep, [0, 0] + [30] * 20, 2):
            print("one", flush=True)
    except KeyboardInterrupt:
        sys.exit(130)
"""


def square(number: int) -> int:
    return number**2


def fail(number: int) -> int:
    raise TracksError(f"no {number}")


def leave(number: int) -> int:
    os._exit(9)


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_order(processes: int) -> None:
    assert list(map_in_order(square, range(20), processes)) == [number**2 for number in range(20)]


_MASKS = """
import signal
from tracks.parallel import interrupts_held
import multiprocessing

def mask(results, worker):
    results.put((worker, signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())))

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    for worker in range(2):
        with interrupts_held():
            process = context.Process(target=mask, args=(results, worker))
            process.start()
        print(results.get())
        process.join()
    print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""


def test_the_first_worker_too_begins_with_ctrl_c_held(tmp_path: Path) -> None:
    program = tmp_path / "masks.py"
    program.write_text(_MASKS)
    run = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["(0, True)", "(1, True)", "False"]


def test_what_a_worker_raises_comes_out() -> None:
    with pytest.raises(TracksError, match="no 0"):
        list(map_in_order(fail, range(3), 2))


def test_a_worker_that_was_killed_is_said() -> None:
    with pytest.raises(TracksError, match="a worker process ended before its work was done"):
        list(map_in_order(leave, range(3), 2))


def alive_in_group(group: int) -> list[str]:
    """Processes of a group that have not ended (one that nobody waits for stays in the table of processes)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            name, _, fields = path.read_text().rpartition(") ")
            state, _, own_group = fields.split()[:3]
            if int(own_group) == group and state not in "ZX":
                found.append(name)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_waits_for_nobody(times: int) -> None:
    """Not even where an impatient person presses it twice; workers get the signal too, as of a terminal."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SLEEPS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "one\n"
    started = time.monotonic()
    for _ in range(times):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.1)
    process.wait(20)
    assert time.monotonic() - started < 15
    if times == 1:
        assert process.returncode == 130
        assert process.stderr is not None
        assert process.stderr.read() == ""
    process.communicate()
    deadline = time.monotonic() + 10
    while alive_in_group(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive_in_group(process.pid)
