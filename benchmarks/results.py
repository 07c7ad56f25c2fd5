"""Run the benchmarks one after the other and write ``benchmarks/RESULTS.md``: ``make bench``.

    python benchmarks/results.py [--only engine --only sharing] [--list] [-o FILE]

Each part is a script of this folder in a process of its own, whose Markdown goes into the file as it is, with its
command, its time and the load of the machine when it began; a part that fails is said to have failed. Bars, which
scripts print by ``bars.show``, are gathered at the top. On a machine that does nothing else it takes about 20 minutes.
With ``--only`` the text goes to standard output, unless ``-o`` names a file.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from bars import HEADER

from model.compute import physical_cores
from model.machine import describe_machine
from tracks.files import write_text
from tracks.markdown import table_lines

HERE = Path(__file__).parent
ROOT = HERE.parent
_LONGEST = 1200.0
_COMMAND = "from tracks.cli import main; main()"


@dataclass(frozen=True)
class Part:
    """A script of this folder, or a command of this project, and its words."""

    name: str
    title: str
    words: tuple[str, ...] = ()
    is_command: bool = False

    @property
    def arguments(self) -> list[str]:
        """What Python is to run."""
        return ["-c", _COMMAND, self.name, *self.words] if self.is_command else [self._script, *self.words]

    @property
    def shown(self) -> str:
        """How a person runs it."""
        return " ".join([*(("tracks", self.name) if self.is_command else ("python", self._script)), *self.words])

    @property
    def _script(self) -> str:
        return f"{HERE.name}/{self.name}.py"


PARTS = (
    Part("bench", "This machine", is_command=True),
    Part("engine", "A window, against plain PyTorch, tf-keras and matrix products"),
    Part("precisions", "Agreement of the precisions with fp32"),
    Part("sharing", "What passes share; seams"),
    Part("whole_command", "Cost and memory against length"),
    Part("shards", "Shards"),
    Part("kill_export", "Exports that are killed"),
    Part("bigwig_export", "Writing an export from a full store"),
    Part("bigwig_files", "bigWig files, written and read"),
    Part("observed_tiles", "Tiles of measured tracks, against clodius"),
    Part("predicted_tiles", "Tiles of predicted tracks", ("--share", "0.1")),
    Part("virtual", "Virtual bigWigs"),
    Part("label_binning", "Labels, against pyBigWig", ("--bases", "40000000")),
)


@dataclass(frozen=True)
class Outcome:
    """What came of a part; ``failed`` is empty where it ran to its end."""

    part: Part
    text: str
    failed: str
    began: dt.datetime
    seconds: float
    load: float


def run(part: Part) -> Outcome:
    """Run a part to its end, or to the longest time it may take."""
    began, started, load = dt.datetime.now(), time.perf_counter(), os.getloadavg()[0]

    def outcome(text: str, failed: str) -> Outcome:
        return Outcome(part, text, failed, began, time.perf_counter() - started, load)

    process = subprocess.Popen(
        [sys.executable, *part.arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,  # so that what it started ends with it
    )
    try:
        said, errors = process.communicate(timeout=_LONGEST)
    except BaseException as stopped:
        os.killpg(process.pid, signal.SIGKILL)
        said, errors = process.communicate()
        if not isinstance(stopped, subprocess.TimeoutExpired):
            raise
        return outcome(said, f"it was not done after {_LONGEST:.0f} s")
    last = (errors.strip().splitlines() or [""])[-1]
    return outcome(said, f"exit status {process.returncode}: {last}" if process.returncode else "")


def as_markdown(text: str) -> str:
    """Return a script's output as Markdown: tables as they are; text whose columns line up stays so."""
    blocks: list[list[str]] = [[]]
    for line in text.splitlines():
        if not line.strip() or (blocks[-1] and (line[0] == "|") != (blocks[-1][-1][0] == "|")):
            blocks.append([])
        if line.strip():
            blocks[-1].append(line.rstrip())
    made = []
    for block in filter(None, blocks):
        aligned = any("  " in line for line in block) and block[0][0] != "|"
        made.append("\n".join(["```text", *block, "```"] if aligned else block))
    return "\n\n".join(made)


def bars(text: str) -> list[list[str]]:
    """Return the rows of the tables of bars in a script's output."""
    rows, inside = [], False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if cells == list(HEADER):
            inside = True
        elif not cells:
            inside = False
        elif inside and set(line) - set("|-: "):
            rows.append(cells)
    return rows


def without_places(text: str) -> str:
    """Take this machine's folders out of a text that is to be passed on."""
    for place, short in ((ROOT, "."), (Path.home(), "~")):
        text = text.replace(f"{place}/", f"{short}/")
    return text


def section(outcome: Outcome) -> str:
    """A part's section."""
    when = f"{outcome.began:%Y-%m-%d %H:%M}, {outcome.seconds:.0f} s, load {outcome.load:.1f} before"
    head = f"`{outcome.part.shown}`, {when}."
    failed = f"**It failed**: {outcome.failed}" if outcome.failed else ""
    return "\n\n".join(filter(None, [f"## {outcome.part.title}", head, failed, as_markdown(outcome.text)]))


def version() -> str:
    """The commit that is measured, where this is a checkout."""
    try:
        words = ["git", "describe", "--always", "--dirty=, with changes", "--exclude=*"]
        return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "no checkout"


def document(outcomes: list[Outcome]) -> str:
    """The whole text."""
    machine = describe_machine(torch.device("cpu"), physical_cores())
    rows = [[*row[:4], outcome.part.name] for outcome in outcomes for row in bars(outcome.text)]
    seconds = sum(outcome.seconds for outcome in outcomes)
    features = f" ({', '.join(machine.features)})" if machine.features else ""
    lines = [
        "# Results",
        "",
        "Written by `make bench`. What is compared was measured side by side, in turns, in one run.",
        "",
        f"{outcomes[0].began:%Y-%m-%d}, {seconds / 60:.0f} minutes, commit {version()}; tracks {machine.tracks}, torch "
        f"{machine.torch}, Python {machine.python}, {machine.system}; {machine.processor}{features}, {machine.cores} "
        f"cores, {(machine.memory or 0) / 2**30:.1f} GiB. No GPU was measured.",
        "",
        "## Bars",
        "",
        *(table_lines([*HEADER, "part"], rows) if rows else ["No part printed a bar."]),
    ]
    failed = [f"`{outcome.part.name}` failed: {outcome.failed}" for outcome in outcomes if outcome.failed]
    if failed:
        lines += ["", *failed]
    return without_places("\n\n".join(["\n".join(lines), *map(section, outcomes)]) + "\n")


def main() -> None:
    """Run and write; exit with 1 when a part failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=[part.name for part in PARTS], help="a part (repeatable)")
    parser.add_argument("--list", action="store_true", help="name the parts and stop")
    parser.add_argument("-o", "--out", type=Path, help="file [default: RESULTS.md; none with --only]")
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{part.name:16} {part.title}" for part in PARTS))
        return
    outcomes = []
    for part in PARTS:
        if options.only is None or part.name in options.only:
            print(f"{part.name} ...", file=sys.stderr, flush=True)
            outcomes.append(run(part))
            rows = bars(outcomes[-1].text)
            missed = [row[0] for row in rows if row[3] != "yes"]
            told = outcomes[-1].failed or f"{len(rows)} bars, {len(missed)} not met {missed or ''}"
            print(f"    {outcomes[-1].seconds:.0f} s; {told}", file=sys.stderr, flush=True)
    text = document(outcomes)
    out = options.out or (None if options.only else HERE / "RESULTS.md")
    if out is None:
        print(text, end="")
    else:
        write_text(out, text)
        print(f"wrote {out}", file=sys.stderr)
    sys.exit(any(outcome.failed for outcome in outcomes))


if __name__ == "__main__":
    main()
