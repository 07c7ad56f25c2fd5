"""Eight readers of a virtual bigWig at once, at random places, some of which vanish: through a real ``tracks serve``.

    python benchmarks/virtual_readers.py [--seconds 60] [--readers 8] [--model FOLDER]

A random genome of 64 Mb is predicted as it is read. Each reader asks for one to four windows at a random place of
``chrRead``, by a range with an end or without, and reads them; one in three hangs up in the middle. What is read to its
end is compared, byte for byte, with the same range read again when all is done. Beside them, others ask for windows of
``chrGone``, where nobody else reads, and hang up at once: what is predicted there was computed for nobody. The bar: no
error, nothing computed for a closed connection after it was looked at, and memory that does not grow: the resident
memory of the server is said for each sixth of the time.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tracks.grid import WINDOW
from tracks.virtual import SLOT, Totals, lay_out

SERVE = "from tracks.cli import main; main()"
SIZES = {"chrGone": 16_000_000, "chrRead": 48_000_000}
PROJECT = """
name = "random"
genome = "random.fa"
[[track]]
name = "CpG methylation IMR90"
assay = "WGBS"
biosample = "IMR90"
unit = "methylated fraction"
color = "#d95f02"
"""


@dataclass
class Tally:
    """What the readers saw."""

    whole: list[tuple[int, int, bytes]] = field(default_factory=list)
    vanished: int = 0
    gone: int = 0
    errors: list[str] = field(default_factory=list)


def first_sections() -> dict[str, int]:
    """Return where each chromosome's sections begin."""
    layout = lay_out(SIZES, Totals(1, 0.0, 1.0, 0.5, 0.3), SLOT)
    windows = -(-SIZES["chrGone"] // WINDOW)
    return {"chrGone": layout.sections_at, "chrRead": layout.sections_at + windows * SLOT}


def read(port: int, path: str, seconds: float, number: int, tally: Tally) -> None:
    """Read at random places for a time."""
    rng = random.Random(number)
    begin, end = first_sections()["chrRead"], time.monotonic() + seconds
    while time.monotonic() < end:
        first = begin + rng.randrange(SIZES["chrRead"] // WINDOW - 4) * SLOT
        length = rng.randint(1, 4) * SLOT
        open_ended, leaves = rng.random() < 0.5, rng.random() < 1 / 3
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            last = "" if open_ended else str(first + length - 1)
            connection.request("GET", path, headers={"Range": f"bytes={first}-{last}"})
            answer = connection.getresponse()
            if answer.status != 206:
                tally.errors.append(f"{answer.status} {answer.read(200)!r}")
            elif leaves:
                answer.read(rng.randrange(length))
                tally.vanished += 1
            else:
                tally.whole.append((first, length, answer.read(length)))
            answer.close()
            connection.close()
        except (OSError, http.client.HTTPException) as error:
            tally.errors.append(repr(error))


def vanish(port: int, path: str, seconds: float, tally: Tally) -> None:
    """Ask, and hang up at once, again and again."""
    begin, end, at = first_sections()["chrGone"], time.monotonic() + seconds, 0
    while time.monotonic() < end:
        first = begin + at % (SIZES["chrGone"] // WINDOW) * SLOT
        asking = socket.create_connection(("127.0.0.1", port))
        asking.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nRange: bytes={first}-\r\n\r\n".encode())
        asking.close()
        tally.gone, at = tally.gone + 1, at + 1
        time.sleep(0.25)


def resident(pid: int) -> float:
    """Return a process's resident memory in MB."""
    found = re.search(r"VmRSS:\s*(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


def ask(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    said = connection.getresponse().read()
    connection.close()
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--readers", type=int, default=8)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rng = np.random.default_rng(1)
        with (folder / "random.fa").open("wb") as file:
            for chrom, length in SIZES.items():
                file.write(f">{chrom}\n".encode() + rng.choice(np.frombuffer(b"ACGT", np.uint8), length).tobytes())
                file.write(b"\n")
        (folder / "tracks.toml").write_text(PROJECT)
        words = [sys.executable, "-c", SERVE, "serve", str(folder / "tracks.toml"), "--no-browser", "--port", "0"]
        words += ["--store", str(folder / "store"), *(["--model", str(options.model)] if options.model else [])]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                found = re.search(r":(\d+)/", process.stdout.readline())
                assert found is not None
                run(int(found[1]), process.pid, options.seconds, options.readers)
            finally:
                process.terminate()


def run(port: int, pid: int, seconds: float, readers: int) -> None:
    listed = re.search(r"(/virtual/\w+/)", json.loads(ask(port, "/virtual/x/y.bw"))["error"].partition("there are")[2])
    assert listed is not None
    path = f"{listed[1]}cpg_methylation_imr90.bw"
    tally = Tally()
    threads = [threading.Thread(target=read, args=(port, path, seconds, at, tally)) for at in range(readers)]
    threads.append(threading.Thread(target=vanish, args=(port, path, seconds, tally)))
    for thread in threads:
        thread.start()
    memory = []
    for _ in range(6):
        time.sleep(seconds / 6)
        memory.append(resident(pid))
    for thread in threads:
        thread.join()
    time.sleep(2)
    status = json.loads(ask(port, "/api/status"))
    gone = json.loads(ask(port, "/api/overview?chrom=chrGone"))
    differ = 0
    for first, length, before in tally.whole:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", path, headers={"Range": f"bytes={first}-{first + length - 1}"})
        differ += connection.getresponse().read() != before
        connection.close()
    print(f"{len(tally.whole)} answers read, {tally.vanished} left in the middle, {tally.gone} left at once")
    print(f"errors: {len(tally.errors)} {tally.errors[:3]}; answers that differ when read again: {differ}")
    print(f"windows computed: {status['known']}, still waited for: {status['queued']}, failed: {status['failed']}")
    print(f"bases computed for nobody: {sum(end - start for start, end in gone['known']):,}")
    print(f"resident memory, MB: {', '.join(f'{value:.0f}' for value in memory)}")


if __name__ == "__main__":
    main()
