"""A server of one's own for a test: ``tracks serve`` on the embedded data, as slow or faulty as the test wants it."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import command_line
from tracks.genome import demo_project

SLOW = """
import time
import model.predict
quick = model.predict.Predictor.inputs
def slow(*args, **options):
    time.sleep({seconds})
    return quick(*args, **options)
model.predict.Predictor.inputs = slow
"""
"""Python to run first: a model that takes so many seconds more for each window."""

BROKEN = """
import model.predict
from tracks.errors import TracksError
quick = model.predict.Predictor.head_window
def broken(self, inputs, head):
    if head == {head!r}:
        raise TracksError("the weights are no numbers")
    return quick(self, inputs, head)
model.predict.Predictor.head_window = broken
"""
"""Python to run first: a head that fails at every window."""


@dataclass
class Serving:
    """A running server: its process and its address."""

    process: subprocess.Popen[str]
    address: str

    @property
    def port(self) -> int:
        return int(self.address.rstrip("/").rpartition(":")[2])

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=60)


@contextmanager
def serving(store: Path, *options: object, port: int = 0, before: str = "") -> Iterator[Serving]:
    """Run ``tracks serve`` on the embedded data for as long as the block runs, with a store of its own and nothing
    predicted but what is looked at."""
    words = ("serve", demo_project(), "--store", store, "--port", port, "--no-browser", *options)
    with listening(command_line(*words, before=before)) as server:
        yield server


@contextmanager
def listening(words: list[str]) -> Iterator[Serving]:
    """Run a command that serves for as long as the block runs, from when it has said where."""
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+/", line)
        assert found is not None, f"the command printed no address: {line!r}"
        yield Serving(process, found[0])
    finally:
        process.terminate()
        process.communicate(timeout=60)
