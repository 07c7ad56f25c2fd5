"""How predictions are made: number format, edge semantics and ensemble. Each has a name, and its own key in the store
(DESIGN.md, principle 5)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, get_args

from tracks.errors import UsageError
from tracks.grid import BINS

Precision = Literal["fp32", "winograd", "bf16", "int8"]
"""``fp32`` is the reference. ``winograd``: float32 with fast convolution in the tower. ``bf16``: bfloat16 with float32
sums. ``int8``: 8-bit convolutions, a preview."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)

Edges = Literal["window", "seamless"]
"""``window`` is the reference: each window is computed alone, and zero padding at its ends reaches 148 bins into it.
``seamless``: the residual blocks see the bins of the neighbouring windows, so that there is no border."""

EDGES: tuple[Edges, ...] = get_args(Edges)

_MAX_SHIFT = 64


@dataclass(frozen=True)
class Ensemble:
    """Which passes are averaged, as labels: both strands; inputs shifted by -``shift``, 0 and ``shift`` bases; windows
    that start every 1/``overlap`` of a window, each bin the mean of all that hold it."""

    reverse_complement: bool = False
    shift: int = 0
    overlap: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.shift <= _MAX_SHIFT:
            raise UsageError(f"an ensemble shifts its inputs by 1 to {_MAX_SHIFT} bases, not {self.shift}")
        if self.overlap < 1 or BINS % self.overlap or self.overlap > 8:
            raise UsageError(f"an ensemble overlaps 2, 4, 7 or 8 windows, not {self.overlap}")

    @property
    def name(self) -> str:
        """``single``, or parts joined by ``+``: ``rc``, ``shift3``, ``overlap2``."""
        parts = [
            *(["rc"] if self.reverse_complement else []),
            *([f"shift{self.shift}"] if self.shift else []),
            *([f"overlap{self.overlap}"] if self.overlap > 1 else []),
        ]
        return "+".join(parts) or "single"

    @property
    def shifts(self) -> tuple[int, ...]:
        """Bases by which inputs are shifted."""
        return (-self.shift, 0, self.shift) if self.shift else (0,)

    @classmethod
    def parse(cls, text: str) -> Ensemble:
        """Make an ensemble from its name. Raises UsageError for what is none."""
        parts = {} if text == "single" else {_part(part, text): part for part in text.split("+")}
        if text != "single" and len(parts) < len(text.split("+")):
            raise UsageError(f"the ensemble '{text}' names a part twice")
        numbers = {name: int(part.removeprefix(name)) for name, part in parts.items() if name != "rc"}
        made = cls("rc" in parts, numbers.get("shift", 0), numbers.get("overlap", 1))
        if numbers.get("shift") == 0 or numbers.get("overlap") == 1:
            raise UsageError(f"the ensemble '{text}' has a part that does nothing; leave it out")
        return made


def _part(part: str, text: str) -> str:
    found = re.fullmatch(r"(rc)|(shift|overlap)([0-9]{1,3})", part)
    if found is None:
        raise UsageError(f"'{text}' is no ensemble; give single, rc, shift3 or overlap2, or several joined by +")
    return found[1] or found[2]


@dataclass(frozen=True)
class Method:
    """How predictions are made; the default is the reference."""

    precision: Precision = "fp32"
    edges: Edges = "window"
    ensemble: Ensemble = field(default_factory=Ensemble)

    def __post_init__(self) -> None:
        if self.edges == "seamless" and self.ensemble.overlap > 1:
            raise UsageError("seamless predictions have no borders to average over; leave overlap out")

    @property
    def key(self) -> str:
        """Its name in the store: ``fp32-single``, ``bf16-rc``, ``fp32-seamless-single``."""
        edges = [] if self.edges == "window" else [self.edges]
        return "-".join([self.precision, *edges, self.ensemble.name])

    @property
    def words(self) -> str:
        """What a person is told: ``fp32``, ``int8 (preview)``, ``bf16, seamless, rc+shift3``."""
        words: list[str] = ["int8 (preview)" if self.precision == "int8" else self.precision]
        words += ["seamless"] if self.edges == "seamless" else []
        return ", ".join(words + ([] if self.ensemble == Ensemble() else [self.ensemble.name]))


REFERENCE = Method()
