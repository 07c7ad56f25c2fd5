"""What happens in the background, told to every page that listens: a short log that readers follow by serial number."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

_KEPT = 1024


@dataclass(frozen=True)
class Event:
    """One thing that happened: ``status``, ``changed``, ``job``, or ``reset`` for a reader who has missed some."""

    kind: str
    data: dict[str, Any]


class Events:
    """A bounded log. ``after`` waits for what is new; any number of threads may publish and read."""

    def __init__(self) -> None:
        self._log: deque[Event] = deque(maxlen=_KEPT)
        self._serial = 0
        self._change = threading.Condition()

    @property
    def serial(self) -> int:
        """The number of the last event."""
        return self._serial

    def publish(self, kind: str, data: dict[str, Any]) -> None:
        """Tell every reader."""
        with self._change:
            self._log.append(Event(kind, data))
            self._serial += 1
            self._change.notify_all()

    def after(self, serial: int, timeout: float) -> tuple[int, list[Event]]:
        """Return the last serial number and the events after ``serial``, waiting for one up to ``timeout`` seconds.

        A reader whose next event is no longer kept, or who counts from another server's log, gets one ``reset``.
        """
        with self._change:
            if serial > self._serial:
                return self._serial, [Event("reset", {})]
            self._change.wait_for(lambda: self._serial > serial, timeout)
            new = self._serial - serial
            if new > len(self._log):
                return self._serial, [Event("reset", {})]
            return self._serial, list(self._log)[len(self._log) - new :]
