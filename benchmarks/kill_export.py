"""``kill -9`` at random moments of ``tracks predict --genome-wide``, the same command run again each time.

    python benchmarks/kill_export.py [--kills 20] [--seed 6] [--chrom chr22] [--threads 2]

The export is real: the shipped model on the embedded genome, 4 tracks. Two thirds of the kills come at a moment of the
time that an undisturbed run takes, one third within the time of a run that finds every window known, which only
writes. Whenever a run comes to its end its files are compared with the undisturbed ones byte for byte, and everything
is removed for the next round. Reported: kills by what was being done, windows lost (computed before a kill and not
known after it: at most the one that was being computed), files that differ (0). Fails when one does.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from bars import Bar, show

_COMMAND = """
import sys
import model.engine.base
engine = model.engine.base.TrunkEngine
fast = engine.stream
def counted(self, codes):
    found = fast(self, codes)
    with open(sys.argv[1], "ab") as log:
        log.write(b".")
    return found
engine.stream = counted
from tracks.cli import main
main(sys.argv[2:])
"""


class Export:
    """One export in a folder of its own, run as often as it takes."""

    def __init__(self, folder: Path, words: list[str]) -> None:
        self.out, self.store, self._log = folder / "out", folder / "store", folder / "passes"
        self._words = ["predict", *words, "-o", str(self.out), "--store", str(self.store), "--device", "cpu"]

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", _COMMAND, str(self._log), *self._words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def finish(self, process: subprocess.Popen[bytes]) -> None:
        told, _ = process.communicate()
        if process.returncode:
            raise SystemExit(told.decode())

    def known(self) -> int:
        return sum(1 for _ in self.store.glob("*/*/*/c/*/0"))

    def passes(self) -> int:
        return self._log.stat().st_size if self._log.exists() else 0

    def files(self) -> dict[str, bytes]:
        """All files, hidden ones too, but for the lock, which a killed process leaves and the next one takes."""
        found = self.out.iterdir() if self.out.exists() else ()
        return {path.name: path.read_bytes() for path in found if path.name != ".tracks.lock"}

    def doing(self, windows: int) -> str:
        """What a run that was killed had come to."""
        names = list(self.files())
        if any(not name.startswith(".") for name in names):
            return "naming files"
        return "writing, all windows known" if self.known() == windows else "starting or predicting"

    def forget(self, store: bool) -> None:
        shutil.rmtree(self.out, ignore_errors=True)
        if store:
            shutil.rmtree(self.store)
            self._log.unlink()


def main() -> None:
    """Kill, go on, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--chrom", default="chr22", help="chr20, chr22 or all")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    words = ["--genome-wide", "--threads", str(options.threads)]
    words += [] if options.chrom == "all" else ["--chrom", options.chrom]
    chance = random.Random(options.seed)

    with tempfile.TemporaryDirectory() as folder:
        undisturbed, export = Export(Path(folder) / "one", words), Export(Path(folder) / "other", words)
        for one in (undisturbed, export):
            one.store.parent.mkdir()
        seconds = []
        for _ in range(2):
            started = time.monotonic()
            undisturbed.forget(store=False)
            undisturbed.finish(undisturbed.start())
            seconds.append(time.monotonic() - started)
        windows, expected, computed = undisturbed.known(), undisturbed.files(), undisturbed.passes()
        whole, writing = seconds
        moments: Counter[str] = Counter()
        rounds = differing = lost = 0
        for kill in range(options.kills):
            # Some rounds are left to come to their end before a third of the kills meets a full store.
            only_writing = kill >= options.kills * 2 // 3
            if only_writing and export.known() < windows:
                export.finish(export.start())
            process = export.start()
            time.sleep(chance.uniform(0.2, writing if only_writing else whole))
            over = process.poll() is not None
            process.send_signal(signal.SIGKILL)
            process.communicate()
            # The last thing that a run does is to say that it is done; its files may be complete before that.
            complete = export.files() == expected
            moments["after the files were complete" if over or complete else export.doing(windows)] += 1
            last = kill == options.kills - 1 or (not only_writing and kill + 1 == options.kills * 2 // 3)
            if over or complete or last:
                if not (over or complete):
                    export.finish(export.start())
                rounds += 1
                differing += export.files() != expected
                lost += export.passes() - computed if not only_writing else 0
                export.forget(store=not only_writing and not last)
        print(
            f"undisturbed: {whole:.1f} s, {computed} of {windows} windows computed; "
            f"{writing:.1f} s where all of them are known"
        )
        print(f"kill -9 at {options.kills} random moments (seed {options.seed}):")
        for moment, count in moments.most_common():
            print(f"  {count:3} {moment}")
        print(f"rounds that came to their end and were compared: {rounds}")
        print(f"windows computed twice because a kill met them: {lost} (at most one a kill)")
        print(f"rounds whose files differ from the undisturbed run: {differing}")
        show(
            Bar("rounds of a killed export whose files differ", differing, 0, at_least=False, form="{:.0f}"),
            Bar("windows computed twice, a kill", lost / options.kills, 1, at_least=False),
        )
        if differing or lost > options.kills or not rounds:
            raise SystemExit("the bar is not met")


if __name__ == "__main__":
    main()
