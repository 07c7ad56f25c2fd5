"""Transforms from a track's unit to the number that a head is trained on (the label), each with its exact inverse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tracks.errors import TracksError


@dataclass(frozen=True)
class Affine:
    """The transform from a track's unit to the number a head was trained on: ``label = scale * value + offset``."""

    scale: float = 1.0
    offset: float = 0.0
    kind: Literal["affine"] = "affine"

    def __post_init__(self) -> None:
        if self.scale == 0 or not np.isfinite([self.scale, self.offset]).all():
            raise TracksError(f"a track's transform needs a finite scale other than 0, found {self}")

    def forward(self, values: np.ndarray) -> np.ndarray:
        """Return labels for values in the track's unit."""
        return self.scale * values + self.offset

    def inverse(self, labels: np.ndarray) -> np.ndarray:
        """Return values in the track's unit for labels."""
        return (labels - self.offset) / self.scale


@dataclass(frozen=True)
class Exp2:
    """The transform of a log2 enrichment that a head was trained on in linear scale: ``label = scale * 2 ** value``.

    A head without an activation can give labels of 0 and less, which are no enrichment; they become ``FLOOR``.
    """

    FLOOR = -10.0

    scale: float = 1.0
    kind: Literal["exp2"] = "exp2"

    def __post_init__(self) -> None:
        if not (self.scale > 0 and np.isfinite(self.scale)):
            raise TracksError(f"a track's transform needs a finite scale above 0, found {self}")

    def forward(self, values: np.ndarray) -> np.ndarray:
        """Return labels for values in the track's unit."""
        labels: np.ndarray = self.scale * np.exp2(values)
        return labels

    def inverse(self, labels: np.ndarray) -> np.ndarray:
        """Return values in the track's unit for labels; at least ``FLOOR``."""
        values: np.ndarray = np.log2(np.maximum(labels / self.scale, 2.0**self.FLOOR))
        return values


@dataclass(frozen=True)
class Clip:
    """Values beyond ``low`` or ``high`` become these. What was cut off is not in the labels, so the inverse gives
    the labels themselves."""

    low: float | None = None
    high: float | None = None
    kind: Literal["clip"] = "clip"

    def __post_init__(self) -> None:
        bounds = [bound for bound in (self.low, self.high) if bound is not None]
        if not bounds or not np.isfinite(bounds).all() or (len(bounds) == 2 and bounds[0] >= bounds[1]):
            raise TracksError(f"a clip needs low, high or both, finite, and low below high; found {self}")

    def forward(self, values: np.ndarray) -> np.ndarray:
        """Return the values, cut off."""
        clipped: np.ndarray = np.clip(values, self.low, self.high)
        return clipped

    def inverse(self, labels: np.ndarray) -> np.ndarray:
        """Return the labels, cut off."""
        return self.forward(labels)


@dataclass(frozen=True)
class SoftClip:
    """Basenji's soft clip: above ``threshold`` c, ``label = c - 1 + sqrt(value - c + 1)``."""

    threshold: float
    kind: Literal["soft_clip"] = "soft_clip"

    def __post_init__(self) -> None:
        if not np.isfinite(self.threshold):
            raise TracksError(f"a soft clip needs a finite threshold, found {self}")

    def forward(self, values: np.ndarray) -> np.ndarray:
        """Return labels for values."""
        above = np.maximum(values - self.threshold, 0)
        return np.where(values > self.threshold, self.threshold - 1 + np.sqrt(above + 1), values)

    def inverse(self, labels: np.ndarray) -> np.ndarray:
        """Return values for labels."""
        root = np.maximum(labels - self.threshold, 0) + 1
        return np.where(labels > self.threshold, self.threshold - 1 + root**2, labels)


@dataclass(frozen=True)
class Power:
    """Basenji's variance-stabilising root: ``label = (value + 1) ** exponent - 1``, of values from -1 on.

    The exponent travels with the track: Basenji's data were made with 1/2, and its programs undo 3/4
    (facts/seed_systems.md 9.1).
    """

    exponent: float = 0.5
    kind: Literal["power"] = "power"

    def __post_init__(self) -> None:
        if not (self.exponent > 0 and np.isfinite(self.exponent)):
            raise TracksError(f"a power needs a finite exponent above 0, found {self}")

    def forward(self, values: np.ndarray) -> np.ndarray:
        """Return labels for values; those below -1 count as -1."""
        labels: np.ndarray = np.maximum(values + 1, 0) ** self.exponent - 1
        return labels

    def inverse(self, labels: np.ndarray) -> np.ndarray:
        """Return values for labels."""
        values: np.ndarray = np.maximum(labels + 1, 0) ** (1 / self.exponent) - 1
        return values


Step = Affine | Exp2 | Clip | SoftClip | Power


@dataclass(frozen=True)
class Steps:
    """Several transforms, one after the other."""

    steps: tuple[Step, ...]
    kind: Literal["steps"] = "steps"

    def forward(self, values: np.ndarray) -> np.ndarray:
        """Return labels for values in the track's unit."""
        for step in self.steps:
            values = step.forward(values)
        return values

    def inverse(self, labels: np.ndarray) -> np.ndarray:
        """Return values in the track's unit for labels."""
        for step in reversed(self.steps):
            labels = step.inverse(labels)
        return labels


Transform = Step | Steps

_KINDS: dict[str, type[Step]] = {"affine": Affine, "exp2": Exp2, "clip": Clip, "soft_clip": SoftClip, "power": Power}


def is_log2(transform: Transform) -> bool:
    """Whether values are log2 of something that is averaged as it is, and so labels begin with undoing the log2."""
    first = transform.steps[0] if isinstance(transform, Steps) and transform.steps else transform
    return isinstance(first, Exp2)


def transform_from_json(fields: dict[str, Any]) -> Transform:
    """Make a transform again from its JSON. Raises TypeError for fields that it does not have, ValueError for a kind
    that there is not."""
    kind = fields.get("kind", "affine")
    if kind == "steps":
        return Steps(tuple(_step(step) for step in fields["steps"]))
    return _step(fields)


def _step(fields: dict[str, Any]) -> Step:
    kind = fields.get("kind", "affine")
    if kind not in _KINDS:
        raise ValueError(f"there is no transform '{kind}'; there are {', '.join(_KINDS)}")
    return _KINDS[kind](**fields)
