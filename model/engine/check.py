"""The self-check: a fast engine against the reference on one window, before anything it says is kept (DESIGN.md,
principle 5)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from model.engine.convolution import ConvolutionEngine
from model.engine.winograd import WinogradEngine
from tracks.errors import TracksError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from model.engine.base import TrunkEngine
    from tracks.method import Precision

_VARIES = 0.01
_STEADY = 0.1


@dataclass(frozen=True, eq=False)
class Agreement:
    """How values agree with a reference, float64 ``[tracks]`` each.

    ``r`` is Pearson's correlation over bins, NaN where either is steady: its standard deviation is below a hundredth
    of its largest value. ``largest`` is the largest difference over the reference's standard deviation, or over a
    tenth of its largest value if that is more, so that a steady track is measured against its size; infinite where
    only one of the two has a number. ``mean`` is the mean difference over the reference's mean value, both without
    sign.
    """

    r: np.ndarray
    largest: np.ndarray
    mean: np.ndarray


@dataclass(frozen=True)
class Tolerance:
    """The least ``r`` and the most ``largest`` and ``mean`` that a track may have."""

    r: float
    largest: float
    mean: float


TOLERANCE: Mapping[Precision, Tolerance] = {
    "fp32": Tolerance(r=0.999999, largest=1e-3, mean=1e-4),
    "winograd": Tolerance(r=0.999999, largest=1e-3, mean=1e-4),
    "bf16": Tolerance(r=0.995, largest=0.5, mean=0.03),
    "int8": Tolerance(r=0.97, largest=1.5, mean=0.10),
}
"""Several times what ``benchmarks/precisions.py`` measures; fp32 is that of another device."""


def agreement(reference: np.ndarray, other: np.ndarray) -> Agreement:
    """Return how ``other`` agrees with ``reference``, both ``[bins, tracks]``. Bins where both are NaN do not count.

    Raises ValueError where the shapes differ.
    """
    if reference.shape != other.shape:
        raise ValueError(f"values of shape {other.shape} cannot be compared with a reference of {reference.shape}")
    missing = np.isnan(reference)
    apart = (missing != np.isnan(other)).any(axis=0)
    expected, found = (np.where(missing, np.nan, values).astype(np.float64) for values in (reference, other))
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # of tracks without a number
        deviation, deviation_found = np.nanstd(expected, axis=0), np.nanstd(found, axis=0)
        size, size_found = (np.nanmax(np.abs(values), axis=0) for values in (expected, found))
        centred = (expected - np.nanmean(expected, axis=0)) * (found - np.nanmean(found, axis=0))
        varies = (deviation > _VARIES * size) & (deviation_found > _VARIES * size_found)
        r = np.where(varies, np.nanmean(centred, axis=0) / (deviation * deviation_found), np.nan)
        difference = np.abs(found - expected)
        largest = _over(np.nanmax(difference, axis=0), np.maximum(deviation, _STEADY * size))
        mean = _over(np.nanmean(difference, axis=0), np.nanmean(np.abs(expected), axis=0))
    return Agreement(r, np.where(apart, np.inf, largest), np.where(apart, np.inf, mean))


def _over(difference: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return a ratio that is 0 where nothing differs, or where there is no number at all."""
    return np.where(np.nan_to_num(difference) == 0, 0.0, difference / scale)


def check_engine(
    engine: TrunkEngine,
    reference: TrunkEngine,
    read_heads: Callable[[torch.Tensor], np.ndarray],
    codes: torch.Tensor,
    tracks: Sequence[str] = (),
) -> Agreement:
    """Pass base codes ``[1, 131072]`` through both engines, let ``read_heads`` turn each embedding into labels
    ``[bins, tracks]``, and return how they agree.

    Raises TracksError, naming the worst track, where they differ by more than ``TOLERANCE`` allows.
    """
    precision = _precision(engine)
    found = agreement(read_heads(reference(codes)), read_heads(engine(codes)))
    allowed = TOLERANCE[precision]
    # How many times what is allowed; a steady track is not judged by r.
    excess = np.maximum(found.largest / allowed.largest, found.mean / allowed.mean)
    excess = np.fmax(excess, (1 - found.r) / (1 - allowed.r))
    if excess.size and not excess.max() <= 1:
        worst = int(excess.argmax())
        name = f"'{tracks[worst]}'" if tracks else f"{worst + 1} of {excess.size}"
        correlated = "" if np.isnan(found.r[worst]) else f"r {found.r[worst]:.6f}, "
        instead = "bf16 on a GPU with it, or --device cpu" if precision == "fp32" else "--precision fp32"
        raise TracksError(
            f"{precision} on this machine differs from fp32 on track {name} of one window: {correlated}by "
            f"{found.mean[worst]:.2%} in the mean and {found.largest[worst]:.3g} standard deviations at most "
            f"(tolerance: r {allowed.r:g}, {allowed.mean:.2%}, {allowed.largest:g}); use {instead}"
        )
    return found


def _precision(engine: TrunkEngine) -> Precision:
    if isinstance(engine, WinogradEngine):
        return "winograd"
    if isinstance(engine, ConvolutionEngine):
        return "bf16" if engine.dtype == torch.bfloat16 else "fp32"
    return "int8"
