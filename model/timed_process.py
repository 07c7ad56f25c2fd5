"""Processes that measure whenever they are asked: those that are asked in turn see the same moments of a machine, and
each one's memory and allocator are its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tracks.errors import TracksError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    import torch


class Timed:
    """A process that answers each line with a line of JSON. Use it in a ``with`` block, which ends it."""

    def __init__(self, words: Sequence[str | Path], cwd: Path | None = None) -> None:
        self._errors: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [str(word) for word in words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=cwd,
        )

    def ready(self) -> dict[str, Any]:
        """Wait until it is set up; return what it says of itself. Raises TracksError when it cannot be."""
        return self._answer()

    def ask(self, request: str) -> dict[str, Any]:
        """Return the answer to a request. Raises TracksError with the process's own line when it fails."""
        assert self._process.stdin is not None
        # Where it has ended, what it said last is read below.
        with suppress(BrokenPipeError):
            self._process.stdin.write(request + "\n")
            self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            self._errors.seek(0)
            said = self._errors.read().strip().splitlines()
            raise TracksError(said[-1] if said else f"the process that was measured ended with {code}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise TracksError(answer["error"])
        return answer

    def __enter__(self) -> Timed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                with suppress(BrokenPipeError):  # by a request that it did not live to read
                    stream.close()


def serve(start: Callable[[], tuple[dict[str, Any], Callable[[str], dict[str, Any]]]]) -> None:
    """Set up, say so, and answer the lines of standard input until it ends. ``start`` returns what there is to say, and
    the function that answers a request. What libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    try:
        about, answer = start()
        say(about)
        for line in sys.stdin:
            say(answer(line.strip()))
    except TracksError as error:
        say({"error": str(error)})


def peak_memory(device: torch.device) -> int:
    """Return the most bytes that this process has used so far: of the GPU where it works on one, else of memory."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        # Not ru_maxrss, which on Linux begins with what the process that started this one had.
        status = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        try:
            import resource
        except ImportError:  # Windows
            return 0
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
