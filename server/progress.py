"""How the predicting stands, in the words that pages are told."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from server.wants import Window


class State(StrEnum):
    """What the predicting thread is at."""

    IDLE = "idle"
    COMPUTING = "computing"
    FAILED = "failed"


class Status(IntEnum):
    """What is known of a window of a head."""

    UNKNOWN = 0
    QUEUED = 1
    COMPUTING = 2
    FAILED = 3
    KNOWN = 4


@dataclass(frozen=True)
class Now:
    """How the work stands. ``known`` of ``total`` windows that hold sequence, with the first head (``total`` is None
    before the sequence is counted); ``seconds_per_window``: the median of the last ones computed here."""

    state: State
    queued: int
    computing: str | None
    failed: int
    known: int
    total: int | None
    filling: bool
    jobs: int
    seconds_per_window: float | None
    device: str
    precision: str
    """How predictions are made, in words (``Method.words``)."""
    message: str

    def to_json(self) -> dict[str, Any]:
        """Return what a page shows of it."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Work:
    """What is waited for (windows by chromosome), worked at, and failed, with the reason in words."""

    queued: dict[str, np.ndarray]
    computing: Window | None
    failed: dict[tuple[Window, str], str]


@dataclass(frozen=True)
class Estimate:
    """Windows of a span, those still to compute, and the seconds that takes (None before any was computed)."""

    windows: int
    unknown: int
    seconds: float | None
