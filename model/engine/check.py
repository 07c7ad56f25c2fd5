"""The self-check: a fast engine against the reference on one window, before anything it says is kept (DESIGN.md,
principle 5)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracks.errors import TracksError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import torch

    from model.engine.base import TrunkEngine
    from tracks.method import Precision

_VARIES = 0.01


@dataclass(frozen=True, eq=False)
class Agreement:
    """How values agree with a reference, float64 ``[tracks]`` each.

    ``r`` is Pearson's correlation over bins. ``largest`` and ``mean`` are those of the difference without sign, over
    the standard deviation of the reference; infinite where only one of the two has a number. A steady track, whose
    standard deviation is below a hundredth of its largest value (a head that gives one value a window has no other),
    is measured against that value, and its r is NaN.
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
    "bf16": Tolerance(r=0.995, largest=1.0, mean=0.1),
    "int8": Tolerance(r=0.9, largest=4.0, mean=0.5),
}
"""Several times what ``benchmarks/precisions.py`` measures of single windows; fp32 is that of another device."""


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
        size = np.nanmax(np.abs(expected), axis=0)
        varies = deviation > _VARIES * size
        covariance = np.nanmean((expected - np.nanmean(expected, axis=0)) * (found - np.nanmean(found, axis=0)), axis=0)
        r = np.where(deviation_found > 0, covariance / (deviation * deviation_found), 0.0)
        difference, scale = np.abs(found - expected), np.where(varies, deviation, size)
        largest, mean = (_over(summary(difference, axis=0), scale) for summary in (np.nanmax, np.nanmean))
    return Agreement(np.where(varies, r, np.nan), np.where(apart, np.inf, largest), np.where(apart, np.inf, mean))


def _over(difference: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return a ratio that is 0 where nothing differs, or where there is no number at all."""
    return np.where(np.nan_to_num(difference) == 0, 0.0, difference / scale)


def check_engine(
    engine: TrunkEngine,
    precision: Precision,
    expected: torch.Tensor,
    read_heads: Callable[[torch.Tensor], np.ndarray],
    codes: torch.Tensor,
    tracks: Sequence[str] = (),
) -> Agreement:
    """Pass base codes ``[1, 131072]`` through the engine of a precision, let ``read_heads`` turn its embedding and the
    reference's, ``expected``, into labels ``[bins, tracks]``, and return how they agree.

    Raises TracksError, naming the worst track, where they differ by more than ``TOLERANCE`` allows.
    """
    found = agreement(read_heads(expected), read_heads(engine(codes)))
    allowed = TOLERANCE[precision]
    excess = np.maximum(found.largest / allowed.largest, found.mean / allowed.mean)
    excess = np.fmax(excess, (1 - found.r) / (1 - allowed.r))  # NaN, of a steady track, does not count
    if excess.size and not excess.max() <= 1:
        worst = int(excess.argmax())
        name = f"'{tracks[worst]}'" if tracks else f"{worst + 1} of {excess.size}"
        correlated = "" if np.isnan(found.r[worst]) else f", r {found.r[worst]:.6f}"
        instead = "--device cpu" if precision == "fp32" else "--precision fp32"
        raise TracksError(
            f"{precision} on this machine differs from fp32 on track {name} by {found.mean[worst]:.2g} standard "
            f"deviations in the mean and {found.largest[worst]:.2g} at most{correlated} (tolerance: {allowed.mean:g}, "
            f"{allowed.largest:g}, r {allowed.r:g}); use {instead}"
        )
    return found
